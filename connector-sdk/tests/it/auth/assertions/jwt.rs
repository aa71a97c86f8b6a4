use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use connector_sdk::{
    Result,
    auth::{JwtBearer, SigningAlgorithm, SigningKey, TokenEndpoint},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde_json::{Value, json};

use super::{super::key, AUDIENCE, ISSUER, SUBJECT, noon, sent};

fn bearer(endpoint: TokenEndpoint) -> Result<JwtBearer> {
    JwtBearer::new(endpoint, ISSUER, SUBJECT, AUDIENCE, &key("client.pem"))
}

fn signed_with(algorithm: SigningAlgorithm, name: &str) -> impl FnOnce(TokenEndpoint) -> Result<JwtBearer> {
    let key = SigningKey::new(algorithm, &key(name));
    move |endpoint| JwtBearer::signed_with(endpoint, ISSUER, SUBJECT, AUDIENCE, key?)
}

/// What a strict server thinks of an assertion at this time; an error is its reason to refuse.
fn judge(token: &str, now: i64) -> Result<Value, &'static str> {
    let key = DecodingKey::from_rsa_pem(key("client.pub.pem").expose().as_bytes()).unwrap();
    judge_with(token, now, Algorithm::RS256, &key)
}

fn judge_with(token: &str, now: i64, algorithm: Algorithm, key: &DecodingKey) -> Result<Value, &'static str> {
    let mut validation = Validation::new(algorithm);
    // The times are judged below, by the server's clock.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims =
        jsonwebtoken::decode::<Value>(token, key, &validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => "signature",
            ErrorKind::InvalidAlgorithm => "algorithm",
            _ => "malformed",
        })?;
    let claims = claims.claims;
    let expires = claims["exp"].as_i64().ok_or("no expiry")?;
    match () {
        () if claims["iss"] != ISSUER => Err("issuer"),
        () if claims["sub"] != SUBJECT => Err("subject"),
        () if claims["aud"] != AUDIENCE => Err("audience"),
        () if now >= expires => Err("expired"),
        () if expires - now > 300 => Err("too long"),
        () if claims["nbf"].as_i64().is_some_and(|from| now < from) => Err("not yet"),
        () if claims["iat"].as_i64().is_some_and(|issued| now < issued) => Err("from the future"),
        () if claims["iat"].as_i64().is_some_and(|issued| expires - issued > 300) => Err("too long"),
        () => Ok(claims),
    }
}

#[tokio::test]
async fn a_strict_server_takes_our_assertion_for_three_minutes() {
    let sent = sent(bearer).await;
    assert_eq!(sent.grant_type, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    for wait in [0, 179] {
        judge(&sent.assertion, noon() + wait).unwrap();
    }
    let header = jsonwebtoken::decode_header(&sent.assertion).unwrap();
    assert_eq!((header.typ.as_deref(), header.kid), (Some("JWT"), None));
}

#[tokio::test]
async fn an_assertion_may_name_its_key_its_issue_and_itself() {
    let identified = |endpoint| Ok(bearer(endpoint)?.with_key_id("key-7").with_id());
    let (first, second) = (sent(identified).await.assertion, sent(identified).await.assertion);
    assert_eq!(jsonwebtoken::decode_header(&first).unwrap().kid.as_deref(), Some("key-7"));
    // A server whose clock is a minute behind ours takes it too.
    let claims = judge(&first, noon() - 60).unwrap();
    assert_eq!(claims["iat"], noon() - 60);
    let (one, other) = (&claims["jti"], &judge(&second, noon()).unwrap()["jti"]);
    assert!(one.as_str().unwrap().len() == 32 && one != other, "{one} {other}");
}

#[tokio::test]
async fn an_assertion_may_be_signed_by_other_algorithms() {
    let rsa = DecodingKey::from_rsa_pem(key("client.pub.pem").expose().as_bytes()).unwrap();
    let ec = DecodingKey::from_ec_pem(key("ec.pub.pem").expose().as_bytes()).unwrap();
    for (algorithm, name, known, public) in [
        (SigningAlgorithm::Rs256, "client.pkcs1.pem", Algorithm::RS256, &rsa),
        (SigningAlgorithm::Ps256, "client.pem", Algorithm::PS256, &rsa),
        (SigningAlgorithm::Es256, "ec.pem", Algorithm::ES256, &ec),
        (SigningAlgorithm::Es256, "ec.sec1.pem", Algorithm::ES256, &ec),
    ] {
        let sent = sent(signed_with(algorithm, name)).await;
        judge_with(&sent.assertion, noon(), known, public).unwrap();
    }
}

/// The assertion with another part in place of one.
fn with_part(token: &str, index: usize, part: &str) -> String {
    let mut parts: Vec<_> = token.split('.').collect();
    parts[index] = part;
    parts.join(".")
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Signed by our own key, but not by our own code: right in all but what it says.
fn forged(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": noon() + 180});
    change(&mut claims);
    let key = EncodingKey::from_rsa_pem(key("client.pem").expose().as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

#[tokio::test]
async fn a_strict_server_refuses_every_other_assertion_for_its_own_reason() {
    let ours = sent(bearer).await.assertion;
    judge(&ours, noon()).unwrap();
    judge(&forged(|_| {}), noon()).unwrap();
    let part = |index: usize| ours.split('.').nth(index).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part(1)).unwrap()).unwrap();
    let tampered = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims.clone();
        change(&mut claims);
        with_part(&ours, 1, &encoded(&claims))
    };
    let signature = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(part(2)).unwrap();
        change(&mut bytes);
        with_part(&ours, 2, &BASE64_URL_SAFE_NO_PAD.encode(bytes))
    };
    let header = |alg: &str| with_part(&ours, 0, &encoded(&json!({"typ": "JWT", "alg": alg})));
    // The public key taken for a shared secret.
    let confused = {
        let secret = EncodingKey::from_secret(key("client.pub.pem").expose().as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &secret).unwrap()
    };
    let strangers = sent(signed_with(SigningAlgorithm::Rs256, "other.pem")).await.assertion;
    let by_another_algorithm = sent(signed_with(SigningAlgorithm::Ps256, "client.pem")).await.assertion;
    let late = |seconds: i64| noon() + seconds;
    let table = [
        ("another subject", tampered(&|c| c["sub"] = "eve".into()), 0, "signature"),
        ("another issuer", tampered(&|c| c["iss"] = "eve".into()), 0, "signature"),
        ("another audience", tampered(&|c| c["aud"] = "eve".into()), 0, "signature"),
        ("a longer life", tampered(&|c| c["exp"] = late(290).into()), 0, "signature"),
        (
            "another type in the header",
            with_part(&ours, 0, &encoded(&json!({"alg": "RS256"}))),
            0,
            "signature",
        ),
        ("another algorithm in the header", header("PS256"), 0, "algorithm"),
        ("algorithm none", header("none"), 0, "malformed"),
        ("algorithm none, unsigned", with_part(&header("none"), 2, ""), 0, "malformed"),
        ("signed with the public key", confused, 0, "algorithm"),
        ("unsigned", with_part(&ours, 2, ""), 0, "signature"),
        ("the first byte of the signature", signature(&|bytes| bytes[0] ^= 1), 0, "signature"),
        (
            "the last byte of the signature",
            signature(&|bytes| *bytes.last_mut().unwrap() ^= 1),
            0,
            "signature",
        ),
        ("half a signature", signature(&|bytes| bytes.truncate(128)), 0, "signature"),
        ("a fourth part", format!("{ours}.x"), 0, "malformed"),
        ("signed by a stranger", strangers, 0, "signature"),
        ("signed by another algorithm", by_another_algorithm, 0, "algorithm"),
        ("the very second it ends", ours.clone(), 180, "expired"),
        ("a day later", ours.clone(), 86_400, "expired"),
        ("long before", ours.clone(), -121, "too long"),
        ("no expiry", forged(|c| c["exp"] = Value::Null), 0, "no expiry"),
        ("an expiry that is a text", forged(|c| c["exp"] = late(180).to_string().into()), 0, "no expiry"),
        ("a day of life", forged(|c| c["exp"] = late(86_400).into()), 0, "too long"),
        ("not yet valid", forged(|c| c["nbf"] = late(10).into()), 0, "not yet"),
        ("issued in the future", forged(|c| c["iat"] = late(10).into()), 0, "from the future"),
        ("no audience", forged(|c| c["aud"] = Value::Null), 0, "audience"),
        ("an audience more", forged(|c| c["aud"] = json!([AUDIENCE, "https://eve.example"])), 0, "audience"),
        ("a list of one audience", forged(|c| c["aud"] = json!([AUDIENCE])), 0, "audience"),
        (
            "a slash at the audience's end",
            forged(|c| c["aud"] = format!("{AUDIENCE}/").into()),
            0,
            "audience",
        ),
        ("a wrong issuer", forged(|c| c["iss"] = "eve".into()), 0, "issuer"),
        ("a wrong subject", forged(|c| c["sub"] = "Ada@acme.example".into()), 0, "subject"),
    ];
    for (name, token, wait, reason) in &table {
        assert_eq!(judge(token, late(*wait)).unwrap_err(), *reason, "{name}");
    }
    assert!(table.len() >= 30, "{}", table.len());
}
