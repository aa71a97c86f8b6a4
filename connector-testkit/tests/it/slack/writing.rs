//! Writing: posts, edits, reactions, uploads.

use std::time::Duration;

use connector_testkit::slack::ChannelKind;
use serde_json::{Value, json};

use super::{Client, builder, within};

#[test]
fn a_post_carries_metadata_that_is_shown_to_those_who_ask() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.messages(5).start().await.unwrap();
        let client = Client::new(&ws);
        let channels = ws.channels(ChannelKind::Public);
        let channel = channels[0].as_str();
        let metadata = json!({ "event_type": "connector_idempotency", "event_payload": { "key": "k1" } });
        let post = json!({ "channel": channel, "text": "a text", "metadata": metadata });
        let one = client.json("chat.postMessage", &post).await.body;
        // The same as a form, where the object is text.
        let text = metadata.to_string();
        let two = client
            .form("chat.postMessage", &[("channel", channel), ("text", "a text"), ("metadata", &text)])
            .await;
        assert_ne!(one["ts"], two.body["ts"]);
        assert!(one["ts"].as_str() < two.body["ts"].as_str());
        let page = client.get("conversations.history", &[("channel", channel), ("limit", "2")]).await.body;
        assert!(page["messages"][0].get("metadata").is_none());
        let page = client
            .get(
                "conversations.history",
                &[("channel", channel), ("limit", "2"), ("include_all_metadata", "true")],
            )
            .await
            .body;
        assert_eq!(
            (&page["messages"][0]["metadata"], &page["messages"][1]["metadata"]),
            (&metadata, &metadata)
        );
        assert_eq!(ws.posts().len(), 2);
        assert_eq!(ws.posts()[0]["metadata"], metadata);
        let thread = one["ts"].as_str().unwrap();
        let reply = client
            .form("chat.postMessage", &[("channel", channel), ("text", "r"), ("thread_ts", thread)])
            .await;
        assert_eq!(ws.replies_truth(channel, thread)[0]["ts"], reply.body["ts"]);
        assert_eq!(ws.truth(channel).len(), 7);
        ws.shutdown().await;
    });
}

#[test]
fn a_post_can_be_seen_later_than_it_was_made() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.messages(5).start().await.unwrap();
        ws.set_visibility_delay(Duration::from_secs(3));
        let client = Client::new(&ws);
        let channels = ws.channels(ChannelKind::Public);
        let channel = channels[0].as_str();
        let posted = client.form("chat.postMessage", &[("channel", channel), ("text", "a")]).await.body;
        let newest = async || {
            client.get("conversations.history", &[("channel", channel), ("limit", "1")]).await.body["messages"][0]["ts"].clone()
        };
        assert_ne!(newest().await, posted["ts"]);
        clock.advance(Duration::from_secs(3));
        assert_eq!(newest().await, posted["ts"]);
        ws.shutdown().await;
    });
}

#[test]
fn what_cannot_be_posted_changed_or_deleted_says_why() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.messages(5).start().await.unwrap();
        let client = Client::new(&ws);
        let public = ws.channels(ChannelKind::Public);
        let channel = public[0].as_str();
        let post = async |more: Value| {
            let mut call = json!({ "channel": channel });
            call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            client.json("chat.postMessage", &call).await.error().to_owned()
        };
        assert_eq!(post(json!({})).await, "no_text");
        assert_eq!(post(json!({ "text": "x".repeat(40_001) })).await, "msg_too_long");
        let block = json!({ "type": "section", "text": { "type": "mrkdwn", "text": "x".repeat(3_001) } });
        assert_eq!(post(json!({ "blocks": [block] })).await, "invalid_blocks");
        assert_eq!(
            post(json!({ "text": "a", "attachments": vec![json!({}); 101] })).await,
            "too_many_attachments"
        );
        assert_eq!(post(json!({ "channel": "C1", "text": "a" })).await, "channel_not_found");
        ws.join(&public[1], false);
        assert_eq!(post(json!({ "channel": public[1], "text": "a" })).await, "not_in_channel");
        ws.archive(&public[2], true);
        assert_eq!(post(json!({ "channel": public[2], "text": "a" })).await, "is_archived");
        let theirs = ws.post(channel, "not the bot's");
        let of = [("channel", channel), ("ts", theirs.as_str()), ("text", "b")];
        assert_eq!(client.form("chat.update", &of).await.error(), "cant_update_message");
        assert_eq!(client.form("chat.delete", &of[..2]).await.error(), "cant_delete_message");
        let none = [("channel", channel), ("ts", "1.000001"), ("text", "b")];
        assert_eq!(client.form("chat.update", &none).await.error(), "message_not_found");
        assert_eq!(client.form("chat.delete", &none).await.error(), "message_not_found");
        let not_json =
            client.http.post(format!("{}/chat.postMessage", client.base)).bearer_auth(&client.token);
        let answer = not_json.header("content-type", "application/json").body("{").send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_json");
        ws.shutdown().await;
    });
}

#[test]
fn a_reaction_counts_all_and_shows_some_unless_all_are_asked_for() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        let client = Client::new(&ws);
        let channels = ws.channels(ChannelKind::Public);
        let channel = channels[0].as_str();
        let ts = ws.post(channel, "popular");
        for user in 0..9 {
            assert!(ws.react(channel, &ts, "tada", &format!("U{user}")));
        }
        let add = [("channel", channel), ("timestamp", ts.as_str()), ("name", "tada")];
        assert_eq!(client.form("reactions.add", &add).await.error(), "");
        assert_eq!(client.form("reactions.add", &add).await.error(), "already_reacted");
        let cut = client.get("reactions.get", &add[..2]).await.body["message"]["reactions"][0].clone();
        assert_eq!((cut["count"].clone(), cut["users"].as_array().unwrap().len()), (10.into(), 5));
        let full = [add.as_slice(), &[("full", "true")]].concat();
        let full = client.get("reactions.get", &full).await.body["message"]["reactions"][0].clone();
        assert_eq!(full["users"].as_array().unwrap().len(), 10);
        let listed = client.get("reactions.list", &[]).await.body;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        ws.pin(channel, &ts);
        let pins = client.get("pins.list", &[("channel", channel)]).await.body;
        assert_eq!(pins["items"].as_array().unwrap().last().unwrap()["message"]["ts"], ts);
        ws.shutdown().await;
    });
}

#[test]
fn an_upload_takes_three_steps_and_the_second_may_be_repeated() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.messages(5).start().await.unwrap();
        let client = Client::new(&ws);
        let channels = ws.channels(ChannelKind::Public);
        let channel = channels[0].as_str();
        let text = "zwölf Bytes";
        let begin = [("filename", "a.txt"), ("length", &text.len().to_string())];
        let begun = client
            .form("files.getUploadURLExternal", &begin.map(|(name, value)| (name, value as &str)))
            .await
            .body;
        let url = begun["upload_url"].as_str().unwrap();
        let complete = json!({ "files": [{ "id": begun["file_id"], "title": "A" }], "channel_id": channel, "initial_comment": "look" });
        assert_eq!(client.json("files.completeUploadExternal", &complete).await.error(), "file_not_found");
        assert_eq!(client.http.post(url).body("too short").send().await.unwrap().status(), 400);
        for _ in 0..2 {
            let sent = client.http.post(url).body(text).send().await.unwrap();
            assert_eq!(sent.text().await.unwrap(), format!("OK - {}", text.len()));
        }
        let done = client.json("files.completeUploadExternal", &complete).await;
        assert_eq!((done.error(), &done.body["files"][0]["mimetype"]), ("", &"".into()));
        assert_eq!(client.json("files.completeUploadExternal", &complete).await.error(), "file_not_found");
        let id = begun["file_id"].as_str().unwrap();
        assert_eq!(ws.uploaded(id).unwrap(), text.as_bytes());
        let newest = ws.truth(channel).pop().unwrap();
        assert_eq!((newest["text"].as_str(), &newest["files"][0]["id"]), (Some("look"), &id.into()));
        clock.advance(Duration::from_secs(5));
        let info = client.get("files.info", &[("file", id)]).await.body;
        assert_eq!(
            (info["file"]["mimetype"].as_str(), info["file"]["title"].as_str()),
            (Some("text/plain"), Some("A"))
        );
        ws.shutdown().await;
    });
}
