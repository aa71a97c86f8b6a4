//! What is refused, and with which status: 401 where nothing is proved, 400 where it is written as nobody writes it.
//! Each case is a request that is taken, with one change.

use connector_testkit::webhook::{Event, Kind};

use super::{PRIVATE, PUBLIC, SENT, Sent, config};

/// What is done to a request.
type Change = Box<dyn Fn(&mut Sent)>;

struct Case {
    name: String,
    sent: Sent,
    change: Change,
    status: u16,
}

#[derive(Default)]
struct Table(Vec<Case>);

impl Table {
    fn add(
        &mut self,
        sent: &Sent,
        name: impl Into<String>,
        status: u16,
        change: impl Fn(&mut Sent) + 'static,
    ) {
        let case = Case { name: name.into(), sent: sent.clone(), change: Box::new(change), status };
        self.0.push(case);
    }

    /// A header with another value, made of the one it has.
    fn value(
        &mut self,
        sent: &Sent,
        header: &'static str,
        name: &str,
        status: u16,
        change: impl Fn(&str) -> Vec<u8> + 'static,
    ) {
        let label = format!("{} {header}: {name}", sent.verifier().name());
        self.add(sent, label, status, move |sent| {
            let value = change(&sent.value(header));
            sent.set(header, value);
        });
    }

    /// No case may pass, and each would but for its change.
    fn check(self) -> usize {
        let mut wrong = Vec::new();
        for Case { name, sent, change, status } in &self.0 {
            assert_eq!(sent.status(), 200, "{name}: it is refused without the change");
            let mut changed = sent.clone();
            change(&mut changed);
            let answered = changed.status();
            if answered != *status {
                wrong.push(format!("{name}: {answered}, not {status}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        self.0.len()
    }
}

/// The header with the signature, and the one with the time, where there is one.
fn headers(kind: Kind) -> (&'static str, Option<&'static str>) {
    match kind {
        Kind::StandardWebhooks => ("webhook-signature", Some("webhook-timestamp")),
        Kind::Svix => ("svix-signature", Some("svix-timestamp")),
        Kind::Github => ("x-hub-signature-256", None),
        Kind::Slack => ("x-slack-signature", Some("x-slack-request-timestamp")),
        Kind::Stripe => ("stripe-signature", None),
        Kind::Shopify => ("x-shopify-hmac-sha256", None),
        Kind::Hmac => ("x-signature", Some("x-timestamp")),
        Kind::Bearer | Kind::Basic => ("authorization", None),
        Kind::None => unreachable!("it refuses nothing"),
    }
}

fn signing() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Bearer | Kind::Basic | Kind::None))
}

fn replaced(from: &'static str, to: &'static str) -> impl Fn(&str) -> Vec<u8> {
    move |value| {
        assert!(value.contains(from), "{value} has no {from}");
        value.replacen(from, to, 1).into_bytes()
    }
}

fn cut(count: usize) -> impl Fn(&str) -> Vec<u8> {
    move |value| value.as_bytes()[..value.len() - count].to_vec()
}

fn with(before: &'static str, after: &'static str) -> impl Fn(&str) -> Vec<u8> {
    move |value| format!("{before}{value}{after}").into_bytes()
}

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
fn case_83_an_old_signature_and_one_from_the_future_prove_nothing() {
    let mut table = Table::default();
    for kind in [Kind::StandardWebhooks, Kind::Svix, Kind::Slack, Kind::Stripe, Kind::Hmac] {
        let sent = Sent::new(kind);
        for late in [300_001, -300_001, 86_400_000, -86_400_000, i64::MAX / 2, -SENT * 1000] {
            table.add(&sent, format!("{kind:?} {late} ms late"), 401, move |sent| sent.late = late);
        }
        // To the millisecond, and as the endpoint has it.
        for (tolerance, late, status) in [
            (None, 300_000, 200),
            (None, -300_000, 200),
            (Some("10s"), 10_000, 200),
            (Some("10s"), 10_001, 401),
        ] {
            let mut sent = sent.clone();
            sent.config.tolerance = tolerance.map(|tolerance| tolerance.parse().unwrap());
            sent.late = late;
            assert_eq!(sent.status(), status, "{kind:?} {tolerance:?} {late}");
        }
        // A wrong signature that is old is old.
        let mut old = sent.clone();
        (old.late, old.body) = (300_001, Vec::new());
        let now = connector_sdk::Timestamp::from_millis(SENT * 1000 + old.late);
        let refused = old.verifier().verify(&old.headers, &bytes::Bytes::new(), now).unwrap_err();
        assert!(refused.why.contains("too old"), "{refused:?}");
    }
    table.check();
}

#[test]
fn a_time_that_is_none_is_malformed() {
    let mut table = Table::default();
    let bad = [
        "-1",
        "+1614265330",
        "1614265330.0",
        "1614265330.",
        "1.614265330e9",
        "01614265330",
        "0x60383832",
        "1614265330 1614265330",
        "1614265330,1614265330",
        "１６１４２６５３３０",
        "NaN",
        "99999999999999999999",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "2021-02-25T15:02:10Z",
    ];
    for kind in [Kind::StandardWebhooks, Kind::Svix, Kind::Slack, Kind::Hmac] {
        let (_, time) = headers(kind);
        for bad in bad {
            table.value(&Sent::new(kind), time.unwrap(), bad, 400, |_| bad.as_bytes().to_vec());
        }
        // A number all the same, of another age.
        for (far, value) in [("0", "0"), ("milliseconds", "1614265330000"), ("the end", "9223372036854775")] {
            table.value(&Sent::new(kind), time.unwrap(), far, 401, |_| value.as_bytes().to_vec());
        }
    }
    for bad in bad.into_iter().filter(|bad| !bad.contains(',')) {
        let time = move |value: &str| value.replacen("t=1614265330", &format!("t={bad}"), 1).into_bytes();
        table.value(&Sent::new(Kind::Stripe), "stripe-signature", bad, 400, time);
    }
    table.check();
}

#[test]
fn a_list_of_signatures_is_written_in_one_way() {
    let mut table = Table::default();
    for (kind, header) in [(Kind::StandardWebhooks, "webhook-signature"), (Kind::Svix, "svix-signature")] {
        let sent = Sent::new(kind);
        let mut change = |name: &str, status, change: Box<dyn Fn(&str) -> Vec<u8>>| {
            table.value(&sent, header, name, status, change);
        };
        change("no version", 400, Box::new(replaced("v1,", "")));
        change("an empty version", 400, Box::new(replaced("v1,", ",")));
        change("another sign between", 400, Box::new(replaced("v1,", "v1=")));
        change("two spaces between", 400, Box::new(|value| format!("{value}  {value}").into_bytes()));
        change("a comma between", 400, Box::new(|value| format!("{value},{value}").into_bytes()));
        change("a tab between", 400, Box::new(|value| format!("{value}\t{value}").into_bytes()));
        change("a version alone", 400, Box::new(|value| format!("{value} v2,").into_bytes()));
        change("seventeen", 400, Box::new(|value| [value; 17].join(" ").into_bytes()));
        change(
            "one that is right beside one that is cut",
            400,
            Box::new(|value| format!("{value} {}", &value[..value.len() - 4]).into_bytes()),
        );
        change("no padding", 400, Box::new(|value| value.trim_end_matches('=').as_bytes().to_vec()));
        change("padding twice", 400, Box::new(|value| format!("{value}=").into_bytes()));
        change(
            "the alphabet of URLs",
            400,
            Box::new(|value| {
                // There is not always a sign that the two alphabets write differently.
                format!("v1,-_{}", &value[5..]).into_bytes()
            }),
        );
        change("hexadecimal", 400, Box::new(|_| format!("v1,{}", "0".repeat(64)).into_bytes()));
        change("a tag of 31 bytes", 400, Box::new(|_| format!("v1,{}A==", "A".repeat(41)).into_bytes()));
        change("a tag of 33 bytes", 400, Box::new(|_| format!("v1,{}", "A".repeat(44)).into_bytes()));
        change("a tag of SHA-512", 400, Box::new(|_| format!("v1,{}==", "A".repeat(86)).into_bytes()));
        change("v1 said to be v1a", 400, Box::new(replaced("v1,", "v1a,")));
        // What says nothing proves nothing.
        change("another version", 401, Box::new(replaced("v1,", "v2,")));
        change("a version in capitals", 401, Box::new(replaced("v1,", "V1,")));
        change(
            "a tag of nothing but zeros",
            401,
            Box::new(|_| format!("v1,{}=", "A".repeat(43)).into_bytes()),
        );
        // 32 bytes leave two bits over, which a lenient reader drops: the same tag in another form.
        change(
            "bits left over",
            400,
            Box::new(|value| {
                const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
                let mut value = value.as_bytes().to_vec();
                let last = value.len() - 2;
                let at = ALPHABET.iter().position(|letter| *letter == value[last]).unwrap();
                value[last] = ALPHABET[at | 1];
                value
            }),
        );
        for bad in ["a b", "é", ".", "a.1614265330", &"x".repeat(256), ""] {
            let header = if kind == Kind::Svix { "svix-id" } else { "webhook-id" };
            let bad = bad.to_owned();
            table.value(&sent, header, &bad.clone(), 400, move |_| bad.as_bytes().to_vec());
        }
    }
    table.check();
    // 16 signatures are looked at, wherever the right one stands; and those of versions that nobody knows yet.
    let sent = Sent::new(Kind::StandardWebhooks);
    let zeros = format!("v1,{}=", "A".repeat(43));
    for place in [0, 7, 15] {
        let mut many = vec![zeros.clone(); 15];
        many.insert(place, sent.value("webhook-signature"));
        let mut sent = sent.clone();
        sent.set("webhook-signature", many.join(" "));
        assert_eq!(sent.status(), 200, "at {place}");
    }
    let mut known = sent.clone();
    known.set("webhook-signature", format!("v3x,abc {}", sent.value("webhook-signature")));
    assert_eq!(known.status(), 200);
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

#[test]
fn the_header_of_stripe_is_written_in_one_way() {
    let sent = Sent::new(Kind::Stripe);
    let header = "stripe-signature";
    let mut table = Table::default();
    let mut change = |name: &str, status, change: Box<dyn Fn(&str) -> Vec<u8>>| {
        table.value(&sent, header, name, status, change);
    };
    change("no time", 400, Box::new(replaced("t=1614265330,", "")));
    change("the time twice", 400, Box::new(with("t=1614265330,", "")));
    change("the time twice, after", 400, Box::new(with("", ",t=1614265330")));
    change("two times, the right one first", 400, Box::new(with("", ",t=1614265331")));
    change("two times, the right one last", 400, Box::new(with("t=1614265331,", "")));
    change("a space after the comma", 400, Box::new(replaced(",v1", ", v1")));
    change("a space before the sign", 400, Box::new(replaced("v1=", "v1 =")));
    change("a semicolon", 400, Box::new(replaced(",v1", ";v1")));
    change("a comma at the end", 400, Box::new(with("", ",")));
    change("a word", 400, Box::new(with("", ",v1")));
    change("an entry without a name", 400, Box::new(with("", ",=abc")));
    change("an entry without a value", 400, Box::new(with("", ",v9=")));
    change(
        "capitals",
        400,
        Box::new(|value| value.to_uppercase().replace("T=", "t=").replace("V1=", "v1=").into_bytes()),
    );
    change("an odd number of digits", 400, Box::new(cut(1)));
    change(
        "a digit that is none",
        400,
        Box::new(|value| format!("{}g", &value[..value.len() - 1]).into_bytes()),
    );
    change(
        "base64",
        400,
        Box::new(|_| b"t=1614265330,v1=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_vec()),
    );
    change("one that is cut beside the right one", 400, Box::new(with("", ",v1=00")));
    change("eighteen entries", 400, Box::new(|value| format!("{value}{}", ",v0=00".repeat(16)).into_bytes()));
    // Right, but said to be what it is not.
    change("only another version", 401, Box::new(replaced("v1=", "v0=")));
    change("a version in capitals", 401, Box::new(replaced("v1=", "V1=")));
    change("no signature", 401, Box::new(|_| b"t=1614265330".to_vec()));
    change("a tag of zeros", 401, Box::new(|_| format!("t=1614265330,v1={}", "0".repeat(64)).into_bytes()));
    change("another time", 401, Box::new(replaced("t=1614265330", "t=1614265331")));
    table.check();
    // Sixteen signatures, and others that say nothing.
    let mut many = sent.clone();
    many.set(header, format!("v0=ff,{}{}", sent.value(header), format!(",v1={}", "0".repeat(64)).repeat(14)));
    assert_eq!(many.status(), 200);
}

#[test]
fn a_prefix_and_its_tag_are_written_in_one_way() {
    let mut table = Table::default();
    for (kind, header, prefix) in [
        (Kind::Github, "x-hub-signature-256", "sha256="),
        (Kind::Slack, "x-slack-signature", "v0="),
        (Kind::Hmac, "x-signature", "sha256="),
    ] {
        let sent = Sent::new(kind);
        table.value(&sent, header, "no prefix", 400, replaced(prefix, ""));
        table.value(&sent, header, "the prefix alone", 400, |_| prefix.as_bytes().to_vec());
        table.value(&sent, header, "the prefix twice", 400, with(prefix, ""));
        table.value(&sent, header, "the prefix in capitals", 400, move |value| {
            value.replacen(prefix, &prefix.to_uppercase(), 1).into_bytes()
        });
        table.value(&sent, header, "another prefix", 400, replaced(prefix, "sha1="));
        table.value(&sent, header, "capitals", 400, move |value| {
            format!("{prefix}{}", value[prefix.len()..].to_uppercase()).into_bytes()
        });
        table.value(&sent, header, "a digit that is none", 400, |value| {
            format!("{}g", &value[..value.len() - 1]).into_bytes()
        });
        table.value(&sent, header, "a space inside", 400, move |value| {
            format!("{prefix} {}", &value[prefix.len() + 1..]).into_bytes()
        });
        table.value(&sent, header, "two of them", 400, |value| format!("{value},{value}").into_bytes());
        table.value(&sent, header, "zeros", 401, move |_| format!("{prefix}{}", "0".repeat(64)).into_bytes());
    }
    let github = Sent::new(Kind::Github);
    table.add(&github, "no delivery", 401, |sent| drop(sent.headers.remove("x-github-delivery")));
    table.add(&Sent::new(Kind::Shopify), "no id", 401, |sent| {
        drop(sent.headers.remove("x-shopify-webhook-id"))
    });
    table.add(&github, "GitHub's old header", 401, |sent| {
        sent.headers.remove("x-hub-signature-256");
        sent.set("x-hub-signature", "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6");
    });
    for (kind, header) in [(Kind::Github, "x-github-delivery"), (Kind::Shopify, "x-shopify-webhook-id")] {
        let sent = Sent::new(kind);
        table.add(&sent, format!("{header} twice"), 400, move |sent| sent.append(header, "another"));
        table.value(&sent, header, "empty", 400, |_| Vec::new());
        table.value(&sent, header, "a space in it", 400, |_| b"a b".to_vec());
        table.value(&sent, header, "not ASCII", 400, |_| "é".as_bytes().to_vec());
        table.value(&sent, header, "too long", 400, |_| vec![b'x'; 256]);
    }
    let shopify = Sent::new(Kind::Shopify);
    let header = "x-shopify-hmac-sha256";
    table.value(&shopify, header, "no padding", 400, |value| value.trim_end_matches('=').as_bytes().to_vec());
    table.value(&shopify, header, "hexadecimal", 400, |_| "0".repeat(64).into_bytes());
    table.value(&shopify, header, "zeros", 401, |_| format!("{}=", "A".repeat(43)).into_bytes());
    table.value(&shopify, header, "two of them", 400, |value| format!("{value},{value}").into_bytes());
    table.check();
}

#[test]
fn an_authorization_is_the_whole_secret_and_nothing_else() {
    let mut table = Table::default();
    let header = "authorization";
    let bearer = Sent::new(Kind::Bearer);
    for (name, value, status) in [
        ("another", "Bearer b34r3r-t0k3m", 401),
        ("cut", "Bearer b34r3r-t0k3", 401),
        ("longer", "Bearer b34r3r-t0k3n0", 401),
        ("in capitals", "Bearer B34R3R-T0K3N", 401),
        ("of another kind", "Basic b34r3r-t0k3n", 401),
        ("no kind", "b34r3r-t0k3n", 400),
        ("nothing but a kind", "Bearer", 400),
        ("nothing after the space", "Bearer ", 400),
        ("two spaces", "Bearer  b34r3r-t0k3n", 400),
        ("two tokens", "Bearer b34r3r-t0k3n b34r3r-t0k3n", 400),
        ("a list", "Bearer b34r3r-t0k3n, Bearer b34r3r-t0k3n", 400),
    ] {
        table.value(&bearer, header, name, status, move |_| value.as_bytes().to_vec());
    }
    let basic = Sent::new(Kind::Basic);
    let encoded = |text: &[u8]| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        format!("Basic {}", STANDARD.encode(text)).into_bytes()
    };
    for (name, text, status) in [
        ("another password", "hook:passwort", 401),
        ("another name", "hoot:pässword", 401),
        ("no password", "hook:", 401),
        ("no name", ":pässword", 401),
        ("cut", "hook:pässwor", 401),
        ("longer", "hook:pässwordd", 401),
        ("a NUL after it", "hook:pässword\0", 401),
        ("a colon more", "hook::pässword", 401),
        ("no colon", "hookpässword", 400),
        ("nothing", "", 400),
    ] {
        let value = encoded(text.as_bytes());
        table.value(&basic, header, name, status, move |_| value.clone());
    }
    let latin = encoded(b"hook:p\xe4ssword");
    table.value(&basic, header, "in Latin-1", 401, move |_| latin.clone());
    table.value(&basic, header, "no base64", 400, |_| b"Basic hook:password".to_vec());
    table.value(&basic, header, "of another kind", 401, replaced("Basic", "Bearer"));
    table.value(&basic, header, "no padding", 400, |value| value.trim_end_matches('=').as_bytes().to_vec());
    table.check();
    // The name of the kind is in any case (RFC 9110, section 11.1).
    let mut lower = bearer;
    lower.set(header, "bearer b34r3r-t0k3n");
    assert_eq!(lower.status(), 200);
}
