//! The pages of one query, from its first to its last, one on its way while the last one is handed out.

use std::{
    collections::HashSet,
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use connector_sdk::{
    Class, Context, Delivery, Error, Result, Timestamp,
    http::Response,
    record::{Page, PageSplitter},
};
use futures_util::{
    future::{BoxFuture, MaybeDone, maybe_done},
    poll,
};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    api::Api,
    bulk::has_dots,
    selection::{Selection, field},
};

/// How often a page that arrives broken is asked for.
const PAGE_ATTEMPTS: u32 = 3;
/// After so many pages without a row, one after the other, no row is waited for any more.
const EMPTY_PAGES: u32 = 1_000;

/// Where pages come from, whatever the query.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    api: Arc<Api>,
    cx: Context,
    splitter: Arc<PageSplitter>,
    object: Arc<str>,
    all: bool,
    page_size: u32,
    /// Whether whoever puts the query holds the right to its cursor already.
    is_covered: bool,
}

impl Source {
    pub(crate) fn new(api: &Arc<Api>, cx: &Context, selection: &Selection, page_size: u32) -> Self {
        Self {
            api: Arc::clone(api),
            cx: cx.clone(),
            splitter: Arc::new(PageSplitter::new(selection.page_spec())),
            object: selection.object().into(),
            all: selection.all,
            page_size,
            is_covered: false,
        }
    }

    /// The same with pages of at most so many rows, by cursors whose right the caller holds.
    pub(crate) fn covered(&self, page_size: u32) -> Self {
        Self { is_covered: true, page_size: page_size.min(self.page_size), ..self.clone() }
    }

    pub(crate) fn api(&self) -> &Arc<Api> {
        &self.api
    }

    /// Puts a query; nothing is sent before the first page is asked for.
    pub(crate) fn put(&self, soql: String) -> Pages {
        Pages {
            source: self.clone(),
            next: Some(Ask::Query(soql.into())),
            ahead: None,
            locators: HashSet::new(),
            hasher: RandomState::new(),
            promised: None,
            received: 0,
            empty: 0,
            number: 0,
            cursor: None,
        }
    }

    async fn fetch(self, ask: Ask, number: u64) -> Result<Fetched> {
        let Self { api, cx, splitter, all, page_size, .. } = self;
        let fetched = fetch_whole(&splitter, number, || async {
            match &ask {
                Ask::Query(soql) => api.query(&cx, soql, all, page_size).await,
                Ask::More(next) => api.more(&cx, next, page_size).await,
            }
        });
        let (page, response) = fetched.await?;
        Ok(Fetched { page, date: response.date() })
    }

    pub(crate) fn wrong(&self, class: Class, message: &str) -> Error {
        Error::new(class, "query", message)
            .with_delivery(Delivery::Answered)
            .with_context("object", &self.object)
    }
}

/// See the module.
pub(crate) struct Pages {
    source: Source,
    next: Option<Ask>,
    ahead: Option<Ahead>,
    /// Hashes of the locators met.
    locators: HashSet<u64>,
    hasher: RandomState,
    promised: Option<u64>,
    received: u64,
    /// Pages without a row since the last one that had some.
    empty: u32,
    number: u64,
    cursor: Option<OwnedSemaphorePermit>,
}

/// One page.
pub(crate) struct Answered {
    pub(crate) page: Page,
    /// How many rows the query finds; with its first page.
    pub(crate) found: Option<u64>,
    /// The vendor's clock.
    pub(crate) date: Option<Timestamp>,
}

/// What to ask for.
#[derive(Clone)]
enum Ask {
    Query(Arc<str>),
    More(Arc<str>),
}

struct Fetched {
    page: Page,
    date: Option<Timestamp>,
}

/// A page on its way.
struct Ahead {
    page: Pin<Box<MaybeDone<BoxFuture<'static, Result<Fetched>>>>>,
    /// The monotonic clock when it was asked for.
    since: Duration,
}

impl Pages {
    /// The next page; none after the last one.
    ///
    /// # Errors
    /// As the vendor answers. Transient when the pages held another number of rows than the first one
    /// promised; Permanent when they lead in a circle, or elsewhere, or go on without rows (rule D-11).
    pub(crate) async fn next(&mut self) -> Result<Option<Answered>> {
        let Some(ask) = self.next.clone() else { return self.check_count().map(|()| None) };
        if self.cursor.is_none() && !self.source.is_covered {
            self.cursor = Some(self.source.api.cursors(1).await?);
        }
        let Fetched { page, date } =
            self.arrived(ask).await.map_err(|error| error.with_context("object", &self.source.object))?;
        self.number += 1;
        self.received += page.batch.len() as u64;
        let found = page.number(field::TOTAL_SIZE).filter(|_| self.promised.is_none());
        self.promised = self.promised.or(found);
        if self.promised.is_some_and(|promised| self.received > promised) {
            // More pages would not make them fewer.
            self.check_count()?;
        }
        self.empty = if page.batch.is_empty() { self.empty + 1 } else { 0 };
        self.next = self.following(&page)?;
        if self.next.is_some() && self.empty >= EMPTY_PAGES {
            let message = "the query goes on and on without rows";
            return Err(self.source.wrong(Class::Permanent, message).with_context("empty_pages", self.empty));
        }
        if self.next.is_none() {
            self.cursor = None;
        }
        Ok(Some(Answered { page, found, date }))
    }

    /// How many rows came so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Sends the request for the next page without waiting for its answer, which arrives while the caller is
    /// busy. Dropped with the pages; nothing runs on.
    pub(crate) async fn prefetch(&mut self) {
        let Some(ask) = self.next.clone() else { return };
        let fetch: BoxFuture<'static, _> = Box::pin(self.source.clone().fetch(ask, self.number + 1));
        let mut page = Box::pin(maybe_done(fetch));
        // Ready or not, the outcome stays inside.
        let _ = poll!(page.as_mut());
        self.ahead = Some(Ahead { page, since: self.source.cx.clock().monotonic() });
    }

    /// The page, from the request on its way if that is still good.
    async fn arrived(&mut self, ask: Ask) -> Result<Fetched> {
        if let Some(mut ahead) = self.ahead.take() {
            let cx = &self.source.cx;
            let paused = cx.clock().monotonic().saturating_sub(ahead.since);
            let done = matches!(&*ahead.page, MaybeDone::Done(_));
            // A caller that paused for long has kept the request from being served: its time may be up
            // through no fault of the vendor.
            if done || paused < cx.resilience().attempt_timeout {
                ahead.page.as_mut().await;
                if let Some(page) = ahead.page.as_mut().take_output() {
                    return page;
                }
            }
        }
        self.source.clone().fetch(ask, self.number + 1).await
    }

    /// What the page says of the one after it. A short or empty page is no end (rule D-11).
    fn following(&mut self, page: &Page) -> Result<Option<Ask>> {
        let source = &self.source;
        let done = page.flag(field::DONE).ok_or_else(|| {
            source.wrong(Class::Schema, "a page does not say whether it is the last one (`done`)")
        })?;
        if done {
            return Ok(None);
        }
        let next = page.text(field::NEXT).ok_or_else(|| {
            source.wrong(Class::Permanent, "a page says there is more, and not where (`nextRecordsUrl`)")
        })?;
        if !is_path(&next) {
            let message = "`nextRecordsUrl` leads away from the org; nothing is sent there";
            return Err(source.wrong(Class::Permanent, message));
        }
        if !self.locators.insert(self.hasher.hash_one(&*next)) {
            return Err(source.wrong(Class::Permanent, "a page leads back to one that was read already"));
        }
        Ok(Some(Ask::More(next.into())))
    }

    fn check_count(&self) -> Result<()> {
        match self.promised {
            Some(promised) if promised != self.received => Err(self
                .source
                .wrong(
                    Class::Transient,
                    "the pages of the query held another number of rows than the first one promised; run again",
                )
                .with_context("promised", promised)
                .with_context("received", self.received)),
            _ => Ok(()),
        }
    }
}

/// A path of the same origin, which resolves nowhere else.
pub(crate) fn is_path(next: &str) -> bool {
    next.starts_with("/services/data/")
        && !has_dots(next)
        && !next.contains(['\\', '#'])
        && !next.chars().any(char::is_control)
}

/// Asks for a page and splits it. One that ends in the middle, or is no JSON, is asked for again (rule D-12).
async fn fetch_whole<F>(
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
            Err(error) if attempt < PAGE_ATTEMPTS => {
                tracing::info!(%error, attempt, "a page came broken, asked for again");
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_path;

    #[test]
    fn only_a_path_below_the_api_is_followed() {
        assert!(is_path("/services/data/v66.0/query/01gRM000000YdXSYA0-2000"));
        for bad in [
            "",
            "query/01g",
            "//evil.example/services/data/v66.0/query/01g",
            "https://evil.example/services/data/v66.0/query/01g",
            "/services/oauth2/revoke",
            "/services/data/\\evil",
            "/services/data/\r\nx",
            "/services/data/#x",
            "/services/data/../oauth2/revoke",
            "/services/data/%2E%2e/oauth2/revoke",
        ] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
