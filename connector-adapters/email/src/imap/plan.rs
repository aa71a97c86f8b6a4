//! What is to be read: which mailboxes have changed since the last time.

use std::collections::BTreeSet;

use connector_sdk::{Partition, Plan, Result, State, StreamState, SyncMode};
use serde::{Deserialize, Serialize};

use super::{
    catalog::Stream,
    config::Settings,
    flags::Standing,
    mailbox::{Mailbox, MailboxStatus, selected},
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

/// The mailboxes in which something has changed since, each a partition, and those that are no more.
///
/// # Errors
/// Config when a state is of a newer version.
pub(crate) fn plan(
    mailboxes: &[Mailbox],
    settings: &Settings,
    stream: Stream,
    state: &StreamState,
    mode: SyncMode,
) -> Result<Plan> {
    let is_full = mode == SyncMode::Full;
    let mut partitions = Vec::new();
    for at in selected(mailboxes, settings) {
        let Some(mailbox) = mailboxes.get(at) else { continue };
        let known = state.partitions.get(mailbox.name.as_str()).and_then(|known| known.state.as_ref());
        let known_as = known.map(|known| Known::decode(stream, known)).transpose()?;
        // What was left in the middle is gone on with.
        let is_complete = known.is_some_and(State::is_complete);
        let is_as_it_was = |known: &Known| mailbox.status.is_some_and(|status| known.is_as(&status));
        if !is_full && is_complete && known_as.as_ref().is_some_and(is_as_it_was) {
            continue;
        }
        let slice = Slice { raw: kept_raw(&mailbox.name, &mailbox.raw), is_gone: false };
        partitions.push(Partition::new(mailbox.name.as_str()).with_slice(&slice)?);
    }
    let named: BTreeSet<&str> = mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
    for (id, known) in &state.partitions {
        // What a full read does not see is gone, the host says.
        let Some(known) = known.state.as_ref().filter(|_| !is_full && !named.contains(id.as_str())) else {
            continue;
        };
        if let Some(raw) = Known::decode(stream, known)?.read_as() {
            let slice = Slice { raw, is_gone: true };
            partitions.push(Partition::new(id.as_str()).with_slice(&slice)?);
        }
    }
    Ok(Plan::read(partitions))
}

/// What is known of a mailbox, of either stream.
enum Known {
    Messages(Position),
    Flags(Standing),
}

impl Known {
    fn decode(stream: Stream, state: &State) -> Result<Self> {
        Ok(match stream {
            Stream::Flags => Self::Flags(Standing::decode(state)?),
            Stream::Messages | Stream::Mailboxes => Self::Messages(Position::decode(state)?),
        })
    }

    fn is_as(&self, status: &MailboxStatus) -> bool {
        match self {
            Self::Messages(position) => position.is_as(status),
            Self::Flags(standing) => standing.is_as(status),
        }
    }

    /// What the server calls it, where that has to be kept; outer none: nothing was read of it.
    fn read_as(self) -> Option<Option<Vec<u8>>> {
        let (validity, raw) = match self {
            Self::Messages(position) => (position.uid_validity, position.raw),
            Self::Flags(standing) => (standing.uid_validity, standing.raw),
        };
        (validity != 0).then_some(raw)
    }
}
