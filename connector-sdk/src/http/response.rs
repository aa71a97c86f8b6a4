//! An answer, whole: its body has been read, decompressed and checked for being complete.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use url::Url;

use super::request::without_query;
use crate::Timestamp;

/// An answer. Its parts are read as its fields are; Debug shows neither headers nor body.
///
/// It is one pointer, because each layer hands it on by value.
#[derive(Clone)]
pub struct Response(Box<ResponseParts>);

/// The parts of a [`Response`].
#[derive(Clone)]
#[non_exhaustive]
pub struct ResponseParts {
    /// The status.
    pub status: StatusCode,
    /// The headers, as sent.
    pub headers: HeaderMap,
    /// The whole body, decompressed.
    pub body: Bytes,
    /// Where the request went, after redirects; a credential in its query is left out.
    pub url: Url,
    /// When the body was complete, by our clock.
    pub received_at: Timestamp,
}

/// The body.
impl From<Response> for Bytes {
    fn from(response: Response) -> Self {
        response.0.body
    }
}

impl Deref for Response {
    type Target = ResponseParts;

    fn deref(&self) -> &ResponseParts {
        &self.0
    }
}

impl DerefMut for Response {
    fn deref_mut(&mut self) -> &mut ResponseParts {
        &mut self.0
    }
}

impl Response {
    /// An answer; for services that stand in for a vendor.
    #[must_use]
    pub fn new(
        status: StatusCode,
        headers: HeaderMap,
        body: impl Into<Bytes>,
        url: Url,
        received_at: Timestamp,
    ) -> Self {
        Self(Box::new(ResponseParts { status, headers, body: body.into(), url, received_at }))
    }

    /// The parts, to take what is needed of them.
    #[must_use]
    pub fn into_parts(self) -> ResponseParts {
        *self.0
    }

    /// A header as text, when it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The vendor's clock: the `Date` header, to the second.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        httpdate::parse_http_date(self.header("date")?).ok().map(Timestamp::from)
    }
}

impl fmt::Debug for ResponseParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}, {} bytes", self.status.as_u16(), without_query(&self.url), self.body.len())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
