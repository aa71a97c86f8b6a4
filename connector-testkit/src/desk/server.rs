//! What the desk answers.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use connector_sdk::Timestamp;
use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Desk, FakeDesk};
use crate::fault::{Connection, Fault, Seen};

const MAX_BODY: usize = 1 << 20;
/// The largest page.
const MAX_LIMIT: usize = 1000;

pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new().fallback(answer).with_state(desk)
}

async fn answer(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    desk.requests.fetch_add(1, Ordering::SeqCst);
    let is_page = head.method == Method::GET && head.uri.path() == "/v1/tickets";
    desk.pages.fetch_add(u64::from(is_page), Ordering::SeqCst);
    let fault = desk.faults.decide(&Seen { method: head.method.as_str(), path: head.uri.path(), query });
    let Some(fault) = fault else { return route(&desk, &head, body).await };
    if fault == Fault::Unauthorized {
        if let Some(token) = token(&head.headers) {
            desk.data().forget_token(token);
        }
        return problem(StatusCode::UNAUTHORIZED, "the token has ended");
    }
    let response = match fault.instead(&connection).await {
        Some(response) => response,
        None => route(&desk, &head, body).await,
    };
    let response = fault.upon_content(response).await;
    fault.upon_transport(response, &connection).await
}

async fn route(desk: &Desk, head: &Parts, body: Body) -> Response {
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
    };
    if (&head.method, head.uri.path()) == (&Method::POST, "/oauth/token") {
        return sign_in(desk, &body);
    }
    if !token(&head.headers).is_some_and(|token| desk.data().knows_token(token)) {
        return problem(StatusCode::UNAUTHORIZED, "the token has ended");
    }
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/v1/me") => reply(StatusCode::OK, &json!({"id": "agent-7", "desk": "acme"})),
        (&Method::GET, "/v1/tickets") => page(desk, head.uri.query().unwrap_or_default()),
        (&Method::POST, "/v1/tickets") => write(desk, &head.headers, &body),
        _ => problem(StatusCode::NOT_FOUND, "there is nothing here"),
    }
}

fn sign_in(desk: &Desk, body: &[u8]) -> Response {
    desk.sign_ins.fetch_add(1, Ordering::SeqCst);
    let field = |wanted: &str| {
        let mut fields = form_urlencoded::parse(body);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    if field("grant_type") != "client_credentials" {
        return reply(StatusCode::BAD_REQUEST, &json!({"error": "unsupported_grant_type"}));
    }
    if field("client_id") != FakeDesk::CLIENT_ID || field("client_secret") != FakeDesk::CLIENT_SECRET {
        return reply(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
    }
    let token = desk.data().new_token();
    reply(StatusCode::OK, &json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}))
}

/// The rows from the place that the query names on.
fn page(desk: &Desk, query: &str) -> Response {
    let parameter = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
    };
    let limit = parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100).clamp(1, MAX_LIMIT);
    let from = match parameter("changed_from").map(|time| time.parse::<Timestamp>()).transpose() {
        Ok(from) => from.unwrap_or(Timestamp::from_millis(0)),
        Err(_) => return problem(StatusCode::BAD_REQUEST, "`changed_from` is no time"),
    };
    let after = parameter("after").and_then(|id| id.parse().ok()).unwrap_or(0);
    let with_deleted = parameter("deleted").as_deref() == Some("true");
    let all = desk.data().in_order();
    let mut rows: Vec<_> = all
        .into_iter()
        .filter(|ticket| with_deleted || !ticket.deleted)
        .filter(|ticket| ticket.changed_at > from || (ticket.changed_at == from && ticket.id > after))
        .collect();
    let count = rows.len();
    let is_last = count <= limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| !is_last).map(|last| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string());
        query.append_pair("changed_from", &last.changed_at.to_string());
        query.append_pair("after", &last.id.to_string());
        if with_deleted {
            query.append_pair("deleted", "true");
        }
        format!("/v1/tickets?{}", query.finish())
    });
    reply(StatusCode::OK, &json!({"tickets": rows, "next": next, "count": count}))
}

fn write(desk: &Desk, headers: &HeaderMap, body: &[u8]) -> Response {
    let subject = serde_json::from_slice::<Value>(body).ok();
    let Some(subject) = subject.and_then(|input| Some(input.get("subject")?.as_str()?.to_owned())) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "`subject` is missing");
    };
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    reply(StatusCode::CREATED, &desk.data().write(key, subject))
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn problem(status: StatusCode, title: &str) -> Response {
    reply(status, &json!({"title": title}))
}

fn reply(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
