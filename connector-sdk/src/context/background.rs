//! Work that is finished whatever becomes of who asked for it.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::{Clock, clock::Elapsed, clock::timeout};

/// Work that was begun and must not be left half done, such as an exchange of a single-use credential: the
/// vendor forgets the old one as it answers, so that the answer has to be heard and kept whatever becomes of
/// those who wait for it.
///
/// It is for short work that bounds itself: a host waits for it before it lets a run, a check or its process
/// end. A clone is a handle on the same.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use connector_sdk::{Context, context::Background};
/// let cx = Context::builder("acme", "desk").build();
/// let (kept, keeps) = tokio::sync::oneshot::channel();
/// drop(cx.background().spawn(async move { kept.send("r-2").is_ok() })); // whoever waited has gone
/// cx.background().settled(&**cx.clock(), Background::PATIENCE).await.unwrap();
/// assert_eq!(keeps.await.unwrap(), "r-2");
/// # }
/// ```
#[derive(Clone)]
pub struct Background {
    tasks: TaskTracker,
    /// How many wait until all is done.
    awaited: Arc<AtomicUsize>,
}

impl Background {
    /// How long a host waits for it by default: an exchange of a token may take a minute and a half, and what
    /// came of it has to reach the disk.
    pub const PATIENCE: Duration = Duration::from_secs(120);

    /// Begins this, and goes on with it when nobody waits for the answer any more. It is a task of the tokio
    /// runtime that the caller is in. Outside of one nothing runs by itself: then those who wait for the
    /// answer drive it, and when all of them are gone it stands still.
    pub fn spawn<T>(&self, work: impl Future<Output = T> + Send + 'static) -> Shared<BoxFuture<'static, T>>
    where
        T: Clone + Send + Sync + 'static,
    {
        let work = work.in_current_span().boxed().shared();
        if let Ok(runtime) = Handle::try_current() {
            drop(self.tasks.spawn_on(work.clone().map(drop), &runtime));
        }
        work
    }

    /// How many pieces of work are going on.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether all is done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits until all is done, for so long at most by this clock. More may be begun meanwhile and after.
    ///
    /// # Errors
    /// [`Elapsed`] when something is not done by then. It goes on, as long as the runtime does.
    pub async fn settled(&self, clock: &dyn Clock, limit: Duration) -> Result<(), Elapsed> {
        if self.is_empty() {
            return Ok(());
        }
        let _awaited = Awaited::by(&self.awaited);
        timeout(clock, limit, self.tasks.wait()).await
    }

    /// Whether somebody waits until all is done. Work that has begun nothing yet, because it waits for its
    /// turn, gives up then.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0
    }
}

impl Default for Background {
    fn default() -> Self {
        let tasks = TaskTracker::new();
        // Closed, it can be waited for; that keeps no task out.
        tasks.close();
        Self { tasks, awaited: Arc::default() }
    }
}

/// Counts itself, until it is dropped.
struct Awaited<'a>(&'a AtomicUsize);

impl<'a> Awaited<'a> {
    fn by(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("len", &self.len()).finish()
    }
}
