//! The real program sends webhooks: what it accepted arrives, under one id, whatever kills it whenever.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use connector_sdk::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::crash::{envelopes, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An endpoint that takes each third message only when it comes again; ids and bodies in the order in which they came.
struct Endpoint {
    address: SocketAddr,
    received: Arc<Mutex<Vec<(String, String)>>>,
}

impl Endpoint {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let log = Arc::clone(&log);
                std::thread::spawn(move || serve(socket, &log));
            }
        });
        Self { address, received }
    }

    fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// The bodies that came, by id.
    fn by_id(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (id, body) in self.received.lock().unwrap().iter() {
            found.entry(id.clone()).or_default().insert(body.clone());
        }
        found
    }
}

fn serve(mut socket: TcpStream, log: &Mutex<Vec<(String, String)>>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let field = |name: &str| {
                let line = head.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().trim().to_owned()
            };
            if body.len() >= field("content-length:").parse().unwrap_or(0) {
                let id = field("webhook-id:");
                let mut log = log.lock().unwrap();
                let is_first = !log.iter().any(|(known, _)| *known == id);
                log.push((id, body.to_owned()));
                let status = if is_first && log.len().is_multiple_of(3) { "500 No" } else { "200 OK" };
                drop(log);
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = socket.write_all(answer.as_bytes());
                return;
            }
        }
        match socket.read(&mut chunk) {
            Ok(count @ 1..) => bytes.extend_from_slice(chunk.get(..count).unwrap()),
            _ => return,
        }
    }
}

fn template(folder: &Path, endpoint: &Endpoint) -> PathBuf {
    let path = folder.join("hooks.yaml");
    let text = format!(
        "connector: webhook/sender\n\
         tenant: acme\n\
         name: crm\n\
         config:\n  url: http://{}/hooks\n  secrets: [ {SECRET} ]\n  \
         schedule: [ 0s, 200ms, 200ms, 200ms, 200ms, 200ms ]\n  outbox: {{ path: ./outbox }}\n\
         bronze: {{ path: ./bronze, format: jsonl, commit: {{ bytes: 8KiB, interval: 30ms }} }}\n\
         registry: sqlite://./registry.db\n\
         network: {{ allow: [127.0.0.0/8], allow_http: true }}\n",
        endpoint.address,
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn start(template: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_connector"))
        .args(["run", "--json", "-c"])
        .arg(template)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts")
}

/// One message, by a process of its own.
fn send(template: &Path, number: usize) -> Child {
    let input =
        json!({ "id": format!("msg-{number}"), "payload": { "number": number, "text": "é🦌".repeat(20) } });
    Command::new(env!("CARGO_BIN_EXE_connector"))
        .args(["act", "send", "--json", "--input", &input.to_string(), "-c"])
        .arg(template)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn accepted(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.signal().is_some() {
        return false;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no document: {said}"));
    assert_eq!(document["status"], "accepted", "{document}");
    true
}

async fn terminate(mut child: Child) -> Value {
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    until(&mut child, || false).await;
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Delivers what is left, and ends.
async fn settle(template: &Path, folder: &Path) -> Value {
    let mut running = start(template);
    let empty = || {
        ["new", "queue"].iter().all(|name| {
            std::fs::read_dir(folder.join("outbox").join(name)).is_ok_and(|mut files| files.next().is_none())
        })
    };
    // It has looked at the folder before it is empty for good.
    assert!(until(&mut running, empty).await);
    terminate(running).await
}

/// What became of each message, as Bronze tells it: numbered without a gap.
fn told(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut numbers = Vec::new();
    for envelope in envelopes(&folder.join("bronze"), "deliveries") {
        let id = envelope["key"]["id"].as_str().unwrap().to_owned();
        found.entry(id).or_default().push(envelope["record"]["status"].as_str().unwrap().to_owned());
        numbers.push(envelope["sequence"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_delivered_by_a_run_which_ends_when_it_is_asked_to() {
    let (folder, endpoint) = (tempfile::tempdir().unwrap(), Endpoint::start());
    let template = template(folder.path(), &endpoint);
    assert!(accepted(&send(&template, 0).wait_with_output().unwrap()));
    let mut running = start(&template);
    assert!(until(&mut running, || endpoint.count() == 1).await);
    // Another process puts one in while this one delivers.
    assert!(accepted(&send(&template, 1).wait_with_output().unwrap()));
    assert!(until(&mut running, || endpoint.count() == 2).await);
    let report = terminate(running).await;
    assert_eq!(report["status"], "stopped", "{report}");
    let told = told(folder.path());
    assert_eq!(told.len(), 2, "{report}");
    assert!(told.values().all(|status| status == &["delivered"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_no_message_is_lost_and_what_comes_twice_has_one_id() {
    let (folder, endpoint) = (tempfile::tempdir().unwrap(), Endpoint::start());
    let template = template(folder.path(), &endpoint);
    let mut random: u64 = 0x2545_F491_4F6C_DD1D;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let (mut number, mut taken) = (0, BTreeSet::new());
    for round in 0..15 {
        let mut running = start(&template);
        let mut senders: Vec<(usize, Child)> = Vec::new();
        for _ in 0..4 {
            senders.push((number, send(&template, number)));
            number += 1;
        }
        SystemClock::new().sleep(Duration::from_millis(30 + next() % 250)).await;
        running.kill().unwrap();
        assert_eq!(running.wait().unwrap().signal(), Some(9));
        for (place, (number, mut sender)) in senders.into_iter().enumerate() {
            if place == 0 && round % 2 == 0 {
                // Who puts something in may die too; then nobody was told that it is kept.
                let _ = sender.kill();
            }
            if accepted(&sender.wait_with_output().unwrap()) {
                taken.insert(format!("msg-{number}"));
            }
        }
    }
    let report = settle(&template, folder.path()).await;
    assert_eq!(report["status"], "stopped", "{report}");
    let (arrived, told) = (endpoint.by_id(), told(folder.path()));
    assert!(taken.len() >= 45, "{}", taken.len());
    for id in &taken {
        assert!(arrived.contains_key(id), "{id} is lost");
        assert_eq!(told.get(id).map(Vec::as_slice), Some(&["delivered".to_owned()][..]), "{id}");
    }
    assert!(arrived.values().all(|bodies| bodies.len() == 1), "one id, one body");
    println!("{} accepted, {} attempts, {} kills", taken.len(), endpoint.count(), 15);
}
