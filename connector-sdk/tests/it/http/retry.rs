use std::time::Duration;

use connector_sdk::{Class, Counters, Delivery, http::Method};

use super::{Bench, get, post};
use crate::support::{
    clock::NOON,
    script::{Step, lost, status, with_header},
};

const SECOND: Duration = Duration::from_secs(1);

fn not_sent() -> Step {
    Step::Fail(Class::Transient, Delivery::NotSent)
}

#[tokio::test]
async fn a_server_error_is_tried_three_times_and_then_exhausted() {
    let bench = Bench::new([status(503), status(500), status(502), status(200)]);
    let error = bench.send(get()).await.unwrap_err();
    assert_eq!(
        (error.class(), error.delivery(), error.is_exhausted()),
        (Class::Transient, Delivery::Answered, true)
    );
    assert_eq!(error.to_string(), "query: the vendor has failed (status 502) (host: fake, attempts: 3)");
    assert_eq!(bench.script.left(), 1);
    assert_eq!(
        (bench.counters.retries.get(), bench.counters.given_up.get(), bench.counters.faults.get()),
        (2, 1, 3)
    );
    assert_eq!(Counters::get(&bench.cx.counters().retries), 2);
    let waited = bench.cx.clock().monotonic();
    assert!(waited < Duration::from_millis(300), "two waits below 100 and 200 ms, not {waited:?}");
    let counted = Counters::get(&bench.cx.counters().waited_millis);
    assert!(u128::from(counted).abs_diff(waited.as_millis()) <= 2, "{counted} is not {waited:?}");
}

#[tokio::test]
async fn what_goes_away_is_not_seen_by_the_caller() {
    let bench = Bench::new([not_sent(), lost(), status(200)]);
    assert_eq!(bench.send(get()).await.unwrap().status.as_u16(), 200);
    assert_eq!((bench.counters.operations.get(), bench.counters.failed.get()), (1, 0));
}

#[tokio::test]
async fn the_same_seed_waits_the_same() {
    let waits = || async {
        let bench = Bench::new([status(503), status(503), status(200)]);
        bench.send(get()).await.unwrap();
        bench.cx.clock().monotonic()
    };
    assert_eq!(waits().await, waits().await);
}

#[tokio::test]
async fn case_59_a_post_that_may_have_arrived_is_ambiguous_and_sent_once() {
    for lost in [lost(), status(500), status(503), status(504)] {
        let bench = Bench::new([lost.clone(), status(200)]);
        let error = bench.send(post()).await.unwrap_err();
        assert_eq!(error.class(), Class::Ambiguous, "{lost:?}");
        assert!(error.to_string().contains("look before repeating it"), "{error}");
        assert_eq!((bench.sent(), bench.counters.ambiguous.get()), (1, 1));
    }
}

#[tokio::test]
async fn a_post_that_did_not_arrive_or_was_refused_is_sent_again() {
    for first in [not_sent(), status(429)] {
        let bench = Bench::new([first, status(201)]);
        assert_eq!(bench.send(post()).await.unwrap().status.as_u16(), 201);
    }
}

#[tokio::test]
async fn what_may_be_repeated_is() {
    let repeatable = [
        get(),
        get().method(Method::PUT),
        get().method(Method::DELETE),
        get().method(Method::HEAD),
        post().idempotent(),
        post().with_idempotency_key("k-1"),
    ];
    for request in repeatable {
        let bench = Bench::new([lost(), status(200)]);
        let name = format!("{request:?}");
        assert!(bench.send(request).await.is_ok(), "{name}");
    }
    let bench = Bench::new([lost(), status(200)]);
    assert_eq!(bench.send(get().method(Method::PATCH)).await.unwrap_err().class(), Class::Ambiguous);
}

#[tokio::test]
async fn the_delivery_of_a_write_is_the_worst_of_its_attempts() {
    let bench = Bench::new([lost(), not_sent(), not_sent()]);
    let error = bench.send(post().with_idempotency_key("k-1")).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::Unknown));
}

/// A refusal of the second attempt, at whatever stage, takes nothing back of what the first may have done.
#[tokio::test]
async fn the_delivery_of_a_write_is_the_worst_of_its_attempts_whatever_ends_it() {
    let refused = |class| Step::Fail(class, Delivery::NotSent);
    for (second, class) in [
        (refused(Class::Auth), Class::Auth),
        (refused(Class::Config), Class::Config),
        (refused(Class::Permanent), Class::Permanent),
        (status(404), Class::Permanent),
        (with_header(503, "retry-after", "86400"), Class::RateLimited),
    ] {
        let bench = Bench::new([lost(), second.clone()]);
        let error = bench.send(post().with_idempotency_key("k-1")).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (class, Delivery::Unknown), "{second:?}");
        assert_eq!(bench.sent(), 2);
    }
    // What reads has done nothing, and an answer outweighs what was not sent.
    let bench = Bench::new([lost(), refused(Class::Config)]);
    assert_eq!(bench.send(get()).await.unwrap_err().delivery(), Delivery::NotSent);
    let bench = Bench::new([status(503), refused(Class::Config)]);
    let error = bench.send(post().with_idempotency_key("k-1")).await.unwrap_err();
    assert_eq!(error.delivery(), Delivery::Answered);
}

#[tokio::test]
async fn case_56_a_wait_the_vendor_asks_for_is_kept_to_the_second_and_costs_no_attempt() {
    for answer in [429, 503, 500, 408] {
        let asked = || with_header(answer, "retry-after", "7");
        let bench = Bench::new([asked(), asked(), asked(), asked(), asked(), status(200)]);
        bench.send(get()).await.unwrap();
        assert_eq!(bench.cx.clock().monotonic(), 35 * SECOND, "{answer}");
        assert_eq!(Counters::get(&bench.cx.counters().throttled), if answer == 429 { 5 } else { 0 });
    }
}

#[tokio::test]
async fn attempts_that_the_vendor_put_off_leave_the_others() {
    let asked = || with_header(429, "retry-after", "7");
    let bench = Bench::new([asked(), asked(), asked(), status(503), asked(), status(503), status(200)]);
    bench.send(get()).await.unwrap();
    let bench = Bench::new([asked(), status(503), asked(), status(503), asked(), status(503), status(200)]);
    assert_eq!(bench.send(get()).await.unwrap_err().class(), Class::Transient);
}

#[tokio::test]
async fn waits_the_vendor_asks_for_end_with_the_deadline() {
    let bench = Bench::new((0..100).map(|_| with_header(429, "retry-after", "60")));
    let error = bench.send(get()).await.unwrap_err();
    assert_eq!(error.class(), Class::RateLimited);
    assert_eq!((bench.sent(), bench.cx.clock().monotonic()), (5, 240 * SECOND));
    assert_eq!(error.resume_at(), Some(NOON + 300 * SECOND));
}

#[tokio::test]
async fn case_57_a_retry_after_of_a_day_is_not_slept_but_told() {
    for answer in [429, 503] {
        let bench = Bench::new([with_header(answer, "retry-after", "86400"), status(200)]);
        let error = bench.send(get()).await.unwrap_err();
        assert_eq!((error.class(), error.is_exhausted()), (Class::RateLimited, true));
        assert_eq!(error.retry_after(), Some(86_400 * SECOND));
        assert_eq!(error.resume_at(), Some(NOON + 86_400 * SECOND));
        assert_eq!((bench.sent(), bench.cx.clock().monotonic()), (1, Duration::ZERO));
    }
}

#[tokio::test]
async fn case_58_a_retry_after_of_nothing_does_not_burn_the_attempts() {
    for value in ["0", "-5", "soon", "Thu, 01 Jan 2026 00:00:00 GMT"] {
        let bench = Bench::new([with_header(429, "retry-after", value), status(200)]);
        bench.send(get()).await.unwrap();
        let waited = bench.cx.clock().monotonic();
        assert!(waited > Duration::ZERO && waited <= Duration::from_millis(100), "{value}: {waited:?}");
        assert_eq!(bench.counters.retries.get(), 1);
    }
}

#[tokio::test]
async fn a_date_counts_from_the_vendors_clock() {
    // The vendor's clock is a day behind ours, and it asks for 30 s.
    let answer = Step::Answer(
        503,
        vec![
            ("date", "Fri, 30 Jan 2026 12:00:00 GMT".to_owned()),
            ("retry-after", "Fri, 30 Jan 2026 12:00:30 GMT".to_owned()),
        ],
    );
    let bench = Bench::new([answer, status(200)]);
    bench.send(get()).await.unwrap();
    assert_eq!(bench.cx.clock().monotonic(), 30 * SECOND);
    // Without its date, ours has to do.
    let bench = Bench::new([with_header(503, "retry-after", "Sat, 31 Jan 2026 12:00:30 GMT"), status(200)]);
    bench.send(get()).await.unwrap();
    assert_eq!(bench.cx.clock().monotonic(), 30 * SECOND);
}

#[tokio::test]
async fn what_the_vendor_refuses_is_not_tried_again() {
    for (answer, class) in
        [(400, Class::Permanent), (403, Class::Permanent), (404, Class::Permanent), (501, Class::Permanent)]
    {
        let bench = Bench::new([status(answer)]);
        let error = bench.send(get()).await.unwrap_err();
        assert_eq!(
            (error.class(), error.delivery(), error.is_exhausted()),
            (class, Delivery::Answered, false),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_refused_and_names_the_other_host_only() {
    let bench = Bench::new([with_header(302, "location", "https://evil.example/?token=canary-7f3a9c")]);
    let error = bench.send(get()).await.unwrap_err();
    assert_eq!(error.class(), Class::Permanent);
    assert!(
        error.to_string().contains("evil.example") && !error.to_string().contains("canary-7f3a9c"),
        "{error}"
    );
}

#[tokio::test]
async fn a_stop_ends_the_wait_between_attempts_and_leaves_no_timer() {
    let bench = Bench::new([with_header(503, "retry-after", "200"), status(200)]);
    let mut sending = Box::pin(bench.sending(get()));
    assert!(futures_util::poll!(&mut sending).is_pending());
    bench.clock.advance(5 * SECOND);
    bench.cx.stop().cancel();
    let error = sending.await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::Answered));
    assert!(error.to_string().contains("stopping"), "{error}");
    assert_eq!((bench.sent(), bench.clock.sleepers()), (1, 0));
    assert_eq!(Counters::get(&bench.cx.counters().waited_millis), 5_000);
}

#[tokio::test]
async fn a_stop_lets_a_request_finish_but_not_begin_again() {
    let bench = Bench::new([status(200), status(503)]);
    bench.cx.stop().cancel();
    bench.send(get()).await.unwrap();
    let error = bench.send(get()).await.unwrap_err();
    assert!(error.to_string().contains("stopping"), "{error}");
}

#[tokio::test]
async fn a_dropped_operation_leaves_nothing_behind() {
    let bench = Bench::new([with_header(503, "retry-after", "7"), Step::Hang]);
    let mut sending = Box::pin(bench.sending(get()));
    for wait in [Duration::ZERO, 7 * SECOND, SECOND] {
        bench.clock.advance(wait);
        assert!(futures_util::poll!(&mut sending).is_pending());
        assert!(bench.clock.sleepers() > 0);
    }
    assert_eq!(bench.sent(), 2);
    drop(sending);
    assert_eq!(bench.clock.sleepers(), 0);
}
