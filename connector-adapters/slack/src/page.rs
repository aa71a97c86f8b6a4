//! A page of messages: where they lie in the answer, and what leads on. Nothing of it is copied, no tree is built.

use bytes::Bytes;
use connector_sdk::{
    Class, Delivery, Error, Result, Timestamp,
    http::Response,
    record::{Scan, ScanErrorKind, ScanSpec, Span, unescape},
};

use crate::ts::Ts;

/// Fields of a page, in the order in which they are asked for.
const OK: usize = 0;
const NEXT: usize = 1;
const MORE: usize = 2;

/// What is looked for in the pages of conversations.history and conversations.replies.
#[derive(Debug)]
pub(crate) struct Splitter(ScanSpec);

impl Splitter {
    /// `ts`, and these fields, of each message.
    pub(crate) fn new(fields: &[&str]) -> Self {
        let scan = ScanSpec::new(&["messages"])
            .with_page_field(&["ok"])
            .with_page_field(&["response_metadata", "next_cursor"])
            .with_page_field(&["has_more"])
            .with_record_field(&["ts"]);
        Self(fields.iter().fold(scan, |scan, field| scan.with_record_field(&[field])))
    }

    /// Finds the messages of an answer.
    ///
    /// # Errors
    /// Transient when the answer ends too early (rule D-12); Schema when it is no JSON, has no messages, does not say
    /// that it is `ok`, or a message has no `ts`.
    pub(crate) fn split(&self, response: &Response, operation: &'static str) -> Result<Page> {
        let body = response.body.clone();
        let mut scan = Scan::default();
        self.0.scan(&body, &mut scan).map_err(|error| {
            let class =
                if error.kind == ScanErrorKind::UnexpectedEnd { Class::Transient } else { Class::Schema };
            wrong(class, operation, error.kind.to_string()).with_context("byte", error.offset)
        })?;
        if scan.page_fields.get(OK).and_then(|span| span.of(&body)) != Some(b"true") {
            return Err(wrong(Class::Schema, operation, "the answer does not say that it is `ok`"));
        }
        let mut rows = Vec::with_capacity(scan.records.len());
        for (index, &record) in scan.records.iter().enumerate() {
            let fields = scan.fields(index);
            let ts =
                fields.first().and_then(|span| span.of(&body)).and_then(Ts::from_json).ok_or_else(|| {
                    wrong(Class::Schema, operation, format!("message {index} of the page has no `ts`"))
                })?;
            rows.push(Row { ts, record, index });
        }
        let next = scan.page_fields.get(NEXT).and_then(|span| span.of(&body)).and_then(unescape);
        let next = next.filter(|next| !next.is_empty()).map(std::borrow::Cow::into_owned);
        let more = scan.page_fields.get(MORE).and_then(|span| span.of(&body)) == Some(b"true");
        // The vendor's clock, or when it cannot be told, ours.
        let now = response.date().unwrap_or(response.received_at);
        Ok(Page { body, scan, rows, next, more, now })
    }
}

fn wrong(class: Class, operation: &'static str, message: impl Into<String>) -> Error {
    Error::new(class, operation, message).with_delivery(Delivery::Answered)
}

/// A message's place in its page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) ts: Ts,
    record: Span,
    index: usize,
}

/// Messages as they came.
#[derive(Debug)]
pub(crate) struct Page {
    body: Bytes,
    scan: Scan,
    /// The messages that are wanted, in the order of the page.
    pub(crate) rows: Vec<Row>,
    /// What leads on, if something does: null, empty and missing are the end.
    pub(crate) next: Option<String>,
    more: bool,
    /// The vendor's clock.
    pub(crate) now: Timestamp,
}

impl Page {
    /// Whether there is more after it. A short page is no end, and neither is an empty one.
    pub(crate) fn leads_on(&self) -> bool {
        self.more || self.next.is_some()
    }

    /// How many messages came, before any was left out.
    pub(crate) fn came(&self) -> usize {
        self.scan.records.len()
    }

    /// The message's JSON.
    pub(crate) fn record(&self, row: &Row) -> &[u8] {
        row.record.of(&self.body).unwrap_or_default()
    }

    /// The JSON text of its `ts`.
    pub(crate) fn ts_json(&self, row: &Row) -> &[u8] {
        self.span(row, 0).unwrap_or_default()
    }

    /// The JSON text of the field asked for at this place; none where it is absent or null.
    pub(crate) fn field(&self, row: &Row, place: usize) -> Option<&[u8]> {
        self.span(row, place + 1).filter(|value| *value != b"null")
    }

    fn span(&self, row: &Row, place: usize) -> Option<&[u8]> {
        self.scan.fields(row.index).get(place).and_then(|span| span.of(&self.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connector_sdk::http::{HeaderMap, StatusCode};

    fn split(body: &str) -> Result<Page> {
        let url = "https://slack.com/api/conversations.history".parse().unwrap();
        let answer =
            Response::new(StatusCode::OK, HeaderMap::new(), body.to_owned(), url, Timestamp::from_millis(5));
        Splitter::new(&["reply_count"]).split(&answer, "conversations.history")
    }

    #[test]
    fn messages_are_found_where_they_lie() {
        let first = r#"{"type":"message","ts":"2.000001","reply_count":3,"new":{"a":[1.50]}}"#;
        let page = split(&format!(
            r#"{{"ok":true,"messages":[{first},{{"ts":"1.5","reply_count":null}}],"has_more":true,"response_metadata":{{"next_cursor":"b\u0041"}}}}"#
        ))
        .unwrap();
        assert_eq!(page.record(&page.rows[0]), first.as_bytes());
        assert_eq!(page.ts_json(&page.rows[0]), b"\"2.000001\"");
        assert_eq!(page.field(&page.rows[0], 0), Some(&b"3"[..]));
        assert_eq!(page.field(&page.rows[1], 0), None);
        assert_eq!(page.next.as_deref(), Some("bA"));
        assert!(page.leads_on() && page.came() == 2);
    }

    #[test]
    fn null_empty_and_missing_lead_nowhere() {
        for meta in [
            "",
            r#","response_metadata":{}"#,
            r#","response_metadata":null"#,
            r#","response_metadata":{"next_cursor":""}"#,
            r#","response_metadata":{"next_cursor":null},"has_more":false"#,
        ] {
            assert!(!split(&format!(r#"{{"ok":true,"messages":[]{meta}}}"#)).unwrap().leads_on(), "{meta}");
        }
        assert!(split(r#"{"ok":true,"messages":[],"has_more":true}"#).unwrap().leads_on());
    }

    #[test]
    fn d_12_what_is_no_page_is_an_error() {
        for (body, class) in [
            (r#"{"ok":true,"messages":[{"ts":"1.0"}"#, Class::Transient),
            (r#"{"ok":true,"messages":[{"text":"no ts"}]}"#, Class::Schema),
            (r#"{"ok":true,"messages":[{"ts":1.5}]}"#, Class::Schema),
            (r#"{"ok":true}"#, Class::Schema),
            (r#"{"ok":true,"messages":{}}"#, Class::Schema),
            (r#"{"ok":false,"messages":[]}"#, Class::Schema),
            (r#"{"ok":true,"messages":[]}x"#, Class::Schema),
        ] {
            assert_eq!(split(body).unwrap_err().class(), class, "{body}");
        }
    }
}
