//! What an author gives: a connector, and a fake vendor for it.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::Factory;
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
}

impl World {
    /// A world of this seed, with 53 rows in pages of ten.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, rows: 53, page: 10 }
    }

    /// With so many rows.
    #[must_use]
    pub fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
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

/// A connector with a fake vendor of its own: all that the suite has to know of it.
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
}
