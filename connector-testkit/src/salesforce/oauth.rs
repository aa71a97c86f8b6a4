//! `POST /services/oauth2/token`: client credentials, authorisation code, refresh token, JWT and SAML bearer, and
//! the password grant where it was switched on. `GET /services/oauth2/userinfo`: who a token belongs to.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::authorize;
use super::grants::ORGANIZATION;
use super::objects;
use super::org::Org;
use super::reply;
use super::saml::SamlAssertion;

/// How far in the future an assertion may expire, in seconds: the 300 s that peers keep to, and some slack.
const LONGEST_ASSERTION: i64 = 330;

/// Answers a token request; `query` and `body` are both looked into, as the vendor does.
pub(super) fn token(org: &Org, headers: &HeaderMap, query: &str, body: &[u8]) -> Response {
    let fields: Vec<(String, String)> = form_urlencoded::parse(body)
        .chain(form_urlencoded::parse(query.as_bytes()))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let field =
        |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    let (id, secret) =
        basic(headers).unwrap_or_else(|| (field("client_id").to_owned(), field("client_secret").to_owned()));
    let answer = match field("grant_type") {
        "client_credentials" => client(org, &id, Some(&secret)).map(|()| None),
        // A public client has no secret to send; one that is sent has to be right.
        "refresh_token" => client(org, &id, Some(secret.as_str()).filter(|secret| !secret.is_empty()))
            .and_then(|()| refresh(org, field("refresh_token"))),
        "authorization_code" => client(org, &id, Some(secret.as_str()).filter(|secret| !secret.is_empty()))
            .and_then(|()| authorize::redeem(org, &field)),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => assertion(org, field("assertion")).map(|()| None),
        "urn:ietf:params:oauth:grant-type:saml2-bearer" => saml(org, field("assertion")).map(|()| None),
        "password" if org.settings.sign_in.password_grant => client(org, &id, Some(&secret))
            .and_then(|()| password(org, field("username"), field("password")))
            .map(|()| None),
        "" => Err(("invalid_request", "missing required grant_type parameter")),
        _ => Err(("unsupported_grant_type", "grant type not supported")),
    };
    match answer {
        Ok(refreshed) => granted(org, refreshed),
        Err((error, description)) => reply::oauth_error(error, description),
    }
}

/// What a sign-in gets that is refused whatever it brings.
pub(super) fn refused() -> Response {
    reply::oauth_error("invalid_grant", "authentication failure")
}

/// Who the session belongs to; the connected app needs no more scope than a session for it.
pub(super) fn userinfo(org: &Org) -> Response {
    let user = objects::integration_user();
    let name = &org.settings.sign_in.credentials.username;
    let answer = json!({
        "sub": format!("{}/id/{ORGANIZATION}/{user}", org.url),
        "user_id": user,
        "organization_id": ORGANIZATION,
        "preferred_username": name,
        "nickname": "integration",
        "name": "Integration User",
        "email": name,
        "email_verified": true,
        "zoneinfo": "Europe/Amsterdam",
        "language": "en_US",
        "locale": "en_US",
        "user_type": "STANDARD",
        "active": true,
        "urls": {
            "rest": format!("{}/services/data/v{{version}}/", org.url),
            "query": format!("{}/services/data/v{{version}}/query/", org.url),
            "sobjects": format!("{}/services/data/v{{version}}/sobjects/", org.url),
        },
    });
    reply::json(StatusCode::OK, &answer)
}

pub(super) type Refused = (&'static str, &'static str);
pub(super) type Refreshed = Option<(String, Option<String>)>;

fn client(org: &Org, id: &str, secret: Option<&str>) -> Result<(), Refused> {
    let known = &org.settings.sign_in.credentials;
    if id != known.client_id {
        return Err(("invalid_client_id", "client identifier invalid"));
    }
    let changed = org.grants().client_secret.clone();
    match secret {
        Some(secret) if secret != changed.as_ref().unwrap_or(&known.client_secret) => {
            Err(("invalid_client", "invalid client credentials"))
        }
        _ => Ok(()),
    }
}

fn refresh(org: &Org, token: &str) -> Result<Refreshed, Refused> {
    org.grants().refresh(token).map(Some).ok_or(("invalid_grant", "expired access/refresh token"))
}

fn password(org: &Org, username: &str, password: &str) -> Result<(), Refused> {
    let known = &org.settings.sign_in.credentials;
    let right =
        password == known.password || password == format!("{}{}", known.password, known.security_token);
    if username == known.username && right {
        Ok(())
    } else {
        Err(("invalid_grant", "authentication failure"))
    }
}

const INVALID: Refused = ("invalid_grant", "invalid assertion");

/// Checks a JWT: signature, consumer, user, audience, expiry by the org's clock.
fn assertion(org: &Org, assertion: &str) -> Result<(), Refused> {
    let sign_in = &org.settings.sign_in;
    let invalid = INVALID;
    let pem = sign_in.jwt_public_key.as_deref().ok_or(invalid)?;
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| invalid)?;
    let mut validation = Validation::new(Algorithm::RS256);
    // All four claims are checked apart.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = decode::<Value>(assertion, &key, &validation).map_err(|_| invalid)?.claims;
    // Some clients send the expiry as a text.
    let expires = claims["exp"].as_i64().or_else(|| claims["exp"].as_str()?.parse().ok()).ok_or(invalid)?;
    let text = |name: &str| claims[name].as_str().unwrap_or_default();
    stated(org, text("iss"), text("sub"), text("aud"), expires)
}

/// Checks a SAML assertion in the same way, and that it is meant for this endpoint.
fn saml(org: &Org, assertion: &str) -> Result<(), Refused> {
    let pem = org.settings.sign_in.jwt_public_key.as_deref().ok_or(INVALID)?;
    let assertion = SamlAssertion::read(assertion, pem).ok_or(INVALID)?;
    let expires = assertion.not_on_or_after.div_euclid(1000);
    stated(org, &assertion.issuer, &assertion.subject, &assertion.audience, expires)?;
    let recipient = assertion.recipient.strip_suffix("/services/oauth2/token").unwrap_or_default();
    if !audiences(org).contains(&recipient) || org.clock.now() < assertion.not_before {
        return Err(INVALID);
    }
    Ok(())
}

/// Whom an assertion may be for.
fn audiences(org: &Org) -> [&str; 3] {
    ["https://login.salesforce.com", "https://test.salesforce.com", org.url.as_str()]
}

/// Checks what an assertion states, by the org's clock and in the vendor's words. `expires` is in seconds.
fn stated(org: &Org, issuer: &str, subject: &str, audience: &str, expires: i64) -> Result<(), Refused> {
    let known = &org.settings.sign_in.credentials;
    if issuer != known.client_id {
        return Err(("invalid_client_id", "client identifier invalid"));
    }
    if subject != known.username {
        return Err(("invalid_grant", "user hasn't approved this consumer"));
    }
    if !audiences(org).contains(&audience.trim_end_matches('/')) {
        return Err(("invalid_grant", "audience is invalid"));
    }
    match expires - org.clock.now().div_euclid(1000) {
        ..0 => Err(("invalid_grant", "expired authorization code")),
        LONGEST_ASSERTION.. => Err(INVALID),
        _ => Ok(()),
    }
}

/// The token answer. There is no `expires_in`: a client learns of the end from a 401.
fn granted(org: &Org, refreshed: Refreshed) -> Response {
    let (token, refresh, signature) = {
        let mut grants = org.grants();
        let (token, refresh) = refreshed.unwrap_or_else(|| (grants.new_access(), None));
        (token, refresh, grants.signature())
    };
    org.log.count(|counters| counters.tokens += 1);
    let mut answer = json!({
        "access_token": token,
        "signature": signature,
        "scope": "api refresh_token",
        "instance_url": org.instance_url(),
        "id": format!("{}/id/{ORGANIZATION}/{}", org.url, objects::integration_user()),
        "token_type": "Bearer",
        "issued_at": org.clock.now().to_string(),
    });
    if let Some(refresh) = refresh {
        answer["refresh_token"] = refresh.into();
    }
    reply::json(StatusCode::OK, &answer)
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
