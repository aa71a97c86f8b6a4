//! One record, held as the JSON of its values in one piece of memory.
//!
//! A row never changes: a write makes a new one. So a cursor can hold the rows of its query as they were at
//! that moment for the price of a pointer each, and rendering a row is copying bytes.
//!
//! Layout: number of columns (4 bytes), end of each value (4 bytes each), the values. A value of no bytes is
//! null, and so is a column the row is too short for: columns that were added after it was made.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Row(Arc<[u8]>);

impl Row {
    /// The JSON of one value.
    pub(super) fn value(&self, column: usize) -> &[u8] {
        let count = self.columns();
        if column >= count {
            return b"null";
        }
        let base = 4 + 4 * count;
        let start = if column == 0 { 0 } else { self.word(4 * column) };
        match &self.0[base + start..base + self.word(4 + 4 * column)] {
            [] => b"null",
            value => value,
        }
    }

    /// What stands between the quotes of a text value; empty for anything else. Only for values that hold
    /// no escapes: ids, dates, date-times.
    pub(super) fn plain(&self, column: usize) -> &str {
        match self.value(column) {
            [b'"', inner @ .., b'"'] => std::str::from_utf8(inner).unwrap_or_default(),
            _ => "",
        }
    }

    pub(super) fn is_true(&self, column: usize) -> bool {
        self.value(column) == b"true"
    }

    /// The same row with some values replaced.
    pub(super) fn with(&self, columns: usize, changes: &[(usize, Vec<u8>)]) -> Self {
        let mut builder = RowBuilder::default();
        for column in 0..columns.max(self.columns()) {
            match changes.iter().rev().find(|(changed, _)| *changed == column) {
                Some((_, value)) => builder.json(value),
                None => builder.json(self.value(column)),
            }
        }
        builder.finish()
    }

    fn columns(&self) -> usize {
        self.word(0)
    }

    fn word(&self, at: usize) -> usize {
        self.0
            .get(at..at + 4)
            .map_or(0, |word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for column in 0..self.columns() {
            list.entry(&String::from_utf8_lossy(self.value(column)));
        }
        list.finish()
    }
}

/// Makes rows, value by value in the order of the columns; can be used again after [`RowBuilder::finish`].
#[derive(Debug, Default)]
pub(super) struct RowBuilder {
    ends: Vec<u32>,
    values: Vec<u8>,
}

impl RowBuilder {
    /// A value that is JSON already.
    pub(super) fn json(&mut self, value: &[u8]) {
        if value != b"null" {
            self.values.extend_from_slice(value);
        }
        self.end();
    }

    pub(super) fn null(&mut self) {
        self.end();
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.json(if value { b"true" } else { b"false" });
    }

    /// A text that may hold anything.
    pub(super) fn text(&mut self, value: &str) {
        // Writing a text to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.values, value);
        self.end();
    }

    /// A text, or null.
    pub(super) fn text_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// A text without anything to escape: an id, a date.
    pub(super) fn plain(&mut self, value: &str) {
        self.values.push(b'"');
        self.values.extend_from_slice(value.as_bytes());
        self.values.push(b'"');
        self.end();
    }

    pub(super) fn finish(&mut self) -> Row {
        let mut bytes = Vec::with_capacity(4 + 4 * self.ends.len() + self.values.len());
        bytes.extend_from_slice(&u32::try_from(self.ends.len()).unwrap_or(u32::MAX).to_le_bytes());
        for end in &self.ends {
            bytes.extend_from_slice(&end.to_le_bytes());
        }
        bytes.extend_from_slice(&self.values);
        self.ends.clear();
        self.values.clear();
        Row(bytes.into())
    }

    fn end(&mut self) {
        self.ends.push(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
    }
}

/// The JSON of a value that came from outside.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::RowBuilder;

    #[test]
    fn a_row_gives_back_its_values_and_null_beyond_them() {
        let mut builder = RowBuilder::default();
        builder.plain("003x");
        builder.null();
        builder.text("say \"hé\"\n😀");
        builder.json(b"9007199254740993");
        let row = builder.finish();
        assert_eq!(row.plain(0), "003x");
        assert_eq!(row.value(1), b"null");
        assert_eq!(row.value(2), "\"say \\\"hé\\\"\\n😀\"".as_bytes());
        assert_eq!(row.value(3), b"9007199254740993");
        assert_eq!(row.value(4), b"null");
        let changed = row.with(6, &[(1, b"true".to_vec()), (5, b"1".to_vec())]);
        assert!(changed.is_true(1));
        assert_eq!(changed.value(3), b"9007199254740993");
        assert_eq!((changed.value(4), changed.value(5)), (&b"null"[..], &b"1"[..]));
        assert!(!row.is_true(1));
    }
}
