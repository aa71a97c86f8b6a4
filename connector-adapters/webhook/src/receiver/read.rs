//! From the journal to batches: a position of the journal is all the state there is.

use std::borrow::Cow;

use connector_ingress::{
    Journal,
    journal::{Bookmark, Entry, Kept},
};
use connector_sdk::{
    Batch, Class, Error, Message, Operation, ReadRequest, Result, State, StreamId,
    record::{BatchBuilder, RecordView},
};
use futures_util::stream::BoxStream;
use serde::Deserialize;
use serde_json::json;

use super::{
    body,
    keep::{Head, id_of},
};

/// The version of the state.
const VERSION: u32 = 1;
/// Bytes of a batch, about.
const BATCH_BYTES: usize = 4 << 20;

/// The place that a state tells of.
///
/// # Errors
/// Config when the state is of a newer version.
pub(super) fn place(state: &State) -> Result<Bookmark> {
    state.decode(VERSION)
}

/// Reads from the state on, until nothing more will come.
pub(super) fn read(
    journal: impl Future<Output = Result<Journal>> + Send + 'static,
    request: ReadRequest,
) -> BoxStream<'static, Result<Message>> {
    Box::pin(async_stream::try_stream! {
        let known = request.state.as_ref().map(place).transpose()?;
        let journal = journal.await?;
        let mut at = known.as_ref().map_or(0, |known| journal.position(known));
        let mut reader = journal.read_after(at);
        let state = |at| State::encode(VERSION, &journal.bookmark(at));
        if known.is_some_and(|known| known.read_to() != at) {
            // In the journal's next life the old place would mean something else.
            yield Message::State(state(at)?.promptly());
        }
        while let Some(kept) = reader.next(request.batch_records, BATCH_BYTES).await? {
            let Some(last) = kept.last() else { continue };
            at = last.position;
            let count = kept.len() as u64;
            yield Message::Batch(batch(request.stream.spec.name.clone(), &kept)?);
            yield Message::State(state(at)?.covering(count));
        }
        yield Message::State(state(at)?.completing());
    })
}

/// What a record is made of beside its body.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    endpoint: Cow<'a, str>,
    #[serde(borrow)]
    content_type: Option<Cow<'a, str>>,
}

fn batch(stream: StreamId, kept: &[Kept]) -> Result<Batch> {
    let bytes = kept.iter().map(|kept| kept.entry.body.len() + kept.entry.head.len() + 256).sum();
    let mut batch = BatchBuilder::with_capacity(stream, bytes);
    let mut record = Vec::new();
    for Kept { position, entry } in kept {
        push(&mut batch, entry, &mut record).map_err(|error| {
            Error::new(Class::Bug, "read", "an event in the journal is not what the receiver has put there")
                .with_context("position", position)
                .with_source(error)
        })?;
    }
    Ok(batch.build())
}

fn push(batch: &mut BatchBuilder, entry: &Entry, record: &mut Vec<u8>) -> serde_json::Result<()> {
    let received_at = format!("\"{}\"", entry.received_at);
    let (sent_at, fields) = match serde_json::from_slice(&entry.head)? {
        Head::Removed => {
            let key = json!({ "endpoint": String::from_utf8_lossy(&entry.body) }).to_string();
            batch.push(RecordView {
                operation: Operation::Delete,
                record: None,
                key: Some(key.as_bytes()),
                cursor: Some(received_at.as_bytes()),
                source_timestamp: Some(entry.received_at.as_millis()),
            });
            return Ok(());
        }
        Head::Event { sent_at, fields } => (sent_at, fields.get()),
    };
    let known: Fields<'_> = serde_json::from_str(fields)?;
    let id = serde_json::to_string(id_of(entry))?;
    let endpoint = serde_json::to_string(&known.endpoint)?;
    record.clear();
    record.extend_from_slice(b"{\"id\":");
    record.extend_from_slice(id.as_bytes());
    record.extend_from_slice(b",\"received_at\":");
    record.extend_from_slice(received_at.as_bytes());
    record.push(b',');
    // The inside of an object that has fields.
    let inside = fields.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    record.extend_from_slice(inside.as_bytes());
    record.push(b',');
    body::write(&entry.body, known.content_type.as_deref(), record);
    record.push(b'}');
    let key = format!("{{\"endpoint\":{endpoint},\"id\":{id}}}");
    batch.push(RecordView {
        operation: Operation::Upsert,
        record: Some(record),
        key: Some(key.as_bytes()),
        cursor: Some(received_at.as_bytes()),
        source_timestamp: Some(sent_at.unwrap_or(entry.received_at.as_millis())),
    });
    Ok(())
}
