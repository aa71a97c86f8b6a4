//! What users of other clients complain of, each as a test. The fifth, about Socket Mode, is with the events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use connector_sdk::{Class, contract::ActionRequest};
use connector_testkit::{
    clock::FastClock,
    fault::{Fault, Seen},
    slack::{ChannelKind, FakeWorkspace},
};
use serde_json::json;

use super::host::{DAY, Host, MINUTE, config, connect, context, small, start, with, within};

async fn workspace() -> FakeWorkspace {
    start(small().messages(60).thread_every(6).span(DAY * 6)).await
}

#[test]
fn complaint_1_a_reply_to_an_old_thread_is_found_airbyte_32143() {
    within(async {
        let ws = workspace().await;
        let config = with(config(&ws), "thread_lookback", json!("10d"));
        let mut host = Host::new(&config, "replies").await;
        host.run().await.clean();
        host.assert_holds_replies(&ws);
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let threads = ws.threads(&channel);
        // Days later, in the oldest thread inside the look-back, and in a message that was none.
        ws.advance(DAY);
        ws.reply(&channel, &threads[0], "late");
        let quiet =
            ws.truth(&channel).into_iter().find(|message| message.get("reply_count").is_none()).unwrap();
        ws.reply(&channel, quiet["ts"].as_str().unwrap(), "the first");
        host.restart(&config);
        let rows = host.run().await.clean().rows;
        assert_eq!(rows.len(), 2, "and nothing twice");
        host.assert_holds_replies(&ws);
        // The vendor need not say which reply is the latest.
        ws.latest_reply(false);
        ws.reply(&channel, &threads[0], "later");
        ws.advance(MINUTE * 5);
        assert_eq!(host.run().await.clean().rows.len(), 1);
        assert!(host.run().await.clean().rows.is_empty());
    });
}

#[test]
fn complaint_2_reading_threads_ends_while_people_go_on_writing_airbyte_47231_pyairbyte_430() {
    within(async {
        let ws = Arc::new(workspace().await);
        let channels = ws.channels(ChannelKind::Public);
        let threads: usize = channels.iter().map(|channel| ws.threads(channel).len()).sum();
        assert!(threads >= 20, "{threads}");
        // Whenever anything is asked, somebody writes: into the very thread, and one of a new beginning.
        let (writer, written) = (Arc::downgrade(&ws), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&written);
        let write = move |seen: &Seen<'_>| {
            let Some(ws) = writer.upgrade() else { return };
            let argument = |name: &str| {
                seen.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
            };
            let Some(channel) = argument("channel") else { return };
            let begun = ws.post(channel, "and another thing");
            ws.reply(channel, argument("ts").unwrap_or(&begun), "while you read");
            ws.reply(channel, &begun, "while you read");
            count.fetch_add(1, Ordering::SeqCst);
        };
        let unharmed = Fault::ContentType("application/json; charset=utf-8".to_owned());
        let rule = ws.faults().on("/conversations.").always().doing(write).then(unharmed);
        let mut host = Host::new(&config(&ws), "replies").await;
        // Discovery may have asked.
        let asked = ws.requests().len();
        host.run().await.clean();
        let asked = ws.requests().len() - asked;
        // The list, the pages of two channels of 60 and what was added, each thread and its last page once more.
        assert!(asked <= 2 + 2 * 5 + 2 * threads, "{asked} requests for {threads} threads");
        assert!(written.load(Ordering::SeqCst) >= threads, "{written:?}");
        host.assert_nothing_twice();
        ws.faults().remove(rule);
        // The next pass brings what was written meanwhile.
        ws.advance(MINUTE * 5);
        host.run().await.clean();
        host.assert_holds_replies(&ws);
        // A thread that is known is not asked again.
        let asked = ws.requests_to("conversations.replies").len();
        host.run().await.clean();
        assert_eq!(ws.requests_to("conversations.replies").len(), asked);
        // A page of replies that leads to itself.
        let body = r#"{"ok":true,"messages":[],"has_more":true,"response_metadata":{"next_cursor":"again"}}"#;
        ws.faults().on("/conversations.replies").always().then(Fault::status(200).with_body(body));
        let mut host = Host::new(&config(&ws), "replies").await;
        let outcome = host.run().await;
        assert_eq!(outcome.errors.len(), 2, "both channels: {:?}", outcome.errors);
        assert!(outcome.errors.iter().all(|error| error.class() == Class::Permanent), "{:?}", outcome.errors);
        let asked = ws.requests_to("conversations.replies").len() - asked;
        assert!(asked <= 2 * 2, "{asked}: the same page is not asked for again and again");
    });
}

#[test]
fn complaint_3_a_rate_limit_neither_hangs_nor_fails_the_read_airbyte_2376_5650_11413_cloudquery_5809() {
    within(async {
        let ws = workspace().await;
        for stream in ["messages", "replies"] {
            Host::new(&config(&ws), stream).await.run().await.clean();
        }
        let calm = ws.requests().len();
        for method in ["conversations.list", "conversations.history", "conversations.replies"] {
            ws.faults().on(format!("/{method}").as_str()).every(3).then(Fault::retry_after(429, "2"));
        }
        for stream in ["messages", "replies"] {
            let mut host = Host::new(&config(&ws), stream).await;
            host.run().await.clean();
            if stream == "messages" {
                host.assert_holds_messages(&ws)
            } else {
                host.assert_holds_replies(&ws)
            }
        }
        // Each third one is asked for once more, and no other.
        let refused = usize::try_from(ws.faults().fired()).unwrap();
        assert!(refused > 0);
        assert_eq!(ws.requests().len() - calm, calm + refused);
        // Longer than a run: it ends with the time to come back, and the next one goes on.
        ws.faults().clear();
        ws.faults().on("/conversations.history").always().then(Fault::retry_after(429, "86400"));
        let mut host = Host::new(&config(&ws), "messages").await;
        let asked = ws.requests_to("conversations.history").len();
        let outcome = host.run().await;
        assert_eq!(outcome.errors.len(), 2, "both channels: {:?}", outcome.errors);
        for error in &outcome.errors {
            assert_eq!(error.class(), Class::RateLimited, "{error}");
            assert!(error.resume_at().is_some(), "{error}");
        }
        let asked = ws.requests_to("conversations.history").len() - asked;
        assert!((1..=2).contains(&asked), "{asked}: each channel asks once at most");
        ws.faults().clear();
        host.restart(&config(&ws));
        host.run().await.clean();
        host.assert_holds_messages(&ws);
    });
}

#[test]
fn complaint_4_one_request_a_minute_is_noticed_obeyed_and_told_airbyte_62056_64553_65132() {
    within(async {
        // Both clocks go on, and quickly: a minute is three seconds.
        let ws = small().channels(1).messages(60).clock(FastClock::shared()).start().await.unwrap();
        ws.slow_cohort(true);
        let config = with(config(&ws), "page_size", json!(200));
        let mut host = Host::new(&config, "messages").await;
        host.run().await.clean();
        host.assert_holds_messages(&ws);
        let asked = ws.requests_to("conversations.history");
        assert_eq!(asked[0].argument("limit"), Some("200"));
        assert_eq!(asked.last().unwrap().argument("limit"), Some("15"));
        let cost = host.connector.estimate_cost(&host.cx, &host.stream).await.unwrap();
        let requests = cost.requests.unwrap();
        assert!(requests >= 3, "{cost:?}");
        assert_eq!(cost.duration, Some(Duration::from_secs(60 * requests)), "a minute each");
        // Others are told what they have: requests by the tier.
        ws.slow_cohort(false);
        let mut quick = Host::new(&config, "messages").await;
        let cost = quick.connector.estimate_cost(&quick.cx, &quick.stream).await.unwrap();
        assert_eq!((cost.requests, cost.records), (Some(1), Some(60)));
        assert!(cost.duration.unwrap() < MINUTE);
        quick.run().await.clean();
    });
}

#[test]
fn complaint_6_one_unknown_field_or_value_fails_nothing_slack_morphism_360_371_201_23_351_328() {
    within(async {
        let ws = workspace().await;
        ws.unknown(true);
        for stream in [
            "messages",
            "replies",
            "users",
            "channels",
            "members",
            "files",
            "reactions",
            "pins",
            "usergroups",
        ] {
            let mut host = Host::new(&config(&ws), stream).await;
            host.run().await.clean();
            match stream {
                "messages" => host.assert_holds_messages(&ws),
                "replies" => host.assert_holds_replies(&ws),
                _ => {}
            }
        }
    });
}

#[test]
fn complaint_7_a_message_is_not_posted_twice_after_a_lost_answer_slack_api_specs_10_openclaw_22780_bolt_js_1539()
 {
    within(async {
        let ws = workspace().await;
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let cx = context();
        let connector = connect(&config(&ws), &cx).unwrap();
        let posted = |text: &str| ws.truth(&channel).iter().filter(|message| message["text"] == text).count();
        // Done, and its answer lost: found by looking.
        ws.faults().on("/chat.postMessage").nth(1).then(Fault::ResetAfter { bytes: 0 });
        let send = |text: &str| ActionRequest::new("send", json!({ "channel": channel, "text": text }));
        let outcome = connector.act(&cx, send("once").with_idempotency_key("k-1")).await.unwrap();
        assert_eq!(posted("once"), 1);
        assert!(outcome.output["ts"].is_string());
        // Not done, and nobody knows: looked for, and sent once more.
        ws.faults().clear();
        ws.faults()
            .on("/chat.postMessage")
            .nth(1)
            .then(Fault::status(200).with_body(r#"{"ok":false,"error":"fatal_error"}"#));
        connector.act(&cx, send("twice?").with_idempotency_key("k-2")).await.unwrap();
        assert_eq!(posted("twice?"), 1);
        // Done, its answer lost, and it shows only after a while: waited for.
        let slow = small().messages(5).clock(FastClock::shared()).start().await.unwrap();
        slow.set_visibility_delay(Duration::from_secs(5));
        let there = slow.channels(ChannelKind::Public)[0].clone();
        let late = connect(&config(&slow), &cx).unwrap();
        slow.faults().on("/chat.postMessage").nth(1).then(Fault::ResetAfter { bytes: 0 });
        let request = ActionRequest::new("send", json!({ "channel": there, "text": "late" }));
        let outcome = late.act(&cx, request.with_idempotency_key("k-4")).await.unwrap();
        assert_eq!(slow.posts().len(), 1);
        assert_eq!(outcome.output["ts"], slow.posts()[0]["ts"]);
        assert_eq!(slow.requests_to("chat.postMessage").len(), 1);
        // Done, though the vendor says that it failed: the one that is there is taken for it.
        ws.faults().clear();
        let before = ws.posts().len();
        ws.refuse_after("chat.postMessage", "fatal_error");
        let outcome =
            connector.act(&cx, send("done all the same").with_idempotency_key("k-5")).await.unwrap();
        assert_eq!((posted("done all the same"), ws.posts().len()), (1, before + 1));
        assert_eq!(outcome.output["ts"], ws.posts()[before]["ts"]);
        // Without a key nothing is sent again.
        ws.faults().clear();
        ws.faults().on("/chat.postMessage").nth(1).then(Fault::ResetAfter { bytes: 0 });
        let error = connector.act(&cx, send("unkeyed")).await.unwrap_err();
        assert_eq!(error.class(), Class::Ambiguous);
        assert_eq!(posted("unkeyed"), 1);
        // In a thread too.
        ws.faults().clear();
        let thread = ws.threads(&channel)[0].clone();
        ws.faults().on("/chat.postMessage").nth(1).then(Fault::ResetAfter { bytes: 0 });
        let request =
            ActionRequest::new("send", json!({ "channel": channel, "text": "reply", "thread_ts": thread }));
        connector.act(&cx, request.with_idempotency_key("k-3")).await.unwrap();
        assert_eq!(
            ws.replies_truth(&channel, &thread).iter().filter(|reply| reply["text"] == "reply").count(),
            1
        );
    });
}

#[test]
fn complaint_8_paging_and_upload_are_tried_again_too_python_1041_1853_ruby_166_onyx_12127_node_1636() {
    within(async {
        let ws = workspace().await;
        for method in ["users.list", "conversations.members", "files.list"] {
            ws.faults().on(format!("/{method}").as_str()).nth(2).then(Fault::status(504));
        }
        for stream in ["users", "members", "files"] {
            Host::new(&with(config(&ws), "page_size", json!(3)), stream).await.run().await.clean();
        }
        // Onyx: the code with another status than 429.
        let limited = Fault::status(400).with_body(r#"{"ok":false,"error":"ratelimited"}"#);
        ws.faults().on("/conversations.history").nth(1).then(limited);
        let mut host = Host::new(&config(&ws), "messages").await;
        host.run().await.clean();
        host.assert_holds_messages(&ws);
        // The upload host answers 504.
        let cx = context();
        let connector = connect(&config(&ws), &cx).unwrap();
        ws.faults().clear();
        ws.faults().on("/upload").nth(1).then(Fault::status(504));
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let input = json!({ "channel": channel, "filename": "é.txt", "content_base64": "w6k=" });
        let outcome = connector.act(&cx, ActionRequest::new("upload", input)).await.unwrap();
        assert!(outcome.output["id"].is_string());
        let asked = ws.requests_to("files.getUploadURLExternal");
        assert_eq!(asked[0].argument("length"), Some("2"), "bytes, not characters");
        assert_eq!(ws.requests_to("files.completeUploadExternal").len(), 1);
    });
}
