//! Any headers and any body: lines of `name: value`, an empty line, and the body. All schemes judge them, at one second.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use connector_ingress::scheme::{Scheme, SchemeConfig, Signer};
use connector_sdk::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// The second of the seeds.
const NOW: Timestamp = Timestamp::from_millis(1_614_265_330_000);

const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const PRIVATE: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

struct Pair {
    verifier: Arc<dyn Scheme>,
    signer: Arc<dyn Signer>,
    /// The body is part of what is proved.
    signs_body: bool,
}

fn config(settings: Value) -> SchemeConfig {
    serde_json::from_value(settings).unwrap()
}

fn pair(settings: Value, signs_body: bool) -> Pair {
    let config = config(settings);
    Pair { verifier: config.verifier().unwrap(), signer: config.signer().unwrap(), signs_body }
}

static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let hmac = json!({
        "scheme": "hmac", "secrets": ["one", "two"], "id_header": "X-Event-Id",
        "hmac": {
            "header": "X-Signature", "prefix": "sha256=", "signed": "{id}:{timestamp}:{body}",
            "timestamp_header": "X-Timestamp",
        },
    });
    vec![
        pair(json!({ "scheme": "standard-webhooks", "secrets": [SHARED, OTHER] }), true),
        Pair {
            verifier: config(json!({ "scheme": "svix", "secrets": [SHARED, PUBLIC] })).verifier().unwrap(),
            signer: config(json!({ "scheme": "svix", "secrets": [PRIVATE] })).signer().unwrap(),
            signs_body: true,
        },
        pair(json!({ "scheme": "github", "secrets": ["It's a Secret to Everybody"] }), true),
        pair(json!({ "scheme": "slack", "secrets": ["8f742231b10e8888abcd99yyyzzz85a5"] }), true),
        pair(json!({ "scheme": "stripe", "secrets": ["whsec_test_secret", "old"] }), true),
        pair(json!({ "scheme": "shopify", "secrets": ["shpss_1"] }), true),
        pair(hmac, true),
        pair(json!({ "scheme": "bearer", "secrets": ["t0k3n"], "id_header": "X-Event-Id" }), false),
        pair(json!({ "scheme": "basic", "secrets": ["name:pässword"], "id_header": "X-Event-Id" }), false),
        pair(json!({ "scheme": "none", "id_header": "X-Event-Id" }), false),
    ]
});

fn read(data: &[u8]) -> (HeaderMap, Bytes) {
    let (mut headers, mut rest) = (HeaderMap::new(), data);
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        let colon = line.windows(2).position(|pair| pair == b": ").unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 2..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    (headers, Bytes::copy_from_slice(rest))
}

/// What is signed is taken, and nothing that was changed after it.
fn there_and_back(pair: &Pair, id: &str, body: &Bytes) {
    let Ok(signed) = pair.signer.sign(id, NOW, body) else {
        assert!(!pair.signer.accepts(id), "{:?} does not sign {id}", pair.signer);
        return;
    };
    let headers: HeaderMap = signed.into_iter().collect();
    // Slack's question without a challenge is malformed, whoever asks it.
    match pair.verifier.verify(&headers, body, NOW) {
        Ok(_) => {}
        Err(refused) => {
            assert!(pair.verifier.name() == "slack" && refused.status == 400, "{refused:?} {headers:?}")
        }
    }
    let other = Bytes::from([body, &b"\0"[..]].concat());
    if let Err(refused) = pair.verifier.verify(&headers, &other, NOW) {
        assert!(pair.signs_body && refused.status == 401, "{refused:?}");
    } else {
        assert!(!pair.signs_body, "{:?} takes another body", pair.verifier);
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (headers, body) = read(data);
    let text = String::from_utf8_lossy(&body);
    let word = text.split([' ', '\n']).next().unwrap_or_default();
    for pair in PAIRS.iter() {
        match pair.verifier.verify(&headers, &body, NOW) {
            Ok(proof) => {
                let id = proof.id.as_deref().unwrap_or("x");
                assert!(
                    (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()),
                    "{id}"
                );
            }
            Err(refused) => assert!(refused.status == 400 || refused.status == 401, "{refused:?}"),
        }
        there_and_back(pair, word, &body);
    }
    // The body as what is signed: a template, or none.
    let template = json!({
        "scheme": "hmac", "secrets": ["s"], "id_header": "X-Event-Id",
        "hmac": { "header": "X-Signature", "signed": text, "timestamp_header": "X-Timestamp" },
    });
    let config: SchemeConfig = serde_json::from_value(template).unwrap();
    if let (Ok(verifier), Ok(signer)) = (config.verifier(), config.signer()) {
        there_and_back(&Pair { verifier, signer, signs_body: true }, word, &body);
    }
});
