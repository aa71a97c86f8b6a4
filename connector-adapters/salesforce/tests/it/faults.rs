//! What goes wrong on the way, and is got over.

mod table;
mod writes;

use std::{sync::Arc, time::Duration};

use connector_sdk::{Class, Context, Counters, Message, Network, ReadRequest, Timestamp};
use connector_testkit::{clock::ManualClock, fault::Fault, salesforce::FakeOrg};
use futures_util::StreamExt;

use super::host::{Host, MINUTE, T0, config, connect, start, within};

#[test]
fn d_12_every_fault_that_may_go_away_costs_a_retry_and_no_row() {
    within(async {
        for fault in [
            Fault::status(500),
            Fault::status(502),
            Fault::status(503),
            Fault::status(504),
            Fault::status(420),
            Fault::status(429),
            Fault::html(),
            Fault::status(200).with_header("Content-Type", "text/html").with_body("<html>maintenance</html>"),
            Fault::status(400).with_body(r#"[{"message":"x","errorCode":"UNABLE_TO_LOCK_ROW"}]"#),
            Fault::status(400).with_body(r#"[{"message":"x","errorCode":"SERVER_UNAVAILABLE"}]"#),
            Fault::status(403).with_body(
                r#"[{"message":"ConcurrentRequests (Concurrent API Requests) Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#,
            ),
            Fault::MalformedJson,
            Fault::EmptyBody,
            Fault::status(200).with_body("{\"totalSize\": 450, done: garbage"),
            Fault::TruncatedBody { after: 100, chunked: true },
            Fault::TruncatedBody { after: 100, chunked: false },
            Fault::ResetBefore,
            Fault::ResetAfter { bytes: 500 },
            Fault::SlowBody { bytes: 4_096, every: Duration::from_millis(1) },
        ] {
            let org = start(FakeOrg::builder().contacts(450)).await;
            let mut host = Host::new(&config(&org), "Contact").await;
            org.faults().on("/queryAll").nth(3).then(fault.clone());
            org.faults().on("/query/").nth(1).then(fault.clone());
            host.run().await.clean();
            assert_eq!(org.faults().fired(), 2, "{fault:?}");
            host.assert_holds(&org);
        }
    });
}

#[test]
fn d_12_a_page_that_always_comes_broken_fails_the_run_and_the_next_one_goes_on() {
    within(async {
        let org = start(FakeOrg::builder().contacts(700)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        let rule = org.faults().on("/query/").skip(1).always().then(Fault::MalformedJson);
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Transient);
        assert_eq!(host.bronze.len(), 400, "what was covered is kept");
        org.faults().remove(rule);
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn d_13_a_lost_cursor_goes_on_after_the_last_row() {
    within(async {
        let lost = || {
            Fault::status(400)
                .with_body(r#"[{"message":"invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]"#)
        };
        // Once, often, and whenever a second page is asked for: each query's first page is progress.
        for nth in [1, 2, 3] {
            let org = start(FakeOrg::builder().contacts(900).newest_age(MINUTE)).await;
            let mut host = Host::new(&config(&org), "Contact").await;
            org.faults().on("/query/").every(nth).then(lost());
            host.run().await.clean();
            assert!(org.faults().fired() > 0);
            host.assert_holds(&org);
        }
        // Without progress it ends.
        let org = start(FakeOrg::builder().contacts(300)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        org.faults().on("/queryAll").skip(2).always().then(lost());
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Transient);
        assert!(org.faults().fired() <= 5);
    });
}

#[test]
fn d_13_cursors_that_the_vendor_drops_cost_no_row() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        let plan = host.connector.partitions(&host.cx, &host.stream, &host.state).await.unwrap();
        let request = ReadRequest::new(host.cx.clone(), host.stream.clone(), plan.partitions[0].clone())
            .with_stream_state(plan.state.clone());
        let mut read = host.connector.read(request);
        let mut rows = 0;
        while let Some(message) = read.next().await {
            if let Message::Batch(batch) = message.unwrap() {
                rows += batch.len();
                org.drop_cursors();
            }
        }
        assert_eq!(rows, 900);
        drop(read);
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn dropping_a_read_leaves_nothing_running() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let host = Host::new(&config(&org), "Contact").await;
        let plan = host.connector.partitions(&host.cx, &host.stream, &host.state).await.unwrap();
        for messages in 0..4 {
            let request = ReadRequest::new(host.cx.clone(), host.stream.clone(), plan.partitions[0].clone())
                .with_stream_state(plan.state.clone());
            let before = Counters::get(&host.cx.counters().requests);
            let mut read = host.connector.read(request);
            for _ in 0..messages {
                read.next().await.unwrap().unwrap();
            }
            if messages == 0 {
                assert_eq!(
                    Counters::get(&host.cx.counters().requests),
                    before,
                    "no request before it is polled"
                );
            }
            drop(read);
            let after = Counters::get(&host.cx.counters().requests);
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(Counters::get(&host.cx.counters().requests), after);
        }
        assert_eq!(Arc::strong_count(&host.connector), 1);
    });
}

/// How the clock goes on: small enough that a request under way is not taken for one that takes too long.
const STEP: Duration = Duration::from_millis(1);

/// Runs on a clock that moves only when a wait has begun after a fault, and answers how long was waited.
async fn waited_for(fault: Fault) -> Duration {
    let org = start(FakeOrg::builder().contacts(450)).await;
    let clock = ManualClock::at(Timestamp::from_millis(T0));
    let cx = Context::builder("acme", "acme-crm")
        .network(Network::loopback())
        .clock(clock.shared())
        .seed(7)
        .build();
    let mut host = Host::new(&config(&org), "Contact").await;
    host.connector = connect(&config(&org), &cx).unwrap();
    host.cx = cx;
    org.faults().on("/query/").nth(1).then(fault);
    let mut run = Box::pin(host.run());
    let mut waited = Duration::ZERO;
    let outcome = loop {
        tokio::select! {
            biased;
            outcome = &mut run => break outcome,
            () = tokio::task::yield_now() => {}
        }
        // From the fault on the clock goes on in small steps. The page is asked for again only after its wait;
        // what comes after it is held back a little, as a key is that was paused.
        let requests = org.requests();
        let answered = requests.iter().any(|request| request.fault.is_some() && request.status.is_some());
        if answered && requests.iter().all(|request| request.status.is_some()) {
            clock.advance(STEP);
            let asked = requests.iter().filter(|request| request.path.contains("/query/")).count();
            waited += if asked == 1 { STEP } else { Duration::ZERO };
        }
    };
    drop(run);
    outcome.clean();
    host.assert_holds(&org);
    waited
}

#[test]
fn a_wait_that_the_vendor_asks_for_is_kept_whatever_its_form() {
    within(async {
        for fault in [
            Fault::retry_after(503, "7"),
            Fault::retry_after(429, "7"),
            Fault::retry_after(503, "Fri, 15 Jan 2027 08:00:07 GMT"),
        ] {
            let waited = waited_for(fault.clone()).await;
            assert!(waited >= Duration::from_secs(7), "{fault:?}: {waited:?}");
        }
        let waited = waited_for(Fault::retry_after(503, "-1")).await;
        assert!(waited < Duration::from_secs(7), "nonsense is as absent: {waited:?}");
    });
}

#[test]
fn a_wait_longer_than_a_run_ends_it_with_the_time_to_come_back() {
    within(async {
        let org = start(FakeOrg::builder().contacts(450)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        org.faults().on("/query/").nth(1).then(Fault::retry_after(429, "7200"));
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::RateLimited);
        assert!(outcome.error().resume_at().is_some());
        assert_eq!(host.bronze.len(), 200, "what was covered is kept");
        let health = host.connector.stack_health(&host.cx).unwrap();
        assert!(health.quotas[0].paused_for.is_some_and(|rest| rest > MINUTE), "{health:?}");
        // Who asks before that time gets the same answer, and the vendor is left alone.
        let asked = org.requests().len();
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::RateLimited);
        assert!(outcome.error().resume_at().is_some());
        assert_eq!(org.requests().len(), asked);
        // Another process does not know of it.
        host.connector = connect(&config(&org), &host.cx).unwrap();
        host.run().await.clean();
        host.assert_holds(&org);
    });
}
