//! Reading a partition: a query, its pages, and a state after each.

use std::sync::Arc;

use connector_sdk::{Batch, Class, Error, Message, ReadRequest, Result, SyncMode, contract::Estimate};
use futures_util::{StreamExt, stream::BoxStream};

use crate::{
    api::Api,
    fault::{self, Then},
    pages::{Answered, Pages, Source},
    plan::{STATE_VERSION, Watermark},
    selection::Selection,
    walk::{KeysetState, Walk, WindowWalk},
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
            reader.pages.prefetch().await;
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
            message => message,
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
    pages: Pages,
    restarts: u32,
    estimated: bool,
}

impl Reader {
    fn open(api: &Arc<Api>, request: &ReadRequest) -> Result<Self> {
        let settings = api.settings();
        let selection = Selection::of(settings, &request.stream)?;
        let wish = u32::try_from(request.batch_records).unwrap_or(u32::MAX).clamp(200, settings.page_size);
        let source = Source::new(api, &request.cx, &selection, wish);
        let walk = walk(&selection, request)?;
        let pages = source.put(soql(&selection, &walk)?);
        Ok(Self { selection, source, walk, pages, restarts: 0, estimated: false })
    }

    /// The next page; none at the end.
    async fn next(&mut self) -> Result<Option<Delivered>> {
        loop {
            match self.pages.next().await {
                Ok(page) => return page.map(|page| self.take(page)).transpose(),
                Err(error) if fault::then(&error) == Then::Restart => self.restart(error)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, answered: Answered) -> Result<Delivered> {
        let rows = answered.page.batch.len() as u64;
        if rows > 0 {
            self.restarts = 0;
        }
        // A query that was put again finds what the first one promised already.
        let remaining = answered.found.filter(|_| !std::mem::replace(&mut self.estimated, true));
        Ok(Delivered { batch: self.walk.take(answered.page.batch)?, rows, remaining })
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
        self.pages = self.source.put(soql(&self.selection, &self.walk)?);
        Ok(())
    }
}

/// The query for what is left to read.
fn soql(selection: &Selection, walk: &Walk) -> Result<String> {
    let query = match walk {
        Walk::Window(_) => selection.select()?,
        Walk::Keyset(_) | Walk::Pass => selection.bounded(selection.select()?)?,
    };
    Ok(walk.narrow(query)?.to_string())
}

pub(crate) fn walk(selection: &Selection, request: &ReadRequest) -> Result<Walk> {
    // A state that says "done" is not resumed from: the host asks for a new read.
    let state = request.state.as_ref().filter(|state| !state.is_complete());
    if request.stream.mode == SyncMode::Incremental {
        let stream_state =
            request.stream_state.as_ref().map(|state| state.decode(STATE_VERSION)).transpose()?;
        let watermark: Watermark = stream_state.unwrap_or_default();
        return Ok(Walk::Window(WindowWalk {
            cursor: selection.cursor()?.to_owned(),
            window: request.partition.slice()?,
            state: state.map(|state| state.decode(STATE_VERSION)).transpose()?.unwrap_or_default(),
            seen_before: watermark.seen,
        }));
    }
    if selection.is_ordered() { keyset(request) } else { Ok(Walk::Pass) }
}

/// The walk of a full read that can be resumed.
pub(crate) fn keyset(request: &ReadRequest) -> Result<Walk> {
    let state = request.state.as_ref().filter(|state| !state.is_complete());
    let state = state.map(|state| state.decode::<KeysetState>(STATE_VERSION)).transpose()?;
    Ok(Walk::Keyset(state.unwrap_or_default()))
}
