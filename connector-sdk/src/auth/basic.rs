//! HTTP Basic authentication (RFC 7617).

use std::fmt;

use ::http::{HeaderMap, HeaderValue, header};
use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use url::Url;
use zeroize::Zeroizing;

use super::{Token, TokenSource, fixed::cannot_be_renewed};
use crate::{Context, Error, Result, Secret};

/// A user and a password, sent with each request as UTF-8. Either may be empty, since some vendors take a
/// key for the one and nothing for the other; for the same reason Debug shows neither.
///
/// It cannot be renewed: when the vendor refuses it, a person has to act.
#[derive(Clone)]
pub struct Basic(Token);

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
            return Ok(Self(Token::new(Secret::new(BASE64_STANDARD.encode(pair.as_bytes())))));
        };
        Err(Error::config("authenticate", what))
    }
}

#[async_trait]
impl TokenSource for Basic {
    fn held(&self, _cx: &Context) -> Option<Token> {
        Some(self.0.clone())
    }

    async fn token(&self, _cx: &Context) -> Result<Token> {
        Ok(self.0.clone())
    }

    async fn renew(&self, _cx: &Context, _refused: &Token) -> Result<Token> {
        Err(cannot_be_renewed("user or password"))
    }

    fn apply(&self, token: &Token, headers: &mut HeaderMap, _url: &mut Url) -> Result<()> {
        let text = Zeroizing::new(format!("Basic {}", token.secret().expose()));
        let mut value = HeaderValue::try_from(text.as_str()).map_err(|_| {
            Error::config("authenticate", "the credentials hold characters that no header can carry")
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basic")
    }
}
