//! The vendor's endpoints, one function each.

mod writes;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connector_sdk::{
    Class, Context, Delivery, Error, Result, Timestamp,
    http::{HttpClient, Request, Response, StackHealth},
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    bulk::JobsGone,
    config::{Auth, Settings},
    deleted::Log,
    describe::{Global, Object},
    fault::{self, SalesforceFaults},
    hosts::VENDOR_HOSTS,
    quota::{LIMIT_INFO, Limits, Quota},
};

/// URI and headers together, in bytes; the front end answers 414 or 431 to more.
const LONGEST_REQUEST: usize = 16_384;
/// The operation whose answers are pages of rows.
pub(crate) const PAGES: &str = "query";
/// What is set aside for headers, the token among them.
const HEADER_ALLOWANCE: usize = 1_024;
/// What is left for the URI.
const LONGEST_URL: usize = LONGEST_REQUEST - HEADER_ALLOWANCE;
/// A user has ten cursors, and one more drops the oldest (help article 000004410). Two are left to others.
const OPEN_CURSORS: usize = 8;
/// The vendor gives a query two minutes (`QUERY_TIMEOUT`), and a file of rows takes its time on the way: who hangs up
/// before does not learn that it was too much.
pub(crate) const PATIENCE: Duration = Duration::from_secs(140);

/// What a version has, as far as it is used.
#[derive(Debug, Deserialize)]
pub(crate) struct Resources {
    /// `https://login.salesforce.com/id/{organization}/{user}`
    pub(crate) identity: Option<String>,
}

/// Whose session it is, as far as it is used.
#[derive(Debug, Deserialize)]
pub(crate) struct UserInfo {
    pub(crate) preferred_username: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) organization_id: Option<String>,
}

/// The REST API of one org.
#[derive(Debug)]
pub(crate) struct Api {
    client: HttpClient,
    quota: Quota,
    settings: Settings,
    cursors: Arc<Semaphore>,
    jobs_gone: JobsGone,
    /// Objects whose fields take several queries, and how many at least: what was refused once is not
    /// tried again by every query.
    wide: Mutex<HashMap<String, usize>>,
}

impl Api {
    pub(crate) fn new(auth: &Auth, settings: Settings, cx: &Context) -> Result<Self> {
        let mut client = HttpClient::builder(cx)
            .tokens(crate::auth::tokens(auth, &settings, cx)?)
            .faults(Arc::new(SalesforceFaults))
            .allow_hosts(&VENDOR_HOSTS);
        // What may have the secret may have the token: My Domain signs in and serves.
        client = client.allow_hosts(&settings.login_url.host_str().into_iter().collect::<Vec<_>>());
        if let Some(url) = &settings.instance_url {
            client = client.base_url(url.clone());
        }
        Ok(Self {
            client: client.build()?,
            quota: Quota::new(settings.quota_share, settings.run_quota_share),
            settings,
            cursors: Arc::new(Semaphore::new(OPEN_CURSORS)),
            jobs_gone: JobsGone::default(),
            wide: Mutex::default(),
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }

    pub(crate) fn stack_health(&self, cx: &Context) -> StackHealth {
        self.client.health(cx)
    }

    /// The right to hold so many cursors open; given back when dropped. Who needs several asks for all of
    /// them here at once: who holds some and waits for more may wait for one who does the same.
    pub(crate) async fn cursors(&self, count: u32) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.cursors).acquire_many_owned(count).await;
        permit.map_err(|error| Error::bug("query", "the count of cursors is closed").with_source(error))
    }

    /// In how many queries at least the fields of an object have to be asked for.
    pub(crate) fn pieces(&self, object: &str) -> usize {
        self.wide.lock().unwrap_or_else(PoisonError::into_inner).get(object).copied().unwrap_or(1)
    }

    /// From now on the fields of this object are asked for in at least so many queries.
    pub(crate) fn split(&self, object: &str, pieces: usize) {
        let mut wide = self.wide.lock().unwrap_or_else(PoisonError::into_inner);
        let known = wide.entry(object.to_owned()).or_default();
        *known = pieces.max(*known);
    }

    /// `GET /services/data/vNN.0`: what this version has. The cheapest call that needs a session.
    pub(crate) async fn resources(&self, cx: &Context) -> Result<Resources> {
        decode(
            &self.send(cx, Request::get("authenticate", self.settings.api_version.path())).await?,
            "authenticate",
        )
    }

    /// `GET /services/oauth2/userinfo`: whose session it is.
    pub(crate) async fn userinfo(&self, cx: &Context) -> Result<UserInfo> {
        decode(
            &self.send(cx, Request::get("authenticate", "/services/oauth2/userinfo")).await?,
            "authenticate",
        )
    }

    /// `GET /limits`: what is left of the daily quotas.
    pub(crate) async fn limits(&self, cx: &Context) -> Result<Limits> {
        let path = format!("{}/limits", self.settings.api_version.path());
        decode(&self.send(cx, Request::get("limits", path)).await?, "limits")
    }

    /// `GET /sobjects`: all objects.
    pub(crate) async fn global(&self, cx: &Context) -> Result<Global> {
        self.quota.admit("discover", cx)?;
        let path = format!("{}/sobjects", self.settings.api_version.path());
        decode(&self.send(cx, Request::get("discover", path)).await?, "discover")
    }

    /// `GET /sobjects/X/describe`: one object with its fields. The name goes into the path as it is.
    pub(crate) async fn describe(&self, cx: &Context, object: &str) -> Result<Object> {
        self.quota.admit("discover", cx)?;
        let path = format!("{}/sobjects/{object}/describe", self.settings.api_version.path());
        decode(&self.send(cx, Request::get("discover", path)).await?, "discover")
    }

    /// `GET /query` or `/queryAll`, which shows deleted rows too: the first page.
    pub(crate) async fn query(
        &self,
        cx: &Context,
        soql: &str,
        all: bool,
        page_size: u32,
    ) -> Result<Response> {
        let request = self.first_page(soql, all, page_size);
        let length = self.length(&request)?;
        if length > LONGEST_URL {
            let message =
                "the object has too many fields for one request: select fewer `fields` of this stream";
            return Err(fault::too_long("query", message)
                .with_context("url_bytes", length)
                .with_context("limit", LONGEST_URL));
        }
        self.quota.admit("query", cx)?;
        self.send(cx, request).await
    }

    /// Whether a query fits into one request, percent-encoded as it is sent.
    pub(crate) fn fits(&self, soql: &str, all: bool) -> Result<bool> {
        Ok(self.length(&self.first_page(soql, all, 0))? <= LONGEST_URL)
    }

    fn first_page(&self, soql: &str, all: bool, page_size: u32) -> Request {
        let path = format!("{}/{}", self.settings.api_version.path(), if all { "queryAll" } else { "query" });
        page_request(path, page_size).query("q", soql).answer_within(PATIENCE)
    }

    fn length(&self, request: &Request) -> Result<usize> {
        let base = self.settings.instance_url.as_ref().unwrap_or(&self.settings.login_url);
        Ok(request.url(Some(base))?.as_str().len())
    }

    /// The page that `nextRecordsUrl` names, as given.
    pub(crate) async fn more(&self, cx: &Context, next: &str, page_size: u32) -> Result<Response> {
        self.quota.admit("query", cx)?;
        self.send(cx, page_request(next.to_owned(), page_size)).await
    }

    /// What this process has deleted.
    pub(crate) fn jobs_gone(&self) -> &JobsGone {
        &self.jobs_gone
    }

    /// `GET /sobjects/X/deleted`: ids that were deleted between these times.
    pub(crate) async fn deleted(
        &self,
        cx: &Context,
        object: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Log> {
        self.quota.admit("deleted", cx)?;
        let path = format!("{}/sobjects/{object}/deleted", self.settings.api_version.path());
        let request =
            Request::get("deleted", path).query("start", &from.to_string()).query("end", &to.to_string());
        decode(&self.send(cx, request).await?, "deleted")
    }

    pub(crate) async fn send(&self, cx: &Context, request: Request) -> Result<Response> {
        let response = self.client.send(cx, request).await?;
        if let Some(header) = response.header(LIMIT_INFO) {
            let ours = cx.clock().now();
            self.quota.hear(header, response.date().unwrap_or(ours), ours);
        }
        Ok(response)
    }
}

fn page_request(path: String, page_size: u32) -> Request {
    Request::get(PAGES, path).header("Sforce-Query-Options", &format!("batchSize={page_size}"))
}

pub(crate) fn decode<T: DeserializeOwned>(response: &Response, operation: &'static str) -> Result<T> {
    serde_json::from_slice(&response.body).map_err(|error| {
        let (class, what) = if error.is_eof() {
            (Class::Transient, "the answer ends in the middle")
        } else {
            (Class::Schema, "the answer has another shape than documented")
        };
        Error::new(class, operation, what).with_delivery(Delivery::Answered).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_who_is_signed_in_only_the_fields_in_use_are_kept() {
        let resources: Resources = serde_json::from_str(r#"{"query": "/q", "more": [{"a": 1}]}"#).unwrap();
        assert_eq!(resources.identity, None);
        let who: UserInfo =
            serde_json::from_str(r#"{"user_id": "005", "organization_id": null, "photos": {}}"#).unwrap();
        assert_eq!((who.user_id.as_deref(), who.organization_id), (Some("005"), None));
    }
}
