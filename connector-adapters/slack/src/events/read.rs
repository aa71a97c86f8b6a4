//! From the journal to batches: a position of the journal is all the state there is.

use connector_ingress::{
    Journal,
    journal::{Bookmark, Kept},
};
use connector_sdk::{
    Batch, Class, Error, Message, Operation, ReadRequest, Result, State, StreamId,
    record::{BatchBuilder, RecordView},
};
use futures_util::stream::BoxStream;
use serde_json::value::RawValue;

use super::wrapper;

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

fn batch(stream: StreamId, kept: &[Kept]) -> Result<Batch> {
    let bytes = kept.iter().map(|kept| kept.entry.body.len() + 16).sum();
    let mut batch = BatchBuilder::with_capacity(stream, bytes);
    for Kept { position, entry } in kept {
        // Looked at when it came; here only where it begins and ends.
        let record: &RawValue = serde_json::from_slice(&entry.body).map_err(|error| {
            Error::new(Class::Bug, "read", "an event in the journal is no JSON")
                .with_context("position", position)
                .with_source(error)
        })?;
        let time = wrapper::time_of(&entry.body);
        let seconds: Option<i64> = time.and_then(|time| time.parse().ok());
        let key = format!("{{\"event_id\":{}}}", serde_json::Value::from(entry.id.as_str()));
        batch.push(RecordView {
            operation: Operation::Upsert,
            record: Some(record.get().as_bytes()),
            key: Some(key.as_bytes()),
            cursor: time.map(str::as_bytes),
            source_timestamp: seconds.and_then(|seconds| seconds.checked_mul(1000)),
        });
    }
    Ok(batch.build())
}
