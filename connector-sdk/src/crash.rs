//! Named places where a process may die, for tests that let it die there.
//!
//! What a run promises (rules D-01 to D-22) it promises for a process that ends at any moment. The moments that matter
//! have names: the run engine and the sinks call [`point`] at each of them. Without the feature `crash-points`, which
//! nothing but tests should turn on, a point is an empty function.
//!
//! With the feature a test enters a `Script` on its thread, which counts the points that are passed and dies at one
//! of them: it says so (so that the test can take the disk away) and unwinds. What runs on the same thread afterwards
//! would not have run in a process that died; a test therefore drops the run at once.
//!
//! ```
//! # #[cfg(feature = "crash-points")] {
//! use connector_sdk::crash::{self, Script};
//!
//! let script = Script::dying_at("example.middle", 2);
//! let _entered = script.enter();
//! let died = std::panic::catch_unwind(|| {
//!     for _ in 0..3 {
//!         crash::point("example.middle");
//!     }
//! });
//! assert!(died.is_err() && script.has_died());
//! assert_eq!(script.passed()["example.middle"], 2);
//! # }
//! ```

#[cfg(feature = "crash-points")]
mod script;

#[cfg(feature = "crash-points")]
pub use script::{Entered, Script};

/// A process may die here. `name` is unique in the workspace: `house.step`, and what has just happened.
#[inline]
pub fn point(name: &'static str) {
    #[cfg(feature = "crash-points")]
    script::point(name);
    #[cfg(not(feature = "crash-points"))]
    let _ = name;
}

/// The work with the thread's script, for a thread that is handed some: blocking file operations.
#[inline]
pub fn carry<R>(work: impl FnOnce() -> R + Send) -> impl FnOnce() -> R + Send {
    #[cfg(feature = "crash-points")]
    let work = script::carry(work);
    work
}
