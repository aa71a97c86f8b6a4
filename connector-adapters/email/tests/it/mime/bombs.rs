//! Mails that are made to exhaust who reads them.

use std::time::{Duration, Instant};

use connector_email::mime::{Caps, Options, parse};
use serde_json::Value;

use super::{defects, record, record_with};

/// A deadline for what would else never end: the square of their sizes takes hours. Seconds are measured in benches.
const BOUND: Duration = Duration::from_secs(240);

/// Runs on a thread with the stack of a tokio worker, as the connector does: what recurses dies here.
#[expect(clippy::disallowed_methods, reason = "the time of the processor is what is measured")]
fn bounded(mail: Vec<u8>, check: impl FnOnce(Value, usize) + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(move || {
            let before = Instant::now();
            let mut out = b"{".to_vec();
            parse(&mail, &Options::default(), &mut out);
            out.push(b'}');
            assert!(before.elapsed() < BOUND, "{:?}", before.elapsed());
            assert!(out.len() < (16 << 20) + mail.len() / 3 * 4, "{} bytes of {}", out.len(), mail.len());
            let length = out.len();
            check(serde_json::from_slice(&out).unwrap(), length);
        })
        .unwrap()
        .join()
        .unwrap();
}

fn depth(record: &Value) -> usize {
    let mut depth = 0;
    let mut at = record;
    while let Some(inner) =
        at["attachments"].as_array().and_then(|all| all.iter().find_map(|one| one.get("message")))
    {
        at = inner;
        depth += 1;
    }
    depth
}

#[test]
fn ten_thousand_nested_messages_are_read_to_the_cap_of_depth() {
    for count in [10_000, 100_000] {
        let mail = b"Content-Type: message/rfc822\r\n\r\n".repeat(count);
        bounded(mail, |record, _| {
            assert_eq!(depth(&record), 32);
            assert!(defects(&record).contains(&"depth_cut"));
        });
    }
}

#[test]
fn nested_messages_in_multiparts_are_read_to_the_cap_of_depth() {
    let mut mail = Vec::new();
    for level in 0..10_000 {
        mail.extend_from_slice(
            format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n").as_bytes(),
        );
        mail.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\n");
    }
    bounded(mail, |record, _| assert!(depth(&record) <= 32));
}

#[test]
fn encoded_messages_in_encoded_messages_are_decoded_four_times() {
    use base64::Engine;
    let mut mail = b"Subject: innermost\r\n\r\nfound\r\n".to_vec();
    for _ in 0..30 {
        let body = base64::engine::general_purpose::STANDARD.encode(&mail);
        mail = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
        mail.extend_from_slice(body.as_bytes());
    }
    bounded(mail, |record, _| assert_eq!(depth(&record), 4));
}

#[test]
fn ten_thousand_quoted_printable_messages_are_read_to_the_cap() {
    // `=` is escaped once more on each level, so this is what it looks like from outside.
    let mut mail =
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n".repeat(10_000);
    mail.extend_from_slice(b"Subject: innermost\r\n\r\nfound\r\n");
    bounded(mail, |record, _| assert!((1..=32).contains(&depth(&record))));
}

#[test]
fn half_a_million_parts_are_cut_at_the_cap() {
    let mut mail = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for _ in 0..500_000 {
        mail.extend_from_slice(b"--b\r\n\r\nx\r\n");
    }
    bounded(mail.clone(), |record, _| {
        assert!(defects(&record).contains(&"parts_cut"));
        assert!(record["text"].as_str().unwrap().len() < 40_000);
    });
    let mail = String::from_utf8(mail).unwrap().replace("--b\r\n\r\n", "--b\r\nContent-Type: a/b\r\n\r\n");
    bounded(mail.into_bytes(), |record, _| {
        assert!(defects(&record).contains(&"parts_cut"));
        assert_eq!(record["attachments"].as_array().unwrap().len(), 9_999);
    });
}

#[test]
fn lines_of_a_megabyte_take_no_longer_than_they_are() {
    let size = 1 << 20;
    let fields: &[(&str, &[u8])] = &[
        ("Subject", b"=?"),
        ("Subject", b" =?utf-8?q?a"),
        ("Subject", b"=?utf-8?b?"),
        ("Subject", b"=?utf-8?q?=\r\n "),
        ("To", b"<"),
        ("To", b"<,\""),
        ("To", b"("),
        ("To", b"a@b,"),
        ("To", b"@"),
        ("To", b"a\"@"),
        ("To", b" =?x"),
        ("Cc", b"\\"),
        ("References", b"<a>"),
        ("References", b"<"),
        ("Date", b"(\\"),
        ("Date", b"\r\n "),
        ("Content-Type", b";a*0=b"),
        ("Content-Type", b"text/plain;name*1*=%"),
        ("Content-Type", b"\""),
        ("Content-Type", b"multipart/mixed; boundary=\"\\\""),
        ("Content-Disposition", b"attachment; filename=a(;"),
        ("X", b"\r\n\t"),
        ("X\r\nno field", b"x\r\nno field either\r\n"),
        ("Content-Type: multipart/mixed; boundary=-\r\n\r\n--", b"\n--"),
        ("Content-Type: multipart/mixed; boundary=b\r\n\r\n--", b"\n--b "),
    ];
    for (name, piece) in fields {
        let mut mail = format!("{name}: ").into_bytes();
        mail.extend_from_slice(&piece.repeat(size / piece.len()));
        bounded(mail, |_, _| ());
    }
}

#[test]
fn a_boundary_is_one_line_and_not_long() {
    // Each line that begins with dashes would be compared with all of it.
    let dashes = "%0A--".repeat(2_000);
    let mut mail = format!("Content-Type: multipart/mixed; boundary*=''{dashes}\r\n\r\n").into_bytes();
    mail.extend_from_slice(&b"\n--".repeat(2 << 20));
    bounded(mail, |record, _| assert!(defects(&record).contains(&"boundary_missing")));
}

#[test]
fn fields_full_of_no_parameters_are_read_to_an_end() {
    let field = "Content-Type: a/b\r\nContent-Disposition: attachment;".to_owned()
        + &"=\r\n =".repeat(2_500)
        + "\r\n\r\n";
    let mail = "Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned()
        + &format!("--b\r\n{field}").repeat(1_000);
    bounded(mail.into_bytes(), |record, _| {
        assert_eq!(record["attachments"].as_array().unwrap().len(), 1_000)
    });
}

#[test]
fn files_of_messages_in_messages_have_a_cap_together() {
    let mut mail = b"Content-Type: message/rfc822\r\n\r\n".repeat(30);
    mail.extend_from_slice(&b"x\r\n".repeat(100_000));
    let caps = Caps { files: 1_000_000, ..Caps::default() };
    let (record, parsed) = record_with(&mail, &Options { caps, files: true, ..Options::default() });
    let sum: usize = parsed.files.iter().map(|file| file.bytes(&mail).len()).sum();
    assert!(sum <= 1_000_000, "{sum}");
    assert!(defects(&record).contains(&"attachment_cut"));
}

#[test]
fn a_subject_and_lists_of_addresses_keep_to_the_cap_and_say_so() {
    let mut mail = b"Subject: ".to_vec();
    mail.extend_from_slice(&[1; 200_000]);
    mail.extend_from_slice(b"\r\nReferences: ");
    mail.extend_from_slice(&b"<0123456789@example.org>".repeat(10_000));
    mail.extend_from_slice(b"\r\nTo: ");
    mail.extend_from_slice(&b"a@b,".repeat(20_000));
    let caps = Caps { record: 100_000, ..Caps::default() };
    let mut out = b"{".to_vec();
    parse(&mail, &Options { caps, ..Options::default() }, &mut out);
    out.push(b'}');
    assert!(out.len() < 110_000, "{}", out.len());
    let record: Value = serde_json::from_slice(&out).unwrap();
    for kind in ["header_cut", "addresses_cut"] {
        assert!(defects(&record).contains(&kind), "{kind}");
    }
}

#[test]
fn a_record_is_as_large_as_its_cap() {
    let caps = Caps { record: 200_000, text: 50_000, ..Caps::default() };
    let mut mail = b"To: ".to_vec();
    mail.extend_from_slice(&b"a,".repeat(200_000));
    mail.extend_from_slice(b"\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n");
    mail.extend_from_slice(&[1; 400_000]);
    for number in 0..5_000 {
        mail.extend_from_slice(format!("\r\n--b\r\nContent-Type: a/b; name=n{number}\r\n\r\n").as_bytes());
    }
    let mut out = b"{".to_vec();
    parse(&mail, &Options { caps: caps.clone(), raw: true, ..Options::default() }, &mut out);
    out.push(b'}');
    assert!(out.len() < 220_000, "{}", out.len());
    let (record, _) = record_with(&mail, &Options { caps, raw: true, ..Options::default() });
    let kinds = defects(&record);
    for kind in ["text_cut", "record_cut", "raw_cut"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn a_mail_that_was_cut_says_so() {
    let (record, parsed) =
        record_with(b"Subject: a\r\n\r\nbody", &Options { size: Some(1_000), ..Options::default() });
    assert_eq!(defects(&record), ["message_cut"]);
    assert_eq!(parsed.defects, 1);
    assert_eq!(record["text"], "body");
    let (whole, _) =
        record_with(b"Subject: a\r\n\r\nbody", &Options { size: Some(18), ..Options::default() });
    assert!(defects(&whole).is_empty());
}

#[test]
fn nothing_at_all_is_a_record_too() {
    let record = record(b"");
    assert_eq!(record["subject"], Value::Null);
    assert_eq!(record["attachments"].as_array().unwrap().len(), 0);
}
