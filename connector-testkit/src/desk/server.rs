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
use crate::fault::{Connection, Fault, Seen, decoded};

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
    let _served = InFlight::begin(&desk);
    desk.requests.fetch_add(1, Ordering::SeqCst);
    let is_page = head.method == Method::GET && head.uri.path() == "/v1/tickets";
    desk.pages.fetch_add(u64::from(is_page), Ordering::SeqCst);
    let seen = Seen { method: head.method.as_str(), path: head.uri.path(), query: &decoded(query) };
    let fault = desk.faults.decide(&seen);
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

/// A request that is being answered; a client that leaves ends it.
struct InFlight(Arc<Desk>);

impl InFlight {
    fn begin(desk: &Arc<Desk>) -> Self {
        desk.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(desk))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
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
        (&Method::GET, "/v1/agents") => reply(StatusCode::OK, &agents()),
        (&Method::POST, "/v1/tickets/forget") => forget(desk, &body),
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
    let number = |wanted: &str| parameter(wanted).and_then(|value| value.parse::<u64>().ok());
    let limit = parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100).clamp(1, MAX_LIMIT);
    let from = match parameter("changed_from").map(|time| time.parse::<Timestamp>()).transpose() {
        Ok(from) => from,
        Err(_) => return problem(StatusCode::BAD_REQUEST, "`changed_from` is no time"),
    };
    let (after, queue, turn) = (number("after").unwrap_or(0), number("queue"), number("turn").unwrap_or(0));
    let with_deleted = parameter("deleted").as_deref() == Some("true");
    let start = (from.unwrap_or(Timestamp::from_millis(0)), after);
    let mut data = desk.data();
    let mut rows: Vec<_> = data
        .in_order()
        .into_iter()
        .filter(|ticket| with_deleted || !ticket.deleted)
        .filter(|ticket| queue.is_none_or(|queue| ticket.queue() == queue) && !data.is_forgotten(ticket))
        .filter(|ticket| (ticket.changed_at, ticket.id) > start)
        .collect();
    let count = rows.len();
    // By the turn, so that a page that is asked for again is the same.
    rows.truncate(match turn % 3 {
        _ if !desk.thin.load(Ordering::SeqCst) => limit,
        0 => 0,
        1 => limit / 2,
        _ => limit,
    });
    let next = (count > rows.len()).then(|| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string());
        let last = rows.last().map(|last| (last.changed_at, last.id));
        if let Some((time, id)) = last.or(from.map(|from| (from, after))) {
            query.append_pair("changed_from", &time.to_string()).append_pair("after", &id.to_string());
        }
        if with_deleted {
            query.append_pair("deleted", "true");
        }
        if let Some(queue) = queue {
            query.append_pair("queue", &queue.to_string());
        }
        if desk.thin.load(Ordering::SeqCst) {
            query.append_pair("turn", &(turn + 1).to_string());
        }
        format!("/v1/tickets?{}", query.finish())
    });
    let next = next.map(|next| data.leads_to(&format!("/v1/tickets?{query}"), next));
    reply(StatusCode::OK, &json!({"tickets": rows, "next": next, "count": count}))
}

fn agents() -> Value {
    let agents: Vec<_> = (1..=5).map(|id| json!({"id": id, "name": format!("agent-{id}")})).collect();
    json!({"agents": agents, "next": null})
}

/// What was told to be durable elsewhere is served no more.
fn forget(desk: &Desk, body: &[u8]) -> Response {
    let place = serde_json::from_slice::<Value>(body).ok().and_then(|place| {
        let time = place.get("changed_at")?.as_str()?.parse::<Timestamp>().ok()?;
        Some((place.get("queue")?.as_u64()?, (time, place.get("id")?.as_u64()?)))
    });
    let Some((queue, place)) = place else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "`queue`, `changed_at` or `id` is missing");
    };
    desk.data().forget(queue, place);
    reply(StatusCode::OK, &json!({}))
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
