//! What can be wrong with a page.

/// What is wrong with a page, and where.
///
/// It quotes nothing of the page: that may be personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct ScanError {
    /// What is wrong.
    pub kind: ScanErrorKind,
    /// The byte of the page, from 0, at which that shows.
    pub offset: usize,
}

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanErrorKind {
    /// The page ends before its value does: a truncated or empty body. Asking again may help.
    #[error("the JSON ends too early")]
    UnexpectedEnd,
    /// No JSON: something else stands where the grammar wants this.
    #[error("not JSON: expected {expected}")]
    Syntax {
        /// What had to stand there.
        expected: &'static str,
    },
    /// More follows after the page's value.
    #[error("not JSON: more follows after the value")]
    TrailingData,
    /// The page starts with a byte order mark, which JSON text must not (RFC 8259, section 8.1).
    #[error("not JSON: a byte order mark stands before it")]
    ByteOrderMark,
    /// A byte below 0x20 stands unescaped in a string.
    #[error("a control character stands unescaped in a string")]
    ControlCharacter,
    /// An escape is one half of a surrogate pair without the other, which is no character.
    #[error("half of a surrogate pair is escaped alone")]
    LoneSurrogate,
    /// A string is not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// Objects and arrays nest deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("nested deeper than 128")]
    Depth,
    /// The page is 4 GiB or larger.
    #[error("the page is 4 GiB or larger")]
    TooLarge,
    /// More records than a page may have: each costs memory beside its bytes.
    #[error("more than 1,000,000 records in one page")]
    TooManyRecords,
    /// Good JSON, but nothing stands at the path of the records.
    #[error("no records: the path to them is not there")]
    RecordsMissing,
    /// Good JSON, but what stands at the path of the records is no array.
    #[error("no records: no array stands at the path to them")]
    RecordsNotAnArray,
}

/// An error on its way out: boxed, so that a result fits two registers. Through memory, each call on the hot way
/// costs as much as a short string.
pub(super) type Fault = Box<ScanError>;

#[cold]
#[inline(never)]
pub(super) fn fault(kind: ScanErrorKind, offset: usize) -> Fault {
    Box::new(ScanError { kind, offset })
}

/// Something else than `expected` stands at `offset`, or the page has ended there.
#[cold]
#[inline(never)]
pub(super) fn expected(expected: &'static str, page: &[u8], offset: usize) -> Fault {
    if offset < page.len() { fault(ScanErrorKind::Syntax { expected }, offset) } else { end(page) }
}

#[cold]
#[inline(never)]
pub(super) fn end(page: &[u8]) -> Fault {
    fault(ScanErrorKind::UnexpectedEnd, page.len())
}
