//! Mail by `connector act`: what scripts see of it.

use std::fs;

use connector_testkit::mail::{Dovecot, Postfix};
use serde_json::json;

use crate::desk::{Outcome, finish, start};

/// A folder with a template that sends by this server.
fn folder(postfix: &Postfix) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let template = format!(
        "connector: email/smtp\ntenant: acme\nname: acme-mail\nconfig:\n  host: localhost\n  port: {}\n  \
         auth: {{ password: {{ username: sender@example.test, password: \"${{secret:SMTP}}\" }} }}\n  from: sender@example.test\n\
         network: {{ allow: [127.0.0.0/8, \"::1/128\"], ca_file: {} }}\nbronze: {{ path: ./bronze }}\n",
        postfix.tls_address().port(),
        postfix.authority_file().display(),
    );
    fs::write(folder.path().join("t.yaml"), template).unwrap();
    folder
}

async fn connector(folder: &tempfile::TempDir, arguments: &[&str]) -> Outcome {
    let arguments = [&["--json"], arguments, &["-c", "t.yaml"]].concat();
    finish(start(folder.path(), &[("CONNECTOR_SECRET_SMTP", "pass")], &arguments)).await
}

#[tokio::test]
async fn a_mail_is_sent_once_for_its_key_and_each_recipient_is_answered_for() {
    let Some(dovecot) = Dovecot::builder().start().await.unwrap() else { return };
    let Some(postfix) = Postfix::builder().start(&dovecot).await.unwrap() else { return };
    postfix.always_answers("gone@example.test", "550 5.1.1 nobody");
    let folder = folder(&postfix);
    let check = connector(&folder, &["check"]).await.exits(0).document();
    assert_eq!(check["status"], "passed", "{check:#}");
    let input = json!({ "to": ["all@maildir.test"], "subject": "Hello", "text": "x" }).to_string();
    let send = ["act", "send", "--idempotency-key", "k", "--input", &input];
    let first = connector(&folder, &send).await.exits(0).document();
    assert_eq!(
        (&first["status"], &first["output"]["recipients"][0]["status"]),
        (&json!("succeeded"), &json!("accepted"))
    );
    let again = connector(&folder, &send).await.exits(0).document();
    assert_eq!(first, again);
    let input =
        json!({ "to": ["b@maildir.test", "gone@example.test"], "subject": "Hello", "text": "x" }).to_string();
    let partial = connector(&folder, &["act", "send", "--input", &input]).await.exits(1).document();
    assert_eq!((&partial["status"], &partial["error"]["class"]), (&json!("partial"), &json!("Permanent")));
    let input = json!({ "to": "a@b.test", "subject": "a\r\nBcc: x@y.test", "text": "x" }).to_string();
    let refused = connector(&folder, &["act", "send", "--input", &input]).await.exits(2).document();
    assert!(refused["error"]["message"].as_str().unwrap().contains("`subject`"), "{refused:#}");
    let alert = json!({ "to": "c@maildir.test", "title": "Sync failed" }).to_string();
    connector(&folder, &["act", "alert", "--input", &alert]).await.exits(0);
    postfix.settled().await.unwrap();
    assert_eq!(postfix.maildir_of(3).await.unwrap().len(), 3);
}
