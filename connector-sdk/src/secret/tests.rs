#![cfg(unix)]

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use proptest::prelude::*;

use super::{pair::checked, *};
use crate::{Class, Error};

fn folder(files: &[(&str, &[u8], u32)]) -> (tempfile::TempDir, FileSecrets) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, mode) in files {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
    }
    let store = FileSecrets::new(folder.path());
    (folder, store)
}

#[tokio::test]
async fn a_file_gives_its_text_less_one_line_break() {
    let files: [(&str, &[u8], u32); 5] = [
        ("plain", b"hunter2", 0o600),
        ("line", b"hunter2\n", 0o400),
        ("windows", b"hunter2\r\n", 0o600),
        ("two", b"hunter2\n\n", 0o600),
        ("key", b"-----BEGIN-----\nabc\n-----END-----\n", 0o600),
    ];
    let (_folder, store) = folder(&files);
    let expected = ["hunter2", "hunter2", "hunter2", "hunter2\n", "-----BEGIN-----\nabc\n-----END-----"];
    for ((name, ..), expected) in files.iter().zip(expected) {
        assert_eq!(store.get(name).await.unwrap().unwrap().expose(), expected, "{name}");
    }
    assert!(store.get("missing").await.unwrap().is_none());
    assert!(FileSecrets::new("/no/such/folder").get("any").await.unwrap().is_none());
}

#[tokio::test]
async fn a_file_that_others_may_read_is_refused_and_the_message_says_what_to_run() {
    for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
        let (folder, store) = folder(&[("token", b"hunter2", mode)]);
        let error = store.get("token").await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
        let path = folder.path().join("token");
        assert!(error.to_string().contains(&format!("chmod 600 '{}'", path.display())), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn what_is_no_secret_is_refused() {
    let (folder, store) = folder(&[("binary", b"\xff\xfe", 0o600)]);
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("large"), "x".repeat((1 << 20) + 1)).unwrap();
    for (name, why) in [("binary", "no text"), ("folder", "not a regular file"), ("large", "larger than any")]
    {
        let error = store.get(name).await.unwrap_err();
        assert_eq!(error.class(), Class::Config, "{error}");
        assert!(error.to_string().contains(why) && error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let (_folder, store) = folder(&[]);
    for name in [
        "",
        ".",
        "..",
        "../token",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "a\0b",
        ".hidden",
        "a b",
        "ä",
        "-a",
        "a.",
        "#a",
        "a#",
        "a#b#c",
        "a#../b",
        // Where the next one of `a` lies.
        "a.next",
        "a_NEXT",
        "a-next",
        "a#value_next",
    ] {
        assert_eq!(store.get(name).await.unwrap_err().class(), Class::Config, "{name:?}");
        assert!(EnvSecrets::default().variable(name).is_err(), "{name:?}");
    }
}

proptest! {
    #[test]
    fn a_checked_name_is_one_part_of_a_path(name in ".{0,20}") {
        if let Ok(name) = checked(&name) {
            let parts: Vec<_> = std::path::Path::new(name).components().collect();
            prop_assert!(matches!(parts[..], [std::path::Component::Normal(_)]));
        }
    }
}

/// Runs this test binary again for one test, with a variable set: a test may not change its own
/// environment while others read it.
#[test]
fn a_variable_gives_its_text() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "secret::tests::reads_the_variable_it_was_started_with", "--nocapture"])
        .env("CONNECTOR_SECRET_SF_SECRET", "hunter2")
        .env("CONNECTOR_SECRET_PRESENT", "yes")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[tokio::test]
async fn reads_the_variable_it_was_started_with() {
    let found = EnvSecrets::default().get("sf-secret").await.unwrap();
    match EnvSecrets::default().get("present").await.unwrap() {
        Some(_) => assert_eq!(found.unwrap().expose(), "hunter2"),
        None => assert!(found.is_none(), "run by itself, it is not there"),
    }
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_secret_is_refused_at_once() {
    let (folder, store) = folder(&[]);
    let made = Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
    assert!(made.success());
    let error = store.get("pipe").await.unwrap_err();
    assert!(error.class() == Class::Config && error.to_string().contains("not a regular file"), "{error}");
}

#[tokio::test]
async fn the_next_file_takes_the_place_of_the_other_and_only_its_owner_may_read_it() {
    let (folder, store) = folder(&[("token", b"old\n", 0o600)]);
    assert!(store.next("token").await.unwrap().is_none());
    let next = Secret::from("new\n");
    store.stage("token", &next).await.unwrap();
    let path = folder.path().join("token.next");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(store.get("token").await.unwrap().unwrap().expose(), "old");
    assert_eq!(store.next("token").await.unwrap().unwrap().expose(), "new\n");
    let error = store.promote("token", &Secret::from("another")).await.unwrap_err();
    assert_eq!(error.class(), Class::Permanent);
    assert!(!format!("{error:?}").contains("new"), "{error:?}");
    // Twice: two processes find out at the same time.
    for _ in 0..2 {
        store.promote("token", &next).await.unwrap();
        assert_eq!(store.get("token").await.unwrap().unwrap().expose(), "new\n");
        assert!(store.next("token").await.unwrap().is_none() && !path.exists());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    assert_eq!(store.stage("missing", &next).await.unwrap_err().class(), Class::Config);
}

#[tokio::test]
async fn a_variable_that_is_promoted_is_remembered_and_cannot_be_written() {
    let store = EnvSecrets::looked_up_by(|name| match name {
        "X_SF_SECRET" => Some("old".to_owned()),
        "X_SF_SECRET_NEXT" => Some("new".to_owned()),
        _ => None,
    })
    .with_prefix("X_");
    let chain = ChainSecrets::default().then(store.clone());
    assert_eq!(chain.next("sf.secret").await.unwrap().unwrap().expose(), "new");
    assert!(store.next("other").await.unwrap().is_none());
    let error = store.stage("sf.secret", &Secret::from("newer")).await.unwrap_err();
    assert!(error.class() == Class::Config && error.to_string().contains("X_SF_SECRET_NEXT"), "{error}");
    assert!(chain.promote("sf.secret", &Secret::from("newer")).await.is_err());
    // What is promoted here ends with the process, which the store says, and what to do.
    let error = chain.writable("sf.secret").await.unwrap_err();
    assert!(error.class() == Class::Config && error.to_string().contains("X_SF_SECRET_NEXT into"), "{error}");
    for _ in 0..2 {
        chain.promote("sf.secret", &Secret::from("new")).await.unwrap();
        assert_eq!(store.get("sf.secret").await.unwrap().unwrap().expose(), "new");
        assert!(store.next("sf.secret").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_empty_secret_is_an_absent_one() {
    let variables = EnvSecrets::looked_up_by(|name| match name {
        "CONNECTOR_SECRET_SET" => Some("old".to_owned()),
        "CONNECTOR_SECRET_BOTH" | "CONNECTOR_SECRET_SET_NEXT" => Some(String::new()),
        _ => None,
    });
    assert!(variables.get("both").await.unwrap().is_none());
    assert!(variables.next("set").await.unwrap().is_none(), "no successor is tried that is nothing");
    let files: [(&str, &[u8], u32); 5] = [
        ("both", b"file", 0o600),
        ("set", b"old", 0o600),
        ("set.next", b"\n", 0o600),
        ("empty", b"", 0o600),
        ("empty.next", b"next", 0o600),
    ];
    let (_folder, files) = folder(&files);
    assert!(files.get("empty").await.unwrap().is_none() && files.next("empty").await.unwrap().is_none());
    assert!(files.next("set").await.unwrap().is_none());
    let error = files.stage("set", &Secret::from("")).await.unwrap_err();
    assert!(error.class() == Class::Config && error.to_string().contains("is no secret"), "{error}");
    // A variable that somebody has cleared does not stand before the file.
    let chain = ChainSecrets::default().then(variables).then(files);
    assert_eq!(chain.get("both").await.unwrap().unwrap().expose(), "file");
}

#[tokio::test]
async fn two_who_stage_at_once_leave_a_whole_secret_and_nothing_beside_it() {
    let (folder, store) = folder(&[("token", b"old\n", 0o600)]);
    let (one, two) = ("1".repeat(1 << 19), "2".repeat(1 << 19));
    let staging = |text: &String| {
        let (store, text) = (store.clone(), Secret::from(text.as_str()));
        std::thread::spawn(move || {
            for _ in 0..20 {
                futures_util::FutureExt::now_or_never(store.stage("token", &text)).unwrap().unwrap();
            }
        })
    };
    let threads = [staging(&one), staging(&two)];
    while threads.iter().any(|thread| !thread.is_finished()) {
        if let Some(next) = store.next("token").await.unwrap() {
            assert!(*next.expose() == one || *next.expose() == two, "{} bytes", next.expose().len());
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside them");
}

#[tokio::test]
async fn what_is_staged_while_another_is_promoted_is_neither_promoted_nor_lost() {
    let (folder, store) = folder(&[("token", b"old\n", 0o600), ("token.next", b"two\n", 0o600)]);
    let promoted = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (other, done) = (store.clone(), std::sync::Arc::clone(&promoted));
    let staging = std::thread::spawn(move || {
        let mut staged = 0_u32;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            staged += 1;
            let next = Secret::new(format!("later-{staged}"));
            futures_util::FutureExt::now_or_never(other.stage("token", &next)).unwrap().unwrap();
            std::thread::yield_now();
        }
        format!("later-{staged}")
    });
    // Sooner or later it is another by then, which is refused.
    let result = store.promote("token", &Secret::from("two")).await;
    promoted.store(true, std::sync::atomic::Ordering::Relaxed);
    let last = staging.join().unwrap();
    let current = fs::read_to_string(folder.path().join("token")).unwrap();
    assert_eq!(current.trim_end(), if result.is_ok() { "two" } else { "old" });
    let next = store.next("token").await.unwrap().map(|next| next.expose().clone());
    assert_eq!(next.as_deref(), Some(last.as_str()));
}

#[tokio::test]
async fn the_next_one_is_that_of_the_store_that_gives_the_current_one() {
    let (_first, first) = folder(&[("both", b"first", 0o600)]);
    let (second_folder, second) = folder(&[("both", b"second", 0o600), ("both.next", b"wrong", 0o600)]);
    let chain = ChainSecrets::default().then(first.clone()).then(second);
    assert!(chain.next("both").await.unwrap().is_none());
    chain.stage("both", &Secret::from("right")).await.unwrap();
    assert_eq!(chain.next("both").await.unwrap().unwrap().expose(), "right");
    chain.promote("both", &Secret::from("right")).await.unwrap();
    assert_eq!(first.get("both").await.unwrap().unwrap().expose(), "right");
    assert_eq!(fs::read(second_folder.path().join("both")).unwrap(), b"second");
    assert_eq!(chain.stage("none", &Secret::from("x")).await.unwrap_err().class(), Class::Config);
}

/// A secret shows nothing in whatever derives Debug around it.
#[test]
fn no_container_shows_what_is_in_it() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only shown")]
    struct Holder {
        one: Secret,
        bytes: Secret<Vec<u8>>,
        maybe: Option<Secret>,
        many: Vec<(Secret, u8)>,
        map: BTreeMap<String, Secret>,
        result: Result<Secret, Secret>,
        shared: std::sync::Arc<std::sync::Mutex<Secret>>,
    }
    let secret = || Secret::from("hunter2");
    let holder = Holder {
        one: secret(),
        bytes: Secret::new(b"hunter2".to_vec()),
        maybe: Some(secret()),
        many: vec![(secret(), 1)],
        map: [("a".to_owned(), secret())].into(),
        result: Err(secret()),
        shared: std::sync::Arc::new(std::sync::Mutex::new(secret())),
    };
    for text in [format!("{holder:?}"), format!("{holder:#?}")] {
        assert!(text.contains("[secret]"));
        // As bytes too: "hunter2" is 104, 117, ...
        assert!(!text.contains("hunter2") && !text.contains("104"), "{text}");
    }
}

#[derive(Debug)]
struct Broken;

#[async_trait]
impl SecretStore for Broken {
    async fn get(&self, _: &str) -> Result<Option<Secret>> {
        Err(Error::transient("secret", "the store cannot be reached"))
    }
}

#[tokio::test]
async fn stores_are_asked_in_order_and_one_that_cannot_look_ends_the_search() {
    let (_first, first) = folder(&[("both", b"first", 0o600)]);
    let (_second, second) = folder(&[("both", b"second", 0o600), ("one", b"second", 0o600)]);
    let chain = ChainSecrets::default().then(first.clone()).then(second.clone());
    assert_eq!(chain.get("both").await.unwrap().unwrap().expose(), "first");
    assert_eq!(chain.get("one").await.unwrap().unwrap().expose(), "second");
    assert!(chain.get("none").await.unwrap().is_none());
    let broken = ChainSecrets::default().then(first).then(Broken).then(second);
    assert_eq!(broken.get("both").await.unwrap().unwrap().expose(), "first");
    assert_eq!(broken.get("one").await.unwrap_err().class(), Class::Transient);
}
