//! What the vendor's answers mean. A class decides what happens next: Transient and RateLimited are tried again,
//! Auth renews the token once, the others end the call.

use connector_sdk::{
    Class, Error,
    http::{Faults, Request, Response, StatusCode, StatusFaults},
    secret::redacted,
};
use serde::Deserialize;

#[derive(Debug)]
pub(crate) struct DeskFaults;

/// The body of a refusal.
#[derive(Deserialize)]
struct Problem {
    title: String,
}

impl Faults for DeskFaults {
    fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
        // What a status means by itself is known; say here only what this vendor does otherwise.
        let error = StatusFaults.fault(request, response)?;
        let error = match response.status {
            StatusCode::UNPROCESSABLE_ENTITY => error.with_class(Class::Config),
            _ => error,
        };
        // Only a part that is never personal.
        match serde_json::from_slice(&response.body) {
            Ok(Problem { title }) => Some(error.with_context("title", shown(&title))),
            Err(_) => Some(error),
        }
    }
}

/// The vendor's words as one short line, without what a secret looks like: errors are logged and kept.
fn shown(words: &str) -> String {
    redacted(words).replace(char::is_control, " ").chars().take(300).collect()
}
