//! The vendor's refusals, as errors.
//!
//! An answer is HTTP 200 with `{"ok": true, …}` or `{"ok": false, "error": "code", …}`: `ok` is read first, whatever the
//! status. What each code means stands in [`rules`]; one that is not there is kept by its name and is Permanent, because
//! the vendor has understood and says no. Codes are open-ended: its method pages name more than 800.

mod rules;

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use connector_sdk::{
    Class, Error,
    http::{Faults, Request, Response, StatusCode, StatusFaults},
};
use serde::Deserialize;

use crate::{
    limits::Limits,
    method::{HISTORY, REPLIES},
};

/// How every page of a good answer begins, as the vendor writes it: saves reading large pages twice.
const GOOD: &[u8] = b"{\"ok\":true";
/// Who is asked to slow down without a time waits so long: the vendor counts by the minute.
const UNSTATED_WAIT: Duration = Duration::from_secs(30);
/// The longest text that is taken for a code, in bytes.
const LONGEST_CODE: usize = 80;

/// Reads Slack's answers, and tells of those that ask to slow down.
#[derive(Debug)]
pub(crate) struct SlackFaults(pub(crate) Arc<Limits>);

impl Faults for SlackFaults {
    fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
        let error = fault(request, response)?;
        if error.class() == Class::RateLimited {
            // What we wait where no time is named says nothing about the vendor.
            let told = response.header("retry-after").and_then(|value| value.trim().parse().ok());
            if let Some(seconds) = told {
                self.0.put_off(request.operation(), Duration::from_secs(seconds));
            }
        }
        Some(error)
    }
}

fn fault(request: &Request, response: &Response) -> Option<Error> {
    let operation = request.operation();
    if response.status == StatusCode::TOO_MANY_REQUESTS {
        return StatusFaults.fault(request, response).map(|error| unhurried(error, response));
    }
    let is_page = [HISTORY.name, REPLIES.name].contains(&operation);
    if response.status.is_success() && is_page && response.body.starts_with(GOOD) {
        // Whether it is whole is seen when it is split.
        return None;
    }
    let said = serde_json::from_slice::<Said<'_>>(&response.body);
    if !response.status.is_success() {
        let known = said.ok().filter(|said| !said.code().is_empty());
        return match known {
            Some(said) if rules::find(said.code()).is_some() => Some(refused(operation, &said, response)),
            _ => StatusFaults.fault(request, response),
        };
    }
    match said {
        Ok(said) if said.ok == Some(true) => {
            said.warn(operation);
            None
        }
        Ok(said) if said.ok == Some(false) => Some(refused(operation, &said, response)),
        Ok(_) => Some(no_answer(Class::Schema, operation, "the answer does not say whether it is `ok`")),
        Err(_) if is_html(response) => Some(no_answer(
            Class::Transient,
            operation,
            "the vendor answered with an HTML page instead of data",
        )),
        Err(error) if error.is_data() => {
            Some(no_answer(Class::Schema, operation, "the answer has another shape than documented"))
        }
        Err(_) => {
            Some(no_answer(Class::Transient, operation, "the answer ends in the middle, or is no JSON"))
        }
    }
}

/// What a reader does about a refusal, beyond what its class says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing else.
    Fail,
    /// This channel may not be read: leave it out, the others go on.
    Skip,
    /// The page token is no good any more: ask again from the last state.
    Restart,
}

/// What the vendor said, kept as the source of the error.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    code: String,
    then: Then,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the vendor's code is {}", self.code)
    }
}

impl StdError for Refusal {}

/// What to do about an error; [`Then::Fail`] where it is no refusal of the vendor.
pub(crate) fn then(error: &Error) -> Then {
    refusal(error).map_or(Then::Fail, |refusal| refusal.then)
}

/// Whether the vendor has refused with this code.
pub(crate) fn has_code(error: &Error, code: &str) -> bool {
    error_code(error) == Some(code)
}

/// A channel that the vendor lists as one we are not in: what it would say if it were asked.
pub(crate) fn not_in_channel() -> Error {
    let message = "this channel may not be read (not_in_channel): invite the app, or set `join`";
    let code = "not_in_channel";
    Error::permanent("plan", message)
        .with_context("code", code)
        .with_source(Refusal { code: code.to_owned(), then: Then::Skip })
}

/// The vendor's code for a refusal, such as `not_in_channel`, as it came; none where it has not refused.
///
/// ```
/// use connector_sdk::Error;
/// assert_eq!(connector_slack::error_code(&Error::permanent("chat.update", "no")), None);
/// ```
#[must_use]
pub fn error_code(error: &Error) -> Option<&str> {
    refusal(error).map(|refusal| refusal.code.as_str())
}

fn refusal(error: &Error) -> Option<&Refusal> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(refusal) = cause.downcast_ref() {
            return Some(refusal);
        }
        source = cause.source();
    }
    None
}

/// The head of every answer.
#[derive(Deserialize)]
struct Said<'a> {
    ok: Option<bool>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    needed: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    provided: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    warning: Option<Cow<'a, str>>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    messages: Vec<String>,
}

impl Said<'_> {
    /// The code, where it is one.
    fn code(&self) -> &str {
        self.error.as_deref().filter(|code| is_code(code)).unwrap_or_default()
    }

    /// What the vendor would have otherwise; `[WARN]` lines of its metadata among it.
    fn warn(&self, operation: &'static str) {
        if let Some(warning) = &self.warning {
            tracing::debug!(method = operation, %warning, "the vendor warns");
        }
        for line in self.response_metadata.iter().flat_map(|metadata| &metadata.messages) {
            tracing::info!(method = operation, "the vendor says: {}", one_line(line));
        }
    }
}

/// Codes are words; anything else could be anything.
fn is_code(text: &str) -> bool {
    (1..=LONGEST_CODE).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

fn refused(operation: &'static str, said: &Said<'_>, response: &Response) -> Error {
    let code = said.code();
    let (class, advice, then) = match rules::find(code) {
        Some(rule) => (rule.class, rule.advice, rule.then),
        None => (Class::Permanent, "the vendor refuses it", Then::Fail),
    };
    let message = match (code, &said.needed) {
        ("missing_scope", Some(needed)) => {
            format!(
                "the token lacks a scope, {}: add it to the app, and install the app again",
                one_line(needed)
            )
        }
        ("", _) => "the vendor refuses it, and does not say why".to_owned(),
        _ => format!("{advice} ({code})"),
    };
    let mut error = Error::new(class, operation, message).with_context("code", code);
    if response.status != StatusCode::OK {
        error = error.with_context("status", response.status.as_u16());
    }
    for (name, value) in [("needed", &said.needed), ("provided", &said.provided)] {
        if let Some(value) = value {
            error = error.with_context(name, one_line(value));
        }
    }
    let lines = said.response_metadata.iter().flat_map(|metadata| &metadata.messages);
    if let Some(line) = lines.map(|line| one_line(line)).find(|line| !line.is_empty()) {
        error = error.with_context("vendor_says", line);
    }
    if class == Class::RateLimited {
        error = unhurried(error, response);
    }
    error.with_source(Refusal { code: code.to_owned(), then })
}

/// With a wait, where the vendor names none.
fn unhurried(error: Error, response: &Response) -> Error {
    match response.header("retry-after") {
        Some(_) => error,
        None => error.with_retry_after(UNSTATED_WAIT),
    }
}

fn no_answer(class: Class, operation: &'static str, message: &'static str) -> Error {
    Error::new(class, operation, message)
}

fn is_html(response: &Response) -> bool {
    response.header("content-type").is_some_and(|kind| kind.trim_start().starts_with("text/html"))
        || response.body.trim_ascii_start().first() == Some(&b'<')
}

/// The vendor's words as one short line.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let line: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests;
