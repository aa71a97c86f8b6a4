//! A small client: asks, and keeps what it was told.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use connector_testkit::clock::ManualClock;
use connector_testkit::slack::{Builder, FakeWorkspace};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Runs a test under a deadline, on a runtime of its own.
#[allow(clippy::disallowed_methods, reason = "the deadline of a test is real time")]
pub(crate) fn within<F: Future>(test: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let test = Box::pin(test);
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("within a minute")
    })
}

/// A workspace to begin with, on a clock that a test moves.
pub(crate) fn builder() -> (Builder, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at("2027-01-15T12:00:00Z".parse().expect("a time")));
    (FakeWorkspace::builder().clock(clock.shared()), clock)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The code of a refusal; empty where it is none.
    pub(crate) fn error(&self) -> &str {
        assert_eq!(self.body["ok"], self.body.get("error").is_none(), "{}", self.body);
        self.body["error"].as_str().unwrap_or_default()
    }
}

/// A client with a token.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) token: String,
}

impl Client {
    /// One that holds the bot's token.
    pub(crate) fn new(workspace: &FakeWorkspace) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build();
        Self {
            http: http.expect("client"),
            base: workspace.base_url(),
            token: workspace.bot_token().to_owned(),
        }
    }

    pub(crate) fn with(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// A GET with arguments in the query.
    pub(crate) async fn get(&self, method: &str, arguments: &[(&str, &str)]) -> Answer {
        let request = self.http.get(format!("{}/{method}", self.base)).query(arguments);
        read(request.bearer_auth(&self.token)).await
    }

    /// A POST of a form.
    pub(crate) async fn form(&self, method: &str, arguments: &[(&str, &str)]) -> Answer {
        let request = self.http.post(format!("{}/{method}", self.base)).form(arguments);
        read(request.bearer_auth(&self.token)).await
    }

    /// A POST of JSON.
    pub(crate) async fn json(&self, method: &str, arguments: &Value) -> Answer {
        let request = self.http.post(format!("{}/{method}", self.base)).json(arguments);
        read(request.bearer_auth(&self.token)).await
    }

    /// All rows of a listing that pages by cursor, and how many pages it took.
    pub(crate) async fn all(
        &self,
        method: &str,
        arguments: &[(&str, &str)],
        field: &str,
    ) -> (Vec<Value>, usize) {
        let (mut rows, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let mut arguments = arguments.to_vec();
            arguments.push(("cursor", &cursor));
            let page = self.get(method, &arguments).await;
            assert_eq!(page.error(), "", "{method}");
            rows.extend(page.body[field].as_array().expect("rows").iter().cloned());
            pages += 1;
            let next = page.body["response_metadata"]["next_cursor"].as_str().unwrap_or_default();
            if next.is_empty() {
                return (rows, pages);
            }
            cursor = next.to_owned();
        }
    }
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    Answer { status, headers, body }
}
