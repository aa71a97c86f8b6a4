//! Mails become records: those that others collected, those that are made to hurt, and any bytes at all.

mod bombs;
mod corpus;
mod mime4j;
mod properties;
mod reading;

use connector_email::mime::{Options, Parsed, parse};
use serde_json::Value;

/// The record of a mail, which has to be JSON.
fn record(mail: &[u8]) -> Value {
    record_with(mail, &Options::default()).0
}

fn record_with(mail: &[u8], options: &Options) -> (Value, Parsed) {
    let mut out = b"{".to_vec();
    let parsed = parse(mail, options, &mut out);
    out.push(b'}');
    let record = serde_json::from_slice(&out)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out[..out.len().min(2_000)])));
    (record, parsed)
}

/// The record with its attachments named by their hash, and the attachments.
fn record_with_files(mail: &[u8]) -> (Value, Vec<(String, Vec<u8>)>) {
    let mut out = b"{".to_vec();
    let parsed = parse(mail, &Options { files: true, ..Options::default() }, &mut out);
    let hex = |sha256: &[u8; 32]| sha256.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let names: Vec<String> = parsed.files.iter().map(|file| hex(&file.sha256)).collect();
    parsed.name_files(&mut out, &names);
    out.push(b'}');
    let files = parsed.files.iter().map(|file| (hex(&file.sha256), file.bytes(mail).to_vec())).collect();
    (serde_json::from_slice(&out).unwrap(), files)
}

/// The kinds of the defects of a record.
fn defects(record: &Value) -> Vec<&str> {
    record["defects"].as_array().unwrap().iter().map(|defect| defect["kind"].as_str().unwrap()).collect()
}

/// All mails of a folder of fixtures: name and bytes. Several of a mailbox file have their number behind its name.
fn mails(folder: &str) -> Vec<(String, Vec<u8>)> {
    let Some(fixtures) = fixtures() else { return Vec::new() };
    let mut found = Vec::new();
    let mut folders = vec![fixtures.join("email").join(folder)];
    while let Some(path) = folders.pop() {
        for entry in std::fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(fixtures.join("email")).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            if name.starts_with("mail-auth/dkim")
                && let Some(keys) = bytes.windows(2).position(|pair| pair == b"\n\n")
            {
                // The keys of the signers stand before the mail.
                bytes.drain(..keys + 2);
            }
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("eml" | "msg") => found.push((name, bytes)),
                Some("txt") if !name.contains("_decoded_") && !name.starts_with("transcripts") => {
                    found.push((name, bytes))
                }
                Some("mbox") => {
                    let text = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
                    let mut mails: Vec<Vec<u8>> = Vec::new();
                    for line in text {
                        if line.starts_with(b"From ") {
                            mails.push(Vec::new());
                        } else if let Some(mail) = mails.last_mut() {
                            mail.extend_from_slice(&line);
                            mail.push(b'\n');
                        }
                    }
                    let numbered = |(number, mail)| (format!("{name}#{}", number + 1), mail);
                    found.extend(mails.into_iter().enumerate().map(numbered));
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn fixtures() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("CONNECTOR_FIXTURES").map(std::path::PathBuf::from);
    if folder.is_none() {
        eprintln!("CONNECTOR_FIXTURES is not set: mails of others are left out");
    }
    folder
}
