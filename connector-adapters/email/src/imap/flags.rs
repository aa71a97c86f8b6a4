//! Stream `flags`: the flags of the messages of a mailbox, and what changes of them.
//!
//! A server that counts changes (CONDSTORE) is asked for those since the last time. One that does not is asked for the
//! flags of the newest messages, which are compared with what they were: the state holds a hash of each.

mod standing;
mod walk;

use std::sync::Arc;

use async_stream::try_stream;
use connector_sdk::{Message, ReadRequest, Result};
use futures_util::stream::{BoxStream, StreamExt};

pub(crate) use self::standing::Standing;
use self::walk::{Step, Walk};
use super::account::Account;

/// Reads one mailbox.
pub(crate) fn read(account: Arc<Account>, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
    try_stream! {
        let mut walk = Walk::new(account, request)?;
        let mut uncovered = 0;
        loop {
            match Box::pin(walk.step()).await? {
                Step::Batch(batch) => {
                    uncovered += batch.len() as u64;
                    yield Message::Batch(batch);
                }
                Step::State(state) => yield Message::State(state.covering(std::mem::take(&mut uncovered))),
                Step::Skip(error) => {
                    yield Message::Skip(error);
                    return;
                }
                Step::Done(state) => {
                    yield Message::State(state.covering(uncovered).completing());
                    return;
                }
            }
        }
    }
    .boxed()
}
