use connector_sdk::Secret;
use proptest::prelude::*;

use super::*;

const PLACE: Place<'_> = Place { host: "server.example.com", port: 143 };

fn credential(user: &str, kind: Kind, secret: &str) -> Credential {
    Credential::new(user, kind, Secret::from(secret))
}

fn password(user: &str, secret: &str) -> Credential {
    credential(user, Kind::Password, secret)
}

#[test]
fn the_best_that_is_offered_is_chosen() {
    let of = |kind, secret: &str, offered: &[&str]| {
        Mechanism::choose(offered.iter().copied(), &credential("u", kind, secret))
    };
    let all = ["LOGIN", "PLAIN", "scram-sha-256", "XOAUTH2", "OAUTHBEARER", "CRAM-MD5"];
    assert_eq!(of(Kind::Password, "p", &all), Some(Mechanism::ScramSha256));
    assert_eq!(of(Kind::Password, "pä", &all), Some(Mechanism::Plain));
    assert_eq!(of(Kind::Password, "p", &["LOGIN", "PLAIN"]), Some(Mechanism::Plain));
    assert_eq!(of(Kind::Password, "p", &["login"]), Some(Mechanism::Login));
    assert_eq!(of(Kind::Password, "p", &["XOAUTH2", "CRAM-MD5"]), None);
    assert_eq!(of(Kind::XOAuth2, "t", &all), Some(Mechanism::XOAuth2));
    assert_eq!(of(Kind::OAuthBearer, "t", &["XOAUTH2", "PLAIN"]), None, "a token is no password");
}

#[test]
fn plain_and_login_say_what_their_papers_say() {
    // RFC 4616, 4.
    let tim = password("tim", "tanstaaftanstaaf");
    let mut plain = Exchange::new(Mechanism::Plain, &tim, PLACE).unwrap();
    assert!(plain.finish().is_err(), "nobody is let in before anything was said");
    assert_eq!(*plain.initial().unwrap(), b"\0tim\0tanstaaftanstaaf");
    plain.finish().unwrap();
    let mut login = Exchange::new(Mechanism::Login, &tim, PLACE).unwrap();
    assert!(login.initial().is_none());
    assert_eq!(*login.step(b"Username:").unwrap(), b"tim");
    assert_eq!(*login.step(b"Password:").unwrap(), b"tanstaaftanstaaf");
    assert_eq!(login.step(b"Once more:").unwrap_err().class(), Class::Permanent);
    // A server that does not take the first message with the command asks for it with an empty challenge.
    let mut plain = Exchange::new(Mechanism::Plain, &tim, PLACE).unwrap();
    assert_eq!(*plain.step(b"").unwrap(), b"\0tim\0tanstaaftanstaaf");
}

#[test]
fn a_token_is_said_as_google_and_as_rfc_7628_have_it() {
    // Google, "The SASL XOAUTH2 Mechanism".
    let user = "someuser@example.com";
    let google = credential(user, Kind::XOAuth2, "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
    let mut exchange = Exchange::new(Mechanism::XOAuth2, &google, PLACE).unwrap();
    let expected = "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==";
    assert_eq!(*encode(&exchange.initial().unwrap()), expected);
    // RFC 7628, 4.1.
    let rfc = credential("user@example.com", Kind::OAuthBearer, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    let mut exchange = Exchange::new(Mechanism::OAuthBearer, &rfc, PLACE).unwrap();
    let expected = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
    assert_eq!(*encode(&exchange.initial().unwrap()), expected);
    exchange.finish().unwrap();
}

#[test]
fn a_refused_token_is_answered_and_what_was_said_of_it_is_kept() {
    let json = br#"{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}"#;
    for (mechanism, kind, answer) in [
        (Mechanism::XOAuth2, Kind::XOAuth2, &b""[..]),
        (Mechanism::OAuthBearer, Kind::OAuthBearer, &b"\x01"[..]),
    ] {
        let mut exchange = Exchange::new(mechanism, &credential("u", kind, "canary-token"), PLACE).unwrap();
        exchange.initial().unwrap();
        assert_eq!(&**exchange.step(json).unwrap(), answer);
        assert!(exchange.refusal().unwrap().contains("https://mail.google.com/"));
    }
    for token in ["a\x01b", "a b", "ä", ""] {
        let token = credential("u", Kind::XOAuth2, token);
        assert_eq!(Exchange::new(Mechanism::XOAuth2, &token, PLACE).unwrap_err().class(), Class::Config);
    }
}

/// RFC 7677, 3.
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const PROOF: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn scram() -> Exchange {
    let scram = Scram::new(&password("user", "pencil"), NONCE);
    Exchange { state: State::Scram(Box::new(scram)), refusal: None }
}

#[test]
fn scram_is_that_of_rfc_7677() {
    let mut exchange = scram();
    assert_eq!(*exchange.initial().unwrap(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert_eq!(String::from_utf8_lossy(&exchange.step(FIRST.as_bytes()).unwrap()), PROOF);
    assert!(exchange.finish().is_err(), "let in before the server has proven itself");
    assert_eq!(*exchange.step(FINAL.as_bytes()).unwrap(), b"");
    exchange.finish().unwrap();
    assert!(exchange.step(b"more").is_err());
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    for end in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "v=", "", "e=invalid-proof", "v=AAAA"] {
        let mut exchange = scram();
        exchange.initial();
        exchange.step(FIRST.as_bytes()).unwrap();
        let error = exchange.step(end.as_bytes()).unwrap_err();
        let class = if end.starts_with("e=") { Class::Auth } else { Class::Permanent };
        assert_eq!(error.class(), class, "{end}");
        assert!(exchange.finish().is_err());
    }
}

#[test]
fn a_challenge_that_is_none_is_refused() {
    for challenge in [
        "r=somebody-elses-nonce,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=*,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999",
        "",
    ] {
        let mut exchange = scram();
        exchange.initial();
        assert_eq!(exchange.step(challenge.as_bytes()).unwrap_err().class(), Class::Permanent, "{challenge}");
    }
    let mut exchange = scram();
    exchange.initial();
    assert!(exchange.step(b"\xff\xfe").is_err());
}

#[test]
fn a_name_with_commas_stays_one_field() {
    let mut exchange = Exchange::new(Mechanism::ScramSha256, &password("a=b,c", "p"), PLACE).unwrap();
    let first = String::from_utf8(exchange.initial().unwrap().to_vec()).unwrap();
    assert!(first.starts_with("n,,n=a=3Db=2Cc,r="), "{first}");
    let nonces = [scram::nonce().unwrap(), scram::nonce().unwrap()];
    assert_ne!(nonces[0], nonces[1]);
    assert!(nonces.iter().all(|nonce| nonce.len() == 24 && !nonce.contains(',')));
}

#[test]
fn no_secret_is_shown_and_one_that_a_server_says_back_is_taken_out() {
    let canary = password("anna", "canary-\"7f\\3a");
    let exchange = Exchange::new(Mechanism::ScramSha256, &canary, PLACE).unwrap();
    assert!(!format!("{exchange:?} {canary:?}").contains("canary"));
    let plain = encode(b"\0anna\0canary-\"7f\\3a");
    for said in [
        "bad password canary-\"7f\\3a given".to_owned(),
        r#"LOGIN "anna" "canary-\"7f\\3a" failed"#.to_owned(),
        format!("AUTH PLAIN {} is wrong", *plain),
        format!("AUTH PLAIN {} is wrong", plain.trim_end_matches('=')),
        format!("cut off: {}", &plain[..plain.len() - 1]),
    ] {
        let shown = without_secret(&said, &canary);
        assert!(!shown.contains("canary") && shown.contains("[secret]"), "{shown}");
        assert!(!shown.contains(&plain[8..20]), "{shown}");
    }
    let short = password("anna", "pass");
    assert_eq!(
        without_secret("the password is wrong, not pass", &short),
        "the password is wrong, not [secret]"
    );
}

proptest! {
    #[test]
    fn no_challenge_makes_it_panic(challenges in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4)) {
        for (mechanism, kind) in [
            (Mechanism::ScramSha256, Kind::Password), (Mechanism::Plain, Kind::Password), (Mechanism::Login, Kind::Password),
            (Mechanism::XOAuth2, Kind::XOAuth2), (Mechanism::OAuthBearer, Kind::OAuthBearer),
        ] {
            let mut exchange = Exchange::new(mechanism, &credential("u", kind, "p"), PLACE).unwrap();
            for challenge in &challenges {
                let _ = exchange.step(challenge);
            }
            let _ = exchange.finish();
        }
    }

    #[test]
    fn what_is_hidden_is_no_longer_there(before in "[ -~]{0,20}", secret in "[!-~]{9,30}", after in "[ -~]{0,20}") {
        let credential = password("u", &secret);
        let shown = without_secret(&format!("{before} {secret} {after}"), &credential);
        prop_assert!(!shown.contains(&secret) || "[secret]".contains(&secret));
    }
}
