//! The real program, called by anybody: what it answered 2xx stands in Bronze once, whatever kills it whenever.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use connector_sdk::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::crash::{envelopes, until};

const TOKEN: &str = "a-token-that-nobody-guesses";

fn template(folder: &Path) -> PathBuf {
    let path = folder.join("hooks.yaml");
    let text = format!(
        "connector: webhook/receiver\n\
         tenant: acme\n\
         name: crm\n\
         config:\n  listen: 127.0.0.1:0\n  \
         endpoints: [ {{ path: /in, scheme: bearer, secrets: [ {TOKEN} ], id_header: X-Id }} ]\n  \
         journal: {{ path: ./journal }}\n\
         bronze: {{ path: ./bronze, format: jsonl, commit: {{ bytes: 64KiB, interval: 30ms }} }}\n\
         registry: sqlite://./registry.db\n",
    );
    std::fs::write(&path, text).unwrap();
    path
}

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
                return format!("http://{address}/in");
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

/// The status, or none when there was no answer.
async fn send(http: &reqwest::Client, url: &str, id: &str, token: &str) -> Option<u16> {
    let body = json!({ "id": id, "text": "é🦌".repeat(20) }).to_string();
    let request = http.post(url).bearer_auth(token).header("X-Id", id).timeout(Duration::from_secs(10));
    Some(request.body(body).send().await.ok()?.status().as_u16())
}

/// How often each id stands, each record whole; the numbers have no gap.
fn standing(bronze: &Path) -> BTreeMap<String, u32> {
    let mut ids: BTreeMap<String, u32> = BTreeMap::new();
    let mut numbers = Vec::new();
    for envelope in envelopes(bronze, "events") {
        let id = envelope["key"]["id"].as_str().unwrap();
        assert_eq!(envelope["record"]["body"]["id"], id);
        *ids.entry(id.to_owned()).or_default() += 1;
        numbers.push(envelope["sequence"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_until_it_is_asked_to_stop_and_ends_with_all_of_it_in_bronze() {
    let folder = tempfile::tempdir().unwrap();
    let serving = start(&template(folder.path()));
    let url = serving.url();
    let http = reqwest::Client::new();
    for number in 0..50 {
        assert_eq!(send(&http, &url, &number.to_string(), TOKEN).await, Some(200));
        assert_eq!(send(&http, &url, &format!("forged {number}"), "another-token").await, Some(401));
    }
    let (status, report) = serving.terminate().await;
    assert_eq!(status, Some(0), "{report}");
    assert_eq!(report["status"], "stopped");
    assert_eq!(report["streams"][0]["records"], 50, "{report}");
    assert!(folder.path().join("journal").is_dir(), "a path is relative to the template's folder");
    assert_eq!(standing(&folder.path().join("bronze")).len(), 50);
}

/// Fifty times, between the answer and Bronze, in the middle of commits and of syncs, with senders at once: what was
/// answered 2xx stands once; what got no answer stands once or not at all; what was forged never.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d_02_killed_fifty_times_under_load_each_event_that_was_answered_stands_once() {
    let folder = tempfile::tempdir().unwrap();
    let template = template(folder.path());
    let mut random: u64 = 0x2545_F491_4F6C_DD1D;
    let (mut answered, mut unsure) = (BTreeSet::new(), BTreeSet::new());
    let (next, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for kill in 0..50 {
        let mut serving = start(&template);
        let url = serving.url();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let wanted = taken.load(Ordering::SeqCst) + usize::try_from(random % 30).unwrap();
        let senders: Vec<_> = (0..6)
            .map(|sender| {
                let (url, next, taken) = (url.clone(), Arc::clone(&next), Arc::clone(&taken));
                tokio::spawn(async move {
                    let http = reqwest::Client::new();
                    let mut sent = Vec::new();
                    loop {
                        let id = format!("event-{}", next.fetch_add(1, Ordering::SeqCst));
                        let status = send(&http, &url, &id, TOKEN).await;
                        sent.push((id, status));
                        taken.fetch_add(usize::from(status == Some(200)), Ordering::SeqCst);
                        if status.is_none() {
                            return sent;
                        }
                        if sender == 0 {
                            send(&http, &url, &format!("forged-{}", sent.len()), "another-token").await;
                        }
                    }
                })
            })
            .collect();
        // However slow the machine is, so many are answered; and then somewhere in the middle of what comes next.
        assert!(until(&mut serving.child, || taken.load(Ordering::SeqCst) >= wanted).await, "kill {kill}");
        SystemClock::new().sleep(Duration::from_micros(random % 20_000)).await;
        serving.child.kill().unwrap();
        assert_eq!(serving.child.wait().unwrap().signal(), Some(9), "kill {kill}");
        for sender in senders {
            for (id, status) in sender.await.unwrap() {
                match status {
                    Some(200) => answered.insert(id),
                    None => unsure.insert(id),
                    Some(status) => panic!("{id} was answered {status}"),
                };
            }
        }
    }
    assert!(answered.len() > 500 && unsure.len() >= 50, "{} answered, {} not", answered.len(), unsure.len());
    let serving = start(&template);
    let url = serving.url();
    // Who got no answer sends again, as senders do; some of those were taken all the same.
    let http = reqwest::Client::new();
    for id in unsure.iter().take(30) {
        assert_eq!(send(&http, &url, id, TOKEN).await, Some(200));
        answered.insert(id.clone());
    }
    let (status, report) = serving.terminate().await;
    assert_eq!((status, &report["status"]), (Some(0), &json!("stopped")), "{report}");
    let standing = standing(&folder.path().join("bronze"));
    let twice: Vec<_> = standing.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let lost: Vec<_> = answered.iter().filter(|id| !standing.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} of {} that were answered are lost: {lost:?}", lost.len(), answered.len());
    let odd: Vec<_> = standing.keys().filter(|id| !answered.contains(*id) && !unsure.contains(*id)).collect();
    assert!(odd.is_empty(), "nobody who proved itself has sent {odd:?}");
}
