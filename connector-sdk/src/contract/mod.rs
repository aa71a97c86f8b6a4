//! The contract: five traits, and what they hand to each other.
//!
//! They are object safe, because a host holds connectors that it was not compiled against by name:
//! `Arc<dyn Connector>`. A call moves a whole batch, so a boxed future costs nothing that can be measured.

mod action;
mod authenticate;
mod checkpoint;
mod connector;
mod discover;
mod emit;
mod factory;
mod files;
mod listen;
mod read;

pub use action::{ActionOutcome, ActionRequest, ActionSpec, ActionStatus};
pub use authenticate::{Authenticate, Identity};
pub use checkpoint::{Checkpoint, Commit, Lease};
pub use connector::{Connector, CostEstimate, Health, HealthStatus};
pub use discover::Discover;
pub use emit::{DeadLetter, Emit, FileReceipt, Opening, Receipt, SequencedBatch};
pub use factory::{Factory, TypedFactory};
pub use files::Files;
pub use listen::Listener;
pub use read::{Acknowledged, Estimate, Message, Partition, Plan, Read, ReadRequest, Skipped};
