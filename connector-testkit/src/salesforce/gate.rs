//! What every call of the REST API passes first: a version that is still served, a session, the quotas.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, WARNING};
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};

use super::org::Org;
use super::reply;
use super::resources::{self, Version};

/// `Sforce-Limit-Info` (REST guide, headers_api_usage).
const LIMIT_INFO: HeaderName = HeaderName::from_static("sforce-limit-info");

/// A call that may go on. Dropping the last copy ends it for the count of concurrent ones.
#[derive(Debug, Clone)]
pub(super) struct Pass(#[expect(dead_code, reason = "held for its Drop")] Arc<Running>);

#[derive(Debug)]
struct Running {
    running: Arc<AtomicUsize>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Why a call goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// There never was such a version, or not yet.
    UnknownVersion,
    /// The version is retired: 410 whoever asks (help article 000354473; the body was not recorded).
    RetiredVersion,
    /// No session in the headers.
    NoSession,
    /// The session is over, or never was.
    SessionOver,
    /// The day's calls are used up.
    DailyLimit,
    /// Too many calls at the same time. One error code with the day's limit; only the text differs.
    ConcurrentLimit,
}

impl Stop {
    pub(super) fn response(self) -> Response {
        let limit = |text: &str| reply::error(StatusCode::FORBIDDEN, "REQUEST_LIMIT_EXCEEDED", text);
        match self {
            Self::UnknownVersion => reply::not_found(),
            Self::RetiredVersion => {
                reply::error(StatusCode::GONE, "GONE", "The requested resource is retired or removed")
            }
            Self::NoSession => {
                reply::error(StatusCode::UNAUTHORIZED, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
            }
            Self::SessionOver => reply::session_expired(),
            Self::DailyLimit => limit("TotalRequests Limit exceeded."),
            Self::ConcurrentLimit => limit("ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        }
    }

    /// Whether the caller was known when it was stopped; only then the limits header is sent along.
    pub(super) fn knows_the_caller(self) -> bool {
        matches!(self, Self::DailyLimit | Self::ConcurrentLimit)
    }
}

/// Checks the version of a path.
pub(super) fn check_version(segment: &str) -> Result<(), Stop> {
    match resources::version(segment) {
        Version::Unknown => Err(Stop::UnknownVersion),
        Version::Retired => Err(Stop::RetiredVersion),
        Version::Deprecated | Version::Current => Ok(()),
    }
}

/// Lets a call through. `refused` makes it fail as if the session had just ended, and ends it.
pub(super) fn admit(org: &Org, headers: &HeaderMap, refused: bool) -> Result<Pass, Stop> {
    let token = session(headers).ok_or(Stop::NoSession)?;
    {
        let mut grants = org.grants();
        if refused {
            grants.expire(token);
        }
        if !grants.use_access(token) {
            return Err(Stop::SessionOver);
        }
    }
    let (used, daily) = org.usage();
    if used >= daily {
        return Err(Stop::DailyLimit);
    }
    let running = org.running.fetch_add(1, Ordering::AcqRel);
    let pass = Pass(Arc::new(Running { running: Arc::clone(&org.running) }));
    if org.settings.limits.concurrent.is_some_and(|limit| running >= limit) {
        return Err(Stop::ConcurrentLimit);
    }
    org.count_call();
    Ok(pass)
}

/// Adds what every answer behind the gate carries.
pub(super) fn mark(org: &Org, version: &str, response: &mut Response) {
    let (used, daily) = org.usage();
    let mut info = format!("api-usage={used}/{daily}");
    if let Some((app, used, limit)) = &org.settings.limits.per_app {
        info.push_str(&format!("; per-app-api-usage={used}/{limit}(appName={app})"));
    }
    let headers = response.headers_mut();
    if let Ok(info) = HeaderValue::try_from(info) {
        headers.insert(LIMIT_INFO, info);
    }
    if resources::version(version) == Version::Deprecated
        && let Ok(warning) = HeaderValue::try_from(resources::deprecation(version))
    {
        headers.insert(WARNING, warning);
    }
}

/// A body that keeps its call running until its last byte is handed over: a slow answer occupies the org.
pub(super) struct Held {
    pub(super) body: Body,
    pub(super) pass: Option<Pass>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.pass = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The token of `Authorization: Bearer …`, or `OAuth …` as older clients write it.
fn session(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("OAuth ")).map(str::trim)
}
