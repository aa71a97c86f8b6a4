//! Records: raw JSON bytes inside the page the vendor sent.
//!
//! A page is split in one pass that checks the JSON and picks out what somebody asked for; no record is
//! copied, no tree is built, and numbers and strings leave as they came. The order of things:
//!
//! ```text
//! page (Bytes) ──[page]──▶ Batch: spans + key, cursor, operation ──[envelope]──▶ a line or a row of Bronze
//!                  │ scan                            │ tally: count and hash, compared at the commit
//! ```

mod batch;
mod envelope;
mod page;
mod scan;
mod seen;
mod tally;

pub use batch::{Batch, BatchBuilder, Operation, RecordView, Written};
pub use envelope::{ENVELOPE_COLUMNS, EnvelopeHeader, EnvelopeLines};
pub use page::{Page, PageSpec, PageSplitter, timestamp_millis};
pub use scan::{MAX_DEPTH, Scan, ScanError, ScanErrorKind, ScanSpec, Span, unescape};
pub use seen::{SEEN_LIMIT, Seen};
pub use tally::Tally;
