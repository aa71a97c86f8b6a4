//! The org as a program: `fake-salesforce`.

use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::client::{http, read};
use super::within;

async fn start(arguments: &[&str]) -> (Child, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fake-salesforce"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let line = lines.next_line().await.expect("readable").expect("a line");
    (child, serde_json::from_str(&line).expect("one JSON document"))
}

async fn signs_in(org: &Value) -> bool {
    let text = |key: &str| org[key].as_str().unwrap_or_else(|| panic!("{key} in {org}")).to_owned();
    let fields = [
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", text("client_id")),
        ("client_secret", text("client_secret")),
    ];
    let answer =
        read(http().post(format!("{}/services/oauth2/token", text("listening"))).form(&fields)).await;
    answer.is_ok_and(|answer| answer.status == 200)
}

#[test]
fn the_program_tells_how_to_get_in_and_ends_with_its_input() {
    within(async {
        let (mut child, org) = start(&["--contacts", "10", "--accounts", "2", "--seed", "3"]).await;
        assert!(signs_in(&org).await);
        drop(child.stdin.take());
        assert!(child.wait().await.expect("it ends").success());
        assert!(!signs_in(&org).await, "nobody listens any more");
    });
}

#[test]
fn the_program_ends_on_a_signal_whatever_its_input_does() {
    within(async {
        let (mut child, org) = start(&["--ignore-stdin"]).await;
        drop(child.stdin.take());
        assert!(signs_in(&org).await, "a closed input does not end it");
        let pid = child.id().expect("running").to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill");
        assert!(told.success());
        assert_eq!(child.wait().await.ok().map(|status: ExitStatus| status.success()), Some(true));
    });
}

#[test]
fn a_port_that_is_taken_is_said_and_fails() {
    within(async {
        let (_child, org) = start(&[]).await;
        let port = org["listening"].as_str().and_then(|url| url.rsplit(':').next()).expect("port").to_owned();
        let second = Command::new(env!("CARGO_BIN_EXE_fake-salesforce"))
            .args(["--port", &port])
            .stdin(Stdio::null())
            .output()
            .await
            .expect("it runs");
        assert!(!second.status.success());
        assert!(String::from_utf8_lossy(&second.stderr).starts_with("fake-salesforce: "));
        assert!(second.stdout.is_empty());
    });
}
