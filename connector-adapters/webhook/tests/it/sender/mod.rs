//! `webhook/sender` against endpoints on loopback that answer as a test wants.

mod acting;
mod answers;
mod bounds;
mod disks;
mod endpoint;
mod guarded;
mod host;
mod order;
mod schedule;
mod schemes;
mod secure;
mod support;
