//! Dying at every message in turn: resuming gives the same records as not dying, each once (rule D-02).

use std::time::Duration;

use serde_json::json;

use super::host::{Host, MINUTE, config, small, start, with, within};

#[test]
fn d_02_a_crash_at_any_message_loses_and_repeats_no_message() {
    within(async {
        // The newest lie inside the safety lag, so that what is remembered is put to the test too.
        let ws = start(small().messages(420).newest_age(Duration::from_secs(5))).await;
        let config = config(&ws);
        let messages = Host::new(&config, "messages").await.run().await.clean().messages;
        assert!(messages >= 80, "{messages}");
        for crash in 0..messages {
            let mut host = Host::new(&config, "messages").await;
            assert!(host.run_until(crash).await.crashed);
            host.restart(&config);
            host.run().await.clean();
            host.assert_holds_messages(&ws);
        }
    });
}

#[test]
fn d_02_a_crash_at_any_message_loses_and_repeats_no_reply() {
    within(async {
        let ws = start(small().messages(120).thread_every(3).newest_age(Duration::from_secs(5))).await;
        let config = with(config(&ws), "page_size", json!(5));
        let messages = Host::new(&config, "replies").await.run().await.clean().messages;
        assert!(messages >= 40, "{messages}");
        for crash in 0..messages {
            let mut host = Host::new(&config, "replies").await;
            assert!(host.run_until(crash).await.crashed);
            host.restart(&config);
            host.run().await.clean();
            host.assert_holds_replies(&ws);
        }
    });
}

#[test]
fn d_02_crash_after_crash_with_posts_in_between_loses_and_repeats_nothing() {
    within(async {
        for seed in 1..=3 {
            let ws = start(small().seed(seed).messages(300).newest_age(MINUTE)).await;
            ws.thin_pages(true);
            let config = config(&ws);
            let channel = ws.channels(connector_testkit::slack::ChannelKind::Public)[0].clone();
            let mut host = Host::new(&config, "messages").await;
            for step in 0..25_usize {
                let outcome = host.run_until(1 + (step * 7 + usize::try_from(seed).unwrap()) % 9).await;
                assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
                host.assert_nothing_twice();
                for text in ["a", "b", "c"] {
                    ws.post(&channel, text);
                }
                ws.advance(MINUTE / 3);
                host.restart(&config);
            }
            host.run().await.clean();
            host.assert_holds_messages(&ws);
        }
    });
}

#[test]
fn d_14_a_full_read_resumes_at_any_message_and_each_is_a_generation() {
    within(async {
        let ws = start(small().messages(100)).await;
        let config = config(&ws);
        for stream in ["users", "channels", "messages", "members", "reactions", "files", "usergroups", "pins"]
        {
            let config = with(config.clone(), "page_size", json!(3));
            let mut whole = Host::new(&config, stream).await.full();
            let messages = whole.run().await.clean().messages;
            let truth = whole.latest();
            for crash in 0..messages.min(40) {
                let mut host = Host::new(&config, stream).await.full();
                assert!(host.run_until(crash).await.crashed);
                host.restart(&config);
                host.run().await.clean();
                host.assert_is(&truth);
                assert_eq!(host.bronze.len(), truth.len(), "{stream}");
            }
            whole.run().await.clean();
            assert_eq!(whole.state.generation, 2);
            assert_eq!(whole.bronze.len(), truth.len() * 2, "{stream}");
        }
    });
}
