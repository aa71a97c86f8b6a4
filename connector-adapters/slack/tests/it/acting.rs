//! What the connector does in the workspace.

use connector_sdk::{Class, Timestamp, contract::ActionRequest};
use connector_testkit::{fault::Fault, slack::ChannelKind};
use serde_json::json;

use super::host::{config, connect, context, small, start, within};

#[test]
fn a_message_is_sent_changed_reacted_to_and_taken_away() {
    within(async {
        let ws = start(small().messages(5)).await;
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let cx = context();
        let connector = connect(&config(&ws), &cx).unwrap();
        let act = async |name: &str, input| connector.act(&cx, ActionRequest::new(name, input)).await;
        let sent = act("send", json!({ "channel": channel, "text": "hello" })).await.unwrap().output;
        let ts = sent["ts"].as_str().unwrap().to_owned();
        let find = || ws.truth(&channel).into_iter().find(|message| message["ts"] == ts.as_str());
        assert_eq!(find().unwrap()["text"], "hello");
        act("update", json!({ "channel": channel, "ts": ts, "text": "hullo" })).await.unwrap();
        assert_eq!(find().unwrap()["text"], "hullo");
        for _ in 0..2 {
            act("react", json!({ "channel": channel, "ts": ts, "name": "wave" })).await.unwrap();
        }
        assert_eq!(find().unwrap()["reactions"][0]["count"], 1);
        // The answer is lost; that it is gone is what was wanted.
        ws.faults().on("/chat.delete").nth(1).then(Fault::ResetAfter { bytes: 0 });
        act("delete", json!({ "channel": channel, "ts": ts })).await.unwrap();
        assert!(find().is_none());
        let error = act("delete", json!({ "channel": channel, "ts": ts })).await.unwrap_err();
        assert_eq!(connector_slack::error_code(&error), Some("message_not_found"));
    });
}

#[test]
fn a_user_is_found_by_address_and_one_that_is_not_there_is_said_so() {
    within(async {
        let ws = start(small()).await;
        let cx = context();
        let connector = connect(&config(&ws), &cx).unwrap();
        let user = ws.users_truth().into_iter().find(|user| user["profile"]["email"].is_string()).unwrap();
        let input = json!({ "email": user["profile"]["email"] });
        let found = connector.act(&cx, ActionRequest::new("find_user", input)).await.unwrap();
        assert_eq!(found.output["id"], user["id"]);
        let input = json!({ "email": "nobody@nowhere.example" });
        let error = connector.act(&cx, ActionRequest::new("find_user", input)).await.unwrap_err();
        assert_eq!(
            (error.class(), connector_slack::error_code(&error)),
            (Class::Permanent, Some("users_not_found"))
        );
    });
}

#[test]
fn a_file_whose_completion_was_not_heard_is_completed_and_one_that_was_is_not_again() {
    within(async {
        let ws = start(small()).await;
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let cx = context();
        let connector = connect(&config(&ws), &cx).unwrap();
        let input = json!({ "channel": channel, "filename": "a.txt", "content_base64": "aGk=" });
        for (fault, asked) in [(Fault::ResetAfter { bytes: 0 }, 1), (Fault::ResetBefore, 2)] {
            let before = ws.requests_to("files.completeUploadExternal").len();
            ws.faults().on("/files.completeUploadExternal").nth(1).then(fault.clone());
            let outcome = connector.act(&cx, ActionRequest::new("upload", input.clone())).await.unwrap();
            assert!(outcome.output["id"].is_string());
            assert_eq!(ws.requests_to("files.completeUploadExternal").len() - before, asked, "{fault:?}");
            ws.faults().clear();
        }
    });
}

#[test]
fn what_a_call_that_died_has_posted_is_found_and_sent_only_when_it_cannot_come_any_more() {
    within(async {
        let ws = start(small().messages(5)).await;
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let cx = context();
        let process = || connect(&config(&ws), &cx).unwrap();
        let now = cx.clock().now();
        let send = |key: &str| {
            let input = json!({ "channel": channel, "text": key });
            ActionRequest::new("send", input).with_idempotency_key(key)
        };
        let first = process().act(&cx, send("posted")).await.unwrap();
        let again = process().act(&cx, send("posted").after_unknown(now)).await.unwrap();
        assert_eq!((again.output, ws.posts().len()), (first.output, 1));
        // It may have begun a moment ago, in a process that lives.
        let error = process().act(&cx, send("slow").after_unknown(now)).await.unwrap_err();
        assert_eq!((error.class(), ws.posts().len()), (Class::Ambiguous, 1));
        assert!(error.to_string().contains("ask_again_after_s"), "{error}");
        let long_ago = Timestamp::from_millis(now.as_millis() - 8 * 60_000 * 1_000 - 1);
        process().act(&cx, send("slow").after_unknown(long_ago)).await.unwrap();
        assert_eq!(ws.posts().len(), 2);
    });
}

#[test]
fn a_completion_that_nobody_answered_is_believed_only_where_the_file_is_in_the_channel() {
    within(async {
        let ws = start(small()).await;
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let cx = context();
        let connector = connect(&config(&ws), &cx).unwrap();
        ws.faults().on("/files.completeUploadExternal").nth(1).then(Fault::ResetAfter { bytes: 0 });
        let elsewhere = r#"{"ok":true,"file":{"id":"F1","channels":["C0ELSEWHERE"],"shares":{}}}"#;
        ws.faults().on("/files.info").nth(1).then(Fault::status(200).with_body(elsewhere));
        let input = json!({ "channel": channel, "filename": "a.txt", "content_base64": "aGk=" });
        let error = connector.act(&cx, ActionRequest::new("upload", input)).await.unwrap_err();
        assert_eq!(error.class(), Class::Ambiguous);
        assert_eq!(ws.requests_to("files.completeUploadExternal").len(), 1);
    });
}

#[test]
fn a_wrong_input_is_refused_before_anybody_is_asked() {
    within(async {
        let ws = start(small()).await;
        let cx = context();
        let connector = connect(&config(&ws), &cx).unwrap();
        for (name, input) in [
            ("send", json!({ "channel": "C1" })),
            ("send", json!({ "channel": "C1", "text": "x", "colour": "red" })),
            ("upload", json!({ "channel": "C1", "filename": "x", "content_base64": "***" })),
            ("shout", json!({})),
        ] {
            let error = connector.act(&cx, ActionRequest::new(name, input)).await.unwrap_err();
            assert_eq!(error.class(), Class::Config, "{name}");
        }
        assert!(ws.requests().is_empty());
    });
}
