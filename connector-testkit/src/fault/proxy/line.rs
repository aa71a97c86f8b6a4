//! What can befall a connection: data, no behaviour.

use std::time::Duration;

use super::Flaw;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// One thing that goes wrong with one connection. Bytes are counted from 0 in their direction, as the server and the
/// client sent them; with TLS, inside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line {
    /// Nobody listens (ECONNREFUSED) until the rule is taken out: who is refused never came, and cannot be counted.
    Refuse,
    /// While so many connections are open, this one waits in the system's queue: it is connected, and mute.
    Wait {
        /// Connections that are served at the same time.
        connections: usize,
    },
    /// While so many connections are open, this one is reset.
    TurnAway {
        /// Connections that are served at the same time.
        connections: usize,
    },
    /// RST after so many bytes; 0 is before the first.
    Reset {
        /// Whose bytes.
        way: Way,
        /// Bytes that still pass.
        after: u64,
    },
    /// An orderly end after so many bytes.
    Close {
        /// Whose bytes.
        way: Way,
        /// Bytes that still pass.
        after: u64,
    },
    /// Nothing goes on after so many bytes, and nobody says so.
    Stall {
        /// Whose bytes.
        way: Way,
        /// Bytes that still pass.
        after: u64,
    },
    /// Each piece is late.
    Delay {
        /// Whose bytes.
        way: Way,
        /// By so much.
        by: Duration,
    },
    /// So many bytes at a time.
    Throttle {
        /// Whose bytes.
        way: Way,
        /// Bytes in a step, at least 1.
        bytes: usize,
        /// Time before each step.
        every: Duration,
    },
    /// One byte has its lowest bit turned.
    Corrupt {
        /// Whose byte.
        way: Way,
        /// Which.
        at: u64,
    },
    /// A piece is missing, and the rest goes on.
    Lose {
        /// Whose bytes.
        way: Way,
        /// The first that is missing.
        at: u64,
        /// How many.
        bytes: u64,
    },
    /// A piece comes twice.
    Repeat {
        /// Whose bytes.
        way: Way,
        /// The first of them.
        at: u64,
        /// How many.
        bytes: u64,
    },
    /// The certificate is not one to trust; without TLS nothing happens.
    Certificate(Flaw),
}

impl Line {
    /// The direction it is about; none: the whole connection.
    pub(super) fn way(&self) -> Option<Way> {
        match *self {
            Self::Refuse | Self::Wait { .. } | Self::TurnAway { .. } | Self::Certificate(_) => None,
            Self::Reset { way, .. }
            | Self::Close { way, .. }
            | Self::Stall { way, .. }
            | Self::Delay { way, .. }
            | Self::Throttle { way, .. }
            | Self::Corrupt { way, .. }
            | Self::Lose { way, .. }
            | Self::Repeat { way, .. } => Some(way),
        }
    }
}
