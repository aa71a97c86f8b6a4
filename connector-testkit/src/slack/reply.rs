//! Answers: HTTP 200 whatever happened, and `ok` says which (B1 of the vendor's facts).

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use serde_json::{Value, json};

/// Why a call was refused, as the caller is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: String,
    /// More fields of the answer: `needed`, `provided`, `response_metadata`.
    pub(super) more: Vec<(&'static str, Value)>,
    /// Seconds of `Retry-After`: the refusal is a 429.
    pub(super) retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(code: impl Into<String>) -> Self {
        Self { code: code.into(), more: Vec::new(), retry_after: None }
    }

    /// The shape of an argument that is missing or wrong: the text is in `response_metadata.messages`.
    pub(super) fn said(code: &str, message: impl Into<String>) -> Self {
        let message = format!("[ERROR] {}", message.into());
        Self { more: vec![("response_metadata", json!({ "messages": [message] }))], ..Self::new(code) }
    }

    /// A required argument that did not come.
    pub(super) fn missing(argument: &str) -> Self {
        Self::said("missing_argument", format!("missing required field: {argument}"))
    }

    /// HTTP 429. No recording of one is free to copy: the body is the code that all methods document, the header is
    /// documented.
    pub(super) fn limited(seconds: u64) -> Self {
        Self { retry_after: Some(seconds.max(1)), ..Self::new("ratelimited") }
    }

    /// The code of the answer travels along, for the log.
    pub(super) fn response(&self) -> Response {
        let mut body = json!({ "ok": false, "error": self.code });
        for (name, value) in &self.more {
            body[*name] = value.clone();
        }
        let status = self.retry_after.map_or(StatusCode::OK, |_| StatusCode::TOO_MANY_REQUESTS);
        let mut response = text(status, "application/json; charset=utf-8", body.to_string());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Said(self.code.clone()));
        response
    }
}

/// The code of a refusal, on its way to the log.
#[derive(Debug, Clone)]
pub(super) struct Said(pub(super) String);

/// What a method answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// Everything but `ok`, which is added.
    Fields(Value),
    /// A whole body that was written by hand.
    Rendered(Vec<u8>),
}

pub(super) type Outcome = Result<Answer, Refusal>;

/// An answer of these fields.
pub(super) fn ok(fields: Value) -> Outcome {
    Ok(Answer::Fields(fields))
}

impl Answer {
    pub(super) fn response(self) -> Response {
        let body = match self {
            Self::Fields(mut fields) => {
                fields["ok"] = Value::Bool(true);
                fields.to_string().into_bytes()
            }
            Self::Rendered(body) => body,
        };
        text(StatusCode::OK, "application/json; charset=utf-8", body)
    }
}

/// Any answer.
pub(super) fn text(status: StatusCode, kind: &'static str, content: impl Into<Body>) -> Response {
    let mut response = Response::new(content.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// `X-OAuth-Scopes` and its like, where the text can stand in a header.
pub(super) fn header(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
