use connector_sdk::SystemClock;
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, duplex};

use super::{framer::TooLarge, *};

const LIMITS: Limits = Limits { line: 1 << 20, literal: 1 << 20, response: 2 << 20 };

/// The responses that these bytes are, however they come.
fn responses(bytes: &[u8], chunk: usize) -> Vec<Vec<u8>> {
    let (mut framer, mut buffer, mut found) = (Framer::new(LIMITS), Vec::new(), Vec::new());
    for part in bytes.chunks(chunk.max(1)) {
        buffer.extend_from_slice(part);
        while let Frame::Whole(length) = framer.frame(&buffer).unwrap() {
            found.push(buffer.drain(..length).collect());
        }
    }
    found
}

#[test]
fn a_response_ends_where_it_ends_and_not_in_a_literal() {
    let first = b"* 1 FETCH (BODY[] {11}\r\na\r\n* 2 OK\r\n UID {2}\r\n75)\r\n";
    let second = b"* OK text that looks like {5}\r\n";
    let third = b"C1 OK done {9}\n";
    let all = [&first[..], second, third].concat();
    for chunk in [1, 2, 7, 1_000] {
        assert_eq!(responses(&all, chunk), [first.to_vec(), second.to_vec(), third.to_vec()], "by {chunk}");
    }
}

#[test]
fn what_is_too_large_is_said_before_it_has_come() {
    let frame = |bytes: &[u8]| Framer::new(LIMITS).frame(bytes);
    assert_eq!(frame(b"* 1 FETCH (BODY[] {1048577}\r\n"), Err(TooLarge::Literal(1_048_577)));
    assert_eq!(frame(b"* 1 FETCH (BODY[] {99999999999999999999}\r\n"), Err(TooLarge::Literal(u64::MAX)));
    assert_eq!(frame(&vec![b'x'; (1 << 20) + 1]), Err(TooLarge::Line(1 << 20)));
    let twice = [&b"* 1 FETCH (A {1048576}\r\n"[..], &vec![b'x'; 1 << 20], b" B {1048576}\r\n"].concat();
    assert_eq!(frame(&twice), Err(TooLarge::Response(2 << 20)));
    assert_eq!(frame(&[b"* SEARCH ".to_vec(), vec![b'1'; 1 << 20]].concat()), Err(TooLarge::Line(256 << 10)));
}

#[test]
fn the_numbers_of_a_large_mailbox_come_in_parts() {
    let numbers: String = (1..=200_000).map(|number| format!("{number} ")).collect();
    let line = format!("* SEARCH {}\r\n", numbers.trim_end());
    let (mut framer, mut buffer, mut found) = (Framer::new(LIMITS), Vec::new(), Vec::new());
    for part in line.as_bytes().chunks(10_000) {
        buffer.extend_from_slice(part);
        loop {
            let (prefix, length): (&[u8], usize) = match framer.frame(&buffer).unwrap() {
                Frame::Whole(length) => (b"", length),
                Frame::Part(prefix, length) => (prefix, length),
                Frame::Partial(_) => break,
            };
            let part: Vec<u8> = buffer.drain(..length).collect();
            buffer.splice(0..0, prefix.iter().copied());
            let text = String::from_utf8(part).unwrap();
            let numbers = text.strip_prefix("* SEARCH ").unwrap();
            found.extend(numbers.split_ascii_whitespace().map(|number| number.parse::<u32>().unwrap()));
        }
    }
    assert_eq!(found, (1..=200_000).collect::<Vec<u32>>());
}

#[test]
fn tokens_are_what_they_look_like() {
    let text = |text: &'static str| Token::Text(std::borrow::Cow::Borrowed(text.as_bytes()));
    let read = tokens(
        b"(\\Seen $a) \"a \\\"b\\\" \\\\c\" NIL nil {3}\r\na)b BODY[HEADER.FIELDS (DATE)]<0> ~{1}\r\nz\r\n",
    )
    .unwrap();
    assert_eq!(read[0], Token::List(vec![Token::Atom(b"\\Seen"), Token::Atom(b"$a")]));
    assert_eq!(read[1], text("a \"b\" \\c"));
    assert_eq!(&read[2..4], [Token::Nil, Token::Nil]);
    assert_eq!(read[4], text("a)b"));
    assert_eq!(read[5], Token::Atom(b"BODY[HEADER.FIELDS (DATE)]<0>"));
    assert_eq!(read[6], text("z"));
    assert_eq!(tokens(b"a]b {x} {").unwrap().len(), 3);
}

#[test]
fn what_cannot_be_told_apart_says_where() {
    for bytes in [&b"(a"[..], b"a)", b"\"a", b"\"a\\", b"{5}\r\nab", &b"(".repeat(100)] {
        assert!(tokens(bytes).is_err(), "{}", bytes.escape_ascii());
    }
    let deep = [b"(".repeat(64), b")".repeat(64)].concat();
    assert!(tokens(&deep).is_ok());
    assert_eq!(tokens(b"a (b").unwrap_err().to_string(), "unreadable at byte 4: a list has no end");
}

#[test]
fn a_response_says_what_it_is_about() {
    let kind = |text: &'static [u8]| Response::new(bytes::Bytes::from_static(text));
    let coded = kind(b"C12 NO [ALERT] Too many\r\n");
    let Kind::Tagged(tag, condition) = coded.kind() else { panic!("{:?}", coded.kind()) };
    assert_eq!((tag, condition.status, condition.text), (&b"C12"[..], Status::No, &b"Too many"[..]));
    assert_eq!(condition.code, Some((&b"ALERT"[..], &b""[..])));
    let next = kind(b"* ok [UIDNEXT 6] Predicted\n");
    let Kind::Status(condition) = next.kind() else { panic!("{:?}", next.kind()) };
    assert_eq!(condition.code, Some((&b"UIDNEXT"[..], &b"6"[..])));
    assert_eq!(kind(b"* 5 EXISTS\r\n").kind(), Kind::Data(Some(5), b"EXISTS", b""));
    assert_eq!(kind(b"* 99999999999 EXISTS\r\n").kind(), Kind::Data(None, b"EXISTS", b""));
    assert_eq!(kind(b"+\r\n").kind(), Kind::Continue(b""));
    assert_eq!(
        kind(b"* OK [broken\r\n").kind(),
        Kind::Status(Condition { status: Status::Ok, code: None, text: b"[broken" })
    );
    for text in [&b"\r\n"[..], b"*\r\n", b"* \r\n", b"C1\r\n", b"C1 WHAT\r\n", b"* 5\r\n"] {
        assert_eq!(kind(text).kind(), Kind::Unknown, "{}", text.escape_ascii());
    }
}

#[tokio::test]
async fn a_server_that_sends_a_byte_now_and_then_is_not_waited_for_for_ever() {
    let (ours, mut theirs) = duplex(64);
    let clock = Arc::new(SystemClock::new());
    let idle = Duration::from_millis(500);
    let mut wire =
        Wire::new(Box::new(ours), LIMITS, Arc::clone(&clock) as Arc<dyn Clock>, Arc::default(), idle);
    let drip = tokio::spawn(async move {
        while theirs.write_all(b"x").await.is_ok() {
            SystemClock::new().sleep(Duration::from_millis(5)).await;
        }
    });
    let until = clock.monotonic() + Duration::from_millis(50);
    let error = wire.next(until).await.unwrap_err();
    assert_eq!(error.message(), "the server takes too long");
    drop(wire);
    drip.await.unwrap();
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_stand_still(bytes in prop::collection::vec(any::<u8>(), 0..400), chunk in 1_usize..50) {
        let _ = tokens(&bytes);
        let _ = super::super::fetch::Fetched::parse(&bytes);
        let _ = Response::new(bytes.clone().into()).kind();
        let (mut framer, mut buffer) = (Framer::new(LIMITS), Vec::new());
        'all: for part in bytes.chunks(chunk) {
            buffer.extend_from_slice(part);
            loop {
                match framer.frame(&buffer) {
                    Ok(Frame::Whole(length) | Frame::Part(_, length)) => {
                        prop_assert!(length > 0 && length <= buffer.len());
                        buffer.drain(..length);
                    }
                    Ok(Frame::Partial(wanted)) => {
                        prop_assert!(wanted > 0);
                        break;
                    }
                    Err(_) => break 'all,
                }
            }
        }
    }

    #[test]
    fn how_bytes_come_does_not_change_what_they_are(
        texts in prop::collection::vec("[a-z{}()\\[\\]\" ]{0,20}", 1..8), chunk in 1_usize..9,
    ) {
        let all: Vec<u8> = texts
            .iter()
            .flat_map(|text| format!("* 1 FETCH (BODY[] {{{}}}\r\n{text})\r\n", text.len()).into_bytes())
            .collect();
        let whole = responses(&all, all.len());
        prop_assert_eq!(whole.len(), texts.len());
        prop_assert_eq!(responses(&all, chunk), whole);
    }
}
