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
//! listens through [`Listener`], whose streams can be ended from inside a handler, and made to say on the wire what
//! no server says. Nothing here knows a vendor; [`Fault::Unauthorized`] is the one fault that a vendor answers in
//! its own words.
//!
//! What befalls a connection, whatever is spoken on it, is done by a [`TcpProxy`] before any server, a fake's or
//! another's, HTTP or IMAP: it refuses, resets after so many bytes, stalls, throttles, spoils, and shows
//! certificates that nobody should trust.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use connector_testkit::{desk::FakeDesk, fault::{Line, TcpProxy, Way}};
//! let desk = FakeDesk::start(1, 100).await?;
//! let proxy = TcpProxy::start(desk.address()).await?;
//! // The second connection is reset after 200 bytes of the answer; those from the fifth on find nobody.
//! proxy.on(2..=2, Line::Reset { way: Way::Down, after: 200 });
//! proxy.on(5.., Line::Refuse);
//! assert!(proxy.url().starts_with("http://127.0.0.1:"));
//! # Ok(()) }
//! ```
//!
//! [`KINDS`] names all that can go wrong, with what a connector on the SDK makes of it, so that a test can go through
//! all of it at each place where a connector sends a request, and a kind that is added cannot be forgotten.
//!
//! ```
//! use connector_testkit::fault::{KINDS, Outcome, Trouble};
//! for kind in KINDS {
//!     if let Trouble::Answer(fault) = (kind.trouble)() {
//!         println!("{}: {} as {fault:?}, then {:?}", kind.name, kind.wire, kind.once == Outcome::Recovers);
//!     }
//! }
//! ```

mod apply;
mod body;
mod catalogue;
mod connection;
mod gzip;
mod kind;
mod proxy;
mod saying;
mod script;
#[cfg(test)]
mod tests;

pub use catalogue::{KINDS, Kind, Outcome, Trouble, UNRESOLVABLE, VendorTrouble};
pub(crate) use connection::Open;
pub use connection::{Connection, Listener, Stream};
pub use kind::Fault;
pub(crate) use proxy::Authority;
pub use proxy::{Flaw, Line, Passed, TcpProxy, Way};
pub(crate) use script::decoded;
pub use script::{Faults, Matcher, Rule, Script, Seen};
