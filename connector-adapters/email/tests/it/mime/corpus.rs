//! Mails with the parse that the authors of mail-parser expect of them (its JSON, version 0.11), compared member by
//! member, and all other mails of the fixtures as far as they are mails at all.

use std::collections::BTreeSet;

use base64::Engine;
use connector_email::mime::Options;
use serde_json::{Value, json};

use super::{fixtures, mails, record, record_with, record_with_files};

/// Where our record differs from the expected parse, and why it does on purpose. A row that no longer differs fails too.
const ON_PURPOSE: &[(&str, &[&str], &str)] = &[
    ("malformed/000", &["html", "text"], "parts without a body are empty texts"),
    ("malformed/001", &["attachments", "text"], OUTER),
    ("malformed/002", &["attachments", "text"], NEVER),
    ("malformed/003", &["attachments", "text"], NEVER),
    ("malformed/004", &["attachments", "text"], NEVER),
    ("malformed/006", &["attachments", "text"], NEVER),
    (
        "malformed/007",
        &["attachments"],
        "a delimiter right behind the field that names it ends the head of a multipart",
    ),
    ("malformed/008", &["attachments", "html"], OUTER),
    ("malformed/009", &["attachments", "text"], OUTER),
    ("malformed/011", &["attachments", "text"], OUTER),
    ("malformed/012", &["attachments", "attachments[1].text"], OUTER),
    ("malformed/016", &["attachments", "text"], OUTER),
    (
        "malformed/017",
        &["attachments[0].filename"],
        "a disposition that is empty but for a filename still names the file",
    ),
    (
        "malformed/019",
        &["text"],
        "cut and joined at random: lines of a head are passed over as long as fields follow",
    ),
    ("malformed/020", &["html", "text"], TWO_TYPES),
    ("malformed/021", &["html", "text"], TWO_TYPES),
    ("rfc/001", &["attachments[1].filename"], "names of files have no folders"),
    (
        "thirdparty/002",
        &["attachments", "text"],
        "what stands behind padding is not decoded; a text that is no base64 is shown as it is",
    ),
    ("thirdparty/005", &["text"], "a delimiter begins a line (RFC 2046 §5.1.1)"),
    (
        "thirdparty/015",
        &[
            "attachments",
            "attachments[0].attachments",
            "attachments[0].date",
            "attachments[0].from",
            "attachments[0].headers",
            "attachments[0].message_id",
            "attachments[0].subject",
            "attachments[0].text",
        ],
        OUTER,
    ),
];
const OUTER: &str =
    "an outer delimiter ends what is inside (RFC 2046 §5.1.2); mail-parser looks for the innermost only";
const NEVER: &str = "a multipart whose boundary never comes is text for people, with a defect; mail-parser makes it an attachment";
const TWO_TYPES: &str =
    "of two Content-Type the first counts: what stands before its delimiter is a preamble";

#[test]
fn expected_parses_of_mail_parser_are_ours_too() {
    let Some(fixtures) = fixtures() else { return };
    let mut differences = BTreeSet::new();
    let mut compared = 0;
    for (name, mail) in mails("mail-parser") {
        let expected = fixtures.join("email").join(name.replace(".eml", ".json"));
        let expected: Value = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
        compared += 1;
        let (record, files) = record_with_files(&mail);
        compare(&name, "", &expected, &record, &files, &mut differences);
    }
    assert_eq!(compared, 53);
    let on_purpose: BTreeSet<(String, String)> = ON_PURPOSE
        .iter()
        .flat_map(|(name, members, _)| {
            members.iter().map(move |member| (format!("mail-parser/{name}.eml"), (*member).to_owned()))
        })
        .collect();
    let found: BTreeSet<(String, String)> =
        differences.iter().map(|(name, member, _)| (name.clone(), member.clone())).collect();
    for (name, member, what) in &differences {
        if !on_purpose.contains(&(name.clone(), member.clone())) {
            eprintln!("{name} {member}: {what}");
        }
    }
    assert_eq!(found, on_purpose, "differences found, and those on purpose");
}

type Differences = BTreeSet<(String, String, String)>;

fn compare(
    name: &str,
    inside: &str,
    expected: &Value,
    ours: &Value,
    files: &[(String, Vec<u8>)],
    found: &mut Differences,
) {
    let mut differ = |member: &str, expected: &Value, ours: &Value| {
        if expected != ours {
            let what = format!("expected {expected:#}, ours {ours:#}");
            found.insert((name.to_owned(), format!("{inside}{member}"), what));
        }
    };
    let parts = expected["parts"].as_array().unwrap();
    let headers =
        parts.first().map(|part| part["headers"].as_array().unwrap().as_slice()).unwrap_or_default();
    let all = |wanted: &str| -> Vec<&Value> {
        headers.iter().filter(|header| header["name"] == wanted).map(|header| &header["value"]).collect()
    };
    // Of repeated fields we take the first, and all addresses of all.
    let first = |wanted: &str| all(wanted).first().map_or(Value::Null, |value| (*value).clone());
    let text = |value: Value| match value {
        Value::Object(value) if value.contains_key("Text") => value["Text"].clone(),
        Value::Object(value) if value.contains_key("TextList") => value["TextList"][0].clone(),
        _ => Value::Null,
    };
    differ("subject", &text(first("subject")), &ours["subject"]);
    differ("message_id", &text(first("message_id")), &ours["message_id"]);
    differ("date", &first("date").get("DateTime").map_or(Value::Null, utc), &ours["date"]);
    for member in ["from", "to", "cc", "bcc", "reply_to"] {
        let expected: Vec<Value> = all(member).into_iter().flat_map(addresses).collect();
        differ(member, &Value::Array(expected), &ours[member]);
    }
    differ("headers", &json!(headers.len()), &json!(ours["headers"].as_array().unwrap().len()));
    for (member, kind) in [("text", "Text"), ("html", "Html")] {
        let ids = expected[format!("{member}_body").as_str()].as_array().unwrap();
        let bodies: Vec<&str> = ids
            .iter()
            .filter_map(|id| parts[usize::try_from(id.as_u64().unwrap()).unwrap()]["body"][kind].as_str())
            .collect();
        let joined = bodies.iter().fold(String::new(), |mut joined, body| {
            if !joined.is_empty() && !joined.ends_with('\n') {
                joined.push('\n');
            }
            joined + body
        });
        let expected = if bodies.is_empty() { Value::Null } else { Value::String(joined) };
        // Some of the expected parses were made of mails that had LF.
        let lines =
            |value: &Value| value.as_str().map_or(Value::Null, |text| json!(text.replace("\r\n", "\n")));
        differ(member, &lines(&expected), &lines(&ours[member]));
    }
    let attachments: Vec<&Value> = expected["attachments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| &parts[usize::try_from(id.as_u64().unwrap()).unwrap()])
        .collect();
    let our_attachments = ours["attachments"].as_array().unwrap();
    differ("attachments", &json!(attachments.len()), &json!(our_attachments.len()));
    for (number, (expected, ours)) in attachments.iter().zip(our_attachments).enumerate() {
        let mut differ = |member: &str, expected: &Value, ours: &Value| {
            if expected != ours {
                let what = format!("expected {expected:#}, ours {ours:#}");
                found.insert((name.to_owned(), format!("{inside}attachments[{number}].{member}"), what));
            }
        };
        differ("file", &ours["sha256"], &ours["file"]);
        differ("filename", &filename(expected), &ours["filename"]);
        let bytes =
            files.iter().find(|(sha256, _)| ours["sha256"] == json!(sha256)).map(|(_, bytes)| bytes).unwrap();
        match expected["body"].as_object().unwrap().iter().next().unwrap() {
            (kind, body) if kind == "Binary" || kind == "InlineBinary" => {
                let body: Vec<u8> =
                    body.as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8).collect();
                let shown = |bytes: &[u8]| json!(String::from_utf8_lossy(bytes));
                differ("bytes", &shown(&body), &shown(bytes));
            }
            // Ours are the bytes; theirs is text of a charset, the same only where that is UTF-8.
            (kind, body) if kind == "Text" || kind == "Html" => {
                if let Ok(text) = std::str::from_utf8(bytes) {
                    differ("bytes", body, &json!(text));
                }
            }
            (_, message) => match ours.get("message") {
                Some(ours) => {
                    compare(name, &format!("{inside}attachments[{number}]."), message, ours, files, found);
                }
                None => differ("message", &json!("a message"), &Value::Null),
            },
        }
    }
}

fn addresses(value: &Value) -> Vec<Value> {
    let Some(address) = value.get("Address") else { return Vec::new() };
    if let Some(list) = address["List"].as_array() {
        return list.clone();
    }
    let groups = address["Group"].as_array().unwrap();
    groups.iter().flat_map(|group| group["addresses"].as_array().unwrap().clone()).collect()
}

fn filename(part: &Value) -> Value {
    let of = |field: &str, attribute: &str| {
        let headers = part["headers"].as_array().unwrap();
        let value = &headers.iter().find(|header| header["name"] == field)?["value"]["ContentType"];
        let attributes = value["attributes"].as_array()?;
        attributes.iter().find(|one| one["name"] == attribute).map(|one| one["value"].clone())
    };
    of("content_disposition", "filename").or_else(|| of("content_type", "name")).unwrap_or(Value::Null)
}

fn utc(date: &Value) -> Value {
    let number = |member: &str| date[member].as_i64().unwrap();
    let civil = jiff::civil::DateTime::new(
        number("year") as i16,
        number("month") as i8,
        number("day") as i8,
        number("hour") as i8,
        number("minute") as i8,
        number("second") as i8,
        0,
    );
    let Ok(civil) = civil else { return Value::Null };
    let seconds = (number("tz_hour") * 3_600 + number("tz_minute") * 60) as i32;
    let sign = if date["tz_before_gmt"] == true { -1 } else { 1 };
    let zone = jiff::tz::Offset::from_seconds(sign * seconds).unwrap();
    json!(zone.to_timestamp(civil).unwrap().to_string())
}

#[test]
fn every_mail_of_the_fixtures_becomes_a_record_with_its_bytes() {
    if fixtures().is_none() {
        return;
    }
    let mails = mails("");
    assert!(mails.len() > 150, "{} mails", mails.len());
    for (name, mail) in mails {
        let (record, _) = record_with(&mail, &Options { raw: true, ..Options::default() });
        let raw = base64::engine::general_purpose::STANDARD.decode(record["raw"].as_str().unwrap()).unwrap();
        assert!(raw == mail, "{name}: not the same bytes");
        // A mail has headers, or is one of those that are made to have none.
        let headers = record["headers"].as_array().unwrap().len();
        let without = name.contains("noheader") || name == "cpython/msg_19.txt" || name.contains("malformed");
        assert!(headers > 0 || without, "{name}: no headers");
    }
}

#[test]
fn the_same_mail_gives_the_same_record() {
    for (_, mail) in mails("") {
        assert_eq!(record(&mail), record(&mail));
    }
}
