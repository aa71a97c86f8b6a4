use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use connector_sdk::contract::CostEstimate;
use connector_sdk::{
    Authenticate, Catalog, Counters, Delivery, Discover, Message, Network, Plan, Read, ReadRequest, StreamId,
    StreamSelection, StreamSpec, StreamState, SyncMode, SystemClock,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::json;

use super::*;
use crate::registry::MemoryRegistry;

/// A vendor whose answers a test sets.
#[derive(Default)]
struct Vendor {
    sign_in: Option<Error>,
    scopes: Vec<String>,
    requests: u64,
    streams: Vec<StreamSpec>,
    silent: bool,
}

#[async_trait]
impl Authenticate for Vendor {
    async fn authenticate(&self, cx: &Context) -> Result<Identity> {
        if self.silent {
            std::future::pending::<()>().await;
        }
        let counter: &AtomicU64 = &cx.counters().requests;
        Counters::add(counter, self.requests);
        match &self.sign_in {
            Some(error) => Err(error.clone()),
            None => Ok(Identity::new("service@acme").with_account("acme").with_scopes(self.scopes.clone())),
        }
    }
}

#[async_trait]
impl Discover for Vendor {
    async fn discover(&self, _: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        let chosen = |spec: &&StreamSpec| names.is_none_or(|names| names.contains(&spec.name));
        Ok(Catalog::new(self.streams.iter().filter(chosen).cloned().collect()))
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
    async fn estimate_cost(&self, _: &Context, stream: &StreamSelection) -> Result<CostEstimate> {
        match stream.spec.name.as_str() {
            "tickets" => Ok(CostEstimate::new(Some(7), None).with_duration(Some(Duration::from_secs(420)))),
            other => Err(Error::transient("estimate", format!("nobody counts {other}"))),
        }
    }

    fn scopes(&self, stream: &StreamId) -> Vec<String> {
        match stream.as_str() {
            "tickets" => vec!["tickets:read".to_owned(), "read".to_owned()],
            _ => Vec::new(),
        }
    }
}

fn tickets() -> StreamSpec {
    let schema =
        json!({"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}}});
    StreamSpec::new("tickets", schema).with_primary_key(["id"])
}

fn vendor() -> Vendor {
    Vendor {
        requests: 1,
        streams: vec![tickets()],
        scopes: vec!["read".to_owned(), "tickets:read".to_owned()],
        ..Vendor::default()
    }
}

fn choice(value: serde_json::Value) -> Vec<StreamChoice> {
    vec![serde_json::from_value(value).unwrap()]
}

struct Case {
    vendor: Vendor,
    network: Network,
    streams: Option<Vec<StreamChoice>>,
    registry: Result<()>,
    rotates: bool,
    only_acts: bool,
    estimates: Option<Duration>,
}

impl Case {
    fn of(vendor: Vendor) -> Self {
        Self {
            vendor,
            network: Network::default(),
            streams: None,
            registry: Ok(()),
            rotates: false,
            only_acts: false,
            estimates: None,
        }
    }

    async fn check(self) -> CheckReport {
        let method = AuthMethod::new("token", &["read"]);
        let method = if self.rotates { method.rotating() } else { method };
        let capabilities = self.only_acts.then_some(Capability::Actions);
        let manifest =
            Manifest::new("desk", "rest", "0.1.0").with_auth([method]).with_capabilities(capabilities);
        let cx = Context::builder("acme", "acme-desk").network(self.network).build();
        let registry = MemoryRegistry::new(SystemClock::shared());
        let exchange = cx.background().spawn(async {
            for _ in 0..10_000 {
                tokio::task::yield_now().await;
            }
        });
        let target =
            Target { connector: Arc::new(self.vendor), manifest: &manifest, auth_method: Some("token") };
        let report = check(Preflight {
            cx: &cx,
            connector: Ok(target),
            streams: self.streams.as_deref(),
            bronze: Some(Box::new(|| Ok(()))),
            registry: self.registry.map(|()| Arc::new(registry) as Arc<dyn Registry>),
            deadline: PROBE_DEADLINE,
            estimates: self.estimates,
        })
        .await;
        assert!(exchange.peek().is_some(), "what a probe has begun in the background is left half done");
        report
    }
}

/// `pass`, `fail` or `skip` for each probe, as one text.
fn verdicts(report: &CheckReport) -> String {
    let letter = |probe: &Probe| match probe.status {
        ProbeStatus::Pass => 'p',
        ProbeStatus::Fail => 'F',
        ProbeStatus::Skip => 's',
    };
    report.probes.iter().map(letter).collect()
}

fn message(report: &CheckReport, name: ProbeName) -> &str {
    &report.probes.iter().find(|probe| probe.name == name).unwrap().message
}

#[tokio::test]
async fn what_a_run_costs_is_told_where_it_is_asked_for_and_why_where_it_cannot_be() {
    let report = Case::of(vendor()).check().await;
    assert!(serde_json::to_value(&report).unwrap().get("estimates").is_none(), "nobody has asked");
    let streams = vec![tickets(), StreamSpec::new("stars", json!({"type": "object"}))];
    let asked = |vendor| Case { estimates: Some(PROBE_DEADLINE), ..Case::of(vendor) };
    let report = asked(Vendor { streams, ..vendor() }).check().await;
    let document = serde_json::to_value(&report).unwrap();
    let told = document["estimates"].as_array().unwrap();
    assert_eq!((told.len(), document["status"].as_str()), (2, Some("passed")));
    assert_eq!((&told[0]["requests"], &told[0]["duration_ms"]), (&json!(7), &json!(420_000)));
    assert!(told[0]["records"].is_null() && told[0]["error"].is_null());
    assert!(told[1]["error"].as_str().unwrap().contains("nobody counts stars"));
    let refused = Vendor { sign_in: Some(Error::new(Class::Auth, "sign in", "no")), ..vendor() };
    assert!(asked(refused).check().await.estimates.is_none(), "a connection that cannot run has no cost");
}

#[tokio::test]
async fn a_connection_that_is_right_passes_every_probe() {
    let report = Case::of(vendor()).check().await;
    assert_eq!(verdicts(&report), "ppppppppp", "{report:#?}");
    assert_eq!(report.status, CheckStatus::Passed);
    assert_eq!(message(&report, ProbeName::Authenticate), "signed in as service@acme of acme");
    let document = serde_json::to_value(&report).unwrap();
    assert_eq!(document["status"], "passed");
    assert_eq!(
        document["probes"][0],
        json!({"name": "config", "status": "pass", "message": "a connection of desk/rest", "class": null})
    );
}

#[tokio::test]
async fn what_fails_is_told_from_what_could_not_be_tried() {
    let unreachable = Error::transient("sign in", "no connection").with_context("host", "desk.example");
    let untrusted =
        Error::config("sign in", "the certificate is not trusted").with_context("host", "desk.example");
    let refused = Error::new(Class::Auth, "sign in", "no such user").with_delivery(Delivery::Answered);
    let lost = Error::transient("sign in", "the connection ended").with_delivery(Delivery::Unknown);
    let no_token = Error::new(Class::Auth, "token", "wrong secret").with_context("host", "desk.example");
    let token_down =
        Error::transient("token", "503").with_context("status", 503).with_context("host", "desk.example");
    let unmade = Error::config("sign in", "no private key");
    for (error, requests, expected, class) in [
        (unreachable, 1, "pFsssss pp", Class::Transient),
        (untrusted.clone(), 1, "ppFssss pp", Class::Config),
        (untrusted, 0, "pFsssss pp", Class::Config),
        (refused, 1, "pppFsss pp", Class::Auth),
        (no_token, 1, "pppFsss pp", Class::Auth),
        (token_down, 1, "pppFsss pp", Class::Transient),
        (lost, 1, "pssFsss pp", Class::Transient),
        (unmade, 0, "pssFsss pp", Class::Config),
    ] {
        let report = Case::of(Vendor { sign_in: Some(error), requests, ..vendor() }).check().await;
        assert_eq!(verdicts(&report), expected.replace(' ', ""), "{report:#?}");
        assert_eq!((report.status, report.class()), (CheckStatus::Failed, Some(class)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_does_not_end_fails_at_its_deadline() {
    let report = Case::of(Vendor { silent: true, ..vendor() }).check().await;
    assert_eq!(verdicts(&report), "pssFssspp");
    assert!(message(&report, ProbeName::Authenticate).contains("not done within 60s"), "{report:#?}");
}

#[tokio::test]
async fn scopes_that_are_missing_are_named() {
    let report = Case::of(Vendor { scopes: vec!["write".to_owned()], ..vendor() }).check().await;
    assert_eq!(verdicts(&report), "ppppFpppp");
    assert!(message(&report, ProbeName::Scopes).contains("lacks the scopes read"));
    let granted = vec!["read".to_owned()];
    let case = Case {
        streams: Some(choice(json!({"name": "tickets"}))),
        ..Case::of(Vendor { scopes: granted, ..vendor() })
    };
    let report = case.check().await;
    assert!(message(&report, ProbeName::Scopes).contains("lacks the scopes tickets:read:"), "of the stream");
    let report = Case::of(Vendor { scopes: Vec::new(), ..vendor() }).check().await;
    assert_eq!(verdicts(&report), "ppppspppp", "what the vendor does not say is not guessed");
}

#[tokio::test]
async fn plain_http_is_not_called_secure() {
    let report = Case { network: Network::loopback(), ..Case::of(vendor()) }.check().await;
    assert_eq!(verdicts(&report), "ppspppppp");
}

#[tokio::test]
async fn a_connector_that_only_acts_has_nothing_to_read_and_one_that_reads_has() {
    let nothing = || Case::of(Vendor { streams: Vec::new(), ..vendor() });
    let report = Case { only_acts: true, ..nothing() }.check().await;
    assert_eq!(verdicts(&report), "ppppppspp");
    assert_eq!(report.status, CheckStatus::Passed);
    assert_eq!(verdicts(&nothing().check().await), "ppppppFpp");
}

#[tokio::test]
async fn a_choice_that_does_not_fit_the_catalog_names_what_does() {
    for (chosen, expected) in [
        (
            json!({"name": "tikcets"}),
            "there is no stream `tikcets` that may be read; did you mean `tickets`?",
        ),
        (
            json!({"name": "tickets", "mode": "incremental"}),
            "cannot be read in mode `incremental`; it has: full",
        ),
        (json!({"name": "tickets", "fields": ["id", "txt"]}), "no field `txt`; did you mean `text`?"),
    ] {
        let report = Case { streams: Some(choice(chosen)), ..Case::of(vendor()) }.check().await;
        assert_eq!(verdicts(&report), "ppppppFpp");
        assert!(message(&report, ProbeName::Schema).contains(expected), "{report:#?}");
        assert_eq!(report.class(), Some(Class::Config));
    }
}

#[tokio::test]
async fn a_stream_that_contradicts_itself_is_found() {
    let mut no_mode = tickets();
    no_mode.modes = Vec::<SyncMode>::new();
    for (spec, expected) in [
        (StreamSpec::new("tickets", json!({"type": "objekt"})), "no JSON Schema"),
        (tickets().with_primary_key(["nr"]), "key or cursor `nr`"),
        (tickets().with_cursor("changed"), "key or cursor `changed`"),
        (no_mode, "no mode"),
    ] {
        let report = Case::of(Vendor { streams: vec![spec], ..vendor() }).check().await;
        assert!(message(&report, ProbeName::Schema).contains(expected), "{report:#?}");
        assert_eq!(report.class(), Some(Class::Schema));
    }
}

#[tokio::test]
async fn a_token_that_rotates_is_not_spent_where_its_successor_would_be_lost() {
    let closed = || Err(Error::config("open registry", "it is of a newer version"));
    let report = Case { registry: closed(), rotates: true, ..Case::of(vendor()) }.check().await;
    assert_eq!(verdicts(&report), "psssssspF");
    let report = Case { registry: closed(), ..Case::of(vendor()) }.check().await;
    assert_eq!(verdicts(&report), "ppppppppF");
}

#[tokio::test]
async fn a_template_that_is_wrong_leaves_nothing_to_probe() {
    let report = CheckReport::not_begun(&Error::config("read template", "t.yaml:1:1: the file is empty"));
    assert_eq!(verdicts(&report), "Fssssssss");
    assert_eq!(report.class(), Some(Class::Config));
}

#[tokio::test]
async fn what_the_sink_says_is_the_verdict_on_bronze() {
    let clock = SystemClock::new();
    let refused: BronzeProbe = Box::new(|| Err(Error::config("check bronze", "read-only")));
    let probe = storage::bronze(Some(refused), &clock, PROBE_DEADLINE).await;
    assert_eq!((probe.status, probe.class), (ProbeStatus::Fail, Some(Class::Config)), "{probe:?}");
    assert_eq!(storage::bronze(None, &clock, PROBE_DEADLINE).await.status, ProbeStatus::Skip);
}
