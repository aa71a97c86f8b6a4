//! Runs from end to end, against a fake org over HTTP.

use std::{fs, time::Duration};

use connector_testkit::{fault::Fault, salesforce::FakeOrg};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::desk::{Desk, finish, signal, start};

/// Pages that take their time: a run that can be caught in the middle. With 10,000 contacts it would go on
/// for many seconds, and what a test does meanwhile takes less than one.
fn slow() -> Fault {
    Fault::SlowBody { bytes: 16 << 10, every: Duration::from_millis(20) }
}

#[tokio::test]
async fn a_connection_is_checked_discovered_run_and_run_again() {
    let desk = Desk::new(FakeOrg::builder().contacts(1_500).accounts(30)).await;
    desk.write("streams: [{ name: Contact }, { name: Account }]\n");
    let check = desk.connector(&["check"]).await.exits(0).document();
    assert_eq!(check["status"], "passed", "{check:#}");
    let catalog = desk.connector(&["discover", "--stream", "Contact"]).await.exits(0).document();
    let contact = &catalog["streams"][0];
    assert_eq!((&contact["name"], &contact["primary_key"]), (&json!("Contact"), &json!(["Id"])));
    assert_eq!(
        (&contact["cursor_field"], &contact["modes"][0]),
        (&json!("SystemModstamp"), &json!("incremental"))
    );

    let first = desk.connector(&["run"]).await.exits(0).document();
    assert_eq!(
        (&first["status"], &first["totals"]["records"]),
        (&json!("succeeded"), &json!(1_530)),
        "{first:#}"
    );
    assert_eq!(first["streams"][0]["name"], "Contact");
    assert!(first["error"].is_null());
    desk.assert_each_contact_once().await;

    let changed = desk.org.touch("Contact", 7).unwrap();
    let second = desk.connector(&["run"]).await.exits(0).document();
    assert_eq!(second["totals"]["records"], 7, "{second:#}");
    let again = desk.contacts().await;
    assert_eq!(again.len(), 1_507);
    let last: Vec<&str> =
        again[1_500..].iter().map(|envelope| envelope["key"]["Id"].as_str().unwrap()).collect();
    assert!(changed.iter().all(|id| last.contains(&id.as_str())));

    for (run, records) in [(&first, 1_530), (&second, 7)] {
        let path = desk.path("bronze").join(run["receipt"].as_str().unwrap());
        let receipt: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((&receipt["run_id"], &receipt["totals"]["records"]), (&run["run_id"], &json!(records)));
        assert_eq!(receipt["connector_version"], env!("CARGO_PKG_VERSION"));
        let files = receipt["streams"][0]["files"].as_array().unwrap();
        assert!(!files.is_empty());
        for file in files {
            let at = desk.path("bronze/acme/acme-crm").join(file["path"].as_str().unwrap());
            assert_eq!(fs::metadata(at).unwrap().len(), file["bytes"].as_u64().unwrap());
        }
        assert!(path.with_extension("yaml").exists());
    }
    let runs = desk.connector(&["runs"]).await.exits(0).document();
    assert_eq!(runs["runs"], json!([second, first]), "newest first, as they were printed");
    let runs = desk.connector(&["runs", "--limit", "1"]).await.exits(0).document();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn parquet_holds_the_same_records() {
    let desk = Desk::new(FakeOrg::builder().contacts(450)).await;
    let text = fs::read_to_string(desk.path("t.yaml")).unwrap();
    fs::write(
        desk.path("t.yaml"),
        text.replace("path: ./bronze", "path: ./bronze, format: parquet, typed: true"),
    )
    .unwrap();
    desk.connector(&["run"]).await.exits(0);
    desk.assert_each_contact_once().await;
    let truth = desk.org.truth("Contact").unwrap();
    for envelope in desk.contacts().await {
        let id = envelope["key"]["Id"].as_str().unwrap();
        assert_eq!(envelope["record"]["LastName"], truth[id]["LastName"]);
    }
}

#[tokio::test]
async fn a_secret_that_a_template_writes_out_is_not_in_the_registry() {
    let desk = Desk::new(FakeOrg::builder().contacts(5)).await;
    let secret = desk.org.credentials().client_secret.clone();
    let text = fs::read_to_string(desk.path("t.yaml")).unwrap();
    fs::write(desk.path("t.yaml"), text.replace("${secret:sf}", &secret)).unwrap();
    desk.connector(&["run"]).await.exits(0);
    let holds = |text: &str| {
        ["connector.db", "connector.db-wal"].into_iter().any(|file| {
            let bytes = fs::read(desk.path(file)).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    };
    assert!(holds(&desk.org.credentials().client_id), "the configuration is there");
    assert!(!holds(&secret));
}

#[tokio::test]
async fn results_and_logs_do_not_mix() {
    let desk = Desk::new(FakeOrg::builder().contacts(5)).await;
    let run = desk.connector(&["run"]).await.exits(0);
    run.document();
    assert!(!run.err.is_empty());
    for line in run.err.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    let people = finish(desk.start(&["run", "-c", "t.yaml"])).await.exits(0);
    assert!(people.out.contains("succeeded: 0 records"), "{people:#?}");
    assert!(people.err.contains("INFO") && !people.err.contains('\u{1b}'), "{people:#?}");
}

#[tokio::test]
async fn a_run_that_is_interrupted_stops_with_all_it_read_durable_and_the_next_goes_on() {
    let desk = Desk::new(FakeOrg::builder().contacts(10_000)).await;
    for name in ["-INT", "-TERM"] {
        let queries = desk.org.requests().iter().filter(|request| request.path.contains("/query")).count();
        desk.org.faults().on("/query").always().then(slow());
        let run = desk.start(&["--json", "run", "-c", "t.yaml"]);
        desk.until_queried(queries + 8).await;
        signal(&run, name);
        let stopped = finish(run).await.exits(0).document();
        assert_eq!(stopped["status"], "stopped", "{stopped:#}");
        assert!(stopped["error"].is_null());
        let records = stopped["totals"]["records"].as_u64().unwrap();
        assert!(records > 0 && records < 10_000, "{records}");
        desk.org.faults().clear();
    }
    let rest = desk.connector(&["run"]).await.exits(0).document();
    assert!(rest["totals"]["records"].as_u64().unwrap() < 10_000, "{rest:#}");
    desk.assert_each_contact_once().await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_loses_nothing() {
    let desk = Desk::new(FakeOrg::builder().contacts(2_000)).await;
    desk.org.faults().on("/query").skip(6).always().then(Fault::Stall);
    let run = desk.start(&["run", "-c", "t.yaml"]);
    desk.until_queried(7).await;
    signal(&run, "-INT");
    signal(&run, "-TERM");
    let outcome = finish(run).await;
    // The first may already have been enough: the request in hand is given up where nothing is lost by it.
    assert!(matches!(outcome.code, Some(0 | 1)), "{outcome:#?}");
    desk.org.faults().clear();
    desk.connector(&["run"]).await.exits(0);
    desk.assert_each_contact_once().await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "another process takes real time; this is only its end")]
async fn a_connection_that_is_followed_reads_what_is_new_until_it_is_stopped() {
    let desk = Desk::new(FakeOrg::builder().contacts(300)).await;
    let mut run = desk.start(&["--json", "run", "--follow", "--every", "10ms", "-c", "t.yaml"]);
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line =
            tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.expect("another run");
        serde_json::from_str::<Value>(&line.unwrap().expect("it goes on")).unwrap()
    };
    let first = next().await;
    assert_eq!(
        (&first["status"], &first["totals"]["records"]),
        (&json!("succeeded"), &json!(300)),
        "{first:#}"
    );
    desk.org.insert("Contact", &json!({ "LastName": "late" })).unwrap();
    let mut runs = vec![first["run_id"].clone()];
    loop {
        let later = next().await;
        assert_eq!(later["status"], "succeeded", "{later:#}");
        runs.push(later["run_id"].clone());
        if later["totals"]["records"] == 1 {
            break;
        }
        assert_eq!(later["totals"]["records"], 0, "{later:#}");
    }
    signal(&run, "-TERM");
    finish(run).await.exits(0);
    desk.assert_each_contact_once().await;
    runs.dedup();
    let known = desk.connector(&["runs"]).await.exits(0).document();
    assert!(known["runs"].as_array().unwrap().len() >= runs.len(), "each is a run of its own");
}

#[tokio::test]
async fn a_connection_that_is_followed_ends_where_only_a_person_can_help() {
    let desk = Desk::new(FakeOrg::builder().contacts(3)).await;
    desk.org.change_client_secret("another");
    let secret = [("CONNECTOR_SECRET_SF", "canary-of-no-use")];
    let run = start(&desk.path(""), &secret, &["--json", "run", "--follow", "-c", "t.yaml"]);
    let report = finish(run).await.exits(1).document();
    assert_eq!(report["error"]["class"], "Auth", "{report:#}");
}

#[tokio::test]
async fn what_a_run_would_cost_is_told_where_it_is_asked_for() {
    let desk = Desk::new(FakeOrg::builder().contacts(450)).await;
    let check = desk.connector(&["check", "--estimate"]).await.exits(0).document();
    let told = &check["estimates"][0];
    assert_eq!((&told["stream"], &told["records"]), (&json!("Contact"), &json!(450)), "{check:#}");
    assert!(
        told["requests"].as_u64().is_some_and(|requests| requests >= 3),
        "450 rows by pages of 200: {check:#}"
    );
    let people = finish(desk.start(&["check", "--estimate", "-c", "t.yaml"])).await.exits(0);
    assert!(people.out.contains("AT LEAST") && people.out.contains("450"), "{}", people.out);
}

#[tokio::test]
async fn d_02_a_killed_run_is_resumed_with_each_record_once() {
    let desk = Desk::new(FakeOrg::builder().contacts(10_000)).await;
    for queries in [4, 6, 8] {
        desk.org.faults().on("/query").always().then(slow());
        let before = desk.org.requests().iter().filter(|request| request.path.contains("/query")).count();
        let mut run = desk.start(&["run", "-c", "t.yaml"]);
        desk.until_queried(before + queries).await;
        run.kill().await.unwrap();
        desk.org.faults().clear();
    }
    let last = desk.connector(&["run"]).await.exits(0).document();
    assert_eq!(last["status"], "succeeded");
    desk.assert_each_contact_once().await;
    let runs = desk.connector(&["runs"]).await.exits(0).document();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 4);
    assert_eq!(runs["runs"][3]["status"], "running", "a run that was killed could not say how it ended");
}

#[tokio::test]
async fn d_16_a_second_run_at_the_same_time_ends_at_once_and_names_the_owner() {
    let desk = Desk::new(FakeOrg::builder().contacts(10_000)).await;
    let rule = desk.org.faults().on("/query").always().then(slow());
    let first = desk.start(&["--json", "run", "-c", "t.yaml"]);
    desk.until_queried(4).await;
    desk.org.faults().remove(rule);
    let rule = desk.org.faults().on("/query/").always().then(slow());
    let owner = first.id().unwrap();
    let second = desk.connector(&["run"]).await.exits(1).document();
    assert_eq!(second["status"], "failed", "{second:#}");
    let context = &second["error"]["context"];
    assert!(context["owner"].as_str().unwrap().contains(&owner.to_string()), "{second:#}");
    assert!(context["expires_at"].as_str().unwrap().contains('T'), "{second:#}");
    let reset = desk.connector(&["state", "reset", "--stream", "Contact"]).await.exits(1).document();
    assert!(reset["error"]["context"]["owner"].is_string(), "{reset:#}");
    desk.org.faults().remove(rule);
    finish(first).await.exits(0);
    desk.assert_each_contact_once().await;
}

#[tokio::test]
async fn states_are_shown_and_reset() {
    let desk = Desk::new(FakeOrg::builder().contacts(300)).await;
    let none = desk.connector(&["state", "show"]).await.exits(0).document();
    assert_eq!(none, json!({"states": []}));
    desk.connector(&["run"]).await.exits(0);
    let shown = desk.connector(&["state", "show", "--stream", "Contact"]).await.exits(0).document();
    let states = shown["states"].as_array().unwrap();
    let sum: u64 = states.iter().filter_map(|state| state["sequence"].as_u64()).sum();
    assert_eq!(sum, 300, "{shown:#}");
    for state in states {
        assert!(
            state["version"].is_number() && state["updated_at"].is_string() && !state["cursor"].is_null(),
            "{state:#}"
        );
    }
    let mistyped = desk.connector(&["state", "reset", "--stream", "Contct"]).await.exits(2).document();
    assert!(mistyped["error"]["message"].as_str().unwrap().contains("did you mean `Contact`?"));

    let reset = desk.connector(&["state", "reset"]).await.exits(0).document();
    assert_eq!(reset, json!({"reset": ["Contact"]}));
    let again = desk.connector(&["run"]).await.exits(0).document();
    assert_eq!(again["streams"][0]["status"], "succeeded");
    let contacts = desk.contacts().await;
    assert!(contacts.iter().any(|envelope| envelope["operation"] == "reset"), "what was read before is void");
    assert_eq!(
        contacts
            .iter()
            .filter(|envelope| envelope["epoch"] == 1 && envelope["operation"] == "upsert")
            .count(),
        300
    );
}

#[tokio::test]
async fn records_end_where_nobody_reads_on() {
    let desk = Desk::new(FakeOrg::builder().contacts(2_000)).await;
    desk.connector(&["run"]).await.exits(0);
    let three = desk.connector(&["records", "--limit", "3"]).await.exits(0);
    assert_eq!(three.out.lines().count(), 3);
    let none = desk.connector(&["records", "--stream", "Account"]).await.exits(0);
    assert!(none.out.is_empty());

    let mut child = desk.start(&["records", "-c", "t.yaml"]);
    let mut some = [0; 1_000];
    child.stdout.take().unwrap().read_exact(&mut some).await.unwrap();
    let ended = finish(child).await.exits(0);
    assert!(ended.err.is_empty(), "a pipe that is closed is no error: {ended:#?}");
}
