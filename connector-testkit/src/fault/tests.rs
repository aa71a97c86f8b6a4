//! The script alone: which request a rule fires at.

use super::{Fault, Faults, Matcher, Seen};

fn get(faults: &Faults, path: &str, query: &str) -> bool {
    faults.decide(&Seen { method: "GET", path, query }).is_some()
}

fn hits(faults: &Faults, requests: usize) -> Vec<usize> {
    (1..=requests).filter(|_| get(faults, "/query", "")).collect()
}

#[test]
fn a_rule_without_further_words_fires_once_at_the_first_match() {
    let faults = Faults::default();
    let rule = faults.on("/query").then(Fault::status(500));
    assert!(!get(&faults, "/limits", ""));
    assert_eq!(hits(&faults, 5), [1]);
    assert_eq!(faults.fired_by(rule), 1);
}

#[test]
fn nth_skip_times_and_every_count_matching_requests_only() {
    let faults = Faults::default();
    faults.on("/query").nth(3).then(Fault::Stall);
    assert!(!get(&faults, "/other", ""));
    assert_eq!(hits(&faults, 6), [3]);

    faults.clear();
    faults.on("/query").skip(2).times(2).then(Fault::Stall);
    assert_eq!(hits(&faults, 6), [3, 4]);

    faults.clear();
    faults.on("/query").every(2).then(Fault::Stall);
    assert_eq!(hits(&faults, 7), [2, 4, 6]);

    faults.clear();
    faults.on("/query").skip(4).always().then(Fault::Stall);
    assert_eq!(hits(&faults, 7), [5, 6, 7]);
    assert_eq!(faults.fired(), 1 + 2 + 3 + 3);
}

#[test]
fn a_chance_is_drawn_from_its_seed_and_comes_out_the_same_every_time() {
    let draw = |seed| {
        let faults = Faults::default();
        faults.on(Matcher::any()).with_probability(0.25, seed).then(Fault::ResetBefore);
        hits(&faults, 4000)
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    let share = draw(7).len();
    assert!((800..1200).contains(&share), "a quarter of 4000, got {share}");
}

#[test]
fn the_first_rule_that_fires_wins_and_the_others_still_count() {
    let faults = Faults::default();
    faults.on("/query").nth(1).then(Fault::EmptyBody);
    let second = faults.on("/query").nth(2).then(Fault::MalformedJson);
    let seen = Seen { method: "GET", path: "/query", query: "" };
    assert_eq!(faults.decide(&seen), Some(Fault::EmptyBody));
    assert_eq!(faults.decide(&seen), Some(Fault::MalformedJson));
    assert_eq!(faults.decide(&seen), None);
    faults.remove(second);
    assert_eq!(faults.fired_by(second), 0);
}

#[test]
fn method_and_query_narrow_a_rule() {
    let faults = Faults::default();
    faults.on(Matcher::path("/query").method("POST")).always().then(Fault::Stall);
    assert!(!get(&faults, "/query", ""));
    faults.clear();
    faults.on(Matcher::path("/query").query("FROM Contact")).always().then(Fault::Stall);
    assert!(!get(&faults, "/query", "q=SELECT Id FROM Account"));
    assert!(get(&faults, "/query", "q=SELECT Id FROM Contact"));
}
