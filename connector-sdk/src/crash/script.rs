//! What is to happen at which point; only with the feature `crash-points`.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

thread_local! {
    static CURRENT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

/// Counts the points that are passed, and dies at one of them. Clones share it.
#[derive(Clone)]
pub struct Script(Arc<Inner>);

struct Inner {
    at: Option<(String, u64)>,
    passed: Mutex<BTreeMap<&'static str, u64>>,
    died: AtomicBool,
    told: Notify,
    at_death: Box<dyn Fn() + Send + Sync>,
}

impl Script {
    /// Dies nowhere, and counts.
    #[must_use]
    pub fn counting() -> Self {
        Self::new(None, Box::new(|| {}))
    }

    /// Dies when this point is passed for the `number`-th time, counted from 1.
    #[must_use]
    pub fn dying_at(name: impl Into<String>, number: u64) -> Self {
        Self::new(Some((name.into(), number)), Box::new(|| {}))
    }

    fn new(at: Option<(String, u64)>, at_death: Box<dyn Fn() + Send + Sync>) -> Self {
        let (passed, died, told) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        Self(Arc::new(Inner { at, passed, died, told, at_death }))
    }

    /// Also does this at the moment of death, before anything unwinds: takes the disk away.
    #[must_use]
    pub fn and_then(self, at_death: impl Fn() + Send + Sync + 'static) -> Self {
        Self::new(self.0.at.clone(), Box::new(at_death))
    }

    /// Makes this the script of the thread until the answer is dropped.
    pub fn enter(&self) -> Entered {
        let before = CURRENT.with(|current| current.replace(Some(self.clone())));
        Entered { before, thread: PhantomData }
    }

    /// Whether the point has been reached.
    #[must_use]
    pub fn has_died(&self) -> bool {
        self.0.died.load(Ordering::Acquire)
    }

    /// Ends when the point has been reached; otherwise never.
    pub async fn death(&self) {
        loop {
            let told = self.0.told.notified();
            if self.has_died() {
                return;
            }
            told.await;
        }
    }

    /// How often each point was passed.
    #[must_use]
    pub fn passed(&self) -> BTreeMap<&'static str, u64> {
        self.0.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn pass(&self, name: &'static str) {
        let times = {
            let mut passed = self.0.passed.lock().unwrap_or_else(PoisonError::into_inner);
            let times = passed.entry(name).or_default();
            *times += 1;
            *times
        };
        let dies = self.0.at.as_ref().is_some_and(|(at, number)| at == name && *number == times);
        // What runs on after a death, in another task or thread, is dead too.
        if dies && !self.0.died.swap(true, Ordering::AcqRel) {
            (self.0.at_death)();
            self.0.told.notify_waiters();
        }
        if self.has_died() {
            std::panic::resume_unwind(Box::new("a crash point was reached"));
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("at", &self.0.at).field("died", &self.0.died).finish_non_exhaustive()
    }
}

/// The script is the thread's as long as this lives. It cannot leave the thread.
#[derive(Debug)]
#[must_use = "the script is left when this is dropped"]
pub struct Entered {
    before: Option<Script>,
    thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with(|current| current.replace(self.before.take()));
    }
}

pub(super) fn point(name: &'static str) {
    // While a thread ends it may have no script any more.
    let current = CURRENT.try_with(|current| current.borrow().clone()).ok().flatten();
    // A point that is passed while something unwinds already would abort the whole process.
    if let Some(script) = current.filter(|_| !std::thread::panicking()) {
        script.pass(name);
    }
}

pub(super) fn carry<R>(work: impl FnOnce() -> R + Send) -> impl FnOnce() -> R + Send {
    let script = CURRENT.try_with(|current| current.borrow().clone()).ok().flatten();
    move || {
        let _entered = script.as_ref().map(Script::enter);
        work()
    }
}
