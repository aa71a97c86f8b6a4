//! The page tokens of one list: where it is, and that it does not go in a circle.

use std::collections::HashSet;

use connector_sdk::{Class, Delivery, Error, Result};

use crate::fault::{self, Then};

/// After so many pages without a row, one after the other, none is waited for any more.
const EMPTY_PAGES: u32 = 1_000;
/// How often a list is read anew because its token has expired.
const RESTARTS: u32 = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Cursors {
    operation: &'static str,
    current: Option<String>,
    met: HashSet<String>,
    empty: u32,
    restarts: u32,
}

impl Cursors {
    pub(crate) fn new(operation: &'static str) -> Self {
        Self { operation, current: None, met: HashSet::new(), empty: 0, restarts: 0 }
    }

    /// Goes on from this token.
    pub(crate) fn from(operation: &'static str, current: Option<String>) -> Self {
        let met = current.iter().cloned().collect();
        Self { current, met, ..Self::new(operation) }
    }

    /// The token of the page to ask for; none: the first.
    pub(crate) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// Takes in what a page with so many rows says of the next one; false where it is the last: the token is empty,
    /// null or missing. A short page is no end.
    ///
    /// # Errors
    /// Permanent when the token was met before, or pages go on and on without rows (rule D-11).
    pub(crate) fn go_on(&mut self, next: Option<String>, rows: usize) -> Result<bool> {
        let Some(next) = next.filter(|next| !next.is_empty()) else { return Ok(false) };
        self.empty = if rows == 0 { self.empty + 1 } else { 0 };
        let message = if !self.met.insert(next.clone()) {
            "a page leads back to one that was read already"
        } else if self.empty >= EMPTY_PAGES {
            "the list goes on and on without rows"
        } else {
            self.current = Some(next);
            return Ok(true);
        };
        Err(Error::new(Class::Permanent, self.operation, message).with_delivery(Delivery::Answered))
    }

    /// Whether the token has expired, so that the list is read from its beginning.
    ///
    /// # Errors
    /// Transient when that has happened too often.
    pub(crate) fn expired(&mut self, error: &Error) -> Result<bool> {
        if fault::then(error) != Then::Restart || self.current.is_none() {
            return Ok(false);
        }
        self.restarts += 1;
        if self.restarts > RESTARTS {
            return Err(error.clone().with_class(Class::Transient).into_exhausted());
        }
        tracing::info!(method = self.operation, "the page token has expired; the list is read anew");
        self.current = None;
        self.met.clear();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_11_empty_null_and_missing_are_the_end_and_a_circle_is_an_error() {
        let mut cursors = Cursors::new("users.list");
        assert!(!cursors.go_on(None, 5).unwrap() && !cursors.go_on(Some(String::new()), 5).unwrap());
        assert!(cursors.go_on(Some("a".into()), 0).unwrap());
        assert_eq!(cursors.current(), Some("a"));
        assert!(cursors.go_on(Some("b".into()), 1).unwrap());
        assert_eq!(cursors.go_on(Some("a".into()), 1).unwrap_err().class(), Class::Permanent);
        let mut resumed = Cursors::from("users.list", Some("a".into()));
        assert!(resumed.go_on(Some("a".into()), 1).is_err(), "leads to itself");
        let mut endless = Cursors::new("users.list");
        let end = (0..2_000).find_map(|page| endless.go_on(Some(page.to_string()), 0).err());
        assert_eq!(end.unwrap().class(), Class::Permanent);
    }
}
