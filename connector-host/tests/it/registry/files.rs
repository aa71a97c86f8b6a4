//! What only a registry in a file can get wrong.

use std::{future::Future, path::Path, pin::pin, sync::Arc, task::Poll};

use connector_host::registry::{Registry, SqliteRegistry, connect};
use connector_sdk::{Checkpoint, Class, Error, SystemClock, Timestamp};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{LEASE, TestClock, commit, context, in_time, key, standing};

async fn open(path: &Path) -> SqliteRegistry {
    SqliteRegistry::open(path, TestClock::at(1_000_000)).await.unwrap()
}

/// The file as another program sees it.
async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn change(path: &Path, sql: &'static str) {
    let mut db = raw(path).await;
    sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

async fn refusal(path: &Path) -> Error {
    let error = SqliteRegistry::open(path, SystemClock::shared()).await.unwrap_err();
    assert_eq!(error.class(), Class::Config, "{error:?}");
    let named = context(&error, "path").expect("the error names the path");
    assert!(named.ends_with(path.file_name().unwrap().to_str().unwrap()), "{named}");
    error
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db");
        let registry = open(&path).await;
        let lease = registry.claim(&key("Contact"), "a run", LEASE).await.unwrap().lease;
        registry.checkpoint(&lease, &[commit("p", 3)]).await.unwrap();
        registry.release(&lease).await.unwrap();
        drop(registry);
        let registry = open(&path).await;
        let claim = registry.claim(&key("Contact"), "another run", LEASE).await.unwrap();
        assert_eq!((claim.lease.fence, claim.takeover), (2, false));
        let state = registry.load(&lease.tenant, &lease.connection, &lease.stream).await.unwrap();
        assert_eq!(standing(&state), [("p".into(), 0, 3, Some("3".into()))]);
    })
    .await;
}

#[tokio::test]
async fn a_registry_of_a_newer_schema_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    drop(open(&path).await);
    change(&path, "pragma user_version = 7").await;
    let before = std::fs::read(&path).unwrap();
    let error = refusal(&path).await;
    assert!(error.message().contains("schema version 7, this program knows versions up to 1"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let text = "these are notes and no database at all\n".repeat(100);
    std::fs::write(&path, &text).unwrap();
    assert!(refusal(&path).await.message().contains("not a SQLite database"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sql) in [
        ("tables.db", "create table theirs (a)"),
        ("version.db", "pragma user_version = 3"),
        ("application.db", "pragma application_id = 5"),
    ] {
        let path = folder.path().join(name);
        change(&path, sql).await;
        let before = std::fs::read(&path).unwrap();
        assert!(refusal(&path).await.message().contains("another program"), "{name}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_path_where_no_registry_can_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing").join("r.db");
    assert!(refusal(&missing).await.message().contains("folder does not exist"));
    assert!(!folder.path().join("missing").exists());
    assert!(refusal(folder.path()).await.message().contains("it is a folder"));
    std::fs::write(folder.path().join("file"), "").unwrap();
    assert!(
        refusal(&folder.path().join("file").join("r.db")).await.message().contains("folder does not exist")
    );
    let error = SqliteRegistry::open("", SystemClock::shared()).await.unwrap_err();
    assert_eq!(error.class(), Class::Config);
}

#[tokio::test]
async fn a_url_opens_either_registry() {
    let folder = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    connect("sqlite://./r.db", folder.path(), clock.clone()).await.unwrap();
    assert!(folder.path().join("r.db").is_file());
    connect("memory:", folder.path(), clock.clone()).await.unwrap();
    let error = connect("postgres://u:hunter2@h/d", folder.path(), clock).await.unwrap_err();
    assert_eq!(error.class(), Class::Config);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn many_open_a_new_registry_at_once() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db");
        let opening: Vec<_> = (0..12)
            .map(|n| {
                let path = path.clone();
                tokio::spawn(async move {
                    // They wait for each other, on a clock that goes.
                    let registry =
                        SqliteRegistry::open(&path, connector_sdk::SystemClock::shared()).await.unwrap();
                    let stream = format!("stream {n}");
                    registry.claim(&key(&stream), "a run", LEASE).await.unwrap();
                    registry
                })
            })
            .collect();
        for registry in opening {
            registry.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn d_15_one_damaged_state_is_named_and_truncates_nothing() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db");
        let registry = open(&path).await;
        let mut leases = Vec::new();
        for stream in ["Account", "Contact"] {
            let lease = registry.claim(&key(stream), "a run", LEASE).await.unwrap().lease;
            registry.checkpoint(&lease, &[commit("a", 1), commit("b", 2), commit("c", 3)]).await.unwrap();
            leases.push(lease);
        }
        let (account, contact) = (&leases[0], &leases[1]);
        for damage in [
            "update connector_run_state set state = '{\"version\":1' where stream = 'Contact' and partition = 'b'",
            "update connector_run_state set state = '' where stream = 'Contact' and partition = 'b'",
            "update connector_run_state set state = '{\"version\":1,\"cursor\":1,\"more\":2}' \
             where stream = 'Contact' and partition = 'b'",
        ] {
            change(&path, damage).await;
            let alone = registry.load(&contact.tenant, &contact.connection, &contact.stream).await.unwrap_err();
            let among = registry.states(&contact.tenant, &contact.connection).await.unwrap_err();
            for error in [alone, among] {
                assert_eq!(error.class(), Class::Config);
                assert_eq!(context(&error, "stream").unwrap(), "Contact");
                assert_eq!(context(&error, "partition").unwrap(), "b");
            }
            let whole = registry.load(&account.tenant, &account.connection, &account.stream).await.unwrap();
            assert_eq!(whole.partitions.len(), 3, "the other stream is whole");
        }
        change(&path, "update streams set state = 'null and void' where stream = 'Account'").await;
        let error = registry.load(&account.tenant, &account.connection, &account.stream).await.unwrap_err();
        assert_eq!(context(&error, "stream").unwrap(), "Account");
        assert!(error.message().contains("connector state reset"), "{error}");
        // What the error tells to do helps.
        for lease in [account, contact] {
            registry.reset(lease).await.unwrap();
            let state = registry.load(&lease.tenant, &lease.connection, &lease.stream).await.unwrap();
            assert_eq!(state.partitions.values().map(|known| known.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        }
    })
    .await;
}

#[tokio::test]
async fn c_88_a_document_that_cannot_be_decoded_names_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let registry = open(&path).await;
    registry.put_receipt(&"acme".into(), &"run 1".into(), &serde_json::json!({})).await.unwrap();
    registry.put_receipt(&"acme".into(), &"run 2".into(), &serde_json::json!({})).await.unwrap();
    change(&path, "update receipts set receipt = '{' where run = 'run 1'").await;
    let error = registry.receipt(&"acme".into(), &"run 1".into()).await.unwrap_err();
    assert_eq!((error.class(), context(&error, "run").unwrap().as_str()), (Class::Config, "run 1"));
    assert!(registry.receipt(&"acme".into(), &"run 2".into()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_live_owner_is_respected_and_a_dead_one_replaced_at_once() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db");
        let (first, second) = (open(&path).await, open(&path).await);
        let lease = first.claim(&key("Contact"), "the first run", LEASE).await.unwrap().lease;
        let error = second.claim(&key("Contact"), "the second run", LEASE).await.unwrap_err();
        assert_eq!(context(&error, "owner").unwrap(), "the first run");
        drop(first); // without a release, as if its process had ended
        let claim = second.claim(&key("Contact"), "the second run", LEASE).await.unwrap();
        assert_eq!((claim.takeover, claim.lease.fence), (true, lease.fence + 1));
    })
    .await;
}

#[tokio::test]
async fn an_owner_whose_lock_file_is_gone_is_dead() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let (first, second) = (open(&path).await, open(&path).await);
    first.claim(&key("Contact"), "the first run", LEASE).await.unwrap();
    std::fs::remove_dir_all(folder.path().join("r.db.owners")).unwrap();
    assert!(second.claim(&key("Contact"), "the second run", LEASE).await.unwrap().takeover);
}

#[tokio::test]
async fn an_owner_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let registry = open(&path).await;
    registry.claim(&key("Contact"), "a run", LEASE).await.unwrap();
    let locks = || std::fs::read_dir(folder.path().join("r.db.owners")).unwrap().count();
    assert_eq!(locks(), 2, "its own, and the one of opening");
    drop(registry);
    assert_eq!(locks(), 1);
}

#[tokio::test]
async fn a_call_that_is_dropped_halfway_leaves_the_registry_usable() {
    in_time(async {
        let folder = tempfile::tempdir().unwrap();
        let registry = open(&folder.path().join("r.db")).await;
        let lease = registry.claim(&key("Contact"), "a run", LEASE).await.unwrap().lease;
        let mut stands = 0;
        // Each round lets the checkpoint get one step further before it is dropped.
        for steps in 0..24 {
            let next = [commit("p", steps + 1), commit("q", steps + 1)];
            {
                let mut checkpoint = pin!(registry.checkpoint(&lease, &next));
                for _ in 0..steps {
                    let done =
                        std::future::poll_fn(|cx| Poll::Ready(checkpoint.as_mut().poll(cx).is_ready())).await;
                    if done {
                        stands = steps + 1;
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            let state = registry.load(&lease.tenant, &lease.connection, &lease.stream).await.unwrap();
            let found: Vec<u64> = state.partitions.values().map(|known| known.sequence).collect();
            assert!(
                found.is_empty() || (found.len() == 2 && found[0] == found[1]),
                "all or nothing: {found:?}"
            );
            assert!(found.first().copied().unwrap_or(0) >= stands, "what was acknowledged stands");
            registry.renew(&lease, LEASE).await.expect("the connection still works");
        }
    })
    .await;
}

#[tokio::test]
async fn times_are_milliseconds_in_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let registry: Arc<dyn Registry> = Arc::new(open(&path).await);
    registry.claim(&key("Contact"), "a run", LEASE).await.unwrap();
    let mut db = raw(&path).await;
    let expires_at: i64 =
        sqlx::query_scalar("select expires_at from leases").fetch_one(&mut db).await.unwrap();
    assert_eq!(Timestamp::from_millis(expires_at), Timestamp::from_millis(1_030_000));
}
