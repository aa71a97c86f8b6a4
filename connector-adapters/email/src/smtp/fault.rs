//! What a server's refusal means: who has to act, and when to come back.
//!
//! The enhanced code (RFC 3463) wins over the code, and both over the text, of which only a wait is read.

use std::time::Duration;

use connector_sdk::{Class, Delivery, Error};

use super::reply::Reply;

/// How long who was greylisted stays away. Servers want one to five minutes (RFC 6647, 5).
const GREYLISTED: Duration = Duration::from_secs(60);
/// How long who finds a mailbox full stays away.
const FULL: Duration = Duration::from_secs(30 * 60);
/// How long who is told to slow down stays away: limits of large vendors are by the minute.
const THROTTLED: Duration = Duration::from_secs(60);
/// Who names a shorter wait in a text is asked no sooner than this: such a wait does not count as an attempt.
const SHORTEST_WAIT: Duration = Duration::from_secs(10);
/// A wait that a text names is believed up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What to do about a reply that is not 2yz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) class: Class,
    /// When to come back, where that is known.
    pub(crate) retry_after: Option<Duration>,
}

/// Judges a reply that is not 2yz.
pub(crate) fn verdict(reply: &Reply) -> Verdict {
    let parts: Vec<u16> = reply
        .enhanced()
        .map(|code| code.split('.').filter_map(|part| part.parse().ok()).collect())
        .unwrap_or_default();
    let (subject, detail) = (parts.get(1).copied(), parts.get(2).copied());
    let text = reply.text().to_lowercase();
    let is_grey = text.contains("greylist") || text.contains("graylist") || text.contains("grey-list");
    let (class, wait) = match (reply.code, subject, detail) {
        // A credential, or none where one is needed (RFC 4954, 6). 5.7.30 and 5.7.139: Microsoft, basic authentication.
        (454, ..) => (Class::Transient, None),
        (432 | 534 | 535 | 538, Some(7), _) | (534 | 535 | 538, ..) => (Class::Auth, None),
        (500..=599, Some(7), Some(8 | 9 | 30 | 57 | 139)) => (Class::Auth, None),
        (530, ..) => (Class::Config, None),
        (400..=499, Some(2), Some(2)) => (Class::Transient, Some(FULL)),
        // Too many recipients in one go: those that are left are for the next.
        (400..=499, Some(5), Some(3)) => (Class::Transient, None),
        (450 | 451, ..) if is_grey => (Class::RateLimited, Some(GREYLISTED)),
        (450 | 451, Some(7), Some(0 | 1)) => (Class::RateLimited, Some(GREYLISTED)),
        (400..=499, Some(7), _) | (400..=499, Some(3), Some(2)) if is_rate(&text) => {
            (Class::RateLimited, Some(THROTTLED))
        }
        // Google: 4.7.28 is a rate, whatever it says.
        (400..=499, Some(7), Some(28)) => (Class::RateLimited, Some(THROTTLED)),
        (400..=499, ..) => (Class::Transient, None),
        _ => (Class::Permanent, None),
    };
    let named = reply.is_put_off().then(|| named_wait(&text)).flatten();
    Verdict { class, retry_after: named.or(wait) }
}

fn is_rate(text: &str) -> bool {
    ["rate", "limit", "too many", "throttl", "slow down"].iter().any(|word| text.contains(word))
}

/// A wait in the words of a server: `try again in 5 minutes`, `retry after 300 seconds`, `Greylisted for 00:04:59`.
fn named_wait(text: &str) -> Option<Duration> {
    let is_about_time =
        ["again", "retry", "greylist", "later", "wait"].iter().any(|word| text.contains(word));
    if !is_about_time {
        return None;
    }
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | ';')).collect();
    let of = |pair: &[&str]| {
        let count: u64 = pair[0].parse().ok()?;
        let unit = match pair[1] {
            unit if unit.starts_with("sec") || unit == "s" => 1,
            unit if unit.starts_with("min") => 60,
            unit if unit.starts_with("hour") => 3600,
            _ => return None,
        };
        Some(Duration::from_secs(count.saturating_mul(unit)))
    };
    let found = words.windows(2).find_map(of).or_else(|| words.iter().find_map(|word| clock(word)));
    found.filter(|wait| !wait.is_zero()).map(|wait| wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

/// `00:04:59`.
fn clock(word: &str) -> Option<Duration> {
    let parts: Option<Vec<u64>> = word
        .trim_end_matches(['.', '!'])
        .split(':')
        .map(|part| part.parse().ok().filter(|_| part.len() == 2))
        .collect();
    match parts?.as_slice() {
        [hours, minutes, seconds] => Some(Duration::from_secs(hours * 3600 + minutes * 60 + seconds)),
        _ => None,
    }
}

/// A reply that ends what was being done. `shown` is its text without secrets.
pub(crate) fn error(operation: &'static str, reply: &Reply, shown: &str) -> Error {
    let verdict = verdict(reply);
    let what = match verdict.class {
        Class::Auth => "the server does not accept the credential",
        Class::Config if reply.code == 530 => "the server wants a sign-in, or TLS: see `auth` and `tls`",
        Class::RateLimited | Class::Transient => "the server puts us off",
        _ => "the server refuses",
    };
    let error = Error::new(verdict.class, operation, what).with_delivery(Delivery::Answered);
    let error = error.with_context("code", reply.code).with_context("server_says", shown);
    let error = match reply.enhanced() {
        Some(enhanced) => error.with_context("enhanced", enhanced),
        None => error,
    };
    match verdict.retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Verdict {
        let (code, text) = text.split_once(' ').unwrap();
        verdict(&Reply { code: code.parse().unwrap(), lines: vec![text.to_owned()] })
    }

    #[test]
    fn each_refusal_has_the_class_of_who_has_to_act() {
        for (reply, class, wait) in [
            ("451 4.7.1 Greylisted, please try again later", Class::RateLimited, Some(60)),
            (
                "450 4.2.0 <a@b>: Recipient address rejected: Greylisted, see http://postgrey",
                Class::RateLimited,
                Some(60),
            ),
            ("451 4.7.1 Greylisting in action, please come back in 00:04:59", Class::RateLimited, Some(299)),
            ("450 4.7.1 try again in 5 minutes", Class::RateLimited, Some(300)),
            ("421 4.3.2 System shutting down", Class::Transient, None),
            ("421 4.7.28 Our system has detected an unusual rate of mail", Class::RateLimited, Some(60)),
            ("452 4.2.2 Mailbox full", Class::Transient, Some(1800)),
            ("452 4.3.1 Insufficient system storage", Class::Transient, None),
            ("452 4.5.3 Too many recipients", Class::Transient, None),
            ("432 4.3.2 Concurrent connections limit exceeded", Class::RateLimited, Some(60)),
            ("454 4.7.0 Temporary authentication failure", Class::Transient, None),
            ("450 4.1.1 unverified address", Class::Transient, None),
            ("535 5.7.8 Authentication failed", Class::Auth, None),
            ("535 Authentication failed", Class::Auth, None),
            ("534 5.7.9 Application-specific password required", Class::Auth, None),
            ("550 5.7.30 Basic authentication is not supported for Client Submission", Class::Auth, None),
            ("530 5.7.0 Must issue a STARTTLS command first", Class::Config, None),
            ("550 5.1.1 No such user", Class::Permanent, None),
            ("552 5.3.4 Message size exceeds fixed limit", Class::Permanent, None),
            ("552 5.2.2 Mailbox full", Class::Permanent, None),
            ("554 5.7.1 Rejected as spam, retry in 5 minutes", Class::Permanent, None),
            ("503 5.5.1 Bad sequence", Class::Permanent, None),
        ] {
            let expected = Verdict { class, retry_after: wait.map(Duration::from_secs) };
            assert_eq!(of(reply), expected, "{reply}");
        }
    }

    #[test]
    fn a_wait_in_words_is_read_with_care() {
        assert_eq!(of("451 4.3.0 retry in 99999999999 hours").retry_after, Some(LONGEST_WAIT));
        assert_eq!(of("451 4.3.0 retry in 0 seconds").retry_after, None);
        assert_eq!(of("451 4.3.0 error 300 seconds of processing").retry_after, None);
        assert_eq!(of("451 4.3.0 try later").retry_after, None);
    }
}
