//! Servers that stall, babble, hang up and lie: an answer in bounded time, and no mail twice.

use std::time::Duration;

use connector_sdk::{Class, Clock as _, SystemClock, contract::ActionStatus};
use connector_testkit::{
    clock::FastClock,
    fault::{Line, TcpProxy, Way},
    mail::{Script, ScriptedServer},
};
use serde_json::json;

use super::host::{
    FILED, config, connect, context, context_with, greeting, mail, resilience, scripted, send, send_once,
    servers, statuses, within,
};

/// A context whose operation ends after so long by the fast clock.
fn hasty(deadline: Duration) -> connector_sdk::Context {
    let mut settings = resilience();
    settings.deadline = deadline;
    context_with(FastClock::shared(), settings, None)
}

/// Up to the mail itself.
fn willing() -> Script {
    greeting(&[]).hear("MAIL").say("250 ok").hear("RCPT").say("250 ok").hear("DATA").say("354 go on")
}

#[test]
fn a_server_that_falls_silent_anywhere_is_given_up_in_time() {
    within(async {
        let silent = [
            Script::new(),
            Script::new().say_bytes("220 mx"),
            Script::new().say("220 mx").hear("EHLO"),
            Script::new().say("220 mx").hear("EHLO").say("250-mx"),
            greeting(&[]).hear("MAIL"),
            greeting(&[]).hear("MAIL").say("250 ok").hear("RCPT"),
            greeting(&[]).hear("MAIL").say("250 ok").hear("RCPT").say("250 ok").hear("DATA"),
        ];
        for (index, script) in silent.into_iter().enumerate() {
            let server = scripted(script.stall()).await;
            let started = SystemClock::new();
            let cx = hasty(Duration::from_secs(20));
            let outcome = send_once(&config(server.address()), &cx, mail(json!(FILED))).await.unwrap();
            assert_eq!(statuses(&outcome), ["deferred"], "{index}: {:?}", outcome.output);
            assert_eq!(outcome.error.unwrap().class(), Class::Transient);
            assert!(started.monotonic() < Duration::from_secs(10), "{index}: {:?}", started.monotonic());
        }
    });
}

#[test]
fn a_mail_whose_end_was_sent_and_not_answered_is_ambiguous_and_never_sent_again() {
    within(async {
        for ending in [
            willing().hear_until("\r\n.\r\n"),
            willing().hear_until("\r\n.\r\n").reset(),
            willing().hear_until("\r\n.\r\n").say_bytes("25"),
            willing().hear_until("\r\n.\r\n").say("354 what"),
            willing().hear_until("\r\n.\r\n").say("HTTP/1.1 500"),
            willing().hear_until("\r\n.\r\n").stall(),
        ] {
            let server = scripted(ending).await;
            let cx = hasty(Duration::from_secs(40));
            let connector = connect(&config(server.address()), &cx).unwrap();
            let request = || {
                let request = connector_sdk::contract::ActionRequest::new("send", mail(json!([FILED])));
                request.with_idempotency_key("key-1")
            };
            let first = connector.act(&cx, request()).await.unwrap();
            assert_eq!(
                (first.status, statuses(&first)),
                (ActionStatus::Ambiguous, vec!["unknown".to_owned()])
            );
            assert_eq!(first.error.unwrap().class(), Class::Ambiguous);
            let again = connector.act(&cx, request()).await.unwrap();
            assert_eq!(again.status, ActionStatus::Ambiguous);
            assert_eq!(first.output["message_id"], again.output["message_id"]);
            assert_eq!(server.connections(), 1, "not sent again, not even connected");
        }
    });
}

#[test]
fn a_connection_that_is_lost_before_the_end_was_sent_is_tried_again_and_the_mail_arrives_once() {
    within(async {
        let Some((_dovecot, postfix)) = servers().await else { return };
        let cx = context();
        // Bytes of the client before it is cut off: in EHLO, in the envelope, and in a mail that is too large to be on
        // its way whole.
        for (after, lines) in [(5, 1), (40, 1), (70, 1), (90, 1), (200_000, 300_000)] {
            let proxy = TcpProxy::start(postfix.address()).await.unwrap();
            proxy.on(1..=1, Line::Reset { way: Way::Up, after });
            let mut input = mail(json!(FILED));
            input["text"] = json!("a line of text\n".repeat(lines));
            input["subject"] = json!(format!("cut after {after}"));
            let outcome = send_once(&config(proxy.address()), &cx, input).await.unwrap();
            assert_eq!(outcome.status, ActionStatus::Succeeded, "{after}: {:?}", outcome.output);
            assert_eq!(proxy.log().len(), 2);
        }
        postfix.settled().await.unwrap();
        assert_eq!(postfix.maildir_of(5).await.unwrap().len(), 5);
        // One that is small was on its way whole: nobody can know what of it was heard.
        let proxy = TcpProxy::start(postfix.address()).await.unwrap();
        proxy.on(1..=1, Line::Reset { way: Way::Up, after: 150 });
        let outcome = send_once(&config(proxy.address()), &cx, mail(json!(FILED))).await.unwrap();
        assert_eq!((outcome.status, proxy.log().len()), (ActionStatus::Ambiguous, 1));
        postfix.settled().await.unwrap();
        assert_eq!(postfix.maildir_of(5).await.unwrap().len(), 5);
    });
}

#[test]
fn an_answer_that_is_lost_after_the_mail_was_taken_makes_it_arrive_once() {
    within(async {
        let Some((_dovecot, postfix)) = servers().await else { return };
        let cx = context();
        let proxy = TcpProxy::start(postfix.address()).await.unwrap();
        let connector = connect(&config(proxy.address()), &cx).unwrap();
        let outcome = send(&connector, &cx, mail(json!(FILED))).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Succeeded);
        let down = proxy.log()[0].bytes[1];
        // The last answers are `250 … queued` and `221 Bye`: the connection is reset in the first of them.
        let said = outcome.output["recipients"][0]["message"].as_str().unwrap();
        let id = said.rsplit(' ').next().unwrap();
        let last = u64::try_from(format!("250 2.0.0 Ok: queued as {id}\r\n221 2.0.0 Bye\r\n").len()).unwrap();
        // One byte of it comes through: at its very beginning the mail would not be on its way yet.
        proxy.on(2..=2, Line::Reset { way: Way::Down, after: down - last + 1 });
        let outcome = send(&connector, &cx, mail(json!(FILED))).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Ambiguous, "{:?}", outcome.output);
        postfix.settled().await.unwrap();
        assert_eq!(postfix.maildir_of(2).await.unwrap().len(), 2, "it was taken, and it was not sent again");
        assert_eq!(proxy.log().len(), 2);
    });
}

#[test]
fn a_server_that_says_too_much_is_hung_up_on_and_costs_no_memory() {
    within(async {
        for flood in [
            Script::new().flood("2", 200_000_000),
            Script::new().flood("220-more of the same and no end of it\r\n", 20_000_000),
            Script::new().say("220 mx").hear("EHLO").flood("250-X-MORE\r\n", 20_000_000),
            greeting(&[]).hear("MAIL").flood("250-ok\r\n", 20_000_000),
        ] {
            let server = scripted(flood).await;
            let started = SystemClock::new();
            let outcome = send_once(&config(server.address()), &context(), mail(json!(FILED))).await;
            let class = match outcome {
                Ok(outcome) => outcome.error.unwrap().class(),
                Err(error) => error.class(),
            };
            assert_eq!(class, Class::Permanent);
            assert!(started.monotonic() < Duration::from_secs(10));
            assert!(memory() < 200 << 20, "{} bytes", memory());
        }
    });
}

/// What this process holds, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_server_that_speaks_something_else_is_said_to_and_nothing_is_sent_to_it() {
    within(async {
        for greeting in ["* OK IMAP4rev1 ready", "HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH", "+OK POP3"] {
            let server = scripted(Script::new().say(greeting).stall()).await;
            let error =
                send_once(&config(server.address()), &context(), mail(json!(FILED))).await.unwrap_err();
            assert_eq!(error.class(), Class::Permanent);
            assert!(error.to_string().contains("right port"), "{error}");
            assert_eq!(server.heard()[0], "");
        }
        let busy = scripted(Script::new().say("421 4.3.2 too busy")).await;
        let outcome = send_once(&config(busy.address()), &context(), mail(json!(FILED))).await.unwrap();
        assert_eq!(outcome.error.unwrap().class(), Class::Transient);
        assert_eq!(busy.connections(), 3, "tried as often as the policy says");
        let never = scripted(Script::new().say("554 5.7.1 no mail here")).await;
        let error = send_once(&config(never.address()), &context(), mail(json!(FILED))).await.unwrap_err();
        assert_eq!((error.class(), never.connections()), (Class::Permanent, 1));
    });
}

#[test]
fn a_server_that_answers_more_than_it_was_asked_is_not_believed_about_the_next() {
    within(async {
        let script = greeting(&[]).hear("MAIL").say("250 ok");
        let script = (0..100).fold(script, |script, _| script.hear("RCPT").say("250 ok"));
        let script = script.hear("DATA").say("354 go on").hear_until("\r\n.\r\n");
        let server = scripted(script.say_bytes("250 queued\r\n250 and more\r\n").stall()).await;
        let to: Vec<String> = (0..101).map(|n| format!("r{n}@b.test")).collect();
        let cx = hasty(Duration::from_secs(20));
        let outcome = send_once(&config(server.address()), &cx, mail(json!(to))).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Partial);
        let statuses = statuses(&outcome);
        assert!(
            statuses[..100].iter().all(|status| status == "accepted") && statuses[100] == "deferred",
            "{statuses:?}"
        );
        assert_eq!(server.heard()[0].matches("MAIL FROM").count(), 1);
    });
}

#[test]
fn answers_that_are_out_of_step_are_never_taken_for_the_mail_s() {
    within(async {
        let begun = || greeting(&[]).hear("MAIL");
        for (what, script) in [
            (
                "DATA is done",
                begun().say("250 ok").hear("RCPT").say("250 ok").hear("DATA").say("250 ok").stall(),
            ),
            (
                "one too many",
                begun().say_bytes("250 ok\r\n250 ok\r\n").hear("RCPT").say("250 ok").hear("DATA").stall(),
            ),
            (
                "a wish in the middle",
                begun().say("250 ok").hear("RCPT").say("354 go on").hear("DATA").stall(),
            ),
            (
                "an answer before the end",
                begun()
                    .say("250 ok")
                    .hear("RCPT")
                    .say("250 ok")
                    .hear("DATA")
                    .say_bytes("354 go on\r\n250 queued\r\n")
                    .hear_until("\r\n.\r\n")
                    .say("554 no"),
            ),
        ] {
            let server = scripted(script).await;
            let cx = hasty(Duration::from_secs(20));
            let outcome = send_once(&config(server.address()), &cx, mail(json!(FILED))).await.unwrap();
            assert_eq!(statuses(&outcome), ["deferred"], "{what}: {:?}", outcome.output);
            assert_eq!(outcome.status, ActionStatus::Failed, "{what}");
            assert!(!server.heard()[0].contains("\r\n.\r\n"), "{what}: the mail was sent");
        }
    });
}

#[test]
fn an_address_that_is_not_public_is_refused_unless_the_network_allows_it() {
    within(async {
        let server = ScriptedServer::start([Script::new()]).await.unwrap();
        let mut network = connector_sdk::Network::default();
        network.allow_http = true;
        let cx = connector_sdk::Context::builder("acme", "mail").network(network).build();
        for host in ["127.0.0.1", "localhost", "169.254.169.254"] {
            let mut config = config(server.address());
            config["host"] = json!(host);
            let error = send_once(&config, &cx, mail(json!(FILED))).await.unwrap_err();
            assert_eq!(error.class(), Class::Permanent, "{error}");
        }
        assert_eq!(server.connections(), 0);
        let cx = connector_sdk::Context::builder("acme", "mail").build();
        assert_eq!(
            connect(&config(server.address()), &cx).err().unwrap().class(),
            Class::Config,
            "`tls: none`"
        );
    });
}
