//! A folder with a template, a fake org, and the binary.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use connector_testkit::salesforce::{Builder, FakeOrg};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// No command of these tests takes this long, on a machine however busy.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// Standard output as the one JSON document that it has to be.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// Starts the binary with a clean environment.
pub(crate) fn start(folder: &std::path::Path, env: &[(&str, &str)], arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_connector"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "another process takes real time; this is only its end")]
pub(crate) async fn finish(child: Child) -> Outcome {
    let output =
        tokio::time::timeout(DEADLINE, child.wait_with_output()).await.expect("the command ends").unwrap();
    keep("out", &output.stdout);
    keep("err", &output.stderr);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Where everything is kept that the binary puts out, to be looked through for secrets when all tests are done.
#[expect(clippy::disallowed_methods, reason = "a test program is the edge too")]
fn kept() -> Option<PathBuf> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::var("CONNECTOR_KEEP_OUTPUT").ok()?;
    Some(PathBuf::from(folder).join(format!("{}-{number}", std::process::id())))
}

fn keep(kind: &str, bytes: &[u8]) {
    if let Some(path) = kept() {
        fs::write(path.with_extension(kind), bytes).unwrap();
    }
}

/// Runs the binary in an empty folder.
pub(crate) async fn connector(arguments: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    finish(start(folder.path(), &[], arguments)).await
}

/// A connection to a fake org.
pub(crate) struct Desk {
    pub(crate) org: FakeOrg,
    folder: TempDir,
}

impl Desk {
    pub(crate) async fn new(org: Builder) -> Self {
        let desk = Self { org: org.start().await.unwrap(), folder: tempfile::tempdir().unwrap() };
        desk.write("");
        desk
    }

    /// Writes the template, with more lines at its end.
    pub(crate) fn write(&self, more: &str) {
        let more = if more.contains("streams:") {
            more.to_owned()
        } else {
            format!("streams: [{{ name: Contact }}]\n{more}")
        };
        let text = format!(
            "connector: salesforce/rest\ntenant: acme\nname: acme-crm\nconfig:\n  instance_url: {}\n  page_size: 200\n  \
             auth: {{ client_credentials: {{ client_id: \"{}\", client_secret: \"${{secret:sf}}\" }} }}\n\
             network: {{ allow: [127.0.0.0/8], allow_http: true }}\nbronze: {{ path: ./bronze, commit: {{ bytes: 64KiB, interval: 50ms }} }}\n{more}",
            self.org.url(),
            self.org.credentials().client_id,
        );
        fs::write(self.path("t.yaml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let secret = &self.org.credentials().client_secret;
        start(self.folder.path(), &[("CONNECTOR_SECRET_SF", secret)], arguments)
    }

    /// Runs a command on the template.
    pub(crate) async fn connector(&self, arguments: &[&str]) -> Outcome {
        finish(self.start(&[&["--json"], arguments, &["-c", "t.yaml"]].concat())).await
    }

    /// The envelopes in Bronze of the contacts.
    pub(crate) async fn contacts(&self) -> Vec<Value> {
        let outcome = self.connector(&["records", "--stream", "Contact"]).await.exits(0);
        outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every contact of the org stands in Bronze exactly once, with gapless numbers.
    pub(crate) async fn assert_each_contact_once(&self) {
        let contacts = self.contacts().await;
        let mut ids: BTreeMap<&str, u64> = BTreeMap::new();
        let mut numbers: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for envelope in &contacts {
            *ids.entry(envelope["key"]["Id"].as_str().unwrap()).or_default() += 1;
            let partition = envelope["partition"].as_str().unwrap();
            numbers.entry(partition).or_default().push(envelope["sequence"].as_u64().unwrap());
        }
        let truth = self.org.truth("Contact").unwrap();
        assert!(ids.values().all(|count| *count == 1), "some stand more than once");
        assert_eq!(ids.len(), truth.len());
        assert!(truth.keys().all(|id| ids.contains_key(id.as_str())));
        for (partition, mut numbers) in numbers {
            numbers.sort_unstable();
            assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{partition}: {numbers:?}");
        }
    }

    /// Waits until the org has answered so many queries for contacts.
    #[expect(clippy::disallowed_methods, reason = "another process takes real time; this only looks again")]
    pub(crate) async fn until_queried(&self, count: usize) {
        let looked = async {
            while self.org.requests().iter().filter(|request| request.path.contains("/query")).count() < count
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, looked).await.expect("the run reads");
    }
}

/// Keeps Bronze, with its receipts, and the registry. The template and the secrets are where secrets may be.
impl Drop for Desk {
    fn drop(&mut self) {
        let Some(kept) = kept() else { return };
        fs::create_dir(&kept).unwrap();
        for name in ["bronze", "connector.db", "connector.db-wal"] {
            let from = self.path(name);
            if from.exists() {
                let copied = std::process::Command::new("cp").arg("-r").args([&from, &kept]).status();
                assert!(copied.unwrap().success(), "{name} is kept");
            }
        }
    }
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, name: &str) {
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
}
