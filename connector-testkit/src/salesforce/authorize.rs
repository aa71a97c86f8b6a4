//! `GET /services/oauth2/authorize`: a user who approves at once, and the code that the redirect carries. PKCE by
//! S256 is required, as an app's setting can require it.

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use url::{Url, form_urlencoded};

use super::grants::Code;
use super::oauth::{Refreshed, Refused};
use super::org::Org;
use super::reply;

/// A code lives for 15 minutes (help, "OAuth 2.0 Web Server Flow").
const LIFE_MILLIS: i64 = 15 * 60 * 1000;

/// Sends the browser back with a code. What cannot be sent back is said here.
pub(super) fn authorize(org: &Org, query: &str) -> Response {
    let fields: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| &**value);
    if field("client_id") != org.settings.sign_in.credentials.client_id {
        return reply::oauth_error("invalid_client_id", "client identifier invalid");
    }
    let Some(mut back) = Url::parse(field("redirect_uri")).ok().filter(Url::has_host) else {
        return reply::oauth_error("redirect_uri_mismatch", "redirect_uri must match configuration");
    };
    let answer = if field("response_type") != "code" {
        Err(("unsupported_response_type", "response type not supported"))
    } else if field("code_challenge_method") != "S256" || field("code_challenge").len() != 43 {
        Err(("invalid_request", "missing required code challenge"))
    } else {
        Ok(org.grants().new_code(Code {
            redirect_uri: field("redirect_uri").to_owned(),
            challenge: field("code_challenge").to_owned(),
            until: org.clock.now() + LIFE_MILLIS,
        }))
    };
    {
        let mut pairs = back.query_pairs_mut();
        match &answer {
            Ok(code) => pairs.append_pair("code", code),
            Err((error, description)) => {
                pairs.append_pair("error", error).append_pair("error_description", description)
            }
        };
        pairs.append_pair("state", field("state"));
    }
    let mut response = reply::body(StatusCode::FOUND, "text/html", "");
    match HeaderValue::try_from(back.as_str()) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(_) => reply::oauth_error("redirect_uri_mismatch", "redirect_uri must match configuration"),
    }
}

/// What a code is exchanged for: an access token and a refresh token.
pub(super) fn redeem<'a>(org: &Org, field: &impl Fn(&str) -> &'a str) -> Result<Refreshed, Refused> {
    let now = org.clock.now();
    let mut grants = org.grants();
    let code = grants.use_code(field("code")).filter(|code| now < code.until);
    let code = code.ok_or(("invalid_grant", "expired authorization code"))?;
    if code.redirect_uri != field("redirect_uri") {
        return Err(("redirect_uri_mismatch", "redirect_uri must match configuration"));
    }
    let digest = digest(&SHA256, field("code_verifier").as_bytes());
    if URL_SAFE_NO_PAD.encode(digest) != code.challenge {
        return Err(("invalid_grant", "invalid code verifier"));
    }
    Ok(Some((grants.new_access(), Some(grants.new_refresh()))))
}
