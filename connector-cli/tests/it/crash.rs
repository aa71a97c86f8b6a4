//! The real process, killed with SIGKILL again and again: Bronze must hold each record once (rule D-02).

use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use connector_testkit::salesforce::FakeOrg;
use serde_json::Value;

/// A template for one connection to the org; small commits, so that there is much to be interrupted.
fn template(folder: &Path, org: &FakeOrg, format: &str) -> PathBuf {
    let path = folder.join("crm.yaml");
    let credentials = org.credentials();
    let text = format!(
        "connector: salesforce/rest\n\
         tenant: acme\n\
         name: crm\n\
         config:\n  instance_url: {url}\n  page_size: 200\n  \
         auth: {{ client_credentials: {{ client_id: {id}, client_secret: {secret} }} }}\n\
         streams: [ {{ name: Contact, mode: incremental }}, {{ name: Account, mode: incremental }} ]\n\
         bronze: {{ path: ./bronze, format: {format}, commit: {{ bytes: 256KiB, interval: 50ms }} }}\n\
         registry: sqlite://./registry.db\n\
         network: {{ allow: [127.0.0.0/8], allow_http: true }}\n",
        url = org.url(),
        id = credentials.client_id,
        secret = credentials.client_secret,
    );
    std::fs::write(&path, text).unwrap();
    path
}

pub(crate) fn start(template: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_connector"))
        .args(["run", "--json", "-c"])
        .arg(template)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

/// Waits for `done`, or for the process to end. Real time passes here because a real process runs; the
/// deadline only ends a test that hangs.
#[expect(clippy::disallowed_methods, reason = "a real process runs in real time")]
pub(crate) async fn until(child: &mut Child, done: impl Fn() -> bool) -> bool {
    for _ in 0..60_000 {
        if done() {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let _ = child.kill();
    panic!("the process hangs");
}

/// Runs to the end, and answers the run document.
pub(crate) async fn finish(template: &Path) -> Value {
    let mut child = start(template);
    until(&mut child, || false).await;
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no document; stderr: {errors}"))
}

/// Every envelope of a stream in Bronze, from the JSON lines below its folder.
pub(crate) fn envelopes(bronze: &Path, stream: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for day in std::fs::read_dir(bronze.join("acme/crm").join(stream)).unwrap() {
        let day = day.unwrap();
        if day.file_name().to_string_lossy().starts_with('_') || !day.path().is_dir() {
            continue;
        }
        for file in std::fs::read_dir(day.path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
            }
        }
    }
    found
}

/// Each (partition, epoch, sequence) once, without a gap; each version of each record once; the newest
/// version of each record is the org's.
fn assert_equals_truth(bronze: &Path, stream: &str, org: &FakeOrg) {
    let all = envelopes(bronze, stream);
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut versions: BTreeMap<(String, String), u32> = BTreeMap::new();
    // The vendor's times have whole seconds: of two edits in one second, the one read later is newer.
    let mut newest: BTreeMap<String, ((String, u64, u64), Value)> = BTreeMap::new();
    for envelope in &all {
        let text = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
        numbers.entry(text("partition")).or_default().push(envelope["sequence"].as_u64().unwrap());
        let id = envelope["key"]["Id"].as_str().unwrap().to_owned();
        // Two edits with one timestamp are two records (rule D-08), told apart by what they say.
        *versions.entry((id.clone(), envelope["record"].to_string())).or_default() += 1;
        let number = |name: &str| envelope[name].as_u64().unwrap_or_default();
        let rank = (text("cursor"), number("extracted_at"), number("sequence"));
        let entry = newest.entry(id).or_default();
        if rank >= entry.0 {
            *entry = (rank, envelope["record"].clone());
        }
    }
    for (partition, mut found) in numbers {
        found.sort_unstable();
        let expected: Vec<u64> = (1..=found.len() as u64).collect();
        assert_eq!(found, expected, "{stream}: the numbers of {partition} have a gap or a repeat");
    }
    let repeated: Vec<_> = versions.iter().filter(|(_, count)| **count > 1).collect();
    assert!(repeated.is_empty(), "{stream}: stand twice: {repeated:?}");
    let truth = org.truth(stream).unwrap();
    assert_eq!(newest.len(), truth.len(), "{stream}: another number of records than the org has");
    for (id, (_, record)) in newest {
        let expected = &truth[&id];
        for (name, value) in expected.as_object().unwrap() {
            let got = &record[name];
            assert!(
                got == value || got.is_null() && value.is_null(),
                "{stream} {id} {name}: {got} is not {value}"
            );
        }
    }
}

/// Kills so often, and compares in the end.
async fn sweep(kills: usize, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let org = FakeOrg::builder()
        .seed(11)
        .contacts(20_000)
        .deleted_contacts(300)
        .accounts(3_000)
        .start()
        .await
        .unwrap();
    let template = template(folder.path(), &org, "jsonl");
    let mut random = seed;
    let mut done = 0;
    while done < kills {
        // Somebody works in the org meanwhile.
        org.touch("Contact", 50).unwrap();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let served = org.counters().requests;
        let after = random % 40;
        let mut child = start(&template);
        let alive = until(&mut child, || org.counters().requests >= served + after).await;
        // Somewhere between this request and the next commit: a few microseconds to some milliseconds.
        for _ in 0..random % 50_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        // One that had ended by itself was not killed.
        let alive = alive && child.wait().unwrap().signal() == Some(9);
        done += usize::from(alive);
        if !alive {
            // It had read everything: give it more to do.
            org.touch("Contact", 5_000).unwrap();
        }
    }
    let report = finish(&template).await;
    assert_eq!(report["status"], "succeeded", "{report}");
    for stream in ["Contact", "Account"] {
        assert_equals_truth(&folder.path().join("bronze"), stream, &org);
    }
    let again = finish(&template).await;
    assert_eq!(again["totals"]["records"], 0, "nothing has changed since: {again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d_02_killed_at_random_points_each_record_stands_once() {
    sweep(20, 0x2545_F491_4F6C_DD1D).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn d_02_the_same_five_hundred_times() {
    for seed in 1..=20_u64 {
        sweep(25, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)).await;
    }
}
