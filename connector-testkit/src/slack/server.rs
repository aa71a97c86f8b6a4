//! The way of a request through the workspace, from its head to the wire, and which room answers which method.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{DATE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use crate::fault::{Connection, Fault, Seen};

use super::arguments::Arguments;
use super::gate::{self, Call};
use super::log::{LoggedRequest, TokenKind};
use super::reply::{self, Outcome, Refusal, Said};
use super::workspace::Workspace;
use super::{account, chat, conversations, files, history, members, methods, oauth, reactions, socket};

/// Bytes of a body that are read; uploads of a test are smaller.
const MAX_BODY: usize = 64 * 1024 * 1024;

pub(super) fn router(workspace: Arc<Workspace>) -> Router {
    Router::new().fallback(answer).with_state(workspace)
}

/// The steps of every request, in order.
async fn answer(
    State(workspace): State<Arc<Workspace>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    // A body that was cut off: `request_timeout`, "the POST data was either missing or truncated".
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| Refusal::new("request_timeout"));
    let path = head.uri.path().to_owned();
    let is_api = path.starts_with("/api/");
    let arguments = match &body {
        Ok(body) if is_api => Arguments::read(&head, body),
        _ => Arguments::read(&head, &[]),
    };
    let (number, seen) = note(&workspace, &head, arguments.as_ref().ok());
    let fault = workspace.faults.decide(&Seen { method: head.method.as_str(), path: &path, query: &seen });
    workspace.log.update(number, |request| request.fault = fault.as_ref().map(Fault::name));

    let instead = match &fault {
        Some(fault) => fault.instead(&connection).await,
        None => None,
    };
    let response = match (instead, arguments, body) {
        (Some(response), ..) => response,
        (None, Err(refusal), _) | (None, _, Err(refusal)) => refusal.response(),
        (None, Ok(arguments), Ok(body)) => {
            let refused = fault.as_ref() == Some(&Fault::Unauthorized);
            route(&workspace, &head, &arguments, &body, refused)
        }
    };
    let response = match &fault {
        Some(fault) => fault.upon_content(response).await,
        None => response,
    };
    let response = dated(&workspace, response);
    workspace.log.update(number, |request| {
        request.status = Some(response.status().as_u16());
        request.error = response.extensions().get::<Said>().map(|said| said.0.clone());
    });
    match &fault {
        Some(fault) => fault.upon_transport(response, &connection).await,
        None => response,
    }
}

/// Writes the request down; answers its number and its arguments as the fault script sees them.
fn note(workspace: &Workspace, head: &Parts, arguments: Option<&Arguments>) -> (u64, String) {
    let none = Arguments::default();
    let arguments = arguments.unwrap_or(&none);
    let seen: Vec<String> = arguments.all().map(|(name, value)| format!("{name}={value}")).collect();
    let path = head.uri.path();
    let number = workspace.log.open(LoggedRequest {
        number: 0,
        method: head.method.to_string(),
        path: path.to_owned(),
        api: path.rsplit('/').next().unwrap_or_default().to_owned(),
        arguments: arguments.all().map(|(name, value)| (name.clone(), value.clone())).collect(),
        status: None,
        error: None,
        at: workspace.now(),
        token: gate::kind(workspace, gate::token(&head.headers, arguments)),
        fault: None,
    });
    (number, seen.join("&"))
}

/// Which room answers.
fn route(
    workspace: &Workspace,
    head: &Parts,
    arguments: &Arguments,
    body: &Bytes,
    refused: bool,
) -> Response {
    let segments: Vec<&str> = head.uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["api", name] => method(workspace, head, arguments, name, refused),
        ["upload", "v1", address] if head.method == http::Method::POST => {
            files::receive(workspace, head, address, body)
        }
        ["oauth", "v2", "authorize"] => oauth::authorize(workspace, head.uri.query().unwrap_or_default()),
        _ => reply::text(StatusCode::NOT_FOUND, "text/html; charset=utf-8", "<h1>Not Found</h1>"),
    }
}

/// One method of the Web API.
fn method(workspace: &Workspace, head: &Parts, arguments: &Arguments, name: &str, refused: bool) -> Response {
    let token = gate::token(&head.headers, arguments);
    if let (true, Some(token)) = (refused, token) {
        workspace.tokens().forget(token);
    }
    let Some(method) = methods::find(name) else {
        return Refusal { more: vec![("req_method", name.into())], ..Refusal::new("unknown_method") }
            .response();
    };
    let kind = gate::kind(workspace, token);
    let scopes = match kind {
        TokenKind::App => vec!["connections:write".to_owned()],
        _ => workspace.tokens().scopes.clone(),
    };
    let call = Call { workspace, method, arguments, kind, token, scopes, now: workspace.now() };
    let outcome = call.admit().and_then(|()| budget(&call)).and_then(|after| {
        let outcome = dispatch(&call, &head.headers);
        match after {
            Some(code) if outcome.is_ok() => Err(Refusal::new(code)),
            _ => outcome,
        }
    });
    let mut response = match outcome {
        Ok(answer) => answer.response(),
        Err(refusal) => refusal.response(),
    };
    // A caller that is known hears what it was granted and what this method takes (`ruby_auth_test_success`).
    if kind != TokenKind::Unknown {
        reply::header(&mut response, "x-oauth-scopes", &call.scopes.join(","));
        if !method.scopes.is_empty() {
            reply::header(&mut response, "x-accepted-oauth-scopes", &method.scopes.join(","));
        }
    }
    let id = format!("{:032x}", workspace.log.count());
    reply::header(&mut response, "x-slack-req-id", &id);
    response
}

/// The budget, the workspace an organisation's token means, and what the test has told to refuse: now, or by the code
/// that is answered, after the work is done.
fn budget(call: &Call<'_>) -> Result<Option<String>, Refusal> {
    let mut data = call.workspace.data();
    data.settle(call.now);
    data.limits.pass(call.method, call.arguments.text("channel"), call.now)?;
    call.team(&data)?;
    let Some(refusals) = data.refusals.get_mut(call.method.name) else { return Ok(None) };
    match refusals.pop_front().flatten() {
        Some(refused) if refused.after => Ok(Some(refused.code)),
        Some(refused) => Err(Refusal::new(refused.code)),
        None => Ok(None),
    }
}

fn dispatch(call: &Call<'_>, headers: &HeaderMap) -> Outcome {
    match call.method.name {
        "auth.test" => account::test(call),
        "team.info" => account::team(call),
        "conversations.list" => conversations::list(call),
        "conversations.info" => conversations::info(call),
        "conversations.members" => conversations::members(call),
        "conversations.join" => conversations::join(call),
        "conversations.history" => history::history(call),
        "conversations.replies" => history::replies(call),
        "users.list" => members::list(call),
        "users.info" => members::info(call),
        "users.lookupByEmail" => members::by_email(call),
        "usergroups.list" => members::groups(call),
        "files.list" => files::list(call),
        "files.info" => files::info(call),
        "files.getUploadURLExternal" => files::begin(call),
        "files.completeUploadExternal" => files::complete(call),
        "reactions.get" => reactions::get(call),
        "reactions.list" => reactions::list(call),
        "reactions.add" => reactions::add(call),
        "pins.list" => reactions::pins(call),
        "chat.postMessage" => chat::post(call),
        "chat.update" => chat::update(call),
        "chat.delete" => chat::delete(call),
        "oauth.v2.access" => oauth::access(call, headers),
        "oauth.v2.exchange" => oauth::exchange(call, headers),
        "apps.connections.open" => socket::open(call),
        _ => Err(Refusal::new("unknown_method")),
    }
}

/// `Date` by the workspace's clock: a client takes the vendor's time from it.
fn dated(workspace: &Workspace, mut response: Response) -> Response {
    let seconds = u64::try_from(workspace.now() / 1000).unwrap_or_default();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    if let Ok(value) = HeaderValue::try_from(httpdate::fmt_http_date(time)) {
        response.headers_mut().insert(DATE, value);
    }
    response
}
