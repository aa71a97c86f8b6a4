//! The vendor's error bodies, as errors.
//!
//! Shapes: an array `[{"message","errorCode"}]` (REST), an object `{"error","error_description"}` (OAuth),
//! `{"exceptionCode","exceptionMessage"}` (Bulk 1.0), and HTML from the front end. What each code means
//! stands in [`rules`]; a code that is not there is judged by its status.

mod rules;

use std::{error::Error as StdError, fmt};

use connector_sdk::{
    Class, Delivery, Error, Timestamp,
    http::{Faults, Request, Response, StatusCode, StatusFaults},
    secret::redacted,
};
use serde::{Deserialize, de::IgnoredAny};

use crate::{api::PAGES, bulk::RESULTS, quota};

/// Reads Salesforce's answers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SalesforceFaults;

impl Faults for SalesforceFaults {
    fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
        let status = response.status.as_u16();
        if response.status.is_success() {
            return no_data(request, response)
                .map(|what| Error::transient(request.operation(), what).with_context("status", status));
        }
        let said = Said::read(&response.body);
        match rules::find(status, &said) {
            Some(rule) => Some(rule.error(request.operation(), status, &said, now(response))),
            None if said.code.is_empty() => by_status(request, response),
            None => by_status(request, response).map(|error| refused(error, &said, Then::Fail)),
        }
    }
}

/// What a reader does about a refusal, beyond what its class says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing else.
    Fail,
    /// This object may not be read, or not as a whole: leave it out, the others go on.
    Skip,
    /// The query's cursor is gone: ask again from the last state.
    Restart,
    /// A field is not there any more: the schema that was discovered is out of date.
    Redescribe,
    /// The query takes too long: ask for less at once.
    Shrink,
    /// The Bulk API does not serve this, or not now: REST may.
    Elsewhere,
    /// The query is too long or too complicated: ask for its fields in several queries.
    Split,
}

/// What the vendor said, kept as the source of the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: String,
    then: Then,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.as_str() {
            "" => f.write_str("the request is too long"),
            code => write!(f, "the vendor's code is {code}"),
        }
    }
}

impl StdError for Refusal {}

/// What to do about an error; [`Then::Fail`] where it is no refusal of the vendor. A layer may have put an
/// error of its own before the vendor's.
pub(crate) fn then(error: &Error) -> Then {
    refusal(error).map_or(Then::Fail, |refusal| refusal.then)
}

/// Whether the vendor has refused, with whatever code.
pub(crate) fn is_refused(error: &Error) -> bool {
    refusal(error).is_some_and(|refusal| !refusal.code.is_empty())
}

/// What a query that took too long even in parts is to whoever asked: it may work at another time.
pub(crate) fn after_all(error: Error) -> Error {
    let is_slow = ["QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG"].iter().any(|code| has_code(&error, code));
    if is_slow { error.with_class(Class::Transient).into_exhausted() } else { error }
}

/// A request that is too long, whoever says so: its reader asks for fewer fields at once.
pub(crate) fn too_long(operation: &'static str, message: &'static str) -> Error {
    let refusal = Refusal { code: String::new(), then: Then::Split };
    Error::permanent(operation, message).with_source(refusal)
}

/// Whether the vendor has refused with this code.
pub(crate) fn has_code(error: &Error, code: &str) -> bool {
    refusal(error).is_some_and(|refusal| refusal.code.eq_ignore_ascii_case(code))
}

/// The vendor's code for a refusal, such as `REQUIRED_FIELD_MISSING`; none where it has not refused.
///
/// ```
/// use connector_sdk::Error;
/// assert_eq!(connector_salesforce::error_code(&Error::permanent("create", "no")), None);
/// ```
#[must_use]
pub fn error_code(error: &Error) -> Option<&str> {
    refusal(error).map(|refusal| refusal.code.as_str()).filter(|code| !code.is_empty())
}

/// Whether a write was refused because somebody else held the row: the vendor has done nothing then, also where a
/// layer, which knows only that an answer of this class settles nothing, calls it ambiguous.
pub(crate) fn is_locked(error: &Error) -> bool {
    has_code(error, "UNABLE_TO_LOCK_ROW") && error.delivery() == Delivery::Answered
}

/// Whether the record is not there: never was, or no longer.
pub(crate) fn is_gone(error: &Error) -> bool {
    has_code(error, "NOT_FOUND") || has_code(error, "ENTITY_IS_DELETED")
}

/// Whether the vendor has said this, in lower case.
pub(crate) fn says(error: &Error, text: &str) -> bool {
    error.context().any(|(name, value)| name == "vendor_says" && value.to_lowercase().contains(text))
}

/// The vendor's words as one short line.
pub(crate) fn one_line(message: &str) -> String {
    Said { message: message.to_owned(), ..Said::default() }.line()
}

/// What the vendor complains of in one record of many.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Complaint {
    #[serde(default, alias = "statusCode", alias = "errorCode")]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    fields: Vec<String>,
}

impl Complaint {
    /// `CODE:message:fields`, as rows of a Bulk job say it.
    pub(crate) fn of_row(text: &str) -> Self {
        let (code, rest) = text.split_once(':').unwrap_or((text, ""));
        let (message, fields) = rest.rsplit_once(':').unwrap_or((rest, ""));
        let fields = fields.split(',').map(str::trim).filter(|field| crate::connector::is_name(field));
        Self {
            code: code.to_owned(),
            message: message.to_owned(),
            fields: fields.map(str::to_owned).collect(),
        }
    }
}

/// Why one record was not written. The others are not concerned.
pub(crate) fn of_record(operation: &'static str, complaint: Option<&Complaint>) -> Error {
    let Some(Complaint { code, message, fields }) = complaint else {
        let message = "the vendor says that the record failed, and not why";
        return Error::permanent(operation, message).with_delivery(Delivery::Answered);
    };
    let code = Some(code.clone()).filter(|code| is_code(code)).unwrap_or_default();
    let said = Said { code, message: message.clone(), fields: fields.clone() };
    let error = match rules::find(400, &said) {
        Some(rule) => Error::new(rule.class, operation, rule.advice),
        None => Error::permanent(operation, "the vendor refuses the record"),
    };
    refused(error, &said, Then::Fail).with_delivery(Delivery::Answered)
}

/// What a part of a composite failed with, as if it had been answered by itself.
pub(crate) fn of_part(operation: &'static str, status: u16, body: &str, now: Timestamp) -> Error {
    let said = Said::read(body.as_bytes());
    let error = match rules::find(status, &said) {
        Some(rule) => rule.error(operation, status, &said, now),
        None => {
            let message = format!("the vendor refuses this part (status {status})");
            let class = if status >= 500 { Class::Transient } else { Class::Permanent };
            refused(Error::new(class, operation, message).with_context("status", status), &said, Then::Fail)
        }
    };
    error.with_delivery(Delivery::Answered)
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

/// Says what to do about a refused sign-in, where the vendor's words are known.
pub(crate) fn signing_in(error: Error) -> Error {
    let said =
        |name| error.context().find(|(known, _)| *known == name).map_or("", |(_, value)| value).to_owned();
    let said = Said { code: said("error"), message: said("error_description"), fields: Vec::new() };
    if said.code.is_empty() {
        return error;
    }
    let Some(rule) = rules::find(0, &said) else { return error };
    let mut advised =
        Error::new(rule.class, error.operation().to_owned(), rule.advice).with_delivery(error.delivery());
    for (name, value) in error.context() {
        advised = advised.with_context(name, value);
    }
    if error.is_exhausted() || rule.pace != rules::Pace::AsClass {
        advised = advised.into_exhausted();
    }
    if let Some(wait) = error.retry_after() {
        advised = advised.with_retry_after(wait);
    }
    if let Some(at) = error.resume_at() {
        advised = advised.with_resume_at(at);
    }
    advised.with_source(error)
}

/// What was there before is not there any more: to be handled as if the vendor had said so.
pub(crate) fn gone(operation: &'static str, message: &'static str) -> Error {
    let error = Error::permanent(operation, message).with_delivery(Delivery::Answered);
    let said = Said { code: "NOT_FOUND".to_owned(), message: String::new(), ..Said::default() };
    refused(error, &said, Then::Fail)
}

/// An error of a Bulk job that has ended otherwise than with results.
pub(crate) fn elsewhere(operation: &'static str, advice: &'static str, said: Option<&str>) -> Error {
    let error = Error::permanent(operation, advice).with_delivery(Delivery::Answered);
    let said = Said { code: String::new(), message: said.unwrap_or_default().to_owned(), fields: Vec::new() };
    refused(error, &said, Then::Elsewhere)
}

/// Codes whose message quotes a value of the record: the code and the fields say enough.
const QUOTES_VALUES: [&str; 5] = [
    "DUPLICATE_VALUE",
    "INVALID_EMAIL_ADDRESS",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
    "JSON_PARSER_ERROR",
    "STRING_TOO_LONG",
];

fn refused(error: Error, said: &Said, then: Then) -> Error {
    let error = match said.line() {
        line if line.is_empty() || QUOTES_VALUES.contains(&said.code.as_str()) => error,
        line => error.with_context("vendor_says", line),
    };
    let error = match said.names() {
        names if names.is_empty() => error,
        names => error.with_context("fields", names),
    };
    error.with_context("code", &said.code).with_source(Refusal { code: said.code.clone(), then })
}

/// What a status means where the body says nothing that is known.
fn by_status(request: &Request, response: &Response) -> Option<Error> {
    let operation = request.operation();
    let (class, message) = match response.status.as_u16() {
        300 => return Some(several(operation, &response.body)),
        406 => (Class::Transient, "the front end could not answer in the form asked for (status 406)"),
        410 => (
            Class::Config,
            "the API version is retired (status 410): set `api_version` to a newer one, such as v66.0",
        ),
        414 | 431 => {
            let message = "the query is too long for the front end: select fewer `fields` of this stream";
            return Some(too_long(operation, message));
        }
        420 => (
            Class::Transient,
            "the front end does not route to this org now (status 420); a scratch org that has expired answers so too",
        ),
        _ => return StatusFaults.fault(request, response),
    };
    Some(Error::new(class, operation, message))
}

/// Several records have the external id: the body names each by its address (REST guide, resources_sobject_upsert_patch).
fn several(operation: &'static str, body: &[u8]) -> Error {
    let message = "several records have this external id (status 300), so none was changed: make the field unique, or \
                   name the record by its id";
    let error = Error::permanent(operation, message).with_context("status", 300);
    match serde_json::from_slice::<Vec<IgnoredAny>>(body) {
        Ok(addresses) => error.with_context("matches", addresses.len()),
        Err(_) => error,
    }
}

/// Why an answer of success cannot be one: each attempt may bring a better one. Whether the rows of a page are whole is
/// seen when it is split, without reading it twice.
fn no_data(request: &Request, response: &Response) -> Option<&'static str> {
    if is_html(response) {
        // Where JSON was due: maintenance, or a proxy on the way.
        return Some("the vendor answered with an HTML page instead of data");
    }
    let is_broken = response.status == StatusCode::OK
        && ![PAGES, RESULTS].contains(&request.operation())
        && !is_csv(response)
        && serde_json::from_slice::<IgnoredAny>(&response.body).is_err();
    is_broken.then_some("the answer ends in the middle, or is no JSON")
}

/// Rows of a Bulk job.
fn is_csv(response: &Response) -> bool {
    response.header("content-type").is_some_and(|kind| kind.trim_start().starts_with("text/csv"))
}

fn is_html(response: &Response) -> bool {
    response.header("content-type").is_some_and(|kind| kind.trim_start().starts_with("text/html"))
        || response.body.trim_ascii_start().first() == Some(&b'<')
}

/// The vendor's clock.
fn now(response: &Response) -> Timestamp {
    response.date().unwrap_or(response.received_at)
}

/// What an error body says.
#[derive(Debug, Default)]
struct Said {
    /// Empty where there is none.
    code: String,
    message: String,
    /// What it is about, where the vendor says so.
    fields: Vec<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default, alias = "errorCode", alias = "statusCode", alias = "error", alias = "exceptionCode")]
    code: Option<String>,
    #[serde(default, alias = "error_description", alias = "exceptionMessage")]
    message: Option<String>,
    #[serde(default)]
    fields: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Items(Vec<Item>),
    Item(Item),
}

/// The longest error body that is looked into, in bytes: reading it takes a few times its size.
const LONGEST_BODY: usize = 64 * 1_024;
/// The longest code that is taken for one, in bytes.
const LONGEST_CODE: usize = 80;

impl Said {
    fn read(body: &[u8]) -> Self {
        if body.len() > LONGEST_BODY {
            return Self::default();
        }
        let item = match serde_json::from_slice(body) {
            Ok(Body::Items(items)) => items.into_iter().next(),
            Ok(Body::Item(item)) => Some(item),
            Err(_) => None,
        };
        item.map_or_else(Self::default, |item| Self {
            code: item.code.filter(|code| is_code(code)).unwrap_or_default(),
            message: item.message.unwrap_or_default(),
            fields: item.fields.unwrap_or_default(),
        })
    }

    /// The message as one short line: a message about a query quotes it over several.
    fn line(&self) -> String {
        const LONGEST: usize = 300;
        let mut line = redacted(&self.message).replace(char::is_control, " ");
        line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = line.char_indices().nth(LONGEST) {
            line.truncate(end);
            line.push('…');
        }
        line
    }

    /// The fields that are names, in one line.
    fn names(&self) -> String {
        const MOST: usize = 20;
        let names = self.fields.iter().filter(|name| crate::connector::is_name(name));
        names.take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Whether the message holds this text, whatever its case.
    fn mentions(&self, text: &str) -> bool {
        text.is_empty() || self.message.to_lowercase().contains(text)
    }
}

/// Codes go into errors as they are, so one that is no name is none.
fn is_code(code: &str) -> bool {
    (1..=LONGEST_CODE).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.: -".contains(&byte))
}

impl rules::Rule {
    fn error(&self, operation: &'static str, status: u16, said: &Said, now: Timestamp) -> Error {
        let error = Error::new(self.class, operation, self.advice).with_context("status", status);
        let error = refused(error, said, self.then);
        match self.pace {
            rules::Pace::AsClass => error,
            // Neither a retry nor a new token helps.
            rules::Pace::Never => error.into_exhausted(),
            rules::Pace::NextDay => error.with_resume_at(now + quota::PAUSE).into_exhausted(),
        }
    }
}

#[cfg(test)]
mod tests;
