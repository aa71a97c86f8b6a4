//! Reactions to the messages of a channel: the vendor's object for each name under each message, read whole each time.
//!
//! History brings them with the messages. Where a list of users is shorter than the count says, the message's reactions are
//! asked for in full. Messages in threads are not looked at.

use async_stream::try_stream;
use connector_sdk::{
    Batch, Message, Operation, ReadRequest, Result, State,
    record::{BatchBuilder, RecordView},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{json, value::RawValue};

use super::{Messages, STATE_VERSION, Source, lower_bound};
use crate::{api, fault, method::REACTIONS, page::Page, ts::Ts};

/// The field of a message, in the order in which they are asked for.
const FIELD: usize = 0;

/// How far down the channel was read.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// Only messages before this are left.
    before: Ts,
}

#[derive(Deserialize)]
struct Reaction {
    name: String,
    #[serde(default)]
    users: Vec<IgnoredAny>,
    #[serde(default)]
    count: Option<u64>,
}

impl Reaction {
    fn is_whole(&self) -> bool {
        self.count.is_none_or(|count| self.users.len() as u64 >= count)
    }
}

#[derive(Deserialize)]
struct Full {
    #[serde(default)]
    message: Option<FullMessage>,
}

#[derive(Deserialize)]
struct FullMessage {
    #[serde(default)]
    reactions: Vec<Box<RawValue>>,
}

/// Reads the reactions of one channel.
pub(super) fn read(source: Source, request: ReadRequest) -> Messages {
    try_stream! {
        let known = request.state.as_ref().filter(|state| !state.is_complete());
        let position: Option<Position> = known.map(|state| state.decode(STATE_VERSION)).transpose()?;
        let before = position.map_or(Ts::FOREVER, |position| position.before);
        let history = source.history(&request, &["reactions"]);
        let mut descent = history.descend(lower_bound(&request), before);
        let mut last = before;
        while let Some(page) = descent.next().await? {
            last = page.rows.last().map_or(last, |row| row.ts);
            let batch = of_page(&source, &request, &page).await?;
            let covered = batch.len() as u64;
            if covered > 0 {
                yield Message::Batch(batch);
                yield Message::State(State::encode(STATE_VERSION, &Position { before: last })?.covering(covered));
            }
        }
        yield Message::State(State::encode(STATE_VERSION, &Position { before: last })?.completing());
    }
    .boxed()
}

async fn of_page(source: &Source, request: &ReadRequest, page: &Page) -> Result<Batch> {
    let mut batch = BatchBuilder::new(request.stream.spec.name.clone());
    let channel = request.partition.id.as_str();
    for row in &page.rows {
        let Some(list) = page.field(row, FIELD) else { continue };
        let list: Vec<&RawValue> =
            serde_json::from_slice(list).map_err(|error| api::misshapen(REACTIONS.name, error))?;
        let ts = row.ts.to_string();
        if push(&mut batch, channel, &ts, &list)? {
            continue;
        }
        let arguments = [("channel", channel), ("timestamp", &*ts), ("full", "true")];
        let full: Full = match source.api.ask(&request.cx, &REACTIONS, &arguments).await {
            // Deleted since its page came.
            Err(error) if fault::has_code(&error, "message_not_found") => continue,
            full => full?,
        };
        let Some(message) = full.message else {
            push_all(&mut batch, channel, &ts, &list)?;
            continue;
        };
        let list: Vec<&RawValue> = message.reactions.iter().map(|reaction| &**reaction).collect();
        push_all(&mut batch, channel, &ts, &list)?;
    }
    Ok(batch.build())
}

/// Adds a message's reactions, unless one of them is cut short.
fn push(batch: &mut BatchBuilder, channel: &str, ts: &str, list: &[&RawValue]) -> Result<bool> {
    for reaction in list {
        if !read_one(reaction)?.is_whole() {
            return Ok(false);
        }
    }
    push_all(batch, channel, ts, list).map(|()| true)
}

fn push_all(batch: &mut BatchBuilder, channel: &str, ts: &str, list: &[&RawValue]) -> Result<()> {
    for reaction in list {
        let key = json!({ "channel": channel, "ts": ts, "name": read_one(reaction)?.name }).to_string();
        batch.push(RecordView {
            operation: Operation::Snapshot,
            record: Some(reaction.get().as_bytes()),
            key: Some(key.as_bytes()),
            cursor: None,
            source_timestamp: None,
        });
    }
    Ok(())
}

fn read_one(reaction: &RawValue) -> Result<Reaction> {
    serde_json::from_str(reaction.get()).map_err(|error| api::misshapen(REACTIONS.name, error))
}
