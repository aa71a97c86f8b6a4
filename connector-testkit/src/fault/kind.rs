//! The faults themselves: data, no behaviour.

use std::time::Duration;

/// One thing that goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This answer instead of the vendor's.
    Status {
        /// HTTP status code, 100 to 999.
        status: u16,
        /// Headers of the answer, as they are: bad values may be sent on purpose.
        headers: Vec<(String, String)>,
        /// Body of the answer.
        body: String,
    },
    /// The vendor refuses the credentials that came with the request, in its own words, and forgets them.
    Unauthorized,
    /// The vendor's answer cut in its middle, with a `Content-Length` that fits: complete HTTP, broken JSON.
    MalformedJson,
    /// The vendor's status and no body at all.
    EmptyBody,
    /// The vendor's headers, then `after` bytes of the body, then an orderly end of the connection.
    TruncatedBody {
        /// Bytes of the body that are still sent.
        after: usize,
        /// Send the body chunked (the last chunk never comes) instead of announcing its length.
        chunked: bool,
    },
    /// The connection is reset (RST) before a byte of the answer was sent; the vendor never sees the request.
    ResetBefore,
    /// The vendor handles the request, and the connection is reset after this much of the answer's body.
    ResetAfter {
        /// Bytes of the body that are still sent; 0 sends the headers only.
        bytes: usize,
    },
    /// The vendor's answer, a few bytes at a time.
    SlowBody {
        /// Bytes per step, at least 1.
        bytes: usize,
        /// Time between two steps.
        every: Duration,
    },
    /// The vendor's answer, whose head comes so many bytes at a time, and its body at once after it.
    SlowHead {
        /// Bytes per step, at least 1; [`usize::MAX`] sends the whole head after one wait.
        bytes: usize,
        /// Time before each step.
        every: Duration,
    },
    /// No answer until the client leaves.
    Stall,
    /// The vendor's whole answer under a `Content-Length` that is off by so many bytes, on a connection that stays.
    /// With too much announced the client waits for what never comes; with too little the rest of the body lies in
    /// the connection where the next answer should begin.
    WrongLength {
        /// Bytes too many, or too few.
        by: i64,
    },
    /// The vendor's answer under this `Content-Type`.
    ContentType(String),
    /// The vendor's answer as gzip, in so many members, one after the other (RFC 1952, 2.2): one body all the same.
    GzipMembers {
        /// How many, at least 1.
        count: usize,
    },
    /// The vendor's answer as gzip that lacks its last bytes, with a `Content-Length` that fits. The last eight are
    /// the trailer: without them every byte of the data can still be read, and none is checked.
    GzipCut {
        /// Bytes that are missing.
        missing: usize,
    },
    /// The vendor's answer as gzip, with so many blanks after it that compress to a thousandth: the JSON stays right.
    GzipBomb {
        /// Bytes of the body when it is unpacked, rounded up to mebibytes.
        bytes: usize,
    },
    /// The vendor's head with `Transfer-Encoding: chunked`, half of the body, and then a line that is no length.
    BrokenChunk,
    /// The vendor's answer twice: the second copy lies in the connection where the next answer should begin.
    Twice,
}

impl Fault {
    /// An answer with this status, no body and no headers; see [`Fault::with_body`], [`Fault::with_header`].
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, headers: Vec::new(), body: String::new() }
    }

    /// An answer with this status that asks to come back later. `value` is sent as it is: seconds, an HTTP
    /// date, or nonsense.
    #[must_use]
    pub fn retry_after(status: u16, value: impl Into<String>) -> Self {
        Self::status(status).with_header("Retry-After", value)
    }

    /// The HTML page that a front end shows when the service behind it is down: 503, `text/html`.
    #[must_use]
    pub fn html() -> Self {
        Self::status(503).with_header("Content-Type", "text/html; charset=utf-8").with_body(
            "<!DOCTYPE html>\n<html><head><title>We are down for maintenance</title></head>\n\
             <body><h1>We are down for maintenance.</h1><p>Sorry for the inconvenience. We'll be back \
             shortly.</p></body></html>\n",
        )
    }

    /// The same page with status 200: what a proxy on the way says in the vendor's name.
    #[must_use]
    pub fn html_200() -> Self {
        match Self::html() {
            Self::Status { headers, body, .. } => Self::Status { status: 200, headers, body },
            other => other,
        }
    }

    /// Adds a header to a [`Fault::Status`]; the other faults have none of their own and stay as they are.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// Sets the body of a [`Fault::Status`]; the other faults stay as they are.
    #[must_use]
    pub fn with_body(mut self, text: impl Into<String>) -> Self {
        if let Self::Status { body, .. } = &mut self {
            *body = text.into();
        }
        self
    }

    /// One word for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Unauthorized => "unauthorized",
            Self::MalformedJson => "malformed_json",
            Self::EmptyBody => "empty_body",
            Self::TruncatedBody { .. } => "truncated_body",
            Self::ResetBefore => "reset_before",
            Self::ResetAfter { .. } => "reset_after",
            Self::SlowBody { .. } => "slow_body",
            Self::SlowHead { .. } => "slow_head",
            Self::Stall => "stall",
            Self::WrongLength { .. } => "wrong_length",
            Self::ContentType(_) => "content_type",
            Self::GzipMembers { .. } => "gzip_members",
            Self::GzipCut { .. } => "gzip_cut",
            Self::GzipBomb { .. } => "gzip_bomb",
            Self::BrokenChunk => "broken_chunk",
            Self::Twice => "twice",
        }
    }
}
