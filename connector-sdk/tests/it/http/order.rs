use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_sdk::{
    Context, Error, Result,
    auth::{Token, TokenSource},
    http::{
        AttemptLayer, AuthLayer, BreakerLayer, Call, ConcurrencyLayer, DeadlineLayer, Faults, FaultsLayer,
        Hosts, OneQuota, OperationLayer, RateLayer, Request, Response, RetryLayer, StackState, StatusFaults,
        stack,
    },
    resilience::{QuotaKey, Resilience, RetryPolicy},
};
use tower::{Layer, Service, ServiceExt as _};

use super::{Bench, get};
use crate::support::{
    Log,
    script::{Script, Step, status},
};

/// Writes down when it is asked.
#[derive(Debug)]
struct Recording(Log);

#[async_trait]
impl TokenSource for Recording {
    async fn token(&self, _: &Context) -> Result<Token> {
        self.0.push("token");
        Ok(Token::new("t-1".into()))
    }

    async fn renew(&self, _: &Context, _: &Token) -> Result<Token> {
        self.0.push("renew");
        Ok(Token::new("t-2".into()))
    }
}

impl Faults for Recording {
    fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
        self.0.push(format!("fault? {}", response.status.as_u16()));
        StatusFaults.fault(request, response)
    }
}

#[tokio::test]
async fn each_attempt_passes_the_layers_in_the_order_of_the_drawing() {
    let mut bench = Bench::new([]);
    let recording = Arc::new(Recording(bench.log.clone()));
    let mut hosts = Hosts::default();
    hosts.allow("fake").unwrap();
    let auth = AuthLayer::new(hosts).tokens(recording.clone());
    let script = Script::new([status(503), status(401), Step::Hang, status(200)], bench.log.clone());
    bench.stack = stack::build(&Resilience::default(), &bench.state, auth, one_quota(), recording, script);
    bench.send(get()).await.unwrap();
    let limit = |entry: &str| ["sleep 300s", "sleep 30s"].contains(&entry);
    let seen = bench.log.entries().into_iter().map(|entry| match entry {
        entry if entry.starts_with("sleep") && !limit(&entry) => "backoff".to_owned(),
        entry => entry,
    });
    let expected = [
        "token",
        "sent to fake by Bearer t-1",
        "fault? 503",
        "backoff",
        // The deadline is outside of retry: it begins to count down when retry waits.
        "sleep 300s",
        // Auth is inside of retry: each attempt asks for a token.
        "token",
        "sent to fake by Bearer t-1",
        // Faults are inside of auth, which replays at once and asks nobody.
        "fault? 401",
        "renew",
        "sent to fake by Bearer t-2",
        // The limit of an attempt is inside of all; what it ends is no answer, so no fault.
        "sleep 30s",
        "backoff",
        "token",
        "sent to fake by Bearer t-1",
        "fault? 200",
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    let counters = &bench.counters;
    let counted =
        [&counters.operations, &counters.retries, &counters.replays, &counters.timeouts, &counters.faults];
    assert_eq!(counted.map(|counter| counter.get()), [1, 2, 1, 1, 2]);
    assert_eq!(counters.failed.get(), 0);
}

/// Calls a layer over a service that panics when it is called before it says that it is ready; the
/// layer is cloned before each call, and again in between.
async fn is_ready_when_it_says_so<L>(layer: L)
where
    L: Layer<Script>,
    L::Service: Service<Call, Response = Response, Error = Error> + Clone,
{
    let bench = Bench::new([]);
    let service =
        layer.layer(Script::new([status(200), status(503), status(200), status(200)], bench.log.clone()));
    for _ in 0..3 {
        let mut once = service.clone();
        bench
            .clock
            .run(async {
                let ready = once.ready().await.unwrap();
                let _another = ready.clone();
                let _ = ready.call(Call::new(bench.cx.clone(), get())).await;
                let _ = once.ready().await.unwrap();
            })
            .await;
    }
    assert!(bench.sent() >= 3);
}

fn retry() -> RetryLayer {
    let settings = Resilience::default();
    let state = StackState::new(&settings, 1);
    RetryLayer::new(RetryPolicy::from(&settings), state.jitter, state.budget)
}

fn one_quota() -> Arc<OneQuota> {
    Arc::new(OneQuota::new(QuotaKey::new("acme/desk")))
}

#[tokio::test]
async fn every_layer_alone_calls_only_who_is_ready() {
    let mut hosts = Hosts::default();
    hosts.allow("fake").unwrap();
    let state = StackState::new(&Resilience::default(), 1);
    is_ready_when_it_says_so(OperationLayer).await;
    is_ready_when_it_says_so(ConcurrencyLayer::new(state.gate)).await;
    is_ready_when_it_says_so(BreakerLayer::new(state.breaker)).await;
    is_ready_when_it_says_so(RateLayer::new(state.limiter, one_quota())).await;
    is_ready_when_it_says_so(DeadlineLayer::new(Duration::from_secs(1))).await;
    is_ready_when_it_says_so(retry()).await;
    is_ready_when_it_says_so(AuthLayer::new(hosts.clone())).await;
    is_ready_when_it_says_so(AuthLayer::new(hosts).tokens(Arc::new(Recording(Log::default())))).await;
    is_ready_when_it_says_so(FaultsLayer::new(Arc::new(StatusFaults))).await;
    is_ready_when_it_says_so(AttemptLayer::new(Duration::from_secs(1))).await;
    // Retry over faults, so that it does call again.
    is_ready_when_it_says_so(tower::layer::util::Stack::new(
        FaultsLayer::new(Arc::new(StatusFaults)),
        retry(),
    ))
    .await;
}
