//! Stream `messages`: the mails of a mailbox.
//!
//! ```text
//!  EXAMINE ─▶ other UIDVALIDITY? ─▶ reset ─┐
//!     │                                    ▼
//!     └──────▶ vanished ─▶ deletes ─▶ which are new? ─▶ metadata ─▶ bodies, by bytes ─▶ done
//!     ▲                                                                │
//!     └────────────── a connection is lost: open again, go on after the last one delivered
//! ```
//!
//! Every batch is followed by the state that covers it, so that a crash, or a connection that is lost, costs the batch
//! that was on its way. UIDs rise, so the state is "everything before this one", and what is known.

mod bodies;
mod record;
mod walk;

use std::sync::Arc;

use async_stream::try_stream;
use connector_sdk::{Message, ReadRequest, Result};
use futures_util::stream::{BoxStream, StreamExt};

use self::walk::{Step, Walk};
use super::account::Account;

/// Reads one mailbox.
pub(crate) fn read(account: Arc<Account>, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
    try_stream! {
        let mut walk = Walk::new(account, request)?;
        loop {
            match Box::pin(walk.step()).await? {
                Step::Estimate(estimate) => yield Message::Estimate(estimate),
                Step::Batch(batch, state) => {
                    let covered = batch.len() as u64;
                    yield Message::Batch(batch);
                    yield Message::State(state.covering(covered));
                }
                Step::Skip(error) => {
                    yield Message::Skip(error);
                    return;
                }
                Step::Done(state) => {
                    yield Message::State(state.completing());
                    return;
                }
            }
        }
    }
    .boxed()
}
