//! What several measurements stand on.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll},
    time::Duration,
};

use connector_sdk::{
    Context, Error, Result, Secret, Timestamp,
    auth::StaticToken,
    http::{
        AuthLayer, Call, HeaderMap, Hosts, OneQuota, Quotas, Request, Response, StackCounters, StackState,
        StatusCode, StatusFaults, Url,
        stack::{self, Stack},
    },
    resilience::{Quota, QuotaKey, Resilience},
};
use tower::Service;

/// Answers at once, and without an allocation of its own but for the URL in the answer.
#[derive(Debug, Clone)]
pub struct NoOp(Arc<Url>);

/// The future of [`NoOp`]: no larger than the boxed one of a transport, so that no layer moves an answer about
/// that is not there yet.
#[derive(Debug)]
pub struct Answer(Arc<Url>);

impl Future for Answer {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<Self::Output> {
        let (url, now) = (Url::clone(&self.0), Timestamp::from_millis(0));
        Poll::Ready(Ok(Response::new(StatusCode::OK, HeaderMap::new(), "", url, now)))
    }
}

impl NoOp {
    /// Of this origin.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn new() -> std::result::Result<Self, url::ParseError> {
        Ok(Self(Arc::new("https://vendor.example/".parse()?)))
    }
}

impl Service<Call> for NoOp {
    type Response = Response;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        Answer(Arc::clone(&self.0))
    }
}

/// A quota that never binds, so that only its cost shows.
#[derive(Debug)]
struct Wide(QuotaKey);

impl Quotas for Wide {
    fn key(&self, _: &Request) -> QuotaKey {
        self.0.clone()
    }

    fn quota(&self, _: &Request) -> Option<Quota> {
        Some(Quota { requests: 1_000_000_000, period: Duration::from_secs(1), burst: 1_000_000 })
    }
}

/// What a measured stack has besides its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    /// Nothing.
    Nothing,
    /// A token on each request.
    Token,
    /// A token, and a quota known beforehand.
    TokenAndQuota,
}

/// The whole stack around [`NoOp`], as a connector has it, and what its calls need.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The stack.
    pub stack: Stack<NoOp>,
    /// Whose calls.
    pub cx: Context,
    counters: Arc<StackCounters>,
    /// What the layers remember.
    pub state: StackState,
}

impl Bench {
    /// A stack with so many places for attempts at once.
    ///
    /// # Errors
    /// When the settings do not make sense.
    pub fn new(with: With, places: u32) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        let mut settings = Resilience::default();
        (settings.concurrency.start, settings.concurrency.max) = (places, places.max(32));
        let cx = Context::builder("acme", "desk").resilience(settings.clone()).build();
        let state = StackState::new(&settings, 1);
        let mut hosts = Hosts::default();
        hosts.allow("vendor.example")?;
        let mut auth = AuthLayer::new(hosts).base_url("https://vendor.example/".parse()?);
        if with != With::Nothing {
            auth = auth.tokens(Arc::new(StaticToken::new(Secret::from("t-1"))));
        }
        let key = QuotaKey::new("acme/desk");
        let quotas: Arc<dyn Quotas> =
            if with == With::TokenAndQuota { Arc::new(Wide(key)) } else { Arc::new(OneQuota::new(key)) };
        let stack = stack::build(&settings, &state, auth, quotas, Arc::new(StatusFaults), NoOp::new()?);
        Ok(Self { stack, cx, counters: Arc::default(), state })
    }

    /// A request as a connector makes one for each page.
    #[must_use]
    pub fn call(&self) -> Call {
        Call::counted(self.cx.clone(), Request::get("list", "/contacts"), Arc::clone(&self.counters))
    }
}
