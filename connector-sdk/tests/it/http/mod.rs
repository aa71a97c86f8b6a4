//! The layers over a script, and the transport over sockets.

mod cancel;
mod drawing;
mod failures;
mod glance;
mod guard;
mod limits;
mod metrics;
mod order;
mod outage;
mod redirect;
mod replay;
mod retry;
mod spans;
mod status;
mod time;
mod tls;
mod transport;
mod upgrade;

use std::{future::Future, sync::Arc};

use connector_sdk::{
    Context, Network, Result,
    http::{
        AuthLayer, Call, Faults, Hosts, OneQuota, Request, Response, StackCounters, StackState, StatusFaults,
        stack,
    },
    resilience::{QuotaKey, Resilience},
};
use tower::{Service as _, ServiceExt as _};

use crate::support::{
    Log,
    clock::ManualClock,
    script::{Script, Step},
};

/// The whole stack over a script, on a clock that moves by itself.
struct Bench {
    cx: Context,
    clock: Arc<ManualClock>,
    log: Log,
    script: Script,
    counters: Arc<StackCounters>,
    state: StackState,
    stack: stack::Stack<Script>,
}

impl Bench {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self::with(steps, Resilience::default(), AuthLayer::new(Hosts::default()), Arc::new(StatusFaults))
    }

    fn with(
        steps: impl IntoIterator<Item = Step>,
        settings: Resilience,
        auth: AuthLayer,
        faults: Arc<dyn Faults>,
    ) -> Self {
        let log = Log::default();
        let clock = ManualClock::new(log.clone());
        let cx = Context::builder("acme", "desk")
            .clock(clock.clone())
            .network(Network::loopback())
            .resilience(settings.clone())
            .seed(7)
            .build();
        let script = Script::new(steps, log.clone());
        let state = StackState::new(&settings, cx.seed());
        let quotas = Arc::new(OneQuota::new(QuotaKey::new("acme/desk")));
        let stack = stack::build(&settings, &state, auth, quotas, faults, script.clone());
        Self { cx, clock, log, script, counters: Arc::default(), state, stack }
    }

    /// The operation, which waits for nothing but the clock.
    fn sending(&self, request: Request) -> impl Future<Output = Result<Response>> + use<> {
        let (mut stack, call) = (self.stack.clone(), self.call(request));
        async move { stack.ready().await?.call(call).await }
    }

    fn call(&self, request: Request) -> Call {
        Call::counted(self.cx.clone(), request, Arc::clone(&self.counters))
    }

    async fn send(&self, request: Request) -> Result<Response> {
        self.clock.run(self.sending(request)).await
    }

    fn sent(&self) -> usize {
        self.log.count("sent")
    }
}

fn get() -> Request {
    Request::get("query", "https://fake/records")
}

fn post() -> Request {
    Request::post("create", "https://fake/records", "application/json", "{}")
}
