//! What serde_json says of a page, slowly and surely: the properties and the fuzz target compare with it.
//!
//! Everything is cut out as [`RawValue`], because `Value` refuses numbers that are too large for an f64.

use std::{fmt, ops::Range};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Scan, ScanErrorKind, ScanSpec, Span};

/// What is looked for. Three forms of spec, so that each page is asked in different ways.
struct Wanted {
    records: &'static [&'static str],
    page_fields: &'static [&'static [&'static str]],
    record_fields: &'static [&'static [&'static str]],
}

const WANTED: [Wanted; 3] = [
    Wanted {
        records: &["records"],
        page_fields: &[&["done"], &["response", "next"], &[]],
        record_fields: &[&["Id"], &["attributes", "type"], &["attributes"], &["a", "b", "a"]],
    },
    Wanted {
        records: &["response", "items"],
        page_fields: &[
            &["response"],
            &["response", "items"],
            &["response", "items", "Id"],
            &["response", "next"],
        ],
        record_fields: &[&[], &["Id"], &["Id"], &["b"]],
    },
    Wanted { records: &[], page_fields: &[&["Id"]], record_fields: &[&["a", "b"], &["a", "Id"], &["type"]] },
];

/// Panics where the scan and serde_json see different things in the page.
pub(crate) fn compare(page: &[u8]) {
    let mut scan = Scan::default();
    for wanted in &WANTED {
        let spec = ScanSpec::new(wanted.records);
        let spec = wanted.page_fields.iter().fold(spec, |spec, path| spec.with_page_field(path));
        let spec = wanted.record_fields.iter().fold(spec, |spec, path| spec.with_record_field(path));
        let verdict = spec.scan(page, &mut scan);
        let Some(value) = strict(page) else {
            let error = verdict.expect_err("serde_json refuses it");
            let structure =
                matches!(error.kind, ScanErrorKind::RecordsMissing | ScanErrorKind::RecordsNotAnArray);
            assert!(
                !structure,
                "serde_json refuses it, and the scan says: {error}: {:?} {:?}",
                String::from_utf8_lossy(page),
                serde_json::from_slice::<&RawValue>(page)
            );
            assert!(error.offset <= page.len(), "{error}");
            // What stands before the error could still have become JSON.
            match spec.scan(&page[..error.offset], &mut scan).map_err(|error| error.kind) {
                Err(ScanErrorKind::UnexpectedEnd) => {}
                before => {
                    let trailing = matches!(error.kind, ScanErrorKind::TrailingData | ScanErrorKind::Utf8);
                    assert!(trailing, "{error}, and before it {before:?}");
                }
            }
            continue;
        };
        let Some(records) = at_path(value, wanted.records) else {
            assert_eq!(verdict.map_err(|error| error.kind), Err(ScanErrorKind::RecordsMissing));
            continue;
        };
        let Ok(records) = serde_json::from_str::<Vec<&RawValue>>(records.get()) else {
            let at = Err((ScanErrorKind::RecordsNotAnArray, place(page, records).start));
            assert_eq!(verdict.map_err(|error| (error.kind, error.offset)), at);
            continue;
        };
        assert_eq!(verdict, Ok(()));
        let found: Vec<_> = scan.records.iter().map(|span| span.range()).collect();
        assert_eq!(found, records.iter().map(|record| Some(place(page, record))).collect::<Vec<_>>());
        assert_fields(page, &scan.page_fields, value, wanted.page_fields);
        for (index, record) in records.iter().enumerate() {
            assert_fields(page, scan.fields(index), record, wanted.record_fields);
        }
    }
}

fn assert_fields(page: &[u8], found: &[Span], value: &RawValue, paths: &[&[&str]]) {
    let found: Vec<_> = found.iter().map(|span| span.range()).collect();
    let right: Vec<_> =
        paths.iter().map(|path| at_path(value, path).map(|value| place(page, value))).collect();
    assert_eq!(found, right);
}

/// The value of the page, when it is JSON, nests at most 128 deep, and all its strings are text.
pub(crate) fn strict(page: &[u8]) -> Option<&RawValue> {
    let value = serde_json::from_slice::<&RawValue>(page).ok()?;
    is_strict(value, 128).then_some(value)
}

fn is_strict(value: &RawValue, depth: usize) -> bool {
    match value.get().as_bytes()[0] {
        b'"' => serde_json::from_str::<String>(value.get()).is_ok(),
        b'{' if depth > 0 => {
            members(value).is_some_and(|all| all.iter().all(|(_, value)| is_strict(value, depth - 1)))
        }
        b'[' if depth > 0 => serde_json::from_str::<Vec<&RawValue>>(value.get())
            .is_ok_and(|all| all.iter().all(|value| is_strict(value, depth - 1))),
        b'{' | b'[' => false,
        _ => true,
    }
}

/// The value at a path; of two equal keys the last counts.
fn at_path<'a>(value: &'a RawValue, path: &[&str]) -> Option<&'a RawValue> {
    path.iter().try_fold(value, |value, name| {
        members(value)?.into_iter().rev().find_map(|(key, value)| (key == *name).then_some(value))
    })
}

fn members(value: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Members<'_>>(value.get()).ok().map(|members| members.0)
}

/// Where in the page serde_json has cut the value out.
fn place(page: &[u8], value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr() as usize - page.as_ptr() as usize;
    start..start + value.get().len()
}

/// An object's members, all of them, in order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}
