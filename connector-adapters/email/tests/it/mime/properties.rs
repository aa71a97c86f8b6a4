//! Whatever the bytes: a record of valid JSON, of bounded size, with the bytes as they came.

use base64::Engine;
use connector_email::mime::{Caps, Options, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// Pieces that mean something to a reader of mail, in any order.
fn mail() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "\r\n", "\n", "\r", "\r\n\r\n", "--b", "--b--", "--b\r\n", "--c\r\n", "--c--\r\n", ": ", ",", ";", "\"", "\\", "<", ">",
            "(", ")", "@", "=?utf-8?q?", "=?iso-2022-jp?b?", "?=", "=C3", "=", "%C3%A9", "\0", "\u{1b}$B",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        2 => prop::sample::select(vec![
            "Subject: ", "From: ", "To: a <b@c>, ", "Date: Thu, 15 Feb 2007 01:02:03 +0200", "References: <a@b> ", "Message-ID: <",
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "Content-Type: multipart/alternative; boundary=\"c\"\r\n\r\n",
            "Content-Type: message/rfc822\r\n\r\n", "Content-Type: multipart/digest; boundary=b\r\n\r\n",
            "Content-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding: quoted-printable\r\n",
            "Content-Type: text/html; charset=shift_jis\r\n", "Content-Type: text/plain; charset=utf-7\r\n",
            "Content-Transfer-Encoding: x-uuencode\r\n", "begin 644 a\r\n",
            "Content-Disposition: attachment; filename*0*=utf-8''%e2%82; filename*1*=%ac", "Content-ID: <x>\r\n",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..24),
        1 => "[A-Za-z0-9+/= ]{0,40}".prop_map(String::into_bytes),
    ];
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn check(mail: &[u8]) {
    let mut out = b"{".to_vec();
    parse(mail, &Options { raw: true, files: true, ..Options::default() }, &mut out);
    out.push(b'}');
    let record: Value = serde_json::from_slice(&out).expect("JSON");
    let raw = base64::engine::general_purpose::STANDARD.decode(record["raw"].as_str().unwrap()).unwrap();
    assert!(raw == mail, "not the same bytes");
    assert!(out.len() < 4_096 + 100 * mail.len(), "{} bytes of {}", out.len(), mail.len());

    let small = Caps {
        record: 2_000,
        text: 100,
        attachment: 10,
        headers: 3,
        header: 50,
        all_headers: 100,
        parts: 4,
        depth: 2,
    };
    let mut out = b"{".to_vec();
    let parsed = parse(mail, &Options { caps: small, raw: true, files: true, size: Some(1 << 30) }, &mut out);
    out.push(b'}');
    let _: Value = serde_json::from_slice(&out).expect("JSON with small caps");
    assert!(out.len() < 64_000, "{} bytes with small caps", out.len());
    assert!(parsed.files.iter().all(|file| file.bytes.len() <= 10));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_looks_like_a_mail_is_a_record(mail in mail()) {
        check(&mail);
    }

    #[test]
    fn any_bytes_are_a_record(mail in vec(any::<u8>(), 0..2_000)) {
        check(&mail);
    }
}

#[test]
fn every_beginning_of_a_mail_is_a_record() {
    for (_, mail) in super::mails("mail-parser/malformed") {
        for end in (0..mail.len().min(3_000)).step_by(7) {
            check(&mail[..end]);
        }
    }
}
