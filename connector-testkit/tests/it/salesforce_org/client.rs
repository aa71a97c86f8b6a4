//! A small client: signs in, asks, and keeps what it was told.

use std::future::Future;
use std::time::Duration;

use connector_testkit::salesforce::FakeOrg;
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

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Status and error code of the vendor's error array.
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        let first = &json[0];
        assert!(first["message"].is_string(), "{}", self.text);
        (self.status, first["errorCode"].as_str().expect("errorCode").to_owned())
    }
}

/// A client with a session.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Client {
    /// One that was given a session.
    pub(crate) fn new(org: &FakeOrg) -> Self {
        Self { http: http(), url: org.url().to_owned(), token: org.issue_token() }
    }

    /// GET of a path below the org; fails where the answer does not arrive whole.
    pub(crate) async fn try_get(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_get(path, &[]).await.expect("an answer")
    }

    pub(crate) async fn query(&self, soql: &str) -> Answer {
        self.get(&format!("/services/data/v66.0/query?q={}", encoded(soql))).await
    }

    /// All records of a query, page after page, and the addresses of the later pages.
    pub(crate) async fn all(&self, path: &str, soql: &str) -> (Vec<Value>, Vec<String>) {
        let mut page = self.get(&format!("/services/data/v66.0/{path}?q={}", encoded(soql))).await.json();
        let (mut records, mut addresses) = (Vec::new(), Vec::new());
        loop {
            records.extend(
                page["records"].as_array().unwrap_or_else(|| panic!("records in {page}")).iter().cloned(),
            );
            if page["done"] == true {
                assert!(page.get("nextRecordsUrl").is_none());
                assert_eq!(page["totalSize"], records.len());
                return (records, addresses);
            }
            let next = page["nextRecordsUrl"].as_str().expect("nextRecordsUrl").to_owned();
            page = self.get(&next).await.json();
            addresses.push(next);
        }
    }
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().no_gzip().timeout(Duration::from_secs(30)).build().expect("client")
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, text: response.text().await? })
}

pub(crate) fn encoded(soql: &str) -> String {
    url::form_urlencoded::byte_serialize(soql.as_bytes()).collect()
}
