//! What a mail is made of, without a server's help.

use connector_sdk::Class;
use connector_testkit::mail::Script;
use mail_parser::{Message, MessageParser, MimeHeaders as _};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use super::host::{FILED, config, connect, context, greeting, mail, scripted, send, within};

/// Sends to a server that keeps what it hears, and answers the mail as it went over the wire.
async fn wire(input: Value) -> Vec<u8> {
    let script = greeting(&["SMTPUTF8", "8BITMIME"]).hear("MAIL").say("250 ok").hear("RCPT").say("250 ok");
    let server =
        scripted(script.hear("DATA").say("354 go on").hear_until("\r\n.\r\n").say("250 ok").hear("QUIT"))
            .await;
    let cx = context();
    send(&connect(&config(server.address()), &cx).unwrap(), &cx, input).await.unwrap();
    let heard = server.heard().remove(0);
    let mail = heard.split("DATA\r\n").nth(1).unwrap();
    let mail = mail.split("\r\n.\r\n").next().unwrap();
    format!("{}\r\n", mail.replace("\r\n..", "\r\n.")).into_bytes()
}

fn parse(mail: &[u8]) -> Message<'_> {
    MessageParser::default().parse(mail).unwrap()
}

#[test]
fn who_gets_a_blind_copy_stands_nowhere_in_what_is_sent() {
    within(async {
        let input = json!({ "bcc": FILED, "subject": "x", "text": "x" });
        let text = String::from_utf8(wire(input).await).unwrap().to_lowercase();
        assert!(!text.contains("bcc") && !text.contains(&FILED.to_lowercase()), "{text}");
    });
}

#[test]
fn a_plain_mail_is_plain() {
    within(async {
        let text = String::from_utf8(wire(mail(json!(FILED))).await).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "one line\r\n");
        let names: Vec<_> = head.lines().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(
            names,
            [
                "Date",
                "From",
                "To",
                "Subject",
                "Message-ID",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding"
            ]
        );
        assert!(head.contains("\r\nContent-Transfer-Encoding: 7bit"), "{head}");
    });
}

/// A thousand mails with whatever may stand in them: what a parser makes of each is what went in.
#[test]
fn whatever_is_composed_is_read_again_as_it_was() {
    let texts = "[ -~äöü你好\u{1f600}\\n\\t\"<>=?_.,;:@\\\\]{0,200}";
    let lines = "[ -~äöü你好\u{1f600}\"<>=?_.,;:@\\\\]{0,120}";
    let name = "[ -~äöü你好\"<>=?_.,;:@\\\\]{0,80}";
    let file = "[a-zA-Z0-9äöü你好 ._'%*\"=?;-]{1,60}";
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() });
    let strategy = (texts, lines, name, file, prop::collection::vec(any::<u8>(), 0..300));
    runner
        .run(&strategy, |(text, subject, name, file, bytes)| {
            prop_assume!(!file.trim().is_empty() && file.trim() != "." && file.trim() != "..");
            let input = json!({
                "from": { "name": name, "address": "a@b.test" }, "to": FILED, "subject": subject, "text": text,
                "attachments": [{ "filename": file, "content_base64": encoded(&bytes) }],
            });
            let raw = within(wire(input));
            prop_assert!(raw.is_ascii());
            prop_assert!(String::from_utf8_lossy(&raw).split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
            let parsed = parse(&raw);
            prop_assert_eq!(squeezed(parsed.subject().unwrap_or_default()), squeezed(&subject));
            let from = parsed.from().and_then(|from| from.first()).unwrap();
            prop_assert_eq!(squeezed(from.name().unwrap_or_default()), squeezed(&name));
            prop_assert_eq!(from.address(), Some("a@b.test"));
            let came = parsed.body_text(0).unwrap_or_default().replace("\r\n", "\n");
            prop_assert_eq!(came.trim_end_matches('\n'), text.trim_end_matches('\n'));
            let attachment = parsed.attachments().next().unwrap();
            prop_assert_eq!(attachment.contents(), bytes.as_slice());
            prop_assert_eq!(squeezed(attachment.attachment_name().unwrap_or_default()), squeezed(&file));
            Ok(())
        })
        .unwrap();
}

/// Where a line was folded nobody knows how many spaces there were.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn encoded(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

#[test]
fn a_mail_in_a_mail_stays_one_where_it_may_and_goes_as_bytes_where_it_may_not() {
    within(async {
        for (content, kind) in [
            ("Subject: x\n\nplain\n", "message/rfc822"),
            ("Subject: ä\n\nplain\n", "application/octet-stream"),
        ] {
            let mut input = mail(json!(FILED));
            input["attachments"] = json!([{ "filename": "a.eml", "content_type": "message/rfc822", "content_base64": encoded(content.as_bytes()) }]);
            let raw = String::from_utf8(wire(input).await).unwrap();
            assert!(raw.contains(&format!("Content-Type: {kind}\r\n")), "{raw}");
        }
    });
}

#[test]
fn an_input_that_does_not_fit_is_refused_before_anybody_is_asked() {
    within(async {
        let server = scripted(Script::new().stall()).await;
        let cx = context();
        let connector = connect(&config(server.address()), &cx).unwrap();
        for (input, field) in [
            (json!({ "subject": "x", "text": "x" }), "`to`"),
            (json!({ "to": FILED, "subject": "x" }), "`text`"),
            (json!({ "to": "nobody", "text": "x" }), "`to`"),
            (json!({ "to": [FILED, "a@"], "text": "x" }), "`to[1]`"),
            (
                json!({ "to": FILED, "text": "x", "attachments": [{ "filename": "a", "content_base64": "***" }] }),
                "content_base64",
            ),
            (
                json!({ "to": FILED, "text": "x", "attachments": [{ "filename": "a", "content_type": "x", "content_base64": "" }] }),
                "content_type",
            ),
            (
                json!({ "to": FILED, "text": "x", "attachments": [{ "filename": "a", "content_type": "multipart/mixed", "content_base64": "" }] }),
                "content_type",
            ),
            (json!({ "to": FILED, "text": "x", "colour": "red" }), "schema"),
            (json!({ "to": FILED, "text": "x", "message_id": "no-at-sign" }), "`message_id`"),
        ] {
            let error = send(&connector, &cx, input).await.unwrap_err();
            assert_eq!(error.class(), Class::Config);
            assert!(error.message().contains(field), "{field}: {error}");
        }
        assert_eq!(server.connections(), 0);
    });
}
