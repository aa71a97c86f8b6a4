//! Bad input: each mistake has a message of its own, the right exit status, and never a secret.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use connector_testkit::salesforce::FakeOrg;
use serde_json::Value;

use crate::desk::{Desk, Outcome, connector, finish, start};

const CONFIG: &str =
    "config: { instance_url: \"https://127.0.0.1:9\", auth: { session: { access_token: hunter2 } } }\n";

/// Runs a command on a template of this text.
async fn with(text: &str, arguments: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    in_folder(folder.path(), text, arguments).await
}

async fn in_folder(folder: &Path, text: &str, arguments: &[&str]) -> Outcome {
    fs::write(folder.join("t.yaml"), text).unwrap();
    let outcome = finish(start(folder, &[], &[arguments, &["-c", "t.yaml"]].concat())).await;
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:#?}");
    outcome
}

fn template(more: &str) -> String {
    format!(
        "connector: salesforce/rest\ntenant: acme\nname: acme-crm\nbronze: {{ path: ./bronze }}\n{CONFIG}{more}"
    )
}

/// A misuse, with these words; as a document and for people.
async fn assert_misuse(text: &str, expected: &[&str]) {
    for command in ["run", "discover"] {
        let people = with(text, &[command]).await.exits(2);
        assert!(people.out.is_empty() && people.err.starts_with("error: "), "{people:#?}");
        let error = with(text, &["--json", command]).await.exits(2).document()["error"].clone();
        assert_eq!(error["class"], "Config");
        for part in expected {
            assert!(people.err.contains(part), "`{part}` is not in {people:#?}");
            assert!(error.to_string().contains(part), "`{part}` is not in {error:#}");
        }
    }
    let check = with(text, &["--json", "check"]).await.exits(2).document();
    assert_eq!((&check["status"], &check["probes"][0]["status"]), (&"failed".into(), &"fail".into()));
    assert_eq!(check["probes"].as_array().unwrap().len(), 9);
}

#[tokio::test]
async fn an_unknown_key_names_its_line_and_the_key_that_was_meant() {
    assert_misuse(&template("strems: []\n"), &["t.yaml:6:1", "`strems`", "did you mean `streams`?"]).await;
    let config = template("").replace("instance_url", "instance_ulr");
    assert_misuse(&config, &["t.yaml:5:11", "`instance_ulr`", "did you mean `instance_url`?"]).await;
    assert_misuse(&template("").replace("path:", "pfad:"), &["t.yaml:4:11", "`pfad`", "`path` is missing"])
        .await;
}

#[tokio::test]
async fn an_unset_variable_names_its_line() {
    let text = template("").replace("tenant: acme", "tenant: ${env:TENANT_OF_MINE}");
    assert_misuse(&text, &["t.yaml:2:9", "`TENANT_OF_MINE` is not set"]).await;
    let text = template("").replace("hunter2", "\"${var:token}\"");
    assert_misuse(&text, &["t.yaml:5", "`token` is not set", "--var token=VALUE"]).await;
}

#[tokio::test]
async fn a_secret_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    let file = folder.path().join("secrets/sf");
    fs::write(&file, "hunter2").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let text = template("").replace("access_token: hunter2", "access_token: \"${secret:sf}\"");
    let outcome = in_folder(folder.path(), &text, &["discover"]).await.exits(2);
    assert!(outcome.err.contains("t.yaml:5") && outcome.err.contains("chmod 600"), "{outcome:#?}");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    assert_misuse(
        &template("").replace("salesforce/rest", "salesfroce/rest"),
        &["no connector `salesfroce/rest`", "salesforce/rest"],
    )
    .await;
    let outcome = connector(&["run", "-c", "none.yaml"]).await.exits(2);
    assert!(outcome.err.contains("`none.yaml`"), "{outcome:#?}");
    let outcome = connector(&["--json", "spec", "desk/rest"]).await.exits(2).document();
    assert_eq!(outcome["error"]["class"], "Config");
    let outcome = with(&template("registry: mysql://db/x\n"), &["run"]).await.exits(2);
    assert!(outcome.err.contains("`mysql:` is no registry"), "{outcome:#?}");
}

#[tokio::test]
async fn plain_http_is_refused_unless_the_template_allows_it() {
    let text = template("").replace("https:", "http:");
    let outcome = with(&text, &["run"]).await.exits(2);
    assert!(outcome.err.contains("t.yaml:5") && outcome.err.contains("write https"), "{outcome:#?}");
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_exits_2_with_a_document_where_one_was_asked_for() {
    let outcome = connector(&["rnu", "-c", "t.yaml"]).await.exits(2);
    assert!(outcome.out.is_empty() && outcome.err.contains("rnu"), "{outcome:#?}");
    let outcome = connector(&["--json", "run"]).await.exits(2);
    assert_eq!(outcome.document()["error"]["class"], "Config");
    let outcome = connector(&["run", "-c", "t.yaml", "--var", "novalue"]).await.exits(2);
    assert!(outcome.err.contains("NAME=VALUE"), "{outcome:#?}");
}

#[tokio::test]
async fn the_environment_of_the_resilience_stack_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.yaml"), template("")).unwrap();
    let env = [("CONNECTOR_CIRCUIT_BREAKER_THRESHOLD", "many")];
    let outcome = finish(start(folder.path(), &env, &["runs", "-c", "t.yaml"])).await.exits(2);
    assert!(outcome.err.contains("CONNECTOR_CIRCUIT_BREAKER_THRESHOLD"), "{outcome:#?}");
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_named_with_the_one_that_was_meant() {
    let desk = Desk::new(FakeOrg::builder().contacts(3)).await;
    desk.write("streams: [{ name: Contcat }]\n");
    let check = desk.connector(&["check"]).await.exits(2).document();
    let schema = check["probes"].as_array().unwrap().iter().find(|probe| probe["name"] == "schema").unwrap();
    assert!(schema["message"].as_str().unwrap().contains("did you mean `Contact`?"), "{check:#}");
    let run = desk.connector(&["run"]).await.exits(2).document();
    assert_eq!((&run["status"], &run["error"]["class"]), (&"failed".into(), &"Config".into()));
    assert!(run["error"]["message"].as_str().unwrap().contains("`Contcat`"), "{run:#}");
    desk.connector(&["discover", "--stream", "Contcat"]).await.exits(2);
}

#[tokio::test]
async fn a_vendor_that_does_not_let_us_in_is_a_failure_and_no_misuse() {
    let desk = Desk::new(FakeOrg::builder().contacts(3)).await;
    let text = fs::read_to_string(desk.path("t.yaml")).unwrap().replace("${secret:sf}", "wrong");
    fs::write(desk.path("t.yaml"), text).unwrap();
    let check = desk.connector(&["check"]).await.exits(1).document();
    let verdicts: Vec<&Value> =
        check["probes"].as_array().unwrap().iter().map(|probe| &probe["status"]).collect();
    assert_eq!(
        verdicts,
        ["pass", "pass", "skip", "fail", "skip", "skip", "skip", "pass", "pass"],
        "{check:#}"
    );
    assert_eq!(check["probes"][3]["class"], "Auth");
    let run = desk.connector(&["run"]).await.exits(1).document();
    assert_eq!((&run["status"], &run["error"]["class"]), (&"failed".into(), &"Auth".into()));
}

#[tokio::test]
async fn an_action_that_is_not_there_and_an_input_that_is_no_json_are_misuses() {
    let desk = Desk::new(FakeOrg::builder().contacts(3)).await;
    let act = |input: &'static str| ["act", "sned", "--input", input];
    let error = desk.connector(&act("{}")).await.exits(2).document();
    assert!(error["error"]["message"].as_str().unwrap().contains("no action `sned`"), "{error:#}");
    let error = desk.connector(&act("{\"a\": hunter2}")).await.exits(2);
    assert!(error.out.contains("line 1, column 7") && !error.out.contains("hunter2"), "{error:#?}");
    let error = desk.connector(&act("@none.json")).await.exits(2);
    assert!(error.out.contains("none.json"), "{error:#?}");
}
