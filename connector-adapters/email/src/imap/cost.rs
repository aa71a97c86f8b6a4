//! What a first read will cost, as far as the server tells without being read.

use connector_sdk::contract::CostEstimate;

use super::{
    catalog::Stream,
    config::Settings,
    mailbox::{Mailbox, selected},
};

/// Commands for a mailbox besides those for its messages: opening it, and asking which there are.
const FOR_A_MAILBOX: u64 = 2;
/// Messages that one command asks for, when they are of the usual size: metadata by 500, bodies by two MiB.
const MESSAGES_OF_A_COMMAND: u64 = 100;

/// Records, and commands to the server.
pub(super) fn estimate(stream: Stream, mailboxes: &[Mailbox], settings: &Settings) -> CostEstimate {
    if stream == Stream::Mailboxes {
        return CostEstimate::new(Some(1), u64::try_from(mailboxes.len()).ok());
    }
    let wanted = selected(mailboxes, settings);
    let counts = wanted.iter().filter_map(|at| mailboxes.get(*at)).map(|mailbox| mailbox.status?.messages);
    // One that does not tell makes the sum unknown.
    let records = counts.map(|count| count.map(u64::from)).sum::<Option<u64>>();
    let requests =
        records.map(|records| wanted.len() as u64 * FOR_A_MAILBOX + records.div_ceil(MESSAGES_OF_A_COMMAND));
    CostEstimate::new(requests, records)
}
