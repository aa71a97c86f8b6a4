//! What a connector's crate may be called.

use connector_sdk::{Error, Result};

/// The most that crates.io takes.
const MAX_LENGTH: usize = 64;

/// What Rust 2024 keeps for itself (The Rust Reference, "Keywords"), and the crates that come with the compiler.
const RESERVED: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum \
                        extern false final fn for gen if impl in let loop macro match mod move mut override priv \
                        proc_macro pub ref return self static std struct super test trait true try type typeof \
                        unsafe unsized use virtual where while yield";

/// What Windows keeps for devices (Microsoft, "Naming Files, Paths, and Namespaces"), and the folders that Cargo makes
/// beside what it builds: it refuses both, or warns.
const KEPT: &str = "con prn aux nul com0 com1 com2 com3 com4 com5 com6 com7 com8 com9 lpt0 lpt1 lpt2 lpt3 lpt4 lpt5 \
                    lpt6 lpt7 lpt8 lpt9 build deps examples incremental";

/// Packages of the SDK: a lock that names both is none. A test holds the list against the workspace.
const OURS: [&str; 12] = [
    "connector",
    "connector-host",
    "connector-bronze",
    "connector-email",
    "connector-ingress",
    "connector-salesforce",
    "connector-slack",
    "connector-webhook",
    "connector-examples",
    "connector-benches",
    "connector-fuzz",
    "connector-sdk",
];

/// The name of a connector's crate, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Takes a name that Cargo takes for a package, and a manifest for a vendor.
    ///
    /// # Errors
    /// Config, saying what is wrong with it and a name near to it that is right.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let Some(wrong) = wrong(text) else { return Ok(Self(text.to_owned())) };
        let message = format!("`NAME`: `{text}` {wrong}; write `{}`", near(text));
        Err(Error::config("new", message))
    }

    /// The package: `connector-acme`.
    pub(crate) fn package(&self) -> &str {
        &self.0
    }

    /// The library: `connector_acme`.
    pub(crate) fn library(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The vendor, in the names of connectors: `acme`.
    pub(crate) fn system(&self) -> &str {
        let vendor = self.0.strip_prefix("connector-").unwrap_or(&self.0);
        if vendor.starts_with(|first: char| first.is_ascii_lowercase()) { vendor } else { &self.0 }
    }
}

/// What is wrong with a name.
fn wrong(name: &str) -> Option<String> {
    let allowed = |letter: &char| matches!(letter, 'a'..='z' | '0'..='9' | '-' | '_');
    if name.is_empty() {
        return Some("is empty".to_owned());
    }
    if let Some(letter) = name.chars().find(|letter| !allowed(letter)) {
        let letter = letter.escape_debug();
        return Some(format!("has `{letter}` in it: a name is of `a` to `z`, digits, `-` and `_`"));
    }
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some("does not begin with a letter".to_owned());
    }
    if name.len() > MAX_LENGTH {
        return Some(format!("is longer than {MAX_LENGTH} letters"));
    }
    if is_reserved(name) {
        return Some("is a word that Rust keeps for itself".to_owned());
    }
    if KEPT.split_whitespace().any(|word| word == name) {
        return Some("is a name that Windows or Cargo keeps for itself".to_owned());
    }
    if is_taken(name) {
        return Some("is the name of a crate that a connector needs".to_owned());
    }
    None
}

fn is_reserved(name: &str) -> bool {
    let library = name.replace('-', "_");
    RESERVED.split_whitespace().any(|word| word == library)
}

/// Whether the crate would depend on itself, or its binary hide this one. Of `-` and `_` the compiler makes one.
fn is_taken(name: &str) -> bool {
    let name = name.replace('_', "-");
    let same = |line: &str| {
        line.split_once(" = ").is_some_and(|(dependency, _)| dependency.replace('_', "-") == name)
    };
    let needed = super::MANIFEST.split_once("[dependencies]").map_or("", |(_, after)| after);
    let needed = needed.split_once("[lints").map_or("", |(before, _)| before);
    OURS.contains(&name.as_str()) || needed.lines().any(same)
}

/// A name that is right and looks like this one.
fn near(text: &str) -> String {
    let plain: String = text
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' })
        .collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    let joined = words.join("-");
    let begins = joined.trim_start_matches(|first: char| !first.is_ascii_lowercase());
    let short: String = begins.chars().take(MAX_LENGTH).collect();
    let named = [short.clone(), format!("connector-{short}")];
    let right = named.into_iter().find(|name| wrong(name.trim_end_matches('-')).is_none());
    right.unwrap_or_else(|| "connector-acme".to_owned()).trim_end_matches('-').to_owned()
}
