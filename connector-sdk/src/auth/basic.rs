//! HTTP Basic authentication (RFC 7617).

use std::fmt;

use ::http::{HeaderMap, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use url::Url;
use zeroize::Zeroizing;

use super::{
    Token, TokenSource,
    source::{Delegate, Given},
    token::header_value,
};
use crate::{Error, Result, Secret};

/// A user and a password, sent with each request as UTF-8. Either may be empty, since some vendors take a
/// key for the one and nothing for the other; for the same reason Debug shows neither.
///
/// It cannot be renewed: when the vendor refuses it, a person has to act.
#[derive(Clone)]
pub struct Basic(Given);

impl Basic {
    /// This user with this password.
    ///
    /// # Errors
    /// Config when both are empty, when the user holds a colon, which would end it (RFC 7617, 2), or when
    /// one of them holds control characters.
    pub fn new(user: &str, password: &Secret) -> Result<Self> {
        let password = password.expose();
        let what = if user.is_empty() && password.is_empty() {
            "user and password are empty"
        } else if user.contains(':') {
            "the user of Basic authentication must not hold a colon"
        } else if [user, password].into_iter().any(|text| text.chars().any(char::is_control)) {
            "user or password hold control characters, such as a line break"
        } else {
            let pair = Zeroizing::new(format!("{user}:{password}"));
            let secret = Secret::new(BASE64_STANDARD.encode(pair.as_bytes()));
            return Ok(Self(Given::new("user or password", secret)));
        };
        Err(Error::config("authenticate", what))
    }
}

impl Delegate for Basic {
    fn source(&self) -> &dyn TokenSource {
        &self.0
    }

    fn place(&self, token: &Token, headers: &mut HeaderMap, _url: &mut Url) -> Result<()> {
        headers.insert(header::AUTHORIZATION, header_value("the credential", "Basic ", token.secret())?);
        Ok(())
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basic")
    }
}
