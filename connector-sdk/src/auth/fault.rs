//! What a token endpoint's refusals mean (RFC 6749, 5.2).

use ::http::{StatusCode, header};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use memchr::memmem;
use serde::{Deserialize, de::IgnoredAny};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::{
    Class, Delivery, Error,
    http::{Faults, Request, Response},
};

/// Reads the answers of a token endpoint. A refusal may come with any status: some vendors answer 200.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TokenFaults;

#[derive(Deserialize)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
    access_token: Option<IgnoredAny>,
}

impl Faults for TokenFaults {
    fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
        let refusal =
            serde_json::from_slice::<Refusal>(&response.body).ok().filter(|body| body.access_token.is_none());
        let code = refusal.as_ref().and_then(|body| body.error.as_deref()).filter(|code| is_code(code));
        if response.status.is_success() && code.is_none() {
            return lost(request, response);
        }
        let (class, what) = meaning(response.status, code);
        let mut error =
            Error::new(class, request.operation(), what).with_context("status", response.status.as_u16());
        if let Some(code) = code.and_then(|code| presentable(code, request)) {
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

/// An answer of success that is no JSON: the vendor may have done what was asked, and what it said is lost. One that
/// broke off is like a connection that broke off. Anything else that came whole, such as a page for people, would come
/// again: sending a credential once more for it might spend or lock it.
fn lost(request: &Request, response: &Response) -> Option<Error> {
    let body = response.body.trim_ascii();
    let broken = serde_json::from_slice::<IgnoredAny>(body).err()?;
    let host = response.url.host_str().unwrap_or_default();
    let lost = |message: &'static str| {
        let error = Error::transient(request.operation(), message).with_delivery(Delivery::Unknown);
        error.with_context("host", host)
    };
    if body.is_empty() || body.starts_with(b"{") && broken.is_eof() {
        return Some(lost("the token endpoint's answer ends in the middle"));
    }
    let message =
        "the token endpoint's answer is no JSON: it is down for maintenance, or this is not its URL";
    Some(lost(message).into_exhausted())
}

fn meaning(status: StatusCode, code: Option<&str>) -> (Class, &'static str) {
    match (code, status) {
        (Some("rate_limit_exceeded" | "ratelimited" | "slow_down" | "too_many_requests"), _)
        | (_, StatusCode::TOO_MANY_REQUESTS) => (Class::RateLimited, "the token endpoint asks to slow down"),
        // The last four are Slack's, which answers them with 200.
        (
            Some(
                "server_error"
                | "temporarily_unavailable"
                | "internal_error"
                | "fatal_error"
                | "service_unavailable"
                | "request_timeout",
            ),
            _,
        )
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

/// Error codes are words; anything else could be anything. No vendor's code that we know has a blank.
pub(super) fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// A text that may be shown: one line, not long, and repeating nothing of what we sent.
fn presentable(said: &str, request: &Request) -> Option<String> {
    let line: String = said.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    // As it is, and as it is read where it is encoded for a URL. Case is that of hexadecimal digits.
    let read: String = form_urlencoded::parse(line.replace('&', "%26").replace('=', "%3D").as_bytes())
        .map(|(text, _)| text.into_owned())
        .collect();
    let said = [line.to_ascii_lowercase(), read.to_ascii_lowercase()];
    let harmless = sent(request).iter().all(|form| !said.iter().any(|said| form.is_repeated_in(said)));
    (harmless && !line.is_empty()).then(|| line.to_owned())
}

/// Something that we sent, in one of the ways to write it.
struct Form {
    text: Zeroizing<String>,
    /// What is secret gives itself away by its parts; a name only as a whole.
    secret: bool,
}

impl Form {
    /// So much of a secret tells whose it is, or how to guess it.
    const PART: usize = 8;

    fn is_repeated_in(&self, said: &str) -> bool {
        let (said, text) = (said.as_bytes(), self.text.as_bytes());
        let is_whole = text.len() >= 4 && memmem::find(said, text).is_some();
        is_whole || self.secret && said.windows(Self::PART).any(|part| memmem::find(text, part).is_some())
    }
}

/// What we sent that is ours: credentials in each way that a vendor might repeat them.
fn sent(request: &Request) -> Vec<Form> {
    let fields = form_urlencoded::parse(request.payload())
        .filter(|(name, _)| !matches!(name.as_ref(), "grant_type" | "scope" | "redirect_uri"))
        .map(|(name, value)| (name != "client_id", Zeroizing::new(value.into_owned())));
    let header = basic(request);
    let pair = header.iter().flat_map(|pair| pair.split(':')).enumerate();
    // The client's id stands first, and both are encoded for a form (RFC 6749, 2.3.1).
    let pair = pair.map(|(at, part)| (at > 0, decoded(part)));
    let whole = header.iter().map(|pair| (true, pair.clone()));
    fields.chain(pair).chain(whole).flat_map(|(secret, value)| forms(secret, &value)).collect()
}

fn forms(secret: bool, value: &str) -> impl Iterator<Item = Form> + use<> {
    let bytes = value.as_bytes();
    let encoded: String = form_urlencoded::byte_serialize(bytes).collect();
    [
        encoded.replace('+', "%20"),
        encoded,
        BASE64_STANDARD_NO_PAD.encode(bytes),
        BASE64_URL_SAFE_NO_PAD.encode(bytes),
        value.to_owned(),
    ]
    .map(Zeroizing::new)
    .into_iter()
    .map(move |text| Form { text: Zeroizing::new(text.to_ascii_lowercase()), secret })
}

/// Id and secret of an HTTP Basic authentication, with the colon between them.
fn basic(request: &Request) -> Option<Zeroizing<String>> {
    let encoded = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok().map(Zeroizing::new)
}

fn decoded(part: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::parse(part.as_bytes()).map(|(name, _)| name.into_owned()).collect())
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
    fn an_answer_that_broke_off_is_lost_and_one_that_came_whole_is_not_asked_for_again() {
        for body in ["", " \r\n", r#"{"access_token":"t"#, "{"] {
            let error = fault(200, body).unwrap();
            assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::Unknown), "{body}");
            assert!(!error.is_exhausted(), "{body}");
        }
        for body in ["<html>r+1-secret</html>", "\u{feff}{}", "access_token=t", "{]"] {
            let error = fault(200, body).unwrap();
            assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::Unknown), "{body}");
            assert!(error.is_exhausted(), "{body}");
            assert!(!format!("{error:?}").contains("secret"));
        }
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
    fn neither_a_code_nor_a_description_repeats_a_credential_in_any_way_to_write_it() {
        let body = "grant_type=refresh_token&refresh_token=r%2B1-secret%2Ftoken%21AQ&client_id=client\
                    &client_secret=S3CRET-CANARY-77&scope=api+refresh_token";
        let request = Request::post("token", "/token", "application/x-www-form-urlencoded", body.to_owned());
        for said in [
            "S3CRET-CANARY-77",
            "s3cret-canary-77",
            "CANARY-77",
            "S3CRET-C...",
            "r+1-secret/token!AQ",
            "r%2B1-secret%2Ftoken%21AQ",
            "r%2b1-secret%2ftoken%21aq",
            "%72%2B1-secret/token!AQ",
            "token/r+1-secr",
            "UzNDUkVULUNBTkFSWS03Nw==",
            "cisxLXNlY3JldC90b2tlbiFBUQ",
            "known to `client`",
        ] {
            assert_eq!(presentable(&format!("bad: {said}"), &request), None, "{said}");
            assert_eq!(presentable(said, &request), None, "{said}");
        }
        for said in ["invalid_grant", "scope refresh_token is not allowed", "secret", "expired token", "r+1"]
        {
            assert_eq!(presentable(said, &request).as_deref(), Some(said));
        }
    }

    #[test]
    fn an_error_code_that_is_none_or_repeats_what_was_sent_is_not_shown() {
        for code in ["invalid client_secret S3CRET-CANARY-77", "r+1-secret", "R-1-SECRET-2", "1-secret"] {
            let error = fault(400, &format!(r#"{{"error":"{code}"}}"#)).unwrap();
            assert!(!format!("{error:?}").to_lowercase().contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn a_secret_sent_as_basic_authentication_is_not_shown_either() {
        let header = format!("Basic {}", BASE64_STANDARD.encode("id:s%2Fcret-s%2Fcret"));
        let request = Request::post("token", "/token", "application/x-www-form-urlencoded", "")
            .header("authorization", &header);
        for said in ["wrong secret s/cret-s/cret", "s%2Fcret-s%2Fcret", &header, "cret-s/cret"] {
            assert_eq!(presentable(said, &request), None, "{said}");
        }
        assert_eq!(presentable("wrong", &request).as_deref(), Some("wrong"));
    }
}
