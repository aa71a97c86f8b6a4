//! Published examples, from the fixtures of webhooks.

use std::path::PathBuf;

use bytes::Bytes;
use connector_ingress::scheme::SchemeConfig;
use connector_sdk::Timestamp;
use connector_testkit::webhook::{Event, Kind};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::{Sent, config, secret};

#[derive(Debug, Deserialize)]
struct Vector {
    name: String,
    scheme: String,
    secret: Option<String>,
    public_key: Option<String>,
    id: Option<String>,
    timestamp: Option<i64>,
    body: String,
    signature: String,
}

/// The folder of the fixtures, where it is named.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn fixtures() -> Option<PathBuf> {
    let folder = std::env::var_os("CONNECTOR_FIXTURES");
    if folder.is_none() {
        println!("skipped: CONNECTOR_FIXTURES does not name the fixtures");
    }
    Some(PathBuf::from(folder?).join("webhook"))
}

impl Vector {
    fn headers(&self) -> HeaderMap {
        let (id, sent) =
            (self.id.clone().unwrap_or_default(), self.timestamp.unwrap_or_default().to_string());
        let named: &[(&'static str, &str)] = match self.scheme.as_str() {
            "standard-webhooks" => {
                &[("webhook-id", &id), ("webhook-timestamp", &sent), ("webhook-signature", &self.signature)]
            }
            "github" => &[("x-hub-signature-256", &self.signature), ("x-github-delivery", "id")],
            "slack" => &[("x-slack-request-timestamp", &sent), ("x-slack-signature", &self.signature)],
            "stripe" => &[("stripe-signature", &self.signature)],
            other => panic!("the vector of {other} is not looked at"),
        };
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        named.iter().map(header).collect()
    }

    fn config(&self, secret: &str) -> SchemeConfig {
        let settings = serde_json::json!({ "scheme": self.scheme, "secrets": [secret] });
        serde_json::from_value(settings).unwrap()
    }
}

#[test]
fn every_published_example_is_taken_and_signed_to_the_letter() {
    let Some(folder) = fixtures() else { return };
    let vectors: Vec<Vector> =
        serde_json::from_slice(&std::fs::read(folder.join("vectors.json")).unwrap()).unwrap();
    assert!(vectors.len() >= 7);
    for vector in &vectors {
        let now = Timestamp::from_millis(vector.timestamp.unwrap_or_default() * 1000);
        let body = Bytes::from(vector.body.clone());
        let private = vector.secret.clone().unwrap_or_default();
        let verifier = vector.config(vector.public_key.as_ref().unwrap_or(&private)).verifier().unwrap();
        verifier
            .verify(&vector.headers(), &body, now)
            .unwrap_or_else(|why| panic!("{}: {why:?}", vector.name));
        // One bit of the body, and it is another.
        let mut other = vector.body.clone().into_bytes();
        other[0] ^= 1;
        let refused = verifier.verify(&vector.headers(), &Bytes::from(other), now).unwrap_err();
        assert_eq!(refused.status, 401, "{}", vector.name);
        // One that holds several signatures is made of old ones that nobody here has.
        if vector.signature.matches("v1=").count() > 1 {
            continue;
        }
        let id = vector.id.as_deref().unwrap_or("id");
        let signed = vector.config(&private).signer().unwrap().sign(id, now, &body).unwrap();
        let signed: HeaderMap = signed.into_iter().collect();
        for (name, value) in &vector.headers() {
            assert_eq!(signed.get(name), Some(value), "{}: {name}", vector.name);
        }
    }
}

/// The example of docs.slack.dev, docs.github.com and the specification stand in the code of the tests, too, so that they
/// are looked at without the fixtures.
#[test]
fn the_examples_of_github_and_of_the_specification_are_taken() {
    let github = Event::new("72d3162e", "text/plain", "Hello, World!");
    let mut sent = Sent::of(Kind::Github, Kind::Github.secret(), Kind::Github.secret(), &github);
    sent.set(
        "x-hub-signature-256",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    );
    assert_eq!(sent.status(), 200);
    let mut sent = Sent::new(Kind::StandardWebhooks);
    sent.body = br#"{"test": 2432232314}"#.to_vec();
    sent.set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
    sent.set(
        "webhook-signature",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= \
         v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
    );
    assert_eq!(sent.status(), 200);
    sent.config.secrets = vec![secret(super::PUBLIC)];
    assert_eq!(sent.status(), 200);
}

#[test]
fn payloads_as_github_sends_them_are_taken_byte_for_byte() {
    let Some(folder) = fixtures() else { return };
    let mut count = 0;
    for kind in ["issues", "ping", "push"] {
        for file in std::fs::read_dir(folder.join("github-payloads").join(kind)).unwrap() {
            let body = std::fs::read(file.unwrap().path()).unwrap();
            let event = Event::new("72d3162e-cc78-11e3-81ab-4c9367dc0958", "application/json", body);
            let mut sent = Sent::of(Kind::Github, "s", "s", &event);
            sent.config = config(Kind::Github, &["s"]);
            assert_eq!((sent.status(), sent.id()), (200, Some(event.id.clone())));
            sent.body.pop();
            assert_eq!(sent.status(), 401);
            count += 1;
        }
    }
    assert!(count >= 30, "only {count} payloads");
}
