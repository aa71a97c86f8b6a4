//! Messages: oldest first, each once, whatever the vendor's pages look like.

use std::{sync::Arc, time::Duration};

use connector_sdk::{Context, Network, Operation, Timestamp};
use connector_testkit::{
    clock::FastClock,
    fault::{Fault, Matcher, Seen},
    slack::ChannelKind,
};
use serde_json::json;

use super::host::{DAY, Host, MINUTE, T0, config, connect, small, start, with, within};

#[test]
fn a_channel_that_fits_takes_one_request_and_comes_oldest_first() {
    within(async {
        let ws = start(small().messages(15)).await;
        let mut host = Host::new(&config(&ws), "messages").await;
        host.run().await.clean();
        assert_eq!(ws.requests_to("conversations.history").len(), 2, "one for each channel");
        host.assert_holds_messages(&ws);
        for channel in ws.channels(ChannelKind::Public) {
            let rows: Vec<_> = host.bronze.iter().filter(|row| row.partition.as_str() == channel).collect();
            assert!(rows.is_sorted_by_key(|row| row.record["ts"].as_str().unwrap()));
            assert!(
                rows.iter()
                    .all(|row| row.operation == Operation::Upsert && row.key["channel"] == channel.as_str())
            );
        }
    });
}

#[test]
fn a_long_channel_comes_oldest_first_in_less_than_twice_its_pages() {
    within(async {
        let ws = start(small().channels(1).messages(2_000)).await;
        let mut host = Host::new(&config(&ws), "messages").await;
        let outcome = host.run().await.clean();
        host.assert_holds_messages(&ws);
        assert!(outcome.rows.is_sorted_by_key(|row| row.record["ts"].as_str().unwrap()));
        let asked = ws.requests_to("conversations.history").len();
        // Messages come in bursts, so that a window cannot be cut to measure.
        assert!(asked <= 100 + 80, "{asked} requests for 100 pages");
    });
}

#[test]
fn the_next_read_takes_what_is_new_and_repeats_nothing() {
    within(async {
        let ws = start(small().messages(50).newest_age(Duration::from_secs(2))).await;
        let config = config(&ws);
        let mut host = Host::new(&config, "messages").await;
        host.run().await.clean();
        let channel = ws.channels(ChannelKind::Public)[1].clone();
        for step in 0..5 {
            ws.post(&channel, &format!("new {step}"));
            ws.advance(Duration::from_secs(20));
            host.restart(&config);
            assert_eq!(host.run().await.clean().rows.len(), 1, "{step}");
        }
        host.assert_holds_messages(&ws);
        ws.advance(DAY);
        assert!(host.run().await.clean().rows.is_empty());
    });
}

#[test]
fn d_09_a_message_that_becomes_visible_late_is_found() {
    within(async {
        let ws = start(small().messages(10)).await;
        let mut host = Host::new(&config(&ws), "messages").await;
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        ws.post(&channel, "in time");
        host.run().await.clean();
        let late = format!("{}.000001", T0 / 1_000 - 30);
        assert_eq!(ws.post_at(&channel, &late, "late"), late);
        let rows = host.run().await.clean().rows;
        assert_eq!(rows.iter().map(|row| row.record["text"].as_str().unwrap()).collect::<Vec<_>>(), ["late"]);
        host.assert_holds_messages(&ws);
    });
}

#[test]
fn an_edit_inside_the_lookback_is_found_and_one_beyond_is_not() {
    within(async {
        let ws = start(small().messages(40).span(DAY * 10)).await;
        let config = with(config(&ws), "lookback", json!("5d"));
        let mut host = Host::new(&config, "messages").await;
        host.run().await.clean();
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let truth = ws.truth(&channel);
        let ts = |message: &serde_json::Value| message["ts"].as_str().unwrap().to_owned();
        ws.edit(&channel, &ts(&truth[0]), "too old");
        ws.edit(&channel, &ts(&truth[39]), "edited");
        ws.advance(MINUTE * 5);
        host.restart(&config);
        let rows = host.run().await.clean().rows;
        assert_eq!(
            rows.iter().map(|row| row.record["text"].as_str().unwrap()).collect::<Vec<_>>(),
            ["edited"]
        );
        host.assert_nothing_twice();
    });
}

#[test]
fn nothing_from_before_since_is_read() {
    within(async {
        let ws = start(small().messages(60).span(DAY * 60)).await;
        let mut host = Host::new(&config(&ws), "messages").await;
        let since = Timestamp::from_millis(T0) - DAY * 20;
        host.stream = host.stream.clone().with_since(Some(since));
        host.run().await.clean();
        let bound = format!("{}.000000", since.as_millis() / 1_000);
        let expected: usize = ws
            .channels(ChannelKind::Public)
            .iter()
            .map(|channel| {
                ws.truth(channel).iter().filter(|message| message["ts"].as_str() >= Some(&bound)).count()
            })
            .sum();
        assert_eq!(host.bronze.len(), expected);
        assert!(expected > 0);
    });
}

#[test]
fn d_11_short_and_empty_pages_and_cursors_that_expire_lose_nothing() {
    within(async {
        for (stream, method) in [("messages", "conversations.history"), ("replies", "conversations.replies")]
        {
            let ws = Arc::new(start(small().messages(150).thread_every(4)).await);
            ws.thin_pages(true);
            let mut host = Host::new(&config(&ws), stream).await;
            // All page tokens expire when one is used: now and then, so that reading has an end.
            let vendor = Arc::downgrade(&ws);
            let expire = move |_: &Seen<'_>| {
                if let Some(ws) = vendor.upgrade() {
                    ws.expire_cursors();
                }
            };
            let unharmed = Fault::ContentType("application/json; charset=utf-8".to_owned());
            let used = Matcher::path(format!("/{method}")).query("cursor=");
            ws.faults().on(used).every(2).times(3).doing(expire).then(unharmed);
            host.run().await.clean();
            let refused = ws.requests_to(method);
            let refused = refused.iter().filter(|request| request.error.as_deref() == Some("invalid_cursor"));
            assert!(refused.count() >= 1, "{method}: no page token was refused");
            if stream == "messages" {
                host.assert_holds_messages(&ws)
            } else {
                host.assert_holds_replies(&ws)
            }
        }
    });
}

#[test]
fn messages_and_replies_carry_fields_and_subtypes_nobody_knows_byte_for_byte() {
    within(async {
        let ws = start(small().messages(60).thread_every(5)).await;
        ws.unknown(true);
        let mut messages = Host::new(&config(&ws), "messages").await;
        messages.run().await.clean();
        messages.assert_holds_messages(&ws);
        let mut replies = Host::new(&config(&ws), "replies").await;
        replies.run().await.clean();
        replies.assert_holds_replies(&ws);
        let fault = r#"{"ts":"1799999000.000100","type":"message","subtype":"of_tomorrow","n":1.50e+3,"x":{"a":[null,1.0]},"text":"\u00e9 é"}"#;
        let body = format!(r#"{{"ok":true,"messages":[{fault}],"has_more":false}}"#);
        let answer = Fault::status(200).with_body(body);
        ws.faults().on("/conversations.history").always().then(answer);
        let mut host = Host::new(&config(&ws), "messages").await;
        host.run().await.clean();
        assert!(
            !host.bronze.is_empty() && host.bronze.iter().all(|row| row.text == fault),
            "not a byte is changed"
        );
    });
}

#[test]
fn our_own_pace_stays_within_the_vendors_tiers_from_the_first_request_on() {
    within(async {
        // One clock, which both go by: more pages than a minute's budget.
        let clock = FastClock::shared();
        let ws = small().messages(320).clock(Arc::clone(&clock)).start().await.unwrap();
        ws.tiers(true);
        let mut host = Host::new(&with(config(&ws), "page_size", json!(8)), "messages").await;
        let mut resilience = host.cx.resilience().clone();
        resilience.paced = true;
        host.cx = Context::builder("acme", "acme-chat")
            .network(Network::loopback())
            .resilience(resilience)
            .clock(clock)
            .seed(7)
            .build();
        host.connector = connect(&with(config(&ws), "page_size", json!(8)), &host.cx).unwrap();
        host.run().await.clean();
        host.assert_holds_messages(&ws);
        let asked = ws.requests_to("conversations.history").len();
        assert!(asked > 60, "{asked} requests do not fill a minute's budget of 50");
        assert_eq!(ws.limited(), 0, "the vendor had to say it");
    });
}
