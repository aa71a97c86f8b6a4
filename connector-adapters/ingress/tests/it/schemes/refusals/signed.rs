//! What was signed by another, for something else, or not at all.

use connector_testkit::webhook::{Event, Kind};

use super::{Table, cut, headers, signing, with};
use crate::schemes::{PRIVATE, PUBLIC, SENT, Sent, config};

#[test]
fn case_82_a_signature_is_compared_whole_and_proves_nothing_when_it_is_missing_empty_or_cut() {
    let mut table = Table::default();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::None) {
        let sent = Sent::new(kind);
        let (signature, time) = headers(kind);
        for header in [Some(signature), time].into_iter().flatten() {
            let name = |what: &str| format!("{kind:?} {header}: {what}");
            table.add(&sent, name("missing"), 401, move |sent| drop(sent.headers.remove(header)));
            // Even if both are right.
            table.add(&sent, name("twice"), 400, move |sent| sent.append(header, sent.value(header)));
            table.value(&sent, header, "empty", 400, |_| Vec::new());
            table.value(&sent, header, "a space before", 400, with(" ", ""));
            table.value(&sent, header, "a space after", 400, with("", " "));
            table.value(&sent, header, "a tab after", 400, with("", "\t"));
            table.value(&sent, header, "not ASCII", 400, with("", "é"));
            table.value(&sent, header, "no UTF-8", 400, |value| [value.as_bytes(), b"\xff"].concat());
        }
        if !matches!(kind, Kind::Bearer | Kind::Basic) {
            table.value(&sent, signature, "cut", 400, cut(1));
            table.value(&sent, signature, "cut by two", 400, cut(2));
            table.value(&sent, signature, "longer", 400, with("", "0"));
            table.value(&sent, signature, "half a tag", 400, |value| {
                value.as_bytes()[..value.len() / 2].to_vec()
            });
        }
    }
    let count = table.check();
    assert!(count >= 60, "{count} cases");
}

#[test]
fn what_was_signed_by_another_or_for_something_else_proves_nothing() {
    let mut table = Table::default();
    for kind in signing() {
        let sent = Sent::new(kind);
        let (signature, time) = headers(kind);
        let name = |what: &str| format!("{kind:?}: {what}");
        table.add(&sent, name("another byte in the body"), 401, |sent| sent.body[1] ^= 1);
        table.add(&sent, name("a line feed after the body"), 401, |sent| sent.body.push(b'\n'));
        table.add(&sent, name("a NUL after the body"), 401, |sent| sent.body.push(0));
        table.add(&sent, name("a BOM before the body"), 401, |sent| {
            sent.body.splice(0..0, *b"\xef\xbb\xbf");
        });
        table.add(&sent, name("no body"), 401, |sent| sent.body.clear());
        table.add(&sent, name("half a body"), 401, |sent| sent.body.truncate(sent.body.len() / 2));
        table.add(&sent, name("the JSON written in another way"), 401, |sent| {
            let value: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
            sent.body = serde_json::to_vec_pretty(&value).unwrap();
        });
        // Another key, and nearly the right one.
        let standard = matches!(kind, Kind::StandardWebhooks | Kind::Svix);
        let other = match standard {
            true => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned(),
            false => kind.secret()[1..].to_owned(),
        };
        let longer = match standard {
            // Not a zero: HMAC pads keys with them, so that it would be the same key.
            true => format!("{}AQ==", kind.secret()),
            false => format!("{} ", kind.secret()),
        };
        for (what, secret) in [("another secret", other), ("a secret that is longer", longer)] {
            let forged = Sent::with(kind, &secret, kind.secret());
            table.add(&sent, name(what), 401, move |sent| sent.headers.clone_from(&forged.headers));
        }
        // A right signature, of another event.
        let foreign =
            Sent::of(kind, kind.secret(), kind.secret(), &Event::new("msg_2", "text/plain", "other"));
        table.add(&sent, name("the signature of another event"), 401, move |sent| {
            sent.set(signature, foreign.value(signature));
        });
        if let Some(time) = time {
            for by in [1, -1] {
                table.add(&sent, name("signed for another second"), 401, move |sent| {
                    sent.set(time, (SENT + by).to_string());
                });
            }
        }
    }
    for (kind, header) in
        [(Kind::StandardWebhooks, "webhook-id"), (Kind::Svix, "svix-id"), (Kind::Hmac, "x-event-id")]
    {
        let sent = Sent::new(kind);
        table.value(&sent, header, "of another event", 401, |value| value.replace('1', "2").into_bytes());
        table.value(&sent, header, "in capitals", 401, |value| value.to_uppercase().into_bytes());
        table.add(&sent, format!("{header} missing"), 401, move |sent| drop(sent.headers.remove(header)));
    }
    table.check();
}

#[test]
fn an_id_with_a_full_stop_could_be_read_in_two_ways_and_is_refused_though_it_is_signed() {
    // `a` at 1614265330 with the body `1614265330.x` is signed like `a.1614265330` at 1614265330 with the body `x`.
    for kind in [Kind::StandardWebhooks, Kind::Svix] {
        let honest = Event::new("a", "text/plain", format!("{SENT}.x"));
        let honest = Sent::of(kind, kind.secret(), kind.secret(), &honest);
        assert_eq!(honest.status(), 200);
        let mut split = honest.clone();
        split.set(if kind == Kind::Svix { "svix-id" } else { "webhook-id" }, format!("a.{SENT}"));
        split.body = b"x".to_vec();
        assert_eq!(split.status(), 400);
    }
    let honest = Event::new("a", "text/plain", format!("{SENT}:x"));
    let mut split = Sent::of(Kind::Hmac, Kind::Hmac.secret(), Kind::Hmac.secret(), &honest);
    assert_eq!(split.status(), 200);
    split.set("x-event-id", format!("a:{SENT}"));
    split.body = b"x".to_vec();
    assert_eq!(split.status(), 400);
}

/// The order of the base point, to which a lenient verifier may add (RFC 8032, section 5.1.7).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn an_asymmetric_signature_has_one_form_and_no_key_is_taken_for_another() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let sent = Sent::with(Kind::StandardWebhooks, PRIVATE, PUBLIC);
    let header = "webhook-signature";
    let changed = |change: fn(&mut Vec<u8>)| {
        move |value: &str| {
            let mut tag = STANDARD.decode(value.strip_prefix("v1a,").unwrap()).unwrap();
            change(&mut tag);
            format!("v1a,{}", STANDARD.encode(tag)).into_bytes()
        }
    };
    let mut table = Table::default();
    table.value(
        &sent,
        header,
        "the order added to its second half",
        401,
        changed(|tag| {
            let mut carry = 0;
            for (byte, more) in tag[32..].iter_mut().zip(ORDER) {
                let sum = u16::from(*byte) + u16::from(more) + carry;
                (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
            }
        }),
    );
    table.value(&sent, header, "one bit of its first half", 401, changed(|tag| tag[0] ^= 1));
    table.value(&sent, header, "the sign of its first half", 401, changed(|tag| tag[31] ^= 0x80));
    table.value(&sent, header, "nothing but zeros", 401, changed(|tag| tag.fill(0)));
    table.value(
        &sent,
        header,
        "the neutral point and zero",
        401,
        changed(|tag| {
            tag.fill(0);
            tag[0] = 1;
        }),
    );
    table.value(&sent, header, "cut", 400, changed(|tag| tag.truncate(63)));
    table.value(&sent, header, "longer", 400, changed(|tag| tag.push(0)));
    table.value(&sent, header, "its halves the other way round", 401, changed(|tag| tag.rotate_left(32)));
    // The public key is no secret: who takes it for one lets everybody sign.
    // Work that a stranger can ask for has a bound.
    table.value(&sent, header, "five of them", 400, |value| [value; 5].join(" ").into_bytes());
    let forged = Sent::with(
        Kind::StandardWebhooks,
        &PUBLIC.replace("whpk_", "whsec_"),
        PUBLIC.replace("whpk_", "whsec_").as_str(),
    );
    table.add(&sent, "v1 by the public key", 401, move |sent| sent.headers.clone_from(&forged.headers));
    table.add(&sent, "v1a beside an endpoint that has only shared secrets", 401, |sent| {
        sent.config = config(Kind::StandardWebhooks, &[Kind::StandardWebhooks.secret()]);
    });
    table.add(&sent, "another byte in the body", 401, |sent| sent.body[1] ^= 1);
    table.add(&sent, "another id", 401, |sent| sent.set("webhook-id", "msg_2"));
    table.check();
}
