//! The handle that a connector holds: a built stack, and a way to send.

use std::{fmt, sync::Arc};

use tower::{Service, ServiceExt};
use url::Url;

use super::{
    AuthLayer, Call, Faults, Hosts, OneQuota, Quotas, Request, Response, StackCounters, StackHealth,
    StackState, StatusFaults, Transport,
    stack::{self, Stack},
};
use crate::{
    Context, Error, Result,
    auth::TokenSource,
    resilience::{QuotaKey, RateLimiter, Resilience},
};

/// A resilient HTTP client for one connection. A clone is cheap and shares connections and counters.
///
/// ```no_run
/// use connector_sdk::{Context, Result, http::{HttpClient, Request}};
///
/// async fn limits(cx: &Context) -> Result<String> {
///     let client = HttpClient::builder(cx).base_url("https://acme.example.com".parse().expect("a URL")).build()?;
///     let response = client.send(cx, Request::get("limits", "/services/data/v66.0/limits")).await?;
///     Ok(String::from_utf8_lossy(&response.body).into_owned())
/// }
/// ```
#[derive(Clone)]
pub struct HttpClient {
    stack: Stack,
    counters: Arc<StackCounters>,
    state: StackState,
}

impl HttpClient {
    /// Starts a client with the connection's network and resilience settings.
    pub fn builder(cx: &Context) -> HttpClientBuilder {
        HttpClientBuilder {
            cx: cx.clone(),
            base_url: None,
            tokens: None,
            faults: Arc::new(StatusFaults),
            quotas: None,
            limiter: None,
            user_agent: concat!("connector-sdk/", env!("CARGO_PKG_VERSION")).to_owned(),
            allow_hosts: cx.network().allow_hosts.clone(),
            resilience: cx.resilience().clone(),
        }
    }

    /// Sends a request and waits for its whole answer.
    ///
    /// # Errors
    /// Config when the request cannot be sent as it is (no base URL, a host that the connection does not
    /// name, plain http, a certificate that is not trusted). Auth when the credential is refused and
    /// could not be renewed. Transient and RateLimited when attempts or time have run out; RateLimited
    /// with `resume_at` when the vendor asks for a longer wait than the deadline leaves. Permanent when
    /// the vendor says no. Ambiguous when nobody knows whether a write happened. Else what the client's
    /// [`Faults`] make of the answer.
    pub async fn send(&self, cx: &Context, request: Request) -> Result<Response> {
        let call = Call::counted(cx.clone(), request, Arc::clone(&self.counters));
        self.stack.clone().ready().await?.call(call).await
    }

    /// What its layers have done so far.
    #[must_use]
    pub fn counters(&self) -> &StackCounters {
        &self.counters
    }

    /// How it is doing: the breaker, the limits, the quotas.
    #[must_use]
    pub fn health(&self, cx: &Context) -> StackHealth {
        self.state.health(cx.clock().monotonic())
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// Builds an [`HttpClient`].
#[derive(Debug)]
#[must_use]
pub struct HttpClientBuilder {
    cx: Context,
    base_url: Option<Url>,
    tokens: Option<Arc<dyn TokenSource>>,
    faults: Arc<dyn Faults>,
    quotas: Option<Arc<dyn Quotas>>,
    limiter: Option<Arc<RateLimiter>>,
    user_agent: String,
    allow_hosts: Vec<String>,
    resilience: Resilience,
}

impl HttpClientBuilder {
    /// Resolves paths against the origin of this URL where the token names no other, and lets requests go there.
    pub fn base_url(mut self, url: Url) -> Self {
        self.base_url = Some(url);
        self
    }

    /// Gives each attempt a token of this source.
    pub fn tokens(mut self, tokens: Arc<dyn TokenSource>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Reads the vendor's answers this way; the default is [`StatusFaults`].
    pub fn faults(mut self, faults: Arc<dyn Faults>) -> Self {
        self.faults = faults;
        self
    }

    /// Keeps to these quotas; the default knows of one for all requests, and learns it from the answers.
    pub fn quotas(mut self, quotas: Arc<dyn Quotas>) -> Self {
        self.quotas = Some(quotas);
        self
    }

    /// Shares the state of the quotas with others that draw on them: the default is the client's own.
    pub fn limiter(mut self, limiter: Arc<RateLimiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// Calls itself so.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Lets requests and credentials go to these hosts too: names, or `*.suffix` for all below it.
    pub fn allow_hosts(mut self, hosts: &[&str]) -> Self {
        self.allow_hosts.extend(hosts.iter().map(|&host| host.to_owned()));
        self
    }

    /// Meets failures with these settings instead of the connection's.
    pub fn resilience(mut self, settings: Resilience) -> Self {
        self.resilience = settings;
        self
    }

    /// Lets requests go to the origin of this URL and nowhere else, whatever the connection allows.
    pub(crate) fn only_host_of(mut self, url: Url) -> Self {
        self.allow_hosts.clear();
        self.base_url(url)
    }

    /// The client.
    ///
    /// # Errors
    /// Config when a setting does not make sense, naming it.
    pub fn build(self) -> Result<HttpClient> {
        let cx = &self.cx;
        let mut hosts = Hosts::default();
        for pattern in &self.allow_hosts {
            hosts.allow(pattern)?;
        }
        if let Some(url) = &self.base_url {
            hosts.allow_origin(url.clone());
        }
        if self.tokens.is_some() && hosts.is_empty() {
            return Err(Error::config(
                "connect",
                "a client with tokens needs a base URL or the hosts they may go to",
            ));
        }
        let transport = Transport::new(cx.network(), &self.resilience, &self.user_agent)?;
        let mut auth = AuthLayer::new(hosts);
        if let Some(url) = self.base_url {
            auth = auth.base_url(url);
        }
        if let Some(tokens) = self.tokens {
            auth = auth.tokens(tokens);
        }
        let mut state = StackState::new(&self.resilience, cx.seed());
        if let Some(limiter) = self.limiter {
            state.limiter = limiter;
        }
        let key = format!("{}/{}", cx.tenant(), cx.connection());
        let quotas = self.quotas.unwrap_or_else(|| Arc::new(OneQuota::new(QuotaKey::new(key))));
        let stack = stack::build(&self.resilience, &state, auth, quotas, self.faults, transport);
        Ok(HttpClient { stack, counters: Arc::default(), state })
    }
}
