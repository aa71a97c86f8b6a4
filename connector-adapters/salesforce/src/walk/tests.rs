use connector_sdk::{Operation, record::BatchBuilder};

use super::*;

/// Rows as (time, id, content).
fn page(rows: &[(i64, &str, &str)]) -> Batch {
    let mut batch = BatchBuilder::new("Contact".into());
    for (at, id, content) in rows {
        let cursor = format!("\"{}\"", Timestamp::from_millis(*at));
        batch.push(RecordView {
            operation: Operation::Upsert,
            record: Some(format!(r#"{{"Id":"{id}","Name":"{content}"}}"#).as_bytes()),
            key: Some(format!(r#"{{"Id":"{id}"}}"#).as_bytes()),
            cursor: Some(cursor.as_bytes()),
            source_timestamp: Some(*at),
        });
    }
    batch.build()
}

fn window_walk() -> WindowWalk {
    resumed(WindowState::default(), Seen::default())
}

fn resumed(state: WindowState, seen_before: Seen) -> WindowWalk {
    let time = Timestamp::from_millis;
    let window = Window {
        low: time(0),
        high: time(1_000),
        remember_from: time(500),
        settled_before: time(900),
        closes: time(900),
        by_job: false,
    };
    WindowWalk::new("SystemModstamp", window, state, seen_before)
}

fn keyset() -> Walk {
    Walk::Keyset(KeysetWalk::new(KeysetState::default()))
}

fn ids(batch: &Batch) -> Vec<String> {
    batch.iter().map(|record| id_of(&record).unwrap()).collect()
}

fn soql(walk: &Walk) -> String {
    walk.narrow(Query::select(["Id"], "Contact").unwrap()).unwrap().to_string()
}

#[test]
fn d_07_a_window_resumes_after_the_last_row_of_its_tie() {
    let mut walk = Walk::Window(window_walk());
    assert_eq!(
        soql(&walk),
        "SELECT Id FROM Contact WHERE SystemModstamp >= 1970-01-01T00:00:00.000Z \
         AND SystemModstamp < 1970-01-01T00:00:01.000Z ORDER BY SystemModstamp ASC, Id ASC"
    );
    let batch = walk.take(page(&[(100, "A", ""), (200, "B", ""), (200, "C", "")])).unwrap();
    assert_eq!(ids(&batch), ["A", "B", "C"]);
    let state = walk.state().unwrap().unwrap().decode(STATE_VERSION).unwrap();
    let resumed = Walk::Window(resumed(state, Seen::default()));
    for walk in [&walk, &resumed] {
        assert_eq!(
            soql(walk),
            "SELECT Id FROM Contact WHERE ((SystemModstamp = 1970-01-01T00:00:00.200Z AND Id > 'C') \
             OR SystemModstamp > 1970-01-01T00:00:00.200Z) AND SystemModstamp < 1970-01-01T00:00:01.000Z \
             ORDER BY SystemModstamp ASC, Id ASC"
        );
    }
}

#[test]
fn d_08_what_was_seen_is_not_delivered_again_and_another_edit_is() {
    let mut first = window_walk();
    first.take(&mut page(&[(500, "A", "one"), (600, "B", "one")])).unwrap();
    let mut second = resumed(WindowState::default(), first.state.seen);
    let mut batch = page(&[(500, "A", "one"), (500, "A", "two"), (600, "B", "one"), (700, "C", "one")]);
    second.take(&mut batch).unwrap();
    assert_eq!(ids(&batch), ["A", "C"]);
    assert_eq!(second.state.seen.len(), 2, "only what was delivered here");
}

#[test]
fn only_rows_that_a_look_back_will_meet_are_remembered() {
    let mut walk = window_walk();
    walk.take(&mut page(&[(0, "A", ""), (499, "B", ""), (500, "C", "")])).unwrap();
    assert_eq!(walk.state.seen.len(), 1);
}

#[test]
fn a_row_that_changed_while_it_was_read_is_left_to_its_new_window() {
    let mut walk = window_walk();
    let mut batch =
        page(&[(100, "A", ""), (1_000, "B", "moved on"), (-1, "C", ""), (300, "D", ""), (5_000, "E", "")]);
    walk.take(&mut batch).unwrap();
    assert_eq!(ids(&batch), ["A", "D"]);
    assert_eq!(walk.state.after.as_ref().map(|place| place.id.as_str()), Some("D"));
}

#[test]
fn a_row_that_may_have_moved_is_delivered_once_and_is_no_place_to_resume_from() {
    let mut walk = window_walk();
    // B shows a time of the unsettled second at the end of a page: rows before it may still come.
    let mut batch = page(&[(100, "A", ""), (950, "B", "")]);
    walk.take(&mut batch).unwrap();
    assert_eq!(ids(&batch), ["A", "B"]);
    assert_eq!(walk.state.after.as_ref().map(|place| place.id.as_str()), Some("A"));
    let mut resumed = resumed(walk.state, Seen::default());
    let mut batch = page(&[(200, "C", ""), (950, "B", "")]);
    resumed.take(&mut batch).unwrap();
    assert_eq!(ids(&batch), ["C"]);
}

#[test]
fn d_14_a_full_read_resumes_after_the_last_id() {
    let mut walk = keyset();
    assert_eq!(soql(&walk), "SELECT Id FROM Contact ORDER BY Id ASC");
    let batch = walk.take(page(&[(1, "A", ""), (1, "O'B", "")])).unwrap();
    assert!(batch.iter().all(|record| record.operation == Operation::Snapshot));
    assert_eq!(soql(&walk), r"SELECT Id FROM Contact WHERE Id > 'O\'B' ORDER BY Id ASC");
    walk.take(page(&[])).unwrap();
    assert!(soql(&walk).contains("O\\'B"), "an empty page moves nothing");
    assert!(walk.last_state().unwrap().is_complete());
}

#[test]
fn d_10_a_pass_has_one_state_at_its_end() {
    let mut walk = Walk::Pass;
    assert_eq!(soql(&walk), "SELECT Id FROM Contact");
    walk.take(page(&[(1, "A", "")])).unwrap();
    assert!(walk.state().unwrap().is_none() && !walk.resumes());
    assert!(walk.last_state().unwrap().is_complete());
}

#[test]
fn a_row_without_a_time_or_an_id_is_an_error_and_not_dropped() {
    let mut batch = BatchBuilder::new("Contact".into());
    batch.upsert(br#"{"Id":"A"}"#, b"{}", None);
    let error = Walk::Window(window_walk()).take(batch.build()).unwrap_err();
    assert_eq!(error.class(), Class::Schema);
    assert!(error.message().contains("SystemModstamp"), "{error}");
    let mut batch = BatchBuilder::new("Contact".into());
    batch.upsert(br#"{"Id":7}"#, b"{}", None);
    assert_eq!(keyset().take(batch.build()).unwrap_err().class(), Class::Schema);
}

fn long_window(seconds: i64) -> WindowWalk {
    let time = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
    let window = Window {
        low: time(0),
        high: time(seconds),
        remember_from: time(seconds - 2),
        settled_before: time(seconds - 1),
        closes: time(seconds - 1),
        by_job: false,
    };
    WindowWalk::new("SystemModstamp", window, WindowState::default(), Seen::default())
}

#[test]
fn a_read_that_is_resumed_keeps_what_the_plan_does_not_close_apart() {
    let mut inner = window_walk();
    inner.window.settled_before = Timestamp::from_millis(980);
    let mut walk = Walk::Window(inner);
    // B was changed at 950 by a transaction that could not be seen when the query began: its place is its old one.
    let batch = walk.take(page(&[(100, "A", ""), (950, "B", "")])).unwrap();
    assert_eq!(ids(&batch), ["A", "B"]);
    walk.resume();
    let whole = soql(&walk);
    assert!(whole.contains("'A'") && whole.contains(".900"), "after A, up to what is not closed: {whole}");
    let batch = walk.take(page(&[(200, "C", ""), (950, "B", "")])).unwrap();
    assert_eq!(ids(&batch), ["C"], "B is for the part behind");
    assert!(walk.go_on(2), "there is such a part");
    // There a place is one: who skips a row here meets it in the next plan.
    let batch = walk.take(page(&[(910, "D", ""), (950, "B", ""), (970, "E", ""), (990, "F", "")])).unwrap();
    assert_eq!(ids(&batch), ["D", "E", "F"]);
    assert!(soql(&walk).contains("'E'"), "F may have changed since the plan: {}", soql(&walk));
    assert!(!walk.go_on(4));
}

#[test]
fn a_window_that_is_too_much_is_asked_for_in_parts_that_touch() {
    let mut walk = Walk::Window(long_window(100));
    assert!(walk.is_whole() && walk.refused() && walk.refused());
    assert!(soql(&walk).contains(
        "SystemModstamp >= 1970-01-01T00:00:00.000Z AND SystemModstamp < 1970-01-01T00:00:25.000Z"
    ));
    walk.take(page(&[(3_200, "A", "")])).unwrap();
    // Refused on a later page: from the last row on, half of what is left of the part.
    assert!(walk.refused());
    assert!(
        soql(&walk).contains("Id > 'A'") && soql(&walk).contains("< 1970-01-01T00:00:14.000Z"),
        "{}",
        soql(&walk)
    );
    assert!(walk.go_on(1));
    // The part began after its last row, and is twice as long as the one that was read.
    assert!(
        soql(&walk).contains(">= 1970-01-01T00:00:14.000Z AND SystemModstamp < 1970-01-01T00:00:36.000Z"),
        "{}",
        soql(&walk)
    );
    walk.take(page(&[(20_000, "B", "")])).unwrap();
    assert!(
        walk.go_on(1)
            && soql(&walk)
                .contains(">= 1970-01-01T00:00:36.000Z AND SystemModstamp < 1970-01-01T00:01:20.000Z")
    );
    assert!(walk.go_on(0) && soql(&walk).contains("< 1970-01-01T00:01:39.000Z"), "up to what stays open");
    assert!(walk.go_on(0) && walk.is_whole() && soql(&walk).contains("< 1970-01-01T00:01:40.000Z"));
    assert!(!walk.go_on(0), "all is read");
}

#[test]
fn a_row_that_changed_is_left_to_a_later_part_and_is_no_place_in_an_earlier_one() {
    let mut walk = long_window(100);
    assert!(walk.refused());
    let mut batch = page(&[(3_000, "A", ""), (60_000, "B", "moved on")]);
    walk.take(&mut batch).unwrap();
    assert_eq!(ids(&batch), ["A"]);
    assert_eq!(walk.state.after.as_ref().map(|place| place.id.as_str()), Some("A"));
}

#[test]
fn a_second_of_a_window_cannot_be_halved_and_fewer_than_a_page_of_rows_neither() {
    let mut walk = Walk::Window(long_window(1_000_000));
    let refusals = (0..1_000).take_while(|_| walk.refused()).count();
    assert_eq!(refusals, 19, "one for each halving");
    assert!(soql(&walk).contains("< 1970-01-01T00:00:01.000Z"));
    let mut walk = keyset();
    let refusals = (0..1_000).take_while(|_| walk.refused()).count();
    assert_eq!(refusals, 9);
    assert!(soql(&walk).ends_with("ORDER BY Id ASC LIMIT 200"), "{}", soql(&walk));
    assert!(!Walk::Pass.refused());
}

#[test]
fn a_part_of_a_keyset_that_is_not_full_is_the_last_one() {
    let mut walk = keyset();
    assert!(walk.refused());
    assert_eq!(soql(&walk), "SELECT Id FROM Contact ORDER BY Id ASC LIMIT 50000");
    assert!(walk.go_on(50_000));
    walk.take(page(&[(1, "A", "")])).unwrap();
    assert_eq!(soql(&walk), "SELECT Id FROM Contact WHERE Id > 'A' ORDER BY Id ASC LIMIT 50000");
    assert!(!walk.go_on(49_999));
}

#[test]
fn the_rows_of_a_page_are_asked_for_by_their_places() {
    let mut walk = Walk::Window(window_walk());
    let query = || Query::select(["Id"], "Contact").unwrap();
    walk.take(page(&[(100, "A", "")])).unwrap();
    let next = page(&[(200, "B", ""), (300, "C", ""), (950, "D", "changed")]);
    assert_eq!(
        walk.spanned(query(), &next).unwrap().unwrap().to_string(),
        "SELECT Id FROM Contact WHERE ((SystemModstamp = 1970-01-01T00:00:00.100Z AND Id > 'A') \
         OR SystemModstamp > 1970-01-01T00:00:00.100Z) AND (SystemModstamp < 1970-01-01T00:00:00.300Z \
         OR (SystemModstamp = 1970-01-01T00:00:00.300Z AND Id <= 'C'))"
    );
    assert!(walk.spanned(query(), &page(&[(950, "D", "")])).unwrap().is_none());
    assert_eq!(
        keyset().spanned(query(), &next).unwrap().unwrap().to_string(),
        "SELECT Id FROM Contact WHERE Id <= 'D'"
    );
    assert!(Walk::Pass.spanned(query(), &next).unwrap().is_none());
}
