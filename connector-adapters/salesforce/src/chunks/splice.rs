//! One record out of several that hold its fields: bytes are copied, no value is read.

use connector_sdk::{Class, Delivery, Error, Result, record::RecordView};

/// What the vendor writes into every record besides its fields: its type and address.
const ATTRIBUTES: &[u8] = b"\"attributes\"";

/// The fields of the whole record, in order, each with the number of the chunk that has it.
#[derive(Debug)]
pub(super) struct Order(Vec<(Box<[u8]>, usize)>);

impl Order {
    pub(super) fn new<'a>(fields: impl Iterator<Item = (&'a str, usize)>) -> Self {
        // Names of fields hold nothing to escape.
        Self(fields.map(|(name, chunk)| (format!("\"{name}\"").into_bytes().into(), chunk)).collect())
    }

    /// Writes the record into `out`, over what was there.
    ///
    /// # Errors
    /// Schema when a chunk does not have a field that it was asked for.
    pub(super) fn splice(&self, pieces: &[RecordView<'_>], out: &mut Vec<u8>) -> Result<()> {
        let mut chunks: Vec<Chunk<'_>> =
            pieces.iter().map(|piece| Chunk::of(piece.record.unwrap_or_default())).collect();
        out.clear();
        out.push(b'{');
        if let Some(attributes) = chunks.first_mut().and_then(|chunk| chunk.take(ATTRIBUTES)) {
            member(out, ATTRIBUTES, attributes);
        }
        for (name, chunk) in &self.0 {
            let value = chunks.get_mut(*chunk).and_then(|chunk| chunk.take(name)).ok_or_else(|| {
                Error::new(Class::Schema, "query", "a row came without a field that was asked for")
                    .with_delivery(Delivery::Answered)
                    .with_context("field", String::from_utf8_lossy(name))
            })?;
            member(out, name, value);
        }
        out.push(b'}');
        Ok(())
    }
}

fn member(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if out.len() > 1 {
        out.push(b',');
    }
    out.extend_from_slice(name);
    out.push(b':');
    out.extend_from_slice(value);
}

/// The members of a record, and the one that is expected next: the vendor keeps the order of the query.
struct Chunk<'a> {
    members: Vec<(&'a [u8], &'a [u8])>,
    next: usize,
}

impl<'a> Chunk<'a> {
    fn of(record: &'a [u8]) -> Self {
        Self {
            members: Members { rest: record.trim_ascii_start().get(1..).unwrap_or_default() }.collect(),
            next: 0,
        }
    }

    fn take(&mut self, name: &[u8]) -> Option<&'a [u8]> {
        let is_wanted = |member: &&(&[u8], &[u8])| member.0 == name;
        let place = match self.members.get(self.next).filter(is_wanted) {
            Some(_) => self.next,
            None => self.members.iter().position(|member| member.0 == name)?,
        };
        self.next = place + 1;
        self.members.get(place).map(|member| member.1)
    }
}

/// Name and value of each member of an object that is known to be JSON, from behind its brace.
struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip(b",");
        let name = self.cut(text(self.rest)?);
        self.skip(b":");
        let value = self.cut(value(self.rest)?);
        Some((name, value))
    }
}

impl<'a> Members<'a> {
    fn skip(&mut self, sign: &[u8]) {
        self.rest = self.rest.trim_ascii_start();
        self.rest = self.rest.strip_prefix(sign).unwrap_or(self.rest).trim_ascii_start();
    }

    fn cut(&mut self, at: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, &[]));
        self.rest = rest;
        head
    }
}

/// The length of the text that begins here; none where none does.
fn text(json: &[u8]) -> Option<usize> {
    if json.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The length of the value that begins here.
fn value(json: &[u8]) -> Option<usize> {
    match json.first()? {
        b'"' => text(json),
        b'{' | b'[' => container(json),
        _ => Some(
            json.iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
                .unwrap_or(json.len()),
        ),
    }
}

fn container(json: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match json.get(at)? {
            b'"' => {
                at += text(json.get(at..)?)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at + 1),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use connector_sdk::Operation;

    use super::*;

    fn piece(record: &str) -> RecordView<'_> {
        RecordView {
            operation: Operation::Upsert,
            record: Some(record.as_bytes()),
            key: None,
            cursor: None,
            source_timestamp: None,
        }
    }

    fn spliced(order: &[(&str, usize)], pieces: &[&str]) -> Result<String> {
        let pieces: Vec<_> = pieces.iter().map(|record| piece(record)).collect();
        let mut out = b"rest of the row before".to_vec();
        Order::new(order.iter().copied()).splice(&pieces, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_value_keeps_its_bytes_and_its_place() {
        let first = r#"{"attributes":{"type":"A","url":"/x/{}"},"A":"q\"}\\","Id":"003","M":1.10}"#;
        let second = " { \"attributes\" : {} , \"Id\" : \"003\" ,\"B\" : [1,{\"a\":\"]\"}] , \"C\": 9007199254740993 ,\n\"Z\":null }";
        let order = [("A", 0), ("B", 1), ("C", 1), ("Id", 0), ("M", 0), ("Z", 1)];
        let record = spliced(&order, &[first, second]).unwrap();
        assert_eq!(
            record,
            r#"{"attributes":{"type":"A","url":"/x/{}"},"A":"q\"}\\","B":[1,{"a":"]"}],"C":9007199254740993,"Id":"003","M":1.10,"Z":null}"#
        );
        serde_json::from_str::<serde_json::Value>(&record).unwrap();
    }

    #[test]
    fn another_order_of_the_vendors_is_put_right() {
        assert_eq!(
            spliced(&[("A", 0), ("B", 0), ("C", 0)], &[r#"{"C":3,"A":1,"B":2}"#]).unwrap(),
            r#"{"A":1,"B":2,"C":3}"#
        );
    }

    #[test]
    fn a_field_that_did_not_come_is_an_error() {
        let error = spliced(&[("A", 0), ("B", 1)], &[r#"{"A":1}"#, r#"{"Id":"2"}"#]).unwrap_err();
        assert_eq!(error.class(), Class::Schema);
        assert!(error.to_string().contains("\"B\""), "{error}");
    }
}
