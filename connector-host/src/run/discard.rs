//! Records with fields that the accepted schema does not have: the policies that look into each record (D-18).

use std::{borrow::Cow, collections::BTreeSet, fmt, sync::Arc};

use connector_sdk::{
    Batch, Class, Error, Result, StreamSpec,
    record::{BatchBuilder, RecordView},
};
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::DriftPolicy;

/// Looks for fields that the accepted schema does not have.
#[derive(Debug, Clone)]
pub(super) struct FieldWatch {
    policy: DriftPolicy,
    known: Arc<BTreeSet<String>>,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Records for the dead letters, with the reason.
    pub(super) buried: Vec<(String, String)>,
    /// Each unknown field with the key of the first record that has it.
    pub(super) unknown: Vec<(String, String)>,
}

impl FieldWatch {
    /// Watches by this policy; none where it does not look into records, or the schema names no fields.
    pub(super) fn new(policy: DriftPolicy, accepted: &StreamSpec) -> Option<Self> {
        let known: BTreeSet<String> = accepted.fields().map(str::to_owned).collect();
        (policy != DriftPolicy::Evolve && !known.is_empty()).then(|| Self { policy, known: Arc::new(known) })
    }

    /// The schema changes in the middle of a read.
    pub(super) fn refuse_if_frozen(&self) -> Result<()> {
        if self.policy == DriftPolicy::Freeze {
            return Err(Error::new(
                Class::Schema,
                "read",
                "the schema has changed in the middle of a read, and it is frozen",
            ));
        }
        Ok(())
    }

    /// Applies the policy to a batch, which is rebuilt only if one of its records has an unknown field.
    pub(super) fn apply(&self, batch: &mut Batch) -> Result<Watched> {
        let unknown: Vec<Vec<Field>> = batch.iter().map(|record| self.unknown(record.record)).collect();
        let mut watched = Watched::default();
        if unknown.iter().all(Vec::is_empty) {
            return Ok(watched);
        }
        let mut rebuilt = BatchBuilder::new(batch.stream().clone());
        for (record, fields) in batch.iter().zip(&unknown) {
            if fields.is_empty() {
                rebuilt.push(record);
                continue;
            }
            let key = String::from_utf8_lossy(record.key.unwrap_or(b"null")).into_owned();
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            for name in &names {
                if !watched.unknown.iter().any(|(known, _)| known == name) {
                    watched.unknown.push(((*name).to_owned(), key.clone()));
                }
            }
            match self.policy {
                DriftPolicy::Freeze => {
                    return Err(Error::new(
                        Class::Schema,
                        "read",
                        "a record has a field that the frozen schema does not have",
                    )
                    .with_context("field", names.join(", "))
                    .with_context("key", key));
                }
                DriftPolicy::DiscardRow => {
                    let body = String::from_utf8_lossy(record.record.unwrap_or_default()).into_owned();
                    watched
                        .buried
                        .push((format!("fields that the schema does not have: {}", names.join(", ")), body));
                }
                DriftPolicy::DiscardValue | DriftPolicy::Evolve => {
                    let body = nulled(record.record.unwrap_or_default(), fields);
                    let changes = serde_json::json!(
                        names
                            .iter()
                            .map(|name| serde_json::json!({
                                "field": name, "change": "nulled", "reason": "schema"
                            }))
                            .collect::<Vec<_>>()
                    );
                    let copy = RecordView { record: Some(&body), ..record };
                    rebuilt.push_changed(copy, Some(changes.to_string().as_bytes()));
                }
            }
        }
        *batch = rebuilt.build();
        Ok(watched)
    }

    fn unknown(&self, record: Option<&[u8]>) -> Vec<Field> {
        let text = record.and_then(|record| std::str::from_utf8(record).ok()).unwrap_or("null");
        let mut json = serde_json::Deserializer::from_str(text);
        // The page was checked when it was split; what is no object has no fields.
        json.deserialize_map(Fields { text, known: &self.known }).unwrap_or_default()
    }
}

/// An unknown field, and where its value stands in the record's text.
#[derive(Debug)]
struct Field {
    name: String,
    value: std::ops::Range<usize>,
}

/// The record with these values nulled; nothing else of it changes.
fn nulled(record: &[u8], fields: &[Field]) -> Vec<u8> {
    let mut copy = Vec::with_capacity(record.len());
    let mut at = 0;
    for field in fields {
        copy.extend_from_slice(record.get(at..field.value.start).unwrap_or_default());
        copy.extend_from_slice(b"null");
        at = field.value.end;
    }
    copy.extend_from_slice(record.get(at..).unwrap_or_default());
    copy
}

struct Fields<'a> {
    text: &'a str,
    known: &'a BTreeSet<String>,
}

impl<'de> Visitor<'de> for Fields<'de> {
    type Value = Vec<Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Field>, A::Error> {
        let mut unknown = Vec::new();
        while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            if !self.known.contains(&*name) {
                let start = value.get().as_ptr() as usize - self.text.as_ptr() as usize;
                unknown.push(Field { name: name.into_owned(), value: start..start + value.get().len() });
            }
        }
        Ok(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(policy: DriftPolicy) -> FieldWatch {
        let schema = serde_json::json!({ "properties": { "id": {}, "a": {} } });
        FieldWatch::new(policy, &StreamSpec::new("s", schema)).unwrap()
    }

    fn batch() -> Batch {
        let mut batch = BatchBuilder::new("s".into());
        batch.upsert(b"{\"id\":1}", b"{\"id\":1,\"a\":0.10}", None);
        batch.upsert(
            b"{\"id\":2}",
            b"{\"id\":2, \"new\" : {\"x\":[1,2]} ,\"a\":\"\\u00e4\",\"more\":3}",
            None,
        );
        batch.build()
    }

    #[test]
    fn d_18_discard_value_nulls_what_is_new_in_a_copy_and_says_so() {
        let mut batch = batch();
        let watched = watch(DriftPolicy::DiscardValue).apply(&mut batch).unwrap();
        assert_eq!(batch.get(0).unwrap().record.unwrap(), b"{\"id\":1,\"a\":0.10}");
        assert_eq!(
            batch.get(1).unwrap().record.unwrap(),
            b"{\"id\":2, \"new\" : null ,\"a\":\"\\u00e4\",\"more\":null}"
        );
        assert!(batch.changes(0).is_none());
        let changes: serde_json::Value = serde_json::from_slice(batch.changes(1).unwrap()).unwrap();
        assert_eq!(changes[1]["field"], "more");
        assert_eq!(watched.unknown[0], ("new".to_owned(), "{\"id\":2}".to_owned()));
    }

    #[test]
    fn d_18_discard_row_buries_the_record_whole() {
        let mut batch = batch();
        let watched = watch(DriftPolicy::DiscardRow).apply(&mut batch).unwrap();
        assert_eq!(batch.len(), 1);
        assert!(watched.buried[0].1.contains("\"x\":[1,2]"));
    }

    #[test]
    fn d_18_freeze_fails_and_names_field_and_record() {
        let error = watch(DriftPolicy::Freeze).apply(&mut batch()).unwrap_err();
        assert!(error.to_string().contains("new, more") && error.to_string().contains("{\"id\":2}"));
    }

    #[test]
    fn evolve_does_not_look() {
        let schema = serde_json::json!({ "properties": { "id": {} } });
        assert!(FieldWatch::new(DriftPolicy::Evolve, &StreamSpec::new("s", schema)).is_none());
    }
}
