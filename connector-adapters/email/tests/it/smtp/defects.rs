//! The defects of other people's clients that were found while this one was planned (email_webhook, 1.1), by number.

use std::time::Duration;

use connector_sdk::{Class, Clock as _, SystemClock, contract::ActionStatus};
use connector_testkit::{clock::FastClock, mail::Script};
use serde_json::json;

use super::host::{
    FILED, config, connect, context, context_with, mail, parts, resilience, scripted, send, send_once,
    servers, statuses, within,
};

/// A client's limit was for connecting only: a server that accepted and said nothing held it for ever.
#[test]
fn defect_1_a_server_that_accepts_and_says_nothing_does_not_hold_us() {
    within(async {
        let server = scripted(Script::new().stall()).await;
        let mut settings = resilience();
        settings.attempt_timeout = Duration::from_secs(10);
        settings.max_attempts = 1;
        let cx = context_with(FastClock::shared(), settings, None);
        let started = SystemClock::new();
        let outcome = send_once(&config(server.address()), &cx, mail(json!(FILED))).await.unwrap();
        assert_eq!(outcome.error.unwrap().class(), Class::Transient);
        assert!(started.monotonic() < Duration::from_secs(5), "{:?}", started.monotonic());
    });
}

/// A client failed the whole mail when one of two recipients was refused.
#[test]
fn defect_2_who_is_not_refused_gets_the_mail() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        postfix.always_answers("bad@example.test", "550 5.1.1 nobody");
        let to = json!(["bad@example.test", "good@example.test"]);
        let outcome = send_once(&config(postfix.address()), &context(), mail(to)).await.unwrap();
        assert_eq!(
            (outcome.status, statuses(&outcome)),
            (ActionStatus::Partial, vec!["refused".to_owned(), "accepted".to_owned()])
        );
        assert_eq!(postfix.inbox_of(&dovecot, "good@example.test", 1).await.unwrap().len(), 1);
    });
}

/// A client panicked at line breaks in the name of a sender.
#[test]
fn defect_3_a_name_with_line_breaks_is_an_error_that_names_the_field() {
    within(async {
        let server = scripted(Script::new().stall()).await;
        let cx = context();
        let connector = connect(&config(server.address()), &cx).unwrap();
        for name in ["a\r\nb", "a\nBcc: x@y.test", "\r", "a\0", "\u{2028}"] {
            for field in ["from", "to", "cc", "bcc", "reply_to"] {
                let mut input = mail(json!(FILED));
                input[field] = json!({ "name": name, "address": "a@b.test" });
                let error = send(&connector, &cx, input).await.unwrap_err();
                assert_eq!(error.class(), Class::Config);
                assert!(error.message().contains(&format!("`{field}`")), "{error}");
            }
        }
        assert_eq!(server.connections(), 0, "nothing was sent");
    });
}

/// A client wrote no Message-ID, so that each copy got another and nobody could see that they were one.
#[test]
fn defect_4_every_copy_has_the_message_id_that_was_answered() {
    within(async {
        let Some((_dovecot, postfix)) = servers().await else { return };
        let cx = context();
        let input = json!({ "to": [FILED, "other@maildir.test"], "subject": "x", "text": "x" });
        let first = send_once(&config(postfix.address()), &cx, input.clone()).await.unwrap();
        let second = send_once(&config(postfix.address()), &cx, input).await.unwrap();
        assert_ne!(first.output["message_id"], second.output["message_id"]);
        let ids: Vec<String> = postfix
            .maildir_of(4)
            .await
            .unwrap()
            .iter()
            .map(|mail| {
                let head = parts(mail).0;
                let ids: Vec<_> =
                    head.lines().filter(|line| line.to_lowercase().starts_with("message-id:")).collect();
                assert_eq!(ids.len(), 1, "{head}");
                ids[0].to_owned()
            })
            .collect();
        for outcome in [first, second] {
            let id = outcome.output["message_id"].as_str().unwrap();
            assert_eq!(ids.iter().filter(|known| known.contains(id)).count(), 2);
        }
    });
}

/// A client sent bare line breaks as they were: what stood between them was taken for commands. More in `smuggling`.
#[test]
fn defect_5_a_bare_line_break_is_not_sent() {
    within(async {
        let Some((_dovecot, postfix)) = servers().await else { return };
        let mut input = mail(json!(FILED));
        input["text"] =
            json!("1\n.\nMAIL FROM:<evil@example.test>\nRCPT TO:<all@maildir.test>\nDATA\n\n2\n.\n");
        let outcome = send_once(&config(postfix.address()), &context(), input).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Succeeded);
        postfix.settled().await.unwrap();
        assert_eq!(postfix.maildir_of(1).await.unwrap().len(), 1);
    });
}

/// A builder wrote a Message-ID as it came, with a header of somebody else's in it.
#[test]
fn defect_6_nothing_becomes_a_header_that_was_none() {
    within(async {
        let server = scripted(Script::new().stall()).await;
        let cx = context();
        let connector = connect(&config(server.address()), &cx).unwrap();
        let attach = |field: &str, value: &str| {
            let mut attachment = json!({ "filename": "a", "content_base64": "" });
            attachment[field] = json!(value);
            json!([attachment])
        };
        for end in ["\r\n", "\n", "\r", "\0", "\u{b}", "\u{c}", "\u{85}", "\u{2029}"] {
            let evil = format!("x@y.test>{end}Bcc: evil@example.test");
            for (field, value) in [
                ("message_id", json!(evil)),
                ("in_reply_to", json!(evil)),
                ("references[0]", json!([evil])),
                ("subject", json!(evil)),
                ("to", json!(evil)),
                ("headers[0].value", json!([{ "name": "X-A", "value": evil }])),
                ("headers[0].name", json!([{ "name": format!("X{end}Bcc"), "value": "x" }])),
                ("attachments[0].filename", attach("filename", &evil)),
                ("attachments[0].content_type", attach("content_type", &format!("text/plain{end}; a=b"))),
                ("attachments[0].content_id", attach("content_id", &evil)),
                ("dsn.envelope_id", json!({ "notify": [], "envelope_id": evil })),
            ] {
                let mut input = mail(json!(FILED));
                let top = field.split(['[', '.']).next().unwrap();
                input[top] = value;
                let error = send(&connector, &cx, input).await.unwrap_err();
                assert_eq!(error.class(), Class::Config, "{field} {end:?}");
                assert!(error.message().contains(&format!("`{field}`")), "{field} {end:?}: {error}");
            }
        }
        for name in ["Bcc", "From", "Content-Type", "dkim-signature", "a b", "", "X:", "Ü"] {
            let mut input = mail(json!(FILED));
            input["headers"] = json!([{ "name": name, "value": "x" }]);
            assert!(
                send(&connector, &cx, input).await.unwrap_err().message().contains("headers[0].name"),
                "{name}"
            );
        }
        for name in ["../a", "a/b", "c:\\a", "..", "", "a\u{202e}fdp.exe", "a\u{200b}"] {
            let mut input = mail(json!(FILED));
            input["attachments"] = attach("filename", name);
            let error = send(&connector, &cx, input).await.unwrap_err();
            assert!(error.message().contains("attachments[0].filename"), "{name}: {error}");
        }
        assert_eq!(server.connections(), 0);
    });
}

/// A client trusted a certificate of another host, and read a reply without end. More in `hostile` and `signing_in`.
#[test]
fn defect_7_a_reply_without_end_is_given_up() {
    within(async {
        let server = scripted(Script::new().flood("220-", 100_000_000)).await;
        let error = send_once(&config(server.address()), &context(), mail(json!(FILED))).await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert!(error.to_string().contains("longer than"), "{error}");
    });
}
