//! Reading: pages, windows, threads.

use connector_testkit::slack::ChannelKind;

use super::{Answer, Client, builder, within};

#[test]
fn history_is_read_newest_first_without_replies_and_page_by_page() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.messages(250).start().await.unwrap();
        let client = Client::new(&ws);
        for channel in ws.channels(ChannelKind::Public) {
            let (mut rows, pages) = client
                .all("conversations.history", &[("channel", &channel), ("limit", "100")], "messages")
                .await;
            assert_eq!(pages, 3);
            rows.reverse();
            assert_eq!(rows, ws.truth(&channel));
            assert_eq!(rows.len(), 250);
            assert!(rows.is_sorted_by(|one, other| one["ts"].as_str() < other["ts"].as_str()));
        }
        ws.shutdown().await;
    });
}

#[test]
fn a_window_leaves_its_ends_out_unless_it_is_inclusive() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.messages(30).start().await.unwrap();
        let client = Client::new(&ws);
        let channel = &ws.channels(ChannelKind::Public)[1];
        let truth = ws.truth(channel);
        let ts = |at: usize| truth[at]["ts"].as_str().unwrap();
        let window = [("channel", channel.as_str()), ("oldest", ts(4)), ("latest", ts(9))];
        let open = client.get("conversations.history", &window).await;
        let texts = |answer: &Answer| {
            let mut rows = answer.body["messages"].as_array().unwrap().clone();
            rows.reverse();
            rows
        };
        assert_eq!(texts(&open), truth[5..9]);
        assert_eq!(open.body["latest"], ts(9));
        assert_eq!(open.body["has_more"], false);
        let closed = [window.as_slice(), &[("inclusive", "true")]].concat();
        assert_eq!(texts(&client.form("conversations.history", &closed).await), truth[4..=9]);
        ws.shutdown().await;
    });
}

#[test]
fn a_thread_is_read_oldest_first_after_its_parent() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.messages(100).start().await.unwrap();
        let client = Client::new(&ws);
        let channel = &ws.channels(ChannelKind::Public)[0];
        let parents = ws.threads(channel);
        assert_eq!(parents.len(), 5);
        let history = ws.truth(channel);
        for parent in &parents {
            let (rows, _) = client
                .all(
                    "conversations.replies",
                    &[("channel", channel), ("ts", parent), ("limit", "2")],
                    "messages",
                )
                .await;
            assert_eq!(rows[0]["ts"], *parent);
            assert_eq!(rows[1..], ws.replies_truth(channel, parent));
            let shown = history.iter().find(|message| message["ts"] == *parent).unwrap();
            assert_eq!(shown["reply_count"], rows.len() - 1);
            assert_eq!(shown["latest_reply"], rows.last().unwrap()["ts"]);
            assert!(rows[1..].iter().all(|reply| reply["thread_ts"] == *parent));
        }
        ws.shutdown().await;
    });
}
