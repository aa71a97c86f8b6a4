use connector_sdk::Class;
use keyring_core::api::CredentialStoreApi as _;

use super::*;

/// The store over the keyring's own mock, and a way to make its next answer an error.
fn store() -> (KeyringSecrets, impl Fn(&str, keyring::Error)) {
    let mock = keyring_core::mock::Store::new().unwrap();
    let keyring = Arc::clone(&mock);
    let open = move |service: &str, user: &str| Ok(Entry { inner: keyring.build(service, user, None)? });
    let fail = move |user: &str, error| {
        let entry = mock.build("acme", user, None).unwrap();
        entry.as_any().downcast_ref::<keyring_core::mock::Cred>().unwrap().set_error(error);
    };
    (KeyringSecrets { open: Arc::new(open), ..KeyringSecrets::new("acme") }, fail)
}

fn secret(text: &str) -> Secret {
    Secret::from(text)
}

#[tokio::test]
async fn the_next_one_takes_the_place_of_the_other() {
    let (store, _) = store();
    assert!(store.get("sf").await.unwrap().is_none() && store.next("sf").await.unwrap().is_none());
    assert_eq!(store.stage("sf", &secret("new")).await.unwrap_err().class(), Class::Config);
    store.write("sf", &secret("old")).await.unwrap();
    assert!(store.next("sf").await.unwrap().is_none());
    store.writable("sf").await.unwrap();
    store.stage("sf", &secret("new")).await.unwrap();
    assert_eq!(store.get("sf").await.unwrap().unwrap().expose(), "old");
    assert_eq!(store.next("sf").await.unwrap().unwrap().expose(), "new");
    assert_eq!(store.promote("sf", &secret("newer")).await.unwrap_err().class(), Class::Permanent);
    assert_eq!(store.get("sf").await.unwrap().unwrap().expose(), "old", "nothing is changed");
    for _ in 0..2 {
        store.promote("sf", &secret("new")).await.unwrap();
        assert_eq!(store.get("sf").await.unwrap().unwrap().expose(), "new");
        assert!(store.read("sf.next").await.unwrap().is_none());
    }
    assert!(!format!("{store:?}").contains("new"));
}

#[tokio::test]
async fn an_empty_secret_is_an_absent_one_and_the_place_of_the_next_is_no_name() {
    let (store, _) = store();
    store.write("sf", &secret("old")).await.unwrap();
    store.write("sf.next", &secret("")).await.unwrap();
    store.write("empty", &secret("")).await.unwrap();
    assert!(store.next("sf").await.unwrap().is_none() && store.get("empty").await.unwrap().is_none());
    assert_eq!(store.stage("sf", &secret("")).await.unwrap_err().class(), Class::Config);
    assert_eq!(store.get("sf.next").await.unwrap_err().class(), Class::Config);
}

#[tokio::test]
async fn a_keyring_that_fails_is_told_in_words_that_hold_no_secret() {
    let (store, fail) = store();
    store.write("sf", &secret("old")).await.unwrap();
    let locked = || keyring::Error::NoStorageAccess("hunter2".into());
    for (error, said) in [
        (locked(), "locked"),
        (keyring::Error::BadEncoding(b"hunter2".to_vec()), "no text"),
        (keyring::Error::Invalid("hunter2".into(), "hunter2".into()), "cannot be asked"),
        (keyring::Error::NoDefaultStore, "no keyring"),
    ] {
        fail("sf", error);
        let error = store.get("sf").await.unwrap_err();
        assert!(error.class() == Class::Config && error.to_string().contains(said), "{error}");
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(shown) = cause {
            assert!(!format!("{shown:?}").contains("hunter2"), "{shown:?}");
            cause = shown.source();
        }
    }
    // What died between the two writes is promoted again.
    store.stage("sf", &secret("new")).await.unwrap();
    store.write("sf", &secret("new")).await.unwrap();
    store.promote("sf", &secret("new")).await.unwrap();
    assert!(store.read("sf.next").await.unwrap().is_none());
}
