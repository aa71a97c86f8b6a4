//! What the fuzz target of IMAP holds.

use bytes::Bytes;

use super::{
    framer::{Frame, Framer, Limits},
    response::{Kind, Response},
    token::{Token, tokens},
};
use crate::imap::{capability::Capabilities, date, fetch::Fetched, uids::UidSet, utf7};

const LIMITS: Limits = Limits { line: 4 << 10, literal: 4 << 10, response: 8 << 10 };

/// The responses in what a server said, and whether it said more than it may.
fn responses(said: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let mut framer = Framer::new(LIMITS);
    let (mut buffer, mut found) = (Vec::new(), Vec::new());
    for piece in said.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            match framer.frame(&buffer) {
                Ok(Frame::Whole(length)) => {
                    assert!(length > 0 && length <= LIMITS.response + LIMITS.line);
                    found.push(buffer.drain(..length).collect());
                }
                Ok(Frame::Part(beginning, length)) => {
                    found.push(buffer.drain(..length).collect());
                    buffer.splice(..0, beginning.iter().copied());
                }
                Ok(Frame::Partial(more)) => {
                    assert!(more > 0);
                    break;
                }
                Err(_) => return (found, true),
            }
        }
        assert!(buffer.len() <= LIMITS.response + LIMITS.line + said.len().min(64 << 10));
    }
    (found, false)
}

/// See [`crate::fuzzing::imap`].
pub(crate) fn fuzz(said: &[u8]) {
    let Some((piece, said)) = said.split_first() else { return };
    let whole = responses(said, said.len());
    assert_eq!(whole, responses(said, usize::from(*piece)), "it matters how it arrives");
    for response in whole.0 {
        let response = Response::new(Bytes::from(response));
        match response.kind() {
            Kind::Data(_, name, rest) => data(name, rest),
            Kind::Continue(text) => {
                let _ = std::str::from_utf8(text).map(crate::sasl::decode);
            }
            Kind::Status(condition) | Kind::Tagged(_, condition) => {
                if let Some((name, rest)) = condition.code {
                    data(name, rest);
                }
            }
            Kind::Unknown => {}
        }
    }
}

fn data(name: &[u8], rest: &[u8]) {
    let _ = Capabilities::parse(rest);
    let _ = Fetched::parse(rest);
    for text in [name, rest] {
        set(text);
    }
    let Ok(found) = tokens(rest) else { return };
    let mut open: Vec<&Token<'_>> = found.iter().collect();
    while let Some(token) = open.pop() {
        open.extend(token.list().unwrap_or_default());
        let _ = token.number::<u64>();
        if let Some(bytes) = token.bytes() {
            let _ = date::parse(bytes);
            set(bytes);
            if let Some(name) = utf7::decode(bytes) {
                assert_eq!(utf7::decode(utf7::encode(&name).as_bytes()), Some(name));
            }
        }
    }
}

fn set(text: &[u8]) {
    if let Some(set) = UidSet::parse(text)
        && !set.is_empty()
    {
        assert_eq!(UidSet::parse(set.to_string().as_bytes()), Some(set));
    }
}
