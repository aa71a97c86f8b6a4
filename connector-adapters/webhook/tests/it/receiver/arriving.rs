//! What arrives in Bronze, and how often.

use std::io::Write as _;

use connector_host::report::RunStatus;
use connector_sdk::Clock as _;
use connector_testkit::memory::Faults;
use serde_json::{Value, json};

use super::{SECRET, World, github, hub, mac, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_says_what_came_where_and_when_and_its_body_is_untouched() {
    let world = World::new();
    let mut running = world.run(&github(json!({})));
    let url = running.url("/in").await;
    let odd = r#"  {"b":1.50e+02,"a":"\u00e9\/é🦌 ","n":123456789012345678901234567890 ,"d":{"x":1,"x":2}}"#;
    let headers = [
        ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("X-Hub-Signature-256", &*hub(SECRET, odd.as_bytes())),
        ("X-GitHub-Event", "push"),
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer canary"),
        ("Cookie", "session=canary"),
    ];
    assert_eq!(world.send(&url, &headers, odd.as_bytes()).await.status().as_u16(), 200);
    assert_eq!(world.push(&url, "two", b"a=1&b=2").await, 200);
    assert_eq!(world.push(&url, "three", b"\xff\x00").await, 200);
    assert_eq!(world.push(&url, "four", b"").await, 200);
    until("they are in Bronze", || world.bronze().len() == 4).await;
    let report = running.stop().await;
    assert_eq!(report.status, RunStatus::Stopped, "{:?}", report.error);
    let standing = world.bronze();
    assert!(standing[0].record.contains(&format!("\"body\":{}", odd.trim())), "{}", standing[0].record);
    let records = world.records();
    let first = &records[0];
    assert_eq!(first["id"], "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!((&first["endpoint"], &first["scheme"]), (&json!("/in"), &json!("github")));
    assert_eq!(first["content_type"], "application/json");
    assert_eq!(first["headers"]["x-github-event"], "push");
    assert!(!standing[0].record.contains("canary") && first["headers"].get("x-hub-signature-256").is_none());
    let received: connector_sdk::Timestamp = first["received_at"].as_str().unwrap().parse().unwrap();
    assert!(world.clock.now().saturating_since(received) < std::time::Duration::from_secs(60));
    let key: Value = serde_json::from_str(&standing[0].key).unwrap();
    assert_eq!(key, json!({ "endpoint": "/in", "id": "72d3162e-cc78-11e3-81ab-4c9367dc0958" }));
    assert_eq!(records[1]["body"], "a=1&b=2");
    assert_eq!((&records[2]["body_base64"], records[2].get("body")), (&json!("/wA="), None));
    assert_eq!(records[3]["body"], "");
    assert_eq!(records[3]["content_type"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_again_stands_once_per_endpoint_also_across_restarts() {
    let world = World::new();
    let config = github(json!({ "endpoints": [
        { "path": "/one", "scheme": "github", "secrets": [SECRET] },
        { "path": "/two", "scheme": "github", "secrets": [SECRET] },
    ]}));
    for life in 0..3 {
        let mut running = world.run(&config);
        let base = running.url("").await;
        for path in ["/one", "/two", "/one"] {
            assert_eq!(world.push(&format!("{base}{path}"), "same", b"{}").await, 200);
        }
        assert_eq!(world.push(&format!("{base}/one"), &format!("own-{life}"), b"{}").await, 200);
        running.stop().await;
        assert_eq!(world.ids().len(), 3 + life, "{:?}", world.ids());
    }
}

/// What has no id is told apart by its place, its time and its body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_id_the_same_body_at_the_same_time_is_the_same_event() {
    let world = World::new();
    let config = github(json!({ "endpoints": [
        { "path": "/mac", "scheme": "hmac", "secrets": ["s"], "hmac": { "header": "X-Mac" } },
        { "path": "/named", "scheme": "none", "id_header": "X-Id" },
    ]}));
    let mut running = world.run(&config);
    let base = running.url("").await;
    for body in [&b"one"[..], b"two", b"one"] {
        let answer = world.send(&format!("{base}/mac"), &[("X-Mac", &mac("s", body))], body).await;
        assert_eq!(answer.status().as_u16(), 200);
    }
    for id in ["a", "b", "a"] {
        let answer = world.send(&format!("{base}/named"), &[("X-Id", id)], b"same").await;
        assert_eq!(answer.status().as_u16(), 200);
    }
    running.stop().await;
    let bodies: Vec<Value> = world.records().iter().map(|record| record["body"].clone()).collect();
    assert_eq!(bodies, ["one", "two", "same", "same"]);
    assert!(world.ids()[0].starts_with("sha256:"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_endpoint_is_said_once_and_answered_410_ever_after() {
    let world = World::new();
    let endpoint = |path: &str| json!({ "path": path, "scheme": "github", "secrets": [SECRET] });
    let with = |paths: &[&str]| {
        github(json!({ "endpoints": paths.iter().map(|path| endpoint(path)).collect::<Vec<_>>() }))
    };
    let mut deletes = Vec::new();
    for (paths, other, told) in [
        (&["/a", "/b"][..], 200, 0),
        (&["/a"], 410, 1),
        (&["/a"], 410, 1),
        (&["/a", "/b"], 200, 1),
        (&["/a"], 410, 2),
    ] {
        let mut running = world.run(&with(paths));
        let base = running.url("").await;
        let id = format!("d{}", world.bronze().len());
        assert_eq!(world.push(&format!("{base}/a"), &id, b"{}").await, 200);
        assert_eq!(world.push(&format!("{base}/b"), &id, b"{}").await, other, "{paths:?}");
        assert_eq!(world.push(&format!("{base}/c"), &id, b"{}").await, 404);
        running.stop().await;
        deletes = world
            .bronze()
            .into_iter()
            .filter(|standing| standing.operation == connector_sdk::Operation::Delete)
            .collect();
        assert_eq!(deletes.len(), told, "{paths:?}");
    }
    for delete in deletes {
        assert_eq!(delete.key, r#"{"endpoint":"/b"}"#);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_proved_as_it_came_and_kept_as_it_was() {
    let world = World::new();
    let mut running = world.run(&github(json!({ "gzip": true, "max_body": 1000 })));
    let url = running.url("/in").await;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let send = async |id: &str, wire: &[u8]| {
        let headers = [
            ("X-GitHub-Delivery", id),
            ("X-Hub-Signature-256", &*hub(SECRET, wire)),
            ("Content-Encoding", "gzip"),
        ];
        world.send(&url, &headers, wire).await.status().as_u16()
    };
    assert_eq!(send("small", &gzip(br#"{"a":1}"#)).await, 200);
    assert_eq!(send("bomb", &gzip(&vec![0; 1 << 20])).await, 413);
    assert_eq!(send("none", b"no gzip").await, 400);
    running.stop().await;
    assert_eq!(world.records()[0]["body"], json!({ "a": 1 }));
    assert_eq!(world.ids(), ["small"]);
}

/// A state that names another journal: positions of it mean nothing here, and nothing here is passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_was_moved_away_is_begun_anew() {
    let world = World::new();
    let mut all = Vec::new();
    for life in 0..2 {
        let mut running = world.run(&github(json!({})));
        let url = running.url("/in").await;
        for number in 0..5 - life {
            let id = format!("d{life}-{number}");
            assert_eq!(world.push(&url, &id, b"{}").await, 200);
            all.push(id);
        }
        running.stop().await;
        let journal = world.folder.path().join("journal");
        std::fs::rename(&journal, world.folder.path().join(format!("old {life}"))).unwrap();
    }
    assert_eq!(world.ids(), all);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Somebody restores an older copy of the journal, and the first run after that ends before Bronze has anything of it: in
/// the next one the old state must not mean positions that were given to other events since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_journal_that_was_restored_loses_nothing_of_what_came_since_though_a_run_fails() {
    let world = World::new();
    let (journal, old) = (world.folder.path().join("journal"), world.folder.path().join("old"));
    let push = async |names: &[&str]| {
        let mut running = world.run(&github(json!({})));
        let url = running.url("/in").await;
        for name in names {
            assert_eq!(world.push(&url, name, b"{}").await, 200);
        }
        running
    };
    push(&["a1", "a2", "a3", "a4"]).await.stop().await;
    copy(&journal, &old);
    push(&["lost1", "lost2"]).await.stop().await;
    std::fs::remove_dir_all(&journal).unwrap();
    copy(&old, &journal);
    let running = push(&[]).await;
    // What it found is written down before anything comes.
    connector_sdk::SystemClock::new().sleep(std::time::Duration::from_millis(500)).await;
    world.sink.set_faults(Faults { fail_commit_after: Some(0), ..Faults::default() });
    let mut running = running;
    let url = running.url("/in").await;
    let mut taken = Vec::new();
    for number in 0..5 {
        let id = format!("new{number}");
        let headers = [("X-GitHub-Delivery", id.clone()), ("X-Hub-Signature-256", hub(SECRET, b"{}"))];
        let request = headers
            .into_iter()
            .fold(world.http.post(&url).body("{}"), |request, (name, value)| request.header(name, value));
        if request.send().await.is_ok_and(|answer| answer.status().is_success()) {
            taken.push(id);
        }
    }
    assert!(!taken.is_empty());
    assert_eq!(running.end().await.status, RunStatus::Failed);
    world.sink.set_faults(Faults::default());
    let mut running = push(&["last"]).await;
    let _ = running.url("/in").await;
    running.stop().await;
    taken.push("last".to_owned());
    let ids = world.ids();
    assert_eq!(ids[6..], taken, "{ids:?}");
}
