use connector_sdk::{State, contract::Commit, record::Tally};

use super::*;

fn standing(number: u64, complete: bool, cursor: &str) -> Standing {
    let state = State::encode(1, &cursor).unwrap();
    let state = if complete { state.completing() } else { state };
    let partition = format!("{number}").as_str().into();
    let commit = Commit { partition, epoch: 0, generation: 0, sequence: 1, tally: Tally::default(), state };
    Standing { number, commit }
}

fn map(all: impl IntoIterator<Item = Standing>) -> BTreeMap<PartitionId, Standing> {
    all.into_iter().map(|last| (last.commit.partition.clone(), last)).collect()
}

#[test]
fn what_goes_on_is_never_forgotten() {
    let mut all = map((1..=1_000).map(|number| standing(number, false, "x")));
    assert_eq!(forget(&mut all, 0), 0);
    assert_eq!(all.len(), 1_000);
}

#[test]
fn of_what_is_complete_the_newest_stay() {
    let mut all = map((1..=100).map(|number| standing(number, number % 2 == 0, "x")));
    // Each costs 256 bytes, its name and its cursor.
    assert_eq!(forget(&mut all, 10 * 262), 40);
    let complete: Vec<u64> =
        all.values().filter(|last| last.commit.state.is_complete()).map(|last| last.number).collect();
    assert!(complete.iter().all(|number| *number > 80), "{complete:?}");
    assert_eq!(complete.len(), 10);
    assert_eq!(forget(&mut all, 10 * 262), 0);
}

#[test]
fn twenty_thousand_windows_fit() {
    let mut all =
        map((1..=20_000)
            .map(|number| standing(number, true, r#"{"since":"2026-01-01","until":"2026-02-01"}"#)));
    assert_eq!(forget(&mut all, MAX_COMPLETE_BYTES), 0);
}
