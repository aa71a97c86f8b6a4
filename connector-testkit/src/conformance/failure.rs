//! What a check comes to.

use std::fmt;

/// What a check comes to.
pub type Verdict = Result<(), Failure>;

/// A rule does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the rule asks for.
    pub expected: String,
    /// What was there instead.
    pub came: String,
}

impl Failure {
    /// Expected the one, came the other.
    #[must_use]
    pub fn new(expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self { expected: expected.into(), came: came.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, came {}", self.expected, self.came)
    }
}

impl std::error::Error for Failure {}

/// Fails the check unless it is so.
pub(super) fn ensure(is_so: bool, expected: impl Into<String>, came: impl FnOnce() -> String) -> Verdict {
    if is_so { Ok(()) } else { Err(Failure::new(expected, came())) }
}

/// Fails the check unless both are equal.
pub(super) fn equal<T: PartialEq + fmt::Debug>(came: &T, expected: &T, what: &str) -> Verdict {
    ensure(came == expected, format!("{what}: {expected:?}"), || format!("{came:?}"))
}
