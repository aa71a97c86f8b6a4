//! The real program, killed with SIGKILL, over a vendor that forgets what was acknowledged: nothing is acknowledged that
//! would be missed (rules D-01 and D-02).

mod connector;
mod vendor;

use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use crate::crash::{envelopes, until};
use vendor::Queue;

/// Where the child finds what to run.
const TEMPLATE: &str = "QUEUE_TEMPLATE";

fn template(folder: &Path, queue: &Queue) -> PathBuf {
    let path = folder.join("crm.yaml");
    let text = format!(
        "connector: queue/rest\n\
         tenant: acme\n\
         name: crm\n\
         config: {{ url: {url} }}\n\
         streams: [ {{ name: items }} ]\n\
         bronze: {{ path: ./bronze, format: jsonl, commit: {{ bytes: 8KiB, interval: 20ms }} }}\n\
         registry: sqlite://./registry.db\n\
         network: {{ allow: [127.0.0.0/8], allow_http: true }}\n",
        url = queue.vendor.url(),
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// The program `connector` with the queue in it: this very test binary, which runs the test below.
fn start(template: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "queue::the_program_that_is_killed",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(TEMPLATE, template)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts")
}

#[test]
#[ignore = "started by the tests beside it, and killed"]
fn the_program_that_is_killed() {
    let Some(template) = std::env::var_os(TEMPLATE) else { return };
    let args = ["connector".into(), "run".into(), "--json".into(), "-c".into(), template];
    let exit = connector_cli::run(args, |connectors| connectors.register(connector::connector()));
    assert_eq!(exit, ExitCode::SUCCESS);
}

/// Each item there ever was stands once, numbered without a gap, and the vendor has nothing left.
fn assert_whole(bronze: &Path, queue: &Queue) {
    let mut ids: BTreeMap<u64, u32> = BTreeMap::new();
    let mut numbers = Vec::new();
    for envelope in envelopes(bronze, "items") {
        *ids.entry(envelope["key"]["id"].as_u64().unwrap()).or_default() += 1;
        numbers.push(envelope["sequence"].as_u64().unwrap());
    }
    let kept = queue.kept();
    let expected: BTreeMap<u64, u32> = (1..=kept.ever).map(|id| (id, 1)).collect();
    assert_eq!(ids, expected, "lost, or twice");
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=kept.ever).collect::<Vec<_>>());
    assert!(kept.items.is_empty(), "what is durable was acknowledged");
}

/// Kills so often, and compares in the end.
async fn sweep(kills: usize, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::serve().await;
    queue.put(300);
    let template = template(folder.path(), &queue);
    let mut random = seed;
    let mut done = 0;
    while done < kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Anywhere between two requests of the vendor: a page, an acknowledgement, and a commit in between.
        let after = queue.vendor.requests() + random % 24;
        let mut child = start(&template);
        let alive = until(&mut child, || queue.vendor.requests() >= after).await;
        for _ in 0..random % 50_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        // One that had ended by itself was not killed.
        let alive = alive && child.wait().unwrap().signal() == Some(9);
        done += usize::from(alive);
        queue.put(if alive { 40 } else { 300 });
    }
    let mut child = start(&template);
    until(&mut child, || false).await;
    assert!(child.wait().unwrap().success());
    assert_whole(&folder.path().join("bronze"), &queue);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d_01_a_queue_that_forgets_loses_nothing_however_often_its_reader_is_killed() {
    sweep(20, 0x2545_F491_4F6C_DD1D).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn d_01_the_same_five_hundred_times() {
    for seed in 1..=20_u64 {
        sweep(25, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)).await;
    }
}
