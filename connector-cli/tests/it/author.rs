//! A new author's path: the section of the README, followed to the letter, from an empty folder outside the workspace.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const SECTION: &str = "## Write a connector in an afternoon\n";

/// Seconds. A first build of all crates on two busy cores is within it.
const DEADLINE: &str = "2400";

fn section() -> String {
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let (_, section) = readme.split_once(SECTION).expect("the README has the section");
    section.split_once("\n## ").map_or(section, |(section, _)| section).to_owned()
}

/// The commands of the section, in their order.
fn commands() -> Vec<String> {
    let section = section();
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a block ends").0.to_owned()).collect()
}

/// Name and version of each package of a lock that comes from a registry.
fn packages(lock: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(lock).unwrap();
    let from_registry = |package: &&str| package.contains("\nsource = ");
    let named = |package: &str| package.lines().take(2).collect::<Vec<_>>().join(" ");
    text.split("[[package]]\n").skip(1).filter(from_registry).map(named).collect()
}

#[test]
fn the_section_has_commands_and_names_its_checkout() {
    let commands = commands();
    assert!(commands.len() >= 4, "{commands:#?}");
    assert!(commands[0].contains("new connector-acme --sdk \"$SDK\""), "{commands:#?}");
}

#[test]
#[ignore = "builds a crate outside the workspace: a step of its own in test.sh"]
fn every_command_of_the_readme_works_from_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    // What the tests have built is used again: all but the crates of the workspace are the same.
    let target = Path::new(env!("CARGO_BIN_EXE_connector")).ancestors().nth(2).unwrap();
    // A crate of another folder has other artefacts: they would pile up.
    let script =
        format!("set -euxo pipefail\n{}cargo clean --quiet -p connector-acme\n", commands().concat());
    let output = Command::new("timeout")
        .args(["--kill-after=10", DEADLINE, "bash", "-c", &script])
        .current_dir(folder.path())
        .env("SDK", fs::canonicalize(ROOT).unwrap())
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let said = format!("{out}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}", output.status);
    // Not only did it end well: it was tested, it found the mistake, and it ran.
    let rules = connector_testkit::conformance::RULES.len();
    assert!(out.contains(&format!("{rules} passed; 0 failed")), "{said}");
    assert!(out.contains("the suite has found it"), "{said}");
    for line in section().split_once("```text\n").expect("a failure is shown").1.lines().take(4) {
        assert!(said.contains(line), "a failure does not read as the README shows it: {line}\n{said}");
    }
    assert!(out.contains("succeeded: 1,000 records"), "{said}");
    let (ours, theirs) = (
        packages(&Path::new(ROOT).join("Cargo.lock")),
        packages(&folder.path().join("connector-acme/Cargo.lock")),
    );
    let others: Vec<_> = theirs.difference(&ours).collect();
    assert!(others.is_empty() && theirs.len() > 100, "other versions than those of the checkout: {others:?}");
}
