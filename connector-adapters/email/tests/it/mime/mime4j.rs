//! The mails of Apache James mime4j with its trees: every decoded part that it finds is somewhere in our record, and its
//! bytes are the same.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{fixtures, mails, record_with_files};

/// Parts that our record has differently, and why.
const ON_PURPOSE: &[(&str, &str)] = &[
    (
        "malformedHeaderStartsBody-nocrlfcrlf fields",
        "its strict mode ends a head at the first line that is no field; ours, as its lenient one, goes on while fields follow",
    ),
    (
        "malformedHeaderStartsBody-nocrlfcrlf_decoded_1.txt",
        "its strict mode ends a head at the first line that is no field; ours, as its lenient one, goes on while fields follow",
    ),
];

#[test]
fn decoded_parts_of_mime4j_are_in_our_records() {
    let Some(fixtures) = fixtures() else { return };
    let folder = fixtures.join("email/mime4j");
    let mut differences = BTreeSet::new();
    let mut compared = 0;
    for (name, mail) in mails("mime4j") {
        let stem = name.trim_start_matches("mime4j/").trim_end_matches(".msg").to_owned();
        let tree = std::fs::read_to_string(folder.join(format!("{stem}_decoded.xml"))).unwrap();
        let (record, files) = record_with_files(&mail);
        let mut texts = Vec::new();
        collect(&record, &mut texts);
        for part in tree.split("-body name=\"").skip(1) {
            let part = part.split('"').next().unwrap();
            let expected = std::fs::read(folder.join(part)).unwrap();
            compared += 1;
            let stored = files.iter().any(|(_, bytes)| *bytes == expected);
            // Ours are text: the one that is neither ASCII nor UTF-8 is of this charset.
            let expected = match String::from_utf8(expected) {
                Ok(text) => text,
                Err(bytes) => encoding_rs::ISO_8859_15.decode(bytes.as_bytes()).0.into_owned(),
            };
            if !stored && !texts.iter().any(|text| text.contains(&*expected)) {
                eprintln!("{part}: expected {expected:?}, ours {texts:?}");
                differences.insert(part.to_owned());
            }
        }
        // And nothing but them: as many fields as it finds in the head of the mail.
        let head = tree.split("</header>").next().unwrap();
        let fields = head.matches("<field>").count();
        let ours = record["headers"].as_array().unwrap().len();
        if fields != ours {
            eprintln!("{name}: {fields} fields expected, ours {ours}");
            differences.insert(format!("{stem} fields"));
        }
    }
    assert!(compared >= 30, "{compared} parts");
    let on_purpose: BTreeSet<String> = ON_PURPOSE.iter().map(|(part, _)| (*part).to_owned()).collect();
    assert_eq!(differences, on_purpose);
}

/// Texts of a record and of the messages inside it.
fn collect(record: &Value, texts: &mut Vec<String>) {
    for member in ["text", "html"] {
        texts.extend(record[member].as_str().map(str::to_owned));
    }
    for attachment in record["attachments"].as_array().unwrap() {
        if let Some(message) = attachment.get("message") {
            collect(message, texts);
        }
    }
}
