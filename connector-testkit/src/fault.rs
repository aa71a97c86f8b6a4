//! Scripted faults: what a vendor's front end does to a client, on demand.
//!
//! A fake vendor owns a [`Faults`] script and asks it at each request whether something goes wrong. The
//! script is deterministic: a rule counts the requests that match it and fires at the ones it was told to,
//! so a test that fails once fails every time.
//!
//! ```
//! use connector_testkit::fault::{Fault, Faults, Matcher};
//!
//! let faults = Faults::default();
//! // The third page answers 503 and asks for two seconds of patience, once.
//! faults.on(Matcher::path("/query/")).nth(3).then(Fault::retry_after(503, "2"));
//! // Every tenth request loses its connection after 100 bytes of the body.
//! faults.on(Matcher::any()).every(10).then(Fault::ResetAfter { bytes: 100 });
//! assert_eq!(faults.fired(), 0);
//! ```
//!
//! Faults that touch the transport (a reset, a body cut short) need a say in the connection: the fake
//! listens through [`Listener`], whose streams can be ended from inside a handler. Nothing here knows a
//! vendor; [`Fault::Unauthorized`] is the one fault that a vendor answers in its own words.

mod apply;
mod body;
mod connection;
mod kind;
mod script;
#[cfg(test)]
mod tests;

pub(crate) use connection::Open;
pub use connection::{Connection, Listener, Stream};
pub use kind::Fault;
pub use script::{Faults, Matcher, Rule, Script, Seen};
