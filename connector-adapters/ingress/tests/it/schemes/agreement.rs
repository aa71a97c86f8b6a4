//! Who signs and who proves agree, each with the testkit's, which were written apart from them.

use bytes::Bytes;
use connector_sdk::{Clock, Timestamp};
use connector_testkit::webhook::{Event, FakeReceiver, FakeSender, Kind};
use serde_json::json;

use super::{PRIVATE, PUBLIC, SENT, Sent, clock, config, signer};
use crate::support::bounded;

const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn bodies() -> Vec<Bytes> {
    vec![
        Bytes::new(),
        Bytes::from_static(b"\xff\xfe\x00\r\n\xc3\x28"),
        Bytes::from_static(" {\"é\" : \"🦌\u{2028}\"}\n".as_bytes()),
        Bytes::from_static(b"{\"n\":1.0,\"n\":18446744073709551616}"),
        Bytes::from(vec![b'x'; 1 << 20]),
        Bytes::from(vec![b'['; 1 << 20]),
    ]
}

#[test]
fn what_a_vendor_signs_is_taken_whatever_its_bytes() {
    for kind in Kind::ALL {
        assert_eq!(Sent::new(kind).status(), 200, "{kind:?}");
        for body in bodies() {
            let event = Event::new("msg_1", "application/octet-stream", body.clone());
            let sent = Sent::of(kind, kind.secret(), kind.secret(), &event);
            assert_eq!(sent.status(), 200, "{kind:?}: {} bytes", body.len());
        }
    }
    assert_eq!(Sent::with(Kind::StandardWebhooks, PRIVATE, PUBLIC).status(), 200);
    assert_eq!(Sent::with(Kind::Svix, PRIVATE, PUBLIC).status(), 200);
}

#[test]
fn the_event_is_told_apart_by_what_its_vendor_says_and_by_nothing_made_up() {
    for kind in Kind::ALL {
        let sender = FakeSender::new(kind, kind.secret(), clock().shared());
        for _ in 0..2 {
            let event = sender.event(json!({}));
            assert_eq!(Sent::of(kind, kind.secret(), kind.secret(), &event).id(), Some(event.id), "{kind:?}");
        }
    }
    for kind in [Kind::Slack, Kind::Stripe] {
        let field = if kind == Kind::Slack { "event_id" } else { "id" };
        for odd in [
            "{}".to_owned(),
            "[]".to_owned(),
            "no json".to_owned(),
            format!("{{\"{field}\":7}}"),
            format!("{{\"{field}\":\"\"}}"),
            format!("{{\"{field}\":\"a b\"}}"),
            format!("{{\"{field}\":\"é\"}}"),
            format!("{{\"{field}\":\"{}\"}}", "x".repeat(256)),
            format!("{{\"{field}\":\"a\",\"{field}\":\"b\"}}"),
            format!("{{\"data\":{{\"{field}\":\"inner\"}}}}"),
            format!("{{\"deep\":{}", "[".repeat(100_000)),
        ] {
            let event = Event::new("x", "application/json", odd.clone());
            let sent = Sent::of(kind, kind.secret(), kind.secret(), &event);
            assert_eq!(sent.id(), None, "{kind:?}: {odd:.60}");
        }
    }
    for kind in [Kind::Bearer, Kind::Basic, Kind::None] {
        let mut sent = Sent::new(kind);
        sent.headers.remove("x-event-id");
        assert_eq!(sent.id(), None, "{kind:?}");
    }
}

#[test]
fn the_time_that_was_signed_is_told_and_no_other() {
    for kind in Kind::ALL {
        let sent = Sent::new(kind);
        let proof = sent.verifier().verify(&sent.headers, &sent.body.clone().into(), clock().now()).unwrap();
        let signs_time =
            matches!(kind, Kind::StandardWebhooks | Kind::Svix | Kind::Slack | Kind::Stripe | Kind::Hmac);
        assert_eq!(proof.sent_at, signs_time.then(|| Timestamp::from_millis(SENT * 1000)), "{kind:?}");
        assert_eq!(proof.answer, None);
        assert_eq!(proof.id_is_signed, !matches!(kind, Kind::Github | Kind::Shopify), "{kind:?}");
        assert_eq!(sent.verifier().name(), kind.name());
    }
}

#[test]
fn slack_is_answered_its_challenge_and_only_where_it_has_signed_it() {
    let body = r#"{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}"#;
    let event = Event::new("", "application/json", body);
    let secret = Kind::Slack.secret();
    let sent = Sent::of(Kind::Slack, secret, secret, &event);
    let verify =
        |sent: &Sent| sent.verifier().verify(&sent.headers, &sent.body.clone().into(), clock().now());
    let answer = verify(&sent).unwrap().answer.unwrap();
    assert_eq!(answer, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
    assert_eq!(verify(&Sent::of(Kind::Slack, "another", secret, &event)).unwrap_err().status, 401);
    for broken in [r#"{"type":"url_verification"}"#, r#"{"type":"url_verification","challenge":7}"#] {
        let event = Event::new("", "application/json", broken);
        assert_eq!(verify(&Sent::of(Kind::Slack, secret, secret, &event)).unwrap_err().status, 400);
    }
}

#[tokio::test]
async fn what_we_sign_is_taken_by_a_receiver_that_knows_us_not() {
    let clock = clock();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let pairs = Kind::ALL.map(|kind| (kind, kind.secret())).into_iter();
    for (kind, secret) in pairs.chain([(Kind::StandardWebhooks, PRIVATE), (Kind::Svix, PRIVATE)]) {
        let receiver = FakeReceiver::start(kind, secret, clock.shared()).await.unwrap();
        let signer = signer(kind, &[secret]);
        for (number, inner) in bodies().into_iter().enumerate() {
            let id = format!("msg_{number}");
            // These two have their id in the body.
            let body = match kind {
                Kind::Slack => Bytes::from(json!({ "event_id": id }).to_string()),
                Kind::Stripe => Bytes::from(json!({ "id": id }).to_string()),
                _ => inner,
            };
            let mut request = http.post(receiver.url()).body(body.clone());
            for (name, value) in signer.sign(&id, clock.now(), &body).unwrap() {
                request = request.header(name, value);
            }
            let status = bounded(request.send()).await.unwrap().status();
            assert_eq!(status, 200, "{kind:?}: {:?}", receiver.attempts().last().unwrap().proof);
            assert_eq!(receiver.taken().last(), Some(&id));
        }
    }
}

#[test]
fn what_we_sign_we_take_and_nothing_that_was_changed() {
    for (kind, signs, takes) in Kind::ALL
        .map(|kind| (kind, kind.secret(), kind.secret()))
        .into_iter()
        .chain([(Kind::StandardWebhooks, PRIVATE, PUBLIC)])
    {
        for body in bodies() {
            let headers = signer(kind, &[signs]).sign("msg_1", clock().now(), &body).unwrap();
            let headers = headers.into_iter().collect();
            let mut sent = Sent { config: config(kind, &[takes]), headers, body: body.to_vec(), late: 0 };
            assert_eq!(sent.status(), 200, "{kind:?}");
            sent.body.push(0);
            let unsigned = matches!(kind, Kind::Bearer | Kind::Basic | Kind::None);
            assert_eq!(sent.status(), if unsigned { 200 } else { 401 }, "{kind:?}");
        }
    }
}

#[test]
fn while_a_secret_is_changed_the_old_one_and_the_new_one_are_good() {
    for kind in Kind::ALL {
        if kind == Kind::None {
            continue;
        }
        let (new, old) = match kind {
            Kind::StandardWebhooks | Kind::Svix => (kind.secret(), OLD),
            Kind::Basic => (kind.secret(), "hook:old"),
            _ => (kind.secret(), "old-secret"),
        };
        for (signs, takes, status) in [
            (old, &[new, old][..], 200),
            (new, &[new, old], 200),
            (new, &[old, new], 200),
            (old, &[new], 401),
            (new, &[old], 401),
        ] {
            let mut sent = Sent::with(kind, signs, signs);
            sent.config = config(kind, takes);
            assert_eq!(sent.status(), status, "{kind:?}");
        }
    }
}

#[test]
fn who_signs_with_several_secrets_says_all_signatures_where_there_is_a_place_for_them() {
    let body = Bytes::from_static(b"{\"id\":\"evt_1\"}");
    let said = |kind, secrets: &[&str]| {
        let headers = signer(kind, secrets).sign("msg_1", clock().now(), &body).unwrap();
        headers.into_iter().collect::<http::HeaderMap>()
    };
    let both = said(Kind::StandardWebhooks, &[Kind::Svix.secret(), OLD, PRIVATE]);
    assert_eq!(both["webhook-signature"].to_str().unwrap().split(' ').count(), 3);
    for takes in [Kind::Svix.secret(), OLD, PUBLIC] {
        let sent = Sent {
            config: config(Kind::StandardWebhooks, &[takes]),
            headers: both.clone(),
            body: body.to_vec(),
            late: 0,
        };
        assert_eq!(sent.status(), 200, "{takes}");
    }
    let both = said(Kind::Stripe, &["one", "two"]);
    for takes in ["one", "two"] {
        let headers = both.clone();
        let config = config(Kind::Stripe, &[takes]);
        assert_eq!(Sent { config, headers, body: body.to_vec(), late: 0 }.status(), 200, "{takes}");
    }
    // Elsewhere the first one signs.
    let first = said(Kind::Github, &["one", "two"]);
    assert_eq!(first.get_all("x-hub-signature-256").iter().count(), 1);
    let config = config(Kind::Github, &["one"]);
    assert_eq!(Sent { config, headers: first, body: body.to_vec(), late: 0 }.status(), 200);
}

#[test]
fn an_id_that_could_be_read_in_two_ways_is_not_signed() {
    let body = Bytes::from_static(b"{}");
    let long = "x".repeat(256);
    for id in ["", "a b", "é", "a\n", long.as_str()] {
        for kind in Kind::ALL {
            let signer = signer(kind, &[kind.secret()]);
            assert!(!signer.accepts(id), "{kind:?} {id}");
            assert!(signer.sign(id, clock().now(), &body).is_err(), "{kind:?} {id}");
        }
    }
    for (kind, id) in [(Kind::StandardWebhooks, "a.1"), (Kind::Svix, "a.1"), (Kind::Hmac, "a:1")] {
        assert!(signer(kind, &[kind.secret()]).sign(id, clock().now(), &body).is_err(), "{kind:?}");
    }
    assert!(signer(Kind::Github, &["s"]).accepts("a.1"));
}

#[test]
fn svix_says_either_name_and_what_stands_under_its_own_counts() {
    let standard = Sent::new(Kind::StandardWebhooks);
    let mut sent = Sent { config: config(Kind::Svix, &[Kind::Svix.secret()]), ..standard.clone() };
    assert_eq!(sent.status(), 200);
    // Svix's own names, beside the others: all of them, or it is refused.
    sent.set("svix-id", "msg_other");
    assert_eq!(sent.status(), 401);
    let svix = Sent::new(Kind::Svix);
    for (name, value) in &svix.headers {
        sent.headers.insert(name, value.clone());
    }
    sent.set("webhook-id", "msg_of_somebody_else");
    assert_eq!(sent.status(), 200);
    assert_eq!(sent.id(), svix.id());
    // The names of Svix are not those of Standard Webhooks.
    let config = config(Kind::StandardWebhooks, &[Kind::Svix.secret()]);
    assert_eq!(Sent { config, ..svix }.status(), 401);
}

#[test]
fn a_secret_that_is_sent_is_not_logged() {
    for kind in [Kind::Bearer, Kind::Basic] {
        let signer = signer(kind, &[kind.secret()]);
        let headers = signer.sign("msg_1", clock().now(), &Bytes::new()).unwrap();
        assert!(!format!("{headers:?}").contains("b34r3r"), "{headers:?}");
        assert!(headers[0].1.is_sensitive());
    }
}
