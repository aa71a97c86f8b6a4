//! The one way out: a method, its arguments, and an answer that says `ok`.

use std::{sync::Arc, time::Duration};

use connector_sdk::{
    Class, Context, Delivery, Error, Result,
    auth::TokenSource,
    http::{HttpClient, Request, Response, StackHealth},
};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::{fault::SlackFaults, hosts::VENDOR_HOSTS, limits::Limits, method::Method};

const JSON: &str = "application/json; charset=utf-8";

/// The Web API, with one token.
#[derive(Debug)]
pub(crate) struct Api {
    client: HttpClient,
    /// What stands before a method's name: `/api/`.
    path: String,
    team_id: Option<String>,
    limits: Arc<Limits>,
}

/// A turn comes round sooner than that, or nobody waits for it.
const SOON: Duration = Duration::from_secs(15 * 60);

/// Whether a request that was put off may be sent again while its caller waits.
fn is_soon(cx: &Context, error: &Error) -> bool {
    error.retry_after().is_none_or(|wait| wait <= SOON)
        && error.resume_at().is_none_or(|at| at.saturating_since(cx.clock().now()) <= SOON)
}

impl Api {
    /// The API below this URL, for this workspace where the token is one of an organisation.
    ///
    /// # Errors
    /// Config when the network settings do not make sense.
    pub(crate) fn new(
        base_url: &Url,
        team_id: Option<String>,
        tokens: Arc<dyn TokenSource>,
        cx: &Context,
    ) -> Result<Self> {
        let limits = Arc::new(Limits::new(cx));
        let client = HttpClient::builder(cx)
            .base_url(base_url.clone())
            .allow_hosts(&VENDOR_HOSTS)
            .tokens(tokens)
            .faults(Arc::new(SlackFaults(Arc::clone(&limits))))
            .quotas(Arc::clone(&limits) as _)
            .build()?;
        Ok(Self { client, path: format!("{}/", base_url.path().trim_end_matches('/')), team_id, limits })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn stack_health(&self, cx: &Context) -> StackHealth {
        self.client.health(cx)
    }

    /// Asks, with arguments in the query: nothing changes at the vendor.
    ///
    /// # Errors
    /// As [`HttpClient::send`], and as the vendor's code says.
    pub(crate) async fn get(
        &self,
        cx: &Context,
        method: &Method,
        arguments: &[(&str, &str)],
    ) -> Result<Response> {
        let mut request = Request::get(method.name, self.path_of(method));
        for (name, value) in arguments {
            request = request.query(name, value);
        }
        if let Some(team) = self.team_id.as_deref().filter(|_| method.takes_team) {
            request = request.query("team_id", team);
        }
        // Of those who have one request a minute each waits for its turn before it is sent, and not within the time that a
        // request has. Who was put off because nobody knew that yet is sent once more.
        let turn = self.limits().turn(method).await;
        match self.send(cx, request.clone()).await {
            Err(error) if error.class() == Class::RateLimited && turn.is_none() && is_soon(cx, &error) => {
                let Some(_turn) = self.limits().turn(method).await else { return Err(error) };
                self.send(cx, request).await
            }
            answered => answered,
        }
    }

    /// Has something done, with arguments as JSON.
    ///
    /// # Errors
    /// As [`get`](Self::get); Ambiguous when the method makes something new each time and nobody knows whether it did.
    pub(crate) async fn post(
        &self,
        cx: &Context,
        method: &Method,
        arguments: &impl Serialize,
    ) -> Result<Response> {
        let body = serde_json::to_vec(arguments).map_err(|error| {
            Error::bug(method.name, "the arguments cannot be written as JSON").with_source(error)
        })?;
        let request = Request::post(method.name, self.path_of(method), JSON, body);
        self.send(cx, if method.repeats { request.idempotent() } else { request }).await
    }

    /// The answer of [`get`](Self::get) as a type.
    ///
    /// # Errors
    /// As [`get`](Self::get); Schema when the answer has another shape.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        cx: &Context,
        method: &Method,
        arguments: &[(&str, &str)],
    ) -> Result<T> {
        decode(&self.get(cx, method, arguments).await?, method.name)
    }

    fn path_of(&self, method: &Method) -> String {
        format!("{}{}", self.path, method.name)
    }

    async fn send(&self, cx: &Context, request: Request) -> Result<Response> {
        self.client.send(cx, request).await
    }
}

/// An answer as a type. What nobody knows of it is passed over.
///
/// # Errors
/// Schema when it has another shape.
pub(crate) fn decode<T: DeserializeOwned>(response: &Response, operation: &'static str) -> Result<T> {
    serde_json::from_slice(&response.body).map_err(|error| misshapen(operation, error))
}

/// An answer that is not as the vendor documents it.
pub(crate) fn misshapen(operation: &'static str, error: serde_json::Error) -> Error {
    Error::new(Class::Schema, operation, "the answer has another shape than documented")
        .with_delivery(Delivery::Answered)
        .with_source(error)
}
