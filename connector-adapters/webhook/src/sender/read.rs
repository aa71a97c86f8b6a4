//! From the journal of ends to batches: a position of the journal is all the state there is.

use connector_ingress::{
    Journal,
    journal::{Bookmark, Kept},
};
use connector_sdk::{
    Batch, Message, Operation, ReadRequest, Result, State, StreamId,
    record::{BatchBuilder, RecordView},
};
use futures_util::stream::BoxStream;

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
            yield Message::Batch(batch(request.stream.spec.name.clone(), &kept));
            yield Message::State(state(at)?.covering(count));
        }
        yield Message::State(state(at)?.completing());
    })
}

fn batch(stream: StreamId, kept: &[Kept]) -> Batch {
    let bytes = kept.iter().map(|kept| kept.entry.body.len() + 16).sum();
    let mut batch = BatchBuilder::with_capacity(stream, bytes);
    for Kept { entry, .. } in kept {
        let ended_at = format!("\"{}\"", entry.received_at);
        batch.push(RecordView {
            operation: Operation::Upsert,
            record: Some(&entry.body),
            key: Some(&entry.head),
            cursor: Some(ended_at.as_bytes()),
            source_timestamp: Some(entry.received_at.as_millis()),
        });
    }
    batch.build()
}
