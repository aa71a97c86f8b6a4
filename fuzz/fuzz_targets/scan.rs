//! Any bytes are a page: the scan must say of them what serde_json says, and never panic.
#![no_main]

use connector_sdk::record::{Scan, ScanErrorKind, ScanSpec, Span};

#[path = "../../connector-sdk/src/record/scan/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|page: &[u8]| oracle::compare(page));
