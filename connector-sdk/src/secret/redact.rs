//! Words of somebody else, before they are shown.

/// What stands in the place of a secret.
const HIDDEN: &str = "[secret]";

/// Parameters whose value is hidden wherever they stand, in lower case.
const ALWAYS: [&str; 14] = [
    "sig",
    "assertion",
    "client_assertion",
    "samlresponse",
    "samlrequest",
    "sid",
    "jwt",
    "pwd",
    "api_key",
    "apikey",
    "code_verifier",
    "x-amz-credential",
    "authorization",
    "cookie",
];
/// The same, by the end of their names: `access_token`, `client_secret`, `X-Amz-Signature`.
const ENDS: [&str; 5] = ["token", "secret", "password", "passphrase", "signature"];
/// Hidden in the query of a URL only: elsewhere they are words like any other.
const IN_QUERIES: [&str; 4] = ["key", "code", "auth", "session"];

/// The text without what is a secret by its place: user and password of a URL, parameters of a query or a
/// form and members of JSON by their names (`sig`, `access_token`, `X-Amz-Signature`, …), and what follows
/// `Bearer` or `Basic`. For a vendor's words in an error. It finds no secret that stands alone; where
/// nothing else is known about a text, do not show it.
///
/// ```
/// use connector_sdk::secret::redacted;
/// assert_eq!(
///     redacted("cannot fetch https://me:pw@files.example/a.csv?part=1&X-Amz-Signature=ab12"),
///     "cannot fetch https://[secret]@files.example/a.csv?part=1&X-Amz-Signature=[secret]",
/// );
/// ```
#[must_use]
pub fn redacted(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        if word == 0 {
            let hidden = rest.strip_prefix("://").and_then(|after| {
                let authority = after.get(..end_of(after, &['/', '?', '#', '\\']))?;
                Some((after, authority.rfind('@')?))
            });
            if let Some((after, at)) = hidden {
                out.push_str("://");
                out.push_str(HIDDEN);
                rest = after.get(at..).unwrap_or_default();
            } else {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
            continue;
        }
        let (name, after) = rest.split_at(word);
        let queried = out.ends_with(['?', '&']);
        out.push_str(name);
        rest = after;
        if let Some((lead, length)) = value(name, after, queried) {
            out.push_str(after.get(..lead).unwrap_or_default());
            out.push_str(HIDDEN);
            rest = after.get(lead + length..).unwrap_or_default();
        }
    }
    out
}

/// Where, after this name, a value to hide begins, and how long it is.
fn value(name: &str, after: &str, queried: bool) -> Option<(usize, usize)> {
    let lower = name.to_ascii_lowercase();
    if matches!(lower.as_str(), "bearer" | "basic") {
        let value = after.strip_prefix(' ')?;
        let length = value.find(|c: char| !(is_name(c) || "~+/=".contains(c))).unwrap_or(value.len());
        // A word, such as in "basic authentication", is none.
        let is_word = value.get(..length)?.chars().all(|c| c.is_ascii_lowercase());
        return (length > 0 && !is_word).then_some((1, length));
    }
    let hides = ALWAYS.contains(&lower.as_str())
        || ENDS.iter().any(|end| lower.ends_with(end))
        || queried && IN_QUERIES.contains(&lower.as_str());
    if !hides {
        return None;
    }
    if let Some(value) = after.strip_prefix('=') {
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (lead, value) = quote.map_or((1, value), |_| (2, value.get(1..).unwrap_or_default()));
        let length = end_of(value, &['&', '#', ';', ',', ')']);
        return (length > 0).then_some((lead, length));
    }
    // A member of JSON: `"name" : "value"`.
    let value = after.strip_prefix('"')?.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let length = value.find('"').unwrap_or(value.len());
    Some((after.len() - value.len(), length))
}

/// Where a part of a URL ends: at white space, quotes, brackets, and these.
fn end_of(text: &str, ends: &[char]) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>') || ends.contains(&c);
    text.find(ends).unwrap_or(text.len())
}

/// Whether a name, or a token, may have it.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_hidden_by_their_place() {
        for text in [
            "https://hunter2@host/",
            "https://me:hunter2@host:8443/path?x=1",
            "https://me:p@hunter2@host",
            "GET /x?a=1&sig=hunter2 failed",
            "https://host/?X-Amz-Signature=hunter2&b=1",
            "https://host/?X-AMZ-SECURITY-TOKEN=hunter2",
            "/?token=hunter2",
            "/?key=hunter2",
            "/callback?code=hunter2&state=1",
            "grant_type=refresh_token&refresh_token=hunter2",
            "client_id=me&client_secret=hunter2",
            "client_secret='hunter2'",
            "assertion=hunter2;",
            "SAMLResponse=hunter2",
            r#"{"access_token":"hunter2","a":1}"#,
            r#"{"Password" : "hunter2"}"#,
            "Authorization: Bearer hunter2",
            "authorization=hunter2",
            "Basic aHVudGVyMg==hunter2, and",
        ] {
            let shown = redacted(text);
            assert!(!shown.contains("hunter2") && shown.contains(HIDDEN), "{text} → {shown}");
        }
    }

    #[test]
    fn other_words_stay_as_they_are() {
        for text in [
            "",
            "https://host:8443/path?part=1&code_page=utf8#top",
            "No such column 'Key' on entity 'Contact': code=5, mail me@acme.example",
            "the token is missing; basic authentication and bearer tokens are refused",
            "ä → ü ://",
            "token= and secret=",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_what_is_hidden_stays_hidden(text in ".{0,60}", value in "[a-z]{3}[0-9]{9}") {
            let shown = redacted(&format!("{text}?access_token={value}&x={text}"));
            prop_assert!(!shown.contains(&value));
        }
    }
}
