//! How large the head of an answer may be.
//!
//! Our own cap is [`MAX_BYTES`]. Beyond it stand those of hyper, which refuses a head of HTTP/1.1 of more
//! than 100 headers or about 400 KiB, and what we announce in HTTP/2, so that no head can take more memory
//! than that before we see it. Asking again would bring the same head, so none of them is tried again.

use ::http::HeaderMap;

use super::failure::cause;
use crate::{Delivery, Error};

/// The most bytes of names and values together. Servers themselves accept 8 to 32 KiB from us.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// What we let HTTP/2 take; it counts 32 bytes more for each header (RFC 9113, 6.5.2). hyper's default
/// of 16 KiB is less than [`MAX_BYTES`].
pub(super) const HTTP2_LIST_SIZE: u32 = 256 << 10;

/// The bytes of the headers, without what separates them.
pub(super) fn is_too_large(headers: &HeaderMap) -> bool {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > MAX_BYTES
}

/// hyper itself has refused the head. In HTTP/2 it then gives up the one stream; what gives up the whole
/// connection concerns other requests too, which may be tried again.
pub(super) fn was_refused(error: &reqwest::Error) -> bool {
    cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse_too_large)
        || cause::<h2::Error>(error).is_some_and(|error| {
            error.is_reset() && error.is_library() && error.reason() == Some(h2::Reason::PROTOCOL_ERROR)
        })
}

pub(super) fn too_large(operation: &'static str) -> Error {
    Error::permanent(operation, "the head of the answer is larger than 64 KiB, or malformed")
        .with_delivery(Delivery::Answered)
}
