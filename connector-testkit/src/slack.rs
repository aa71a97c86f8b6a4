//! A fake Slack workspace: a real HTTP server on loopback that answers the Web API over data of its own.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use connector_testkit::fault::Fault;
//! use connector_testkit::slack::{ChannelKind, FakeWorkspace};
//!
//! let ws = FakeWorkspace::builder().seed(1).channels(4).messages(1_000).users(50).start().await?;
//! println!("ask {} with {}", ws.base_url(), ws.bot_token());
//!
//! ws.faults().on("/api/conversations.history").nth(2).then(Fault::retry_after(429, "30"));
//! let channel = &ws.channels(ChannelKind::Public)[0];
//! let ts = ws.post(channel, "a late one");
//! ws.reply(channel, &ts, "and a reply");
//! assert_eq!(ws.truth(channel).len(), 1_001);
//! ws.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! What this vendor's documentation and recorded answers say, the module that does it repeats. Where the workspace
//! has to choose and no recording tells, the choice is named in a comment. Data are drawn from a seed: the same
//! seed, volume and clock give the same workspace.

mod account;
mod arguments;
mod builder;
mod channel;
mod chat;
mod control;
mod conversations;
mod drawn;
mod events;
mod files;
mod gate;
mod history;
mod limits;
mod log;
mod members;
mod message;
mod methods;
mod oauth;
mod page;
mod people;
mod reactions;
mod reply;
mod seed;
mod server;
mod signature;
mod socket;
mod talk;
mod tokens;
mod ts;
mod workspace;

pub use builder::Builder;
pub use channel::ChannelKind;
pub use events::{Carrier, Delivery};
pub use log::{LoggedRequest, TokenKind};
pub use methods::tiers;
pub use socket::Disconnect;
pub use tokens::OAuth;
pub use workspace::FakeWorkspace;
