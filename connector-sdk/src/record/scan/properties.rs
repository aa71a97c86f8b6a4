//! For any page whatever, the scan says what serde_json says.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::Value;

use super::{Scan, ScanErrorKind, ScanSpec, oracle, unescape};

/// A JSON value with its number texts and with keys that may stand twice.
#[derive(Debug, Clone)]
enum Json {
    Word(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Names that the oracle's specs look for, and some others.
fn key() -> impl Strategy<Value = String> {
    const WANTED: [&str; 11] =
        ["records", "response", "items", "next", "done", "Id", "attributes", "type", "a", "b", ""];
    prop_oneof![4 => select(&WANTED[..]).prop_map(String::from), 1 => text()]
}

/// Text of all kinds, some longer than a block.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~]{0,80}", "[ü鹿🦌\"\\\\/\u{0}-\u{1f}\u{7f}]{0,40}"]
}

fn word() -> impl Strategy<Value = String> {
    const WORDS: [&str; 9] =
        ["true", "false", "null", "0", "-0", "1e999", "-2.50E-7", "123456789012345678901234567890", "0.1e+1"];
    prop_oneof![select(&WORDS[..]).prop_map(String::from), any::<i64>().prop_map(|number| number.to_string())]
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![word().prop_map(Json::Word), text().prop_map(Json::Text)];
    leaf.prop_recursive(6, 60, 8, |value| {
        prop_oneof![
            vec(value.clone(), 0..8).prop_map(Json::Array),
            vec((key(), value), 0..8).prop_map(Json::Object),
        ]
    })
}

/// Pages as vendors write them: records of one shape, of which each may lack some keys.
fn vendor_page() -> impl Strategy<Value = Json> {
    let record = || {
        const KEYS: [&str; 7] =
            ["Id", "attributes", "a", "b", "type", "Name", "a key of more than thirty-two bytes in all"];
        (subsequence(&KEYS[..], 4..=7), vec(json(), 7))
            .prop_map(|(keys, values)| Json::Object(keys.into_iter().map(String::from).zip(values).collect()))
    };
    let records = vec(prop_oneof![9 => record(), 1 => json()], 0..6).prop_map(Json::Array);
    (records, json(), json(), 0..4).prop_map(|(records, done, next, form)| match form {
        0 => records,
        1 => Json::Object(vec![("done".into(), done), ("records".into(), records), ("next".into(), next)]),
        2 => Json::Object(vec![
            ("records".into(), next),
            ("response".into(), done),
            ("records".into(), records),
        ]),
        _ => {
            let response = Json::Object(vec![("next".into(), next), ("items".into(), records)]);
            Json::Object(vec![("response".into(), response), ("Id".into(), done)])
        }
    })
}

/// A page: a value written with white space and escapes that the choices decide.
fn page() -> impl Strategy<Value = Vec<u8>> {
    let choices = prop_oneof![Just(vec![0]), vec(any::<u8>(), 1..200)];
    (prop_oneof![json(), vendor_page()], choices).prop_map(|(value, choices)| {
        let mut writer = Writer { page: String::new(), choices: choices.into_iter().cycle() };
        writer.value(&value);
        writer.space();
        writer.page.into_bytes()
    })
}

struct Writer<C> {
    page: String,
    choices: C,
}

impl<C: Iterator<Item = u8>> Writer<C> {
    fn choice(&mut self) -> u8 {
        self.choices.next().unwrap_or_default()
    }

    fn space(&mut self) {
        let choice = self.choice();
        if choice > 200 {
            for _ in 0..choice % 40 {
                let space = [' ', '\n', '\r', '\t'][usize::from(self.choice() % 4)];
                self.page.push(space);
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.page.push('"');
        for character in text.chars() {
            match self.choice() {
                240.. => {
                    let mut units = [0; 2];
                    for unit in character.encode_utf16(&mut units) {
                        self.page.push_str(&format!("\\u{unit:04X}"));
                    }
                }
                230.. if character == '/' => self.page.push_str("\\/"),
                _ => {
                    let quoted = Value::from(character.to_string()).to_string();
                    self.page.push_str(&quoted[1..quoted.len() - 1]);
                }
            }
        }
        self.page.push('"');
    }

    fn value(&mut self, value: &Json) {
        self.space();
        match value {
            Json::Word(word) => self.page.push_str(word),
            Json::Text(text) => self.text(text),
            Json::Array(values) => {
                self.page.push('[');
                for (index, value) in values.iter().enumerate() {
                    self.comma(index);
                    self.value(value);
                }
                self.space();
                self.page.push(']');
            }
            Json::Object(members) => {
                self.page.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    self.comma(index);
                    self.space();
                    self.text(key);
                    self.space();
                    self.page.push(':');
                    self.value(value);
                }
                self.space();
                self.page.push('}');
            }
        }
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.space();
            self.page.push(',');
        }
    }
}

/// One thing that can go wrong with a page on its way.
#[derive(Debug, Clone)]
enum Damage {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Truncate(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    let byte = || prop_oneof![select(&b"{}[]\":,\\0e.-tu \n\x00\x1f\x80\xff\xed"[..]), any::<u8>()];
    prop_oneof![
        (place(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (place(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        place().prop_map(Damage::Remove),
        place().prop_map(Damage::Truncate),
        (place(), place()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn damaged(mut page: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if page.is_empty() {
            break;
        }
        let length = page.len();
        match damage {
            Damage::Replace(at, byte) => page[at.index(length)] = *byte,
            Damage::Insert(at, byte) => page.insert(at.index(length), *byte),
            Damage::Remove(at) => drop(page.remove(at.index(length))),
            Damage::Truncate(at) => page.truncate(at.index(length)),
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                page.extend_from_within(from.min(to)..from.max(to));
            }
        }
    }
    page
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn good_pages_are_seen_as_serde_json_sees_them(page in page()) {
        assert!(oracle::strict(&page).is_some());
        oracle::compare(&page);
    }

    #[test]
    fn damaged_pages_are_seen_as_serde_json_sees_them(page in page(), damages in vec(damage(), 1..4)) {
        oracle::compare(&damaged(page, &damages));
    }

    #[test]
    fn any_bytes_are_seen_as_serde_json_sees_them(page in vec(any::<u8>(), 0..200)) {
        oracle::compare(&page);
    }

    #[test]
    fn any_heap_of_tokens_is_seen_as_serde_json_sees_it(
        tokens in vec(
            select(&["{", "}", "[", "]", ":", ",", "\"", "\"Id\"", "\"records\"", "\\", "\\u", "d83d", "\u{e9}", "0",
                     "-", ".5", "e", "true", "nul", " ", "\n", "\u{0}"][..]),
            0..40,
        )
    ) {
        oracle::compare(tokens.concat().as_bytes());
    }

    #[test]
    fn a_page_cut_off_anywhere_ends_too_early(page in page(), cut in any::<prop::sample::Index>()) {
        let page = page.trim_ascii();
        prop_assume!(matches!(page[0], b'{' | b'[' | b'"'));
        let spec = ScanSpec::new(&["records"]).with_record_field(&["Id"]);
        let error = spec.scan(&page[..cut.index(page.len())], &mut Scan::default()).unwrap_err();
        assert_eq!(error.kind, ScanErrorKind::UnexpectedEnd);
    }

    #[test]
    fn picked_values_are_those_of_a_parsed_tree(page in page()) {
        let Ok(tree) = serde_json::from_slice::<Value>(&page) else { return Ok(()) };
        let spec = ScanSpec::new(&["records"])
            .with_page_field(&["done"])
            .with_record_field(&["Id"])
            .with_record_field(&["attributes", "type"]);
        let mut scan = Scan::default();
        let verdict = spec.scan(&page, &mut scan);
        let Some(records) = tree.get("records").and_then(Value::as_array) else {
            assert!(verdict.is_err());
            return Ok(());
        };
        let parsed = |span: super::Span| span.of(&page).map(|raw| serde_json::from_slice::<Value>(raw).unwrap());
        assert_eq!(parsed(scan.page_fields[0]).as_ref(), tree.get("done"));
        assert_eq!(scan.records.len(), records.len());
        for (index, record) in records.iter().enumerate() {
            assert_eq!(parsed(scan.records[index]).as_ref(), Some(record));
            let [id, kind] = scan.fields(index) else { panic!("two fields") };
            assert_eq!(parsed(*id).as_ref(), record.get("Id"));
            assert_eq!(parsed(*kind).as_ref(), record.get("attributes").and_then(|value| value.get("type")));
        }
    }

    #[test]
    fn text_comes_back_from_its_escapes(text in text(), choices in vec(any::<u8>(), 1..50)) {
        let mut writer = Writer { page: String::new(), choices: choices.into_iter().cycle() };
        writer.text(&text);
        assert_eq!(unescape(writer.page.as_bytes()).as_deref(), Some(text.as_str()));
    }

    #[test]
    fn what_is_no_string_has_no_text(raw in vec(select(&b"\"\\ud83a0n \x00\xff"[..]), 0..20)) {
        let right = serde_json::from_slice::<String>(&raw).ok().filter(|_| raw.trim_ascii() == raw);
        assert_eq!(unescape(&raw).map(String::from), right);
    }
}
