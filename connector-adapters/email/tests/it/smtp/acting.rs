//! One key, one mail: under the host, and without it.

use std::sync::Arc;

use connector_host::{action, registry::MemoryRegistry};
use connector_sdk::contract::{ActionRequest, ActionStatus};
use serde_json::json;

use super::host::{FILED, config, connect, context, mail, servers, statuses, within};

#[test]
fn the_same_key_is_the_same_mail_sent_once_and_another_key_another_one() {
    within(async {
        let Some((_dovecot, postfix)) = servers().await else { return };
        let cx = context();
        let connector = connect(&config(postfix.address()), &cx).unwrap();
        let act = async |key: &str| {
            let request = ActionRequest::new("send", mail(json!(FILED))).with_idempotency_key(key);
            connector.act(&cx, request).await.unwrap()
        };
        let first = act("key-1").await;
        let again = act("key-1").await;
        let other = act("key-2").await;
        assert_eq!(first.output, again.output);
        assert_ne!(first.output["message_id"], other.output["message_id"]);
        // Another process draws the same Message-ID from the key.
        let elsewhere = connect(&config(postfix.address()), &cx).unwrap();
        let request = ActionRequest::new("send", mail(json!("b@maildir.test"))).with_idempotency_key("key-1");
        let elsewhere = elsewhere.act(&cx, request).await.unwrap();
        assert_eq!(elsewhere.output["message_id"], first.output["message_id"]);
        let concurrent = futures_util::future::join(act("key-3"), act("key-3")).await;
        assert_eq!(concurrent.0.output, concurrent.1.output);
        postfix.settled().await.unwrap();
        assert_eq!(postfix.maildir_of(4).await.unwrap().len(), 4);
    });
}

#[test]
fn who_was_put_off_is_sent_to_when_the_key_comes_again_and_nobody_else_is() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        postfix.answers("full@example.test", &["452 4.2.2 full"]);
        postfix.always_answers("gone@example.test", "550 5.1.1 nobody");
        let cx = context();
        let connector = connect(&config(postfix.address()), &cx).unwrap();
        let act = async || {
            let to = json!(["a@example.test", "full@example.test", "gone@example.test"]);
            connector
                .act(&cx, ActionRequest::new("send", mail(to)).with_idempotency_key("key"))
                .await
                .unwrap()
        };
        assert_eq!(statuses(&act().await), ["accepted", "deferred", "refused"]);
        assert_eq!(statuses(&act().await), ["accepted", "accepted", "refused"]);
        postfix.settled().await.unwrap();
        for (user, named) in [("a@example.test", 1), ("full@example.test", 2), ("gone@example.test", 1)] {
            assert_eq!(postfix.named(user), named, "{user}");
        }
        assert_eq!(postfix.inbox_of(&dovecot, "a@example.test", 1).await.unwrap().len(), 1);
    });
}

#[test]
fn the_host_answers_a_key_from_what_it_has_noted() {
    within(async {
        let Some((_dovecot, postfix)) = servers().await else { return };
        let cx = context();
        let registry = MemoryRegistry::new(Arc::clone(cx.clock()));
        for round in 0..2 {
            // Another process each time.
            let connector = connect(&config(postfix.address()), &cx).unwrap();
            let request = ActionRequest::new("send", mail(json!(FILED))).with_idempotency_key("key");
            let report = action::act(&registry, &*connector, &cx, request).await.unwrap();
            assert_eq!((report.status, report.repeated), (ActionStatus::Succeeded, round == 1));
        }
        postfix.settled().await.unwrap();
        assert_eq!(postfix.maildir_of(1).await.unwrap().len(), 1);
    });
}

#[test]
fn a_call_that_is_dropped_in_the_middle_is_not_forgotten() {
    within(async {
        let server = super::host::scripted(
            super::host::greeting(&[])
                .hear("MAIL")
                .say("250 ok")
                .hear("RCPT")
                .say("250 ok")
                .hear("DATA")
                .say("354 go")
                .stall(),
        )
        .await;
        let cx = context();
        let connector = connect(&config(server.address()), &cx).unwrap();
        let request = || ActionRequest::new("send", mail(json!(FILED))).with_idempotency_key("key");
        let dropped = async {
            while !server.heard().first().is_some_and(|heard| heard.contains("DATA")) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = connector.act(&cx, request()) => panic!("it does not answer"),
            () = dropped => {}
        }
        let again = connector.act(&cx, request()).await.unwrap();
        assert_eq!(again.status, ActionStatus::Ambiguous);
        assert_eq!(server.connections(), 1);
    });
}
