//! Answers that no server sends of its own will, as a plain client meets them byte for byte.

use connector_testkit::{desk::FakeDesk, fault::Fault};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const ASK: &[u8] = b"GET /v1/me HTTP/1.1\r\nhost: desk\r\n\r\n";

/// What comes on one connection for two requests, of which the first meets the fault.
async fn heard(fault: Fault) -> String {
    let desk = FakeDesk::start(1, 1).await.unwrap();
    desk.faults().on("/v1/me").then(fault);
    let mut socket = TcpStream::connect(desk.address()).await.unwrap();
    socket.write_all(ASK).await.unwrap();
    let mut bytes = vec![0; 1 << 16];
    let mut read = socket.read(&mut bytes).await.unwrap();
    let last = [ASK.strip_suffix(b"\r\n").unwrap(), b"connection: close\r\n\r\n"].concat();
    if socket.write_all(&last).await.is_ok() {
        while let Ok(more @ 1..) = socket.read(&mut bytes[read..]).await {
            read += more;
        }
    }
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

#[tokio::test]
async fn a_wrong_length_is_sent_as_it_was_told_and_the_connection_goes_on() {
    let whole = r#"{"title":"the token has ended"}"#;
    for by in [-10_i64, 10] {
        let text = heard(Fault::WrongLength { by }).await;
        let announced = i64::try_from(whole.len()).unwrap() + by;
        assert!(text.contains(&format!("content-length: {announced}\r\n\r\n{whole}HTTP/1.1 401")), "{text}");
    }
}

#[tokio::test]
async fn an_answer_comes_twice_and_the_next_request_has_its_own() {
    let text = heard(Fault::Twice).await;
    assert_eq!(text.matches("HTTP/1.1 401").count(), 3, "{text}");
}

#[tokio::test]
async fn a_broken_chunk_ends_the_connection() {
    let text = heard(Fault::BrokenChunk).await;
    assert!(text.contains("transfer-encoding: chunked") && text.contains("no length at all"), "{text}");
    assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
}
