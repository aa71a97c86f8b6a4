//! What every registry decides alike: who may claim, who may write, what may follow what. No I/O.

use std::{collections::BTreeMap, fmt};

use connector_sdk::{
    Error, PartitionId, Result, State, StreamId, Timestamp,
    contract::{Commit, Lease},
    state::MAX_CURSOR_BYTES,
};

use super::{ActionRecord, Fold, SchemaVersion, fenced};

/// Who holds a stream, and until when.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) owner: String,
    pub(super) expires_at: Timestamp,
}

/// Whether a stream may be claimed now; true when it is taken over from an owner that did not release it.
///
/// `alive` is asked only about an owner whose lease still runs.
pub(super) fn may_claim(
    stream: &StreamId,
    held: Option<&Held>,
    now: Timestamp,
    alive: impl FnOnce() -> Result<bool>,
) -> Result<bool> {
    let Some(held) = held else { return Ok(false) };
    if held.expires_at <= now || !alive()? {
        return Ok(true);
    }
    let message = format!("the stream `{stream}` is being run by {} until {}", held.owner, held.expires_at);
    Err(Error::transient("claim stream", message)
        .with_context("owner", &held.owner)
        .with_context("expires_at", held.expires_at))
}

/// Whether the lease may write, given the fence that stands and whether anybody holds the stream (D-16).
pub(super) fn may_write(lease: &Lease, fence: u64, held: bool) -> Result<()> {
    if fence != lease.fence {
        return Err(fenced(lease, fence));
    }
    if held {
        return Ok(());
    }
    Err(Error::bug("write state", "the stream was released before this write")
        .with_context("stream", &lease.stream)
        .with_context("fence", fence))
}

/// What a checkpoint writes: the last commit of each partition, by partition, with its cursor if that counts.
pub(super) fn to_write(stream_epoch: u64, commits: &[Commit]) -> Result<Vec<(&Commit, Option<&State>)>> {
    let mut last: BTreeMap<&PartitionId, (&Commit, Option<&State>)> = BTreeMap::new();
    for commit in commits {
        let cursor = keeps_cursor(stream_epoch, commit)?.then_some(&commit.state);
        if let Some((before, _)) = last.insert(&commit.partition, (commit, cursor)) {
            check_forward((before.epoch, before.sequence), commit)?;
        }
    }
    Ok(last.into_values().collect())
}

/// Whether the cursor of a commit counts: that of an epoch before the stream's is void, its sequence is not.
fn keeps_cursor(stream_epoch: u64, commit: &Commit) -> Result<bool> {
    check_size("checkpoint", &commit.partition, &commit.state)?;
    if commit.epoch > stream_epoch {
        return Err(Error::config(
            "checkpoint",
            "Bronze knows of a later reset of this stream than the registry: the registry is an older copy. \
             Restore the newer one, or reset the stream with `connector state reset` until the epochs meet",
        )
        .with_context("partition", &commit.partition)
        .with_context("epoch", commit.epoch)
        .with_context("registry_epoch", stream_epoch));
    }
    Ok(commit.epoch == stream_epoch)
}

/// Whether a commit may follow the (epoch, sequence) that stands.
pub(super) fn check_forward(known: (u64, u64), commit: &Commit) -> Result<()> {
    if commit.epoch >= known.0 && commit.sequence >= known.1 {
        return Ok(());
    }
    Err(Error::bug("checkpoint", "a partition's sequence or epoch goes backwards")
        .with_context("partition", &commit.partition)
        .with_context("epoch", commit.epoch)
        .with_context("sequence", commit.sequence)
        .with_context("known_epoch", known.0)
        .with_context("known_sequence", known.1))
}

/// Whether a fold may follow the generation that stands.
pub(super) fn check_fold(generation: u64, fold: &Fold) -> Result<()> {
    if fold.generation < generation {
        return Err(Error::bug("fold stream", "the generation goes backwards")
            .with_context("generation", fold.generation)
            .with_context("known_generation", generation));
    }
    fold.state.as_ref().map_or(Ok(()), |state| check_size("fold stream", &"the stream's own", state))
}

/// Whether a partition may be forgotten: it was read to its end, or a reset has voided it since. Any other
/// would be read again with numbers that stand in Bronze already.
pub(super) fn check_forget(
    stream_epoch: u64,
    partition: &PartitionId,
    known: Option<(u64, Option<&State>)>,
) -> Result<()> {
    match known {
        None => Ok(()),
        Some((_, Some(state))) if state.is_complete() => Ok(()),
        Some((epoch, None)) if epoch < stream_epoch => Ok(()),
        Some(_) => Err(Error::bug("fold stream", "a partition that is not complete cannot be folded")
            .with_context("partition", partition)),
    }
}

/// A version of a schema, once added, stays what it is.
pub(super) fn check_same_schema(known_fingerprint: &str, schema: &SchemaVersion) -> Result<()> {
    if known_fingerprint == schema.fingerprint {
        return Ok(());
    }
    Err(Error::bug("add schema", "this version is another schema already")
        .with_context("version", schema.version)
        .with_context("fingerprint", &schema.fingerprint)
        .with_context("known_fingerprint", known_fingerprint))
}

/// The error of an answer to an action that was never begun.
pub(super) fn never_intended(action: &ActionRecord) -> Error {
    Error::bug("finish action", "the intent of this action was never noted")
        .with_context("action", &action.name)
}

fn check_size(operation: &'static str, of: &impl fmt::Display, state: &State) -> Result<()> {
    let bytes = state.cursor().get().len();
    if bytes <= MAX_CURSOR_BYTES {
        return Ok(());
    }
    Err(Error::bug(operation, "the cursor is larger than a state may be")
        .with_context("partition", of)
        .with_context("bytes", bytes)
        .with_context("limit", MAX_CURSOR_BYTES))
}
