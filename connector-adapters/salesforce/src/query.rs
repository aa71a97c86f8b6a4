//! Reading a partition: pages of a query, one on its way while the last one is handed out.

use std::{
    collections::HashSet,
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use connector_sdk::{
    Batch, Class, Context, Delivery, Error, Message, ReadRequest, Result, SyncMode,
    contract::Estimate,
    http::Response,
    record::{Page, PageSplitter},
};
use futures_util::{
    StreamExt,
    future::{BoxFuture, MaybeDone, maybe_done},
    poll,
    stream::BoxStream,
};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    api::Api,
    fault::{self, Then},
    plan::STATE_VERSION,
    selection::{Selection, field},
    walk::{KeysetState, Walk, WindowWalk},
};

/// How often a page that arrives broken is asked for.
const PAGE_ATTEMPTS: u32 = 3;
/// How often in a row a query whose cursor was lost is put again without a row in between.
const RESTARTS: u32 = 3;

/// Reads one partition.
pub(crate) fn read(api: Arc<Api>, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
    let messages = async_stream::try_stream! {
        let mut reader = Reader::open(api, &request)?;
        let mut uncovered = 0;
        while let Some(page) = reader.next().await? {
            // Polled once, the request is on the wire; its answer arrives while this page is consumed.
            reader.prefetch().await;
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
    /// How many the query finds; known with its first page.
    remaining: Option<u64>,
}

struct Reader {
    api: Arc<Api>,
    cx: Context,
    selection: Selection,
    splitter: Arc<PageSplitter>,
    page_size: u32,
    walk: Walk,
    query: OpenQuery,
    restarts: u32,
    pages: u64,
}

/// A query from its first page to its last.
#[derive(Default)]
struct OpenQuery {
    next: Option<Ask>,
    ahead: Option<Ahead>,
    /// Hashes of the locators met.
    locators: HashSet<u64>,
    hasher: RandomState,
    found: Option<u64>,
    received: u64,
    cursor: Option<OwnedSemaphorePermit>,
}

/// What to ask for.
#[derive(Clone)]
enum Ask {
    Query(String),
    More(String),
}

/// A page on its way.
struct Ahead {
    page: Pin<Box<MaybeDone<BoxFuture<'static, Result<Page>>>>>,
    /// The monotonic clock when it was asked for.
    since: Duration,
}

impl Reader {
    fn open(api: Arc<Api>, request: &ReadRequest) -> Result<Self> {
        let settings = api.settings();
        let selection = Selection::of(settings, &request.stream)?;
        let wish = u32::try_from(request.batch_records).unwrap_or(u32::MAX).clamp(200, settings.page_size);
        let mut reader = Self {
            cx: request.cx.clone(),
            splitter: Arc::new(PageSplitter::new(selection.page_spec())),
            page_size: wish,
            walk: walk(&selection, request)?,
            selection,
            query: OpenQuery::default(),
            restarts: 0,
            pages: 0,
            api,
        };
        reader.put_query()?;
        Ok(reader)
    }

    /// Puts the query for what is left to read.
    fn put_query(&mut self) -> Result<()> {
        let mut query = self.selection.select()?;
        if !matches!(self.walk, Walk::Window(_)) {
            query = self.selection.bounded(query)?;
        }
        let soql = self.walk.narrow(query)?.to_string();
        self.query = OpenQuery { next: Some(Ask::Query(soql)), ..OpenQuery::default() };
        Ok(())
    }

    /// The next page; none at the end.
    async fn next(&mut self) -> Result<Option<Delivered>> {
        loop {
            let Some(ask) = self.query.next.clone() else {
                self.query.check_count(self.selection.object())?;
                return Ok(None);
            };
            if self.query.cursor.is_none() {
                self.query.cursor = Some(self.api.cursor().await?);
            }
            match self.page(ask).await {
                Ok(page) => return self.take(page).map(Some),
                Err(error) if fault::then(&error) == Then::Restart => self.restart(error)?,
                Err(error) => return Err(error.with_context("object", self.selection.object())),
            }
        }
    }

    /// The cursor is lost: the query is put again from where the read is (rule D-13).
    fn restart(&mut self, error: Error) -> Result<()> {
        self.restarts += 1;
        if self.restarts > RESTARTS || !self.walk.resumes() {
            return Err(error
                .with_class(Class::Transient)
                .with_context("object", self.selection.object())
                .into_exhausted());
        }
        tracing::info!(
            object = self.selection.object(),
            "the query's cursor is gone, put again from the last row"
        );
        self.put_query()
    }

    fn take(&mut self, page: Page) -> Result<Delivered> {
        self.pages += 1;
        let remaining = self.query.begin(&page, self.selection.object())?;
        let rows = page.batch.len() as u64;
        if rows > 0 {
            self.restarts = 0;
        }
        Ok(Delivered { batch: self.walk.take(page.batch)?, rows, remaining })
    }

    /// Sends the request for the next page, without waiting for its answer. Dropped with the reader.
    async fn prefetch(&mut self) {
        let Some(ask) = self.query.next.clone() else { return };
        let mut page = Box::pin(maybe_done(self.fetch(ask)));
        // Ready or not, the outcome stays inside.
        let _ = poll!(page.as_mut());
        self.query.ahead = Some(Ahead { page, since: self.cx.clock().monotonic() });
    }

    /// The page, from the request on its way if that is still good.
    async fn page(&mut self, ask: Ask) -> Result<Page> {
        if let Some(mut ahead) = self.query.ahead.take() {
            let paused = self.cx.clock().monotonic().saturating_sub(ahead.since);
            let done = matches!(&*ahead.page, MaybeDone::Done(_));
            // A consumer that paused for long has kept the request from being served: its time may be up
            // through no fault of the vendor.
            if done || paused < self.cx.resilience().attempt_timeout {
                ahead.page.as_mut().await;
                if let Some(page) = ahead.page.as_mut().take_output() {
                    return page;
                }
            }
        }
        self.fetch(ask).await
    }

    fn fetch(&self, ask: Ask) -> BoxFuture<'static, Result<Page>> {
        let (api, cx, splitter) = (Arc::clone(&self.api), self.cx.clone(), Arc::clone(&self.splitter));
        let (all, page_size, number) = (self.selection.all, self.page_size, self.pages + 1);
        Box::pin(async move {
            let fetched = fetch_split(&splitter, number, || async {
                match &ask {
                    Ask::Query(soql) => api.query(&cx, soql, all, page_size).await,
                    Ask::More(next) => api.more(&cx, next, page_size).await,
                }
            });
            fetched.await.map(|(page, _)| page)
        })
    }
}

impl OpenQuery {
    /// Reads what the page says of the query. Answers how many rows it finds, once.
    fn begin(&mut self, page: &Page, object: &str) -> Result<Option<u64>> {
        let wrong = |class, message: &str| {
            Error::new(class, "query", message)
                .with_delivery(Delivery::Answered)
                .with_context("object", object)
        };
        self.received += page.batch.len() as u64;
        let first = self.found.is_none();
        let found = page.number(field::TOTAL_SIZE);
        self.found = self.found.or(found);
        let done = page
            .flag(field::DONE)
            .ok_or_else(|| wrong(Class::Schema, "a page does not say whether it is the last one (`done`)"))?;
        // A short or empty page is no end (rule D-11).
        self.next = match page.text(field::NEXT) {
            _ if done => None,
            None => {
                return Err(wrong(
                    Class::Permanent,
                    "a page says there is more, and not where (`nextRecordsUrl`)",
                ));
            }
            Some(next) => {
                if !is_path(&next) {
                    return Err(wrong(
                        Class::Permanent,
                        "`nextRecordsUrl` leads away from the org; nothing is sent there",
                    ));
                }
                if !self.locators.insert(self.hasher.hash_one(&*next)) {
                    return Err(wrong(Class::Permanent, "a page leads back to one that was read already"));
                }
                Some(Ask::More(next.into_owned()))
            }
        };
        if done {
            self.cursor = None;
        }
        Ok(if first { found } else { None })
    }

    /// What was promised with the first page must have come with all of them.
    fn check_count(&self, object: &str) -> Result<()> {
        match self.found {
            Some(found) if found != self.received => Err(Error::transient(
                "query",
                "the pages of the query held another number of rows than the first one promised; run again",
            )
            .with_delivery(Delivery::Answered)
            .with_context("object", object)
            .with_context("promised", found)
            .with_context("received", self.received)),
            _ => Ok(()),
        }
    }
}

/// A path of the same origin, which resolves nowhere else.
fn is_path(next: &str) -> bool {
    next.starts_with("/services/data/") && !next.contains(['\\', '#']) && !next.chars().any(char::is_control)
}

fn walk(selection: &Selection, request: &ReadRequest) -> Result<Walk> {
    // A state that says "done" is not resumed from: the host asks for a new read.
    let state = request.state.as_ref().filter(|state| !state.is_complete());
    if request.stream.mode == SyncMode::Incremental {
        let stream_state =
            request.stream_state.as_ref().map(|state| state.decode(STATE_VERSION)).transpose()?;
        let watermark: crate::plan::Watermark = stream_state.unwrap_or_default();
        return Ok(Walk::Window(WindowWalk {
            cursor: selection.cursor()?.to_owned(),
            window: request.partition.slice()?,
            state: state.map(|state| state.decode(STATE_VERSION)).transpose()?.unwrap_or_default(),
            seen_before: watermark.seen,
        }));
    }
    if !selection.is_ordered() {
        return Ok(Walk::Pass);
    }
    let state = state.map(|state| state.decode::<KeysetState>(STATE_VERSION)).transpose()?;
    Ok(Walk::Keyset(state.unwrap_or_default()))
}

/// Asks for a page and splits it. A page that ends in the middle is asked for again (rule D-12).
pub(crate) async fn fetch_split<F>(
    splitter: &PageSplitter,
    number: u64,
    mut ask: impl FnMut() -> F,
) -> Result<(Page, Response)>
where
    F: Future<Output = Result<Response>>,
{
    let mut attempt = 1;
    loop {
        let response = ask().await?;
        match splitter.split(response.body.clone(), number) {
            Ok(page) => return Ok((page, response)),
            Err(error) if error.class() == Class::Transient && attempt < PAGE_ATTEMPTS => {
                tracing::info!(%error, attempt, "a page came broken, asked for again");
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
