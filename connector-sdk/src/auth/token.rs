//! An access token, and who gives them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use ::http::{HeaderMap, HeaderValue, header};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use url::Url;

use crate::{Context, Error, Result, Secret, Timestamp};

/// An access token with what the vendor said beside it. A clone is cheap. Debug shows no secret.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    secret: Secret,
    base_url: Option<Url>,
    expires_at: Option<Timestamp>,
    extra: BTreeMap<String, String>,
    serial: u64,
}

impl Token {
    /// A token that is this text.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(Arc::new(Inner { secret, base_url: None, expires_at: None, extra: BTreeMap::new(), serial: 0 }))
    }

    /// The vendor wants requests with this token sent to this origin.
    #[must_use]
    pub fn with_base_url(self, url: Url) -> Self {
        self.change(|inner| inner.base_url = Some(url))
    }

    /// It is good until then, by our clock.
    #[must_use]
    pub fn with_expiry(self, at: Timestamp) -> Self {
        self.change(|inner| inner.expires_at = Some(at))
    }

    /// The vendor said this beside it. Never a secret.
    #[must_use]
    pub fn with_extra(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.change(|inner| {
            inner.extra.insert(name.into(), value.into());
        })
    }

    pub(super) fn with_serial(self, serial: u64) -> Self {
        self.change(|inner| inner.serial = serial)
    }

    fn change(mut self, edit: impl FnOnce(&mut Inner)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    /// The token itself.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0.secret
    }

    /// The origin that requests with it go to, where the vendor named one.
    #[must_use]
    pub fn base_url(&self) -> Option<&Url> {
        self.0.base_url.as_ref()
    }

    /// When it ends, by our clock, where the vendor said so.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at
    }

    /// Other fields of the vendor's answer that are no secrets, such as `id` or `scope`, as text.
    #[must_use]
    pub fn extra(&self) -> &BTreeMap<String, String> {
        &self.0.extra
    }

    /// Which of its source's tokens it is. A vendor may give the same text twice, so that the text does
    /// not tell whether somebody else has renewed since.
    pub(super) fn serial(&self) -> u64 {
        self.0.serial
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("secret", &self.0.secret)
            .field("base_url", &self.0.base_url.as_ref().and_then(Url::host_str))
            .field("expires_at", &self.0.expires_at)
            .field("extra", &self.0.extra.keys())
            .finish_non_exhaustive()
    }
}

/// Gives the tokens that requests carry; shared by all tasks of a connection.
///
/// An implementation must fetch once for all who ask at the same time, must not lose a rotated
/// credential, and must not ask the vendor again and again for one that was refused:
/// [`SingleFlight`](super::SingleFlight) and [`TokenEndpoint`](super::TokenEndpoint) do that.
#[async_trait]
pub trait TokenSource: Send + Sync + fmt::Debug {
    /// The token in hand, while it is good. It never waits: what most requests find costs them no future.
    /// The default has none in hand, so that [`token`](Self::token) is asked each time.
    fn held(&self, cx: &Context) -> Option<Token> {
        let _ = cx;
        None
    }

    /// The token to use now: the one in hand while it is good, else a new one.
    ///
    /// # Errors
    /// Auth when the vendor refuses the credential; Config when it cannot even be sent; Transient and
    /// RateLimited when the vendor cannot answer now.
    async fn token(&self, cx: &Context) -> Result<Token>;

    /// The vendor has refused this very token. Answers the one in hand if it is another by now, else a
    /// new one.
    ///
    /// # Errors
    /// As [`token`](Self::token); Auth when there is no other token to be had.
    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token>;

    /// Puts the token where the vendor wants it. The default: `Authorization: Bearer …`.
    ///
    /// # Errors
    /// Config when the token cannot stand there.
    fn apply(&self, token: &Token, headers: &mut HeaderMap, url: &mut Url) -> Result<()> {
        let _ = url;
        headers.insert(header::AUTHORIZATION, header_value("the access token", "Bearer ", &token.0.secret)?);
        Ok(())
    }

    /// The vendor has accepted a request with this token. What is to be done about it, where something is: it
    /// has to be awaited, and failing at it fails no request. The default: nothing. A wrapper forwards it.
    ///
    /// It is called for each request that is answered well, so that it must be quick where there is nothing to
    /// do, which is nearly always.
    fn accepted(&self, cx: &Context, token: &Token) -> Option<BoxFuture<'static, ()>> {
        let _ = (cx, token);
        None
    }
}

/// A credential as the value of a header, which no log shows.
///
/// # Errors
/// Config when no header can carry it. Bytes beyond ASCII have no agreed meaning there (RFC 9110, 5.5).
pub(crate) fn header_value(what: &str, prefix: &str, secret: &Secret) -> Result<HeaderValue> {
    let text = zeroize::Zeroizing::new(format!("{prefix}{}", secret.expose()));
    let value = HeaderValue::try_from(text.as_str()).ok().filter(|_| text.is_ascii());
    let mut value = value.ok_or_else(|| {
        Error::config("authenticate", format!("{what} holds characters that no header can carry"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}
