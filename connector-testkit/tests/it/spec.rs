//! The pages of docs/spec name only rules and tests that there are, and agree with each other.

use std::collections::{BTreeMap, BTreeSet};

use connector_testkit::conformance::{RULES, Rule};

use crate::{
    history::{functions, tests},
    tidy::root,
};

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs/spec").join(name)).unwrap()
}

/// The cells of the rows that begin with a rule of this letter, by its number.
fn rows<'a>(page: &'a str, letter: &str) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut rows = BTreeMap::new();
    let begin = format!("| {letter}-");
    for line in page.lines().filter(|line| line.starts_with(&begin)) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert!(rows.insert(cells[0], cells).is_none(), "{line}");
    }
    rows
}

/// The numbers of rules of this letter in a text.
fn numbers<'a>(text: &'a str, letter: &str) -> BTreeSet<&'a str> {
    let words = text.split(|sign: char| !sign.is_alphanumeric() && sign != '-');
    let is_number = |word: &&str| {
        word.strip_prefix(letter)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|digits| digits.len() == 2 && digits.parse::<u8>().is_ok())
    };
    words.filter(is_number).collect()
}

/// What a text names and there is not.
fn unheard_of(text: &str) -> Vec<String> {
    let known: BTreeSet<String> = RULES.iter().map(Rule::number).collect();
    let delivery: BTreeSet<String> = (1..=22).map(|number| format!("D-{number:02}")).collect();
    let functions = functions();
    let rules = numbers(text, "C").into_iter().filter(|number| !known.contains(*number));
    let promises = numbers(text, "D").into_iter().filter(|number| !delivery.contains(*number));
    let missing = tests(text).filter(|test| {
        // A binary alone is named by its name.
        test.contains(' ') && !functions.contains(test.rsplit("::").next().unwrap_or(test))
    });
    rules.chain(promises).chain(missing).map(str::to_owned).collect()
}

#[test]
fn every_rule_of_delivery_stands_once_with_tests_that_carry_its_number() {
    let page = page("delivery.md");
    let rows = rows(&page, "D");
    let all: Vec<String> = (1..=22).map(|number| format!("D-{number:02}")).collect();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), all);
    for (number, cells) in rows {
        let carried = number.to_lowercase().replace('-', "_") + "_";
        assert!(tests(cells[2]).any(|test| test.contains(&carried)), "{number}: {}", cells[2]);
    }
}

#[test]
fn the_pages_agree_on_which_rule_of_a_connector_protects_which_promise() {
    let (connector, delivery) = (page("connector.md"), page("delivery.md"));
    let mut protected: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (rule, cells) in rows(&connector, "C") {
        let promises = numbers(cells.last().unwrap(), "D");
        protected.extend(promises.into_iter().map(|promise| (rule, promise)));
    }
    let mut named: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (promise, cells) in rows(&delivery, "D") {
        named.extend(numbers(cells[3], "C").into_iter().map(|rule| (rule, promise)));
    }
    assert_eq!(protected, named);
}

#[test]
fn every_rule_and_every_test_that_a_page_names_exists() {
    for name in ["connector.md", "delivery.md", "peers.md"] {
        assert_eq!(unheard_of(&page(name)), Vec::<String>::new(), "{name}");
    }
    let wrong =
        unheard_of("C-01, C-99, D-22, D-23, `connector-host run::nobody_wrote_this`, `connector-sdk::it`");
    assert_eq!(wrong, ["C-99", "D-23", "connector-host run::nobody_wrote_this"]);
}

#[test]
fn every_check_of_a_peer_has_a_rule_a_test_or_a_reason() {
    let page = page("peers.md");
    let (mut checks, mut kits) = (0, BTreeSet::new());
    let mut kit = "";
    for line in page.lines() {
        kit = line.strip_prefix("## ").unwrap_or(kit);
        let Some(cells) =
            line.strip_prefix("| ").map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        else {
            continue;
        };
        if cells[0] == "check" {
            continue;
        }
        let covered = !numbers(cells[1], "C").is_empty() || !numbers(cells[1], "D").is_empty();
        let reason = cells[1].strip_prefix("not applicable: ").is_some_and(|reason| !reason.is_empty());
        assert!(covered || reason || tests(cells[1]).next().is_some(), "{line}");
        checks += 1;
        kits.insert(kit);
    }
    assert!(checks > 80 && kits.len() == 9, "{checks} checks of {kits:?}");
}
