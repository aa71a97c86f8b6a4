//! Slack's signature: what is taken, what is refused, and with which status.

use aws_lc_rs::hmac;
use bytes::Bytes;
use connector_ingress::scheme::{Scheme, Slack};
use connector_sdk::{Class, Secret, Timestamp};
use http::{HeaderMap, HeaderValue};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const SENT: i64 = 1_531_420_618;

fn tag(secret: &str, sent: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = [b"v0:", sent.as_bytes(), b":", body].concat();
    let hex: String = hmac::sign(&key, &signed).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}

fn headers(sent: &str, signature: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-slack-request-timestamp", HeaderValue::from_str(sent).unwrap());
    headers.insert("x-slack-signature", HeaderValue::from_str(signature).unwrap());
    headers
}

fn scheme(secrets: &[&str]) -> Slack {
    let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
    Slack::new(&secrets).unwrap()
}

/// What is answered so many milliseconds after the request was signed: 200, or the status of the refusal.
fn status_at(secrets: &[&str], headers: &HeaderMap, body: &[u8], late: i64) -> u16 {
    let now = Timestamp::from_millis(SENT * 1000 + late);
    match scheme(secrets).verify(headers, &Bytes::copy_from_slice(body), now) {
        Ok(_) => 200,
        Err(refused) => refused.status.as_u16(),
    }
}

fn status(headers: &HeaderMap, body: &[u8]) -> u16 {
    status_at(&[SECRET], headers, body, 0)
}

/// The example of docs.slack.dev, "Verifying requests from Slack".
#[test]
fn the_published_example_is_taken() {
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    assert_eq!(status(&headers("1531420618", signature), body), 200);
}

#[test]
fn raw_bytes_are_signed_whatever_they_are() {
    for body in
        [&b""[..], b"\xff\xfe\x00\r\n", "é🦌\u{2028}".as_bytes(), b" {\"a\" : 1}\n", b"{\"a\":\"\\u00e9\"}"]
    {
        let sent = SENT.to_string();
        let good = headers(&sent, &tag(SECRET, &sent, body));
        assert_eq!(status(&good, body), 200, "{body:?}");
        let mut other = body.to_vec();
        other.push(b'\n');
        assert_eq!(status(&good, &other), 401, "{body:?}");
    }
}

#[test]
fn a_signature_that_is_wrong_or_missing_is_refused() {
    let sent = SENT.to_string();
    let good = tag(SECRET, &sent, b"{}");
    assert_eq!(status(&headers(&sent, &tag("another secret", &sent, b"{}")), b"{}"), 401);
    let mut flipped = good.clone().into_bytes();
    let last = flipped.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    assert_eq!(status(&headers(&sent, std::str::from_utf8(&flipped).unwrap()), b"{}"), 401);
    // Signed for another second.
    assert_eq!(status(&headers(&(SENT + 1).to_string(), &good), b"{}"), 401);
    for name in ["x-slack-signature", "x-slack-request-timestamp"] {
        let mut headers = headers(&sent, &good);
        headers.remove(name);
        assert_eq!(status(&headers, b"{}"), 401, "without {name}");
    }
    assert_eq!(status(&HeaderMap::new(), b"{}"), 401);
}

#[test]
fn an_old_signature_and_one_from_the_future_are_refused_by_the_clock() {
    let sent = SENT.to_string();
    let good = headers(&sent, &tag(SECRET, &sent, b"{}"));
    for (late, expected) in
        [(0, 200), (300_000, 200), (300_001, 401), (-300_000, 200), (-300_001, 401), (86_400_000, 401)]
    {
        assert_eq!(status_at(&[SECRET], &good, b"{}", late), expected, "{late} ms late");
    }
}

#[test]
fn a_header_that_comes_twice_is_malformed_even_if_both_are_right() {
    let sent = SENT.to_string();
    let good = tag(SECRET, &sent, b"{}");
    for (name, value) in [("x-slack-signature", good.as_str()), ("x-slack-request-timestamp", sent.as_str())]
    {
        let mut headers = headers(&sent, &good);
        headers.append(name, HeaderValue::from_str(value).unwrap());
        assert_eq!(status(&headers, b"{}"), 400, "{name} twice");
    }
}

#[test]
fn what_is_no_signature_of_this_version_is_malformed() {
    let sent = SENT.to_string();
    let good = tag(SECRET, &sent, b"{}");
    let hex = good.strip_prefix("v0=").unwrap();
    let bad = [
        "",
        "v0=",
        "v0",
        hex,
        &format!("v1={hex}"),
        &format!("V0={hex}"),
        &format!("v0={}", &hex[..62]),
        &format!("v0={hex}00"),
        &format!("v0={}zz", &hex[..62]),
        &format!("v0= {}", &hex[..63]),
        &format!("v0={good}"),
        &format!("{good},{good}"),
    ];
    for bad in bad {
        assert_eq!(status(&headers(&sent, bad), b"{}"), 400, "{bad}");
    }
    for bad in [
        "",
        " ",
        "+1531420618",
        "-1",
        "1531420618.0",
        "0x5b4",
        "９",
        "99999999999999999999",
        "9223372036854775807",
    ] {
        let mut headers = headers(&sent, &good);
        headers.insert("x-slack-request-timestamp", HeaderValue::from_bytes(bad.as_bytes()).unwrap());
        assert_eq!(status(&headers, b"{}"), 400, "{bad}");
    }
}

#[test]
fn while_a_secret_is_changed_the_old_one_and_the_new_one_are_good() {
    let sent = SENT.to_string();
    let secrets = ["new", SECRET];
    for secret in secrets {
        assert_eq!(status_at(&secrets, &headers(&sent, &tag(secret, &sent, b"{}")), b"{}", 0), 200);
    }
    assert_eq!(status_at(&["new"], &headers(&sent, &tag(SECRET, &sent, b"{}")), b"{}", 0), 401);
}

#[test]
fn a_secret_that_anybody_knows_is_a_mistake_of_the_configuration() {
    for secrets in [vec![], vec![""], vec!["good", "  "]] {
        let secrets: Vec<Secret> = secrets.into_iter().map(|secret| Secret::new(secret.to_owned())).collect();
        let error = Slack::new(&secrets).unwrap_err();
        assert_eq!(error.class(), Class::Config);
    }
    assert!(!format!("{:?}", scheme(&[SECRET])).contains(SECRET));
}
