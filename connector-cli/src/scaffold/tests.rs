use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::PathBuf,
};

use connector_sdk::{
    Class, SystemClock,
    http::{Bytes, Faults as _, HeaderMap, Request, Response, StatusCode},
};

use super::*;

/// The template's own, compiled here too.
#[path = "../../templates/rest/src/fault.rs"]
mod fault;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// From a repository, so that nothing is read.
fn sdk() -> Sdk {
    Sdk::repository(&format!("https://host.example/sdk.git#{COMMIT}")).unwrap()
}

/// The manifest of a crate that takes the SDK from there.
fn manifest(sdk: &Sdk) -> String {
    replaced(MANIFEST, &stand_ins(&name("connector-acme"), sdk))
}

fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What looks like a checkout of the SDK.
fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for krate in sdk::CRATES {
        fs::create_dir(folder.path().join(krate)).unwrap();
        File::create(folder.path().join(krate).join("Cargo.toml")).unwrap();
    }
    folder
}

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
        ("serde-json", "a crate that a connector needs", "connector-serde-json"),
        ("async_trait", "a crate that a connector needs", "connector-async_trait"),
        ("connector_host", "a crate that a connector needs", "connector-connector_host"),
        ("con", "Windows or Cargo keeps", "connector-con"),
        ("nul", "Windows or Cargo keeps", "connector-nul"),
        ("aux", "Windows or Cargo keeps", "connector-aux"),
        ("prn", "Windows or Cargo keeps", "connector-prn"),
        ("lpt1", "Windows or Cargo keeps", "connector-lpt1"),
        ("build", "Windows or Cargo keeps", "connector-build"),
        ("deps", "Windows or Cargo keeps", "connector-deps"),
        ("examples", "Windows or Cargo keeps", "connector-acme"),
        ("incremental", "Windows or Cargo keeps", "connector-incremental"),
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
    let files = write(&root, &name("connector-acme"), &sdk()).unwrap();
    assert_eq!(files.iter().collect::<BTreeSet<_>>().len(), FILES.len());
    for file in files {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for stand_in in ["example-desk", "example_desk", "\"0.0\""] {
            assert!(!text.contains(stand_in), "`{stand_in}` is left in {file}");
        }
    }
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    assert!(read("Cargo.toml").contains("name = \"connector-acme\"\n"));
    assert_eq!(read("Cargo.toml").matches("git = \"https://host.example/sdk.git\"").count(), 3);
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
fn a_name_that_looks_like_one_of_the_templates_is_put_in_as_it_is() {
    for text in [
        "connector-my-example-desk",
        "example-desk-2",
        "connector-example-desk",
        "example-desk",
        "connector_example_desk",
        "my_connector-example-desk_connector_example_desk",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let name = name(text);
        write(&folder.path().join("it"), &name, &sdk()).unwrap();
        let read = |file: &str| fs::read_to_string(folder.path().join("it").join(file)).unwrap();
        assert!(read("Cargo.toml").contains(&format!("\nname = \"{text}\"\n")), "{}", read("Cargo.toml"));
        let import = format!("\nuse {} as connector;\n", text.replace('-', "_"));
        for file in ["examples/connector.rs", "tests/conformance.rs"] {
            assert!(read(file).contains(&import), "{text}: {}", read(file));
        }
        let system = name.system();
        assert!(read("src/lib.rs").contains(&format!("const SYSTEM: &str = \"{system}\";")), "{text}");
        assert!(read("connection.yaml").contains(&format!("connector: {system}/rest\n")), "{text}");
    }
}

#[test]
fn nothing_is_overwritten_and_no_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::write(at("file"), "mine").unwrap();
    fs::create_dir(at("empty")).unwrap();
    symlink(at("empty"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    let before = entries(folder.path());
    for (path, why) in [
        (folder.path().to_owned(), "is not empty"),
        (at("file"), "is no folder"),
        (at("file/below"), "is below something that is no folder"),
        (at("link"), "is a symbolic link"),
        (at("dangling"), "is a symbolic link"),
        (at("empty/.."), "does not end in the name of a folder"),
        (PathBuf::from("."), "does not end in the name of a folder"),
        (PathBuf::from(""), "does not end in the name of a folder"),
    ] {
        let error = write(&path, &name("connector-acme"), &sdk()).unwrap_err();
        assert_eq!(error.class(), Class::Config, "{error}");
        assert!(error.to_string().contains(why) && error.to_string().contains("--path"), "{error}");
        assert_eq!(entries(folder.path()), before);
        assert_eq!(entries(&at("empty")).len(), 0);
    }
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "mine");
    // A folder with nothing in it may be there.
    write(&at("empty"), &name("connector-acme"), &sdk()).unwrap();
    assert!(at("empty/src/lib.rs").is_file());
    assert_eq!(entries(folder.path()), before);
}

#[test]
fn what_fails_on_the_way_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("deep/er/acme");
    let begin = || folder::Folder::begin(&target, "acme").unwrap();
    // A file that cannot be written: here, because it is there.
    let draft = begin();
    draft.put("src/lib.rs", b"ours").unwrap();
    let hidden = entries(&folder.path().join("deep/er")).pop_first().unwrap();
    assert!(hidden.starts_with(".acme.new-"), "{hidden}");
    let error = draft.put("src/lib.rs", b"again").unwrap_err();
    assert!(error.to_string().contains("src/lib.rs"), "{error}");
    drop(draft);
    assert_eq!(entries(folder.path()).len(), 0);
    // Something that comes into being meanwhile: it stays, what we wrote goes.
    for put in [
        |target: &Path| fs::write(target, "mine").unwrap(),
        |target: &Path| fs::create_dir_all(target.join("mine")).unwrap(),
        |target: &Path| symlink("/", target).unwrap(),
    ] {
        let draft = begin();
        put(&target);
        assert_eq!(draft.finish().unwrap_err().class(), Class::Config);
        assert_eq!(entries(target.parent().unwrap()), BTreeSet::from(["acme".to_owned()]));
        fs::remove_dir_all(folder.path().join("deep")).unwrap();
    }
    begin().finish().unwrap();
    assert!(target.is_dir());
}

#[test]
fn the_sdk_is_taken_from_where_the_author_says() {
    let pinned = manifest(&sdk());
    let line = format!("connector-sdk = {{ git = \"https://host.example/sdk.git\", rev = \"{COMMIT}\" }}\n");
    assert!(pinned.contains(&line), "{pinned}");
    assert_eq!((pinned.matches(", rev = ").count(), pinned.matches("pin a commit").count()), (3, 0));
    let moving = manifest(&Sdk::repository("file:///src/a\"b").unwrap());
    assert!(moving.contains("connector-sdk = { git = \"file:///src/a%22b\" }\n"), "{moving}");
    assert_eq!(moving.matches("pin a commit with `rev").count(), 3, "{moving}");
    let folder = checkout();
    let odd = folder.path().join("a \"b\" connector-sdk = \"0.0\"");
    symlink(folder.path(), &odd).unwrap();
    let path = fs::canonicalize(folder.path()).unwrap();
    let taken = manifest(&Sdk::checkout(&odd).unwrap());
    let line = format!("connector-testkit = {{ path = \"{}/connector-testkit\" }}\n", path.display());
    assert!(taken.contains(&line), "{taken}");
    let quoted = manifest(&Sdk::Checkout("/a \"b\" example-desk".to_owned()));
    let line = r#"connector-sdk = { path = "/a \"b\" example-desk/connector-sdk" }"#;
    assert!(quoted.contains(line), "{quoted}");
    let folder = tempfile::tempdir().unwrap();
    let error = Sdk::checkout(folder.path()).unwrap_err().to_string();
    assert!(error.contains("`--sdk`") && error.contains("no checkout"), "{error}");
    let error = Sdk::checkout(&folder.path().join("gone")).unwrap_err().to_string();
    assert!(error.contains("`--sdk`") && error.contains("cannot be read"), "{error}");
}

#[test]
fn a_checkout_whose_path_no_manifest_can_hold_is_refused() {
    for (name, why) in [(&b"\xff"[..], "is not UTF-8"), (b"a\x7fb", "control character"), (b"\n", "control")]
    {
        let parent = tempfile::tempdir().unwrap();
        let odd = parent.path().join(std::ffi::OsStr::from_bytes(name));
        fs::rename(checkout().keep(), &odd).unwrap();
        let error = Sdk::checkout(&odd).unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains("`--sdk`") && error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_repository_is_named_by_an_address_that_is_safe_to_follow() {
    for (address, written) in [
        ("https://host.example/a/b.git", "https://host.example/a/b.git"),
        ("ssh://git@host.example:2222/a/b", "ssh://git@host.example:2222/a/b"),
        ("ssh://host.example/a", "ssh://host.example/a"),
        ("git@host.example:a/b.git", "ssh://git@host.example/a/b.git"),
        ("git@host.example:/a/b.git", "ssh://git@host.example/a/b.git"),
        ("file:///src/sdk", "file:///src/sdk"),
    ] {
        let url = written.parse().unwrap();
        assert_eq!(Sdk::repository(address).unwrap(), Sdk::Git { url, commit: None }, "{address}");
        let pinned = Sdk::repository(&format!("{address}#{COMMIT}")).unwrap();
        let url = written.parse().unwrap();
        assert_eq!(pinned, Sdk::Git { url, commit: Some(COMMIT.to_owned()) }, "{address}");
    }
    for (address, why) in [
        ("", "is empty"),
        (" ", "a space or a control"),
        ("https://host.example/a b", "a space or a control"),
        ("https://host.example/a\nb", "a space or a control"),
        ("https://host.example/a\u{1b}[2J", "a space or a control"),
        ("host.example/hunter2", "is no URL"),
        ("https://", "is no URL"),
        ("http://host.example/hunter2", "has to begin with"),
        ("git://host.example/hunter2", "has to begin with"),
        ("ext::sh -c", "a space or a control"),
        ("ext::hunter2", "has to begin with"),
        ("hunter2:x@host.example:a", "has to begin with"),
        ("https://me:hunter2@host.example/a", "a user or a password"),
        ("https://hunter2@host.example/a", "a user or a password"),
        ("ssh://git:hunter2@host.example/a", "a password"),
        ("ssh:hunter2", "names no host"),
        ("ssh://-oProxyCommand=hunter2/a", "begins a host or a user with `-`"),
        ("ssh://-oProxyCommand=hunter2@host.example/a", "begins a host or a user with `-`"),
        ("git@-oProxyCommand=hunter2:a", "begins a host or a user with `-`"),
        ("file://host.example/hunter2", "names no host"),
        ("https://host.example/a?token=hunter2", "has a query"),
        ("https://host.example/a#", "is no commit"),
        ("https://host.example/a#main", "is no commit"),
        ("https://host.example/a#hunter2", "is no commit"),
        ("https://host.example/a#012345", "is no commit"),
    ] {
        let error = Sdk::repository(address).unwrap_err();
        assert_eq!(error.class(), Class::Config);
        let said = format!("{error:?} {error}");
        assert!(said.contains("`--sdk-git`") && said.contains(why), "{address}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_lock_that_is_no_small_file_is_refused_before_anything_is_written() {
    let sdk = checkout();
    let lock = sdk.path().join("Cargo.lock");
    let target = tempfile::tempdir().unwrap();
    let attempt = || write(&target.path().join("acme"), &name("acme"), &Sdk::checkout(sdk.path()).unwrap());
    let refused = |why: &str| {
        let error = attempt().unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains("Cargo.lock") && error.to_string().contains(why), "{error}");
        assert_eq!(entries(target.path()).len(), 0);
    };
    fs::create_dir(&lock).unwrap();
    refused("is no regular file");
    fs::remove_dir(&lock).unwrap();
    symlink("/dev/zero", &lock).unwrap();
    refused("is no regular file");
    fs::remove_file(&lock).unwrap();
    symlink(sdk.path().join("connector-sdk/Cargo.toml"), &lock).unwrap();
    refused("is no regular file");
    fs::remove_file(&lock).unwrap();
    File::create(&lock).unwrap().set_len(4 * 1024 * 1024 + 1).unwrap();
    refused("is larger than 4 MiB");
    File::create(&lock).unwrap().set_len(4 * 1024 * 1024).unwrap();
    assert!(attempt().unwrap().contains(&"Cargo.lock"));
}

#[test]
fn the_templates_errors_show_nothing_of_the_vendor_that_should_not_be_shown() {
    let title = |words: &str| {
        let body = serde_json::json!({ "title": words }).to_string();
        let url = "https://desk.example/v1/me".parse().unwrap();
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let response =
            Response::new(status, HeaderMap::new(), Bytes::from(body), url, SystemClock::shared().now());
        let error = fault::DeskFaults.fault(&Request::get("who am I", "/v1/me"), &response).unwrap();
        assert_eq!(error.class(), Class::Config);
        error.context().find(|(name, _)| *name == "title").unwrap().1.to_string()
    };
    assert_eq!(title("no such field"), "no such field");
    assert_eq!(title("refused\r\n\u{1b}[2Jgone"), "refused   [2Jgone");
    assert_eq!(title("access_token=hunter2&field=x"), "access_token=[secret]&field=x");
    assert_eq!(title(&"ä".repeat(100_000)), "ä".repeat(300));
}

#[test]
fn the_template_keeps_secrets_out_of_what_is_committed() {
    let text = |path: &str| FILES.iter().find(|(known, _)| *known == path).unwrap().1;
    for pattern in ["secrets/", ".env*", "*.pem", "*.key"] {
        assert!(text(".gitignore").lines().any(|line| line == pattern), "{pattern}");
    }
    assert!(text("connection.yaml").contains("client_secret: \"${secret:desk}\""));
    assert!(text("examples/vendor.rs").contains("CONNECTOR_SECRET_DESK"));
    // What is for the fake says so where it stands.
    let (above, _) = text("connection.yaml").split_once("\nnetwork:").unwrap();
    let comment: Vec<_> = above.lines().rev().take_while(|line| line.starts_with('#')).collect();
    assert!(comment.iter().any(|line| line.contains("Remove the line for a real one")), "{comment:?}");
}

#[test]
fn no_package_of_the_sdk_can_be_made_anew() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let ours = lock.split("[[package]]").filter(|package| !package.contains("source = "));
    let names = ours.filter_map(|package| package.split("name = \"").nth(1)?.split('"').next());
    let mut seen = 0;
    for name in names {
        assert!(Name::parse(name).is_err(), "`connector new {name}` makes a crate that cannot be built");
        seen += 1;
    }
    assert!(seen >= 8, "{seen} packages");
}
