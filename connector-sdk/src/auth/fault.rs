//! What a token endpoint's refusals mean (RFC 6749, 5.2).

use ::http::{StatusCode, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use url::form_urlencoded;

use crate::{
    Class, Error,
    http::{Faults, Request, Response},
};

/// Reads the answers of a token endpoint. A refusal may come with any status: some vendors answer 200.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TokenFaults;

#[derive(Deserialize)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
    access_token: Option<serde::de::IgnoredAny>,
}

impl Faults for TokenFaults {
    fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
        let refusal =
            serde_json::from_slice::<Refusal>(&response.body).ok().filter(|body| body.access_token.is_none());
        let code = refusal.as_ref().and_then(|body| body.error.as_deref()).filter(|code| is_code(code));
        if response.status.is_success() && code.is_none() {
            return None;
        }
        let (class, what) = meaning(response.status, code);
        let mut error =
            Error::new(class, request.operation(), what).with_context("status", response.status.as_u16());
        if let Some(code) = code {
            error = error.with_context("error", code);
        }
        if let Some(said) = refusal.as_ref().and_then(|body| body.error_description.as_deref())
            && let Some(said) = presentable(said, request)
        {
            error = error.with_context("error_description", said);
        }
        Some(error.with_context("host", response.url.host_str().unwrap_or_default()))
    }
}

fn meaning(status: StatusCode, code: Option<&str>) -> (Class, &'static str) {
    match (code, status) {
        (Some("rate_limit_exceeded" | "ratelimited" | "slow_down" | "too_many_requests"), _)
        | (_, StatusCode::TOO_MANY_REQUESTS) => (Class::RateLimited, "the token endpoint asks to slow down"),
        (Some("server_error" | "temporarily_unavailable"), _)
        | (_, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY) => {
            (Class::Transient, "the token endpoint asks to try again")
        }
        (_, status) if status.is_server_error() => (Class::Transient, "the token endpoint has failed"),
        (Some("invalid_grant"), _) => (
            Class::Auth,
            "the vendor no longer accepts this grant (expired, revoked or used before): authorise again",
        ),
        (Some("invalid_client"), _) => {
            (Class::Auth, "the vendor does not know the client, or its secret is wrong")
        }
        (Some("unauthorized_client"), _) => {
            (Class::Auth, "the vendor does not let this client sign in this way: change its settings there")
        }
        (Some("invalid_request" | "unsupported_grant_type" | "invalid_scope" | "invalid_target"), _) => {
            (Class::Config, "the token endpoint does not accept what is configured")
        }
        (Some(_), _) | (None, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            (Class::Auth, "the token endpoint refuses the credential")
        }
        (None, _) => (Class::Config, "there is no token endpoint at this URL"),
    }
}

/// Error codes are words; anything else could be anything.
pub(super) fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte))
}

/// A description that may be shown: one line, not long, and repeating nothing of what we sent.
fn presentable(said: &str, request: &Request) -> Option<String> {
    let line: String = said.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let sent = form_urlencoded::parse(request.payload()).filter(|(name, _)| name != "grant_type");
    let repeats = |value: &str| value.len() >= 4 && said.contains(value);
    let harmless = sent.into_iter().all(|(_, value)| !repeats(&value))
        && !basic(request).iter().any(|part| repeats(part));
    (harmless && !line.trim().is_empty()).then(|| line.trim().to_owned())
}

/// Id and secret of an HTTP Basic authentication.
fn basic(request: &Request) -> Vec<String> {
    let encoded = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let decoded = encoded.and_then(|text| BASE64_STANDARD.decode(text).ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(&decoded).into_owned();
    let plain = |part: &str| {
        form_urlencoded::parse(part.as_bytes()).map(|(name, _)| name.into_owned()).collect::<String>()
    };
    text.split(':').map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, http::HeaderMap};

    fn fault(status: u16, body: &str) -> Option<Error> {
        let request = Request::post(
            "token",
            "/token",
            "application/x-www-form-urlencoded",
            "grant_type=refresh_token&refresh_token=r%2B1-secret",
        );
        let response = Response::new(
            StatusCode::from_u16(status).unwrap(),
            HeaderMap::new(),
            body.to_owned(),
            "https://login.example.com/token".parse().unwrap(),
            Timestamp::from_millis(0),
        );
        TokenFaults.fault(&request, &response)
    }

    #[test]
    fn every_refusal_has_its_class() {
        let error = |code: &str| format!(r#"{{"error":"{code}","error_description":"said"}}"#);
        let table = [
            (400, error("invalid_grant"), Class::Auth),
            (401, error("invalid_client"), Class::Auth),
            (400, error("unauthorized_client"), Class::Auth),
            (400, error("inactive_user"), Class::Auth),
            (200, error("invalid_refresh_token"), Class::Auth),
            (400, error("invalid_request"), Class::Config),
            (400, error("unsupported_grant_type"), Class::Config),
            (400, error("invalid_scope"), Class::Config),
            (400, error("rate_limit_exceeded"), Class::RateLimited),
            (429, String::new(), Class::RateLimited),
            (400, error("temporarily_unavailable"), Class::Transient),
            (500, error("invalid_grant"), Class::Transient),
            (503, "<html>".to_owned(), Class::Transient),
            (401, String::new(), Class::Auth),
            (400, "<html>".to_owned(), Class::Auth),
            (404, "<html>".to_owned(), Class::Config),
            (302, String::new(), Class::Config),
        ];
        for (status, body, class) in table {
            assert_eq!(fault(status, &body).unwrap().class(), class, "{status} {body}");
        }
        assert!(fault(200, r#"{"access_token":"t"}"#).is_none());
    }

    #[test]
    fn a_description_is_shown_unless_it_repeats_what_was_sent() {
        let shown =
            fault(400, r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#)
                .unwrap();
        assert!(shown.to_string().contains("expired access/refresh token"), "{shown}");
        assert!(shown.to_string().contains("authorise again"));
        let hidden =
            fault(400, r#"{"error":"invalid_grant","error_description":"bad token r+1-secret\nline"}"#)
                .unwrap();
        assert!(!hidden.to_string().contains("secret"), "{hidden}");
        let odd = fault(400, r#"{"error":"<b>what</b>","error_description":"a\u0007b"}"#).unwrap();
        assert!(!odd.to_string().contains('<') && odd.to_string().contains("a b"), "{odd}");
    }

    #[test]
    fn a_secret_sent_as_basic_authentication_is_not_shown_either() {
        let header = format!("Basic {}", BASE64_STANDARD.encode("id:s%2Fcret-s%2Fcret"));
        let request = Request::post("token", "/token", "application/x-www-form-urlencoded", "")
            .header("authorization", &header);
        assert_eq!(presentable("wrong secret s/cret-s/cret", &request), None);
        assert_eq!(presentable("wrong", &request).as_deref(), Some("wrong"));
    }
}
