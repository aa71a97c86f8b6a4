//! Secrets from outside: listed, changed, and changed while a run reads.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use connector_testkit::{
    fault::Fault,
    salesforce::{FakeOrg, SignIn},
};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::desk::{Desk, finish};

/// What the org is told of after a while.
const NEXT: &str = "fake-next-consumer-secret";

/// A desk whose secret is in a file.
async fn desk(org: connector_testkit::salesforce::Builder) -> Desk {
    let desk = Desk::new(org).await;
    desk.write("secrets: [{ file: { path: ./secrets } }]\n");
    fs::create_dir(desk.path("secrets")).unwrap();
    put(&desk, "sf", &desk.org.credentials().client_secret);
    desk
}

fn put(desk: &Desk, name: &str, text: &str) {
    let path = desk.path("secrets").join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
}

fn secret(desk: &Desk, name: &str) -> Option<String> {
    fs::read_to_string(desk.path("secrets").join(name)).ok().map(|text| text.trim_end().to_owned())
}

#[tokio::test]
async fn a_run_goes_on_when_the_client_secret_is_changed_in_the_middle_of_it() {
    let desk = desk(FakeOrg::builder().contacts(4_000)).await;
    put(&desk, "sf.next", NEXT);
    desk.org
        .faults()
        .on("/query")
        .always()
        .then(Fault::SlowBody { bytes: 64 << 10, every: Duration::from_millis(20) });
    let run = desk.start(&["--json", "run", "-c", "t.yaml"]);
    desk.until_queried(6).await;
    desk.org.change_client_secret(NEXT);
    desk.org.expire_tokens();
    let outcome = finish(run).await.exits(0);
    let report = outcome.document();
    assert_eq!(report["status"], "succeeded", "{report:#}");
    assert!(report["streams"][0]["failed"].is_null(), "{report:#}");
    assert_eq!(report["totals"]["retries"], json!(0), "{report:#}");
    assert_eq!(report["totals"]["records"], json!(4_000));
    // One sign-in at the start; then the old one is refused once, and the next is accepted once.
    let tokens = desk.org.requests().into_iter().filter(|request| request.path.ends_with("/token"));
    assert_eq!(tokens.map(|request| request.status).collect::<Vec<_>>(), [Some(200), Some(400), Some(200)]);
    assert_eq!((secret(&desk, "sf").as_deref(), secret(&desk, "sf.next")), (Some(NEXT), None));
    for text in [&outcome.out, &outcome.err] {
        assert!(!text.contains(NEXT) && !text.contains(&desk.org.credentials().client_secret));
    }
    desk.org.faults().clear();
    desk.assert_each_contact_once().await;
}

#[tokio::test]
async fn a_run_finds_what_somebody_has_written_over_the_old_secret() {
    let desk = desk(FakeOrg::builder().contacts(1_000)).await;
    desk.org
        .faults()
        .on("/query")
        .always()
        .then(Fault::SlowBody { bytes: 16 << 10, every: Duration::from_millis(20) });
    let run = desk.start(&["--json", "run", "-c", "t.yaml"]);
    desk.until_queried(3).await;
    desk.org.change_client_secret(NEXT);
    put(&desk, "sf", NEXT);
    desk.org.expire_tokens();
    let report = finish(run).await.exits(0).document();
    assert_eq!(report["status"], "succeeded", "{report:#}");
}

#[tokio::test]
async fn secrets_are_listed_with_their_store_and_never_shown() {
    let desk = desk(FakeOrg::builder().contacts(1)).await;
    put(&desk, "sf.next", NEXT);
    let listed = desk.connector(&["secrets", "list"]).await.exits(0);
    let row = &listed.document()["secrets"][0];
    assert_eq!((&row["name"], &row["next"]), (&json!("sf"), &json!(true)));
    assert!(row["store"].as_str().unwrap().ends_with("secrets/sf"), "{row}");
    let people = finish(desk.start(&["secrets", "list", "-c", "t.yaml"])).await.exits(0);
    assert!(people.out.starts_with("SECRET"), "{people:#?}");
    for text in [&listed.out, &people.out] {
        assert!(!text.contains(NEXT) && !text.contains(&desk.org.credentials().client_secret));
    }
    fs::remove_file(desk.path("secrets/sf")).unwrap();
    let missing = desk.connector(&["secrets", "list"]).await.exits(2).document();
    assert!(missing["secrets"][0]["store"].is_null());
}

#[tokio::test]
async fn a_secret_is_staged_checked_and_promoted_and_one_that_is_refused_changes_nothing() {
    let desk = desk(FakeOrg::builder().contacts(1)).await;
    let old = desk.org.credentials().client_secret.clone();
    fs::write(desk.path("new"), format!("{NEXT}\n")).unwrap();
    let rotate = ["secrets", "rotate", "sf", "--value-from", "@new"];
    let refused = desk.connector(&[&rotate[..], &["--check"]].concat()).await.exits(1);
    assert_eq!(refused.document()["error"]["class"], "Auth");
    assert!(!refused.out.contains(NEXT) && !refused.err.contains(NEXT), "{refused:#?}");
    assert_eq!((secret(&desk, "sf"), secret(&desk, "sf.next")), (Some(old.clone()), None));

    let staged = desk.connector(&[&rotate[..], &["--stage"]].concat()).await.exits(0).document();
    assert_eq!(staged["outcome"], "staged");
    assert_eq!((secret(&desk, "sf"), secret(&desk, "sf.next").as_deref()), (Some(old), Some(NEXT)));

    desk.org.change_client_secret(NEXT);
    let promoted = desk.connector(&["secrets", "rotate", "sf", "--check"]).await.exits(0).document();
    assert_eq!(
        (&promoted["outcome"], &promoted["signs_in_as"]),
        (&json!("promoted"), &json!(desk.org.credentials().username))
    );
    assert_eq!((secret(&desk, "sf").as_deref(), secret(&desk, "sf.next")), (Some(NEXT), None));
    desk.connector(&["run"]).await.exits(0);
}

#[tokio::test]
async fn a_secret_comes_from_a_file_or_standard_input_and_never_from_the_command_line() {
    let desk = desk(FakeOrg::builder().contacts(1)).await;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_connector"))
        .args(["secrets", "rotate", "-c", "t.yaml", "sf", "--value-from", "-"])
        .current_dir(desk.path("."))
        .env_clear()
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(NEXT.as_bytes()).await.unwrap();
    finish(child).await.exits(0);
    assert_eq!(secret(&desk, "sf").as_deref(), Some(NEXT));
    for (arguments, said) in [
        (&["secrets", "rotate", "sf", "--value-from", "hunter2"][..], "@FILE"),
        (&["secrets", "rotate", "fs"], "did you mean `sf`?"),
        (&["secrets", "rotate", "sf"], "no next one"),
        (&["secrets", "rotate", "sf", "--value-from", "@missing"], "missing"),
    ] {
        let outcome = desk.connector(arguments).await.exits(2);
        assert!(outcome.out.contains(said) || outcome.err.contains(said), "{outcome:#?}");
        assert!(!outcome.out.contains("hunter2") && !outcome.err.contains("hunter2"), "{outcome:#?}");
    }
    // What the environment gives cannot be written, and a file would never be looked at.
    desk.write("");
    let outcome = desk.connector(&["secrets", "rotate", "sf", "--value-from", "@t.yaml"]).await.exits(2);
    assert!(outcome.out.contains("CONNECTOR_SECRET_SF_NEXT"), "{outcome:#?}");
}

#[tokio::test]
async fn a_rotation_that_would_end_with_the_process_is_refused_and_says_what_to_do() {
    let desk = desk(FakeOrg::builder().contacts(1)).await;
    desk.write("");
    let old = desk.org.credentials().client_secret.clone();
    let env = [("CONNECTOR_SECRET_SF", old.as_str()), ("CONNECTOR_SECRET_SF_NEXT", NEXT)];
    for more in [&[][..], &["--check"], &["--stage"], &["--stage", "--check"]] {
        let arguments = [&["--json", "secrets", "rotate", "sf", "-c", "t.yaml"], more].concat();
        let outcome = finish(crate::desk::start(&desk.path("."), &env, &arguments)).await.exits(2);
        let said = outcome.document()["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.contains("CONNECTOR_SECRET_SF_NEXT into CONNECTOR_SECRET_SF"), "{said}");
    }
    assert_eq!(desk.org.counters().tokens, 0, "nobody was asked");
}

/// A desk whose refresh token is in a file, and changes with each use.
async fn refreshing() -> Desk {
    let sign_in = SignIn { rotate_refresh_tokens: true, ..SignIn::default() };
    let desk = desk(FakeOrg::builder().contacts(30).sign_in(sign_in)).await;
    put(&desk, "rt", &desk.org.issue_refresh_token());
    let text = fs::read_to_string(desk.path("t.yaml")).unwrap();
    let (url, client_id) = (desk.org.url(), &desk.org.credentials().client_id);
    let auth = format!(
        "  login_url: {url}\n  auth: {{ refresh_token: {{ client_id: \"{client_id}\", client_secret: \"${{secret:sf}}\", \
         refresh_token: \"${{secret:rt}}\" }} }}"
    );
    let lines = text.lines().map(|line| if line.contains("auth:") { auth.as_str() } else { line });
    fs::write(desk.path("t.yaml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    desk
}

/// From now on the org lets nobody in, though it gives tokens.
fn locked(desk: &Desk) {
    desk.org.faults().on("/services/data").always().then(Fault::status(403));
}

#[tokio::test]
async fn a_refused_check_of_a_client_secret_does_not_cost_the_refresh_token_in_use() {
    let desk = refreshing().await;
    desk.connector(&["run"]).await.exits(0);
    fs::write(desk.path("new"), NEXT).unwrap();
    desk.org.change_client_secret(NEXT);
    locked(&desk);
    // The vendor has given another refresh token for the one in use before it refused the rest.
    desk.connector(&["secrets", "rotate", "sf", "--value-from", "@new", "--check"]).await.exits(1);
    assert_ne!(secret(&desk, "sf").as_deref(), Some(NEXT), "it is not promoted");
    desk.org.faults().clear();
    desk.connector(&["secrets", "rotate", "sf", "--value-from", "@new", "--check"]).await.exits(0);
    desk.connector(&["run"]).await.exits(0);
}

#[tokio::test]
async fn a_refused_check_of_a_refresh_token_leaves_the_one_in_use_and_does_not_spend_the_other() {
    let desk = refreshing().await;
    desk.connector(&["run"]).await.exits(0);
    let next = desk.org.issue_refresh_token();
    fs::write(desk.path("new"), &next).unwrap();
    let rotate = ["secrets", "rotate", "rt", "--value-from", "@new", "--check"];
    locked(&desk);
    desk.connector(&rotate).await.exits(1);
    desk.org.faults().clear();
    assert_ne!(secret(&desk, "rt").as_ref(), Some(&next));
    desk.org.expire_tokens();
    desk.connector(&["run"]).await.exits(0);
    // It was used once by the check: what the vendor gave for it is used from now on.
    desk.connector(&[&rotate[..], &["--stage"]].concat()).await.exits(0);
    desk.org.expire_tokens();
    desk.connector(&["run"]).await.exits(0);
    desk.connector(&["secrets", "rotate", "rt"]).await.exits(0);
    assert_eq!(secret(&desk, "rt").as_ref(), Some(&next));
    desk.org.expire_tokens();
    desk.connector(&["run"]).await.exits(0);
}
