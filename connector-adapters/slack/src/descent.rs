//! From the newest message of a channel down to the oldest that is wanted, page by page.
//!
//! The next page is asked for by time: `latest` is the `ts` of the oldest message that came. The vendor documents that
//! beside its cursors ("Pagination by time", conversations.history), and a time does not expire. A page without a message
//! has no time; there its cursor leads on.

use std::{collections::HashSet, sync::Arc};

use connector_sdk::{Class, Context, Delivery, Error, Result, Timestamp};

use crate::{
    api::Api,
    fault::{self, Then},
    method::HISTORY,
    page::{Page, Splitter},
    ts::Ts,
};

/// How often a page that arrives broken is asked for.
const PAGE_ATTEMPTS: u32 = 3;
/// After so many pages without a message, one after the other, none is waited for any more.
const EMPTY_PAGES: u32 = 1_000;
/// How often in a row a cursor may expire.
const RESTARTS: u32 = 3;

/// The history of one channel.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) api: Arc<Api>,
    pub(crate) cx: Context,
    pub(crate) splitter: Arc<Splitter>,
    pub(crate) channel: Arc<str>,
    pub(crate) page_size: u32,
}

/// A way down.
#[derive(Debug)]
pub(crate) struct Descent {
    history: History,
    /// Only messages after this.
    oldest: Ts,
    /// Only messages before this.
    latest: Ts,
    /// What leads on from a page without a message.
    cursor: Option<String>,
    cursors: HashSet<String>,
    empty: u32,
    restarts: u32,
    is_done: bool,
    now: Option<Timestamp>,
}

impl History {
    /// The messages after `oldest` and before `latest`, both excluded, newest first.
    pub(crate) fn descend(&self, oldest: Ts, latest: Ts) -> Descent {
        Descent {
            history: self.clone(),
            oldest,
            latest,
            cursor: None,
            cursors: HashSet::new(),
            empty: 0,
            restarts: 0,
            is_done: false,
            now: None,
        }
    }

    async fn page(&self, oldest: Ts, latest: Ts, cursor: Option<&str>) -> Result<Page> {
        let limit = self.api.limits().page(self.page_size);
        let (oldest, latest, size) = (oldest.to_string(), latest.to_string(), limit.to_string());
        // Both ends of the window always: with one of them alone the vendor may begin at the other.
        let mut arguments =
            vec![("channel", &*self.channel), ("oldest", &*oldest), ("latest", &*latest), ("limit", &*size)];
        arguments.extend(cursor.map(|cursor| ("cursor", cursor)));
        let mut attempt = 1;
        loop {
            let response = self.api.get(&self.cx, &HISTORY, &arguments).await?;
            match self.splitter.split(&response, HISTORY.name) {
                Ok(page) => {
                    self.api.limits().page_came(limit, page.came(), page.leads_on());
                    return Ok(page);
                }
                Err(error) if attempt < PAGE_ATTEMPTS => {
                    tracing::info!(%error, attempt, "a page came broken, asked for again");
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn wrong(&self, class: Class, message: &str) -> Error {
        Error::new(class, HISTORY.name, message)
            .with_delivery(Delivery::Answered)
            .with_context("channel", &self.channel)
    }
}

impl Descent {
    /// Whether the last page has come.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// The vendor's clock when the first page came; what is older is all in the pages, but for what became visible late.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// The next page that has messages, newest first; none after the last one.
    ///
    /// # Errors
    /// As the vendor answers. Permanent when pages lead in a circle or on and on without a message (rule D-11).
    pub(crate) async fn next(&mut self) -> Result<Option<Page>> {
        while !self.is_done {
            let asked = self.history.page(self.oldest, self.latest, self.cursor.as_deref()).await;
            let mut page = match asked {
                // The window is asked for again from the last message (rule D-13).
                Err(error) if fault::then(&error) == Then::Restart && self.cursor.is_some() => {
                    self.restart(error)?;
                    continue;
                }
                page => page.map_err(|error| error.with_context("channel", &self.history.channel))?,
            };
            self.now.get_or_insert(page.now);
            let came = page.came();
            let (oldest, latest) = (self.oldest, self.latest);
            page.rows.retain(|row| oldest < row.ts && row.ts < latest);
            if !page.rows.is_sorted_by(|a, b| a.ts > b.ts) {
                page.rows.sort_by_key(|row| std::cmp::Reverse(row.ts));
                page.rows.dedup_by_key(|row| row.ts);
            }
            let bottom = page.rows.last().map(|row| row.ts);
            self.lead_on(&page, came, bottom)?;
            if bottom.is_some() {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    /// Takes in what a page says of the one after it.
    fn lead_on(&mut self, page: &Page, came: usize, bottom: Option<Ts>) -> Result<()> {
        if !page.leads_on() {
            self.is_done = true;
            return Ok(());
        }
        if let Some(bottom) = bottom {
            (self.latest, self.cursor, self.empty, self.restarts) = (bottom, None, 0, 0);
            self.cursors.clear();
            return Ok(());
        }
        if came > 0 {
            return Err(self
                .history
                .wrong(Class::Permanent, "a page leads back to one that was read already"));
        }
        self.empty += 1;
        if self.empty >= EMPTY_PAGES {
            let error = self.history.wrong(Class::Permanent, "the history goes on and on without messages");
            return Err(error.with_context("empty_pages", self.empty));
        }
        let Some(next) = page.next.clone() else {
            let message = "a page without messages says that there is more, and not where";
            return Err(self.history.wrong(Class::Permanent, message));
        };
        if !self.cursors.insert(next.clone()) {
            return Err(self
                .history
                .wrong(Class::Permanent, "a page leads back to one that was read already"));
        }
        self.cursor = Some(next);
        Ok(())
    }

    fn restart(&mut self, error: Error) -> Result<()> {
        self.restarts += 1;
        if self.restarts > RESTARTS {
            return Err(error.with_class(Class::Transient).into_exhausted());
        }
        tracing::info!(channel = &*self.history.channel, "a page token has expired; asked again by time");
        self.cursor = None;
        self.cursors.clear();
        Ok(())
    }
}
