//! The connector against the rules that every connector keeps.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_sdk::Factory;
use connector_testkit::{
    conformance::{Fixture, Row, World},
    fault::{Faults, Matcher},
    salesforce::FakeOrg,
};
use serde_json::{Map, Value, json};

use super::host::T0;

connector_testkit::conformance!(start);

struct Org {
    org: FakeOrg,
    page: usize,
}

async fn start(world: World) -> Org {
    // The vendor has no smaller pages.
    let world = world.in_pages_of(200);
    let builder = FakeOrg::builder().seed(world.seed).contacts(world.rows).clock(|| T0);
    let org = builder.start().await.unwrap();
    org.set_clock(T0);
    Org { org, page: world.page }
}

impl Org {
    /// Time goes on at the vendor between what happens there.
    fn later(&self) -> &FakeOrg {
        self.org.advance(Duration::from_secs(60));
        &self.org
    }
}

#[async_trait]
impl Fixture for Org {
    fn factory(&self) -> Arc<dyn Factory> {
        Arc::new(connector_salesforce::rest())
    }

    fn config(&self) -> Value {
        let known = self.org.credentials();
        json!({
            "instance_url": self.org.url(),
            "auth": { "client_credentials": { "client_id": known.client_id, "client_secret": known.client_secret } },
            "page_size": self.page,
        })
    }

    fn stream(&self) -> &str {
        "Contact"
    }

    fn page(&self) -> usize {
        self.page
    }

    fn rows(&self) -> Vec<Row> {
        let row = |(id, record): (String, Value)| {
            let Value::Object(fields) = record else { panic!("a row is an object") };
            Row { key: Map::from_iter([("Id".to_owned(), Value::String(id))]), fields }
        };
        let truth = self.org.truth("Contact").unwrap();
        truth
            .into_iter()
            .map(row)
            .filter(|row| row.fields.get("IsDeleted") != Some(&Value::Bool(true)))
            .collect()
    }

    async fn insert(&self, count: usize) {
        let org = self.later();
        for index in 0..count {
            org.insert("Contact", &json!({ "LastName": format!("New {index}") })).unwrap();
        }
    }

    async fn update(&self, count: usize) {
        self.later().touch("Contact", count).unwrap();
    }

    async fn delete(&self, count: usize) {
        let ids: Vec<_> = self.rows().into_iter().take(count).map(|row| row.key["Id"].clone()).collect();
        let org = self.later();
        for id in ids {
            org.delete("Contact", id.as_str().unwrap()).unwrap();
        }
    }

    fn requests(&self) -> u64 {
        self.org.requests().len() as u64
    }

    fn faults(&self) -> &Faults {
        self.org.faults()
    }

    fn pages(&self) -> Matcher {
        Matcher::path("/query")
    }

    fn whoami(&self) -> Matcher {
        Matcher::path("/userinfo")
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.org.credentials().client_secret.clone()]
    }

    fn expire_tokens(&self) -> bool {
        self.org.expire_tokens();
        true
    }

    fn sign_ins(&self) -> u64 {
        self.org.requests().iter().filter(|request| request.path.ends_with("/oauth2/token")).count() as u64
    }
}
