//! Each recipient has a fate of its own.

use std::{sync::Arc, time::Duration};

use connector_sdk::{Class, Timestamp, contract::ActionStatus};
use connector_testkit::{
    clock::{FastClock, ManualClock},
    mail::{Postfix, Script},
};
use serde_json::json;

use super::host::{
    FILED, FROM, config, connect, context, context_with, greeting, mail, resilience, scripted, send,
    send_once, servers, statuses, within,
};

#[test]
fn one_of_three_is_refused_and_the_others_get_it_once() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        postfix.always_answers("gone@example.test", "550 5.1.1 No such user");
        let cx = context();
        for pipelining in [true, false] {
            let other;
            let postfix = if pipelining {
                &postfix
            } else {
                other = Postfix::builder().without("PIPELINING").start(&dovecot).await.unwrap().unwrap();
                other.always_answers("gone@example.test", "550 5.1.1 No such user");
                &other
            };
            let to = json!(["a@example.test", "gone@example.test", "b@example.test"]);
            let outcome = send_once(&config(postfix.address()), &cx, mail(to)).await.unwrap();
            assert_eq!(outcome.status, ActionStatus::Partial);
            assert_eq!(statuses(&outcome), ["accepted", "refused", "accepted"]);
            let refused = &outcome.output["recipients"][1];
            assert_eq!((refused["code"].as_u64(), refused["enhanced"].as_str()), (Some(550), Some("5.1.1")));
            assert_eq!(refused["class"], "Permanent");
            assert!(refused["message"].as_str().unwrap().contains("No such user"));
            let error = outcome.error.unwrap();
            assert_eq!(error.class(), Class::Permanent);
            assert!(error.to_string().contains("refused: 1"), "{error}");
            postfix.settled().await.unwrap();
        }
        for user in ["a@example.test", "b@example.test"] {
            assert_eq!(postfix.inbox_of(&dovecot, user, 2).await.unwrap().len(), 2, "one by each server");
        }
    });
}

#[test]
fn who_is_greylisted_gets_it_a_minute_later_and_the_others_at_once_and_once() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        postfix.answers("grey@example.test", &["451 4.7.1 Greylisted, try again later"; 2]);
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        // Only the waits between rounds are shorter than an hour.
        let mut settings = resilience();
        settings.attempt_timeout = Duration::from_secs(3_600);
        settings.connect_timeout = Duration::from_secs(3_600);
        settings.idle_timeout = Duration::from_secs(3_600);
        settings.deadline = Duration::from_secs(7_200);
        let cx = context_with(clock.shared(), settings, None);
        let connector = connect(&config(postfix.address()), &cx).unwrap();
        let sending = {
            let (connector, cx) = (Arc::clone(&connector), cx.clone());
            let to = json!(["a@example.test", "grey@example.test", "b@example.test"]);
            tokio::spawn(async move { send(&connector, &cx, mail(to)).await })
        };
        for user in ["a@example.test", "b@example.test"] {
            assert_eq!(
                postfix.inbox_of(&dovecot, user, 1).await.unwrap().len(),
                1,
                "nobody waits for the other"
            );
        }
        assert_eq!(postfix.named("grey@example.test"), 1);
        let started = connector_sdk::Clock::monotonic(&clock);
        while !sending.is_finished() {
            // Too little for any wait but that for the greylist.
            clock.advance(Duration::from_millis(500));
            nap().await;
        }
        let outcome = sending.await.unwrap().unwrap();
        assert_eq!(outcome.status, ActionStatus::Succeeded, "{:?}", outcome.output);
        let passed = connector_sdk::Clock::monotonic(&clock) - started;
        assert!(passed >= Duration::from_secs(119), "asked again after {passed:?}");
        assert_eq!(postfix.named("grey@example.test"), 3);
        postfix.settled().await.unwrap();
        for user in ["a@example.test", "b@example.test", "grey@example.test"] {
            assert_eq!(postfix.inbox_of(&dovecot, user, 1).await.unwrap().len(), 1, "{user}");
            assert_eq!(postfix.named(user), if user.starts_with("grey") { 3 } else { 1 });
        }
    });
}

#[test]
fn one_who_is_put_off_again_and_again_takes_no_time_from_one_who_is_greylisted() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        postfix.answers("grey@example.test", &["451 4.7.1 Greylisted, try again later"]);
        postfix.always_answers("stubborn@example.test", "450 4.3.0 not now");
        let mut settings = resilience();
        settings.deadline = Duration::from_secs(600);
        let cx = context_with(FastClock::shared(), settings, None);
        let to = json!(["grey@example.test", "stubborn@example.test"]);
        let outcome = send_once(&config(postfix.address()), &cx, mail(to)).await.unwrap();
        assert_eq!(statuses(&outcome), ["accepted", "deferred"], "{:?}", outcome.output);
        assert_eq!((postfix.named("grey@example.test"), postfix.named("stubborn@example.test")), (2, 3));
        assert_eq!(postfix.inbox_of(&dovecot, "grey@example.test", 1).await.unwrap().len(), 1);
    });
}

async fn nap() {
    connector_sdk::Clock::sleep(&connector_sdk::SystemClock::new(), Duration::from_millis(2)).await;
}

#[test]
fn who_is_put_off_for_longer_than_there_is_time_is_said_to_be_with_when_to_come_back() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        postfix.always_answers("full@example.test", "452 4.2.2 Mailbox full");
        postfix.always_answers("slow@example.test", "450 4.7.1 try again in 2 hours");
        let cx = context();
        let to = json!(["a@example.test", "full@example.test", "slow@example.test"]);
        let outcome = send_once(&config(postfix.address()), &cx, mail(to)).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Partial);
        assert_eq!(statuses(&outcome), ["accepted", "deferred", "deferred"]);
        let recipients = &outcome.output["recipients"];
        assert_eq!(recipients[1]["class"], "Transient");
        assert_eq!(recipients[1]["retry_after_ms"], 30 * 60 * 1_000);
        assert_eq!(recipients[2]["class"], "RateLimited");
        assert_eq!(recipients[2]["retry_after_ms"], 7_200_000);
        let error = outcome.error.unwrap();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1_800)));
        assert_eq!((postfix.named("full@example.test"), postfix.named("slow@example.test")), (1, 1));
        assert_eq!(postfix.inbox_of(&dovecot, "a@example.test", 1).await.unwrap().len(), 1);
    });
}

#[test]
fn what_passes_is_tried_again_as_often_as_the_policy_says() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        let cx = context();
        let connector = connect(&config(postfix.address()), &cx).unwrap();
        // After a 421 the server hangs up.
        postfix.answers("busy@example.test", &["421 4.3.2 shutting down", "450 4.3.0 not now"]);
        let outcome = send(&connector, &cx, mail(json!("busy@example.test"))).await.unwrap();
        assert_eq!(statuses(&outcome), ["accepted"], "{:?}", outcome.output);
        assert_eq!(postfix.named("busy@example.test"), 3);
        postfix.always_answers("never@example.test", "450 4.3.0 not now");
        let outcome = send(&connector, &cx, mail(json!("never@example.test"))).await.unwrap();
        assert_eq!((outcome.status, statuses(&outcome)), (ActionStatus::Failed, vec!["deferred".to_owned()]));
        assert_eq!(postfix.named("never@example.test"), 3);
        assert!(outcome.error.unwrap().is_exhausted());
        // The whole mail is refused for now, and for ever.
        postfix.answers_message(FROM, &["451 4.3.0 disk full", "554 5.7.1 looks like spam"]);
        let outcome = send(&connector, &cx, mail(json!(["x@example.test", "y@example.test"]))).await.unwrap();
        assert_eq!(statuses(&outcome), ["refused", "refused"]);
        assert_eq!(outcome.output["recipients"][0]["enhanced"], "5.7.1");
        postfix.settled().await.unwrap();
        assert_eq!(postfix.inbox_of(&dovecot, "busy@example.test", 1).await.unwrap().len(), 1);
        assert!(postfix.inbox_of(&dovecot, "x@example.test", 0).await.unwrap().is_empty());
    });
}

#[test]
fn a_mail_that_is_too_large_is_not_sent() {
    within(async {
        let Some((dovecot, _)) = servers().await else { return };
        let postfix = Postfix::builder().size(20_000).start(&dovecot).await.unwrap().unwrap();
        let cx = context();
        let mut input = mail(json!([FILED, "a@example.test"]));
        input["text"] = json!("x\n".repeat(20_000));
        let outcome = send_once(&config(postfix.address()), &cx, input.clone()).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Failed);
        assert_eq!(outcome.output["recipients"][1]["enhanced"], "5.3.4");
        assert_eq!(postfix.named(FILED), 0, "nobody was named: the server had said how much it takes");
        // A server that does not say so refuses.
        let quiet = Postfix::builder().size(20_000).without("SIZE").start(&dovecot).await.unwrap().unwrap();
        let outcome = send_once(&config(quiet.address()), &cx, input.clone()).await.unwrap();
        assert_eq!(outcome.output["recipients"][0]["code"], 552, "{:?}", outcome.output);
        let mut small = config(postfix.address());
        small["max_message"] = json!("10KiB");
        let error = send_once(&small, &cx, input).await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
    });
}

#[test]
fn more_recipients_than_a_server_takes_at_once_get_it_in_several_goes() {
    within(async {
        let Some((dovecot, _)) = servers().await else { return };
        let postfix =
            Postfix::builder().setting("smtpd_recipient_limit = 30").start(&dovecot).await.unwrap().unwrap();
        let to: Vec<String> = (0..250).map(|n| format!("r{n}@maildir.test")).collect();
        let outcome = send_once(&config(postfix.address()), &context(), mail(json!(to))).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Succeeded, "{:?}", outcome.error);
        let mails = postfix.maildir_of(250).await.unwrap();
        assert_eq!(mails.len(), 250);
        let twice = mail(json!(["a@example.test", "A <a@example.test>"]));
        let outcome = send_once(&config(postfix.address()), &context(), twice).await.unwrap();
        assert_eq!(statuses(&outcome), ["accepted"], "named twice, sent once");
    });
}

#[test]
fn where_all_are_refused_and_the_mail_is_wanted_all_the_same_a_lone_dot_is_sent() {
    within(async {
        let refused = |script: Script| script.say("250 ok").say("550 5.1.1 no").say("550 5.1.1 no");
        let script = greeting(&["PIPELINING"]).hear("MAIL").hear("RCPT").hear("RCPT").hear("DATA");
        let script = refused(script)
            .say("354 go on")
            .hear_until(".\r\n")
            .say("554 5.5.1 no valid recipients")
            .hear("QUIT");
        let server = scripted(script).await;
        let outcome = send_once(&config(server.address()), &context(), mail(json!(["a@b.test", "c@b.test"])))
            .await
            .unwrap();
        assert_eq!(
            (outcome.status, statuses(&outcome)),
            (ActionStatus::Failed, vec!["refused".to_owned(); 2])
        );
        assert!(server.heard()[0].contains("DATA\r\n.\r\n"), "{:?}", server.heard());
        assert!(!server.heard()[0].contains("Subject"));
    });
}
