//! The pages of a job's results in their order, several on their way at once.
//!
//! The vendor lists the addresses of up to five pages at a time (`resultPages`, API v58.0 and later); they are fetched
//! side by side and handed out one after the other. Where it does not, each page names the next one
//! (`Sforce-Locator`). Either way a place in them is good for as long as the job exists, so a read resumes there.

use std::{collections::HashSet, collections::VecDeque, pin::Pin};

use bytes::Bytes;
use connector_sdk::{Class, Context, Delivery, Error, Result, http::Response};
use encoding_rs::{Encoding, UTF_8};
use futures_util::{
    FutureExt,
    future::{BoxFuture, MaybeDone, maybe_done},
    poll,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

use super::job::{JobId, Listing};
use crate::{api::Api, fault};

/// The first API version that lists pages.
const LISTS_PAGES: u32 = 58;
/// Pages fetched at once, and the bytes that they may have together: what is on its way lies in memory.
const AT_ONCE: usize = 5;
const BYTES_AT_ONCE: usize = 20 << 20;
/// Rows asked for where we choose the size of a page; the bytes that one should have, and the fewest rows.
const FIRST_ROWS: u64 = 10_000;
const PAGE_BYTES: u64 = 8 << 20;
const ROWS: std::ops::RangeInclusive<u64> = 100..=250_000;
/// The locator of the last page: the word, not nothing (Bulk API guide, "Get Results for a Query Job").
const NO_LOCATOR: &str = "null";

/// Which page of a job's results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PageAt {
    /// So many pages after the first of the list that stands at this address; none: the job's first list.
    Listed { list: Option<String>, page: usize },
    /// The one with this locator (none: the first) when so many rows are asked for: with another number it is another
    /// page.
    Located { locator: Option<String>, most: u64 },
}

impl PageAt {
    /// The first page in a size of our choice.
    pub(crate) fn first_located() -> Self {
        Self::Located { locator: None, most: FIRST_ROWS }
    }
}

/// A page as it came.
pub(crate) struct ResultPage {
    pub(crate) document: Bytes,
    pub(crate) at: PageAt,
    /// The rows it has, as the vendor says.
    pub(crate) promised: Option<u64>,
}

/// See the module.
pub(crate) struct Results {
    fetch: Fetch,
    /// Pages whose addresses are known.
    listed: VecDeque<(PageAt, String)>,
    next: Next,
    ahead: VecDeque<Ahead>,
    /// Lists and locators met.
    met: HashSet<String>,
    largest: usize,
    most: u64,
}

/// What is known of the pages after those listed.
enum Next {
    List { address: Option<String>, skip: usize },
    Locator(Option<String>),
    End,
}

#[derive(Clone)]
struct Fetch {
    api: Arc<Api>,
    cx: Context,
    job: JobId,
}

/// A page on its way.
struct Ahead {
    at: PageAt,
    address: String,
    page: Pin<Box<MaybeDone<BoxFuture<'static, Result<Response>>>>>,
    since: Duration,
}

impl Results {
    /// The pages from this one on; none: from the first. Nothing is asked for yet.
    pub(crate) fn from(api: &Arc<Api>, cx: &Context, job: &JobId, at: Option<PageAt>) -> Self {
        let most = match &at {
            Some(PageAt::Located { most, .. }) => *most,
            _ => FIRST_ROWS,
        };
        let next = match at {
            Some(PageAt::Listed { list, page }) => Next::List { address: list, skip: page },
            Some(PageAt::Located { locator, .. }) => Next::Locator(locator),
            None if job.version.number() >= LISTS_PAGES => Next::List { address: None, skip: 0 },
            None => Next::Locator(None),
        };
        Self {
            fetch: Fetch { api: Arc::clone(api), cx: cx.clone(), job: job.clone() },
            listed: VecDeque::new(),
            next,
            ahead: VecDeque::new(),
            met: HashSet::new(),
            largest: 0,
            most,
        }
    }

    /// The next page; none after the last one.
    ///
    /// # Errors
    /// As the vendor answers; Permanent when its pages lead in a circle or away from the job (rule D-11).
    pub(crate) async fn next(&mut self) -> Result<Option<ResultPage>> {
        loop {
            if let Next::Locator(locator) = &self.next {
                let locator = locator.clone();
                return self.located(locator).await.map(Some);
            }
            if self.listed.is_empty() && self.ahead.is_empty() {
                let Next::List { address, skip } = std::mem::replace(&mut self.next, Next::End) else {
                    return Ok(None);
                };
                self.list(address, skip).await?;
                continue;
            }
            self.send();
            let Some(ahead) = self.ahead.pop_front() else { continue };
            let (at, response) = self.arrived(ahead).await?;
            self.largest = self.largest.max(response.body.len());
            return page(at, &response).map(Some);
        }
    }

    /// The same page again, because it came broken.
    // Of `&mut self`, though it changes nothing: what is on its way can be sent to another thread, not shared with one.
    pub(crate) async fn again(&mut self, at: &PageAt) -> Result<ResultPage> {
        let mut other = Self::from(&self.fetch.api, &self.fetch.cx, &self.fetch.job, Some(at.clone()));
        other.largest = BYTES_AT_ONCE;
        other.next().await?.ok_or_else(|| wrong("a page that was there before is not there any more"))
    }

    /// Lets the pages on their way come nearer while the caller is busy. Dropped with the results; nothing runs on.
    pub(crate) async fn advance(&mut self) {
        self.send();
        for ahead in &mut self.ahead {
            // Ready or not, the outcome stays inside.
            let _ = poll!(ahead.page.as_mut());
        }
    }

    /// Puts listed pages on their way, as many as memory allows.
    fn send(&mut self) {
        let room = BYTES_AT_ONCE.checked_div(self.largest).unwrap_or(2).clamp(1, AT_ONCE);
        while self.ahead.len() < room
            && let Some((at, address)) = self.listed.pop_front()
        {
            let page = Box::pin(maybe_done(self.fetch.clone().page(address.clone())));
            self.ahead.push_back(Ahead { at, address, page, since: self.fetch.cx.clock().monotonic() });
        }
    }

    async fn arrived(&mut self, mut ahead: Ahead) -> Result<(PageAt, Response)> {
        let cx = &self.fetch.cx;
        let paused = cx.clock().monotonic().saturating_sub(ahead.since) >= cx.resilience().attempt_timeout;
        // The others come nearer while this one is waited for.
        let mut others = std::mem::take(&mut self.ahead);
        let first = std::future::poll_fn(|context| {
            for other in &mut others {
                let _ = other.page.as_mut().poll(context);
            }
            ahead.page.as_mut().poll(context)
        });
        first.await;
        self.ahead = others;
        match ahead.page.as_mut().take_output() {
            Some(Ok(response)) => Ok((ahead.at, response)),
            // A caller that paused for long has kept the request from being served, through no fault of the vendor.
            Some(Err(error)) if error.class() == Class::Transient && paused => {
                Ok((ahead.at, self.fetch.clone().page(ahead.address).await?))
            }
            Some(Err(error)) => Err(error),
            None => Ok((ahead.at, self.fetch.clone().page(ahead.address).await?)),
        }
    }

    /// Asks for the addresses of pages.
    async fn list(&mut self, address: Option<String>, skip: usize) -> Result<()> {
        let Fetch { api, cx, job } = &self.fetch;
        let first = format!("{}/resultPages", job.path());
        let listing = match api.listing(cx, address.as_deref().unwrap_or(&first)).await {
            // Before the pages are begun, the other way is open: an org may not list them.
            Err(error) if address.is_none() && skip == 0 && fault::has_code(&error, "NOT_FOUND") => {
                self.next = Next::Locator(None);
                return Ok(());
            }
            listing => listing?,
        };
        let Listing { result_pages, next_record_url, done } = listing;
        for (page, result) in result_pages.into_iter().enumerate().skip(skip) {
            self.check_address(&result.result_url)?;
            self.listed.push_back((PageAt::Listed { list: address.clone(), page }, result.result_url));
        }
        self.next = match next_record_url {
            // The guide says of `done` both that it is true at the end and that it is true where there is more: the
            // address decides.
            Some(next) if !next.is_empty() => {
                self.check_address(&next)?;
                if !self.met.insert(next.clone()) || Some(&next) == address.as_ref() {
                    return Err(wrong("a list of results leads back to one that was read already"));
                }
                Next::List { address: Some(next), skip: 0 }
            }
            _ if done => Next::End,
            _ => return Err(wrong("a list of results says that there is more, and not where")),
        };
        Ok(())
    }

    /// The page with this locator, which names the next one.
    async fn located(&mut self, locator: Option<String>) -> Result<ResultPage> {
        let mut address = format!("{}/results", self.fetch.job.path());
        if let Some(locator) = &locator {
            // A locator is opaque: it is written so that it can only be one parameter.
            address.push_str("?locator=");
            address.extend(url::form_urlencoded::byte_serialize(locator.as_bytes()));
        }
        let response = loop {
            let Fetch { api, cx, .. } = &self.fetch;
            match api.results(cx, &address, Some(self.most)).await {
                Err(error) if is_too_large(&error) && self.most > *ROWS.start() => {
                    self.most = (self.most / 4).max(*ROWS.start());
                    tracing::info!(
                        rows = self.most,
                        "a page of results is too large, fewer rows are asked for"
                    );
                }
                response => break response?,
            }
        };
        let next = response.header("Sforce-Locator").filter(|next| !next.is_empty() && *next != NO_LOCATOR);
        self.next = match next {
            Some(next) if !self.met.insert(next.to_owned()) || Some(next) == locator.as_deref() => {
                return Err(wrong("a page of results leads back to one that was read already"));
            }
            Some(next) => Next::Locator(Some(next.to_owned())),
            None => Next::End,
        };
        let page = page(PageAt::Located { locator, most: self.most }, &response)?;
        let bytes = page.document.len() as u64;
        if let Some(rows) = page.promised.filter(|rows| *rows > 0 && bytes > 0) {
            self.most = (rows.saturating_mul(PAGE_BYTES) / bytes).clamp(*ROWS.start(), *ROWS.end());
        }
        Ok(page)
    }

    fn check_address(&self, address: &str) -> Result<()> {
        let below = address.strip_prefix(&self.fetch.job.path()).is_some_and(|rest| rest.starts_with('/'));
        if below
            && !address.contains(['\\', '#'])
            && !address.contains("..")
            && !address.chars().any(char::is_control)
        {
            return Ok(());
        }
        Err(wrong("an address of results leads away from the job; nothing is sent there"))
    }
}

impl Fetch {
    fn page(self, address: String) -> BoxFuture<'static, Result<Response>> {
        async move { self.api.results(&self.cx, &address, None).await }.boxed()
    }
}

/// Whether a path leads upwards, however it is written.
pub(crate) fn has_dots(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    path.contains("..") || path.contains("%2e")
}

fn page(at: PageAt, response: &Response) -> Result<ResultPage> {
    let promised = response.header("Sforce-NumberOfRecords").and_then(|count| count.trim().parse().ok());
    Ok(ResultPage { document: utf8(response)?, at, promised })
}

/// The document in UTF-8, which it nearly always is.
fn utf8(response: &Response) -> Result<Bytes> {
    let named = response.header("content-type").and_then(|kind| {
        kind.split(';')
            .filter_map(|part| part.trim().split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("charset"))
    });
    let Some((_, name)) = named else { return Ok(response.body.clone()) };
    let unreadable =
        || wrong("the results are in a charset that cannot be read").with_context("charset", name);
    let encoding = Encoding::for_label(name.trim_matches('"').as_bytes()).ok_or_else(unreadable)?;
    if encoding == UTF_8 {
        return Ok(response.body.clone());
    }
    match encoding.decode(&response.body) {
        (_, _, true) => Err(unreadable()),
        (text, _, false) => Ok(Bytes::from(text.into_owned())),
    }
}

/// Whether a body was refused for its size, as [`connector_sdk::http`] says it.
pub(crate) fn is_too_large(error: &Error) -> bool {
    error.context().any(|(name, _)| name == "max_body" || name == "max_decompressed_body")
}

fn wrong(message: &'static str) -> Error {
    Error::new(Class::Permanent, "results", message).with_delivery(Delivery::Answered)
}

#[cfg(test)]
mod tests {
    use connector_sdk::{
        Timestamp,
        http::{HeaderMap, HeaderValue, StatusCode},
    };

    use super::*;

    fn document(kind: &'static str, body: &'static [u8]) -> Result<Bytes> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(kind));
        let url = "https://example.my.salesforce.com/".parse().unwrap();
        utf8(&Response::new(
            StatusCode::OK,
            headers,
            Bytes::from_static(body),
            url,
            Timestamp::from_millis(0),
        ))
    }

    #[test]
    fn a_document_in_another_charset_is_decoded_or_refused_and_one_in_utf_8_is_left_alone() {
        let umlauts = "Id,Name\n1,Grüße\n".as_bytes();
        for kind in
            ["text/csv", "text/csv; charset=UTF-8", "text/csv;charset=\"utf-8\"", "text/csv; header=present"]
        {
            assert_eq!(document(kind, "Id,Name\n1,Grüße\n".as_bytes()).unwrap(), umlauts, "{kind}");
        }
        for kind in ["text/csv; charset=ISO-8859-1", "text/csv; header=present; Charset=latin1"] {
            assert_eq!(document(kind, b"Id,Name\n1,Gr\xfc\xdfe\n").unwrap(), umlauts, "{kind}");
        }
        let japanese = document("text/csv; charset=Shift_JIS", b"\x93\xfa\x96{").unwrap();
        assert_eq!(japanese, "日本".as_bytes());
        for (kind, body) in [
            ("text/csv; charset=of-nobody", &b"Id\n1\n"[..]),
            ("text/csv; charset=", b"Id\n1\n"),
            // A byte that begins a character which never comes.
            ("text/csv; charset=Shift_JIS", b"Id\n\x93"),
        ] {
            let error = document(kind, body).unwrap_err();
            assert_eq!(error.class(), Class::Permanent, "{kind}");
            assert!(error.context().any(|(name, _)| name == "charset"), "{kind}: {error}");
        }
    }
}
