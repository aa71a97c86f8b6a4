//! Schemes from outside: what is taken, what is refused, and who agrees with them.

mod agreement;
mod configuration;
mod refusals;
mod vectors;

use bytes::Bytes;
use connector_ingress::scheme::{Scheme, SchemeConfig, Signer};
use connector_sdk::{Secret, Timestamp};
use connector_testkit::{
    clock::ManualClock,
    webhook::{Event, FakeSender, Kind},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

/// When requests are signed here: the second of the vectors of Standard Webhooks.
const SENT: i64 = 1_614_265_330;

/// A pair of keys of Ed25519 (Svix's test of asymmetric signing).
const PRIVATE: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(SENT * 1000))
}

fn config(kind: Kind, secrets: &[&str]) -> SchemeConfig {
    serde_json::from_value(kind.settings(secrets)).unwrap()
}

/// A request, and the endpoint that it comes to.
#[derive(Debug, Clone)]
struct Sent {
    config: SchemeConfig,
    headers: HeaderMap,
    body: Vec<u8>,
    /// How many milliseconds after it was signed it comes.
    late: i64,
}

fn map(headers: Vec<(&'static str, String)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

impl Sent {
    /// A request that is as it should be: an event of this vendor.
    fn new(kind: Kind) -> Self {
        Self::with(kind, kind.secret(), kind.secret())
    }

    /// The same, signed with one secret, for an endpoint that has another.
    fn with(kind: Kind, signs: &str, takes: &str) -> Self {
        let sender = FakeSender::new(kind, signs, clock().shared());
        let event = sender.event(json!({ "é": "🦌", "n": 1.0 }));
        Self::of(kind, signs, takes, &event)
    }

    /// A request with this event.
    fn of(kind: Kind, signs: &str, takes: &str, event: &Event) -> Self {
        let sender = FakeSender::new(kind, signs, clock().shared());
        let headers = map(sender.headers(event));
        Self { config: config(kind, &[takes]), headers, body: event.body.to_vec(), late: 0 }
    }

    fn verifier(&self) -> std::sync::Arc<dyn Scheme> {
        self.config.verifier().unwrap()
    }

    /// 200, or the status of the refusal.
    fn status(&self) -> u16 {
        let now = Timestamp::from_millis(SENT * 1000 + self.late);
        match self.verifier().verify(&self.headers, &Bytes::from(self.body.clone()), now) {
            Ok(_) => 200,
            Err(refused) => refused.status.as_u16(),
        }
    }

    /// The id of the event, where it is taken.
    fn id(&self) -> Option<String> {
        let now = Timestamp::from_millis(SENT * 1000 + self.late);
        self.verifier().verify(&self.headers, &Bytes::from(self.body.clone()), now).unwrap().id
    }

    fn value(&self, name: &str) -> String {
        String::from_utf8(self.headers[name].as_bytes().to_vec()).unwrap()
    }

    fn set(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        self.headers.insert(HeaderName::try_from(name).unwrap(), value);
    }

    fn append(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        self.headers.append(HeaderName::try_from(name).unwrap(), value);
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn signer(kind: Kind, secrets: &[&str]) -> std::sync::Arc<dyn Signer> {
    config(kind, secrets).signer().unwrap()
}
