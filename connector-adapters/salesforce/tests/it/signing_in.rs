//! Every way to sign in, and every way to be refused.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use connector_sdk::{
    Class, Delivery, Result, Secret, clock::SystemClock, contract::HealthStatus, secret::Successors,
};
use connector_testkit::{
    fault::Fault,
    salesforce::{FakeOrg, SignIn},
};
use serde_json::{Value, json};

use super::host::{Host, config, connect, context, context_at, start, within};

fn with_auth(org: &FakeOrg, auth: Value) -> Value {
    let mut config = config(org);
    config["auth"] = auth;
    config["login_url"] = org.url().into();
    config
}

#[test]
fn client_credentials_and_a_session_open_the_org() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        for config in [config(&org), with_auth(&org, json!({"session": {"access_token": org.issue_token()}}))]
        {
            let cx = context();
            let connector = connect(&config, &cx).unwrap();
            let identity = connector.authenticate(&cx).await.unwrap();
            assert_eq!(identity.subject, org.credentials().username);
            assert!(identity.account.unwrap().starts_with("00D"));
            assert_eq!(connector.health(&cx).await.unwrap().status, HealthStatus::Pass);
        }
    });
}

#[test]
fn a_refresh_token_that_rotates_is_kept_for_the_next_process() {
    within(async {
        let sign_in = SignIn { rotate_refresh_tokens: true, ..SignIn::default() };
        let org = start(FakeOrg::builder().contacts(500).sign_in(sign_in)).await;
        let known = org.credentials();
        let config = with_auth(
            &org,
            json!({"refresh_token": {
                "client_id": known.client_id, "client_secret": known.client_secret,
                "refresh_token": org.issue_refresh_token(),
            }}),
        );
        let mut host = Host::new(&config, "Contact").await;
        org.expire_tokens();
        host.run().await.clean();
        // Another connector over the same store of tokens, as after a restart.
        host.connector = connect(&config, &host.cx).unwrap();
        host.connector.authenticate(&host.cx).await.unwrap();
        host.assert_holds(&org);
        assert_eq!(org.counters().tokens, 3);
    });
}

/// A private key, and the public half of it, in PEM.
fn key_pair() -> (String, String) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
}

#[test]
fn a_signed_assertion_opens_the_org_and_a_wrong_one_says_why_not() {
    within(async {
        let ((private, public), (strangers, _)) = (key_pair(), key_pair());
        let sign_in = SignIn { jwt_public_key: Some(public), ..SignIn::default() };
        // The assertion's times are by our clock, so the org keeps to the machine's.
        let org = FakeOrg::builder().sign_in(sign_in).start().await.unwrap();
        let known = org.credentials();
        let sign_in = |way: &str, change: Value| {
            let mut auth = json!({
                "client_id": known.client_id, "username": known.username, "private_key": private,
            });
            for (name, value) in change.as_object().unwrap() {
                auth[name] = value.clone();
            }
            let config = with_auth(&org, json!({ way: auth }));
            async move {
                let cx = context_at(SystemClock::shared());
                connect(&config, &cx).unwrap().authenticate(&cx).await
            }
        };
        for way in ["jwt_bearer", "saml_bearer"] {
            assert_eq!(sign_in(way, json!({})).await.unwrap().subject, known.username, "{way}");
            let at_the_org = json!({"audience": org.url()});
            assert_eq!(sign_in(way, at_the_org).await.unwrap().subject, known.username, "{way}");
            for (change, expected) in [
                (json!({"username": "stranger@acme.example"}), "pre-approve"),
                (json!({"username": "</saml:NameID>&'"}), "pre-approve"),
                (json!({"audience": "https://elsewhere.example"}), "audience"),
                (json!({"client_id": "nobody"}), "no app with this `client_id`"),
                (json!({"private_key": strangers}), "private key"),
            ] {
                let error = sign_in(way, change).await.unwrap_err();
                assert!(
                    error.class() == Class::Auth && error.message().contains(expected),
                    "{way}, {expected}: {error}"
                );
            }
        }
        // What only SAML states.
        let elsewhere = json!({"recipient": "https://elsewhere.example/services/oauth2/token"});
        let error = sign_in("saml_bearer", elsewhere).await.unwrap_err();
        assert!(error.message().contains("refuses the assertion"), "{error}");
    });
}

#[test]
fn a_certificate_of_another_key_is_a_config_error() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        let auth = json!({"saml_bearer": {
            "client_id": "k", "username": "u", "private_key": key_pair().0, "certificate": "hunter2",
        }});
        let error = connect(&with_auth(&org, auth), &context()).err().unwrap();
        assert!(error.class() == Class::Config && error.to_string().contains("`certificate`"), "{error}");
    });
}

/// One secret and the next.
#[derive(Debug)]
struct Next(Secret, AtomicBool);

#[async_trait]
impl Successors for Next {
    async fn after(&self, _refused: &Secret) -> Result<Option<Secret>> {
        Ok(Some(self.0.clone()))
    }

    async fn promote(&self, _accepted: &Secret) -> Result<()> {
        self.1.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_key_that_is_changed_opens_the_org_in_a_read_that_has_begun_with_the_other() {
    within(async {
        let ((private, public), (old, _)) = (key_pair(), key_pair());
        let sign_in = SignIn { jwt_public_key: Some(public), ..SignIn::default() };
        let org = FakeOrg::builder().sign_in(sign_in).start().await.unwrap();
        let known = org.credentials();
        for way in ["jwt_bearer", "saml_bearer"] {
            let auth = json!({ way: {
                "client_id": known.client_id, "username": known.username, "private_key": old,
            }});
            let next = Arc::new(Next(Secret::new(private.clone()), AtomicBool::default()));
            let cx = context_at(SystemClock::shared()).with_successors(next.clone());
            let identity = connect(&with_auth(&org, auth), &cx).unwrap().authenticate(&cx).await.unwrap();
            assert_eq!(
                (identity.subject, next.1.load(Ordering::Relaxed)),
                (known.username.clone(), true),
                "{way}"
            );
        }
    });
}

#[test]
fn a_key_that_is_changed_brings_its_certificate_with_it_or_says_so() {
    within(async {
        let ((private, public), (old, old_public)) = (key_pair(), key_pair());
        let certificate = |public: &str| public.replace("PUBLIC KEY", "CERTIFICATE");
        let sign_in = SignIn { jwt_public_key: Some(public.clone()), ..SignIn::default() };
        let org = FakeOrg::builder().sign_in(sign_in).start().await.unwrap();
        let known = org.credentials();
        let auth = json!({"saml_bearer": {
            "client_id": known.client_id, "username": known.username, "private_key": old,
            "certificate": certificate(&old_public),
        }});
        let config = with_auth(&org, auth);
        for (next, is_whole) in [(private.clone(), false), (private.clone() + &certificate(&public), true)] {
            let next = Arc::new(Next(Secret::new(next), AtomicBool::default()));
            let cx = context_at(SystemClock::shared()).with_successors(next.clone());
            let signed_in = connect(&config, &cx).unwrap().authenticate(&cx).await;
            assert_eq!(next.1.load(Ordering::Relaxed), is_whole, "promoted once accepted: {signed_in:?}");
            match signed_in {
                Ok(identity) => assert!(is_whole && identity.subject == known.username),
                Err(error) => {
                    let said = error.to_string();
                    assert!(!is_whole && error.class() == Class::Auth, "{said}");
                    assert!(said.contains("brings its certificate with it"), "{said}");
                }
            }
        }
    });
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[test]
fn a_key_that_is_none_is_a_config_error_before_anything_is_sent() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        let auth = json!({"jwt_bearer": {"client_id": "k", "username": "u", "private_key": "hunter2"}});
        let error = connect(&with_auth(&org, auth), &context()).err().unwrap();
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains("private_key") && !format!("{error:?}").contains("hunter2"));
        assert_eq!(org.counters().requests, 0);
    });
}

#[test]
fn each_refusal_is_told_apart_and_shows_no_secret() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        let known = org.credentials();
        for (auth, expected) in [
            (
                json!({"client_credentials": {"client_id": known.client_id, "client_secret": "hunter2"}}),
                "client_secret",
            ),
            (json!({"client_credentials": {"client_id": "nobody", "client_secret": "hunter2"}}), "client_id"),
            (
                json!({"refresh_token": {"client_id": known.client_id, "refresh_token": "hunter2"}}),
                "authorise the app again",
            ),
            (json!({"session": {"access_token": "hunter2"}}), "cannot be renewed"),
        ] {
            let cx = context();
            let connector = connect(&with_auth(&org, auth), &cx).unwrap();
            let error = connector.authenticate(&cx).await.unwrap_err();
            assert_eq!(error.class(), Class::Auth, "{error:?}");
            assert!(error.message().contains(expected), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            assert_eq!(connector.health(&cx).await.unwrap().status, HealthStatus::Fail);
        }
    });
}

#[test]
fn a_session_that_ends_in_mid_read_is_renewed_once_and_the_read_goes_on() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        // The second request is the replay of the first.
        for nth in [1, 4] {
            org.faults().on("/query/").nth(nth).then(Fault::Unauthorized);
        }
        host.run().await.clean();
        host.assert_holds(&org);
        assert_eq!(org.counters().tokens, 3);
    });
}

#[test]
fn a_session_that_lasts_a_few_requests_is_enough() {
    within(async {
        let sign_in = SignIn { requests_per_token: Some(2), ..SignIn::default() };
        let org = start(FakeOrg::builder().contacts(900).sign_in(sign_in)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn a_session_that_is_refused_for_ever_ends_and_does_not_loop() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        org.faults().on("/services/data/").always().then(Fault::Unauthorized);
        let before = org.counters();
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Auth);
        assert!(org.counters().requests - before.requests <= 3, "one try, one new token, one replay");
        assert_eq!(org.counters().tokens - before.tokens, 1);
    });
}

#[test]
fn no_token_goes_where_the_vendor_must_not_send_us() {
    within(async {
        let (org, evil) = (start(FakeOrg::builder()).await, start(FakeOrg::builder()).await);
        // Another origin that the network lets through, and whose name nobody configured.
        let host = evil.url().replace("127.0.0.1", "localhost");
        org.faults().on("/services/oauth2/token").always().then(
            Fault::status(200).with_header("Content-Type", "application/json").with_body(
                json!({"access_token": "00D!t", "token_type": "Bearer", "instance_url": host}).to_string(),
            ),
        );
        let cx = context();
        let error = connect(&config(&org), &cx).unwrap().authenticate(&cx).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Config, Delivery::NotSent), "{error:?}");
        assert_eq!(evil.counters().requests, 0);
    });
}

#[test]
fn my_domain_may_be_where_one_signs_in_and_what_serves() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        let known = org.credentials();
        let auth = json!({"refresh_token": {"client_id": known.client_id, "refresh_token": org.issue_refresh_token()}});
        let mut config = with_auth(&org, auth);
        config.as_object_mut().unwrap().remove("instance_url");
        let cx = context();
        assert!(connect(&config, &cx).unwrap().authenticate(&cx).await.is_ok());
    });
}

#[test]
fn a_version_that_is_retired_or_unknown_says_so() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        let mut config = config(&org);
        config["api_version"] = "v99.0".into();
        let cx = context();
        let error = connect(&config, &cx).unwrap().authenticate(&cx).await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains("v99.0"), "{error}");
    });
}

#[test]
fn credentials_that_sign_in_to_another_org_than_the_one_configured_are_refused() {
    within(async {
        let (org, other) = (start(FakeOrg::builder()).await, start(FakeOrg::builder()).await);
        let known = other.credentials();
        let auth = json!({"refresh_token": {"client_id": known.client_id, "refresh_token": other.issue_refresh_token()}});
        let mut config = with_auth(&other, auth);
        config["instance_url"] = org.url().into();
        let cx = context();
        let error = connect(&config, &cx).unwrap().authenticate(&cx).await.unwrap_err();
        assert_eq!(error.class(), Class::Config, "{error:?}");
        assert!(error.context().any(|(name, value)| (name, value) == ("field", "instance_url")), "{error:?}");
        assert!(error.message().contains(org.url()) && error.message().contains(other.url()), "{error}");
        assert!(!format!("{error:?}").contains("00D"), "{error:?}");
        assert_eq!(
            (org.counters().requests, other.counters().requests),
            (0, 1),
            "only the token was asked for"
        );
    });
}
