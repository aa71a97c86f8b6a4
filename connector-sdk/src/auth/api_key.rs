//! An API key, in a header or in the query.

use std::fmt;

use ::http::{HeaderMap, HeaderName, header};
use url::{Url, form_urlencoded};

use super::{
    Token, TokenSource,
    source::{Delegate, Given},
    token::header_value,
};
use crate::{Error, Result, Secret};

/// A key that the vendor gave out, sent with each request in the header or the query parameter that the
/// vendor names. It cannot be renewed: when the vendor refuses it, a person has to act. Debug shows where
/// it goes, and no more.
///
/// A header is the better place where a vendor takes both. URLs end up in the logs of proxies and servers;
/// ours show none with its query.
///
/// ```
/// # fn main() -> connector_sdk::Result<()> {
/// use connector_sdk::auth::ApiKey;
/// let key = ApiKey::header("authorization", "s3cret".into())?.with_prefix("Token ")?;
/// assert_eq!(format!("{key:?}"), r#"ApiKey { header: "authorization" }"#);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ApiKey {
    key: Given,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Header { name: HeaderName, prefix: String },
    Query { name: String },
}

/// What a person calls it.
const KEY: &str = "API key";
const SHOWN: &str = "the API key or its prefix";

/// Headers that the connection or the body sets, or that are not for the vendor: a key there would break
/// the request, or go to somebody else (RFC 9110, 7.6.1 and 11.7).
const FORBIDDEN: [HeaderName; 15] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::ACCEPT_ENCODING,
    header::RANGE,
];

impl ApiKey {
    /// This key, in the header of this name.
    ///
    /// # Errors
    /// Config when no header can have the name or carry the key, or when the header is not ours to set.
    pub fn header(name: &str, key: Secret) -> Result<Self> {
        let name = HeaderName::try_from(name)
            .map_err(|_| wrong(format!("no header can be named `{}`", name.escape_debug())))?;
        if FORBIDDEN.contains(&name) {
            return Err(wrong(format!("the header `{name}` cannot carry an API key")));
        }
        Self { key: Given::new(KEY, key), place: Place::Header { name, prefix: String::new() } }.checked()
    }

    /// This key, in the query parameter of this name.
    ///
    /// # Errors
    /// Config when the name or the key is empty or holds control characters.
    pub fn query(name: impl Into<String>, key: Secret) -> Result<Self> {
        let name = name.into();
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(wrong(format!("no parameter can be named `{}`", name.escape_debug())));
        }
        Self { key: Given::new(KEY, key), place: Place::Query { name } }.checked()
    }

    /// Puts this before the key in the header, with the space if there is to be one: `Token `.
    ///
    /// # Errors
    /// Config when no header can carry it, or when the key is in the query.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self> {
        match &mut self.place {
            Place::Header { prefix: before, .. } => prefix.clone_into(before),
            Place::Query { .. } => return Err(wrong("a key in the query has no prefix")),
        }
        self.checked()
    }

    /// Says while a person is looking what would fail at each request.
    fn checked(self) -> Result<Self> {
        let key = self.key.given().secret();
        let text = key.expose();
        if text.trim() != text || text.is_empty() || text.chars().any(char::is_control) {
            return Err(wrong("the API key is empty, or holds line breaks or blanks at its ends"));
        }
        if let Place::Header { prefix, .. } = &self.place {
            header_value(SHOWN, prefix, key)?;
        }
        Ok(self)
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::config("authenticate", message)
}

/// The query without the parameter, and with it at the end: a vendor's link to the next page may hold the
/// key of the last request already. The others stay as they are written, byte for byte.
fn with_parameter(query: Option<&str>, name: &str, key: &str) -> zeroize::Zeroizing<String> {
    let is_other = |pair: &&str| {
        !pair.is_empty() && form_urlencoded::parse(pair.as_bytes()).all(|(known, _)| known != name)
    };
    let mut joined = zeroize::Zeroizing::new(String::new());
    for pair in query.unwrap_or_default().split('&').filter(is_other) {
        joined.push_str(pair);
        joined.push('&');
    }
    for (part, end) in [(name, "="), (key, "")] {
        for piece in form_urlencoded::byte_serialize(part.as_bytes()) {
            // Only forms read `+` as a space.
            joined.push_str(if piece == "+" { "%20" } else { piece });
        }
        joined.push_str(end);
    }
    joined
}

impl Delegate for ApiKey {
    fn source(&self) -> &dyn TokenSource {
        &self.key
    }

    fn place(&self, token: &Token, headers: &mut HeaderMap, url: &mut Url) -> Result<()> {
        match &self.place {
            Place::Header { name, prefix } => {
                headers.insert(name.clone(), header_value(SHOWN, prefix, token.secret())?);
            }
            Place::Query { name } => {
                let query = with_parameter(url.query(), name, token.secret().expose());
                url.set_query(Some(&query));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ApiKey");
        match &self.place {
            Place::Header { name, .. } => shown.field("header", &name.as_str()),
            Place::Query { name } => shown.field("query", name),
        };
        shown.finish()
    }
}
