//! Signing in: the page that asks the user, codes with PKCE, refreshing by rotation, and the way of a long-lived token
//! into a pair (B4; `ref_oauth.v2.access_rotation.json`, `java_api_oauth.v2.exchange.json`).

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::gate::Call;
use super::log::TokenKind;
use super::reply::{self, Outcome, Refusal, ok};
use super::tokens::{Code, LIFETIME};
use super::workspace::{APP, BOT_USER, ENTERPRISE, TEAM, Workspace};

/// How long a code is good: ten minutes.
const CODE_MILLIS: i64 = 10 * 60 * 1000;

/// `GET /oauth/v2/authorize`: a user who approves at once, and the browser sent back with a code.
pub(super) fn authorize(workspace: &Workspace, query: &str) -> Response {
    let fields: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let field = |name: &str| {
        fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.to_string())
            .filter(|v| !v.is_empty())
    };
    let page = |text: &'static str| reply::text(StatusCode::OK, "text/html; charset=utf-8", text);
    if field("client_id") != Some(workspace.tokens().client.0.clone()) {
        return page("<h1>Invalid client_id parameter</h1>");
    }
    let Some(mut back) = field("redirect_uri").and_then(|uri| Url::parse(&uri).ok()).filter(Url::has_host)
    else {
        return page("<h1>redirect_uri did not match any configured URIs</h1>");
    };
    let code = workspace.tokens().new_code(Code {
        redirect_uri: field("redirect_uri"),
        challenge: field("code_challenge"),
        until: workspace.now() + CODE_MILLIS,
    });
    back.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", &field("state").unwrap_or_default());
    let mut response = reply::text(StatusCode::FOUND, "text/html; charset=utf-8", "");
    if let Ok(location) = HeaderValue::try_from(back.as_str()) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Client and secret, from HTTP Basic or the arguments; both ways are documented.
fn client(call: &Call<'_>, headers: &HeaderMap, public: bool) -> Result<(), Refusal> {
    let basic = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let (id, secret) = match basic.as_deref().and_then(|text| text.split_once(':')) {
        Some((id, secret)) => (id, secret),
        None => {
            let text = |name| call.arguments.text(name).unwrap_or_default();
            (text("client_id"), text("client_secret"))
        }
    };
    let known = call.workspace.tokens().client.clone();
    if id != known.0 {
        return Err(Refusal::new("invalid_client_id"));
    }
    // An app that holds no secret proves itself by PKCE alone.
    if secret != known.1 && !(public && secret.is_empty()) {
        return Err(Refusal::new("bad_client_secret"));
    }
    Ok(())
}

/// oauth.v2.access
pub(super) fn access(call: &Call<'_>, headers: &HeaderMap) -> Outcome {
    match call.arguments.text("grant_type") {
        None | Some("authorization_code") => by_code(call, headers),
        Some("refresh_token") => by_refresh(call, headers),
        Some(_) => Err(Refusal::new("invalid_grant_type")),
    }
}

fn by_code(call: &Call<'_>, headers: &HeaderMap) -> Outcome {
    let invalid = || Refusal::new("invalid_code");
    client(call, headers, call.arguments.text("code_verifier").is_some())?;
    let mut tokens = call.workspace.tokens();
    let code = tokens.use_code(call.arguments.text("code").ok_or_else(invalid)?).ok_or_else(invalid)?;
    if code.until <= call.now {
        return Err(invalid());
    }
    if code.redirect_uri.as_deref() != call.arguments.text("redirect_uri") {
        return Err(Refusal::new("bad_redirect_uri"));
    }
    let verified = call
        .arguments
        .text("code_verifier")
        .map(|verifier| URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())));
    // Which code the vendor has for a wrong verifier is not recorded.
    if code.challenge != verified {
        return Err(invalid());
    }
    let (bot, user) = (tokens.pair(TokenKind::Bot, call.now), tokens.pair(TokenKind::User, call.now));
    let scope = tokens.scopes.join(",");
    drop(tokens);
    let mut answer = pair("bot", &bot, &scope);
    let data = call.workspace.data();
    answer["bot_user_id"] = json!(BOT_USER);
    answer["authed_user"] = pair("user", &user, &scope);
    answer["authed_user"]["id"] = json!(data.ids.first());
    ok(installed(answer, data.grid))
}

/// A refresh token is good once; the answer has the next one. Bot and user rotate apart. The access token that is
/// replaced stays good until its end; nothing says otherwise.
fn by_refresh(call: &Call<'_>, headers: &HeaderMap) -> Outcome {
    client(call, headers, false)?;
    let grid = call.workspace.data().grid;
    let mut tokens = call.workspace.tokens();
    let invalid = || Refusal::new("invalid_refresh_token");
    let kind = tokens.spend(call.arguments.text("refresh_token").ok_or_else(invalid)?).ok_or_else(invalid)?;
    let next = tokens.pair(kind, call.now);
    let scope = tokens.scopes.join(",");
    let mut answer = pair(if kind == TokenKind::User { "user" } else { "bot" }, &next, &scope);
    if kind == TokenKind::Bot {
        answer["bot_user_id"] = json!(BOT_USER);
    }
    ok(installed(answer, grid))
}

/// oauth.v2.exchange: a long-lived token in the header or in `token`, once.
pub(super) fn exchange(call: &Call<'_>, headers: &HeaderMap) -> Outcome {
    client(call, headers, false)?;
    let grid = call.workspace.data().grid;
    let mut tokens = call.workspace.tokens();
    let token = call.token.ok_or_else(|| Refusal::new("invalid_token"))?;
    if tokens.exchanged.contains(token) {
        return Err(Refusal::new("token_already_exchanged"));
    }
    let known = tokens.find(token).filter(|token| token.until.is_none() && !token.revoked);
    let kind = known.map(|token| token.kind).filter(|kind| matches!(kind, TokenKind::Bot | TokenKind::User));
    let kind = kind.ok_or_else(|| Refusal::new("invalid_token"))?;
    tokens.exchanged.insert(token.to_owned());
    tokens.forget(token);
    let next = tokens.pair(kind, call.now);
    let scope = tokens.scopes.join(",");
    ok(installed(pair(if kind == TokenKind::User { "user" } else { "bot" }, &next, &scope), grid))
}

fn pair(kind: &str, (access, refresh): &(String, String), scope: &str) -> Value {
    json!({
        "access_token": access, "token_type": kind, "scope": scope, "expires_in": LIFETIME, "refresh_token": refresh,
    })
}

/// Adds where the app is installed. For an organisation `team` is null (B3).
fn installed(mut answer: Value, grid: bool) -> Value {
    answer["app_id"] = json!(APP);
    answer["is_enterprise_install"] = json!(grid);
    if grid {
        answer["team"] = Value::Null;
        answer["enterprise"] = json!({ "name": "slack-sports", "id": ENTERPRISE });
    } else {
        answer["team"] = json!({ "name": "Slack Softball Team", "id": TEAM });
        answer["enterprise"] = Value::Null;
    }
    answer
}
