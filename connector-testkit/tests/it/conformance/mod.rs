//! The suite on an honest connector, on dishonest ones, and against its own list of rules.

mod desk;
mod doubles;
mod mapping;

use async_trait::async_trait;
use connector_sdk::Factory;
use connector_testkit::{
    conformance::{Fixture, Row, World},
    desk::FakeDesk,
    fault::{Faults, Matcher},
};
use desk::Flaw;
use serde_json::{Value, json};
use std::sync::Arc;

/// The desk's connector, honest.
mod honest {
    use super::*;

    connector_testkit::conformance!(start);

    async fn start(world: World) -> Desk {
        Desk::start(world, None).await
    }
}

/// The desk and its connector, which may have a flaw.
struct Desk {
    vendor: FakeDesk,
    page: usize,
    flaw: Option<Flaw>,
}

impl Desk {
    async fn start(world: World, flaw: Option<Flaw>) -> Self {
        let vendor = FakeDesk::start(world.seed, world.rows).await.unwrap();
        Self { vendor, page: world.page, flaw }
    }
}

#[async_trait]
impl Fixture for Desk {
    fn factory(&self) -> Arc<dyn Factory> {
        desk::factory(self.flaw)
    }

    fn config(&self) -> Value {
        json!({
            "base_url": self.vendor.url(),
            "auth": { "client_id": FakeDesk::CLIENT_ID, "client_secret": FakeDesk::CLIENT_SECRET },
            "page_size": self.page,
        })
    }

    fn stream(&self) -> &str {
        "tickets"
    }

    fn page(&self) -> usize {
        self.page
    }

    fn rows(&self) -> Vec<Row> {
        let alive = self.vendor.tickets().into_iter().filter(|ticket| !ticket.deleted);
        alive
            .map(|ticket| {
                let Value::Object(fields) = serde_json::to_value(&ticket).unwrap() else { unreachable!() };
                let key = [("id".to_owned(), fields["id"].clone())].into_iter().collect();
                Row { key, fields }
            })
            .collect()
    }

    async fn insert(&self, count: usize) {
        self.vendor.open_tickets(count);
    }

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
