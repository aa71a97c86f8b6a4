use connector_sdk::{Operation, record::RecordView};

use super::*;

const MINUTE: i64 = 60_000;
const LOOKBACK: Duration = Duration::from_secs(600);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn deletion(millis: i64) -> RecordView<'static> {
    RecordView {
        operation: Operation::Delete,
        record: None,
        key: Some(b"{\"Id\":\"1\"}"),
        cursor: Some(b"1"),
        source_timestamp: Some(millis),
    }
}

fn read(ledger: &mut Ledger, state: &LogState) -> Option<PartitionId> {
    let range = ledger.reading().unwrap();
    let state = State::encode(STATE_VERSION, state).unwrap().completing();
    let known = PartitionState { sequence: 0, epoch: 0, state: Some(state) };
    ledger.fold(&BTreeMap::from([(range.id(), known)])).unwrap()
}

#[test]
fn the_log_is_asked_for_no_more_often_than_every_five_minutes() {
    let mut ledger = Ledger::begin(at(0));
    for early in [-MINUTE, 0, 5 * MINUTE - 1] {
        ledger.plan(at(early), LOOKBACK);
        assert!(ledger.reading().is_none());
    }
    ledger.plan(at(5 * MINUTE), LOOKBACK);
    let range = ledger.reading().unwrap();
    assert_eq!((range.from, range.to), (at(0), at(5 * MINUTE)));
    ledger.plan(at(50 * MINUTE), LOOKBACK);
    assert_eq!(ledger.reading(), Some(range), "one at a time");
}

#[test]
fn no_partition_of_the_log_comes_twice_however_far_the_vendor_lags() {
    let mut ledger = Ledger::begin(at(0));
    let mut ids = std::collections::BTreeSet::new();
    for step in 1..50 {
        ledger.plan(at(step * 5 * MINUTE + step * 7_000), LOOKBACK);
        // What it covers stays where it was.
        let id = read(&mut ledger, &LogState { covered: Some(at(MINUTE)), ..LogState::default() });
        assert!(ids.insert(id.unwrap()));
        assert_eq!(ledger.covered, at(MINUTE));
    }
}

#[test]
fn what_was_emitted_is_remembered_as_long_as_it_is_looked_at_again() {
    let mut ledger = Ledger::begin(at(0));
    ledger.plan(at(60 * MINUTE), LOOKBACK);
    let mut seen = Seen::default();
    let (old, new) = (deletion(50 * MINUTE - 1), deletion(50 * MINUTE));
    seen.insert(&old);
    seen.insert(&new);
    read(&mut ledger, &LogState { covered: Some(at(60 * MINUTE + 30_000)), seen, ..LogState::default() });
    ledger.plan(at(70 * MINUTE), LOOKBACK);
    assert_eq!(ledger.reading().unwrap().from, at(0), "what the plan before has read is read again");
    assert!(ledger.seen.contains(&new) && ledger.seen.contains(&old));
    read(&mut ledger, &LogState { covered: Some(at(60 * MINUTE + 30_000)), ..LogState::default() });
    ledger.plan(at(80 * MINUTE), LOOKBACK);
    assert_eq!(ledger.reading().unwrap().from, at(50 * MINUTE + 30_000), "once");
    assert!(ledger.seen.contains(&new), "the seconds of the start count for nothing");
    assert!(!ledger.seen.contains(&old));
}

#[test]
fn what_is_unknown_stays_so_and_an_object_without_a_log_is_asked_again_after_a_day() {
    let mut ledger = Ledger::begin(at(0));
    ledger.plan(at(60 * MINUTE), LOOKBACK);
    let unknown = Unknown { from: at(0), to: at(30 * MINUTE) };
    read(
        &mut ledger,
        &LogState { covered: Some(at(60 * MINUTE)), unknown: Some(unknown), ..LogState::default() },
    );
    ledger.plan(at(90 * MINUTE), LOOKBACK);
    read(&mut ledger, &LogState { covered: Some(at(90 * MINUTE)), is_refused: true, ..LogState::default() });
    assert_eq!(ledger.unknown(), Some(unknown));
    assert!(unknown.error().message().contains("connector state reset"));
    ledger.plan(at(90 * MINUTE + 86_400_000 - 1), LOOKBACK);
    assert!(ledger.reading().is_none());
    ledger.plan(at(90 * MINUTE + 86_400_000), LOOKBACK);
    assert!(ledger.reading().unwrap().from <= at(90 * MINUTE), "from where it was known");
}
