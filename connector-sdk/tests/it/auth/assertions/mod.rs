//! Signed assertions, judged by a server that is stricter than most: what we send it takes, and what
//! somebody else has made of it, or signed in our stead, it does not.

mod jwt;
mod keys;
mod saml;
mod xml;
mod xmlsec;

use connector_sdk::{
    Result,
    auth::{TokenEndpoint, TokenSource},
};

use super::{Bench, granted};
use crate::support::clock::NOON;

const ISSUER: &str = "client";
const SUBJECT: &str = "ada@acme.example";
const AUDIENCE: &str = "https://login.vendor.example";

/// Noon, in seconds.
fn noon() -> i64 {
    NOON.as_millis() / 1000
}

/// What a source sends at noon.
struct Sent {
    grant_type: String,
    assertion: String,
    /// Where it was sent to.
    recipient: String,
}

async fn sent<S: TokenSource>(source: impl FnOnce(TokenEndpoint) -> Result<S>) -> Sent {
    let bench = Bench::new([granted("t-1", "")]).await;
    source(bench.endpoint()).unwrap().token(&bench.cx).await.unwrap();
    let form = bench.forms().remove(0);
    assert_eq!(form.keys().collect::<Vec<_>>(), ["assertion", "grant_type"]);
    Sent {
        grant_type: form["grant_type"].clone(),
        assertion: form["assertion"].clone(),
        recipient: bench.server.url.join("/token").unwrap().into(),
    }
}
