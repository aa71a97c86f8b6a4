//! The suite on an honest connector, on dishonest ones, and against its own list of rules.

mod desk;
mod doubles;
mod mapping;
mod untested;

use async_trait::async_trait;
use connector_sdk::{Factory, Timestamp};
use connector_testkit::{
    conformance::{Doing, Fixture, Other, Row, World},
    desk::FakeDesk,
    fault::{Faults, Matcher},
};
use desk::{Flaw, Kind};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc};

/// The desk's connector, honest.
mod honest {
    use super::*;

    connector_testkit::conformance!(start);

    async fn start(world: World) -> Desk {
        Desk::start(world, Kind::Plain, None).await
    }
}

/// The one that claims what the other does not, and not what that one claims; honest too.
mod rich {
    use super::*;

    connector_testkit::conformance!(start);

    async fn start(world: World) -> Desk {
        Desk::start(world, Kind::Rich, None).await
    }
}

/// The desk and its connector, which may have a flaw.
struct Desk {
    vendor: FakeDesk,
    page: usize,
    has_thin_pages: bool,
    kind: Kind,
    flaw: Option<Flaw>,
}

impl Desk {
    async fn start(world: World, kind: Kind, flaw: Option<Flaw>) -> Self {
        let vendor = FakeDesk::start(world.seed, world.rows).await.unwrap();
        if world.thin_pages {
            vendor.serve_thin_pages();
        }
        Self { vendor, page: world.page, has_thin_pages: world.thin_pages, kind, flaw }
    }
}

#[async_trait]
impl Fixture for Desk {
    fn factory(&self) -> Arc<dyn Factory> {
        desk::factory(self.kind, self.flaw)
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
        if self.flaw == Some(Flaw::NamesNoSecrets) {
            return Vec::new();
        }
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

    fn lead_in_a_circle(&self, pages: usize) -> bool {
        self.vendor.lead_in_a_circle(pages);
        true
    }

    fn has_thin_pages(&self) -> bool {
        self.has_thin_pages
    }

    async fn add_field(&self) -> Option<String> {
        self.vendor.add_priority();
        Some("priority".to_owned())
    }

    fn fields_come_unasked(&self) -> bool {
        true
    }

    fn other(&self) -> Option<Other> {
        Some(Other { stream: "agents".to_owned(), pages: Matcher::path("/v1/agents") })
    }

    fn set_clock(&self, now: Timestamp) -> bool {
        self.vendor.set_clock(now);
        true
    }

    fn doing(&self) -> Option<Doing> {
        let input = json!({"subject": "no paper"});
        let requests = Matcher::path("/v1/tickets").method("POST");
        Some(Doing { action: "open".to_owned(), input, requests })
    }

    fn done(&self) -> u64 {
        self.vendor.writes()
    }

    fn in_flight(&self) -> Option<u64> {
        Some(self.vendor.in_flight())
    }

    fn snapshot(&self) -> Option<PathBuf> {
        Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/conformance/desk/snapshot")))
    }
}
