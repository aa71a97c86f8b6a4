//! Which redirects are followed, and what goes along.
//!
//! Only within the origin (scheme, host and port): the credential goes where the connection lets it go,
//! and a vendor, or who has found an open redirect on its site, cannot send us elsewhere. Any other
//! redirect is left as the answer that it is, for [`Faults`](crate::http::Faults) to judge.
//!
//! | status | GET, HEAD and other safe methods | writes |
//! |---|---|---|
//! | 301, 302 | followed | not followed: clients disagree whether the method changes (RFC 9110, 15.4.2) |
//! | 303 | followed | followed with GET, without the body: the write is done, and this reads its result |
//! | 307, 308 | followed | followed with method and body: the write is not done yet |
//!
//! After 303 the answer of the GET stands for the write. When it fails, nobody may send the write again
//! for that: unless the request says that it may be repeated, the failure is Ambiguous.
//!
//! Headers go along by a list of those that are safe and make sense at another address. Others go along
//! when the request names them ([`Request::redirect_header`](crate::http::Request::redirect_header)).
//! Nothing is followed for a request that says so
//! ([`Request::without_redirects`](crate::http::Request::without_redirects)).
//! The auth layer's credential is put on anew, header or parameter, because the origin is the same.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use url::Url;

use super::at;
use crate::{
    Class, Delivery, Error, Result,
    http::{Call, Outgoing, Request, Response},
};

/// How many redirects are followed in a row. Browsers follow 20; no API that means well needs five.
const MOST: usize = 5;

/// One request on the wire.
#[derive(Clone)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The hops of one call.
pub(super) struct Trail<'a> {
    call: &'a Call,
    credential: HeaderMap,
    pub(super) hop: Hop,
    gone: Vec<(Method, Url)>,
    /// A write has been answered with 303.
    written: bool,
}

impl<'a> Trail<'a> {
    pub(super) fn new(call: &'a Call) -> Result<Self> {
        let request = call.request();
        let Outgoing { url, headers: credential } = call.outgoing()?;
        let mut headers = request.headers().clone();
        headers.extend(credential.clone());
        headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
        let hop =
            Hop { method: request.http_method().clone(), url, headers, body: request.payload().clone() };
        Ok(Self { call, credential, hop, gone: Vec::new(), written: false })
    }

    /// Goes on where this answer points, if it is followed.
    ///
    /// # Errors
    /// Permanent when it goes on for too long or in a circle.
    pub(super) fn follow(&mut self, status: StatusCode, headers: &HeaderMap) -> Result<bool> {
        if !self.call.request().is_redirected() {
            return Ok(false);
        }
        let Some(method) = method_after(status, &self.hop.method) else { return Ok(false) };
        let Some(url) = target(&self.hop.url, headers) else { return Ok(false) };
        let Outgoing { url, headers: credential } = self.call.outgoing_to(url)?;
        self.gone.push((self.hop.method.clone(), self.hop.url.clone()));
        let refused = |message: &str| {
            let error = Error::permanent(self.call.request().operation(), message);
            Err(at(error.with_delivery(Delivery::Answered), &url))
        };
        if self.gone.iter().any(|(gone, to)| *gone == method && *to == url) {
            return refused("the vendor redirects in a circle");
        }
        if self.gone.len() > MOST {
            return refused("the vendor redirects more than 5 times in a row");
        }
        let kept = method == self.hop.method;
        if !kept {
            self.hop.body = Bytes::new();
            self.written |= !self.hop.method.is_safe();
        }
        self.credential = credential;
        self.hop.headers = self.headers(kept);
        self.hop.method = method;
        self.hop.url = url;
        Ok(true)
    }

    /// What goes along.
    fn headers(&self, kept: bool) -> HeaderMap {
        let request = self.call.request();
        let mut headers: HeaderMap = self
            .hop
            .headers
            .iter()
            .filter(|(name, _)| travels(name, kept) || names(request, name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        headers.extend(self.credential.clone());
        headers
    }

    /// What the outcome of the last hop means for the call.
    pub(super) fn judge(&self, outcome: Result<Response>) -> Result<Response> {
        if !self.written || self.call.request().is_repeatable() {
            return outcome;
        }
        let ambiguous = |error: Error| error.with_class(Class::Ambiguous).with_delivery(Delivery::Unknown);
        match outcome {
            Ok(response) if !response.status.is_success() => {
                let message = format!(
                    "the write was accepted, but its result cannot be read (status {})",
                    response.status.as_u16()
                );
                let error = Error::new(Class::Ambiguous, self.call.request().operation(), message);
                Err(at(ambiguous(error), &response.url))
            }
            outcome => outcome.map_err(ambiguous),
        }
    }
}

/// The method to go on with; none: the answer is no redirect, or none that is followed.
fn method_after(status: StatusCode, method: &Method) -> Option<Method> {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method.is_safe().then(|| method.clone()),
        StatusCode::SEE_OTHER if *method == Method::HEAD => Some(Method::HEAD),
        StatusCode::SEE_OTHER => Some(Method::GET),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => Some(method.clone()),
        _ => None,
    }
}

/// Where to go on; none: nowhere that we follow.
fn target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let mut locations = headers.get_all(header::LOCATION).iter();
    let location = locations.next()?;
    // Of two we cannot know which one a proxy on the way has checked.
    if locations.next().is_some() {
        return None;
    }
    let mut url = from.join(location.to_str().ok()?).ok()?;
    url.set_fragment(None);
    let own = url.origin() == from.origin() && url.username().is_empty() && url.password().is_none();
    own.then_some(url)
}

/// Whether a header makes sense at another address of the origin. With another method only those that
/// say what we can read; conditions and ranges were about what the write was for.
fn travels(name: &HeaderName, kept: bool) -> bool {
    let name = name.as_str();
    let ours = name == "accept" || name.starts_with("accept-") || name == "user-agent";
    let same = name.starts_with("if-")
        || matches!(
            name,
            "range" | "idempotency-key" | "content-type" | "content-encoding" | "content-language"
        );
    ours || (kept && same)
}

fn names(request: &Request, name: &HeaderName) -> bool {
    request.redirect_headers().contains(name)
}
