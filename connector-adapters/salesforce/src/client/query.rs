//! Rows of a query, page after page, children of a row too.

use std::{collections::HashSet, time::Duration};

use connector_sdk::{Class, Delivery, Error, Result, clock::timeout, http::Response};
use futures_util::{Stream, TryStreamExt, future::BoxFuture};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Client, Params, typed};
use crate::pages::is_path;

/// How long a query waits for the cursors that others hold.
const CURSOR_WAIT: Duration = Duration::from_secs(300);
/// How often a page that arrives broken is asked for.
const PAGE_ATTEMPTS: u32 = 3;
/// After so many pages without a row, one after the other, no row is waited for any more.
const EMPTY_PAGES: u32 = 1_000;

/// A page of a query, or of the children of a row.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    total_size: Option<u64>,
    done: bool,
    next_records_url: Option<String>,
    records: Vec<Value>,
}

/// How far a query is, so that it neither ends early nor never.
#[derive(Debug, Default)]
struct Progress {
    promised: Option<u64>,
    received: u64,
    empty: u32,
    met: HashSet<String>,
}

impl Progress {
    /// Where the next page is; none after the last one.
    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        self.promised = self.promised.or(page.total_size);
        self.received += page.records.len() as u64;
        self.empty = if page.records.is_empty() { self.empty + 1 } else { 0 };
        if page.done {
            return match self.promised {
                Some(promised) if promised != self.received => Err(wrong(
                    Class::Transient,
                    "the pages of the query held another number of rows than the first one promised; run it again",
                )
                .with_context("promised", promised)
                .with_context("received", self.received)),
                _ => Ok(None),
            };
        }
        let next = page.next_records_url.clone().ok_or_else(|| {
            wrong(Class::Permanent, "a page says there is more, and not where (`nextRecordsUrl`)")
        })?;
        if !is_path(&next) {
            return Err(wrong(
                Class::Permanent,
                "`nextRecordsUrl` leads away from the org; nothing is sent there",
            ));
        }
        if self.empty >= EMPTY_PAGES {
            return Err(wrong(Class::Permanent, "the query goes on and on without rows"));
        }
        if !self.met.insert(next.clone()) {
            return Err(wrong(Class::Permanent, "a page leads back to one that was read already"));
        }
        Ok(Some(next))
    }
}

fn wrong(class: Class, message: &str) -> Error {
    Error::new(class, "query", message).with_delivery(Delivery::Answered)
}

impl Client {
    /// All rows of a query, as the vendor writes them, with the children that subqueries ask for whole. For more than fit
    /// into memory there is [`rows`](Self::rows).
    ///
    /// # Errors
    /// Config when the vendor wants a person to act, Auth when it does not accept who we are; RateLimited when the
    /// org's requests are used up, with `resume_at`; Permanent when it cannot read the query; Transient when it did not
    /// answer within attempts and time.
    pub async fn query(&self, soql: &str) -> Result<Vec<Value>> {
        self.rows(soql).try_collect().await
    }

    /// The same as a type of the caller's own, which ignores `attributes` unless it has such a field.
    ///
    /// # Errors
    /// Schema when a row does not fit the type; else as [`query`](Self::query).
    pub async fn query_as<T: DeserializeOwned>(&self, soql: &str) -> Result<Vec<T>> {
        typed(self.query(soql).await?)
    }

    /// The rows of a query in which `:name` stands for a value, see [`Params`].
    ///
    /// # Errors
    /// Config when names and values do not fit together; else as [`query`](Self::query).
    pub async fn query_with(&self, soql: &str, params: &Params) -> Result<Vec<Value>> {
        self.query(&params.bind(soql)?).await
    }

    /// How many rows `SELECT COUNT() FROM …` finds.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn count(&self, soql: &str) -> Result<u64> {
        let page = self.page(Ask::Query(soql)).await?;
        page.total_size.ok_or_else(|| wrong(Class::Schema, "the answer has no `totalSize`"))
    }

    /// The rows of a query one by one. One page is held at a time.
    pub fn rows(&self, soql: &str) -> impl Stream<Item = Result<Value>> + Send + use<> {
        let (client, soql) = (self.clone(), soql.to_owned());
        Box::pin(async_stream::try_stream! {
            // Rows are handed out while the cursor is open: who asks for more in between may wait for itself.
            let cursor = timeout(&**client.cx.clock(), CURSOR_WAIT, client.api.cursors(1)).await.map_err(|_| {
                Error::transient("query", "all cursors of this connection are in use: read a query to its end before another")
                    .with_delivery(Delivery::NotSent)
                    .into_exhausted()
            })??;
            let mut progress = Progress::default();
            let mut page = client.page(Ask::Query(&soql)).await?;
            if is_count(&page) {
                Err(Error::config("query", "the query counts and has no rows: ask for them by `count`"))?;
            }
            loop {
                let next = progress.next(&page)?;
                for mut record in page.records {
                    client.complete(&mut record).await?;
                    yield record;
                }
                let Some(next) = next else { break };
                page = client.page(Ask::More(&next)).await?;
            }
            drop(cursor);
        })
    }

    /// A page. One that ends in the middle, or is no JSON, is asked for again.
    async fn page(&self, ask: Ask<'_>) -> Result<Page> {
        let mut attempt = 1;
        loop {
            let response = self.ask(ask).await?;
            let error = match serde_json::from_slice(&response.body) {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            let class = if error.is_data() { Class::Schema } else { Class::Transient };
            if class == Class::Schema || attempt >= PAGE_ATTEMPTS {
                return Err(wrong(class, "a page is not what the vendor documents").with_source(error));
            }
            attempt += 1;
        }
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<Response> {
        let page_size = self.api.settings().page_size;
        match ask {
            Ask::Query(soql) => self.api.query(&self.cx, soql, false, page_size).await,
            Ask::More(next) => self.api.more(&self.cx, next, page_size).await,
        }
    }

    /// Makes the children of a row whole, those of its parents and of its children too.
    fn complete<'a>(&'a self, value: &'a mut Value) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let Value::Object(fields) = value else { return Ok(()) };
            if !is_result(fields) {
                for value in fields.values_mut().filter(|value| value.is_object()) {
                    self.complete(value).await?;
                }
                return Ok(());
            }
            let mut page: Page =
                serde_json::from_value(Value::Object(std::mem::take(fields))).map_err(|error| {
                    wrong(Class::Schema, "children of a row are not what the vendor documents")
                        .with_source(error)
                })?;
            let mut progress = Progress::default();
            let mut records = Vec::new();
            loop {
                let next = progress.next(&page)?;
                for mut record in page.records {
                    self.complete(&mut record).await?;
                    records.push(record);
                }
                let Some(next) = next else { break };
                page = self.page(Ask::More(&next)).await?;
            }
            fields.insert("totalSize".to_owned(), records.len().into());
            fields.insert("done".to_owned(), true.into());
            fields.insert("records".to_owned(), records.into());
            Ok(())
        })
    }
}

/// What to ask for.
#[derive(Debug, Clone, Copy)]
enum Ask<'a> {
    Query(&'a str),
    More(&'a str),
}

/// Whether this is the answer of a subquery.
fn is_result(fields: &Map<String, Value>) -> bool {
    fields.get("done").is_some_and(Value::is_boolean) && fields.get("records").is_some_and(Value::is_array)
}

/// `SELECT COUNT()` promises rows and has none, in one page.
fn is_count(page: &Page) -> bool {
    page.done && page.records.is_empty() && page.total_size.is_some_and(|size| size > 0)
}
