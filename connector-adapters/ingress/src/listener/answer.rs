//! What a sender is answered.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// An answer to a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body, as plain text.
    pub body: Bytes,
    /// After how many seconds to try again.
    pub retry_after: Option<u32>,
    /// Whether the connection ends with it.
    pub closes: bool,
}

impl Answer {
    /// 200, with this body.
    #[must_use]
    pub fn ok(body: Bytes) -> Self {
        Self { status: StatusCode::OK, body, retry_after: None, closes: false }
    }

    /// A refusal. Its reason is told to the sender, and holds nothing of the request.
    #[must_use]
    pub fn refused(status: StatusCode, why: &'static str) -> Self {
        Self { status, body: Bytes::from_static(why.as_bytes()), retry_after: None, closes: false }
    }

    /// 503: not now, try again in so many seconds.
    #[must_use]
    pub fn later(why: &'static str, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..Self::refused(StatusCode::SERVICE_UNAVAILABLE, why) }
    }

    /// 429: more than was agreed, try again in so many seconds.
    #[must_use]
    pub fn too_many(seconds: u32) -> Self {
        let why = "there are more events than were agreed";
        Self { retry_after: Some(seconds), ..Self::refused(StatusCode::TOO_MANY_REQUESTS, why) }
    }

    /// Ends the connection: what is left of the request is not read.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// As HTTP says it.
    #[must_use]
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let is_empty = self.body.is_empty();
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if !is_empty {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
