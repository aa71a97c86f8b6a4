use std::{collections::BTreeSet, fs};

use super::*;

fn refusal(name: &str) -> String {
    Name::parse(name).unwrap_err().to_string()
}

#[test]
fn a_name_gives_the_package_the_library_and_the_vendor() {
    for (text, library, system) in [
        ("connector-acme", "connector_acme", "acme"),
        ("acme", "acme", "acme"),
        ("acme_desk2", "acme_desk2", "acme_desk2"),
        ("connector-big-acme", "connector_big_acme", "big-acme"),
        ("connector-9lives", "connector_9lives", "connector-9lives"),
        ("connector-", "connector_", "connector-"),
    ] {
        let name = Name::parse(text).unwrap();
        assert_eq!((name.package(), &*name.library(), name.system()), (text, library, system));
    }
}

#[test]
fn a_name_that_will_not_do_is_refused_with_one_that_will() {
    for (text, why, near) in [
        ("", "is empty", "connector-acme"),
        ("Help Desk!", "has `H` in it", "help-desk"),
        ("größe", "has `ö` in it", "gr-e"),
        ("a/../b", "has `/` in it", "a-b"),
        ("9lives", "does not begin with a letter", "lives"),
        ("-acme", "does not begin with a letter", "acme"),
        ("..", "has `.` in it", "connector-acme"),
        ("fn", "a word that Rust keeps", "connector-fn"),
        ("proc-macro", "a word that Rust keeps", "connector-proc-macro"),
        ("test", "a word that Rust keeps", "connector-test"),
        ("serde", "a crate that a connector needs", "connector-serde"),
        ("connector", "a crate that a connector needs", "connector-connector"),
        ("connector-sdk", "a crate that a connector needs", "connector-connector-sdk"),
        ("new\nline", "has `\\n` in it", "new-line"),
    ] {
        let said = refusal(text);
        assert!(said.starts_with("new: `NAME`:") && said.contains(why), "{text}: {said}");
        assert!(said.ends_with(&format!("write `{near}`")), "{text}: {said}");
        assert!(Name::parse(near).is_ok(), "{near}");
    }
    assert!(refusal(&"a".repeat(65)).ends_with(&format!("write `{}`", "a".repeat(64))));
}

#[test]
fn every_file_of_the_template_is_written_under_the_new_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/er");
    let files = write(&root, &Name::parse("connector-acme").unwrap(), &Sdk::Published).unwrap();
    assert_eq!(files.iter().collect::<BTreeSet<_>>().len(), FILES.len());
    for file in files {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for stand_in in ["example-desk", "example_desk", "\"0.0\""] {
            assert!(!text.contains(stand_in), "`{stand_in}` is left in {file}");
        }
    }
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    assert!(read("Cargo.toml").contains("name = \"connector-acme\"\n"));
    assert!(read("Cargo.toml").contains("connector-sdk = \"0.1\"\n"));
    assert!(read("src/lib.rs").contains("const SYSTEM: &str = \"acme\";"));
    assert!(read("connection.yaml").contains("connector: acme/rest\n"));
    assert!(read("examples/connector.rs").contains("use connector_acme as connector;"));
}

#[test]
fn no_file_of_the_template_is_forgotten() {
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/templates/rest");
    let mut waiting = vec![std::path::PathBuf::from(template)];
    let mut found = 0;
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                assert!(FILES.iter().any(|(_, known)| *known == text), "{}", path.display());
                found += 1;
            }
        }
    }
    assert_eq!(found, FILES.len());
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let name = Name::parse("connector-acme").unwrap();
    let file = folder.path().join("README.md");
    fs::write(&file, "mine").unwrap();
    for (path, why) in [(folder.path(), "is not empty"), (&*file, "is no folder")] {
        let error = write(path, &name, &Sdk::Published).unwrap_err();
        assert_eq!(error.class(), connector_sdk::Class::Config);
        assert!(error.to_string().contains(why) && error.to_string().contains("--path"), "{error}");
    }
    // One that came into being after the look.
    let error = put(folder.path(), "README.md", b"ours").unwrap_err();
    assert!(error.to_string().contains("README.md"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_sdk_is_taken_from_where_the_author_says() {
    let git = Sdk::Git("https://host.example/a \"b\".git".to_owned()).depend(MANIFEST);
    assert!(git.contains(r#"connector-sdk = { git = "https://host.example/a \"b\".git" }"#), "{git}");
    assert_eq!(git.matches("{ git = ").count(), 3);
    let checkout = Sdk::Checkout("/src/sdk".into()).depend(MANIFEST);
    assert!(
        checkout.contains(r#"connector-testkit = { path = "/src/sdk/connector-testkit" }"#),
        "{checkout}"
    );
    let folder = tempfile::tempdir().unwrap();
    let error = Sdk::checkout(folder.path()).unwrap_err().to_string();
    assert!(error.contains("`--sdk`") && error.contains("no checkout"), "{error}");
    let error = Sdk::checkout(&folder.path().join("gone")).unwrap_err().to_string();
    assert!(error.contains("`--sdk`") && error.contains("cannot be read"), "{error}");
}
