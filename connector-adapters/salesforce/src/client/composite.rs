//! Several requests in one call, each able to use what those before it answered
//! (REST guide, resources_composite_composite).

use std::{collections::HashSet, fmt};

use connector_sdk::{Class, Delivery, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::{Client, name, record};
use crate::{api, fault};

/// Parts in one call.
const MOST: usize = 25;

/// Parts to be done in one call. A later part uses the answer of an earlier one as `@{reference.field}`.
///
/// ```
/// use connector_salesforce::Composite;
/// use serde_json::json;
/// let parts = Composite::all_or_none()
///     .create("account", "Account", json!({ "Name": "Acme" }))
///     .create("contact", "Contact", json!({ "LastName": "Doe", "AccountId": "@{account.id}" }));
/// assert_eq!(parts.len(), 2);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Composite {
    all_or_none: bool,
    parts: Vec<Part>,
    wrong: Option<Error>,
}

#[derive(Clone)]
struct Part {
    reference: String,
    method: &'static str,
    /// Below the version.
    path: String,
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answers {
    composite_response: Vec<Answer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    body: Value,
    http_status_code: u16,
    reference_id: String,
}

/// Bodies are personal data: their number is enough.
impl fmt::Debug for Composite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composite")
            .field("all_or_none", &self.all_or_none)
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

impl Composite {
    /// One that fails takes all back.
    pub fn all_or_none() -> Self {
        Self { all_or_none: true, parts: Vec::new(), wrong: None }
    }

    /// Each stands for itself.
    pub fn independent() -> Self {
        Self { all_or_none: false, parts: Vec::new(), wrong: None }
    }

    /// Adds a record. Its answer has `id`.
    pub fn create(self, reference: &str, object: &str, fields: impl Serialize) -> Self {
        self.writes(reference, "POST", &["sobjects", object], &[object], fields)
    }

    /// Changes a record; the id may be a reference.
    pub fn update(self, reference: &str, object: &str, id: &str, fields: impl Serialize) -> Self {
        self.refusing(reference, id_or_reference(id)).writes(
            reference,
            "PATCH",
            &["sobjects", object, id],
            &[object],
            fields,
        )
    }

    /// Changes or adds a record by an external id.
    pub fn upsert(
        self,
        reference: &str,
        object: &str,
        external_field: &str,
        value: &str,
        fields: impl Serialize,
    ) -> Self {
        let segments = ["sobjects", object, external_field, value];
        let checked = match value {
            "" | "." | ".." => Err(Error::config("composite", "an external id is empty, or dots alone")),
            // A value from outside must not become a reference.
            value if value.starts_with("@{") => {
                Err(Error::config("composite", "an external id begins like a reference"))
            }
            _ => Ok(()),
        };
        self.refusing(reference, checked).writes(
            reference,
            "PATCH",
            &segments,
            &[object, external_field],
            fields,
        )
    }

    /// Deletes a record; the id may be a reference.
    pub fn delete(self, reference: &str, object: &str, id: &str) -> Self {
        let path = path(&["sobjects", object, id]);
        self.refusing(reference, id_or_reference(id)).part(reference, "DELETE", path, &[object], Ok(None))
    }

    /// Asks a query; its answer has `records`.
    pub fn query(self, reference: &str, soql: &str) -> Self {
        let encoded: String =
            byte_serialize(soql.as_bytes()).map(|piece| if piece == "+" { "%20" } else { piece }).collect();
        self.part(reference, "GET", format!("/query?q={encoded}"), &[], Ok(None))
    }

    /// How many parts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Remembers what is wrong with a part, if anything is.
    fn refusing(mut self, reference: &str, checked: Result<()>) -> Self {
        if let Err(error) = checked {
            self.wrong.get_or_insert(error.with_context("part", reference.escape_debug()));
        }
        self
    }

    fn writes(
        self,
        reference: &str,
        method: &'static str,
        segments: &[&str],
        names: &[&str],
        fields: impl Serialize,
    ) -> Self {
        let body = record("composite", fields).map(|fields| Some(Value::Object(fields)));
        self.part(reference, method, path(segments), names, body)
    }

    fn part(
        mut self,
        reference: &str,
        method: &'static str,
        path: String,
        names: &[&str],
        body: Result<Option<Value>>,
    ) -> Self {
        let checked =
            names.iter().try_for_each(|one| name("composite", one)).and(name("composite", reference));
        match checked.and(body) {
            Ok(body) => self.parts.push(Part { reference: reference.to_owned(), method, path, body }),
            Err(error) => {
                self.wrong.get_or_insert(error.with_context("part", reference.escape_debug()));
            }
        }
        self
    }

    /// Doing all of it twice is the same as doing it once. A second DELETE would fail, and take the others back.
    fn is_repeatable(&self) -> bool {
        self.parts.iter().all(|part| matches!(part.method, "GET" | "PATCH"))
    }
}

/// Whether this is a reference to what another part answers, `@{account.id}`, and nothing else.
fn is_reference(text: &str) -> bool {
    text.strip_prefix("@{").and_then(|rest| rest.strip_suffix('}')).is_some_and(|inner| {
        !inner.is_empty()
            && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._[]".contains(&byte))
            && !inner.contains("..")
    })
}

/// An id of a record, or a reference to one.
fn id_or_reference(id: &str) -> Result<()> {
    if is_reference(id) { Ok(()) } else { super::id("composite", id) }
}

/// A path of segments. References stay as they are.
fn path(segments: &[&str]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        if is_reference(segment) {
            path.push_str(segment);
            continue;
        }
        for piece in byte_serialize(segment.as_bytes()) {
            path.push_str(if piece == "+" { "%20" } else { piece });
        }
    }
    path
}

impl Client {
    /// Does the parts in their order, and answers each by its reference, in their order. One call to the vendor.
    ///
    /// # Errors
    /// Config when a part is wrong, or there are none or more than 25, and then nothing was sent. Ambiguous when nobody
    /// knows whether they were done, unless all of them may be done twice. What became of each part is its own: where one
    /// took the others back, those have the code `PROCESSING_HALTED`.
    pub async fn composite(&self, parts: Composite) -> Result<Vec<(String, Result<Value>)>> {
        if let Some(error) = parts.wrong {
            return Err(error);
        }
        let mut met = HashSet::new();
        if let Some(twice) = parts.parts.iter().find(|part| !met.insert(&part.reference)) {
            let message = "two parts have the same reference";
            return Err(Error::config("composite", message).with_context("part", &twice.reference));
        }
        if parts.is_empty() || parts.len() > MOST {
            let message = format!("there are {} parts; a call takes 1 to {MOST}", parts.len());
            return Err(Error::config("composite", message));
        }
        let version = self.api.settings().api_version.path();
        let requests: Vec<Value> = parts
            .parts
            .iter()
            .map(|part| {
                let mut request = json!({
                    "method": part.method,
                    "url": format!("{version}{}", part.path),
                    "referenceId": part.reference,
                });
                if let Some(body) = &part.body {
                    request["body"] = body.clone();
                }
                request
            })
            .collect();
        let body = json!({ "allOrNone": parts.all_or_none, "compositeRequest": requests }).to_string();
        let response = self.api.composite(&self.cx, body, parts.is_repeatable()).await?;
        let answers: Answers = api::decode(&response, "composite").map_err(|error| {
            let message = "the vendor has answered, and its answer cannot be read: look before repeating it";
            Error::new(Class::Ambiguous, "composite", message)
                .with_delivery(Delivery::Answered)
                .with_source(error)
        })?;
        let now = response.date().unwrap_or(response.received_at);
        let outcome = |answer: Answer| {
            let status = answer.http_status_code;
            let result = match status {
                200..=299 => Ok(answer.body),
                _ => Err(fault::of_part("composite", status, &answer.body.to_string(), now)
                    .with_context("part", &answer.reference_id)),
            };
            (answer.reference_id, result)
        };
        Ok(answers.composite_response.into_iter().map(outcome).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_written_as_it_is_and_a_value_from_outside_is_none() {
        assert_eq!(path(&["sobjects", "Contact", "@{account.id}"]), "/sobjects/Contact/@{account.id}");
        for odd in ["@{a}/../x", "@{a b}", "@{}", "@{a..b}", "@{a", "@{a}?x=1"] {
            assert!(!path(&["sobjects", odd]).contains("@{"), "{odd}");
        }
        for bad in ["", ".", "..", "@{other.id}", "@{a}/../../Account/001"] {
            let parts = Composite::independent().upsert("r", "Contact", "Key__c", bad, serde_json::json!({}));
            assert!(parts.wrong.is_some(), "{bad}");
        }
        let good = Composite::independent().upsert("r", "Contact", "Key__c", "a@b/c", serde_json::json!({}));
        assert!(good.wrong.is_none());
        assert!(Composite::independent().delete("r", "Contact", "003").wrong.is_some());
        assert!(Composite::independent().delete("r", "Contact", "@{made.id}").wrong.is_none());
    }

    #[test]
    fn debug_shows_no_field_of_a_record() {
        let parts =
            Composite::independent().create("r", "Contact", serde_json::json!({ "LastName": "hunter2" }));
        assert!(!format!("{parts:?}").contains("hunter2"));
    }
}
