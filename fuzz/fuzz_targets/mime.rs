//! Any bytes are a mail: its record is JSON, of bounded size, with the bytes as they came, and no stack overflows.
#![no_main]

use base64::Engine;
use connector_email::mime::{Caps, Options, parse};

libfuzzer_sys::fuzz_target!(|mail: &[u8]| {
    let mut out = b"{".to_vec();
    let parsed = parse(mail, &Options { raw: true, files: true, ..Options::default() }, &mut out);
    let paths: Vec<String> = (0..parsed.files.len()).map(|number| format!("files/\"{number}")).collect();
    parsed.name_files(&mut out, &paths);
    out.push(b'}');
    assert!(out.len() < 4_096 + 100 * mail.len(), "{} bytes of {}", out.len(), mail.len());
    let record: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let raw = base64::engine::general_purpose::STANDARD.decode(record["raw"].as_str().unwrap()).unwrap();
    assert!(raw == mail, "not the same bytes");

    let caps = Caps {
        record: 2_000,
        text: 100,
        attachment: 10,
        files: 20,
        headers: 3,
        header: 50,
        all_headers: 100,
        parts: 4,
        depth: 2,
    };
    let mut out = b"{".to_vec();
    parse(mail, &Options { caps, raw: true, files: true, size: Some(1 << 30) }, &mut out);
    out.push(b'}');
    assert!(out.len() < 64_000, "{} bytes with small caps", out.len());
    let _: serde_json::Value = serde_json::from_slice(&out).unwrap();
});
