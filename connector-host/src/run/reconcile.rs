//! Step 2 of a run: what stands in Bronze against what the registry knows.

use connector_sdk::{StreamState, contract::Commit};

/// The commits of the sink that the registry has not heard of: we died between commit and checkpoint.
///
/// A partition that the registry does not know is either new, or was folded into the stream's own state,
/// in an earlier generation than the current one. Where both are equal the registry wins: states that
/// advanced without records go there only. Nothing is concluded from a commit that is missing: old Bronze
/// may have been moved away.
pub(super) fn ahead(registry: &StreamState, sink: Vec<Commit>) -> Vec<Commit> {
    let mut ahead = sink;
    ahead.retain(|commit| match registry.partitions.get(&commit.partition) {
        Some(known) => (commit.epoch, commit.sequence) > (known.epoch, known.sequence),
        None => (commit.epoch, commit.generation) == (registry.epoch, registry.generation),
    });
    ahead
}

#[cfg(test)]
mod tests {
    use connector_sdk::{State, record::Tally, state::PartitionState};

    use super::*;

    fn commit(partition: &str, epoch: u64, generation: u64, sequence: u64) -> Commit {
        let state = State::encode(1, &sequence).unwrap();
        Commit { partition: partition.into(), epoch, generation, sequence, tally: Tally::default(), state }
    }

    fn registry() -> StreamState {
        let mut state = StreamState { epoch: 1, generation: 4, ..StreamState::default() };
        let known = PartitionState { sequence: 10, epoch: 1, state: None };
        state.partitions.insert("known".into(), known);
        state
    }

    #[test]
    fn d_02_a_commit_the_registry_has_not_heard_of_is_adopted() {
        assert_eq!(ahead(&registry(), vec![commit("known", 1, 4, 11)]).len(), 1);
        assert_eq!(ahead(&registry(), vec![commit("new", 1, 4, 3)]).len(), 1);
    }

    #[test]
    fn where_both_are_equal_the_registry_wins() {
        assert!(ahead(&registry(), vec![commit("known", 1, 4, 10)]).is_empty());
    }

    #[test]
    fn a_partition_folded_in_an_earlier_generation_does_not_come_back() {
        assert!(ahead(&registry(), vec![commit("window", 1, 3, 99)]).is_empty());
    }

    #[test]
    fn a_reset_voids_what_the_sink_still_says() {
        assert!(ahead(&registry(), vec![commit("known", 0, 9, 99), commit("window", 0, 9, 5)]).is_empty());
    }
}
