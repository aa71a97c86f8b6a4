//! Stream `mailboxes`: what there is, whether it is read or not.

use std::sync::Arc;

use async_stream::try_stream;
use connector_sdk::{
    Message, Operation, ReadRequest, Result, State,
    record::{BatchBuilder, RecordView},
};
use futures_util::stream::{BoxStream, StreamExt};
use serde_json::json;

use super::{
    account::Account,
    mailbox::{self, Mailbox},
    position::VERSION,
    retry::Retries,
};

/// What SPECIAL-USE calls mailboxes (RFC 6154, 2), and INBOX's own.
const USES: [&str; 8] =
    ["\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Important"];

/// Reads all of them.
pub(crate) fn read(account: Arc<Account>, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
    try_stream! {
        let mailboxes = Box::pin(list(&account, &request.cx)).await?;
        let mut batch = BatchBuilder::new(request.stream.spec.name.clone());
        for mailbox in &mailboxes {
            let key = json!({ "name": mailbox.name }).to_string();
            batch.push(RecordView {
                operation: Operation::Snapshot,
                record: Some(record(mailbox).to_string().as_bytes()),
                key: Some(key.as_bytes()),
                cursor: None,
                source_timestamp: None,
            });
        }
        let covered = batch.len() as u64;
        yield Message::Batch(batch.build());
        yield Message::State(State::encode(VERSION, &json!({}))?.covering(covered).completing());
    }
    .boxed()
}

/// The mailboxes, tried again as the policies allow.
///
/// # Errors
/// As the server says.
pub(crate) async fn list(account: &Arc<Account>, cx: &connector_sdk::Context) -> Result<Vec<Mailbox>> {
    let mut retries = Retries::new(cx, account);
    loop {
        let mut was_fresh = true;
        let listed = async {
            let mut lent = account.lend(cx, None).await?;
            was_fresh = lent.is_fresh;
            mailbox::list(lent.session()?, &account.settings).await
        };
        match listed.await {
            Ok(mailboxes) => return Ok(mailboxes),
            Err(error) => retries.wait(cx, account, error, was_fresh).await?,
        }
    }
}

fn record(mailbox: &Mailbox) -> serde_json::Value {
    let status = mailbox.status.unwrap_or_default();
    let use_ = mailbox
        .attributes
        .iter()
        .find(|known| USES.iter().any(|use_| use_.eq_ignore_ascii_case(known)))
        .map(|known| known.trim_start_matches('\\').to_ascii_lowercase());
    json!({
        "name": mailbox.name,
        "raw_name": String::from_utf8_lossy(&mailbox.raw),
        "delimiter": mailbox.delimiter.map(String::from),
        "attributes": mailbox.attributes,
        "special_use": use_,
        "uid_validity": status.uid_validity,
        "uid_next": status.uid_next,
        "messages": status.messages,
        "unseen": status.unseen,
        "highest_modseq": status.modseq,
    })
}
