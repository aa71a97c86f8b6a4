//! Each rule of the contract is a test. The fake vendor is a help desk: replace it with one of yours.
//!
//! What a fixture has no hook for is not tested, and the test says so on standard error (`C-38 not tested: …`). Here that is
//! C-38, which wants a second stream (`other`), and C-44, which wants a release to be held to (`snapshot`: a folder that
//! `CONNECTOR_SNAPSHOT=update` writes); and under `cargo test` the open files of C-41, which nextest counts.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{Factory, Timestamp};
use connector_testkit::{
    conformance::{Fixture, Row, World},
    desk::FakeDesk,
    fault::{Faults, Matcher},
};
use serde_json::{Map, Value, json};

use connector_example_desk as connector;

connector_testkit::conformance!(start);

/// A vendor as the suite wants it: so many rows, in pages of that size, the same for the same seed.
async fn start(world: World) -> Desk {
    let vendor = FakeDesk::start(world.seed, world.rows).await.unwrap();
    if world.thin_pages {
        vendor.serve_thin_pages();
    }
    Desk { vendor, world }
}

struct Desk {
    vendor: FakeDesk,
    world: World,
}

#[async_trait]
impl Fixture for Desk {
    fn factory(&self) -> Arc<dyn Factory> {
        Arc::new(connector::rest())
    }

    fn config(&self) -> Value {
        json!({
            "base_url": self.vendor.url(),
            "auth": { "client_credentials": {
                "client_id": FakeDesk::CLIENT_ID,
                "client_secret": FakeDesk::CLIENT_SECRET,
            } },
            "page_size": self.world.page,
        })
    }

    fn stream(&self) -> &str {
        "tickets"
    }

    fn page(&self) -> usize {
        self.world.page
    }

    /// What the vendor has: the truth that the suite compares Bronze with.
    fn rows(&self) -> Vec<Row> {
        let tickets = self.vendor.tickets().into_iter();
        tickets
            .filter(|ticket| !ticket.deleted)
            .map(|ticket| Row {
                key: Map::from_iter([("id".to_owned(), json!(ticket.id))]),
                fields: serde_json::from_value(json!(ticket)).unwrap(),
            })
            .collect()
    }

    async fn insert(&self, count: usize) {
        self.vendor.open_tickets(count);
    }

    /// All at one instant: rows that share a cursor are where connectors lose data.
    async fn update(&self, count: usize) {
        self.vendor.touch(count);
    }

    async fn delete(&self, count: usize) {
        self.vendor.delete(count);
    }

    fn requests(&self) -> u64 {
        self.vendor.requests()
    }

    fn faults(&self) -> &Faults {
        self.vendor.faults()
    }

    fn pages(&self) -> Matcher {
        Matcher::path("/v1/tickets").method("GET")
    }

    fn whoami(&self) -> Matcher {
        Matcher::path("/v1/me")
    }

    /// The suite looks for these in everything that the connector shows.
    fn secrets(&self) -> Vec<String> {
        let mut secrets = self.vendor.tokens();
        secrets.push(FakeDesk::CLIENT_SECRET.to_owned());
        secrets
    }

    fn expire_tokens(&self) -> bool {
        self.vendor.expire_tokens();
        true
    }

    fn sign_ins(&self) -> u64 {
        self.vendor.sign_ins()
    }

    // From here on: what only some rules want, and not each vendor can do.

    fn lead_in_a_circle(&self, pages: usize) -> bool {
        self.vendor.lead_in_a_circle(pages);
        true
    }

    fn has_thin_pages(&self) -> bool {
        self.world.thin_pages
    }

    async fn add_field(&self) -> Option<String> {
        self.vendor.add_priority();
        Some("priority".to_owned())
    }

    fn fields_come_unasked(&self) -> bool {
        true
    }

    fn set_clock(&self, now: Timestamp) -> bool {
        self.vendor.set_clock(now);
        true
    }

    fn in_flight(&self) -> Option<u64> {
        Some(self.vendor.in_flight())
    }
}
