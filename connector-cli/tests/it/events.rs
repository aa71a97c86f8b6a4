//! The real program, called by Slack: it says where it listens, serves until SIGTERM, and loses nothing to SIGKILL.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use connector_sdk::{Clock as _, SystemClock};
use connector_testkit::slack::FakeWorkspace;
use serde_json::{Value, json};

use crate::crash::{envelopes, until};

fn template(folder: &Path, ws: &FakeWorkspace, config: &str) -> PathBuf {
    let path = folder.join("chat.yaml");
    let text = format!(
        "connector: slack/events\n\
         tenant: acme\n\
         name: crm\n\
         config:\n{config}  journal: {{ path: ./journal }}\n\
         bronze: {{ path: ./bronze, format: jsonl, commit: {{ bytes: 8KiB, interval: 30ms }} }}\n\
         registry: sqlite://./registry.db\n\
         network: {{ allow: [127.0.0.0/8], allow_http: true }}\n",
    );
    std::fs::write(&path, text.replace("SECRET", &ws.signing_secret())).unwrap();
    path
}

const HTTP: &str = "  mode: http\n  listen: 127.0.0.1:0\n  signing_secrets: [ SECRET ]\n";

/// A process that serves, and what it said on standard error.
struct Serving {
    child: Child,
    lines: mpsc::Receiver<String>,
}

fn start(template: &Path) -> Serving {
    let mut child = Command::new(env!("CARGO_BIN_EXE_connector"))
        .args(["run", "--json", "-c"])
        .arg(template)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (tell, lines) = mpsc::channel();
    // Read to the end, or the process would wait for us.
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
    Serving { child, lines }
}

impl Serving {
    /// The address of the structured field `listening`.
    fn url(&self) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30)).expect("it listens");
            let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if let Some(address) = said["listening"].as_str() {
                return format!("http://{address}/slack/events");
            }
        }
    }

    /// Asks it to stop, and answers its exit status and its document.
    async fn terminate(mut self) -> (Option<i32>, Value) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        until(&mut self.child, || false).await;
        let output = self.child.wait_with_output().unwrap();
        let said: Vec<String> = self.lines.try_iter().collect();
        let report =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no document; {said:?}"));
        (output.status.code(), report)
    }
}

/// Sends an event as Slack does; true: it was answered 2xx.
async fn send(http: &reqwest::Client, ws: &FakeWorkspace, url: &str, number: usize) -> bool {
    let body = json!({
        "type": "event_callback", "event_id": format!("Ev{number}"), "event_time": 1_234_567_890 + number,
        "event": { "type": "message", "text": "é🦌".repeat(20) },
    });
    let body = body.to_string();
    let seconds = ws.now() / 1000;
    let sent = http
        .post(url)
        .header("X-Slack-Request-Timestamp", seconds.to_string())
        .header("X-Slack-Signature", ws.signature(seconds, body.as_bytes()))
        .timeout(Duration::from_secs(3))
        .body(body)
        .send()
        .await;
    sent.is_ok_and(|answer| answer.status().is_success())
}

/// Each of these stands once, numbered without a gap.
fn assert_once(bronze: &Path, events: usize) {
    let mut ids: BTreeMap<String, u32> = BTreeMap::new();
    let mut numbers = Vec::new();
    for envelope in envelopes(bronze, "events") {
        *ids.entry(envelope["key"]["event_id"].as_str().unwrap().to_owned()).or_default() += 1;
        numbers.push(envelope["sequence"].as_u64().unwrap());
    }
    let expected: BTreeMap<String, u32> = (0..events).map(|number| (format!("Ev{number}"), 1)).collect();
    assert_eq!(ids, expected, "lost, or twice");
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=events as u64).collect::<Vec<_>>());
}

async fn workspace() -> FakeWorkspace {
    FakeWorkspace::builder().channels(1).messages(0).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_until_it_is_asked_to_stop_and_ends_with_all_of_it_in_bronze() {
    let (folder, ws) = (tempfile::tempdir().unwrap(), workspace().await);
    let serving = start(&template(folder.path(), &ws, HTTP));
    let url = serving.url();
    assert!(ws.verify(&url).await);
    let http = reqwest::Client::new();
    for number in 0..50 {
        assert!(send(&http, &ws, &url, number).await);
    }
    let (status, report) = serving.terminate().await;
    assert_eq!(status, Some(0), "{report}");
    assert_eq!(report["status"], "stopped");
    assert_eq!(report["streams"][0]["records"], 50, "{report}");
    assert!(folder.path().join("journal").is_dir(), "a path is relative to the template's folder");
    assert_once(&folder.path().join("bronze"), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_socket_mode_it_serves_alike() {
    let (folder, ws) = (tempfile::tempdir().unwrap(), workspace().await);
    let config = format!("  mode: socket\n  base_url: {}\n  app_token: {}\n", ws.base_url(), ws.app_token());
    let mut serving = start(&template(folder.path(), &ws, &config));
    assert!(until_connected(&mut serving.child, &ws).await);
    let ids: Vec<String> =
        (0..20).map(|n| ws.push_event(json!({ "type": "message", "text": n.to_string() }))).collect();
    let taken =
        || ids.iter().all(|id| ws.deliveries().iter().any(|sent| sent.event_id == *id && sent.acknowledged));
    assert!(until(&mut serving.child, taken).await);
    let (status, report) = serving.terminate().await;
    assert_eq!((status, &report["status"]), (Some(0), &json!("stopped")), "{report}");
    assert_eq!(envelopes(&folder.path().join("bronze"), "events").len(), 20);
}

async fn until_connected(child: &mut Child, ws: &FakeWorkspace) -> bool {
    until(child, || ws.sockets() == 1).await
}

/// Between the answer to Slack and Bronze, again and again: what was answered stands once in the end, and so does what
/// was sent again because no answer came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d_02_killed_between_the_answer_and_bronze_each_event_stands_once() {
    let (folder, ws) = (tempfile::tempdir().unwrap(), workspace().await);
    let template = template(folder.path(), &ws, HTTP);
    let mut random: u64 = 0x2545_F491_4F6C_DD1D;
    let (mut sent, mut killed) = (0, 0);
    for _ in 0..12 {
        let mut serving = start(&template);
        let url = serving.url();
        let http = reqwest::Client::new();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (pause, pid) = (Duration::from_millis(20 + random % 150), serving.child.id());
        let killer = async {
            SystemClock::new().sleep(pause).await;
            serving.child.kill().unwrap();
        };
        let sender = async {
            // One that got no answer is sent again, to the next process: by its id it is the same.
            while send(&http, &ws, &url, sent).await {
                sent += 1;
            }
        };
        tokio::join!(killer, sender);
        assert_eq!(serving.child.wait().unwrap().signal(), Some(9), "process {pid} was killed");
        killed += 1;
    }
    assert!(killed == 12 && sent > 100, "{sent} events");
    let serving = start(&template);
    let url = serving.url();
    let http = reqwest::Client::new();
    for number in 0..=sent {
        assert!(send(&http, &ws, &url, number).await, "also those that it has");
    }
    let (status, report) = serving.terminate().await;
    assert_eq!((status, &report["status"]), (Some(0), &json!("stopped")), "{report}");
    assert_once(&folder.path().join("bronze"), sent + 1);
}
