//! A request as a connector states it: what is asked for, and whether it may be asked twice.

use std::{fmt, time::Duration};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use bytes::Bytes;
use url::{Url, form_urlencoded::byte_serialize};

use crate::{Error, Result};

/// Where a request goes.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// There, whatever the base is. Still only to a host that the client allows.
    Url(Url),
    /// A path-absolute reference such as `/services/data/v66.0/limits`, with or without a query. It is
    /// resolved at each attempt against the origin that the token names (a vendor may move us with a
    /// new token), or else the client's own.
    Path(String),
}

impl Target {
    /// The URL it stands for.
    ///
    /// # Errors
    /// Config when a path has no base, is not path-absolute, or would leave the origin of the base.
    pub fn resolve(&self, operation: &'static str, base: Option<&Url>) -> Result<Url> {
        let path = match self {
            Self::Url(url) => return Ok(url.clone()),
            Self::Path(path) => path,
        };
        let refused = |why: &str| Error::config(operation, format!("the target {self:?} {why}"));
        let base = base.ok_or_else(|| refused("is a path, and the client has no base URL"))?;
        if !path.starts_with('/') {
            return Err(refused("is neither an absolute URL nor a path that starts with a slash"));
        }
        let url = base.join(path).map_err(|_| refused("is no valid path"))?;
        // `//host/…` and `/\host/…` start with a slash too.
        if url.origin() == base.origin() {
            Ok(url)
        } else {
            Err(refused("leaves the origin of the base URL"))
        }
    }
}

/// Shows no query, no user and no password: they may hold personal data or secrets.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&without_query(url)),
            Self::Path(path) => f.write_str(path.split(['?', '#']).next().unwrap_or_default()),
        }
    }
}

/// Scheme, host, port and path: what may stand in a log.
pub(crate) fn without_query(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

impl From<Url> for Target {
    fn from(url: Url) -> Self {
        Self::Url(url)
    }
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Target {
    /// An absolute URL becomes [`Target::Url`], all else [`Target::Path`], checked when it is resolved.
    fn from(text: String) -> Self {
        if text.starts_with('/') {
            return Self::Path(text);
        }
        Url::parse(&text).ok().filter(Url::has_host).map_or(Self::Path(text), Self::Url)
    }
}

/// A request. It knows whether it may be repeated: GET, HEAD, PUT, DELETE and OPTIONS may, POST and
/// PATCH only when told so, or when they carry an idempotency key.
///
/// Debug shows neither headers nor query nor body.
///
/// ```
/// use connector_sdk::http::Request;
/// let request = Request::get("query", "/services/data/v66.0/query").query("q", "SELECT Id FROM Contact");
/// assert_eq!(format!("{request:?}"), "query: GET /services/data/v66.0/query");
/// assert!(request.is_repeatable());
/// assert!(!Request::post("create", "/contacts", "application/json", "{}").is_repeatable());
/// ```
#[derive(Clone)]
#[must_use]
pub struct Request {
    operation: &'static str,
    method: Method,
    target: Target,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    idempotent: bool,
    keyed: bool,
    redirect_headers: Vec<HeaderName>,
    is_redirected: bool,
    glance: Option<Glance>,
    answer_within: Duration,
    defect: Option<String>,
}

/// How much of an answer's body is looked at, where nothing hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    /// Bytes, at most.
    pub(super) max_bytes: usize,
    /// Until this reading of the monotonic clock.
    pub(super) until: Duration,
}

impl Request {
    /// A request with this method and no body. `operation` names what is being done, for errors, spans
    /// and quotas: a word such as `query`, the same for every page.
    pub fn new(operation: &'static str, method: Method, target: impl Into<Target>) -> Self {
        let mut request = Self {
            operation,
            method: Method::GET,
            target: target.into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            idempotent: true,
            keyed: false,
            redirect_headers: Vec::new(),
            is_redirected: true,
            glance: None,
            answer_within: Duration::ZERO,
            defect: None,
        };
        request = request.method(method);
        request
    }

    /// A GET.
    pub fn get(operation: &'static str, target: impl Into<Target>) -> Self {
        Self::new(operation, Method::GET, target)
    }

    /// A POST of this body.
    pub fn post(
        operation: &'static str,
        target: impl Into<Target>,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Self {
        Self::new(operation, Method::POST, target).body(content_type, body)
    }

    /// Another method. Whether it may be repeated is then what the method says (RFC 9110, 9.2.2), until
    /// [`idempotent`](Self::idempotent) says otherwise.
    pub fn method(mut self, method: Method) -> Self {
        self.idempotent = method.is_idempotent();
        self.method = method;
        self
    }

    /// Carries this body.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header(header::CONTENT_TYPE.as_str(), content_type)
    }

    /// Sets a header, in place of one of that name. A name or value that no header can carry makes
    /// sending fail with class Config.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.insert(name, value);
            }
            // The value may be a secret; the name says enough.
            _ => self.defect = Some(format!("the header `{}` cannot be sent", name.escape_debug())),
        }
        self
    }

    /// Sends the header of this name again when the vendor redirects within its origin. Without it only
    /// those go along that make sense at any address: `Accept*`, `If-*`, `Range`, `Idempotency-Key`,
    /// those about the body, and the credential of the auth layer.
    pub fn redirect_header(mut self, name: &str) -> Self {
        match HeaderName::try_from(name) {
            Ok(name) => self.redirect_headers.push(name),
            Err(_) => self.defect = Some(format!("there is no header `{}`", name.escape_debug())),
        }
        self
    }

    /// Follows no redirect at all, also none within the origin: the redirect is the answer.
    pub fn without_redirects(mut self) -> Self {
        self.is_redirected = false;
        self
    }

    /// Only looks at the body, because the status says it all: so many bytes of it at most, as they were sent, and not
    /// beyond this reading of the context's monotonic clock. What is longer, comes later, or breaks off is left, and is
    /// no failure. It is not decompressed, so ask for `Accept-Encoding: identity`.
    pub fn glance(mut self, max_bytes: usize, until: Duration) -> Self {
        self.glance = Some(Glance { max_bytes, until });
        self
    }

    /// Adds a parameter to the query, percent-encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        // The form encoding writes a space as `+`, which only forms read back; `%20` everybody does.
        for (part, end) in [(name, "="), (value, "")] {
            for piece in byte_serialize(part.as_bytes()) {
                self.query.push_str(if piece == "+" { "%20" } else { piece });
            }
            self.query.push_str(end);
        }
        self
    }

    /// Lets an attempt wait this long for the answer to begin, where that is longer than the connection's setting: a
    /// query that the vendor gives two minutes. The deadline of the operation bounds it all the same.
    pub fn answer_within(mut self, limit: Duration) -> Self {
        self.answer_within = limit;
        self
    }

    /// How long an attempt waits at least for the answer to begin.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.answer_within
    }

    /// Repeating it does no harm, though its method does not say so: a POST that only reads.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Is not repeated by the stack, though its method says that it may be: its sender repeats it, because what
    /// the answer means depends on it. "No such record" to a DELETE is success only where an earlier one was lost.
    pub fn once(mut self) -> Self {
        self.idempotent = false;
        self
    }

    /// The vendor recognises a repetition by this key, sent as `Idempotency-Key`. Where it wants the key
    /// elsewhere, put it there and call [`idempotent`](Self::idempotent).
    pub fn with_idempotency_key(mut self, key: &str) -> Self {
        self.keyed = true;
        self.header("idempotency-key", key)
    }

    /// What is being done.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The method.
    #[must_use]
    pub fn http_method(&self) -> &Method {
        &self.method
    }

    /// Where it goes.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its own headers, without those of layers (credentials, user agent).
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers that go along when the vendor redirects, besides those that always do.
    pub(super) fn redirect_headers(&self) -> &[HeaderName] {
        &self.redirect_headers
    }

    pub(super) fn is_redirected(&self) -> bool {
        self.is_redirected
    }

    pub(super) fn glanced(&self) -> Option<Glance> {
        self.glance
    }

    /// What it carries.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.body
    }

    /// Whether it may be sent again when nobody knows what became of it.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.idempotent || self.keyed
    }

    /// Whether it changes nothing at the vendor (RFC 9110, 9.2.1).
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.method.is_safe()
    }

    /// The URL to go to: the target against the base, with the parameters.
    ///
    /// # Errors
    /// Config when it was built from a header that cannot be sent, or as [`Target::resolve`].
    pub fn url(&self, base: Option<&Url>) -> Result<Url> {
        if let Some(defect) = &self.defect {
            return Err(Error::config(self.operation, defect.clone()));
        }
        let mut url = self.target.resolve(self.operation, base)?;
        if !self.query.is_empty() {
            let joined = match url.query() {
                Some(own) if !own.is_empty() => format!("{own}&{}", self.query),
                _ => self.query.clone(),
            };
            url.set_query(Some(&joined));
        }
        Ok(url)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}", self.operation, self.method, self.target)
    }
}
