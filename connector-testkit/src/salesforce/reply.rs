//! Answers in the vendor's shapes.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::soql::Refusal;

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    body(status, "application/json;charset=UTF-8", value.to_string())
}

/// A JSON answer that is written already.
pub(super) fn rendered(text: Vec<u8>) -> Response {
    body(StatusCode::OK, "application/json;charset=UTF-8", text)
}

/// Any answer.
pub(super) fn body(status: StatusCode, content_type: &'static str, content: impl Into<Body>) -> Response {
    let mut response = Response::new(content.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The error array of the REST API: `[{"message","errorCode"}]`.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    json(status, &json!([{"message": message, "errorCode": code}]))
}

/// A query that was refused: 400, and 403 where access is missing.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let status =
        if refusal.code == "INSUFFICIENT_ACCESS" { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    error(status, refusal.code, &refusal.message)
}

pub(super) fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "NOT_FOUND", "The requested resource does not exist")
}

pub(super) fn not_allowed(method: &Method, allowed: &str) -> Response {
    let message = format!("HTTP Method '{method}' not allowed. Allowed are {allowed}");
    error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", &message)
}

/// The answer to a session that is over (`restforce_expired_session_response.json`).
pub(super) fn session_expired() -> Response {
    error(StatusCode::UNAUTHORIZED, "INVALID_SESSION_ID", "Session expired or invalid")
}

/// What the front end answers to a request head it does not read: HTML, since no API has seen it yet.
pub(super) fn bad_message(status: StatusCode, reason: &str) -> Response {
    let code = status.as_u16();
    body(
        status,
        "text/html;charset=iso-8859-1",
        format!("<h1>Bad Message {code}</h1><pre>reason: {reason}</pre>"),
    )
}

/// The error object of the OAuth endpoints: 400 `{"error","error_description"}`.
pub(super) fn oauth_error(error: &str, description: &str) -> Response {
    json(StatusCode::BAD_REQUEST, &json!({"error": error, "error_description": description}))
}
