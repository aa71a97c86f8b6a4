//! Arguments of a call: from the query, a form, or a JSON body; Slack takes each.

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::Value;

use super::reply::Refusal;
use super::ts::Ts;

/// By name. A value of JSON that is no text stands as JSON, as it would in a form.
#[derive(Debug, Clone, Default)]
pub(super) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Reads query and body. A GET's body is not looked at.
    pub(super) fn read(head: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        let mut arguments = Self::default();
        arguments.form(head.uri.query().unwrap_or_default().as_bytes());
        if head.method == http::Method::GET || body.is_empty() {
            return Ok(arguments);
        }
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let (essence, parameters) = kind.split_once(';').unwrap_or((kind, ""));
        match essence.trim().to_ascii_lowercase().as_str() {
            "application/json" => match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => {
                    for (name, value) in fields {
                        arguments.take(name, value);
                    }
                }
                Ok(_) => return Err(Refusal::new("json_not_object")),
                Err(_) => return Err(Refusal::new("invalid_json")),
            },
            "application/x-www-form-urlencoded" => arguments.form(body),
            "multipart/form-data" => arguments.multipart(parameters, body)?,
            // Valid, and no arguments are in it.
            "text/plain" => {}
            "" => return Err(Refusal::new("missing_post_type")),
            _ => return Err(Refusal::new("invalid_post_type")),
        }
        Ok(arguments)
    }

    fn form(&mut self, text: &[u8]) {
        for (name, value) in url::form_urlencoded::parse(text) {
            self.0.insert(name.into_owned(), value.into_owned());
        }
    }

    fn take(&mut self, name: String, value: Value) {
        match value {
            Value::Null => {}
            Value::String(text) => drop(self.0.insert(name, text)),
            other => drop(self.0.insert(name, other.to_string())),
        }
    }

    /// Fields of a multipart form (RFC 7578); parts that are files keep their text.
    fn multipart(&mut self, parameters: &str, body: &[u8]) -> Result<(), Refusal> {
        let bad = || Refusal::new("invalid_form_data");
        let boundary = parameters.split_once("boundary=").ok_or_else(bad)?.1.trim().trim_matches('"');
        let text = String::from_utf8_lossy(body);
        for part in text.split(&format!("--{boundary}")).skip(1) {
            let Some((head, value)) = part.split_once("\r\n\r\n") else { continue };
            let name =
                head.split_once("name=\"").and_then(|(_, rest)| rest.split_once('"')).ok_or_else(bad)?.0;
            let value = value.strip_suffix("\r\n").unwrap_or(value);
            self.0.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }

    /// Names and values, in the order of the names.
    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// A text that is there and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }

    /// `true` or `1`; Slack takes both.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "True" | "1"))
    }

    /// A whole number, or the refusal `code`.
    pub(super) fn number(&self, name: &str, code: &str) -> Result<Option<usize>, Refusal> {
        self.text(name).map(|text| text.parse().map_err(|_| Refusal::new(code))).transpose()
    }

    /// A `ts`, or the refusal `code`.
    pub(super) fn ts(&self, name: &str, code: &str) -> Result<Option<Ts>, Refusal> {
        self.text(name).map(|text| Ts::parse(text).ok_or_else(|| Refusal::new(code))).transpose()
    }

    /// A value that is JSON: sent as such, or as text in a form.
    pub(super) fn json(&self, name: &str, code: &str) -> Result<Option<Value>, Refusal> {
        self.text(name).map(|text| serde_json::from_str(text).map_err(|_| Refusal::new(code))).transpose()
    }
}
