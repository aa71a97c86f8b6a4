//! What an author gives: a connector, and a fake vendor for it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use connector_sdk::{Factory, Timestamp};
use serde_json::{Map, Value};

use crate::fault::{Faults, Matcher};

/// What the vendor is to have when a check begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct World {
    /// What all data is drawn from: the same seed, the same data.
    pub seed: u64,
    /// Rows in the stream. Some of them share a cursor, where the vendor has one.
    pub rows: usize,
    /// Rows in a page, as the connector is to be configured.
    pub page: usize,
    /// Pages are short and empty in between and lead on all the same, where the vendor may serve such pages.
    pub thin_pages: bool,
}

impl World {
    /// A world of this seed, with 53 rows in pages of ten.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, rows: 53, page: 10, thin_pages: false }
    }

    /// With so many rows.
    #[must_use]
    pub fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// With short and empty pages in between.
    #[must_use]
    pub fn in_thin_pages(mut self) -> Self {
        self.thin_pages = true;
        self
    }

    /// The same in pages of another size, with as many pages: for a vendor that has no small ones.
    #[must_use]
    pub fn in_pages_of(mut self, page: usize) -> Self {
        self.rows = self.rows * page / self.page;
        self.page = page;
        self
    }
}

/// A row as the vendor has it: what a check compares records with.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The fields of the stream's key.
    pub key: Map<String, Value>,
    /// Fields of the record that are to arrive as they are; need not be all.
    pub fields: Map<String, Value>,
}

/// A second stream of the connector, for what one stream must not do to another.
#[derive(Debug, Clone)]
pub struct Other {
    /// Its name.
    pub stream: String,
    /// Its requests for pages, and none of the first stream's.
    pub pages: Matcher,
}

/// An action that can be done over and over, each time once more.
#[derive(Debug, Clone)]
pub struct Doing {
    /// Its name.
    pub action: String,
    /// An input that it takes.
    pub input: Value,
    /// The requests that do it.
    pub requests: Matcher,
}

/// A connector with a fake vendor of its own: all that the suite has to know of it.
///
/// What has a default is a hook that only some rules want. Without it they test what they can without it, and say what
/// they did not; what that is stands in `docs/spec/connector.md`.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The connector.
    fn factory(&self) -> Arc<dyn Factory>;

    /// A configuration that reaches the vendor, with pages as the world says.
    fn config(&self) -> Value;

    /// The stream that the rows are in.
    fn stream(&self) -> &str;

    /// Rows in a page: that of the world, or what the world was changed to.
    fn page(&self) -> usize;

    /// The rows that are alive at the vendor.
    fn rows(&self) -> Vec<Row>;

    /// Adds so many rows at the vendor.
    async fn insert(&self, count: usize);

    /// Changes so many rows at the vendor.
    async fn update(&self, count: usize);

    /// Deletes so many rows at the vendor.
    async fn delete(&self, count: usize);

    /// Requests that the vendor has seen.
    fn requests(&self) -> u64;

    /// What goes wrong at the vendor.
    fn faults(&self) -> &Faults;

    /// The requests that ask for pages of the stream, the first and those after it.
    fn pages(&self) -> Matcher;

    /// The requests that ask who we are.
    fn whoami(&self) -> Matcher;

    /// What must be seen nowhere: secrets of the configuration, and tokens the vendor has given.
    fn secrets(&self) -> Vec<String>;

    /// Ends all sessions; false where there are none.
    fn expire_tokens(&self) -> bool {
        false
    }

    /// How often somebody signed in.
    fn sign_ins(&self) -> u64 {
        0
    }

    /// The vendor's pages lead in a circle of so many pages, one to three, from the next read on; false where pages
    /// have no links.
    fn lead_in_a_circle(&self, pages: usize) -> bool {
        let _ = pages;
        false
    }

    /// Whether pages are thin in this world, as [`World::thin_pages`] asked for.
    fn has_thin_pages(&self) -> bool {
        false
    }

    /// The vendor gives its rows one more field, and answers the name; none where it cannot. Rows that are added from
    /// now on have it, and [`rows`](Self::rows) shows it.
    async fn add_field(&self) -> Option<String> {
        None
    }

    /// Whether two reads of the same rows give them in the same order and end in the same state. False for a vendor
    /// who promises no order, such as one that runs a job for each read.
    fn is_ordered(&self) -> bool {
        true
    }

    /// Whether the rows of a world are enough for several partitions, where the manifest claims them.
    fn is_partitioned(&self) -> bool {
        true
    }

    /// Whether a new field is in the next pages by itself; false where each request names the fields it wants.
    fn fields_come_unasked(&self) -> bool {
        false
    }

    /// Whether the source calls us instead of being asked. What has happened is then sent to a listener by
    /// [`deliver`](Self::deliver), and rules about pages that are asked for are not tested.
    fn is_pushed(&self) -> bool {
        false
    }

    /// Whether there is nobody to ask who we are, as where the source calls us and proves itself.
    fn asks_nobody(&self) -> bool {
        false
    }

    /// Sends what has happened to who listens at these addresses, or has called us; ends when all of it was taken.
    async fn deliver(&self, addresses: &[SocketAddr]) {
        let _ = addresses;
    }

    /// A second stream.
    fn other(&self) -> Option<Other> {
        None
    }

    /// The vendor's clock shows this now, and goes on from there; false where it has none that can be set.
    fn set_clock(&self, now: Timestamp) -> bool {
        let _ = now;
        false
    }

    /// An action; needed where the manifest claims actions.
    fn doing(&self) -> Option<Doing> {
        None
    }

    /// How often it was done.
    fn done(&self) -> u64 {
        0
    }

    /// Requests that the vendor is answering at this moment; none where it does not count them.
    fn in_flight(&self) -> Option<u64> {
        None
    }

    /// The folder in which the configuration's schema and the catalog of the last release lie; none where nothing
    /// was released. `CONNECTOR_SNAPSHOT=update` writes it.
    fn snapshot(&self) -> Option<PathBuf> {
        None
    }
}
