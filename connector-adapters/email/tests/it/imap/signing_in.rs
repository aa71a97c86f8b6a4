//! The ways in: TLS and not, passwords and tokens.

use std::time::Duration;

use connector_sdk::{Class, Context, Network};
use connector_testkit::{fault::Flaw, mail::Dovecot};
use serde_json::{Value, json};

use super::support::{Reader, config, dovecot};

const USER: &str = "ada@example.test";

fn trusting(dovecot: &Dovecot) -> Context {
    let mut network = Network::loopback();
    network.allow_http = false;
    network.ca_file = Some(dovecot.authority_file());
    Context::builder("acme", "mail").network(network).seed(7).build()
}

fn over_tls(dovecot: &Dovecot) -> Value {
    let mut config = config(dovecot.tls_address(), USER);
    config["tls"] = json!("implicit");
    config["host"] = json!("localhost");
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_there_from_the_first_byte_or_is_begun_and_required() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut begun = config(dovecot.address(), USER);
    begun["tls"] = json!("starttls");
    begun["host"] = json!("localhost");
    for config in [over_tls(&dovecot), begun] {
        let reader = Reader::with(config.clone(), trusting(&dovecot));
        let identity = reader.connector.authenticate(&reader.cx).await.unwrap();
        assert_eq!((identity.subject.as_str(), identity.account.as_deref()), (USER, Some("localhost")));
    }
    // An authority that nobody knows.
    let mut network = Network::loopback();
    network.allow_http = false;
    let cx = Context::builder("acme", "mail").network(network).build();
    let reader = Reader::with(over_tls(&dovecot), cx.clone());
    let error = reader.connector.authenticate(&reader.cx).await.unwrap_err();
    assert!(error.class() == Class::Config && error.message().contains("not trusted"), "{error}");
    // In the clear is for networks that are trusted.
    let clear = super::support::connect(&config(dovecot.address(), USER), &cx).err().unwrap();
    assert!(clear.class() == Class::Config && clear.message().contains("`tls`"), "{clear}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_has_ended_is_for_a_person_to_mend() {
    let dovecot = dovecot!(Dovecot::builder().certificate(Flaw::Expired));
    let reader = Reader::with(over_tls(&dovecot), trusting(&dovecot));
    let error = reader.connector.authenticate(&reader.cx).await.unwrap_err();
    assert!(error.class() == Class::Config && error.message().contains("expired"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_of_class_auth_and_a_strange_one_is_no_trouble() {
    let strange = "p \"a\\ss ü";
    let dovecot = dovecot!(Dovecot::builder().user("bob@example.test", strange));
    let mut wrong = config(dovecot.address(), USER);
    wrong["auth"]["password"]["password"] = json!("canary-7f3a9c");
    let reader = Reader::new(wrong);
    let error = reader.connector.authenticate(&reader.cx).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth, "{error}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    let mut right = config(dovecot.address(), "bob@example.test");
    right["auth"]["password"]["password"] = json!(strange);
    let reader = Reader::new(right);
    reader.connector.authenticate(&reader.cx).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_let_in_in_either_mechanism_and_an_ended_one_does_not() {
    let dovecot = dovecot!(Dovecot::builder());
    for mechanism in ["xoauth2", "oauthbearer"] {
        let with = |token: String| {
            let mut config = over_tls(&dovecot);
            config["auth"] = json!({ mechanism: { "username": USER, "access_token": token } });
            Reader::with(config, trusting(&dovecot))
        };
        let good = with(dovecot.token(USER, Duration::from_secs(600)).unwrap());
        good.connector.authenticate(&good.cx).await.unwrap();
        let ended = dovecot.expired_token(USER).unwrap();
        let reader = with(ended.clone());
        let error = reader.connector.authenticate(&reader.cx).await.unwrap_err();
        assert_eq!(error.class(), Class::Auth, "{mechanism}: {error}");
        assert!(!format!("{error:?}").contains(&ended), "{error:?}");
    }
}

/// An endpoint that gives these tokens, one after the other.
async fn endpoint(tokens: Vec<String>) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for token in tokens {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // The form is small, and comes with its head or right after it.
            while !request.windows(9).any(|window| window == b"client_id") {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    break;
                }
            }
            let body =
                json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }).to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_server_refuses_is_renewed_once_and_the_read_goes_on() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session_with(USER, connector_testkit::mail::PASSWORD).await.unwrap();
    ada.append("INBOX", &super::support::mail(1, 500)).await.unwrap();
    let (ended, good) =
        (dovecot.expired_token(USER).unwrap(), dovecot.token(USER, Duration::from_secs(600)).unwrap());
    let with = |url: String| {
        let mut config = config(dovecot.address(), USER);
        let oauth = json!({ "client_id": "app", "refresh_token": "r-1", "token_url": url });
        config["auth"] = json!({ "xoauth2": { "username": USER, "oauth": oauth } });
        Reader::new(config)
    };
    let mut reader = with(endpoint(vec![ended.clone(), good]).await);
    assert_eq!(reader.run("messages").await.unwrap().len(), 1);
    // And not for ever.
    let mut reader = with(endpoint(vec![ended.clone(), ended]).await);
    assert_eq!(reader.run("messages").await.unwrap_err().class(), Class::Auth);
}
