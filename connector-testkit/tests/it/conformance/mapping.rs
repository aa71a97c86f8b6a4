//! The page of the rules, the suite and the doubles say the same.

use std::collections::{BTreeMap, BTreeSet};

use connector_sdk::manifest::Capability;
use connector_testkit::conformance::{RULES, Rule};

use super::{
    desk::{Kind, factory},
    doubles,
};
use crate::tidy::root;

/// The rules of the page: number and sentence.
fn page() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("docs/spec/connector.md")).unwrap();
    let mut rules = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| C-")) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (number, sentence) = (cells.next().unwrap(), cells.next().unwrap());
        let before = rules.insert(number.to_owned(), sentence.to_owned());
        assert!(before.is_none(), "{number} stands twice");
    }
    rules
}

/// Letters only, so that commas and details after a colon may be added.
fn plain(sentence: &str) -> String {
    let kept = sentence.chars().filter(|letter| letter.is_alphanumeric() || *letter == ' ');
    kept.collect::<String>().to_lowercase()
}

#[test]
fn every_rule_of_the_page_is_tested_and_every_test_is_on_the_page() {
    let page = page();
    let tested: BTreeMap<String, String> =
        RULES.iter().map(|rule| (rule.number(), rule.sentence())).collect();
    assert_eq!(tested.len(), RULES.len(), "each number once");
    assert_eq!(page.keys().collect::<Vec<_>>(), tested.keys().collect::<Vec<_>>());
    for (number, sentence) in &tested {
        let (wanted, written) = (plain(sentence), plain(&page[number]));
        // Each word of the name is on the page, in its order.
        let mut words = written.split(' ');
        let missing = wanted.split(' ').find(|word| !words.any(|written| written == *word));
        assert_eq!(missing, None, "{number}: {sentence} | {}", page[number]);
    }
}

#[test]
fn every_rule_has_a_double_that_is_made_for_it() {
    let made_for: BTreeSet<&str> = doubles::rules_with_a_double();
    let all: Vec<String> = RULES.iter().map(Rule::number).collect();
    assert_eq!(made_for.into_iter().collect::<Vec<_>>(), all);
}

/// The word of the page for a capability. A new one does not compile until it stands here, and on the page.
fn word(capability: Capability) -> &'static str {
    match capability {
        Capability::Incremental => "Incremental",
        Capability::ResumableFull => "ResumableFull",
        Capability::Deletes => "Deletes",
        Capability::Partitions => "Partitions",
        Capability::Acknowledges => "Acknowledges",
        Capability::Push => "Push",
        Capability::Actions => "Actions",
        Capability::CostEstimate => "CostEstimate",
    }
}

#[test]
fn each_capability_has_rules_for_its_claim_and_for_its_lack_or_a_reason() {
    let all = [
        Capability::Incremental,
        Capability::ResumableFull,
        Capability::Deletes,
        Capability::Partitions,
        Capability::Acknowledges,
        Capability::Push,
        Capability::Actions,
        Capability::CostEstimate,
    ];
    let text = std::fs::read_to_string(root().join("docs/spec/connector.md")).unwrap();
    let rows: BTreeMap<&str, Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, cells)| (name, cells.trim_end_matches('|').split('|').map(str::trim).collect()))
        .collect();
    let known: BTreeSet<String> = RULES.iter().map(Rule::number).collect();
    for capability in all {
        let cells = &rows[word(capability)];
        assert_eq!(cells.len(), 2, "{capability:?}");
        for cell in cells {
            let named: Vec<&str> = cell.split(", ").filter(|word| word.starts_with("C-")).collect();
            assert!(named.iter().all(|number| known.contains(*number)), "{capability:?}: {cell}");
            // A reason is a sentence.
            assert!(!named.is_empty() || cell.split(' ').count() > 5, "{capability:?}: {cell}");
        }
        // What an honest connector is, one claims and another does not; what none can be has a reason.
        let claiming =
            [Kind::Plain, Kind::Rich].map(|kind| factory(kind, None).manifest().claims(capability));
        let both_claim_it = matches!(capability, Capability::Incremental);
        // These two are asked; adapters that are called stand under the suite themselves.
        let none_can = capability == Capability::Push;
        assert!(
            claiming == [true, false] || claiming == [false, true] || both_claim_it || none_can,
            "{capability:?}"
        );
    }
    assert_eq!(rows.len(), all.len(), "the page names no other");
}
