//! What goes wrong on the way, at each place where the vendor is asked.

use std::sync::Arc;

use connector_sdk::{Class, Counters};
use connector_testkit::{
    fault::{Fault, Matcher, Seen},
    slack::{ChannelKind, FakeWorkspace},
};
use serde_json::json;

use super::host::{Host, config, small, start, with, within};

async fn workspace() -> FakeWorkspace {
    let ws = start(small().messages(45).thread_every(5)).await;
    let channel = ws.channels(ChannelKind::Public)[0].clone();
    let ts = ws.truth(&channel)[3]["ts"].as_str().unwrap().to_owned();
    for user in ws.users_truth().iter().take(6) {
        ws.react(&channel, &ts, "thumbsup", user["id"].as_str().unwrap());
    }
    ws
}

/// Every place where a read asks, with the stream that asks there.
const PLACES: [(&str, &str); 9] = [
    ("users", "users.list"),
    ("usergroups", "usergroups.list"),
    ("channels", "conversations.list"),
    ("messages", "conversations.list"),
    ("messages", "conversations.history"),
    ("replies", "conversations.replies"),
    ("members", "conversations.members"),
    ("files", "files.list"),
    ("pins", "pins.list"),
];

#[test]
fn what_may_go_away_costs_a_retry_and_no_row_at_each_place() {
    within(async {
        for (stream, method) in PLACES {
            let ws = workspace().await;
            let mut calm = Host::new(&config(&ws), stream).await;
            calm.run().await.clean();
            for fault in [
                Fault::status(503),
                Fault::retry_after(429, "3"),
                Fault::status(200).with_body(r#"{"ok":false,"error":"internal_error"}"#),
                Fault::status(200).with_body(r#"{"ok":false,"error":"ratelimited"}"#),
                Fault::html(),
                Fault::EmptyBody,
                Fault::TruncatedBody { after: 30, chunked: true },
                Fault::ResetBefore,
            ] {
                let mut host = Host::new(&config(&ws), stream).await;
                ws.faults().clear();
                ws.faults().on(format!("/{method}").as_str()).nth(1).then(fault.clone());
                host.run().await.clean();
                assert_eq!(host.latest(), calm.latest(), "{stream} {method} {fault:?}");
                host.assert_nothing_twice();
            }
        }
    });
}

#[test]
fn each_code_has_its_class_at_each_place() {
    within(async {
        for (stream, method) in PLACES {
            let ws = workspace().await;
            for (code, class) in [
                ("missing_scope", Class::Config),
                ("not_allowed_token_type", Class::Config),
                ("invalid_auth", Class::Auth),
                ("account_inactive", Class::Auth),
                ("invalid_arguments", Class::Permanent),
                ("a_code_of_tomorrow", Class::Permanent),
            ] {
                let mut host = Host::new(&config(&ws), stream).await;
                let body = json!({ "ok": false, "error": code }).to_string();
                let rule = ws
                    .faults()
                    .on(format!("/{method}").as_str())
                    .always()
                    .then(Fault::status(200).with_body(body));
                let outcome = host.run().await;
                assert!(!outcome.errors.is_empty(), "{stream} {method} {code}");
                for error in &outcome.errors {
                    assert_eq!(error.class(), class, "{stream} {method} {code}: {error}");
                    assert_eq!(connector_slack::error_code(error), Some(code), "kept as it came");
                }
                ws.faults().remove(rule);
            }
        }
    });
}

#[test]
fn a_channel_that_may_not_be_read_is_skipped_with_its_reason_and_the_others_are_read() {
    within(async {
        for code in ["not_in_channel", "channel_not_found", "is_archived", "channel_is_limited_access"] {
            for stream in ["messages", "replies", "members", "reactions", "pins"] {
                let ws = workspace().await;
                let method = match stream {
                    "members" => "conversations.members",
                    "pins" => "pins.list",
                    _ => "conversations.history",
                };
                let mut host = Host::new(&config(&ws), stream).await;
                ws.refuse(method, code);
                let outcome = host.run().await;
                assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
                assert_eq!(outcome.skipped.len(), 1, "{stream} {code}");
                let (_, error) = &outcome.skipped[0];
                assert_eq!(error.class(), Class::Permanent);
                assert!(error.to_string().contains(code), "{error}");
            }
        }
    });
}

#[test]
fn a_message_that_is_deleted_before_its_reactions_are_asked_for_does_not_fail_its_channel() {
    within(async {
        let ws = Arc::new(start(small().messages(45).thread_every(0).users(20)).await);
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let (gone, kept) = {
            let truth = ws.truth(&channel);
            let ts = |index: usize| truth[index]["ts"].as_str().unwrap().to_owned();
            (ts(30), ts(3))
        };
        // More users than a page shows, so that they are asked for.
        for user in ws.users_truth() {
            for ts in [&gone, &kept] {
                ws.react(&channel, ts, "tada", user["id"].as_str().unwrap());
            }
        }
        let (vendor, at, ts) = (Arc::downgrade(&ws), channel.clone(), gone.clone());
        let unharmed = Fault::ContentType("application/json; charset=utf-8".to_owned());
        let delete = move |_: &Seen<'_>| {
            assert!(vendor.upgrade().is_some_and(|ws| ws.delete_message(&at, &ts)));
        };
        let asked = Matcher::path("/reactions.get").query(format!("timestamp={gone}"));
        let rule = ws.faults().on(asked).nth(1).doing(delete).then(unharmed);
        let mut host = Host::new(&config(&ws), "reactions").await;
        host.run().await.clean();
        assert_eq!(ws.faults().fired_by(rule), 1);
        let codes: Vec<_> =
            ws.requests_to("reactions.get").into_iter().filter_map(|request| request.error).collect();
        assert_eq!(codes, ["message_not_found"]);
        let of = |ts: &str| host.bronze.iter().filter(|row| row.key["ts"] == ts).count();
        assert!(of(&kept) >= 1, "the others are read");
        assert_eq!(of(&gone), 0);
    });
}

#[test]
fn a_channel_that_a_bot_is_not_in_is_skipped_without_asking_or_joined_where_that_is_configured() {
    within(async {
        let ws = workspace().await;
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        ws.join(&channel, false);
        let mut host = Host::new(&config(&ws), "messages").await;
        let outcome = host.run().await;
        assert_eq!(outcome.skipped.len(), 1);
        assert!(outcome.skipped[0].1.to_string().contains("not_in_channel"));
        assert!(
            ws.requests_to("conversations.history")
                .iter()
                .all(|request| request.argument("channel") != Some(&channel))
        );
        let joining = with(config(&ws), "join", json!(true));
        host.restart(&joining);
        host.run().await.clean();
        assert_eq!(ws.requests_to("conversations.join").len(), 1);
        host.assert_holds_messages(&ws);
    });
}

#[test]
fn d_12_a_page_that_always_comes_broken_fails_and_the_next_run_goes_on() {
    within(async {
        let ws = workspace().await;
        let mut host = Host::new(&config(&ws), "messages").await;
        let broken = Fault::status(200).with_body(r#"{"ok":true,"messages":[{"ts":"1.0""#);
        let rule = ws.faults().on("/conversations.history").skip(3).always().then(broken);
        let outcome = host.run().await;
        assert!(outcome.errors.iter().all(|error| error.class() == Class::Transient), "{:?}", outcome.errors);
        assert!(!outcome.errors.is_empty());
        ws.faults().remove(rule);
        host.run().await.clean();
        host.assert_holds_messages(&ws);
    });
}

#[test]
fn d_13_cursors_that_expire_in_mid_list_cost_no_row() {
    within(async {
        for (stream, method) in [
            ("users", "users.list"),
            ("members", "conversations.members"),
            ("replies", "conversations.replies"),
        ] {
            let ws = start(small().messages(40).thread_every(2).users(40)).await;
            let config = with(config(&ws), "page_size", json!(2));
            let mut calm = Host::new(&config, stream).await;
            calm.run().await.clean();
            let mut host = Host::new(&config, stream).await;
            ws.let_pass(method, 3);
            ws.refuse(method, "invalid_cursor");
            host.run().await.clean();
            assert_eq!(host.latest(), calm.latest(), "{stream}");
        }
    });
}

#[test]
fn reading_asks_nobody_before_it_is_polled() {
    within(async {
        let ws = workspace().await;
        let host = Host::new(&config(&ws), "messages").await;
        let plan = host.connector.partitions(&host.cx, &host.stream, &host.state).await.unwrap();
        let asked = Counters::get(&host.cx.counters().requests);
        for partition in plan.partitions {
            drop(host.connector.read(connector_sdk::ReadRequest::new(
                host.cx.clone(),
                host.stream.clone(),
                partition,
            )));
        }
        assert_eq!(Counters::get(&host.cx.counters().requests), asked);
    });
}
