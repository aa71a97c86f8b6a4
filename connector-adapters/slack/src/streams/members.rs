//! Who is in a channel: a row for each, made of the two ids that the vendor gives.

use async_stream::try_stream;
use connector_sdk::{
    Message, Operation, ReadRequest, State,
    record::{BatchBuilder, RecordView},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Messages, STATE_VERSION, Source};
use crate::{api, cursor::Cursors, method::MEMBERS};

/// How far the members were read.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// The token of the next page; none: the first.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    members: Vec<String>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    next_cursor: Option<String>,
}

/// Reads the members of one channel.
pub(super) fn read(source: Source, request: ReadRequest) -> Messages {
    try_stream! {
        let known = request.state.as_ref().filter(|state| !state.is_complete());
        let position: Position = known.map(|state| state.decode(STATE_VERSION)).transpose()?.unwrap_or_default();
        let mut cursors = Cursors::from(MEMBERS.name, position.cursor);
        let channel = request.partition.id.as_str();
        let size = source.settings.page_size.to_string();
        loop {
            let mut arguments = vec![("channel", channel), ("limit", &*size)];
            arguments.extend(cursors.current().map(|cursor| ("cursor", cursor)));
            let page: Page = match source.api.get(&request.cx, &MEMBERS, &arguments).await {
                Err(error) if cursors.expired(&error)? => continue,
                answer => api::decode(&answer?, MEMBERS.name)?,
            };
            let covered = page.members.len();
            let leads_on = cursors.go_on(page.response_metadata.and_then(|metadata| metadata.next_cursor), covered)?;
            if covered > 0 {
                let mut batch = BatchBuilder::new(request.stream.spec.name.clone());
                for user in &page.members {
                    let row = row(channel, user);
                    batch.push(RecordView {
                        operation: Operation::Snapshot,
                        record: Some(row.as_bytes()),
                        key: Some(row.as_bytes()),
                        cursor: None,
                        source_timestamp: None,
                    });
                }
                yield Message::Batch(batch.build());
            }
            let covered = covered as u64;
            if !leads_on {
                yield Message::State(State::encode(STATE_VERSION, &Position::default())?.covering(covered).completing());
                break;
            }
            if covered > 0 {
                let cursor = cursors.current().map(str::to_owned);
                yield Message::State(State::encode(STATE_VERSION, &Position { cursor })?.covering(covered));
            }
        }
    }
    .boxed()
}

fn row(channel: &str, user: &str) -> String {
    let row: Value = json!({ "channel": channel, "user": user });
    row.to_string()
}
