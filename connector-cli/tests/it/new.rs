//! `connector new`, from outside.

use std::{fs, path::Path, process::Command};

use serde_json::json;

use crate::desk::{Outcome, finish, start};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

async fn new(folder: &Path, arguments: &[&str]) -> Outcome {
    finish(start(folder, &[], &[&["new"], arguments].concat())).await
}

#[tokio::test]
async fn new_says_what_it_has_written_to_people_and_to_programs() {
    let folder = tempfile::tempdir().unwrap();
    let people = new(folder.path(), &["connector-acme"]).await.exits(0);
    assert!(people.out.contains("14 files, the connector `acme/rest`"), "{people:#?}");
    assert!(people.out.contains("cd connector-acme\n  cargo test") && people.err.is_empty(), "{people:#?}");
    let document =
        new(folder.path(), &["acme", "--method", "rest", "--path", "here", "--sdk", ROOT, "--json"]);
    let document = document.await.exits(0).document();
    assert_eq!(document["name"], "acme");
    assert_eq!(document["connector"], "acme/rest");
    assert_eq!(document["path"], "here");
    let files = document["files"].as_array().unwrap();
    assert!(files.contains(&json!("src/lib.rs")) && files.contains(&json!("Cargo.lock")));
    for file in files {
        assert!(folder.path().join("here").join(file.as_str().unwrap()).is_file(), "{file}");
    }
    let lock = |path: &Path| fs::read(path.join("Cargo.lock")).unwrap();
    assert!(lock(&folder.path().join("here")) == lock(Path::new(ROOT)), "with the versions of the checkout");
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_with_what_to_do_and_nothing_is_written() {
    for (arguments, said) in [
        (["Acme", "--method", "rest"], "write `acme`"),
        (["acme", "--method", "soap"], "`--method`: there is no method `soap`; known: `rest`"),
        (["acme", "--sdk", "."], "`--sdk`: `.` is no checkout of the SDK"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let refused = new(folder.path(), &arguments).await.exits(2);
        assert!(refused.out.is_empty() && refused.err.contains(said), "{refused:#?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    new(folder.path(), &["acme"]).await.exits(0);
    let again = new(folder.path(), &["acme", "--json"]).await.exits(2).document();
    assert_eq!(again["error"]["class"], "Config");
    assert!(again["error"]["message"].as_str().unwrap().contains("`acme` is not empty"), "{again:#}");
    new(folder.path(), &["acme", "--sdk", ROOT, "--sdk-git", "https://host.example"]).await.exits(2);
}

#[tokio::test]
async fn the_crate_is_formatted_whatever_its_name() {
    for name in ["z".to_owned(), format!("connector-{}", "a".repeat(54))] {
        let folder = tempfile::tempdir().unwrap();
        new(folder.path(), &[&name]).await.exits(0);
        let check = Command::new("rustfmt")
            .args(["--check", "--edition", "2024", "src/lib.rs", "tests/conformance.rs"])
            .args(["examples/connector.rs", "examples/vendor.rs"])
            .current_dir(folder.path().join(&name))
            .output()
            .unwrap();
        assert!(check.status.success(), "{name}: {}", String::from_utf8_lossy(&check.stdout));
    }
}
