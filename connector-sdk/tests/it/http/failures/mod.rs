//! One table of all that can go wrong below the layers that decide, with what they are told.

mod peer;

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_sdk::{
    Class::{self, Auth, Config, Permanent, RateLimited, Transient},
    Context,
    Delivery::{self, Answered, NotSent, Unknown},
    Error, Network,
    http::{AttemptLayer, Call, FaultsLayer, Request, Resolve, StatusFaults, Transport},
    resilience::{Decision, Failure, Reason, Resilience, RetryPolicy, Standing},
};
use peer::{Authorities, Flaw, Http2, Peer, answer, gzip};
use tower::{Layer as _, Service as _};

use crate::support::soon;

/// What becomes of a write that may not be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    /// It is sent again.
    Again,
    /// Nobody knows whether it happened.
    Ambiguous,
    /// It has failed.
    Final,
}
use Write::{Again, Ambiguous, Final};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Here,
    Unheard,
    Unanswered,
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::Here => Ok(vec![[127, 0, 0, 1].into()]),
            Self::Unheard => Err(io::Error::other("no such name")),
            Self::Unanswered => std::future::pending().await,
        }
    }
}

/// How the client is set up where it matters.
struct Setup {
    query: String,
    scheme: &'static str,
    host: &'static str,
    names: Names,
    settings: Resilience,
    network: Network,
}

impl Setup {
    fn new(scheme: &'static str, authorities: &Authorities) -> Self {
        let mut network = Network::loopback();
        network.ca_file = Some(authorities.file.path().to_owned());
        let mut settings = Resilience::default();
        settings.max_body = 10_000;
        settings.max_decompressed_body = 100_000;
        Self {
            query: "token=canary-7f3a9c".to_owned(),
            scheme,
            host: "localhost",
            names: Names::Here,
            settings,
            network,
        }
    }

    async fn failure_of(self, peer: Peer) -> Error {
        let (port, task) = peer.start().await;
        let url = format!("{}://{}:{port}/records?{}", self.scheme, self.host, self.query);
        let transport =
            Transport::with_resolver(&self.network, &self.settings, "test", Arc::new(self.names)).unwrap();
        let attempt = AttemptLayer::new(self.settings.attempt_timeout).layer(transport);
        let mut service = FaultsLayer::new(Arc::new(StatusFaults)).layer(attempt);
        let cx = Context::builder("acme", "desk").build();
        let request = Request::post("create", url, "application/json", "{}");
        let result = soon(service.call(Call::new(cx, request))).await;
        task.abort();
        result.unwrap_err()
    }
}

fn write_after(error: &Error) -> Write {
    let failure = Failure {
        class: error.class(),
        delivery: error.delivery(),
        exhausted: error.is_exhausted(),
        retry_after: error.retry_after(),
        repeatable: false,
    };
    let standing = Standing { attempts: 1, remaining: None, stopping: false };
    match RetryPolicy::from(&Resilience::default()).decide(failure, standing, 0) {
        Decision::Retry { .. } => Again,
        Decision::GiveUp(Reason::Ambiguous) => Ambiguous,
        Decision::GiveUp(_) => Final,
    }
}

fn assert_is(error: &Error, expected: (Class, Delivery, Write), case: &str) {
    let found = (error.class(), error.delivery(), write_after(error));
    assert_eq!(found, expected, "{case}: {error:?}");
    assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{case}: {error:?}");
    assert!(error.operation() == "create" && !error.is_exhausted(), "{case}: {error:?}");
}

#[tokio::test]
async fn every_status_has_class_and_delivery() {
    let authorities = Authorities::new();
    let names = "400 401 402 403 404 405 406 407 408 409 410 411 412 413 414 415 416 417 418 421 422 423 424 \
                 425 426 428 429 431 444 451 498 499 500 501 502 503 504 505 506 507 508 510 511 520 521 522 \
                 524 530 598 599 430 450 499 555 300 301 302 305 306 399";
    for status in names.split(' ') {
        let expected = match status {
            "401" => (Auth, Answered, Final),
            "429" => (RateLimited, Answered, Again),
            "408" | "425" => (Transient, Answered, Ambiguous),
            "501" | "505" => (Permanent, Answered, Final),
            five if five.starts_with('5') => (Transient, Answered, Ambiguous),
            _ => (Permanent, Answered, Final),
        };
        let bytes = answer(&format!("{status} So\r\ncontent-length: 0"), "");
        let error = Setup::new("http", &authorities).failure_of(Peer::Says(bytes)).await;
        assert_is(&error, expected, status);
    }
}

#[tokio::test]
async fn every_failure_to_connect_has_class_and_delivery() {
    let authorities = Authorities::new();
    let quick = |mut setup: Setup| {
        setup.settings.connect_timeout = Duration::from_millis(200);
        setup
    };
    let http = || Setup::new("http", &authorities);
    let https = || Setup::new("https", &authorities);
    let named = |names| Setup { host: "vendor.example", names, ..http() };
    let refused = |host| Setup { host, ..Setup { network: Network::default(), ..https() } };
    let plain = || {
        let mut setup = http();
        setup.network.allow_http = false;
        setup
    };
    let long = || Setup { query: "canary-7f3a9c".repeat(12_000), ..http() };
    let table = [
        ("a URL of 72 KB", long(), Peer::Mute, (Config, NotSent, Final), "too long"),
        ("nobody listens", http(), Peer::Absent, (Transient, NotSent, Again), "no connection"),
        ("no such name", named(Names::Unheard), Peer::Absent, (Transient, NotSent, Again), "resolved"),
        (
            "no answer to the name",
            quick(named(Names::Unanswered)),
            Peer::Absent,
            (Transient, NotSent, Again),
            "in time",
        ),
        ("a refused address", refused("127.0.0.1"), Peer::Mute, (Permanent, NotSent, Final), "network.allow"),
        ("a refused answer", refused("vendor.example"), Peer::Mute, (Permanent, NotSent, Final), "loopback"),
        ("plain http", plain(), Peer::Mute, (Config, NotSent, Final), "allow_http"),
        ("a mute peer", quick(https()), Peer::Mute, (Transient, NotSent, Again), "in time"),
    ];
    for (case, setup, peer, expected, message) in table {
        let error = setup.failure_of(peer).await;
        assert_is(&error, expected, case);
        assert!(error.to_string().contains(message), "{case}: {error}");
    }
}

#[tokio::test]
async fn every_failure_of_tls_has_class_and_delivery() {
    let authorities = Authorities::new();
    let tls = |flaw| Peer::Tls(authorities.server(flaw));
    // A record of type 21, an alert: fatal, and its number (RFC 8446, 6).
    let alert = |number| Peer::Says(vec![21, 3, 3, 0, 2, 2, number]);
    let plain = || Peer::Says(answer("400 Bad Request", ""));
    let table = [
        ("self-signed", tls(Flaw::SelfSigned), (Config, NotSent, Final), "not trusted"),
        ("unknown authority", tls(Flaw::Unknown), (Config, NotSent, Final), "not trusted"),
        ("expired", tls(Flaw::Expired), (Config, NotSent, Final), "has expired"),
        ("not yet valid", tls(Flaw::NotYet), (Config, NotSent, Final), "not valid yet"),
        ("another host", tls(Flaw::OtherHost), (Config, NotSent, Final), "not trusted"),
        ("plain http on the port", plain(), (Config, NotSent, Final), "does not speak TLS"),
        ("it demands a certificate", tls(Flaw::WantsOurs), (Config, NotSent, Final), "refuses our TLS"),
        ("alert handshake_failure", alert(40), (Config, NotSent, Final), "refuses our TLS"),
        ("alert protocol_version", alert(70), (Config, NotSent, Final), "refuses our TLS"),
        ("alert unrecognized_name", alert(112), (Config, NotSent, Final), "refuses our TLS"),
        ("alert internal_error", alert(80), (Transient, NotSent, Again), "no connection"),
        ("cut at once", Peer::Cuts, (Transient, NotSent, Again), "no connection"),
        ("cut after our hello", Peer::Says(Vec::new()), (Transient, NotSent, Again), "no connection"),
        (
            "cut in its hello",
            Peer::Says(vec![22, 3, 3, 0, 80, 2]),
            (Transient, NotSent, Again),
            "no connection",
        ),
        ("reset after our hello", Peer::Resets(Vec::new()), (Transient, NotSent, Again), "no connection"),
    ];
    for (case, peer, expected, message) in table {
        let error = Setup::new("https", &authorities).failure_of(peer).await;
        assert_is(&error, expected, case);
        assert!(error.to_string().contains(message), "{case}: {error}");
    }
}

#[tokio::test]
async fn every_failure_of_an_answer_has_class_and_delivery() {
    let authorities = Authorities::new();
    let headers = |count: usize, size: usize| {
        let line = |n| format!("\r\nx-{n}: {}", "x".repeat(size));
        answer(&format!("200 OK{}", (0..count).map(line).collect::<String>()), "")
    };
    let chunked = |body: &str| answer("200 OK\r\ntransfer-encoding: chunked", body);
    let zipped = |bytes: &[u8]| {
        answer(&format!("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}", bytes.len()), bytes)
    };
    let length = |length: usize, body: &str| answer(&format!("200 OK\r\ncontent-length: {length}"), body);
    let whole = gzip(b"whole");
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    damaged[12] ^= 0xff;

    let lost = (Transient, Unknown, Ambiguous);
    let broken = (Transient, Answered, Ambiguous);
    let refused = (Permanent, Answered, Final);
    // Of a POST, which was made: nobody knows what became of it.
    let unreadable = (Class::Ambiguous, Delivery::Unknown, Final);
    let half = b"HTTP/1.1 200 OK\r\nx-half".to_vec();
    let table = [
        ("closed before the head", Peer::Says(Vec::new()), lost, "before the answer"),
        ("reset before the head", Peer::Resets(Vec::new()), lost, "before the answer"),
        ("closed in the head", Peer::Says(half.clone()), lost, "before the answer"),
        ("reset in the head", Peer::Resets(half.clone()), lost, "before the answer"),
        ("no answer", Peer::Hangs(Vec::new()), lost, "no answer within"),
        ("half a head, and silence", Peer::Hangs(half), lost, "no answer within"),
        ("no HTTP", Peer::Says(b"220 smtp.example.com ready\r\n".to_vec()), lost, "before the answer"),
        ("no HTTP version", Peer::Says(b"HTTP/9.9 200 OK\r\n\r\n".to_vec()), lost, "before the answer"),
        ("zeros", Peer::Says(vec![0; 4096]), lost, "before the answer"),
        (
            "two lengths",
            Peer::Says(answer("200 OK\r\ncontent-length: 1\r\ncontent-length: 2", "x")),
            lost,
            "before",
        ),
        ("a head over our cap", Peer::Says(headers(80, 1000)), refused, "head of the answer"),
        ("a head over hyper's cap", Peer::Says(headers(90, 8000)), refused, "head of the answer"),
        ("a head of one endless line", Peer::Says(headers(1, 700_000)), refused, "head of the answer"),
        ("too many headers", Peer::Says(headers(200, 1)), refused, "head of the answer"),
        (
            "redirects in a circle",
            Peer::Says(answer("308 There\r\nlocation: ?token=canary-7f3a9c", "")),
            refused,
            "circle",
        ),
        ("closed in the body", Peer::Says(length(100, "half")), broken, "broke off"),
        ("reset in the body", Peer::Resets(length(100, "half")), broken, "broke off"),
        ("closed in a chunk", Peer::Says(chunked("a\r\nhalf")), broken, "broke off"),
        ("closed between chunks", Peer::Says(chunked("4\r\nhalf\r\n")), broken, "broke off"),
        ("a chunk without length", Peer::Says(chunked("zz\r\nhalf\r\n")), broken, "broke off"),
        ("silence in the body", Peer::Hangs(length(100, "half")), broken, "fell silent"),
        ("gzip, damaged", Peer::Says(zipped(&damaged)), broken, "damaged"),
        ("gzip, cut off", Peer::Says(zipped(&whole[..whole.len() - 3])), broken, "damaged"),
        ("gzip that is none", Peer::Says(zipped(b"plain text")), broken, "damaged"),
        ("another coding", Peer::Says(answer("200 OK\r\ncontent-encoding: br", "x")), unreadable, "`br`"),
        ("too large, as announced", Peer::Says(length(20_000, "x")), unreadable, "max_body"),
        ("too large, unannounced", Peer::Says(answer("200 OK", vec![b'x'; 20_000])), unreadable, "max_body"),
        (
            "too large, unzipped",
            Peer::Says(zipped(&gzip(&[0; 200_000]))),
            unreadable,
            "max_decompressed_body",
        ),
    ];
    for (case, peer, expected, message) in table {
        let mut setup = Setup::new("http", &authorities);
        if matches!(peer, Peer::Hangs(_)) {
            setup.settings.attempt_timeout = Duration::from_secs(1);
            setup.settings.idle_timeout = Duration::from_millis(200);
        }
        let error = setup.failure_of(peer).await;
        assert_is(&error, expected, case);
        assert!(error.to_string().contains(message), "{case}: {error}");
    }
}

#[tokio::test]
async fn every_failure_of_http2_has_class_and_delivery() {
    let authorities = Authorities::new();
    let refused = (Permanent, Answered, Final);
    let table = [
        ("a head over our cap", Http2::Headers(80_000), refused, "head of the answer"),
        ("a head over the cap of HTTP/2", Http2::Headers(300_000), refused, "head of the answer"),
        // RFC 9113, 8.7: such a stream has not been processed.
        (
            "refused",
            Http2::Reset(h2::Reason::REFUSED_STREAM),
            (Transient, NotSent, Again),
            "not been processed",
        ),
        (
            "reset",
            Http2::Reset(h2::Reason::INTERNAL_ERROR),
            (Transient, Unknown, Ambiguous),
            "before the answer",
        ),
        ("cancelled", Http2::Reset(h2::Reason::CANCEL), (Transient, Unknown, Ambiguous), "before the answer"),
        (
            "their protocol",
            Http2::Reset(h2::Reason::PROTOCOL_ERROR),
            (Transient, Unknown, Ambiguous),
            "before",
        ),
    ];
    for (case, how, expected, message) in table {
        let error = Setup::new("https", &authorities).failure_of(Peer::Http2(authorities.http2(), how)).await;
        assert_is(&error, expected, case);
        assert!(error.to_string().contains(message), "{case}: {error}");
    }
}
