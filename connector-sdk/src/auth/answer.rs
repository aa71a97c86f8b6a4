//! What a token endpoint gives (RFC 6749, 5.1), and what vendors put beside it.

use std::{collections::BTreeMap, fmt, time::Duration};

use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse, basic::BasicTokenType};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use url::Url;

use super::Token;
use crate::{Delivery, Error, Result, Secret, Timestamp};

/// An answer, read as vendors write it and not only as the RFC does: `token_type` may be missing, a number
/// may be a text, a list of scopes a list. Whatever else is wrong with an answer, a refresh token in it is
/// kept: it may be the only one that is still good.
///
/// Debug shows no field.
pub(super) struct Answer {
    access_token: AccessToken,
    token_type: BasicTokenType,
    refresh_token: Option<RefreshToken>,
    scopes: Option<Vec<Scope>>,
    /// All fields, the vendor's own among them.
    fields: BTreeMap<String, Value>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// Whether the access token can be used: there is one, of a type that is sent as a bearer token. A type
    /// that is missing is that one, and one we do not know is a vendor's name for it (Slack: `bot`); the
    /// types that are known to need a proof of possession are none (RFC 6749, 7.1).
    fn is_usable(&self) -> bool {
        let text = |value: &Value| value.as_str().map(str::to_ascii_lowercase);
        let is_bearer = match self.field("token_type").map(text) {
            None => true,
            Some(Some(known)) => !matches!(known.as_str(), "mac" | "pop" | "dpop"),
            Some(None) => false,
        };
        is_bearer && !self.access_token.secret().is_empty()
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = BTreeMap::<String, Value>::deserialize(deserializer)?;
        let token = |name| {
            let text = fields.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
            text.map(ToOwned::to_owned)
        };
        let (access_token, refresh_token) = (token("access_token"), token("refresh_token"));
        if access_token.is_none() && refresh_token.is_none() {
            return Err(de::Error::custom("no token"));
        }
        Ok(Self {
            access_token: AccessToken::new(access_token.unwrap_or_default()),
            token_type: BasicTokenType::Bearer,
            refresh_token: refresh_token.map(RefreshToken::new),
            scopes: fields.get("scope").and_then(scopes),
            fields,
        })
    }
}

/// Scopes are a text with blanks between them, or a list.
fn scopes(value: &Value) -> Option<Vec<Scope>> {
    let scope = |text: &str| Scope::new(text.to_owned());
    match value {
        Value::String(text) => Some(text.split_whitespace().map(scope).collect()),
        Value::Array(list) => Some(list.iter().filter_map(Value::as_str).map(scope).collect()),
        _ => None,
    }
}

/// The oauth2 crate asks for it, and does not use it.
impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl TokenResponse for Answer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    /// Seconds, as a number or a text. A life that is neither is none.
    fn expires_in(&self) -> Option<Duration> {
        let value = self.field("expires_in")?;
        let text = value.as_str().map(str::trim);
        let seconds = text.map_or_else(|| value.as_f64(), |text| text.parse().ok())?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scopes.as_ref()
    }
}

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
    if !answer.is_usable() {
        return Err(unreadable());
    }
    let mut token = Token::new(Secret::new(answer.access_token().secret().clone()));
    // A life of nothing is none: a token that ends as it comes would be fetched for each request.
    if let Some(life) = answer.expires_in().filter(|life| !life.is_zero()) {
        token = token.with_expiry(now + life);
    }
    if let Some(scopes) = answer.scopes() {
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        token = token.with_extra("scope", scopes.join(" "));
    }
    for (name, value) in answer.fields.iter().filter(|(name, _)| !STANDARD.contains(&name.as_str())) {
        if let Some(text) = shown(name, value) {
            token = token.with_extra(name, text);
        }
    }
    match base_url_field.and_then(|field| answer.fields.get(field)) {
        Some(value) => Ok(token.with_base_url(base_url(value, endpoint)?)),
        None => Ok(token),
    }
}

/// Requests go on with what the token endpoint was asked with: neither in the clear where it was not, nor as
/// somebody whom the answer names.
fn base_url(value: &Value, endpoint: &Url) -> Result<Url> {
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

/// The fields of RFC 6749, which are read one by one.
const STANDARD: [&str; 5] = ["access_token", "token_type", "expires_in", "refresh_token", "scope"];

/// A field that may be shown, as text.
fn shown(name: &str, value: &Value) -> Option<String> {
    const SECRETS: [&str; 6] = ["token", "secret", "signature", "password", "assertion", "key"];
    let name = name.to_ascii_lowercase();
    if SECRETS.iter().any(|word| name.contains(word)) {
        return None;
    }
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
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

    fn grant(json: &str) -> Grant {
        let endpoint = "https://login.vendor.example/token".parse().unwrap();
        let answer = serde_json::from_str(json).unwrap();
        Grant::read(&answer, &endpoint, None, Timestamp::from_millis(0))
    }

    #[test]
    fn an_answer_without_a_token_type_keeps_both_its_tokens() {
        for rest in [
            "",
            r#","token_type":null"#,
            r#","token_type":"bearer""#,
            r#","token_type":"bot""#,
            r#","expires_in":"soon""#,
            r#","expires_in":-1"#,
            r#","expires_in":{}"#,
            r#","scope":5"#,
            r#","scope":["a","b"]"#,
        ] {
            let grant = grant(&format!(r#"{{"access_token":"t-1","refresh_token":"r-1"{rest}}}"#));
            assert_eq!(grant.token.unwrap().secret().expose(), "t-1", "{rest}");
            assert_eq!(grant.refresh_token.unwrap().expose(), "r-1", "{rest}");
        }
    }

    #[test]
    fn an_access_token_that_cannot_be_used_does_not_cost_the_refresh_token() {
        for (access, rest) in [
            ("", ""),
            (r#""access_token":null,"#, ""),
            (r#""access_token":" ","#, ""),
            (r#""access_token":5,"#, ""),
            (r#""access_token":"canary-7f3a9c","#, r#","token_type":"mac""#),
            (r#""access_token":"canary-7f3a9c","#, r#","token_type":"DPoP""#),
            (r#""access_token":"canary-7f3a9c","#, r#","token_type":5"#),
        ] {
            let grant = grant(&format!(r#"{{{access}"refresh_token":"r-1"{rest}}}"#));
            assert_eq!(grant.refresh_token.unwrap().expose(), "r-1", "{access} {rest}");
            let error = grant.token.unwrap_err();
            assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
        }
        for neither in ["{}", "[]", "null", r#"{"access_token":""}"#, r#"{"token_type":"Bearer"}"#] {
            assert!(serde_json::from_str::<Answer>(neither).is_err(), "{neither}");
        }
    }

    #[test]
    fn a_life_is_read_from_a_number_or_a_text() {
        for (life, seconds) in [
            ("3600", Some(3600)),
            (r#""3600""#, Some(3600)),
            ("3600.0", Some(3600)),
            ("0", None),
            ("-5", None),
            ("1e300", None),
            ("null", None),
        ] {
            let token = grant(&format!(r#"{{"access_token":"t-1","expires_in":{life}}}"#)).token.unwrap();
            assert_eq!(token.expires_at().map(|end| end.as_millis() / 1000), seconds, "{life}");
            assert!(token.extra().is_empty());
        }
    }

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
            ("https://canary-7f3a9c@pod1.vendor.example", safe),
            ("https://:canary-7f3a9c@pod1.vendor.example", safe),
        ] {
            let error = named(url, endpoint).unwrap_err();
            assert_eq!(error.class(), crate::Class::Permanent, "{url} {endpoint}");
            assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
        }
    }
}
