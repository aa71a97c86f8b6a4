//! Each rule of the contract is a test. The fake vendor is a help desk: replace it with one of yours.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::Factory;
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
    Desk { vendor: FakeDesk::start(world.seed, world.rows).await.unwrap(), page: world.page }
}

struct Desk {
    vendor: FakeDesk,
    page: usize,
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
            "page_size": self.page,
        })
    }

    fn stream(&self) -> &str {
        "tickets"
    }

    fn page(&self) -> usize {
        self.page
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
}
