//! All kinds of trouble, by name, with what a connector on the SDK makes of each.

use std::time::Duration;

use connector_sdk::Class;

use super::{Fault, Flaw, Line, Way};

/// What goes wrong, and where it is put.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// With one answer: into the script of a fake, see [`Faults`](super::Faults).
    Answer(Fault),
    /// With a connection: into a [`TcpProxy`](super::TcpProxy) before any server.
    Line(Line),
    /// With the name of the host: it is [`UNRESOLVABLE`].
    Name,
    /// With the vendor's data: the fake is told.
    Vendor(VendorTrouble),
}

/// What a vendor does without noticing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VendorTrouble {
    /// Its clock is off.
    Clock {
        /// Milliseconds ahead.
        millis: i64,
    },
    /// What is written can be read only later, though it carries the time of the write.
    Visibility {
        /// How much later.
        delay: Duration,
    },
}

/// What comes of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeds, with every row once.
    Recovers,
    /// It fails with this class; what it delivered stands, and the next run completes it.
    Fails(Class),
}

/// A kind of trouble.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Kind {
    /// Its name, in snake case.
    pub name: &'static str,
    /// What happens on the wire.
    pub wire: &'static str,
    /// Makes it.
    pub trouble: fn() -> Trouble,
    /// What a request that reads makes of it when it happens once, with the settings of the SDK as they come.
    pub once: Outcome,
    /// What comes of it when it does not go away.
    pub lasting: Outcome,
}

/// A host that nobody can resolve, and for which nobody is asked: its label is longer than names may be (RFC 1035,
/// 2.3.4), so a resolver gives up before it sends anything.
pub const UNRESOLVABLE: &str =
    "nobody-is-asked-for-a-name-that-is-longer-than-a-label-can-ever-be-on-the-wire.vendor.invalid";

/// Every kind there is.
#[rustfmt::skip] // One line a fact: a table is read by its columns.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "status_500",
        wire: "500 in the place of the answer",
        trouble: || Trouble::Answer(Fault::status(500)),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "status_502",
        wire: "502, with nothing said",
        trouble: || Trouble::Answer(Fault::status(502)),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "status_503",
        wire: "503, with nothing said",
        trouble: || Trouble::Answer(Fault::status(503)),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "status_504",
        wire: "504, with nothing said",
        trouble: || Trouble::Answer(Fault::status(504)),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "status_429",
        wire: "429 that names no wait",
        trouble: || Trouble::Answer(Fault::status(429)),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::RateLimited),
    },
    Kind {
        name: "wait_seconds_429",
        wire: "429 with `Retry-After: 2`",
        trouble: || Trouble::Answer(Fault::retry_after(429, "2")),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::RateLimited),
    },
    Kind {
        name: "wait_seconds_503",
        wire: "503 with `Retry-After: 2`",
        trouble: || Trouble::Answer(Fault::retry_after(503, "2")),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::RateLimited),
    },
    Kind {
        name: "wait_date",
        wire: "503 with `Retry-After` as an HTTP date two seconds after 2027-01-15 08:00 GMT",
        trouble: || Trouble::Answer(Fault::retry_after(503, "Fri, 15 Jan 2027 08:00:02 GMT")),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::RateLimited),
    },
    Kind {
        name: "wait_past",
        wire: "503 with `Retry-After` in 1994",
        trouble: || Trouble::Answer(Fault::retry_after(503, "Sun, 06 Nov 1994 08:49:37 GMT")),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "wait_absurd",
        wire: "503 with `Retry-After: 99999999999999999999`",
        trouble: || Trouble::Answer(Fault::retry_after(503, "99999999999999999999")),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "wait_hours",
        wire: "429 with `Retry-After: 7200`, longer than an operation may take",
        trouble: || Trouble::Answer(Fault::retry_after(429, "7200")),
        once: Outcome::Fails(Class::RateLimited),
        lasting: Outcome::Fails(Class::RateLimited),
    },
    Kind {
        name: "unauthorized",
        wire: "the vendor refuses the credential and forgets it",
        trouble: || Trouble::Answer(Fault::Unauthorized),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Auth),
    },
    Kind {
        name: "html_503",
        wire: "503 with a page for people",
        trouble: || Trouble::Answer(Fault::html()),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "html_200",
        wire: "200 with a page for people, as `text/html`",
        trouble: || Trouble::Answer(Fault::html_200()),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "html_as_json",
        wire: "200 with a page for people, as `application/json`",
        trouble: || Trouble::Answer(Fault::status(200).with_header("Content-Type", "application/json").with_body("<!DOCTYPE html><html><body>maintenance</body></html>")),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "json_as_html",
        wire: "the right answer, as `text/html`",
        trouble: || Trouble::Answer(Fault::ContentType("text/html".to_owned())),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "malformed_json",
        wire: "200 with half of the JSON, in complete HTTP",
        trouble: || Trouble::Answer(Fault::MalformedJson),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "empty_body",
        wire: "200 with nothing",
        trouble: || Trouble::Answer(Fault::EmptyBody),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "truncated",
        wire: "the connection is closed 40 bytes into the body of an announced length",
        trouble: || Trouble::Answer(Fault::TruncatedBody { after: 40, chunked: false }),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "truncated_chunked",
        wire: "the connection is closed 40 bytes into a chunked body",
        trouble: || Trouble::Answer(Fault::TruncatedBody { after: 40, chunked: true }),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "reset_before",
        wire: "RST in the place of the answer; the vendor never sees the request",
        trouble: || Trouble::Answer(Fault::ResetBefore),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "reset_after",
        wire: "RST 40 bytes into the body; the vendor has seen the request",
        trouble: || Trouble::Answer(Fault::ResetAfter { bytes: 40 }),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "slow_body",
        wire: "the body in 20 pieces or more, a millisecond between two",
        trouble: || Trouble::Answer(Fault::SlowBody { bytes: 4_096, every: Duration::from_millis(1) }),
        once: Outcome::Recovers,
        lasting: Outcome::Recovers,
    },
    Kind {
        name: "slow_head",
        wire: "the head 16 bytes at a time, a millisecond between two",
        trouble: || Trouble::Answer(Fault::SlowHead { bytes: 16, every: Duration::from_millis(1) }),
        once: Outcome::Recovers,
        lasting: Outcome::Recovers,
    },
    Kind {
        name: "late_head",
        wire: "nothing for 50 ms, and then the whole answer",
        trouble: || Trouble::Answer(Fault::SlowHead { bytes: usize::MAX, every: Duration::from_millis(50) }),
        once: Outcome::Recovers,
        lasting: Outcome::Recovers,
    },
    Kind {
        name: "stall",
        wire: "no answer, on a connection that stays open",
        trouble: || Trouble::Answer(Fault::Stall),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "length_too_long",
        wire: "the whole body, and 100 bytes more announced, which never come",
        trouble: || Trouble::Answer(Fault::WrongLength { by: 100 }),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "length_too_short",
        wire: "10 bytes fewer announced than come",
        trouble: || Trouble::Answer(Fault::WrongLength { by: -10 }),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "gzip_members",
        wire: "the body as three members of gzip in a row",
        trouble: || Trouble::Answer(Fault::GzipMembers { count: 3 }),
        once: Outcome::Recovers,
        lasting: Outcome::Recovers,
    },
    Kind {
        name: "gzip_cut",
        wire: "gzip without its last 30 bytes, of the length announced",
        trouble: || Trouble::Answer(Fault::GzipCut { missing: 30 }),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "gzip_without_trailer",
        wire: "gzip without its trailer: all of the data, and no check",
        trouble: || Trouble::Answer(Fault::GzipCut { missing: 8 }),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "gzip_bomb",
        wire: "the answer and 64 MiB of blanks, in 70 KB",
        trouble: || Trouble::Answer(Fault::GzipBomb { bytes: 64 << 20 }),
        once: Outcome::Fails(Class::Permanent),
        lasting: Outcome::Fails(Class::Permanent),
    },
    Kind {
        name: "broken_chunk",
        wire: "a chunked body with a line that is no length",
        trouble: || Trouble::Answer(Fault::BrokenChunk),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "answered_twice",
        wire: "the answer twice, the second where the next one should begin",
        trouble: || Trouble::Answer(Fault::Twice),
        once: Outcome::Recovers,
        lasting: Outcome::Recovers,
    },
    Kind {
        name: "refused",
        wire: "nobody listens any more",
        trouble: || Trouble::Line(Line::Refuse),
        once: Outcome::Fails(Class::Transient),
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "reset_on_connect",
        wire: "a new connection is reset at once",
        trouble: || Trouble::Line(Line::Reset { way: Way::Up, after: 0 }),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "connections_wait",
        wire: "no place for another connection: it is accepted by nobody",
        trouble: || Trouble::Line(Line::Wait { connections: 0 }),
        once: Outcome::Fails(Class::Transient),
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "connections_turned_away",
        wire: "no place for another connection: it is reset",
        trouble: || Trouble::Line(Line::TurnAway { connections: 0 }),
        once: Outcome::Recovers,
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "tls_other_host",
        wire: "the certificate is for another host",
        trouble: || Trouble::Line(Line::Certificate(Flaw::OtherHost)),
        once: Outcome::Fails(Class::Config),
        lasting: Outcome::Fails(Class::Config),
    },
    Kind {
        name: "tls_expired",
        wire: "the certificate has expired",
        trouble: || Trouble::Line(Line::Certificate(Flaw::Expired)),
        once: Outcome::Fails(Class::Config),
        lasting: Outcome::Fails(Class::Config),
    },
    Kind {
        name: "tls_unknown_authority",
        wire: "the certificate is of an authority that nobody knows",
        trouble: || Trouble::Line(Line::Certificate(Flaw::UnknownAuthority)),
        once: Outcome::Fails(Class::Config),
        lasting: Outcome::Fails(Class::Config),
    },
    Kind {
        name: "unresolvable",
        wire: "the host has a name that no name server knows",
        trouble: || Trouble::Name,
        once: Outcome::Fails(Class::Transient),
        lasting: Outcome::Fails(Class::Transient),
    },
    Kind {
        name: "clock_ahead",
        wire: "the vendor's clock is 300 s ahead, in `Date` and in its rows",
        trouble: || Trouble::Vendor(VendorTrouble::Clock { millis: 300_000 }),
        once: Outcome::Recovers,
        lasting: Outcome::Recovers,
    },
    Kind {
        name: "clock_behind",
        wire: "the vendor's clock is 300 s behind, in `Date` and in its rows",
        trouble: || Trouble::Vendor(VendorTrouble::Clock { millis: -300_000 }),
        once: Outcome::Recovers,
        lasting: Outcome::Recovers,
    },
    Kind {
        name: "late_rows",
        wire: "a row can be read only 30 s after it was written, with the time of the write",
        trouble: || Trouble::Vendor(VendorTrouble::Visibility { delay: Duration::from_secs(30) }),
        once: Outcome::Recovers,
        lasting: Outcome::Recovers,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A kind that is added without its line here is found by the compiler, and one without its line in the table
    /// by this test.
    fn kind(trouble: &Trouble) -> &'static str {
        match trouble {
            Trouble::Answer(fault) => fault.name(),
            Trouble::Line(line) => match line {
                Line::Refuse => "refuse",
                Line::Wait { .. } => "wait",
                Line::TurnAway { .. } => "turn_away",
                Line::Reset { .. } => "reset",
                Line::Certificate(_) => "certificate",
                // Below HTTP these are what answers meet above; the tests of the proxy have them.
                Line::Close { .. }
                | Line::Stall { .. }
                | Line::Delay { .. }
                | Line::Throttle { .. }
                | Line::Corrupt { .. }
                | Line::Lose { .. }
                | Line::Repeat { .. } => "raw",
            },
            Trouble::Name => "name",
            Trouble::Vendor(VendorTrouble::Clock { .. }) => "clock",
            Trouble::Vendor(VendorTrouble::Visibility { .. }) => "visibility",
        }
    }

    #[test]
    fn there_are_twenty_four_kinds_and_more_each_with_a_name_of_its_own() {
        let names: BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        assert!(KINDS.len() >= 24, "{}", KINDS.len());
        let makes: BTreeSet<_> = KINDS.iter().map(|known| kind(&(known.trouble)())).collect();
        assert_eq!(makes.len(), 25, "{makes:?}");
    }

    #[test]
    fn trouble_that_lasts_is_never_better_than_trouble_that_goes() {
        for kind in KINDS {
            assert!(kind.once == Outcome::Recovers || kind.once == kind.lasting, "{}", kind.name);
        }
    }
}
