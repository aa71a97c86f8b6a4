//! The third verb: the records, in batches, with the state that covers them.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde_json::value::RawValue;

use crate::{
    Batch, Context, Error, PartitionId, Result, State, StreamId, StreamSelection, StreamSpec, StreamState,
};

/// Reads a stream.
///
/// A reader is stateless: all progress is in the [`State`] it was given and in the ones it sends. The
/// host calls `partitions`, reads what it answers (several at once), makes it durable, and acknowledges.
///
/// What an implementation must do:
/// - `read` does no I/O until it is polled, and dropping the stream leaves nothing running.
/// - A [`Message::State`] covers every batch before it on that read, and counts them
///   ([`State::covering`]). Records that no state covers are read again.
/// - Where the vendor's order is not the order of the cursor, send one state, at the end (rule D-10).
/// - A token seen before ends the read with class Permanent, not with a loop (rule D-11).
/// - After an error no state follows (rule D-04).
///
/// ```
/// use connector_sdk::{*, contract::*, record::BatchBuilder};
/// use futures_util::{StreamExt, stream::{self, BoxStream}};
///
/// #[derive(Debug)]
/// struct OneGreeting;
///
/// #[async_trait::async_trait]
/// impl Read for OneGreeting {
///     async fn partitions(&self, _: &Context, _: &StreamSelection, state: &StreamState) -> Result<Plan> {
///         let done = state.partitions.values().any(|p| p.state.as_ref().is_some_and(State::is_complete));
///         Ok(if done { Plan::nothing() } else { Plan::read([Partition::new("all")]) })
///     }
///
///     fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
///         let mut batch = BatchBuilder::new(request.stream.spec.name.clone());
///         batch.upsert(br#"{"id":1}"#, br#"{"id":1,"text":"hello"}"#, None);
///         let state = State::encode(1, &"done").map(|state| Message::State(state.covering(1).completing()));
///         stream::iter([Ok(Message::Batch(batch.build())), state]).boxed()
///     }
/// }
/// ```
#[async_trait]
pub trait Read: Send + Sync {
    /// What to read now, given where the stream stands. Called again after its partitions are done as
    /// long as [`Plan::again`] says so.
    ///
    /// # Errors
    /// Config when the state is of a newer version; otherwise as the vendor answers.
    async fn partitions(&self, cx: &Context, stream: &StreamSelection, state: &StreamState) -> Result<Plan>;

    /// Reads one partition from its state on.
    ///
    /// The stream yields errors, once and last, of any class.
    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>>;

    /// What the states cover is durable: the source may forget it. Cumulative and idempotent, called
    /// again after a crash. The default does nothing, which is right for a source that keeps its data.
    ///
    /// # Errors
    /// As the vendor answers; the host calls again in the next run.
    async fn acknowledge(&self, cx: &Context, done: &Acknowledged) -> Result<()> {
        let _ = (cx, done);
        Ok(())
    }
}

/// An answer of [`Read::partitions`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Plan {
    /// The stream's own state from now on (a watermark, the windows still to read). The host persists it
    /// before it reads, and counts a new generation. None: it stays as it is.
    pub state: Option<State>,
    /// Completed partitions that this state has taken in: the host forgets them. Their names must never
    /// be used again, because their sequence is forgotten too.
    pub folded: Vec<PartitionId>,
    /// What to read now, each once.
    pub partitions: Vec<Partition>,
    /// What exists and may not be read; named in the run's report, not a failure of it.
    pub skipped: Vec<Skipped>,
    /// Plan again when these partitions are done: there is more that depends on them.
    pub again: bool,
}

impl Plan {
    /// There is nothing to read.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Read these partitions.
    pub fn read(partitions: impl IntoIterator<Item = Partition>) -> Self {
        Self { partitions: partitions.into_iter().collect(), ..Self::default() }
    }

    /// Sets the stream's own state.
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Names the completed partitions that the stream's own state has taken in.
    #[must_use]
    pub fn folding(mut self, partitions: impl IntoIterator<Item = PartitionId>) -> Self {
        self.folded = partitions.into_iter().collect();
        self
    }

    /// Asks to be called again when the partitions are done.
    #[must_use]
    pub fn and_again(mut self) -> Self {
        self.again = true;
        self
    }
}

/// An independent part of a stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Partition {
    /// Its name: stable, and it speaks.
    pub id: PartitionId,
    /// What the reader needs to know of it (the bounds of a window); the host carries it.
    pub slice: Option<Box<RawValue>>,
}

impl Partition {
    /// A partition of that name.
    pub fn new(id: impl Into<PartitionId>) -> Self {
        Self { id: id.into(), slice: None }
    }

    /// Adds what the reader needs to know of it.
    ///
    /// # Errors
    /// Bug when it does not serialise.
    pub fn with_slice<S: serde::Serialize>(mut self, slice: &S) -> Result<Self> {
        let raw = serde_json::value::to_raw_value(slice)
            .map_err(|error| Error::bug("plan", "the slice does not serialise").with_source(error))?;
        self.slice = Some(raw);
        Ok(self)
    }

    /// What the reader needs to know of it.
    ///
    /// # Errors
    /// Bug when there is no slice, or one of another shape.
    pub fn slice<S: serde::de::DeserializeOwned>(&self) -> Result<S> {
        let raw = self.slice.as_deref().ok_or_else(|| Error::bug("read", "the partition has no slice"))?;
        serde_json::from_str(raw.get())
            .map_err(|error| Error::bug("read", "the partition's slice has another shape").with_source(error))
    }
}

/// A partition that exists and may not be read.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// Which one.
    pub partition: PartitionId,
    /// Why.
    pub error: Arc<Error>,
}

/// What a reader needs for one partition. It is owned, so that the stream it makes is `'static`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadRequest {
    /// What the host lends.
    pub cx: Context,
    /// The stream, and what is selected of it.
    pub stream: StreamSelection,
    /// The part to read.
    pub partition: Partition,
    /// The reader's state for this partition; none: from its start.
    pub state: Option<State>,
    /// The stream's own state.
    pub stream_state: Option<State>,
    /// The number of this full read; records of one generation belong together.
    pub generation: u64,
    /// How many records a batch should hold, as a wish.
    pub batch_records: usize,
}

impl ReadRequest {
    /// Asks for a partition from its start, with a wish of 2,000 records a batch.
    #[must_use]
    pub fn new(cx: Context, stream: StreamSelection, partition: Partition) -> Self {
        Self { cx, stream, partition, state: None, stream_state: None, generation: 0, batch_records: 2_000 }
    }

    /// Continues from this state.
    #[must_use]
    pub fn with_state(mut self, state: Option<State>) -> Self {
        self.state = state;
        self
    }

    /// Hands over the stream's own state.
    #[must_use]
    pub fn with_stream_state(mut self, state: Option<State>) -> Self {
        self.stream_state = state;
        self
    }

    /// Numbers the full read.
    #[must_use]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }
}

/// What a read sends. Exhaustive on purpose: ignoring one loses data.
#[derive(Debug)]
pub enum Message {
    /// Records.
    Batch(Batch),
    /// Where the read stands: covers every batch before it on this read.
    State(State),
    /// The stream's schema has changed; sent before the first record of the new shape.
    Schema(Arc<StreamSpec>),
    /// How much there is to come, for a progress bar.
    Estimate(Estimate),
    /// The partition may not be read (no permission, not a member): the last message. The run names
    /// it and goes on.
    Skip(Error),
}

/// How much there is to read in a partition, as far as the vendor says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Records.
    pub records: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// What has become durable.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// The stream.
    pub stream: StreamId,
    /// The partition.
    pub partition: PartitionId,
    /// Where it stood before.
    pub previous: Option<State>,
    /// Where it stands now.
    pub state: State,
}
