use std::time::Duration;

use connector_sdk::{
    Class, Secret,
    auth::{JwtBearer, SamlBearer, SigningAlgorithm, SigningKey, TokenSource as _},
};

use super::{
    super::{Bench, granted, key, refused},
    AUDIENCE, ISSUER, SUBJECT,
};
use crate::support::server::json;

/// Everything that is no RSA private key of 2048 bits or more, and what is said of it.
fn wrong_keys() -> Vec<(&'static str, Secret, &'static str)> {
    let good = key("client.pem").expose().clone();
    let cut = |at: usize| Secret::from(&good[..at]);
    let lines: Vec<_> = good.lines().collect();
    vec![
        ("EC key, PKCS#8", key("ec.pem"), "cannot be used"),
        ("EC key, SEC 1", key("ec.sec1.pem"), "cannot be used"),
        ("EC key, P-384", key("p384.pem"), "cannot be used"),
        ("Ed25519 key", key("ed25519.pem"), "cannot be used"),
        ("1024 bits", key("rsa1024.pem"), "cannot be used"),
        ("public key", key("client.pub.pem"), "holds no private key"),
        ("certificate", key("client.crt.pem"), "holds no private key"),
        ("encrypted, PKCS#8", key("encrypted.pem"), "is encrypted"),
        ("encrypted, PKCS#1", key("encrypted.pkcs1.pem"), "is encrypted"),
        ("cut off in the middle", cut(800), "holds no private key"),
        ("cut off before its end", cut(good.trim_end().len() - 5), "holds no private key"),
        ("its first line only", cut(28), "holds no private key"),
        ("a line missing", Secret::new([&lines[..3], &lines[4..]].concat().join("\n")), "cannot be used"),
        ("no frame", Secret::new(lines[1..lines.len() - 1].join("\n")), "holds no private key"),
        (
            "called PKCS#1, which it is not",
            good.replace("PRIVATE", "RSA PRIVATE").as_str().into(),
            "cannot be used",
        ),
        ("a letter changed", good.replacen("MII", "MIX", 1).as_str().into(), "cannot be used"),
        (
            "letters that are no base64",
            good.replacen("MII", "M€I", 1).as_str().into(),
            "holds no private key",
        ),
        ("empty", "".into(), "holds no private key"),
        ("blank", " \n ".into(), "holds no private key"),
        ("a password", "canary-7f3a9c".into(), "holds no private key"),
    ]
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_refused_before_anything_is_sent_and_not_shown() {
    let bench = Bench::new([]).await;
    let wrong = wrong_keys();
    for (name, key, what) in &wrong {
        let jwt = JwtBearer::new(bench.endpoint(), ISSUER, SUBJECT, AUDIENCE, key).unwrap_err();
        let saml = SamlBearer::new(bench.endpoint(), ISSUER, SUBJECT, AUDIENCE, key).unwrap_err();
        for error in [jwt, saml] {
            assert_eq!(error.class(), Class::Config, "{name}");
            assert!(error.message().starts_with(&format!("`private_key` {what}")), "{name}: {error}");
            let shown = format!("{error:?}");
            let hidden = key.expose().lines().filter(|line| line.len() > 5 && !line.starts_with('-'));
            for line in hidden {
                assert!(!shown.contains(line), "{name}: {shown}");
            }
        }
    }
    assert!(wrong.len() >= 20, "{}", wrong.len());
    assert!(bench.forms().is_empty());
}

#[test]
fn a_key_signs_by_the_algorithms_of_its_kind_only() {
    for (algorithm, name, fits) in [
        (SigningAlgorithm::Rs256, "client.pem", true),
        (SigningAlgorithm::Rs256, "client.pkcs1.pem", true),
        (SigningAlgorithm::Ps256, "client.pem", true),
        (SigningAlgorithm::Ps256, "ec.pem", false),
        (SigningAlgorithm::Ps256, "rsa1024.pem", false),
        (SigningAlgorithm::Es256, "ec.pem", true),
        (SigningAlgorithm::Es256, "ec.sec1.pem", true),
        (SigningAlgorithm::Es256, "p384.pem", false),
        (SigningAlgorithm::Es256, "ed25519.pem", false),
        (SigningAlgorithm::Es256, "client.pem", false),
        (SigningAlgorithm::Es256, "client.pkcs1.pem", false),
    ] {
        let made = SigningKey::new(algorithm, &key(name));
        assert_eq!(made.is_ok(), fits, "{algorithm:?} {name}");
        assert!(made.err().is_none_or(|error| error.class() == Class::Config));
    }
    // In a file with its certificate, it is the key that is meant.
    let both = format!("{}{}", key("client.crt.pem").expose(), key("client.pem").expose());
    SigningKey::new(SigningAlgorithm::Rs256, &Secret::new(both)).unwrap();
}

#[tokio::test]
async fn a_statement_that_is_empty_or_unfit_is_refused_by_name() {
    let bench = Bench::new([]).await;
    let key = key("client.pem");
    for unfit in
        ["", "  ", "\n", "ada\0", "ada\u{7}", "\u{1b}[31mada", "ada\u{7f}", "ada\u{85}", "ada\u{ffff}"]
    {
        for (field, [issuer, subject, audience]) in [
            ("issuer", [unfit, SUBJECT, AUDIENCE]),
            ("subject", [ISSUER, unfit, AUDIENCE]),
            ("audience", [ISSUER, SUBJECT, unfit]),
        ] {
            let jwt = JwtBearer::new(bench.endpoint(), issuer, subject, audience, &key).unwrap_err();
            let saml = SamlBearer::new(bench.endpoint(), issuer, subject, audience, &key).unwrap_err();
            for error in [jwt, saml] {
                assert_eq!(error.class(), Class::Config, "{field} {unfit:?}");
                assert!(error.message().contains(&format!("`{field}`")), "{error}");
            }
        }
        let saml = SamlBearer::new(bench.endpoint(), ISSUER, SUBJECT, AUDIENCE, &key).unwrap();
        let error = saml.with_recipient(unfit).unwrap_err();
        assert!(error.class() == Class::Config && error.message().contains("`recipient`"), "{error}");
    }
}

#[tokio::test]
async fn each_refusal_of_an_assertion_has_its_class_and_repeats_nothing_of_it() {
    let echo = |code: &str, status: &str| {
        json(status, &format!(r#"{{"error":"{code}","error_description":"of ada@acme.example"}}"#))
    };
    for (answer, class) in [
        (refused("invalid_grant"), Class::Auth),
        (refused("invalid_client"), Class::Auth),
        (refused("unauthorized_client"), Class::Auth),
        (refused("unsupported_grant_type"), Class::Config),
        (refused("invalid_scope"), Class::Config),
        (echo("invalid_assertion", "400 Bad Request"), Class::Auth),
        (echo("invalid_grant", "200 OK"), Class::Auth),
        (echo("temporarily_unavailable", "400 Bad Request"), Class::Transient),
        (json("503 Service Unavailable", ""), Class::Transient),
        (json("429 Too Many Requests", ""), Class::RateLimited),
        (json("404 Not Found", ""), Class::Config),
    ] {
        let shown = format!("{answer:?}");
        let bench = Bench::new([answer, granted("t-1", "")]).await;
        let source =
            SamlBearer::new(bench.endpoint(), ISSUER, SUBJECT, AUDIENCE, &key("client.pem")).unwrap();
        let error = source.token(&bench.cx).await.unwrap_err();
        assert_eq!(error.class(), class, "{shown}");
        let sent = &bench.forms()[0]["assertion"];
        assert!(!format!("{error:?}").contains(&**sent), "{error:?}");
        // A refused user is remembered although each assertion is another; what may go away is not, but for
        // the moment that a vendor which says "too many" is left alone.
        bench.clock.advance(Duration::from_secs(1));
        let again = source.token(&bench.cx).await;
        assert_eq!(again.is_err(), class == Class::Auth, "{shown}");
        bench.clock.advance(Duration::from_secs(301));
        source.token(&bench.cx).await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_is_remembered_of_the_key_that_was_refused_and_of_no_other() {
    let bench = Bench::new([refused("invalid_grant"), granted("t-2", ""), granted("t-3", "")]).await;
    let (endpoint, cx) = (bench.endpoint(), &bench.cx);
    let jwt = |name: &str| JwtBearer::new(endpoint.clone(), ISSUER, SUBJECT, AUDIENCE, &key(name)).unwrap();
    assert_eq!(jwt("client.pem").token(cx).await.unwrap_err().class(), Class::Auth);
    assert_eq!(jwt("client.pem").token(cx).await.unwrap_err().class(), Class::Auth);
    assert_eq!(bench.forms().len(), 1, "not asked again");
    jwt("other.pem").token(cx).await.unwrap();
    let saml = SamlBearer::new(endpoint.clone(), ISSUER, SUBJECT, AUDIENCE, &key("other.pem")).unwrap();
    saml.token(cx).await.unwrap();
    assert_eq!(bench.forms().len(), 3);
}
