use connector_sdk::{
    Class, Operation, PartitionId,
    record::{RecordView, Seen},
};

use super::*;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn reach() -> Reach {
    Reach {
        lookback: Duration::from_secs(600),
        safety_lag: Duration::from_secs(300),
        since: None,
        until: None,
    }
}

fn answer(now: i64, oldest: Option<i64>, rows: u64) -> Answer {
    Answer { now: at(now), oldest: oldest.map(at), rows: Some(rows), by_job: false }
}

/// A host in little: keeps states, reads windows to their end, folds.
#[derive(Default)]
struct Host(StreamState);

impl Host {
    fn plan(&mut self, reach: &Reach, answer: &Answer) -> Vec<Window> {
        let Standing::Folded { watermark, folded } = Standing::of(&self.0).unwrap() else {
            panic!("unfinished")
        };
        let (watermark, windows) = watermark.next(reach, answer);
        self.0.state = Some(watermark.state().unwrap());
        for id in folded {
            self.0.partitions.remove(&id);
        }
        windows
    }

    fn finish(&mut self, window: &Window, seen: Seen) {
        let state: WindowState = serde_json::from_value(
            serde_json::json!({ "after": null, "seen": serde_json::to_value(seen).unwrap() }),
        )
        .unwrap();
        let state = State::encode(STATE_VERSION, &state).unwrap().completing();
        self.0.partitions.insert(window.id(), PartitionState { sequence: 1, epoch: 0, state: Some(state) });
    }

    fn watermark(&self) -> Watermark {
        let Standing::Folded { watermark, .. } = Standing::of(&self.0).unwrap() else { panic!("unfinished") };
        watermark
    }
}

fn record(millis: i64) -> RecordView<'static> {
    RecordView {
        operation: Operation::Upsert,
        record: Some(b"{}"),
        key: Some(b"{}"),
        cursor: Some(b"1"),
        source_timestamp: Some(millis),
    }
}

#[test]
fn the_first_load_is_cut_into_windows_that_touch_and_cover_everything() {
    for (rows, windows) in [(1, 1), (49_999, 1), (100_000, 2), (199_999, 3), (800_000, 16), (u64::MAX, 16)] {
        let plan = Host::default().plan(&reach(), &answer(100 * DAY + 250, Some(DAY + 123), rows));
        assert_eq!(plan.len(), windows, "{rows}");
        assert_eq!(plan[0].low, at(DAY), "whole seconds, downwards");
        assert_eq!(plan[windows - 1].high, at(100 * DAY + SECOND), "up to the end of the vendor's second");
        for pair in plan.windows(2) {
            assert_eq!(pair[0].high, pair[1].low);
            assert!(pair[0].low < pair[0].high && pair[0].high.as_millis() % SECOND == 0);
        }
    }
    for (days, windows) in [(1, 1), (60, 2), (10_000, 16)] {
        let unknown = Answer { rows: None, ..answer(days * DAY, Some(0), 0) };
        assert_eq!(
            Host::default().plan(&reach(), &unknown).len(),
            windows,
            "{days} days of nobody knows how many"
        );
    }
}

#[test]
fn windows_are_never_empty_however_short_the_time() {
    for span in [1, 999, 1_000, 2_500, 16_000, 17_001] {
        let plan = Host::default().plan(&reach(), &answer(DAY + span, Some(DAY), 10_000_000));
        assert!(plan.iter().all(|window| window.low < window.high), "{span}");
    }
}

#[test]
fn d_09_a_window_is_closed_only_up_to_the_safety_lag_behind_the_vendors_clock() {
    let mut host = Host::default();
    for window in host.plan(&reach(), &answer(DAY, Some(0), 1)) {
        host.finish(&window, Seen::default());
    }
    assert_eq!(host.watermark().closed, Some(at(DAY - 5 * MINUTE)));
    assert_eq!(host.watermark().low(&reach()), Some(at(DAY - 15 * MINUTE)));
    let next = host.plan(&reach(), &answer(DAY + MINUTE, None, 7));
    assert_eq!(next.len(), 1);
    assert_eq!((next[0].low, next[0].high), (at(DAY - 15 * MINUTE), at(DAY + MINUTE + SECOND)));
}

#[test]
fn an_unfinished_plan_gives_the_very_same_windows_again() {
    let mut host = Host::default();
    let windows = host.plan(&reach(), &answer(100 * DAY, Some(0), 150_000));
    host.finish(&windows[1], Seen::default());
    let Standing::Unfinished(left) = Standing::of(&host.0).unwrap() else { panic!("finished") };
    assert_eq!(left, [windows[0], windows[2]]);
}

#[test]
fn d_08_what_the_windows_have_seen_is_folded_as_far_back_as_the_next_look_back_reads() {
    let mut host = Host::default();
    let windows = host.plan(&reach(), &answer(DAY, Some(0), 100_000));
    let (old, new) = (record(DAY - 15 * MINUTE - 1), record(DAY - 15 * MINUTE));
    for (window, record) in windows.iter().zip([&old, &new]) {
        let mut seen = Seen::default();
        seen.insert(record);
        host.finish(window, seen);
    }
    let Standing::Folded { watermark, folded } = Standing::of(&host.0).unwrap() else { panic!("unfinished") };
    assert_eq!(folded, windows.iter().map(Window::id).collect::<Vec<_>>());
    assert!(watermark.seen.contains(&new) && !watermark.seen.contains(&old));
}

#[test]
fn no_partition_id_comes_twice_whatever_the_vendors_clock_does() {
    let mut host = Host::default();
    let mut ids = std::collections::BTreeSet::new();
    let mut last_low = at(i64::MIN);
    for (step, now) in
        [DAY, DAY, DAY - 60 * MINUTE, DAY + 1, 3 * DAY, 3 * DAY - 1, 40 * DAY].into_iter().enumerate()
    {
        let windows = host.plan(&reach(), &answer(now, Some(0), 200_000));
        assert!(!windows.is_empty());
        assert!(windows[0].low >= last_low, "what is closed stays closed");
        last_low = if step == 0 { last_low } else { windows[0].low };
        for window in windows {
            assert!(ids.insert(window.id()), "{:?} came twice", window.id());
            host.finish(&window, Seen::default());
        }
    }
}

#[test]
fn where_nothing_changed_nothing_is_read_and_the_mark_moves_on() {
    let mut host = Host::default();
    assert!(host.plan(&reach(), &answer(DAY, None, 0)).is_empty());
    assert_eq!(host.watermark().low(&reach()), Some(at(DAY - 15 * MINUTE)));
    assert!(host.plan(&reach(), &answer(2 * DAY, None, 0)).is_empty());
    let windows = host.plan(&reach(), &answer(3 * DAY, None, 5));
    assert_eq!(windows[0].low, at(2 * DAY - 15 * MINUTE));
}

#[test]
fn a_long_absence_is_caught_up_in_several_windows() {
    let mut host = Host::default();
    assert!(host.plan(&reach(), &answer(DAY, None, 0)).is_empty());
    let windows = host.plan(&reach(), &answer(101 * DAY, None, 500_000));
    assert_eq!(windows.len(), 10);
    assert_eq!(windows[0].low, at(DAY - 15 * MINUTE));
    assert!(windows[0].high > at(DAY + SECOND), "only one window starts before the last plan's end");
}

#[test]
fn since_and_until_bound_what_is_read() {
    let bounded = Reach { since: Some(at(10 * DAY)), until: Some(at(20 * DAY)), ..reach() };
    let mut host = Host::default();
    let windows = host.plan(&bounded, &answer(30 * DAY, Some(11 * DAY), 1));
    assert_eq!((windows[0].low, windows[0].high), (at(11 * DAY), at(20 * DAY)));
    host.finish(&windows[0], Seen::default());
    assert!(host.plan(&bounded, &answer(31 * DAY, None, 1)).is_empty(), "nothing more before the end");
    let future = Reach { since: Some(at(50 * DAY)), ..reach() };
    assert!(Host::default().plan(&future, &answer(30 * DAY, None, 3)).is_empty());
}

#[test]
fn a_longer_look_back_reaches_only_as_far_as_repeats_can_be_told() {
    let mut host = Host::default();
    assert!(host.plan(&reach(), &answer(DAY, None, 0)).is_empty());
    let longer = Reach { lookback: Duration::from_secs(6_000), ..reach() };
    let windows = host.plan(&longer, &answer(DAY + MINUTE, None, 1));
    assert_eq!(windows[0].low, at(DAY - 15 * MINUTE));
    assert_eq!(windows[0].remember_from, at(DAY - 15 * MINUTE));
}

#[test]
fn rows_older_than_the_oldest_that_show_late_are_not_passed_over() {
    let windows = Host::default().plan(&reach(), &answer(DAY, Some(DAY - 10 * SECOND), 1));
    assert_eq!(windows[0].low, at(DAY - 15 * MINUTE));
}

#[test]
fn d_15_a_state_of_a_newer_version_or_another_shape_is_an_error() {
    for state in [
        State::encode(STATE_VERSION + 1, &Watermark::default()).unwrap(),
        State::encode(STATE_VERSION, &"elsewhere").unwrap(),
        State::encode(STATE_VERSION, &serde_json::json!({"closed": null, "surprise": 1})).unwrap(),
    ] {
        let state = StreamState { state: Some(state), ..StreamState::default() };
        assert_eq!(Standing::of(&state).unwrap_err().class(), Class::Config);
    }
}

#[test]
fn an_id_speaks() {
    let window = Window {
        low: at(0),
        high: at(250),
        remember_from: at(0),
        settled_before: at(0),
        closes: at(0),
        by_job: false,
    };
    assert_eq!(window.id(), PartitionId::from("1970-01-01T00:00:00.000Z/1970-01-01T00:00:00.250Z"));
    assert_eq!(window.partition().unwrap().slice::<Window>().unwrap(), window);
}
