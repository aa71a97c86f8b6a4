//! Several processes on one registry, some of which are killed. A child is this test program again, running
//! the ignored test below with a task in its environment.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use connector_host::registry::{Registry, SqliteRegistry};
use connector_sdk::{Checkpoint, Class, Clock, SystemClock};
use sqlx::ConnectOptions;

use super::{LEASE, TestClock, commit, context, in_time, key};

const TASK: &str = "REGISTRY_TEST_TASK";
const FILE: &str = "REGISTRY_TEST_FILE";
const SAYS: &str = "child: ";

/// A child at work. Killed when dropped, so that a failed test leaves none behind.
struct Worker {
    child: Child,
    says: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(task: &str, file: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["registry::processes::child", "--exact", "--ignored", "--nocapture"])
            .env(TASK, task)
            .env(FILE, file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, says }
    }

    /// What it says next; none when it has ended.
    fn hear(&mut self) -> Option<String> {
        self.says.by_ref().map(Result::unwrap).find_map(|line| Some(line.split_once(SAYS)?.1.to_owned()))
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    fn kill(&mut self) {
        self.child.kill().unwrap(); // SIGKILL
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(what: impl std::fmt::Display) {
    println!("{SAYS}{what}");
}

fn wait_for_word() {
    std::io::stdin().lock().lines().next().unwrap().unwrap();
}

#[test]
#[ignore = "the tests beside it run this as a child process"]
#[allow(clippy::disallowed_methods, reason = "a child of a test is told what to do by its environment")]
fn child() {
    let (Ok(task), Ok(file)) = (std::env::var(TASK), std::env::var(FILE)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(in_time(work(&task, PathBuf::from(file))));
}

async fn work(task: &str, file: PathBuf) {
    let registry = SqliteRegistry::open(&file, SystemClock::shared()).await.unwrap();
    let (task, name) = task.split_once(' ').unwrap_or((task, ""));
    match task {
        "hold" => {
            let lease = registry.claim(&key("Contact"), "the child's run", LEASE).await.unwrap().lease;
            registry.checkpoint(&lease, &[commit("p", 3)]).await.unwrap();
            say("claimed");
            wait_for_word();
            let refused = registry.checkpoint(&lease, &[commit("p", 9)]).await.unwrap_err();
            say(format!("{:?} {}", refused.class(), context(&refused, "fence").unwrap()));
        }
        "commit" => {
            let claim = registry.claim(&key("Contact"), "the child's run", LEASE).await.unwrap();
            let state = registry.load(&key("").tenant, &key("").connection, &"Contact".into()).await.unwrap();
            let first = state.partitions.get("a").map_or(0, |known| known.sequence) + 1;
            for n in first.. {
                let commits = ["a", "b", "c"].map(|partition| commit(partition, n));
                registry.checkpoint(&claim.lease, &commits).await.unwrap();
                say(n);
            }
        }
        "claim" => {
            say("ready");
            wait_for_word();
            match registry.claim(&key("Contact"), name, LEASE).await {
                Ok(claim) => say(format!("won {}", claim.lease.fence)),
                Err(error) => say(format!("{:?} {}", error.class(), context(&error, "owner").unwrap())),
            }
            wait_for_word(); // alive, and thus the owner, until everybody has tried
        }
        "write" => {
            let lease = registry.claim(&key(name), "the child's run", LEASE).await.unwrap().lease;
            for n in 1..=40 {
                registry.checkpoint(&lease, &[commit("p", n)]).await.unwrap();
                registry.load(&lease.tenant, &lease.connection, &lease.stream).await.unwrap();
            }
            registry.release(&lease).await.unwrap();
            say("done");
        }
        other => panic!("no task {other}"),
    }
}

#[tokio::test]
async fn a_killed_owner_is_replaced_at_once() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.db");
        let mut owner = Worker::start("hold", &file);
        assert_eq!(owner.hear().unwrap(), "claimed");
        let registry = SqliteRegistry::open(&file, SystemClock::shared()).await.unwrap();
        let error = registry.claim(&key("Contact"), "the second run", LEASE).await.unwrap_err();
        assert_eq!(
            (error.class(), context(&error, "owner").unwrap().as_str()),
            (Class::Transient, "the child's run")
        );
        assert!(context(&error, "expires_at").is_some());
        owner.kill();
        let claim = registry.claim(&key("Contact"), "the second run", LEASE).await.unwrap();
        assert_eq!((claim.takeover, claim.lease.fence), (true, 2));
        let state =
            registry.load(&claim.lease.tenant, &claim.lease.connection, &claim.lease.stream).await.unwrap();
        assert_eq!(state.partitions["p"].sequence, 3);
        let locks = std::fs::read_dir(folder.path().join("r.db.owners")).unwrap().count();
        assert_eq!(locks, 2, "the dead owner's file is gone; ours and the one of opening stay");
    })
    .await;
}

#[tokio::test]
async fn d_16_a_process_that_was_paused_past_its_lease_cannot_write() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.db");
        let mut paused = Worker::start("hold", &file);
        assert_eq!(paused.hear().unwrap(), "claimed");
        // The child waits, with its lock held; for us an hour has gone by.
        let later = TestClock::at(SystemClock::new().now().as_millis() + 3_600_000);
        let registry = SqliteRegistry::open(&file, later).await.unwrap();
        let claim = registry.claim(&key("Contact"), "the second run", LEASE).await.unwrap();
        assert!(claim.takeover);
        registry.checkpoint(&claim.lease, &[commit("p", 5)]).await.unwrap();
        paused.tell("wake up");
        assert_eq!(paused.hear().unwrap(), "Permanent 1");
        let state =
            registry.load(&claim.lease.tenant, &claim.lease.connection, &claim.lease.stream).await.unwrap();
        assert_eq!(state.partitions["p"].sequence, 5);
    })
    .await;
}

#[tokio::test]
async fn d_01_what_was_acknowledged_survives_a_kill_at_any_moment() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.db");
        let mut stands = 0;
        for round in 1..=20_u64 {
            let mut worker = Worker::start("commit", &file);
            // A different number of commits, then a different while into the next one.
            for _ in 0..=round * 7 % 11 {
                stands = worker.hear().unwrap().parse().unwrap();
            }
            for _ in 0..round * 7919 % 20 * 10_000 {
                std::hint::spin_loop();
            }
            worker.kill();
            while let Some(late) = worker.hear() {
                stands = late.parse().unwrap(); // said before it was killed, not heard yet
            }
            let registry = SqliteRegistry::open(&file, SystemClock::shared()).await.unwrap();
            let state = registry.load(&key("").tenant, &key("").connection, &"Contact".into()).await.unwrap();
            let found: Vec<u64> = state.partitions.values().map(|known| known.sequence).collect();
            assert!(
                found == [stands; 3] || found == [stands + 1; 3],
                "round {round}: {found:?}, said {stands}"
            );
            stands = found[0];
        }
        let mut db = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
        let verdict: String = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut db).await.unwrap();
        assert_eq!(verdict, "ok");
    })
    .await;
}

#[tokio::test]
async fn of_processes_that_claim_at_once_one_wins_and_the_others_learn_who() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.db");
        let mut owner = Worker::start("hold", &file);
        assert_eq!(owner.hear().unwrap(), "claimed");
        let mut claimants: Vec<_> = (0..4).map(|n| Worker::start(&format!("claim run {n}"), &file)).collect();
        for claimant in &mut claimants {
            assert_eq!(claimant.hear().unwrap(), "ready");
        }
        owner.kill();
        claimants.iter_mut().for_each(|claimant| claimant.tell("claim"));
        let answers: Vec<String> = claimants.iter_mut().map(|claimant| claimant.hear().unwrap()).collect();
        let winner = answers.iter().position(|answer| answer == "won 2").expect("one wins");
        for (n, answer) in answers.iter().enumerate().filter(|(n, _)| *n != winner) {
            assert_eq!(*answer, format!("Transient run {winner}"), "run {n}");
        }
    })
    .await;
}

#[tokio::test]
async fn processes_that_write_at_once_wait_for_each_other() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.db");
        let mut workers: Vec<_> = ["a", "b", "c"].map(|s| Worker::start(&format!("write {s}"), &file)).into();
        for worker in &mut workers {
            assert_eq!(worker.hear().unwrap(), "done");
        }
        let registry: Arc<dyn Registry> =
            Arc::new(SqliteRegistry::open(&file, SystemClock::shared()).await.unwrap());
        let states = registry.states(&key("").tenant, &key("").connection).await.unwrap();
        assert_eq!(states.len(), 3);
        assert!(states.iter().all(|stored| stored.state.partitions["p"].sequence == 40));
    })
    .await;
}
