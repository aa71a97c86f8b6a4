//! Which names have a secret as their value.

/// Whole names, in lower case, without `-`, `_` and `.`.
const WHOLE: [&str; 7] =
    ["sig", "sid", "jwt", "samlresponse", "samlrequest", "codeverifier", "verificationcode"];

/// Ends of names: `access_token`, `client_secret`, `X-Amz-Signature`, `PHPSESSID`.
const ENDS: [&str; 20] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "signature",
    "assertion",
    "credential",
    "sessionid",
    "sessid",
    "authcode",
    "authorizationcode",
    "devicecode",
    "apikey",
    "authkey",
    "accesskey",
    "privatekey",
    "secretkey",
];

/// The same without anything between the words, where `key` alone would take `monkey` too.
const KEYS: [&str; 12] = [
    "subscriptionkey",
    "consumerkey",
    "accountkey",
    "masterkey",
    "sharedkey",
    "sessionkey",
    "signingkey",
    "encryptionkey",
    "licensekey",
    "appkey",
    "hostkey",
    "storagekey",
];

/// Keys that are no secret, by the word before `key`.
const OPEN_KEYS: [&str; 18] = [
    "primary",
    "foreign",
    "partition",
    "sort",
    "public",
    "cache",
    "idempotency",
    "row",
    "unique",
    "issue",
    "project",
    "natural",
    "composite",
    "external",
    "object",
    "duplicate",
    "range",
    "hash",
];

/// Tokens that are no secret, by the word before `token`: places in a list, and a parser's complaints.
const OPEN_TOKENS: [&str; 8] =
    ["page", "pagination", "continuation", "sync", "next", "unexpected", "cursor", "resume"];

/// Values of headers, to the end of the line.
const LINES: [&str; 6] =
    ["authorization", "proxyauthorization", "cookie", "setcookie", "xauthorization", "passphrase"];

/// A secret in the query of a URL or in a form only: elsewhere they are words like any other.
const IN_QUERIES: [&str; 7] = ["key", "code", "auth", "session", "pass", "otp", "ticket"];

/// What a name may have after the word that counts: `password_confirmation`, `token2`.
const TAILS: [&str; 9] =
    ["confirmation", "confirm", "hash", "value", "new", "old", "again", "base64", "encoded"];

/// How a name begins that is a complaint: `INVALID_SESSION_ID: Session expired`.
const COMPLAINTS: [&str; 9] = [
    "invalid",
    "missing",
    "expired",
    "unsupported",
    "unknown",
    "malformed",
    "incorrect",
    "duplicate",
    "bad_",
];

/// Words of prose where a value could stand: `token: expired`, `"password": null`.
const WORDS: [&str; 48] = [
    "and",
    "are",
    "blank",
    "cannot",
    "could",
    "denied",
    "does",
    "empty",
    "expired",
    "failed",
    "false",
    "found",
    "has",
    "in",
    "incorrect",
    "invalid",
    "is",
    "it",
    "malformed",
    "may",
    "missing",
    "must",
    "no",
    "none",
    "not",
    "null",
    "or",
    "permission",
    "please",
    "refused",
    "rejected",
    "required",
    "revoked",
    "session",
    "should",
    "string",
    "the",
    "this",
    "too",
    "true",
    "unauthorized",
    "undefined",
    "unknown",
    "unsupported",
    "was",
    "with",
    "wrong",
    "you",
];

/// What is hidden after a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hides {
    Nothing,
    /// Its value.
    Value,
    /// Its value where that is a list or a map: elsewhere `tokens: 5` is a number of them.
    List,
    /// All that follows in its line.
    Line,
}

/// What is hidden after this name; `queried` when it stands in a query or a form.
pub(super) fn hides(name: &str, queried: bool) -> Hides {
    let lower = name.to_ascii_lowercase();
    if COMPLAINTS.iter().any(|complaint| lower.starts_with(complaint)) {
        return Hides::Nothing;
    }
    let plain = lower.replace(['-', '_', '.'], "");
    if LINES.contains(&plain.as_str()) {
        return Hides::Line;
    }
    let queried = queried && IN_QUERIES.contains(&plain.as_str());
    let one = plain.strip_suffix('s').unwrap_or_default();
    match () {
        () if queried || is_secret(name, &plain) => Hides::Value,
        () if is_secret(name.trim_end_matches(['s', 'S']), one) => Hides::List,
        () => Hides::Nothing,
    }
}

fn is_secret(name: &str, plain: &str) -> bool {
    let plain = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    let plain = TAILS
        .iter()
        .find_map(|tail| plain.strip_suffix(tail))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(plain);
    if WHOLE.contains(&plain) {
        return true;
    }
    let before = |word: &str| plain.strip_suffix(word).unwrap_or(plain);
    if plain.ends_with("token") && OPEN_TOKENS.iter().any(|open| before("token").ends_with(open)) {
        return false;
    }
    if ENDS.iter().chain(&KEYS).any(|end| plain.ends_with(end)) {
        return true;
    }
    let key_alone = plain.len() > "key".len()
        && (name.ends_with("Key")
            || ["-key", "_key", ".key", "_KEY", "-Key"].iter().any(|end| name.ends_with(end)));
    key_alone && !OPEN_KEYS.iter().any(|open| before("key").ends_with(open))
}

/// Whether this is a word such as stands in a sentence.
pub(super) fn is_word(value: &str) -> bool {
    let word = value.trim_end_matches(|c: char| c.is_ascii_punctuation()).to_ascii_lowercase();
    WORDS.contains(&word.as_str())
}

/// Whether this is a secret that is known by its look: vendors give theirs a beginning to that end.
pub(super) fn looks_secret(text: &str) -> bool {
    const BEGINNINGS: [&str; 16] = [
        "eyJ",
        "xoxb-",
        "xoxp-",
        "xoxa-",
        "xoxr-",
        "xapp-",
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "sk_live_",
        "rk_live_",
        "hvs.",
        "ya29.",
        "5Aep",
    ];
    text.len() >= 20 && BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}
