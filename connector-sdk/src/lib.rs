//! The contract and the mechanism: what a connector author depends on.
//!
//! A connector is five verbs. The author writes the first three, a host supplies the other two:
//!
//! | verb | trait | who |
//! |---|---|---|
//! | authenticate | [`Authenticate`] | the connector |
//! | discover | [`Discover`] | the connector |
//! | read | [`Read`] | the connector |
//! | checkpoint | [`Checkpoint`] | the host: a registry |
//! | emit | [`Emit`] | the host: a Bronze sink |
//!
//! This crate starts no runtime and no thread, and holds no global. Everything that waits, waits on
//! the [`Clock`] of the [`Context`] that it was given.
//!
//! Where to look: [`contract`] for the traits, [`record`] for how a vendor's page becomes records
//! without a copy, [`http`] for the resilient client, [`auth`] for token sources, [`manifest`] for
//! what a connector declares about itself, [`error`] for what every failure tells its reader.

pub mod auth;
pub mod clock;
pub mod context;
pub mod contract;
pub mod crash;
pub mod error;
pub mod http;
pub mod id;
pub mod manifest;
pub mod network;
pub mod record;
pub mod resilience;
pub mod secret;
pub mod state;
pub mod stream;
pub mod units;

pub use clock::{Clock, SystemClock, Timestamp};
pub use context::{Context, Counters};
pub use contract::{
    Acknowledged, Authenticate, Checkpoint, Connector, Discover, Emit, Factory, Identity, Message, Partition,
    Plan, Read, ReadRequest,
};
pub use error::{Class, Delivery, Error, Result};
pub use id::{ConnectionName, ConnectorId, PartitionId, RunId, StreamId, TenantId};
pub use manifest::Manifest;
pub use network::Network;
pub use record::{Batch, Operation};
pub use secret::{Secret, SecretStore};
pub use state::{State, StreamState};
pub use stream::{Catalog, StreamSelection, StreamSpec, SyncMode};
pub use units::{ByteSize, Period};
