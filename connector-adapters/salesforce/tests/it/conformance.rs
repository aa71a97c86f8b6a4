//! The connector against the rules that every connector keeps.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use connector_sdk::{Factory, Timestamp};
use connector_testkit::{
    conformance::{Begin, Doing, Fixture, Other, Row, World, untested},
    fault::{Fault, Faults, Matcher},
    salesforce::{Bulk, FakeOrg, FieldType, Wire},
};
use serde_json::{Map, Value, json};

use super::host::{T0, factory, narrow, utc};

connector_testkit::conformance!(start);

/// By Bulk jobs.
mod bulk {
    connector_testkit::conformance!(super::start_bulk);
}

/// By whichever is better: a job for what is many here, REST for what changes.
mod auto {
    connector_testkit::conformance!(super::start_auto);
}

/// The field that contacts do not have at first.
const GRADE: &str = "Grade__c";

struct Org {
    door: &'static str,
    org: FakeOrg,
    page: usize,
    has_thin_pages: bool,
    /// Contacts have a field more, see `add_field`.
    has_grade: AtomicBool,
}

async fn start(world: World) -> Org {
    start_by("rest", world).await
}

async fn start_bulk(world: World) -> Org {
    start_by("bulk", world).await
}

async fn start_auto(world: World) -> Org {
    start_by("auto", world).await
}

async fn start_by(door: &'static str, world: World) -> Org {
    // The vendor has no smaller pages.
    let world = world.in_pages_of(200);
    let wire = Wire { ragged_pages: world.thin_pages, ..Wire::default() };
    let builder =
        FakeOrg::builder().seed(world.seed).contacts(world.rows).accounts(5).wire(wire).clock(|| T0);
    let jobs = Bulk { polls_until_done: 0, page_rows: world.page, ..Bulk::default() };
    let org = builder.bulk(jobs).start().await.unwrap();
    org.set_clock(T0);
    Org { door, org, page: world.page, has_thin_pages: world.thin_pages, has_grade: AtomicBool::new(false) }
}

/// What is not tested, so that no hook is lost unnoticed. Requests under way are not counted by the org.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_the_rules_is_not_tested_is_known() {
    let begin: Begin = |world| Box::pin(async move { Box::new(start(world).await) as _ });
    assert_not_tested(begin, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_the_rules_is_not_tested_by_bulk_jobs_is_known() {
    let begin: Begin = |world| Box::pin(async move { Box::new(start_bulk(world).await) as _ });
    assert_not_tested(begin, Some("C-19 not tested: the order of rows, as `is_ordered` is false")).await;
}

async fn assert_not_tested(begin: Begin, besides: Option<&str>) {
    let found = untested(begin, 1).await.unwrap();
    // These are counted where a process has one test, as under nextest.
    let kept = found.iter().filter(|line| !line.contains("open files"));
    let mut expected = vec![
        "C-19 not tested: several partitions, as `is_partitioned` is false",
        "C-37 not tested: the pages of the same read, as `fields_come_unasked` is false",
        "C-41 not tested: requests under way: no hook `in_flight`",
    ];
    expected.extend(besides);
    expected.sort_unstable();
    assert_eq!(kept.collect::<Vec<_>>(), expected);
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
        factory(self.door)
    }

    fn config(&self) -> Value {
        let known = self.org.credentials();
        json!({
            "instance_url": self.org.url(),
            "auth": { "client_credentials": { "client_id": known.client_id, "client_secret": known.client_secret } },
            "page_size": self.page,
            "bulk_from": self.page,
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
            let record = match self.door {
                "rest" => record,
                "auto" => narrow(&record),
                _ => utc(narrow(&record)),
            };
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
            let mut contact = json!({ "LastName": format!("New {index}") });
            if self.has_grade.load(Ordering::SeqCst) {
                contact[GRADE] = json!(format!("grade {index}"));
            }
            org.insert("Contact", &contact).unwrap();
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
        Matcher::path(if self.door == "rest" { "/query" } else { "/results" })
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

    /// A window of time has 50,000 rows before there is another: too many for a test.
    fn is_partitioned(&self) -> bool {
        false
    }

    /// Each read is a job, whose rows come as the vendor's chunks do.
    fn is_ordered(&self) -> bool {
        self.door == "rest"
    }

    fn lead_in_a_circle(&self, pages: usize) -> bool {
        if self.door != "rest" {
            // Pages without a row, each of which names the next one.
            let leading_to = |page: usize| {
                Fault::status(200)
                    .with_header("content-type", "text/csv")
                    .with_header("Sforce-NumberOfRecords", "0")
                    .with_header("Sforce-Locator", format!("page{page}"))
            };
            let not_listed =
                r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;
            self.faults().on("/resultPages").always().then(Fault::status(404).with_body(not_listed));
            for page in 0..pages {
                let located = Matcher::path("/results").query(format!("locator=page{page}"));
                self.faults().on(located).always().then(leading_to((page + 1) % pages));
            }
            self.faults().on("/results").always().then(leading_to(0));
            return true;
        }
        let address = |page: usize| format!("/services/data/v66.0/query/01g00000000000{page}AAA-200");
        let leading_to = |page: usize| {
            let body =
                json!({ "totalSize": 900, "done": false, "nextRecordsUrl": address(page), "records": [] });
            Fault::status(200).with_body(body.to_string())
        };
        for page in 0..pages {
            self.faults().on(address(page).as_str()).always().then(leading_to((page + 1) % pages));
        }
        self.faults().on(self.pages()).always().then(leading_to(0));
        true
    }

    fn has_thin_pages(&self) -> bool {
        self.has_thin_pages
    }

    async fn add_field(&self) -> Option<String> {
        self.org.add_field("Contact", GRADE, FieldType::Text).unwrap();
        self.has_grade.store(true, Ordering::SeqCst);
        Some(GRADE.to_owned())
    }

    fn other(&self) -> Option<Other> {
        Some(Other { stream: "Account".to_owned(), pages: Matcher::path("/query").query("FROM Account") })
    }

    /// The key stands in an external id field, where the vendor recognises it.
    fn doing(&self) -> Option<Doing> {
        Some(Doing {
            action: "create".to_owned(),
            input: json!({
                "object": "Contact", "record": { "LastName": "Done" }, "key_field": "External_Id__c",
            }),
            requests: Matcher::path("/sobjects/Contact"),
        })
    }

    fn done(&self) -> u64 {
        self.org.truth("Contact").unwrap().values().filter(|row| row["LastName"] == "Done").count() as u64
    }

    fn set_clock(&self, now: Timestamp) -> bool {
        self.org.set_clock(now.as_millis());
        true
    }

    fn snapshot(&self) -> Option<PathBuf> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/conformance");
        Some(PathBuf::from(folder).join(if self.door == "rest" { "" } else { self.door }))
    }
}
