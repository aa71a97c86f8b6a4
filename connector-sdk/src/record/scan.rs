//! placeholder
/// placeholder
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span { start: u32, end: u32 }
impl Span {
    /// placeholder
    pub const NONE: Self = Self { start: u32::MAX, end: u32::MAX };
    /// placeholder
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self { Self { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) } }
    /// placeholder
    #[must_use]
    pub fn range(self) -> Option<std::ops::Range<usize>> { (self != Self::NONE).then_some(self.start as usize..self.end as usize) }
    /// placeholder
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Option<&[u8]> { self.range().and_then(|range| bytes.get(range)) }
}
/// placeholder
#[derive(Debug)]
pub struct ScanSpec { /// p
 pub records_path: Vec<Box<str>>, /// p
 pub page_fields: Vec<Vec<Box<str>>>, /// p
 pub record_fields: Vec<Vec<Box<str>>> }
/// placeholder
#[derive(Debug, Default)]
pub struct Scan { /// p
 pub records: Vec<Span>, /// p
 pub record_fields: Vec<Span>, /// p
 pub page_fields: Vec<Span> }
/// p
#[derive(Debug)]
pub struct ScanError { /// p
 pub kind: ScanErrorKind, /// p
 pub offset: usize }
/// p
#[derive(Debug)]
pub enum ScanErrorKind { /// p
 UnexpectedEnd, /// p
 RecordsMissing }
impl std::fmt::Display for ScanErrorKind { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { std::fmt::Debug::fmt(self, f) } }
impl ScanSpec { /// p
/// # Errors
/// p
 pub fn scan(&self, _: &[u8], _: &mut Scan) -> Result<(), ScanError> { Ok(()) } }
/// p
#[must_use]
pub fn unescape(_: &[u8]) -> std::borrow::Cow<'_, str> { "".into() }
