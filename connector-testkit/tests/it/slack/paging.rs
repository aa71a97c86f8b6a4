//! Pages that end in every way the vendor ends them, and cursors that do not last.

use connector_testkit::slack::ChannelKind;

use super::{Client, builder, within};

#[test]
fn thin_pages_lead_on_and_nothing_is_lost() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.messages(60).users(40).start().await.unwrap();
        ws.thin_pages(true);
        let client = Client::new(&ws);
        let channel = &ws.channels(ChannelKind::Public)[0];
        let (mut rows, pages) =
            client.all("conversations.history", &[("channel", channel), ("limit", "10")], "messages").await;
        rows.reverse();
        assert_eq!(rows, ws.truth(channel));
        assert!(pages > 8, "{pages} pages");
        let (users, _) = client.all("users.list", &[("limit", "10")], "members").await;
        assert_eq!(users, ws.users_truth());
        let (members, _) =
            client.all("conversations.members", &[("channel", channel), ("limit", "7")], "members").await;
        assert_eq!(members.len(), 41);
        for parent in ws.threads(channel) {
            let arguments = [("channel", channel.as_str()), ("ts", &parent), ("limit", "2")];
            let (rows, _) = client.all("conversations.replies", &arguments, "messages").await;
            assert_eq!(rows[1..], ws.replies_truth(channel, &parent));
        }
        let empty = ws.requests().len();
        let mut seen_empty = false;
        for _ in 0..40 {
            let page = client.get("users.list", &[("limit", "10")]).await.body;
            seen_empty |= page["members"].as_array().unwrap().is_empty();
        }
        assert!(seen_empty && ws.requests().len() == empty + 40);
        ws.shutdown().await;
    });
}

#[test]
fn an_expired_or_foreign_cursor_is_invalid() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        let client = Client::new(&ws);
        let page = client.get("users.list", &[("limit", "10")]).await.body;
        let cursor = page["response_metadata"]["next_cursor"].as_str().unwrap();
        assert_eq!(client.get("users.list", &[("limit", "10"), ("cursor", cursor)]).await.error(), "");
        assert_eq!(client.get("conversations.list", &[("cursor", cursor)]).await.error(), "invalid_cursor");
        ws.expire_cursors();
        assert_eq!(
            client.get("users.list", &[("limit", "10"), ("cursor", cursor)]).await.error(),
            "invalid_cursor"
        );
        for limit in ["0", "1000", "many"] {
            let channel = &ws.channels(ChannelKind::Public)[0];
            let answer = client.get("conversations.history", &[("channel", channel), ("limit", limit)]).await;
            assert_eq!(answer.error(), "invalid_limit");
        }
        ws.shutdown().await;
    });
}

#[test]
fn files_page_by_number_and_history_pages_by_time() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.files(7).messages(50).start().await.unwrap();
        let client = Client::new(&ws);
        let mut files = Vec::new();
        for page in ["1", "2", "3", "4"] {
            let answer = client.get("files.list", &[("count", "3"), ("page", page)]).await.body;
            assert_eq!(
                (answer["paging"]["total"].clone(), answer["paging"]["pages"].clone()),
                (7.into(), 3.into())
            );
            files.extend(answer["files"].as_array().unwrap().clone());
        }
        assert_eq!(files, ws.files_truth());
        let channel = &ws.channels(ChannelKind::Public)[0];
        let (mut rows, mut latest) = (Vec::new(), "9999999999.000000".to_owned());
        loop {
            let page = client
                .get("conversations.history", &[("channel", channel), ("limit", "20"), ("latest", &latest)])
                .await
                .body;
            rows.extend(page["messages"].as_array().unwrap().clone());
            if page["has_more"] == false {
                break;
            }
            latest = rows.last().unwrap()["ts"].as_str().unwrap().to_owned();
        }
        rows.reverse();
        assert_eq!(rows, ws.truth(channel));
        ws.shutdown().await;
    });
}

#[test]
fn a_window_with_oldest_alone_can_be_told_to_begin_at_it() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.messages(50).start().await.unwrap();
        let client = Client::new(&ws);
        let channel = &ws.channels(ChannelKind::Public)[0];
        let truth = ws.truth(channel);
        let window =
            [("channel", channel.as_str()), ("limit", "10"), ("oldest", truth[4]["ts"].as_str().unwrap())];
        let newest = client.get("conversations.history", &window).await.body;
        assert_eq!(newest["messages"][0], truth[49]);
        ws.forward_windows(true);
        let forward = client.get("conversations.history", &window).await.body;
        assert_eq!(forward["messages"][9], truth[5]);
        let (rows, _) = client.all("conversations.history", &window, "messages").await;
        assert_eq!(rows.len(), 45);
        ws.shutdown().await;
    });
}

#[test]
fn late_replies_edits_and_unknown_fields_are_served_as_the_truth_has_them() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.messages(30).start().await.unwrap();
        let client = Client::new(&ws);
        let channel = &ws.channels(ChannelKind::Public)[0];
        let truth = ws.truth(channel);
        let old = truth[3]["ts"].as_str().unwrap();
        clock.advance(std::time::Duration::from_secs(60));
        let reply = ws.reply(channel, old, "late");
        assert!(ws.edit(channel, truth[5]["ts"].as_str().unwrap(), "other"));
        assert!(ws.delete_message(channel, truth[6]["ts"].as_str().unwrap()));
        assert!(ws.react(channel, truth[7]["ts"].as_str().unwrap(), "wave", "U1"));
        ws.unknown(true);
        let (mut rows, _) = client.all("conversations.history", &[("channel", channel)], "messages").await;
        rows.reverse();
        assert_eq!(rows, ws.truth(channel));
        assert_eq!(rows.len(), 29);
        let parent = rows.iter().find(|row| row["ts"] == old).unwrap();
        assert_eq!(
            (parent["reply_count"].clone(), parent["latest_reply"].clone()),
            (1.into(), reply.as_str().into())
        );
        assert!(rows.iter().all(|row| row["x_large_number"] == 9_007_199_254_740_993_u64));
        assert_eq!(rows[5]["text"], "other");
        assert!(rows[5]["edited"]["ts"].is_string());
        let thread = client.get("conversations.replies", &[("channel", channel), ("ts", old)]).await.body;
        assert_eq!(thread["messages"][1]["ts"], reply);
        ws.latest_reply(false);
        assert!(ws.truth(channel).iter().all(|row| row.get("latest_reply").is_none()));
        ws.shutdown().await;
    });
}
