//! What is to be read: which mailboxes have changed since the last time.

use std::collections::BTreeSet;

use connector_sdk::{Partition, Plan, Result, StreamState, SyncMode};
use serde::{Deserialize, Serialize};

use super::{
    config::Settings,
    mailbox::{Mailbox, selected},
    position::{Position, kept_raw},
};

/// What a reader has to know of a mailbox.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slice {
    /// What the server calls it, where that does not follow from its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<Vec<u8>>,
    /// The server does not name it any more.
    #[serde(default)]
    pub(crate) is_gone: bool,
}

/// The mailboxes of stream `messages` in which something has come or gone, each a partition, and those that are no more.
///
/// # Errors
/// Config when a state is of a newer version.
pub(crate) fn messages(
    mailboxes: &[Mailbox],
    settings: &Settings,
    state: &StreamState,
    mode: SyncMode,
) -> Result<Plan> {
    let is_full = mode == SyncMode::Full;
    let mut partitions = Vec::new();
    for at in selected(mailboxes, settings) {
        let Some(mailbox) = mailboxes.get(at) else { continue };
        let known = state.partitions.get(mailbox.name.as_str()).and_then(|known| known.state.as_ref());
        let position = known.map(Position::decode).transpose()?;
        // What was left in the middle is gone on with.
        let is_complete = known.is_some_and(connector_sdk::State::is_complete);
        let is_as_it_was = |position: &Position| mailbox.status.is_some_and(|status| position.is_as(&status));
        if !is_full && is_complete && position.as_ref().is_some_and(is_as_it_was) {
            continue;
        }
        let slice = Slice { raw: kept_raw(&mailbox.name, &mailbox.raw), is_gone: false };
        partitions.push(Partition::new(mailbox.name.as_str()).with_slice(&slice)?);
    }
    let named: BTreeSet<&str> = mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
    for (id, known) in &state.partitions {
        // What a full read does not see is gone, the host says.
        let Some(known) = known.state.as_ref().filter(|_| !is_full && !named.contains(id.as_str())) else { continue };
        let position = Position::decode(known)?;
        if position.uid_validity != 0 {
            let slice = Slice { raw: position.raw, is_gone: true };
            partitions.push(Partition::new(id.as_str()).with_slice(&slice)?);
        }
    }
    Ok(Plan::read(partitions))
}
