//! Fake senders of webhooks, and a fake receiver, in the ways of the vendors.
//!
//! A [`FakeSender`] signs as its vendor does, and sends again when its vendor would, by the clock that it is given. A
//! [`FakeReceiver`] takes what a sender under test sends: it proves each request, knows the ids that it has seen, and
//! answers as badly as its [`Faults`](crate::fault::Faults) say.
//!
//! Signing and proving are written here once more, from the vendors' pages, and apart from what they test.
//!
//! ```
//! use connector_sdk::SystemClock;
//! use connector_testkit::webhook::{FakeReceiver, FakeSender, Kind};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let receiver = FakeReceiver::start(Kind::Github, "s3cret", SystemClock::shared()).await?;
//! let sender = FakeSender::new(Kind::Github, "s3cret", SystemClock::shared());
//! let event = sender.event(serde_json::json!({ "action": "opened" }));
//! let answer = sender.attempt(receiver.url(), &event, 0).await.unwrap();
//! assert_eq!(answer.status, 200);
//! assert_eq!(receiver.taken(), [event.id]);
//! # Ok(()) }
//! ```

mod event;
mod kind;
mod pace;
mod proof;
mod receiver;
mod sender;
mod signing;

pub use crate::post::Answered;
pub use event::Event;
pub use kind::Kind;
pub use pace::Pace;
pub use receiver::{Attempt, FakeReceiver};
pub use sender::{Delivery, FakeSender, Fate};
