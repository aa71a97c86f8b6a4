//! What a check comes to.

use std::fmt;

/// What a step of a check comes to.
pub type Verdict = Result<(), Failure>;

/// What a check comes to.
pub type Outcome = Result<Held, Failure>;

/// A rule holds, as far as it was tested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Held {
    /// What of the rule was not tested, each with the reason; none when it was tested whole.
    pub untested: Vec<String>,
}

impl Held {
    /// Nothing failed, and this was not tested.
    pub fn but(untested: impl Into<String>) -> Self {
        Self { untested: vec![untested.into()] }
    }
}

impl From<()> for Held {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl FromIterator<String> for Held {
    fn from_iter<T: IntoIterator<Item = String>>(untested: T) -> Self {
        Self { untested: untested.into_iter().collect() }
    }
}

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
