//! Signs and judges requests for a program in another language, a line of JSON each: `connector-testkit/interop` compares
//! schemes by it with the libraries of those who made them.
//!
//! ```text
//! {"sign": {"scheme": "github", "secrets": ["s"]}, "id": "1", "at": 1614265330, "body": "aGk="}
//! {"headers": {"x-hub-signature-256": "sha256=…", "x-github-delivery": "1"}}
//! {"judge": {"scheme": "github", "secrets": ["s"]}, "headers": {…}, "now": 1614265330, "body": "aGk="}
//! {"status": 200, "id": "1"}
//! ```
//!
//! Times are seconds since 1970, bodies base64.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, BufRead as _, Write as _},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use connector_ingress::scheme::SchemeConfig;
use connector_sdk::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(untagged)]
enum Asked {
    Sign { sign: SchemeConfig, id: String, at: i64, body: String },
    Judge { judge: SchemeConfig, headers: BTreeMap<String, String>, now: i64, body: String },
}

fn bytes(body: &str) -> Result<Bytes, Box<dyn Error>> {
    Ok(STANDARD.decode(body)?.into())
}

fn answer(line: &str) -> Result<Value, Box<dyn Error>> {
    match serde_json::from_str(line)? {
        Asked::Sign { sign, id, at, body } => {
            let signed = sign.signer()?.sign(&id, Timestamp::from_millis(at * 1000), &bytes(&body)?)?;
            let mut headers = BTreeMap::new();
            for (name, value) in &signed {
                headers.insert(name.as_str(), value.to_str()?);
            }
            Ok(json!({ "headers": headers }))
        }
        Asked::Judge { judge, headers, now, body } => {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.append(HeaderName::try_from(name)?, HeaderValue::from_bytes(value.as_bytes())?);
            }
            match judge.verifier()?.verify(&map, &bytes(&body)?, Timestamp::from_millis(now * 1000)) {
                Ok(proof) => Ok(json!({ "status": 200, "id": proof.id })),
                Err(refused) => Ok(json!({ "status": refused.status.as_u16(), "why": refused.why })),
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let said = answer(&line?).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}
