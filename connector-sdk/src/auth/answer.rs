//! What a token endpoint gives (RFC 6749, 5.1), and what vendors put beside it.

use std::{collections::BTreeMap, fmt};

use oauth2::{ExtraTokenFields, StandardTokenResponse, TokenResponse as _, basic::BasicTokenType};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Token;
use crate::{Delivery, Error, Result, Secret, Timestamp};

/// An answer as the oauth2 crate reads it, with all fields of the vendor's own.
pub(super) type Answer = StandardTokenResponse<Extra, BasicTokenType>;

/// The vendor's own fields. Its Debug, which oauth2 asks for, shows none.
#[derive(Deserialize, Serialize)]
pub(super) struct Extra(BTreeMap<String, serde_json::Value>);

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extra")
    }
}

impl ExtraTokenFields for Extra {}

/// An answer as we use it.
pub(super) struct Grant {
    /// The access token; an error where it cannot be used, which must not cost us the refresh token.
    pub(super) token: Result<Token>,
    /// The refresh token, where the answer holds one.
    pub(super) refresh_token: Option<Secret>,
}

impl Grant {
    /// Reads an answer of this endpoint that came now. `base_url_field` names where requests go.
    pub(super) fn read(
        answer: &Answer,
        endpoint: &Url,
        base_url_field: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let refresh_token = answer.refresh_token().map(|token| Secret::new(token.secret().clone()));
        Self { token: token(answer, endpoint, base_url_field, now), refresh_token }
    }
}

fn token(answer: &Answer, endpoint: &Url, base_url_field: Option<&str>, now: Timestamp) -> Result<Token> {
    let mut token = Token::new(Secret::new(answer.access_token().secret().clone()));
    // A life of nothing is none: a token that ends as it comes would be fetched for each request.
    if let Some(life) = answer.expires_in().filter(|life| !life.is_zero()) {
        token = token.with_expiry(now + life);
    }
    if let Some(scopes) = answer.scopes() {
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        token = token.with_extra("scope", scopes.join(" "));
    }
    for (name, value) in &answer.extra_fields().0 {
        if let Some(text) = shown(name, value) {
            token = token.with_extra(name, text);
        }
    }
    match base_url_field.and_then(|field| answer.extra_fields().0.get(field)) {
        Some(value) => Ok(token.with_base_url(base_url(value, endpoint)?)),
        None => Ok(token),
    }
}

/// Requests go on with what the token endpoint was asked with: neither in the clear where it was not, nor as
/// somebody whom the answer names.
fn base_url(value: &serde_json::Value, endpoint: &Url) -> Result<Url> {
    let fits = |url: &Url| {
        url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && (url.scheme() == "https" || url.scheme() == endpoint.scheme())
    };
    value.as_str().and_then(|text| Url::parse(text).ok()).filter(fits).ok_or_else(|| {
        Error::permanent("token", "the token endpoint names no valid URL to send requests to")
            .with_delivery(Delivery::Answered)
    })
}

/// A field that may be shown, as text.
fn shown(name: &str, value: &serde_json::Value) -> Option<String> {
    const SECRETS: [&str; 6] = ["token", "secret", "signature", "password", "assertion", "key"];
    let name = name.to_ascii_lowercase();
    if SECRETS.iter().any(|word| name.contains(word)) {
        return None;
    }
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(_) | serde_json::Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// An answer that is none. It keeps nothing of it: it may hold a token all the same.
pub(super) fn unreadable() -> Error {
    Error::permanent("token", "the token endpoint's answer holds no token: is this its URL?")
        .with_delivery(Delivery::Answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_with_a_user_or_less_safe_than_the_token_endpoint_is_refused() {
        let named = |text: &str, endpoint: &str| base_url(&text.into(), &endpoint.parse().unwrap());
        let (safe, open) = ("https://login.vendor.example/token", "http://127.0.0.1:1/token");
        for (url, endpoint) in [
            ("https://pod1.vendor.example", safe),
            ("https://pod1.vendor.example", open),
            ("http://127.0.0.1:1", open),
        ] {
            assert!(named(url, endpoint).is_ok(), "{url} {endpoint}");
        }
        for (url, endpoint) in [
            ("http://pod1.vendor.example", safe),
            ("ftp://pod1.vendor.example", safe),
            ("ftp://pod1.vendor.example", open),
            ("https://canary@pod1.vendor.example", safe),
            ("https://:canary@pod1.vendor.example", safe),
        ] {
            let error = named(url, endpoint).unwrap_err();
            assert_eq!(error.class(), crate::Class::Permanent, "{url} {endpoint}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
}
