//! Rows as the vendor's CSV: every value quoted, quotes doubled, line breaks kept.
//!
//! Differs from the JSON of the same row: null is an empty field, date-times end with `Z`, and booleans and
//! numbers are text like all else (bulk facts of estuary #2519 and the recorded exports).

use std::borrow::Cow;

use super::super::field::Kind;
use super::super::row::Row;
use super::super::soql::Column;
use super::Bulk;

/// How one job's CSV is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub(super) delimiter: Delimiter,
    pub(super) crlf: bool,
}

/// What stands between two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    Backquote,
    Caret,
    Comma,
    Pipe,
    Semicolon,
    Tab,
}

impl Delimiter {
    const ALL: [(Self, &'static str, u8); 6] = [
        (Self::Backquote, "BACKQUOTE", b'`'),
        (Self::Caret, "CARET", b'^'),
        (Self::Comma, "COMMA", b','),
        (Self::Pipe, "PIPE", b'|'),
        (Self::Semicolon, "SEMICOLON", b';'),
        (Self::Tab, "TAB", b'\t'),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(delimiter, ..)| *delimiter)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(delimiter, ..)| *delimiter == self).map_or("COMMA", |(_, name, _)| name)
    }

    fn byte(self) -> u8 {
        Self::ALL.iter().find(|(delimiter, ..)| *delimiter == self).map_or(b',', |(.., byte)| *byte)
    }
}

/// Appends the header.
pub(super) fn header(out: &mut Vec<u8>, columns: &[Column], dialect: Dialect) {
    for (number, column) in columns.iter().enumerate() {
        if number > 0 {
            out.push(dialect.delimiter.byte());
        }
        quoted(out, column.name.as_bytes());
    }
    end(out, dialect);
}

/// Appends one row; `parents` are the rows its relations lead to.
pub(super) fn row(
    out: &mut Vec<u8>,
    columns: &[Column],
    row: &Row,
    parents: &[Option<Row>],
    dialect: Dialect,
    how: &Bulk,
) {
    for (number, column) in columns.iter().enumerate() {
        if number > 0 {
            out.push(dialect.delimiter.byte());
        }
        let value = match column.relation {
            None => row.value(column.column),
            Some(relation) => parents
                .get(relation)
                .and_then(Option::as_ref)
                .map_or(&b"null"[..], |parent| parent.value(column.column)),
        };
        field(out, column, value, how);
    }
    end(out, dialect);
}

fn end(out: &mut Vec<u8>, dialect: Dialect) {
    out.extend_from_slice(if dialect.crlf { b"\r\n" } else { b"\n" });
}

fn field(out: &mut Vec<u8>, column: &Column, json: &[u8], how: &Bulk) {
    if json == b"null" {
        if !how.bare_nulls {
            out.extend_from_slice(b"\"\"");
        }
        return;
    }
    match column.kind {
        Kind::Text => {
            let text = text(json);
            if how.with_nul {
                let first = text.chars().next().map_or(0, char::len_utf8);
                quoted(out, &[&text.as_bytes()[..first], b"\0", &text.as_bytes()[first..]].concat());
            } else {
                quoted(out, text.as_bytes());
            }
        }
        Kind::Datetime => {
            let text = text(json);
            quoted(out, format!("{}Z", text.strip_suffix("+0000").unwrap_or(&text)).as_bytes());
        }
        Kind::Number if column.whole && how.decimals_on_whole && !json.contains(&b'.') => {
            quoted(out, &[json, b".0"].concat());
        }
        Kind::Id | Kind::Date => quoted(out, text(json).as_bytes()),
        Kind::Boolean | Kind::Number | Kind::Compound => quoted(out, json),
    }
}

/// What a JSON text says. Values without an escape are taken as they stand.
fn text(json: &[u8]) -> Cow<'_, str> {
    match json {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => String::from_utf8_lossy(inner),
        json => serde_json::from_slice(json)
            .map_or_else(|_| String::from_utf8_lossy(json), |text: String| Cow::Owned(text)),
    }
}

fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for (number, piece) in text.split(|byte| *byte == b'"').enumerate() {
        if number > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(piece);
    }
    out.push(b'"');
}
