//! `connector new`, from outside.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path, process::Command};

use serde_json::json;

use crate::desk::{Outcome, finish, start};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

async fn new(folder: &Path, arguments: &[&str]) -> Outcome {
    finish(start(folder, &[], &[&["new"], arguments].concat())).await
}

#[tokio::test]
async fn new_says_what_it_has_written_to_people_and_to_programs() {
    let folder = tempfile::tempdir().unwrap();
    let people = new(folder.path(), &["connector-acme", "--sdk", ROOT]).await.exits(0);
    assert!(people.out.contains("15 files, the connector `acme/rest`"), "{people:#?}");
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
        (&["Acme", "--method", "rest"][..], "write `acme`"),
        (&["acme", "--method", "soap"], "`--method`: there is no method `soap`; known: `rest`"),
        (&["acme", "--sdk", "."], "`--sdk`: `.` is no checkout of the SDK"),
        // The names of the SDK in the registry are anybody's, so they are never written.
        (&["acme"], "give `--sdk DIR`, a checkout of it, or `--sdk-git URL`, a repository"),
        (
            &["acme", "--sdk-git", "http://host.example/a"],
            "`--sdk-git`: the address has to begin with `https://`",
        ),
        (&["acme", "--sdk-git", ""], "`--sdk-git`: the address is empty"),
        (&["acme", "--sdk", ROOT, "--path", "."], "`.` does not end in the name of a folder"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let refused = new(folder.path(), arguments).await.exits(2);
        assert!(refused.out.is_empty() && refused.err.contains(said), "{refused:#?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    new(folder.path(), &["acme", "--sdk", ROOT]).await.exits(0);
    let again = new(folder.path(), &["acme", "--sdk", ROOT, "--json"]).await.exits(2).document();
    assert_eq!(again["error"]["class"], "Config");
    assert!(again["error"]["message"].as_str().unwrap().contains("`acme` is not empty"), "{again:#}");
    new(folder.path(), &["acme", "--sdk", ROOT, "--sdk-git", "https://host.example"]).await.exits(2);
    // An empty folder gives its place to another: not the one that the shell is in.
    let here = tempfile::tempdir().unwrap();
    let path = here.path().to_str().unwrap();
    let refused = new(here.path(), &["acme", "--sdk", ROOT, "--path", path]).await.exits(2);
    assert!(refused.err.contains("is where you are") && here.path().is_dir(), "{refused:#?}");
}

#[tokio::test]
async fn a_password_in_the_address_of_a_repository_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--json"]] {
        let arguments = [&["acme", "--sdk-git", "https://me:hunter2@host.example/a"], more].concat();
        let refused = new(folder.path(), &arguments).await.exits(2);
        let said = refused.out + &refused.err;
        assert!(said.contains("`--sdk-git`") && !said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_path_cannot_command_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = "a\u{1b}[2J\nrm -r b";
    let people = new(folder.path(), &["acme", "--sdk", ROOT, "--path", path]).await.exits(0);
    assert!(people.out.contains("  cd a [2J rm -r b\n") && !people.out.contains('\u{1b}'), "{people:#?}");
    assert!(folder.path().join(path).join("Cargo.toml").is_file());
}

#[test]
fn a_path_that_is_not_utf_8_is_refused() {
    for argument in ["--path", "--sdk"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
        command.args(["new", "acme"]).current_dir(folder.path());
        if argument == "--path" {
            command.args(["--sdk", ROOT]);
        }
        let output = command.arg(argument).arg(OsStr::from_bytes(b"a\xff")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("`{argument}`: `a\u{fffd}`")), "{said}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn the_crate_is_formatted_whatever_its_name() {
    for name in ["z".to_owned(), format!("connector-{}", "a".repeat(54))] {
        let folder = tempfile::tempdir().unwrap();
        new(folder.path(), &[&name, "--sdk", ROOT]).await.exits(0);
        let check = Command::new("rustfmt")
            .args(["--check", "--edition", "2024", "src/lib.rs", "tests/conformance.rs"])
            .args(["examples/connector.rs", "examples/vendor.rs"])
            .current_dir(folder.path().join(&name))
            .output()
            .unwrap();
        assert!(check.status.success(), "{name}: {}", String::from_utf8_lossy(&check.stdout));
    }
}
