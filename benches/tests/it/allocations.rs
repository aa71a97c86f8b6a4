use connector_benches::{Bench, NoOp, With};
use futures_util::FutureExt as _;
use tower::{Service as _, ServiceExt as _};

/// Allocations of a hundred calls through a service, the making of the call included.
#[allow(clippy::expect_used, reason = "a helper of the test")]
fn allocations<S>(bench: &Bench, service: &mut S) -> u64
where
    S: tower::Service<
            connector_sdk::http::Call,
            Response = connector_sdk::http::Response,
            Error = connector_sdk::Error,
        >,
{
    let mut hundred = || {
        for _ in 0..100 {
            let ready = service.ready().now_or_never().and_then(Result::ok).expect("ready at once");
            ready.call(bench.call()).now_or_never().and_then(Result::ok).expect("an answer at once");
        }
    };
    hundred();
    allocation_counter::measure(hundred).count_total
}

#[test]
fn the_whole_stack_takes_two_allocations_for_a_call_or_less() {
    for with in [With::Nothing, With::Token, With::TokenAndQuota] {
        let mut bench = Bench::new(with, 64).unwrap();
        // The service's own are its answer's.
        let request_and_answer =
            allocation_counter::measure(|| drop(NoOp::new().unwrap().call(bench.call()))).count_total;
        assert!(request_and_answer >= 1, "{request_and_answer}");
        let bare = allocations(&bench, &mut NoOp::new().unwrap());
        let mut stack = bench.stack.clone();
        let full = allocations(&bench, &mut stack);
        bench.stack = stack;
        println!("{with:?}: {full} for a hundred calls, {bare} of them without a stack");
        // The call itself is one of the two: it is made for the stack.
        assert!(full - bare <= 100, "{with:?}: {full} for a hundred calls, {bare} without a stack");
    }
}
