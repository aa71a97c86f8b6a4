//! Reading a partition: a query, its pages, and a state after each.
//!
//! | the vendor says | what is left is asked for |
//! |---|---|
//! | the cursor is gone | again, from the last row |
//! | it takes too long, it is too large | in parts, see [`crate::walk`] |
//! | the request is too long, or too complicated | in several queries for some fields each, see [`crate::chunks`] |

use std::sync::Arc;

use connector_sdk::{Batch, Class, Error, Message, ReadRequest, Result, SyncMode, contract::Estimate};
use futures_util::{StreamExt, stream::BoxStream};

use crate::{
    api::Api,
    chunks::{self, Chunks, Cut},
    fault::{self, Then},
    pages::{Pages, Source},
    plan::{STATE_VERSION, Watermark},
    selection::Selection,
    walk::{KeysetState, KeysetWalk, Walk, WindowWalk},
};

/// How often in a row a query whose cursor was lost is put again without a row in between.
const RESTARTS: u32 = 3;

/// Reads one partition.
pub(crate) fn read(api: Arc<Api>, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
    let messages = async_stream::try_stream! {
        let mut reader = Reader::open(&api, &request)?;
        let mut uncovered = 0;
        while let Some(page) = reader.next().await? {
            // On the wire now, its answer arrives while this page is consumed.
            reader.rows.prefetch().await;
            if page.remaining.is_some() {
                yield Message::Estimate(Estimate { records: page.remaining, bytes: None });
            }
            let rows = page.rows;
            if !page.batch.is_empty() {
                uncovered += page.batch.len() as u64;
                yield Message::Batch(page.batch);
            }
            if let Some(state) = reader.walk.state()?.filter(|_| rows > 0) {
                yield Message::State(state.covering(uncovered));
                uncovered = 0;
            }
        }
        yield Message::State(reader.walk.last_state()?.covering(uncovered));
    };
    as_messages(messages.boxed())
}

/// Makes of an error what it means for the run.
pub(crate) fn as_messages(
    messages: BoxStream<'static, Result<Message>>,
) -> BoxStream<'static, Result<Message>> {
    messages
        .map(|message| match message {
            // Not allowed to read this object: the run names it and goes on with the others.
            Err(error) if fault::then(&error) == Then::Skip => Ok(Message::Skip(error)),
            Err(error) if fault::then(&error) == Then::Redescribe => Err(error.with_class(Class::Schema)),
            message => message.map_err(fault::after_all),
        })
        .boxed()
}

/// What one page brings.
struct Delivered {
    batch: Batch,
    /// Rows of the page before any was dropped.
    rows: u64,
    /// How many there are to come; known with the first page.
    remaining: Option<u64>,
}

struct Reader {
    selection: Selection,
    source: Source,
    walk: Walk,
    rows: Rows,
    restarts: u32,
    estimated: bool,
}

/// Where the rows come from.
enum Rows {
    /// One query for all fields.
    Whole(Box<Pages>),
    /// Several queries, each for some of them.
    Chunked(Box<Chunks>),
}

impl Rows {
    /// Puts the query for what the walk asks for, or the queries where one would be too long.
    fn put(selection: &Selection, source: &Source, walk: &Walk) -> Result<Self> {
        let soql = walk.narrow(chunks::bounded(selection, selection.select()?, walk)?)?.to_string();
        // Rows that come in no order cannot be put together.
        let cut = if walk.resumes() { Cut::of(source.api(), selection, &soql)? } else { None };
        Ok(match cut {
            None => Self::Whole(Box::new(source.put(soql))),
            Some(cut) => Self::Chunked(Box::new(Chunks::put(&cut, selection, source, walk)?)),
        })
    }

    async fn next(&mut self, walk: &Walk) -> Result<Option<(Batch, Option<u64>)>> {
        match self {
            Self::Whole(pages) => {
                Ok(pages.next().await?.map(|answered| (answered.page.batch, answered.found)))
            }
            Self::Chunked(chunks) => chunks.next(walk).await,
        }
    }

    async fn prefetch(&mut self) {
        match self {
            Self::Whole(pages) => pages.prefetch().await,
            Self::Chunked(chunks) => chunks.prefetch().await,
        }
    }

    fn received(&self) -> u64 {
        match self {
            Self::Whole(pages) => pages.received(),
            Self::Chunked(chunks) => chunks.received(),
        }
    }

    /// In how many queries the fields are asked for.
    fn pieces(&self) -> usize {
        match self {
            Self::Whole(_) => 1,
            Self::Chunked(chunks) => chunks.len(),
        }
    }
}

impl Reader {
    fn open(api: &Arc<Api>, request: &ReadRequest) -> Result<Self> {
        let settings = api.settings();
        let selection = Selection::of(settings, &request.stream)?;
        let wish = u32::try_from(request.batch_records).unwrap_or(u32::MAX).clamp(200, settings.page_size);
        let source = Source::new(api, &request.cx, &selection, wish);
        let mut walk = walk(&selection, request)?;
        // Rows that come by pages are newer than what a job found before: nobody may go on with that after them.
        walk.set_job(None);
        if request.state.is_some() {
            walk.resume();
        }
        let rows = Rows::put(&selection, &source, &walk)?;
        Ok(Self { selection, source, walk, rows, restarts: 0, estimated: false })
    }

    /// The next page; none at the end.
    async fn next(&mut self) -> Result<Option<Delivered>> {
        loop {
            match self.rows.next(&self.walk).await {
                Ok(Some((batch, found))) => return self.take(batch, found).map(Some),
                Ok(None) if self.walk.go_on(self.rows.received()) => self.put()?,
                Ok(None) => return Ok(None),
                Err(error) => match fault::then(&error) {
                    Then::Restart => self.restart(error)?,
                    Then::Shrink => self.shrink(error)?,
                    Then::Split => self.split(error)?,
                    _ => return Err(error),
                },
            }
        }
    }

    fn take(&mut self, batch: Batch, found: Option<u64>) -> Result<Delivered> {
        let rows = batch.len() as u64;
        if rows > 0 {
            self.restarts = 0;
        }
        // A query that was put again finds what the first one promised already; a part of what is left, less.
        let remaining =
            found.filter(|_| self.walk.is_whole() && !std::mem::replace(&mut self.estimated, true));
        Ok(Delivered { batch: self.walk.take(batch)?, rows, remaining })
    }

    /// Asks for what the walk wants now, from where the read is.
    fn put(&mut self) -> Result<()> {
        self.walk.resume();
        self.rows = Rows::put(&self.selection, &self.source, &self.walk)?;
        Ok(())
    }

    /// The cursor is lost: the query is put again from where the read is (rule D-13).
    fn restart(&mut self, error: Error) -> Result<()> {
        self.restarts += 1;
        if self.restarts > RESTARTS || !self.walk.resumes() {
            return Err(error.with_class(Class::Transient).into_exhausted());
        }
        tracing::info!(
            object = self.selection.object(),
            "the query's cursor is gone; put again from the last row"
        );
        self.put()
    }

    /// The vendor finds it too much at once: less is asked for, from where the read is. Each refusal halves
    /// it, so there is an end.
    fn shrink(&mut self, error: Error) -> Result<()> {
        if !self.walk.refused() {
            return Err(error);
        }
        tracing::info!(object = self.selection.object(), %error, "too much for one query; less is asked for");
        self.put()
    }

    /// The query is too long, or too complicated: its fields are asked for in twice as many.
    fn split(&mut self, error: Error) -> Result<()> {
        let pieces = self.rows.pieces() * 2;
        if !self.walk.resumes() || pieces > self.selection.fields().len() {
            return Err(error);
        }
        tracing::info!(object = self.selection.object(), pieces, %error, "too many fields for one query");
        self.source.api().split(self.selection.object(), pieces);
        self.put()
    }
}

pub(crate) fn walk(selection: &Selection, request: &ReadRequest) -> Result<Walk> {
    // A state that says "done" is not resumed from: the host asks for a new read.
    let state = request.state.as_ref().filter(|state| !state.is_complete());
    if request.stream.mode == SyncMode::Incremental {
        let stream_state =
            request.stream_state.as_ref().map(|state| state.decode(STATE_VERSION)).transpose()?;
        let watermark: Watermark = stream_state.unwrap_or_default();
        return Ok(Walk::Window(WindowWalk::new(
            selection.cursor()?,
            request.partition.slice()?,
            state.map(|state| state.decode(STATE_VERSION)).transpose()?.unwrap_or_default(),
            watermark.seen,
        )));
    }
    if selection.is_ordered() { keyset(request) } else { Ok(Walk::Pass) }
}

/// The walk of a full read that can be resumed.
pub(crate) fn keyset(request: &ReadRequest) -> Result<Walk> {
    let state = request.state.as_ref().filter(|state| !state.is_complete());
    let state = state.map(|state| state.decode::<KeysetState>(STATE_VERSION)).transpose()?;
    Ok(Walk::Keyset(KeysetWalk::new(state.unwrap_or_default())))
}
