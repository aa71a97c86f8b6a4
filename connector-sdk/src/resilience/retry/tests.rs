use proptest::prelude::*;

use super::*;
use crate::resilience::Resilience;

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> RetryPolicy {
    RetryPolicy::from(&Resilience::default())
}

fn failure(class: Class, delivery: Delivery, repeatable: bool) -> Failure {
    Failure { class, delivery, exhausted: false, retry_after: None, repeatable }
}

fn standing(attempts: u32) -> Standing {
    Standing { attempts, remaining: Some(300 * SECOND), stopping: false }
}

fn decide(failure: Failure, standing: Standing) -> Decision {
    policy().decide(failure, standing, u64::MAX / 2)
}

#[test]
fn class_delivery_and_repeatability_decide_in_one_table() {
    use Class::*;
    use Delivery::*;
    let retry = Decision::Retry { wait: Duration::from_nanos(49_999_999), counts: true };
    let last = Decision::GiveUp(Reason::Final);
    let ambiguous = Decision::GiveUp(Reason::Ambiguous);
    let table = [
        (Transient, NotSent, false, retry),
        (Transient, NotSent, true, retry),
        (Transient, Unknown, false, ambiguous),
        (Transient, Unknown, true, retry),
        (Transient, Answered, false, ambiguous),
        (Transient, Answered, true, retry),
        (RateLimited, NotSent, false, retry),
        (RateLimited, NotSent, true, retry),
        (RateLimited, Unknown, false, ambiguous),
        (RateLimited, Unknown, true, retry),
        (RateLimited, Answered, false, retry),
        (RateLimited, Answered, true, retry),
    ];
    for (class, delivery, repeatable, expected) in table {
        let decision = decide(failure(class, delivery, repeatable), standing(1));
        assert_eq!(decision, expected, "{class}, {delivery:?}, repeatable: {repeatable}");
    }
    for class in [Config, Auth, Schema, Permanent, Ambiguous, Bug] {
        for delivery in [NotSent, Unknown, Answered] {
            for repeatable in [false, true] {
                assert_eq!(decide(failure(class, delivery, repeatable), standing(1)), last, "{class}");
            }
        }
    }
}

#[test]
fn what_an_inner_layer_has_given_up_is_not_tried_again() {
    let failure = Failure { exhausted: true, ..failure(Class::Transient, Delivery::NotSent, true) };
    assert_eq!(decide(failure, standing(1)), Decision::GiveUp(Reason::Final));
}

#[test]
fn the_third_attempt_is_the_last() {
    let failure = failure(Class::Transient, Delivery::Answered, true);
    assert!(matches!(decide(failure, standing(2)), Decision::Retry { counts: true, .. }));
    assert_eq!(decide(failure, standing(3)), Decision::GiveUp(Reason::Attempts));
}

#[test]
fn a_wait_the_vendor_asked_for_costs_time_and_no_attempt() {
    let asked =
        Failure { retry_after: Some(7 * SECOND), ..failure(Class::Transient, Delivery::Answered, true) };
    assert_eq!(decide(asked, standing(50)), Decision::Retry { wait: 7 * SECOND, counts: false });
    let without_deadline = Standing { remaining: None, ..standing(2) };
    assert_eq!(decide(asked, without_deadline), Decision::Retry { wait: 7 * SECOND, counts: true });
    let used_up = Standing { remaining: None, ..standing(3) };
    assert_eq!(decide(asked, used_up), Decision::GiveUp(Reason::Attempts));
}

#[test]
fn a_wait_of_nothing_is_as_none() {
    let nothing = Failure {
        retry_after: Some(Duration::ZERO),
        ..failure(Class::RateLimited, Delivery::Answered, true)
    };
    let none = Failure { retry_after: None, ..nothing };
    for attempts in 1..5 {
        assert_eq!(decide(nothing, standing(attempts)), decide(none, standing(attempts)));
    }
}

#[test]
fn a_wait_beyond_the_deadline_is_not_slept() {
    let asked =
        |wait| Failure { retry_after: Some(wait), ..failure(Class::RateLimited, Delivery::Answered, false) };
    let standing = Standing { remaining: Some(10 * SECOND), ..standing(1) };
    assert_eq!(decide(asked(86_400 * SECOND), standing), Decision::GiveUp(Reason::TooLong(86_400 * SECOND)));
    assert_eq!(decide(asked(10 * SECOND), standing), Decision::GiveUp(Reason::TooLong(10 * SECOND)));
    assert_eq!(decide(asked(9 * SECOND), standing), Decision::Retry { wait: 9 * SECOND, counts: false });
    let short = Standing { remaining: Some(Duration::from_millis(20)), ..standing };
    let unasked = failure(Class::Transient, Delivery::NotSent, true);
    assert_eq!(decide(unasked, short), Decision::GiveUp(Reason::Deadline));
}

#[test]
fn a_stop_ends_the_trying() {
    let stopping = Standing { stopping: true, ..standing(1) };
    assert_eq!(
        decide(failure(Class::Transient, Delivery::NotSent, true), stopping),
        Decision::GiveUp(Reason::Stopping)
    );
    assert_eq!(
        decide(failure(Class::Permanent, Delivery::Answered, true), stopping),
        Decision::GiveUp(Reason::Final)
    );
}

fn any_failure() -> impl Strategy<Value = Failure> {
    let class = prop::sample::select(vec![
        Class::Config,
        Class::Auth,
        Class::Transient,
        Class::RateLimited,
        Class::Schema,
        Class::Permanent,
        Class::Ambiguous,
        Class::Bug,
    ]);
    let delivery = prop::sample::select(vec![Delivery::NotSent, Delivery::Unknown, Delivery::Answered]);
    let wait = prop::option::of((0_u64..1_000_000).prop_map(Duration::from_millis));
    (class, delivery, any::<bool>(), wait, any::<bool>()).prop_map(
        |(class, delivery, exhausted, retry_after, repeatable)| Failure {
            class,
            delivery,
            exhausted,
            retry_after,
            repeatable,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_decision_breaks_a_rule(
        failure in any_failure(),
        attempts in 1_u32..8,
        remaining in prop::option::of((0_u64..400_000).prop_map(Duration::from_millis)),
        stopping: bool,
        random: u64,
    ) {
        let policy = policy();
        let standing = Standing { attempts, remaining, stopping };
        let Decision::Retry { wait, counts } = policy.decide(failure, standing, random) else { return Ok(()) };
        prop_assert!(matches!(failure.class, Class::Transient | Class::RateLimited));
        prop_assert!(failure.repeatable || failure.delivery != Delivery::Unknown, "a lost write was repeated");
        prop_assert!(!failure.exhausted && !stopping);
        prop_assert!(remaining.is_none_or(|remaining| wait < remaining), "a wait beyond the deadline");
        prop_assert!(!counts || attempts < policy.max_attempts);
        prop_assert!(counts || remaining.is_some(), "unbounded");
        match failure.retry_after {
            Some(asked) if !asked.is_zero() => prop_assert_eq!(wait, asked),
            _ => prop_assert!(wait < policy.backoff.ceiling(attempts)),
        }
    }
}
