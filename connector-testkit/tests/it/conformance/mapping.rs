//! The page of the rules, the suite and the doubles say the same.

use std::collections::{BTreeMap, BTreeSet};

use connector_testkit::conformance::RULES;

use super::doubles;

/// The rules of the page: number and sentence.
fn page() -> BTreeMap<String, String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/spec/connector.md");
    let text = std::fs::read_to_string(file).unwrap();
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
fn every_rule_has_a_double_that_breaks_it_but_those_that_say_why_not() {
    let broken: BTreeSet<&str> = doubles::broken_rules();
    // No flaw is among the doubles that breaks it: the desk has one partition.
    let without = ["C-19"];
    for rule in RULES {
        let number = rule.number();
        assert_ne!(broken.contains(&*number), without.contains(&&*number), "{number}");
    }
}
