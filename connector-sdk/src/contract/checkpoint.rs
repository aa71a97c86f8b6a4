//! The fourth verb: where a read stands, kept by the host.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{ConnectionName, PartitionId, Result, State, StreamId, StreamState, TenantId, record::Tally};

/// Keeps the states of streams. Implemented by a host's registry.
///
/// What an implementation must do: `checkpoint` is durable when it returns, all of it or nothing, and
/// it refuses a lease whose fence is not the current one (rule D-16).
///
/// ```
/// use connector_sdk::{*, contract::*, state::PartitionState};
/// use std::sync::Mutex;
///
/// /// Keeps states in memory, for one connection. A real one is in connector-host.
/// #[derive(Debug, Default)]
/// struct InMemory(Mutex<StreamState>);
///
/// #[async_trait::async_trait]
/// impl Checkpoint for InMemory {
///     async fn load(&self, _: &TenantId, _: &ConnectionName, _: &StreamId) -> Result<StreamState> {
///         Ok(self.0.lock().unwrap().clone())
///     }
///     async fn checkpoint(&self, _lease: &Lease, commits: &[Commit]) -> Result<()> {
///         let mut stream = self.0.lock().unwrap();
///         for commit in commits {
///             let state = PartitionState {
///                 sequence: commit.sequence, epoch: commit.epoch, state: Some(commit.state.clone()),
///             };
///             stream.partitions.insert(commit.partition.clone(), state);
///         }
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Checkpoint: Send + Sync {
    /// Where the stream stands; the default value where it was never read.
    ///
    /// # Errors
    /// Config when the registry is of a newer schema or holds a state that cannot be decoded; Transient
    /// when it cannot be reached.
    async fn load(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        stream: &StreamId,
    ) -> Result<StreamState>;

    /// Makes the states durable.
    ///
    /// # Errors
    /// Permanent with the context `fence` when the lease is no longer the current one: stop at once.
    /// Transient or Permanent when the registry cannot write.
    async fn checkpoint(&self, lease: &Lease, commits: &[Commit]) -> Result<()>;
}

/// The right to write a stream, and the number that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Which connection.
    pub connection: ConnectionName,
    /// Which stream.
    pub stream: StreamId,
    /// Grows with every claim; a write with an older one is refused.
    pub fence: u64,
    /// Who holds it, for people: host, process, run.
    pub owner: String,
}

/// A partition's new state, with what it covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Which partition.
    pub partition: PartitionId,
    /// The epoch it was read in.
    pub epoch: u64,
    /// The generation it was read in.
    pub generation: u64,
    /// The last sequence number covered.
    pub sequence: u64,
    /// Count and hash of the records since the previous commit of this partition, taken at read.
    pub tally: Tally,
    /// The reader's state.
    pub state: State,
}
