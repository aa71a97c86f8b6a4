//! What no compiler holds: who may depend on whom, how long a file may be, what a file may not say.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Our crates, and which of ours each depends on: normal, then dev.
fn dependencies() -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata answers JSON");
    let packages = metadata["packages"].as_array().unwrap();
    let names: Vec<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let ours = |package: &serde_json::Value, kind: Option<&str>| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"].as_str() == kind)
            .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
            .filter(|name| names.contains(&name.as_str()))
            .collect::<Vec<_>>()
    };
    packages
        .iter()
        .map(|package| {
            (package["name"].as_str().unwrap().to_owned(), (ours(package, None), ours(package, Some("dev"))))
        })
        .collect()
}

#[test]
fn crates_depend_only_in_the_allowed_directions() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("connector-sdk", [].as_slice()),
        ("connector-bronze", &["connector-sdk"]),
        ("connector-email", &["connector-sdk"]),
        ("connector-ingress", &["connector-sdk"]),
        ("connector-salesforce", &["connector-sdk"]),
        ("connector-slack", &["connector-sdk", "connector-ingress"]),
        ("connector-webhook", &["connector-sdk", "connector-ingress"]),
        ("connector-host", &["connector-sdk"]),
        ("connector-testkit", &["connector-sdk", "connector-host", "connector-bronze"]),
        (
            "connector-cli",
            &[
                "connector-sdk",
                "connector-host",
                "connector-bronze",
                "connector-email",
                "connector-salesforce",
                "connector-slack",
                "connector-webhook",
            ],
        ),
    ]);
    let nobody_may = ["connector-cli", "connector-examples", "connector-benches"];
    for (name, (normal, dev)) in dependencies() {
        if let Some(allowed) = allowed.get(name.as_str()) {
            let breach = normal.iter().find(|other| !allowed.contains(&other.as_str()));
            assert!(breach.is_none(), "{name} must not depend on {}", breach.unwrap());
        } else {
            assert!(nobody_may.contains(&name.as_str()), "the new crate {name} needs its place in this test");
        }
        let breach = normal.iter().chain(&dev).find(|other| nobody_may.contains(&other.as_str()));
        assert!(breach.is_none(), "nothing may depend on {}", breach.unwrap());
    }
}

#[test]
fn the_sdk_pulls_in_no_database_no_arrow_and_no_web_server() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "connector-sdk", "-e", "normal", "--prefix", "none", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("reqwest"), "cargo tree answered something else: {tree}");
    for heavy in ["sqlx", "libsqlite3-sys", "arrow", "parquet", "axum", "jsonschema"] {
        let found = tree.lines().find(|line| line.split(' ').next() == Some(heavy));
        assert!(found.is_none(), "connector-sdk pulls in {heavy}");
    }
}

pub(crate) fn sources() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.rs",
            "*.sh",
            "*.py",
            "*.md",
            "*.toml",
        ])
        .current_dir(root())
        .output()
        .expect("git runs");
    let files = String::from_utf8(output.stdout).unwrap();
    files.lines().map(|file| root().join(file)).filter(|file| file.is_file()).collect()
}

#[test]
fn a_file_is_one_idea_and_so_it_is_short() {
    for file in
        sources().into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
    {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        let says_why = text.lines().next().is_some_and(|first| first.contains("Long because"));
        assert!(
            lines <= 500 || says_why,
            "{} has {lines} lines: split it, or say why in its first line",
            file.display()
        );
    }
}

#[test]
fn every_source_file_of_the_product_says_what_it_is() {
    for file in sources() {
        let path = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let is_source = path.ends_with(".rs") && path.contains("/src/") && !path.contains("tests");
        if !is_source {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!") || text.starts_with("#!["), "{path} does not begin with what it is");
    }
}

#[test]
fn the_scripts_say_of_themselves_that_they_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    for file in
        sources().into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "sh"))
    {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert!(mode & 0o111 != 0, "{} is not executable", file.display());
    }
}
