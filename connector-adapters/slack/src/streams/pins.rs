//! What is pinned in a channel: messages and files, read whole each time. The vendor has no pages of them.

use async_stream::try_stream;
use connector_sdk::{
    Message, Operation, ReadRequest, Result, State,
    record::{BatchBuilder, RecordView},
};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{Messages, STATE_VERSION, Source};
use crate::{api, method::PINS};

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

/// What names an item.
#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    message: Option<Pinned>,
    #[serde(default)]
    file: Option<Pinned>,
    #[serde(default)]
    comment: Option<Pinned>,
    #[serde(default)]
    created: Option<serde_json::Number>,
}

#[derive(Deserialize)]
struct Pinned {
    #[serde(default)]
    ts: Option<String>,
    #[serde(default)]
    id: Option<String>,
}

impl Item {
    /// The `ts` of a message, the id of a file; of what nobody knows, when it was pinned.
    fn name(self) -> String {
        let named = [self.message, self.file, self.comment].into_iter().flatten();
        named
            .filter_map(|pinned| pinned.ts.or(pinned.id))
            .next()
            .or_else(|| self.created.map(|created| created.to_string()))
            .unwrap_or_default()
    }
}

/// Reads the pins of one channel.
pub(super) fn read(source: Source, request: ReadRequest) -> Messages {
    try_stream! {
        let channel = request.partition.id.as_str();
        if let Some(state) = &request.state {
            state.decode::<serde::de::IgnoredAny>(STATE_VERSION)?;
        }
        let answer = source.api.get(&request.cx, &PINS, &[("channel", channel)]).await?;
        let batch = split(&answer, &request, channel)?;
        let covered = batch.len() as u64;
        if covered > 0 {
            yield Message::Batch(batch);
        }
        yield Message::State(State::encode(STATE_VERSION, &())?.covering(covered).completing());
    }
    .boxed()
}

fn split(
    answer: &connector_sdk::http::Response,
    request: &ReadRequest,
    channel: &str,
) -> Result<connector_sdk::Batch> {
    let page: Page<'_> =
        serde_json::from_slice(&answer.body).map_err(|error| api::misshapen(PINS.name, error))?;
    let mut batch = BatchBuilder::with_capacity(request.stream.spec.name.clone(), answer.body.len());
    for item in page.items {
        let named: Item =
            serde_json::from_str(item.get()).map_err(|error| api::misshapen(PINS.name, error))?;
        let key = json!({ "channel": channel, "item": named.name() }).to_string();
        batch.push(RecordView {
            operation: Operation::Snapshot,
            record: Some(item.get().as_bytes()),
            key: Some(key.as_bytes()),
            cursor: None,
            source_timestamp: None,
        });
    }
    Ok(batch.build())
}
