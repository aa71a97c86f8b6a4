//! Mails that are signed, verified by somebody else's verifier (Debian: python3-dkim).

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use connector_sdk::{SystemClock, contract::ActionStatus};
use serde_json::json;

use super::host::{FILED, config, context_with, resilience, send_once, servers, within};

const VERIFY: &str = r"
import sys, dkim
key = sys.argv[1].encode()
mail = sys.stdin.buffer.read()
names = []
def answer(name, timeout=5):
    names.append(name.decode())
    return key
print(dkim.verify(mail, dnsfunc=answer), names[0] if names else '')
";

fn python(arguments: &[&str], input: &[u8]) -> Option<String> {
    let mut child = Command::new("/usr/bin/python3")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(input).ok()?;
    let done = child.wait_with_output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Whether the verifier is installed. Where everything has to be checked, it has to be.
#[allow(clippy::print_stdout, reason = "a test that does nothing has to say so")]
fn is_there() -> bool {
    let found = python(&["-c", "import dkim, nacl"], b"").is_some();
    #[allow(clippy::disallowed_methods, reason = "a test's own environment")]
    let must_be = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found || !must_be, "a verifier is missing: apt-get install python3-dkim python3-nacl");
    if !found {
        println!("skipped: python3-dkim is missing");
    }
    found
}

/// A key of openssl's, and its public half as DNS has it.
fn key(kind: &[&str], record: &str) -> Option<(String, String)> {
    let made = Command::new("openssl").arg("genpkey").args(kind).output().ok()?;
    let pem = String::from_utf8(made.stdout).ok()?;
    let folder = tempfile::tempdir().ok()?;
    let file = folder.path().join("key.pem");
    std::fs::write(&file, &pem).ok()?;
    let public = Command::new("openssl")
        .args(["pkey", "-pubout", "-outform", "DER", "-in"])
        .arg(&file)
        .output()
        .ok()?;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    // Of Ed25519 the 32 bytes themselves stand in DNS (RFC 8463, 4.2).
    let der = if record == "ed25519" { public.stdout.get(12..)?.to_vec() } else { public.stdout };
    Some((pem, format!("v=DKIM1; k={record}; p={}", STANDARD.encode(der))))
}

#[test]
fn what_we_sign_others_verify_and_what_was_changed_they_do_not() {
    within(async {
        if !is_there() {
            return;
        }
        let Some((_dovecot, postfix)) = servers().await else { return };
        // The verifier asks the machine's clock.
        let cx = context_with(SystemClock::shared(), resilience(), None);
        let rsa = key(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "rsa").unwrap();
        let ed25519 = key(&["-algorithm", "ED25519"], "ed25519").unwrap();
        for (index, (pem, record)) in [rsa, ed25519].into_iter().enumerate() {
            let mut config = config(postfix.address());
            config["dkim"] = json!({ "domain": "Example.test", "selector": "s1", "private_key": pem });
            let input = json!({
                "to": [FILED, { "name": "Ä", "address": "b@maildir.test" }], "subject": subject(index),
                "text": "two  spaces \n\ttab\n\n.dot\n\n\n", "html": "<b>x</b>",
                "attachments": [{ "filename": "ä.bin", "content_base64": "AAEC" }],
            });
            let outcome = send_once(&config, &cx, input).await.unwrap();
            assert_eq!(outcome.status, ActionStatus::Succeeded);
            let mails = postfix.maildir_of(2 * (index + 1)).await.unwrap();
            let mail =
                mails.iter().find(|mail| String::from_utf8_lossy(mail).contains(&subject(index))).unwrap();
            assert_eq!(python(&["-c", VERIFY, &record], mail).unwrap(), "True s1._domainkey.example.test.");
            let text = String::from_utf8(mail.clone()).unwrap();
            let second_from = text.replacen("\nFrom: ", "\nFrom: evil@example.test\nFrom: ", 1);
            for changed in [
                text.replace("AAEC", "AAED"),
                text.replace(&subject(index), "Signed by others"),
                second_from,
                text.replace("\nDate: ", "\nDate: x"),
            ] {
                assert_ne!(changed, text);
                let verified = python(&["-c", VERIFY, &record], changed.as_bytes()).unwrap_or_default();
                assert!(!verified.starts_with("True"), "{changed}");
            }
        }
    });
}

fn subject(index: usize) -> String {
    format!("Signed number {index}")
}
