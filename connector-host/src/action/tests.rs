use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Delivery, Discover, Identity, Message, Plan, Read, ReadRequest, StreamId,
    StreamSelection, StreamState, SystemClock,
    contract::{ActionOutcome, ActionSpec},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::json;

use super::*;
use crate::registry::MemoryRegistry;

/// A vendor that counts what it is asked to do.
#[derive(Default)]
struct Vendor {
    calls: AtomicU64,
    fails: Option<Error>,
}

#[async_trait]
impl Authenticate for Vendor {
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        Ok(Identity::new("nobody"))
    }
}

#[async_trait]
impl Discover for Vendor {
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        Ok(Catalog::default())
    }
}

#[async_trait]
impl Read for Vendor {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Ok(Plan::nothing())
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'static, Result<Message>> {
        stream::empty().boxed()
    }
}

#[async_trait]
impl Connector for Vendor {
    fn actions(&self) -> Vec<ActionSpec> {
        let schema = into_schema;
        let input = || {
            schema(
                json!({"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}),
            )
        };
        vec![
            ActionSpec::new("send", input(), schema(json!({}))),
            ActionSpec::new("upsert", input(), schema(json!({}))).idempotent(),
            ActionSpec::new("post", input(), schema(json!({}))).resolving(),
        ]
    }

    async fn act(&self, _: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        if request.begun_at.is_some() {
            return Ok(ActionOutcome::succeeded(json!({"found": request.begun_at})));
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        match &self.fails {
            Some(error) => Err(error.clone()),
            None => Ok(ActionOutcome::succeeded(json!({"id": call}))),
        }
    }
}

fn into_schema(value: Value) -> schemars::Schema {
    schemars::Schema::try_from(value).unwrap()
}

struct Desk {
    registry: Arc<MemoryRegistry>,
    vendor: Vendor,
    cx: Context,
}

impl Desk {
    fn new(fails: Option<Error>) -> Self {
        Self {
            registry: Arc::new(MemoryRegistry::new(SystemClock::shared())),
            vendor: Vendor { fails, ..Vendor::default() },
            cx: Context::builder("acme", "acme-desk").build(),
        }
    }

    async fn act(&self, name: &str, text: &str, key: Option<&str>) -> Result<ActionReport> {
        let request = ActionRequest::new(name, json!({"text": text}));
        let request = key.into_iter().fold(request, |request, key| request.with_idempotency_key(key));
        let calls = self.calls();
        let exchange = self.cx.background().spawn(async {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        });
        let report = act(&*self.registry, &self.vendor, &self.cx, request).await;
        assert!(calls == self.calls() || exchange.peek().is_some(), "left half done in the background");
        report
    }

    fn calls(&self) -> u64 {
        self.vendor.calls.load(Ordering::SeqCst)
    }

    /// As if a process had noted its intent and died.
    async fn die_in(&self, name: &str, text: &str, key: &str) {
        let input = json!({"text": text}).to_string();
        let record = ActionRecord {
            tenant: "acme".into(),
            connection: "acme-desk".into(),
            key: key.to_owned(),
            name: name.to_owned(),
            input_hash: format!("{:032x}", xxh3_128(input.as_bytes())),
            status: INTENDED.to_owned(),
            answer: None,
            started_at: self.cx.clock().now(),
            finished_at: None,
        };
        assert!(self.registry.begin_action(&record).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_same_key_again_answers_the_first_answer_without_a_call() {
    let desk = Desk::new(None);
    let first = desk.act("send", "hi", Some("k1")).await.unwrap();
    let again = desk.act("send", "hi", Some("k1")).await.unwrap();
    assert_eq!(
        (first.status, &first.output, first.repeated),
        (ActionStatus::Succeeded, &json!({"id": 1}), false)
    );
    assert_eq!(
        (again.status, &again.output, again.repeated),
        (ActionStatus::Succeeded, &json!({"id": 1}), true)
    );
    assert_eq!(desk.calls(), 1);
    desk.act("send", "hi", None).await.unwrap();
    desk.act("send", "hi", Some("k2")).await.unwrap();
    assert_eq!(desk.calls(), 3, "without a key, or with another, it is another action");
}

#[tokio::test]
async fn a_failure_is_an_answer_too() {
    let error = Error::permanent("send", "no such channel").with_delivery(Delivery::Answered);
    let desk = Desk::new(Some(error));
    for _ in 0..2 {
        let report = desk.act("send", "hi", Some("k1")).await.unwrap();
        assert_eq!(report.status, ActionStatus::Failed);
        assert_eq!(report.error.unwrap()["class"], "Permanent");
    }
    assert_eq!(desk.calls(), 1);
}

#[tokio::test]
async fn an_unknown_outcome_is_ambiguous_and_is_not_sent_again() {
    let desk = Desk::new(Some(Error::new(Class::Ambiguous, "send", "the answer was lost")));
    for _ in 0..2 {
        assert_eq!(desk.act("send", "hi", Some("k1")).await.unwrap().status, ActionStatus::Ambiguous);
    }
    assert_eq!(desk.calls(), 1);

    let desk = Desk::new(None);
    desk.die_in("send", "hi", "k1").await;
    let report = desk.act("send", "hi", Some("k1")).await.unwrap();
    assert_eq!(report.status, ActionStatus::Ambiguous);
    let error = report.error.unwrap();
    assert_eq!((&error["class"], &error["delivery"]), (&json!("Ambiguous"), &json!("Unknown")));
    assert_eq!(desk.calls(), 0);
}

#[tokio::test]
async fn an_idempotent_action_whose_answer_was_lost_is_done_again() {
    let desk = Desk::new(None);
    desk.die_in("upsert", "hi", "k1").await;
    assert_eq!(desk.act("upsert", "hi", Some("k1")).await.unwrap().status, ActionStatus::Succeeded);
    desk.act("upsert", "hi", Some("k1")).await.unwrap();
    assert_eq!(desk.calls(), 1);
}

#[tokio::test]
async fn an_action_that_finds_out_what_came_of_it_is_asked_to_and_told_since_when() {
    let desk = Desk::new(None);
    desk.die_in("post", "hi", "k1").await;
    let report = desk.act("post", "hi", Some("k1")).await.unwrap();
    assert_eq!((report.status, report.repeated), (ActionStatus::Succeeded, false));
    assert!(report.output["found"].is_number() || report.output["found"].is_string(), "{}", report.output);
    assert_eq!(desk.calls(), 0, "it was looked for, not done");
    let again = desk.act("post", "hi", Some("k1")).await.unwrap();
    assert!(again.repeated && again.output == report.output, "what was found is the answer from now on");

    let desk = Desk::new(Some(Error::new(Class::Ambiguous, "post", "the answer was lost")));
    assert_eq!(desk.act("post", "hi", Some("k1")).await.unwrap().status, ActionStatus::Ambiguous);
    assert_eq!(desk.act("post", "hi", Some("k1")).await.unwrap().status, ActionStatus::Succeeded);
    assert_eq!(desk.calls(), 1);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_anything_is_noted() {
    let desk = Desk::new(None);
    let refused = |error: Error, expected: &str| {
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains(expected), "{error}");
    };
    refused(desk.act("sned", "hi", Some("k1")).await.unwrap_err(), "no action `sned`; did you mean `send`?");
    let request = ActionRequest::new("send", json!({"text": 5})).with_idempotency_key("k1");
    refused(act(&*desk.registry, &desk.vendor, &desk.cx, request).await.unwrap_err(), "place: /text");
    desk.act("send", "hi", Some("k1")).await.unwrap();
    refused(desk.act("send", "ho", Some("k1")).await.unwrap_err(), "another input");
    refused(desk.act("upsert", "hi", Some("k1")).await.unwrap_err(), "another action");
    assert_eq!(desk.calls(), 1);
}
