//! Mail as it comes: headers of relays, and four kinds of bodies.

use std::fmt::Write as _;

use crate::pages::WORDS;

/// A message of about 10 KB: plain, alternative, with an attachment, or all HTML in base64.
pub(super) fn letter(n: u64) -> Vec<u8> {
    let mix = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut mail = head(n, mix);
    let (kind, body) = match n % 4 {
        0 => ("text/plain; charset=utf-8", text(mix, 8_700)),
        1 => ("multipart/alternative; boundary=\"=_b\"", alternative(mix, 3_600, 4_600)),
        2 => {
            let bytes: Vec<u8> = (0..3_300_u64).map(|at| (mix.wrapping_mul(at + 1) >> 40) as u8).collect();
            let attachment = base64(&bytes);
            let letter = alternative(mix, 1_400, 2_200).replace("=_b", "=_a");
            let body = format!(
                "--=_b\r\nContent-Type: multipart/alternative; boundary=\"=_a\"\r\n\r\n{letter}--=_b\r\n\
                 Content-Type: application/pdf; name=\"report-{n}.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
                 Content-Disposition: attachment; filename=\"report-{n}.pdf\"\r\n\r\n{attachment}--=_b--\r\n"
            );
            ("multipart/mixed; boundary=\"=_b\"", body)
        }
        _ => {
            let html = format!("<html><body>{}</body></html>", text(mix, 6_300));
            ("text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64", base64(html.as_bytes()))
        }
    };
    let _ = write!(mail, "Content-Type: {kind}\r\n\r\n{body}");
    mail.into_bytes()
}

/// A message of some hundred bytes.
pub(super) fn note(n: u64) -> Vec<u8> {
    format!("From: a@example.org\r\nTo: b@example.org\r\nSubject: note {n}\r\nMessage-ID: <{n}@example.org>\r\n\r\nA line.\r\n")
        .into_bytes()
}

fn head(n: u64, mix: u64) -> String {
    let mut head = String::with_capacity(12_000);
    for hop in 0..3 {
        let _ = write!(
            head,
            "Received: from mx{hop}.example.com (mx{hop}.example.com [192.0.2.{hop}])\r\n\tby mail.example.org (Postfix) with \
             ESMTPS id {:08X}\r\n\tfor <ada@example.org>; Sun, 1 Nov 2026 10:{:02}:{:02} +0100 (CET)\r\n",
            mix >> (8 + hop),
            n / 60 % 60,
            n % 60,
        );
    }
    let _ = write!(
        head,
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1;\r\n\th=from:to:subject:date:message-id;\r\n\
         \tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4\r\n\
         From: =?utf-8?q?Ren=C3=A9e?= Sender <sender{}@example.com>\r\nTo: Ada <ada@example.org>, \"B, C.\" <b@example.org>\r\n\
         Subject: =?utf-8?B?UmVwb3J0IOKAkyBuwrog?= {n}\r\nDate: Sun, 1 Nov 2026 10:{:02}:{:02} +0100\r\n\
         Message-ID: <{n}.{mix:x}@example.com>\r\nReferences: <{}@example.com>\r\nMIME-Version: 1.0\r\n",
        mix % 500,
        n / 60 % 60,
        n % 60,
        n / 7,
    );
    head
}

fn alternative(mix: u64, plain: usize, html: usize) -> String {
    let markup = text(mix >> 7, html).replace("\r\n", "=\r\n").replace('a', "=C3=A1");
    format!(
        "--=_b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n--=_b\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n<html>{markup}</html>\r\n--=_b--\r\n",
        text(mix, plain)
    )
}

fn text(mix: u64, length: usize) -> String {
    let mut text = String::with_capacity(length + 80);
    let mut state = mix | 1;
    let mut column = 0;
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS.get((state >> 33) as usize % WORDS.len()).copied().unwrap_or("x");
        text.push_str(word);
        column += word.len() + 1;
        if column > 68 {
            text.push_str("\r\n");
            column = 0;
        } else {
            text.push(' ');
        }
    }
    text.push_str("\r\n");
    text
}

/// In lines of 76 letters.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() / 57 * 78 + 80);
    for line in bytes.chunks(57) {
        for group in line.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let word = byte(0) << 16 | byte(1) << 8 | byte(2);
            for at in 0..4 {
                let letter = LETTERS.get((word >> (18 - 6 * at)) as usize & 63).copied().unwrap_or(b'=');
                text.push(if at > group.len() as u32 { '=' } else { char::from(letter) });
            }
        }
        text.push_str("\r\n");
    }
    text
}
