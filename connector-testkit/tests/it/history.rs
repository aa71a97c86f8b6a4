//! What has failed elsewhere: docs/spec/history.md names every case once, and only tests that there are.

use std::collections::BTreeSet;

use crate::tidy::{root, sources};

fn document() -> String {
    std::fs::read_to_string(root().join("docs/spec/history.md")).unwrap()
}

/// The number of a row of its tables, and its last column.
fn case(line: &str) -> Option<(u32, &str)> {
    let mut columns = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
    Some((columns.next()?.parse().ok()?, columns.next_back()?))
}

/// The tests that a text names: in backticks, by their path.
pub(crate) fn tests(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|quoted| quoted.contains("::"))
}

/// The function that begins on a line.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let begins = before.split_whitespace().all(|word| matches!(word, "async" | "pub" | "pub(crate)"));
    after.split(['(', '<']).next().filter(|_| begins)
}

/// The names of all functions of the workspace.
pub(crate) fn functions() -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    for file in sources() {
        if file.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&file).unwrap();
            functions.extend(text.lines().filter_map(function).map(str::to_owned));
        }
    }
    functions
}

#[test]
fn every_case_stands_once_and_says_what_catches_it() {
    let document = document();
    let cases: Vec<_> = document.lines().filter_map(case).collect();
    let numbers: Vec<u32> = cases.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=90).collect::<Vec<_>>());
    let (mut caught, mut later, mut missing) = (0, 0, 0);
    for (number, says) in cases {
        let issue = says.strip_prefix("issue ").map(str::parse::<u32>);
        match says {
            "missing" => missing += 1,
            _ if issue.is_some_and(|issue| issue.is_ok()) => later += 1,
            _ if tests(says).next().is_some() => caught += 1,
            _ => panic!("case {number} names neither a test nor an issue: {says}"),
        }
    }
    let counts = format!("- Caught by a test: {caught}\n- Of a later issue: {later}\n- Missing: {missing}\n");
    assert!(document.ends_with(&counts), "it must end with these counts:\n{counts}");
}

#[test]
fn every_test_that_a_case_names_exists() {
    let functions = functions();
    let document = document();
    for test in tests(&document) {
        let name = test.rsplit("::").next().unwrap_or(test);
        assert!(functions.contains(name), "there is no test {test}");
    }
}
