//! What arrives is what was sent.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::contract::{ActionRequest, ActionStatus};
use mail_parser::{MessageParser, MimeHeaders as _};
use serde_json::json;

use super::host::{
    FILED, FROM, config, connect, context, mail, parts, send, send_once, servers, statuses, within,
};

#[test]
fn a_mail_arrives_with_all_its_parts_and_nobody_sees_who_else_gets_it_hidden() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        let (cx, image) = (context(), STANDARD.encode(b"\x89PNG\r\n\x1a\n\0\0"));
        let input = json!({
            "from": { "name": "Müller, Änne \"A\"", "address": FROM },
            "to": ["Bert Example <bert@example.test>"], "cc": "carl@example.test",
            "bcc": ["hidden@example.test", FILED], "reply_to": "answers@example.test",
            "subject": "Grüße aus Köln – 你好, and a long line of ASCII that has to be folded somewhere or other",
            "text": "Grüße\nsecond line \n.dot\n..\nFrom here\n", "html": "<p>Grüße <img src=\"cid:logo\"></p>",
            "headers": [{ "name": "X-Case", "value": "a=?b" }],
            "in_reply_to": "<first@example.test>", "references": ["zero@example.test", "first@example.test"],
            "attachments": [
                { "filename": "Übersicht \"1\".csv", "content_type": "text/csv", "content_base64": STANDARD.encode("a,b\n1,2\n") },
                { "filename": "logo.png", "content_type": "image/png", "content_base64": image, "content_id": "logo" },
                { "filename": "empty.bin", "content_base64": "" },
            ],
        });
        let outcome = send_once(&config(postfix.address()), &cx, input).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Succeeded, "{:?}", outcome.output);
        let addresses: Vec<_> = outcome.output["recipients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["address"].as_str().unwrap())
            .collect();
        assert_eq!(addresses, ["bert@example.test", "carl@example.test", "hidden@example.test", FILED]);
        for user in ["bert@example.test", "carl@example.test", "hidden@example.test"] {
            assert_eq!(postfix.inbox_of(&dovecot, user, 1).await.unwrap().len(), 1);
        }
        let raw = postfix.maildir_of(1).await.unwrap().remove(0);
        let text = String::from_utf8_lossy(&raw);
        let sent = &text[text.find("\nDate: ").unwrap()..];
        assert!(!sent.contains("hidden") && !sent.to_lowercase().contains("\nbcc"), "{sent}");
        assert!(sent.is_ascii() && sent.lines().all(|line| line.len() <= 78), "{sent}");
        let parsed = MessageParser::default().parse(&raw).unwrap();
        assert_eq!(
            parsed.subject().unwrap(),
            "Grüße aus Köln – 你好, and a long line of ASCII that has to be folded somewhere or other"
        );
        let from = parsed.from().unwrap().first().unwrap();
        assert_eq!((from.name().unwrap(), from.address().unwrap()), ("Müller, Änne \"A\"", FROM));
        assert_eq!(parsed.to().unwrap().first().unwrap().name().unwrap(), "Bert Example");
        assert_eq!(parsed.message_id().unwrap(), outcome.output["message_id"]);
        assert_eq!(parsed.in_reply_to().as_text().unwrap(), "first@example.test");
        // What looks like an encoded word is encoded, so that nobody takes it for one.
        assert_eq!(parsed.header("X-Case").unwrap().as_text().unwrap(), "=?utf-8?b?YT0/Yg==?=");
        assert!(parsed.date().is_some());
        assert_eq!(
            parsed.body_text(0).unwrap().replace("\r\n", "\n"),
            "Grüße\nsecond line \n.dot\n..\nFrom here\n"
        );
        assert!(parsed.body_html(0).unwrap().contains("Grüße <img src=\"cid:logo\">"));
        let files: Vec<_> =
            parsed.attachments().map(|part| part.attachment_name().unwrap_or_default()).collect();
        assert!(files.contains(&"Übersicht \"1\".csv") && files.contains(&"empty.bin"), "{files:?}");
        let csv =
            parsed.attachments().find(|part| part.attachment_name() == Some("Übersicht \"1\".csv")).unwrap();
        assert_eq!(csv.contents(), b"a,b\n1,2\n");
        let logo = parsed.parts.iter().find(|part| part.content_id() == Some("logo")).unwrap();
        assert_eq!(logo.contents(), b"\x89PNG\r\n\x1a\n\0\0");
        for kind in ["multipart/mixed", "multipart/alternative", "multipart/related"] {
            assert!(sent.contains(kind), "{kind}");
        }
    });
}

#[test]
fn a_connection_can_be_used_again_and_again_and_many_mails_at_once_arrive_each_once() {
    within(async {
        let Some((_dovecot, postfix)) = servers().await else { return };
        let cx = context();
        let connector = connect(&config(postfix.address()), &cx).unwrap();
        let sends = (0..20).map(|n| {
            let input = json!({ "to": FILED, "subject": format!("number {n}"), "text": "x" });
            send(&connector, &cx, input)
        });
        for outcome in futures_util::future::join_all(sends).await {
            assert_eq!(outcome.unwrap().status, ActionStatus::Succeeded);
        }
        let mut subjects: Vec<String> = postfix
            .maildir_of(20)
            .await
            .unwrap()
            .iter()
            .map(|mail| parts(mail).0.lines().find(|line| line.starts_with("Subject: ")).unwrap().to_owned())
            .collect();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), 20);
    });
}

#[test]
fn an_alert_is_a_mail_that_no_machine_answers() {
    within(async {
        let Some((_dovecot, postfix)) = servers().await else { return };
        let cx = context();
        let connector = connect(&config(postfix.address()), &cx).unwrap();
        let input = json!({
            "to": FILED, "severity": "error", "title": "Sync failed", "summary": "It did.",
            "fields": [{ "name": "connection", "value": "acme-crm" }],
        });
        let outcome = connector.act(&cx, ActionRequest::new("alert", input)).await.unwrap();
        assert_eq!(statuses(&outcome), ["accepted"]);
        let raw = postfix.maildir_of(1).await.unwrap().remove(0);
        let parsed = MessageParser::default().parse(&raw).unwrap();
        assert_eq!(parsed.subject().unwrap(), "[ERROR] Sync failed");
        assert_eq!(parsed.header("Auto-Submitted").unwrap().as_text().unwrap(), "auto-generated");
        assert!(parsed.body_text(0).unwrap().contains("connection: acme-crm"));
        assert!(parsed.body_html(0).unwrap().contains("<td>acme-crm</td>"));
    });
}

#[test]
fn a_notification_of_delivery_comes_back_and_one_that_nobody_offers_is_said() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        let cx = context();
        let mut input = mail(json!("bert@example.test"));
        input["dsn"] = json!({ "notify": ["success"], "return": "headers", "envelope_id": "id 7+=" });
        let outcome = send_once(&config(postfix.address()), &cx, input.clone()).await.unwrap();
        assert_eq!(outcome.output["dsn"], true);
        let report = postfix.inbox_of(&dovecot, FROM, 1).await.unwrap().remove(0);
        let report = String::from_utf8_lossy(&report).into_owned();
        assert!(
            report.contains("Original-Envelope-Id: id 7+=") && report.contains("Action: relayed"),
            "{report}"
        );
        let server = super::host::scripted(
            super::host::greeting(&[])
                .hear("MAIL FROM:<sender@example.test>")
                .say("250 ok")
                .hear("RCPT TO:<bert@example.test>")
                .say("250 ok")
                .hear("DATA")
                .say("354 go on")
                .hear_until("\r\n.\r\n")
                .say("250 queued")
                .hear("QUIT"),
        )
        .await;
        let outcome = send_once(&config(server.address()), &cx, input).await.unwrap();
        assert_eq!(outcome.output["dsn"], false, "{:?}", server.wrong());
        assert!(!server.heard()[0].contains("NOTIFY"));
    });
}

#[test]
fn an_address_that_needs_utf8_is_told_to_who_knows_it_and_to_nobody_else() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        let cx = context();
        let input = json!({ "to": "用户@bücher.test", "subject": "你好", "text": "你好\n" });
        let outcome = send_once(&config(postfix.address()), &cx, input.clone()).await.unwrap();
        assert_eq!(statuses(&outcome), ["accepted"], "{:?}", outcome.output);
        let raw = postfix.maildir_of(1).await.unwrap().remove(0);
        assert!(String::from_utf8_lossy(&raw).contains("To: 用户@xn--bcher-kva.test"));
        let plain =
            connector_testkit::mail::Postfix::builder().without("SMTPUTF8").start(&dovecot).await.unwrap();
        let plain = plain.unwrap();
        let outcome = send_once(&config(plain.address()), &cx, input).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Failed);
        assert_eq!(outcome.output["recipients"][0]["enhanced"], "5.6.7");
        // Who is hidden stands in no header: the others get the mail.
        let input = json!({ "to": FILED, "bcc": "用户@maildir.test", "subject": "x", "text": "x" });
        let outcome = send_once(&config(plain.address()), &cx, input).await.unwrap();
        assert_eq!(statuses(&outcome), ["accepted", "refused"]);
        assert_eq!(plain.maildir_of(1).await.unwrap().len(), 1);
        assert_eq!(plain.named("用户@maildir.test"), 0, "the server was not asked");
    });
}
