//! The listener: what senders are answered, and what a connection may cost.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use connector_ingress::{
    Journal, ListenerConfig, Listening, Scheme,
    listener::{BodyLimits, Endpoint},
    scheme::{Proof, Refused, Verified},
};
use connector_sdk::{Clock, SystemClock, Timestamp};
use connector_testkit::{clock::ManualClock, disk::Plan};
use http::{HeaderMap, request::Parts};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::support::{TestDisk, bounded, kept_after, open};

/// Takes what says `{"event_id": …}` and has no signature `bad`.
#[derive(Debug)]
struct Trusting;

impl Scheme for Trusting {
    fn name(&self) -> &'static str {
        "trusting"
    }

    fn verify(&self, headers: &HeaderMap, body: &Bytes, _: Timestamp) -> Result<Proof, Refused> {
        if headers.get("signature").is_some_and(|value| value == "bad") {
            return Err(Refused::unauthorized("the signature is wrong"));
        }
        let text = std::str::from_utf8(body).map_err(|_| Refused::malformed("no text"))?;
        let id = text.split('"').nth(3).ok_or(Refused::malformed("no event"))?.to_owned();
        let answer = (id == "hello").then(|| Bytes::from_static(b"world"));
        Ok(Proof { id: Some(id), answer, ..Proof::default() })
    }
}

fn keep(_: &Parts, _: &Bytes, proof: Proof) -> Result<Verified, Refused> {
    Ok(Verified { id: proof.id.unwrap_or_default(), head: Bytes::new() })
}

struct Server {
    address: SocketAddr,
    journal: Journal,
    disk: TestDisk,
    clock: ManualClock,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn serve(change: impl FnOnce(&mut ListenerConfig, &mut BodyLimits)) -> Server {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    let clock = ManualClock::at(Timestamp::from_millis(crate::support::T0));
    let mut config = ListenerConfig::new("127.0.0.1:0".parse().unwrap());
    let mut body = BodyLimits::default();
    change(&mut config, &mut body);
    let listening = Listening::bind(config).await.unwrap();
    let address = listening.address();
    let within = Duration::from_secs(2);
    let endpoint = Endpoint::new(Arc::new(Trusting), Arc::new(keep), journal.clone(), clock.shared(), within)
        .with_path(Some("/in".into()))
        .with_body(body);
    let stop = CancellationToken::new();
    let task = tokio::spawn(listening.serve(clock.shared(), Arc::new(endpoint), stop.clone()));
    Server { address, journal, disk, clock, stop, task }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        bounded(TcpStream::connect(self.address)).await.unwrap()
    }

    async fn send(&self, request: impl Into<String>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.into().as_bytes()).await.unwrap();
        read(&mut stream).await
    }

    async fn post(&self, body: &str) -> String {
        self.send(post("/in", body, "connection: close\r\n")).await
    }

    /// Moves the clock each time that somebody waits on it, until the future is done.
    async fn until_done<T>(&self, future: impl Future<Output = T>) -> T {
        let pushed = async {
            loop {
                tokio::task::yield_now().await;
                SystemClock::new().sleep(Duration::from_millis(5)).await;
                self.clock.advance_to_next();
            }
        };
        tokio::select! { done = bounded(future) => done, () = pushed => unreachable!() }
    }
}

fn post(path: &str, body: &str, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n{more}\r\n{body}", body.len())
}

/// All that comes until the connection ends.
async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is cut off ends with an error, and what came before it counts.
    let _ = bounded(stream.read_to_end(&mut bytes)).await;
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn assert_status(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "not {status}: {answer:?}");
}

const EVENT: &str = r#"{"event_id":"Ev1","text":"é🦌"}"#;

#[tokio::test]
async fn an_event_is_durable_when_it_is_answered_and_known_when_it_comes_again() {
    let server = serve(|_, _| {}).await;
    for _ in 0..3 {
        assert_status(&server.post(EVENT).await, 200);
        assert_eq!(server.journal.durable(), 1);
    }
    server.journal.close().await.unwrap();
    assert_eq!(kept_after(&server.journal, 0).await, ["Ev1"]);
}

#[tokio::test]
async fn a_question_is_answered_and_nothing_is_kept() {
    let server = serve(|_, _| {}).await;
    let answer = server.post(r#"{"challenge":"hello"}"#).await;
    assert_status(&answer, 200);
    assert!(answer.ends_with("\r\n\r\nworld"), "{answer}");
    assert_eq!(server.journal.durable(), 0);
}

#[tokio::test]
async fn what_is_not_for_us_is_refused_with_the_status_that_says_why() {
    let server = serve(|_, body| body.max_body = 100).await;
    let close = "connection: close\r\n";
    let long = "x".repeat(101);
    let chunked = format!(
        "POST /in HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n65\r\n{long}\r\n0\r\n\r\n"
    );
    for (request, status) in [
        (post("/other", EVENT, close), 404),
        (format!("GET /in HTTP/1.1\r\nhost: x\r\n{close}\r\n"), 405),
        (post("/in", EVENT, &format!("signature: bad\r\n{close}")), 401),
        (post("/in", "no event", close), 400),
        (post("/in", EVENT, &format!("content-encoding: gzip\r\n{close}")), 415),
        (post("/in", &long, close), 413),
        (chunked, 413),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (post("/in", EVENT, &format!("{}{close}", "a: b\r\n".repeat(200))), 431),
    ] {
        assert_status(&server.send(request).await, status);
    }
    assert_eq!(server.journal.durable(), 0);
}

#[tokio::test]
async fn a_sender_is_answered_in_time_though_the_disk_hangs() {
    let server = serve(|_, _| {}).await;
    let posted = {
        let held = server.disk.memory.hold();
        let address = server.address;
        let posted = tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(post("/in", EVENT, "connection: close\r\n").as_bytes()).await.unwrap();
            read(&mut stream).await
        });
        let started = server.clock.monotonic();
        // The request is waiting for its journal: the patience of the connection, and the limit of the answer.
        let answered = async {
            while !posted.is_finished() {
                SystemClock::new().sleep(Duration::from_millis(5)).await;
                if server.clock.monotonic() - started < Duration::from_secs(3) && server.clock.sleepers() > 0
                {
                    server.clock.advance(Duration::from_millis(100));
                }
            }
        };
        bounded(answered).await;
        assert!(server.clock.monotonic() - started <= Duration::from_secs(3), "Slack waits three seconds");
        drop(held);
        posted
    };
    let answer = bounded(posted).await.unwrap();
    assert_status(&answer, 503);
    assert!(answer.contains("retry-after: 5\r\n"), "{answer}");
    // It may have become durable in the end: then it is known, and in any case it stands once.
    assert_status(&server.post(EVENT).await, 200);
    assert_eq!(server.journal.durable(), 1);
}

#[tokio::test]
async fn a_journal_that_has_failed_is_answered_503_and_never_200() {
    let server = serve(|_, _| {}).await;
    server.disk.memory.plan(Plan { fail_sync: Some(1), ..Plan::default() });
    for _ in 0..3 {
        let answer = server.post(EVENT).await;
        assert_status(&answer, 503);
        assert!(answer.contains("retry-after: 5\r\n"), "{answer}");
    }
    assert_eq!(server.journal.durable(), 0);
}

#[tokio::test]
async fn who_sends_no_head_or_no_body_is_cut_off_by_the_clock() {
    let server = serve(|_, _| {}).await;
    for (begun, status, seconds) in [
        ("", None, 10),
        ("POST /in HT", None, 10),
        // As little as that comes in five seconds from nobody who means it.
        ("POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx", Some(408), 5),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        let before = server.clock.monotonic();
        let answer = server.until_done(read(&mut stream)).await;
        let passed = server.clock.monotonic() - before;
        assert!((seconds..seconds + 2).contains(&passed.as_secs()), "{begun:?}: {passed:?}");
        match status {
            Some(status) => assert_status(&answer, status),
            None => assert_eq!(answer, ""),
        }
    }
    // An honest sender on a connection that lives long is served again and again.
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(post("/in", EVENT, "").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(bounded(stream.read_u8()).await.unwrap());
        }
        assert_status(std::str::from_utf8(&answer).unwrap(), 200);
        server.clock.advance(Duration::from_secs(9));
    }
}

/// Who says nothing, or says it slowly, is in nobody's way.
#[tokio::test]
async fn for_one_connection_too_many_the_one_goes_that_was_waited_for_longest() {
    let server = serve(|config, _| config.max_connections = 3).await;
    let mut slow = server.connect().await;
    let begun = "POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx";
    slow.write_all(begun.as_bytes()).await.unwrap();
    SystemClock::new().sleep(Duration::from_millis(50)).await;
    server.clock.advance(Duration::from_secs(1));
    let mut idle = Vec::new();
    for _ in 0..2 {
        idle.push(server.connect().await);
        SystemClock::new().sleep(Duration::from_millis(20)).await;
        server.clock.advance(Duration::from_secs(1));
    }
    for round in 0..3 {
        let event = format!(r#"{{"event_id":"Ev{round}","text":"é🦌"}}"#);
        assert_status(&server.post(&event).await, 200);
    }
    assert_eq!(read(&mut slow).await, "", "whether it says nothing or says it slowly");
    let mut newer = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        newer.push(stream);
        SystemClock::new().sleep(Duration::from_millis(20)).await;
        server.clock.advance(Duration::from_millis(10));
    }
    assert_eq!(read(&mut idle[0]).await, "", "and then the others, in their order");
    assert_eq!(read(&mut idle[1]).await, "");
    assert_status(&server.post(EVENT).await, 200);
}

/// A request that waits for its answer is never sent away for another one.
#[tokio::test]
async fn who_waits_for_us_keeps_the_place_and_the_next_one_waits() {
    let server = serve(|config, _| config.max_connections = 2).await;
    let post_apart = |id: &str| {
        let request = post("/in", &format!(r#"{{"event_id":"{id}"}}"#), "connection: close\r\n");
        let address = server.address;
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            read(&mut stream).await
        })
    };
    let posted: Vec<_> = {
        let held = server.disk.memory.hold();
        let mut posted = vec![post_apart("Ev1"), post_apart("Ev2")];
        SystemClock::new().sleep(Duration::from_millis(50)).await;
        posted.push(post_apart("Ev3"));
        SystemClock::new().sleep(Duration::from_millis(50)).await;
        assert!(posted.iter().all(|posted| !posted.is_finished()));
        drop(held);
        posted
    };
    for posted in posted {
        assert_status(&bounded(posted).await.unwrap(), 200);
    }
    assert_eq!(server.journal.durable(), 3);
}

/// A thousand places, ten times as many who take one and say nothing, and some who send a byte now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_and_slow_senders_do_not_stop_an_honest_one() {
    let server = serve(|config, _| config.max_connections = 1_000).await;
    let mut crowd = Vec::new();
    for number in 0..10_000_u32 {
        let mut stream = server.connect().await;
        if number % 10 == 0 {
            let begun = b"POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nx";
            stream.write_all(begun).await.unwrap();
        }
        crowd.push(stream);
        if number % 1_000 == 999 {
            let event = format!(r#"{{"event_id":"Ev{number}","text":"é🦌"}}"#);
            assert_status(&server.post(&event).await, 200);
        }
    }
    assert_eq!(server.journal.durable(), 10);
    let mut open = 0;
    for stream in &mut crowd {
        let mut byte = [0];
        open += usize::from(stream.try_read(&mut byte).is_err());
    }
    assert!(open <= 1_100, "{open} of those that were waited for are still there");
}

/// Those who send slowly cannot hold all the memory: the slowest of them has to go, and small bodies need none of it.
#[tokio::test]
async fn bodies_in_memory_have_a_bound_and_the_slowest_of_them_has_to_go() {
    let server = serve(|config, _| config.max_in_flight = 150 << 10).await;
    let large = |sent: usize| {
        format!("POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n{}", "x".repeat(sent))
    };
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        stream.write_all(large(80 << 10).as_bytes()).await.unwrap();
        SystemClock::new().sleep(Duration::from_millis(100)).await;
        server.clock.advance(Duration::from_secs(1));
        slow.push(stream);
    }
    assert_status(&server.post(EVENT).await, 200);
    let mut third = server.connect().await;
    third.write_all(large(80 << 10).as_bytes()).await.unwrap();
    assert_eq!(read(&mut slow[0]).await, "", "the slowest of them was closed");
    // Alone, and larger than all there is.
    drop((slow, third));
    SystemClock::new().sleep(Duration::from_millis(100)).await;
    let answer = server.send(large(200_000)).await;
    assert_status(&answer, 503);
    assert!(answer.contains("retry-after: 5\r\n"), "{answer}");
}

/// Two requests in one segment are two requests; one that another hid behind its body, by saying two lengths, is none.
#[tokio::test]
async fn requests_in_a_row_are_answered_and_hidden_ones_are_not() {
    let server = serve(|_, _| {}).await;
    let events = [r#"{"event_id":"Ev1","text":"é🦌"}"#, r#"{"event_id":"Ev2","text":"é🦌"}"#];
    let row = format!("{}{}", post("/in", events[0], ""), post("/in", events[1], "connection: close\r\n"));
    let answers = server.send(row).await;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
    let hidden = post("/in", r#"{"event_id":"hidden"}"#, "");
    // Both a length and a coding: the coding counts, and the connection ends with it (RFC 9112, section 6.1).
    let chunked = format!("{:x}\r\n{EVENT}\r\n0\r\n\r\n{hidden}", EVENT.len());
    for order in
        ["content-length: 4\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"]
    {
        let answers = server.send(format!("POST /in HTTP/1.1\r\nhost: x\r\n{order}\r\n\r\n{chunked}")).await;
        assert_status(&answers, 200);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{order}: {answers}");
    }
    for framing in [
        format!(
            "transfer-encoding: chunked\r\ncontent-length: {}\r\n\r\n0\r\n\r\n{hidden}",
            hidden.len() + 5
        ),
        format!("content-length: 0\r\ncontent-length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("transfer-encoding: xchunked\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("content-length: +0\r\n\r\n{hidden}"),
    ] {
        let answers = server.send(format!("POST /in HTTP/1.1\r\nhost: x\r\n{framing}")).await;
        assert_status(&answers, 400);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{framing}: {answers}");
    }
    assert_eq!(server.journal.durable(), 2);
}

#[tokio::test]
async fn who_asks_first_is_told_to_go_on_or_refused_before_the_body() {
    let server = serve(|_, body| body.max_body = 100).await;
    let head = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut stream = server.connect().await;
    stream.write_all(head("/in", EVENT.len()).as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    bounded(stream.read_exact(&mut go_on)).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(EVENT.as_bytes()).await.unwrap();
    assert_status(&read(&mut stream).await, 200);
    assert_status(&server.send(head("/other", 10)).await, 404);
    assert_status(&server.send(head("/in", 101)).await, 413);
}

/// A sender that is refused early reads why, though it was still writing.
#[tokio::test]
async fn a_sender_that_is_refused_in_the_middle_reads_the_answer() {
    let server = serve(|_, body| body.max_body = 1_000).await;
    for path in ["/in", "/other"] {
        let body = "x".repeat(200_000);
        let answer = server.send(post(path, &body, "connection: close\r\n")).await;
        assert_status(&answer, if path == "/in" { 413 } else { 404 });
    }
}

#[tokio::test]
async fn on_a_stop_who_has_begun_is_answered_and_nobody_else_is_let_in() {
    let server = serve(|_, _| {}).await;
    let mut begun = server.connect().await;
    let request = post("/in", EVENT, "");
    let (first, rest) = request.split_at(request.len() - 2);
    begun.write_all(first.as_bytes()).await.unwrap();
    let mut idle = server.connect().await;
    // Both are accepted.
    assert_status(&server.post(r#"{"event_id":"Ev2","text":"é🦌"}"#).await, 200);
    server.stop.cancel();
    assert_eq!(read(&mut idle).await, "", "the idle one is closed");
    begun.write_all(rest.as_bytes()).await.unwrap();
    assert_status(&read(&mut begun).await, 200);
    bounded(server.task).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
    server.journal.close().await.unwrap();
    assert_eq!(kept_after(&server.journal, 0).await, ["Ev2", "Ev1"]);
}
