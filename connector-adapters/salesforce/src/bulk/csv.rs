//! The cells of a CSV as the Bulk API writes it, without copying any.
//!
//! Each page of results is a document of its own with a header row. A cell in quotes may hold delimiters and line ends;
//! a quote in it is doubled. Rows end with LF or CRLF, whatever the job asked for.

use std::fmt;

use memchr::{memchr, memchr3};
use serde::{Deserialize, Serialize};

const QUOTE: u8 = b'"';
/// What some writers put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What stands between two cells (Bulk API guide, "Create a Query Job", `columnDelimiter`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Delimiter {
    Backquote,
    Caret,
    #[default]
    Comma,
    Pipe,
    Semicolon,
    Tab,
}

impl Delimiter {
    fn byte(self) -> u8 {
        match self {
            Self::Backquote => b'`',
            Self::Caret => b'^',
            Self::Comma => b',',
            Self::Pipe => b'|',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// One value, as it stands in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell<'a> {
    /// Without the quotes around it.
    pub(crate) raw: &'a [u8],
    /// Whether quotes in it are doubled.
    pub(crate) is_doubled: bool,
    /// Whether the row ends with it.
    pub(crate) ends_row: bool,
}

/// What is wrong with a document, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Byte of the document.
    pub(crate) at: usize,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It ends within a cell, or before the end of its last row.
    Ends,
    /// Something other than a delimiter or the end of the row follows a closing quote.
    AfterQuote,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ends => "the CSV ends in the middle of a row",
            Self::AfterQuote => "the CSV has text after a closing quote",
        })
    }
}

/// A place in a document: it goes from cell to cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    at: usize,
    delimiter: u8,
}

impl Place {
    /// Before the first cell.
    pub(crate) fn start(document: &[u8], delimiter: Delimiter) -> Self {
        let at = if document.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self { at, delimiter: delimiter.byte() }
    }

    /// The byte it stands before.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether the document has ended. To be asked between rows only.
    pub(crate) fn is_end(&self, document: &[u8]) -> bool {
        self.at >= document.len()
    }

    /// The next cell.
    #[inline]
    pub(crate) fn cell<'a>(&mut self, document: &'a [u8]) -> Result<Cell<'a>, Malformed> {
        match document.get(self.at) {
            Some(&QUOTE) => self.quoted(document),
            _ => self.bare(document),
        }
    }

    #[inline]
    fn quoted<'a>(&mut self, document: &'a [u8]) -> Result<Cell<'a>, Malformed> {
        let start = self.at + 1;
        let mut from = start;
        let mut is_doubled = false;
        loop {
            let rest = document.get(from..).unwrap_or_default();
            let Some(quote) = memchr(QUOTE, rest) else {
                return Err(Malformed { at: document.len(), what: What::Ends });
            };
            let close = from + quote;
            if document.get(close + 1) == Some(&QUOTE) {
                is_doubled = true;
                from = close + 2;
                continue;
            }
            let raw = document.get(start..close).unwrap_or_default();
            let ends_row = self.after(document, close + 1)?;
            return Ok(Cell { raw, is_doubled, ends_row });
        }
    }

    fn bare<'a>(&mut self, document: &'a [u8]) -> Result<Cell<'a>, Malformed> {
        let start = self.at;
        let rest = document.get(start..).unwrap_or_default();
        // A document always ends with the end of a row: one that does not was cut, perhaps within this very value.
        let Some(length) = memchr3(self.delimiter, b'\n', b'\r', rest) else {
            return Err(Malformed { at: document.len(), what: What::Ends });
        };
        let raw = rest.get(..length).unwrap_or_default();
        let ends_row = self.after(document, start + length)?;
        Ok(Cell { raw, is_doubled: false, ends_row })
    }

    /// Steps over what separates a cell from the next one; whether that is the end of the row.
    #[inline]
    fn after(&mut self, document: &[u8], at: usize) -> Result<bool, Malformed> {
        match document.get(at) {
            Some(&byte) if byte == self.delimiter => {
                self.at = at + 1;
                Ok(false)
            }
            Some(b'\n') => {
                self.at = at + 1;
                Ok(true)
            }
            // A quote at the very end may be the first half of a doubled one.
            None => Err(Malformed { at, what: What::Ends }),
            Some(b'\r') => {
                self.at = at + 1 + usize::from(document.get(at + 1) == Some(&b'\n'));
                Ok(true)
            }
            Some(_) => Err(Malformed { at, what: What::AfterQuote }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(document: &str, delimiter: Delimiter) -> Result<Vec<Vec<String>>, Malformed> {
        let document = document.as_bytes();
        let mut place = Place::start(document, delimiter);
        let mut rows = Vec::new();
        while !place.is_end(document) {
            let mut row = Vec::new();
            loop {
                let cell = place.cell(document)?;
                let text = String::from_utf8(cell.raw.to_vec()).unwrap();
                row.push(if cell.is_doubled { text.replace("\"\"", "\"") } else { text });
                if cell.ends_row {
                    break;
                }
            }
            rows.push(row);
        }
        Ok(rows)
    }

    #[test]
    fn line_ends_delimiters_and_quotes_within_quotes_belong_to_the_value() {
        let read =
            rows("\"Id\",\"Street\"\n\"1\",\"345 Sho\"\"e\r\nlane, 2\"\r\n", Delimiter::Comma).unwrap();
        assert_eq!(read, [vec!["Id", "Street"], vec!["1", "345 Sho\"e\r\nlane, 2"]]);
    }

    #[test]
    fn every_delimiter_of_the_vendor_is_read() {
        use Delimiter::{Backquote, Caret, Comma, Pipe, Semicolon, Tab};
        let known =
            [(Backquote, '`'), (Caret, '^'), (Comma, ','), (Pipe, '|'), (Semicolon, ';'), (Tab, '\t')];
        for (delimiter, sign) in known {
            let read = rows(&format!("Id{sign}Name\n1{sign}\"a{sign}b\"\n"), delimiter).unwrap();
            assert_eq!(
                read,
                [vec!["Id".to_owned(), "Name".to_owned()], vec!["1".to_owned(), format!("a{sign}b")]]
            );
        }
    }

    #[test]
    fn empty_cells_stand_where_nothing_is_written_and_between_quotes() {
        let read = rows("a,,\"\"\n,\"\",c\n", Delimiter::Comma).unwrap();
        assert_eq!(read, [["a", "", ""], ["", "", "c"]]);
    }

    #[test]
    fn d_12_a_document_that_was_cut_is_refused_wherever_it_was_cut() {
        let whole = "Id,Name\n1,\"a \"\"b\"\" c\"\n2,last\n";
        for end in 1..whole.len() {
            let cut = &whole[..end];
            assert_eq!(rows(cut, Delimiter::Comma).is_ok(), cut.ends_with('\n'), "{cut:?}");
        }
    }

    #[test]
    fn text_after_a_closing_quote_is_refused_with_its_place() {
        let error = rows("Id\n\"1\"x\n", Delimiter::Comma).unwrap_err();
        assert_eq!(error, Malformed { at: 6, what: What::AfterQuote });
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        assert_eq!(rows("\u{feff}Id\n1\n", Delimiter::Comma).unwrap(), [["Id"], ["1"]]);
    }

    #[test]
    fn csv_files_of_the_vendors_own_tools_are_read() {
        let Some(folder) = std::env::var_os("CONNECTOR_FIXTURES") else {
            eprintln!("CONNECTOR_FIXTURES is not set: the recorded files are not read");
            return;
        };
        let folder = std::path::Path::new(&folder).join("salesforce");
        let read = |name: &str, delimiter| {
            rows(&std::fs::read_to_string(folder.join(name)).unwrap(), delimiter).unwrap()
        };
        for (name, delimiter, columns) in [
            ("jsforce_Account_bulk2_test.csv", Delimiter::Comma, None),
            ("jsforce_Account_bulk2_test_backquote.csv", Delimiter::Backquote, Some(5)),
            ("sfcli_comma_wrapped_values.csv", Delimiter::Comma, Some(5)),
            ("sfcli_tab.csv", Delimiter::Tab, Some(5)),
            ("cumulusci_bulk1_upsert_result.csv", Delimiter::Comma, Some(4)),
        ] {
            let rows = read(name, delimiter);
            assert!(rows.len() > 1, "{name}");
            let width = columns.unwrap_or_else(|| rows[0].len());
            assert!(rows.iter().all(|row| row.len() == width), "{name}");
        }
        let street = &read("jsforce_Account_bulk2_test.csv", Delimiter::Comma)[1][3];
        assert!(street.starts_with("345 Sho") && street.contains('\n'), "{street}");
    }
}
