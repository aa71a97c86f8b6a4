//! A mail ends where it ends. Postfix, as Debian has it, takes a dot between bare line breaks for the end of a mail, so
//! that what leaves here wrong is two mails there.

use connector_sdk::contract::ActionStatus;
use connector_testkit::mail::Postfix;
use mail_parser::MessageParser;
use serde_json::json;

use super::host::{FILED, config, connect, context, send, servers, within};

/// Ends of a mail as a server may see them, and lines that begin with dots.
const ENDS: [&str; 14] = [
    "\n.\n",
    "\r.\r",
    "\r\n.\r",
    "\n.\r\n",
    "\r\n.\n",
    "\r\n.\r\n",
    "\r.\r\n",
    "\n.\r",
    "\r\r\n.\r\r\n",
    "\n\n.\n\n",
    "\r\n..\r\n",
    "\n..\n",
    "\r\n.\r\n.\r\n",
    "\u{85}.\u{85}",
];

#[test]
fn whatever_is_in_a_body_arrives_as_one_mail_and_as_the_same_text() {
    within(async {
        let Some((dovecot, first)) = servers().await else { return };
        let strict = Postfix::builder().setting("smtpd_forbid_bare_newline = yes");
        let lenient_and_strict = [Some(first), strict.without("PIPELINING").start(&dovecot).await.unwrap()];
        let cx = context();
        for postfix in lenient_and_strict.into_iter().flatten() {
            let connector = connect(&config(postfix.address()), &cx).unwrap();
            let mut expected = Vec::new();
            for (index, end) in ENDS.into_iter().enumerate() {
                let smuggled = format!(
                    "begin{end}MAIL FROM:<evil@example.test>{end}RCPT TO:<{FILED}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx{end}.{end}"
                );
                let input = json!({
                    "to": FILED, "subject": format!("number {index}"), "text": smuggled,
                    "html": format!("<pre>{smuggled}</pre>"),
                    "attachments": [
                        { "filename": "a.eml", "content_type": "message/rfc822", "content_base64": encoded(&smuggled) },
                        { "filename": "a.bin", "content_base64": encoded(&smuggled) },
                    ],
                });
                let outcome = send(&connector, &cx, input).await.unwrap();
                assert_eq!(outcome.status, ActionStatus::Succeeded, "{end:?}");
                expected.push((format!("number {index}"), smuggled));
            }
            postfix.settled().await.unwrap();
            let mails = postfix.maildir_of(ENDS.len()).await.unwrap();
            assert_eq!(mails.len(), ENDS.len(), "as many as were sent");
            assert!(postfix.asked().iter().all(|asked| !asked.sender.contains("evil")));
            for mail in mails {
                let parsed = MessageParser::default().parse(&mail).unwrap();
                let (_, text) =
                    expected.iter().find(|(subject, _)| Some(subject.as_str()) == parsed.subject()).unwrap();
                // In the file lines end with LF; and the last line has an end.
                let came = parsed.body_text(0).unwrap().replace("\r\n", "\n");
                assert_eq!(came.trim_end_matches('\n'), normalised(text).trim_end_matches('\n'));
                let binary = parsed.attachments().last().unwrap();
                assert_eq!(binary.contents(), text.as_bytes(), "an attachment is not touched");
            }
        }
    });
}

fn encoded(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

fn normalised(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
