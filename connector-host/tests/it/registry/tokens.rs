//! Rotated credentials: sealed, durable, and nobody else's.

use std::sync::Arc;

use connector_host::{
    registry::{Registry, SqliteRegistry},
    seal::{SealKey, SealedTokens},
};
use connector_sdk::{Class, Secret, SystemClock, secret::TokenStore};

use super::{Bench, on_both};

const TOKEN: &str = "refresh-token-hunter2";

on_both!(
    a_token_comes_back_as_it_was_put,
    c_86_a_token_is_nobody_elses,
    c_87_a_row_moved_to_another_tenant_does_not_open_there,
    a_token_sealed_with_another_key_says_so,
    a_damaged_token_is_an_error_and_never_another_token,
    a_token_of_a_newer_format_says_so,
);

fn tokens(registry: &Arc<dyn Registry>, key: &SealKey, tenant: &str, connection: &str) -> SealedTokens {
    SealedTokens::new(registry.clone(), key, tenant.into(), connection.into()).unwrap()
}

async fn a_token_comes_back_as_it_was_put(bench: Bench) {
    let key = SealKey::new([7; 32]);
    let store = tokens(&bench.registry, &key, "acme", "crm");
    assert!(store.get("refresh").await.unwrap().is_none());
    for value in [TOKEN, "", "ä\0\n", &"x".repeat(100_000)] {
        store.put("refresh", Secret::from(value)).await.unwrap();
        assert_eq!(store.get("refresh").await.unwrap().unwrap().expose(), value);
    }
    let shown = format!("{store:?}");
    assert!(shown.contains("crm") && !shown.to_lowercase().contains("key"), "{shown}");
    // The same value is never sealed the same way twice.
    let mut sealed = Vec::new();
    for _ in 0..2 {
        store.put("refresh", Secret::from(TOKEN)).await.unwrap();
        sealed.push(bench.registry.token(&"acme".into(), &"crm".into(), "refresh").await.unwrap().unwrap());
    }
    assert_ne!(sealed[0], sealed[1]);
    assert!(!sealed.concat().windows(7).any(|window| window == b"hunter2"));
}

async fn c_86_a_token_is_nobody_elses(bench: Bench) {
    let key = SealKey::new([7; 32]);
    tokens(&bench.registry, &key, "acme", "crm").put("refresh", Secret::from(TOKEN)).await.unwrap();
    for (tenant, connection, name) in [
        ("evil", "crm", "refresh"),
        ("acme", "other", "refresh"),
        ("acme", "crm", "other"),
        ("acmecrm", "", "refresh"),
    ] {
        assert!(tokens(&bench.registry, &key, tenant, connection).get(name).await.unwrap().is_none());
    }
}

async fn c_87_a_row_moved_to_another_tenant_does_not_open_there(bench: Bench) {
    let key = SealKey::new([7; 32]);
    tokens(&bench.registry, &key, "acme", "crm").put("refresh", Secret::from(TOKEN)).await.unwrap();
    let sealed = bench.registry.token(&"acme".into(), &"crm".into(), "refresh").await.unwrap().unwrap();
    for (tenant, connection, name) in [
        ("evil", "crm", "refresh"),
        ("acme", "other", "refresh"),
        ("acme", "crm", "other"),
        ("acmecrm", "", "refresh"),
    ] {
        bench.registry.put_token(&tenant.into(), &connection.into(), name, &sealed).await.unwrap();
        let error = tokens(&bench.registry, &key, tenant, connection).get(name).await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains("damaged, or was moved"), "{error}");
    }
}

async fn a_token_sealed_with_another_key_says_so(bench: Bench) {
    let (one, two) = (SealKey::new([7; 32]), SealKey::new([8; 32]));
    tokens(&bench.registry, &one, "acme", "crm").put("refresh", Secret::from(TOKEN)).await.unwrap();
    let error = tokens(&bench.registry, &two, "acme", "crm").get("refresh").await.unwrap_err();
    assert_eq!(error.class(), Class::Config);
    assert!(error.to_string().contains("sealed with another key"), "{error}");
    // It may be replaced all the same: the connection was authorised again.
    tokens(&bench.registry, &two, "acme", "crm").put("refresh", Secret::from("new")).await.unwrap();
    assert_eq!(
        tokens(&bench.registry, &two, "acme", "crm").get("refresh").await.unwrap().unwrap().expose(),
        "new"
    );
}

async fn a_damaged_token_is_an_error_and_never_another_token(bench: Bench) {
    let key = SealKey::new([7; 32]);
    let store = tokens(&bench.registry, &key, "acme", "crm");
    store.put("refresh", Secret::from(TOKEN)).await.unwrap();
    let (tenant, connection) = ("acme".into(), "crm".into());
    let sealed = bench.registry.token(&tenant, &connection, "refresh").await.unwrap().unwrap();
    let cut = (0..sealed.len()).map(|length| sealed[..length].to_vec());
    let flipped = (0..sealed.len()).map(|at| {
        let mut sealed = sealed.clone();
        sealed[at] ^= 1;
        sealed
    });
    for damaged in cut.chain(flipped).step_by(3) {
        bench.registry.put_token(&tenant, &connection, "refresh", &damaged).await.unwrap();
        let error = store.get("refresh").await.unwrap_err();
        assert_eq!(error.class(), Class::Config, "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

async fn a_token_of_a_newer_format_says_so(bench: Bench) {
    let key = SealKey::new([7; 32]);
    let store = tokens(&bench.registry, &key, "acme", "crm");
    bench.registry.put_token(&"acme".into(), &"crm".into(), "refresh", &[2; 60]).await.unwrap();
    let error = store.get("refresh").await.unwrap_err();
    assert!(error.to_string().contains("format 2") && error.to_string().contains("newer program"), "{error}");
}

#[tokio::test]
async fn a_token_is_never_in_the_clear_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let registry: Arc<dyn Registry> =
        Arc::new(SqliteRegistry::open(&path, SystemClock::shared()).await.unwrap());
    let key = SealKey::load_or_create(&folder.path().join("r.db.key")).unwrap();
    tokens(&registry, &key, "acme", "crm").put("refresh", Secret::from(TOKEN)).await.unwrap();
    let mut found = false;
    for file in std::fs::read_dir(folder.path()).unwrap().flatten().filter(|file| file.path().is_file()) {
        let content = std::fs::read(file.path()).unwrap();
        found |= content.windows(7).any(|window| window == b"refresh");
        assert!(!content.windows(7).any(|window| window == b"hunter2"), "{:?}", file.path());
    }
    assert!(found, "the row is there, under its name");
}
