//! Reads the vectors of Project Wycheproof (github.com/C2SP/wycheproof), for tests.

use serde::de::DeserializeOwned;

/// A file of vectors; none where the fixtures are not named.
pub(super) fn read<T: DeserializeOwned>(file: &str) -> Option<T> {
    let Some(folder) = std::env::var_os("CONNECTOR_FIXTURES") else {
        eprintln!("skipped: CONNECTOR_FIXTURES does not name the fixtures");
        return None;
    };
    let path = std::path::PathBuf::from(folder).join("webhook/wycheproof").join(file);
    let text = std::fs::read(path).expect("the vectors can be read");
    Some(serde_json::from_slice(&text).expect("the vectors are as they were"))
}

/// The bytes of a text in hexadecimal, of any length.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).expect("a digit") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
