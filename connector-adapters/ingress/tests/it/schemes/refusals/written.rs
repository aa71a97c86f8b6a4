//! How it is written: one way, and no other.

use connector_testkit::webhook::Kind;

use super::{Rewrite, Table, cut, replaced, with};
use crate::schemes::Sent;

#[test]
fn a_list_of_signatures_is_written_in_one_way() {
    let mut table = Table::default();
    for (kind, header) in [(Kind::StandardWebhooks, "webhook-signature"), (Kind::Svix, "svix-signature")] {
        let sent = Sent::new(kind);
        let mut change = |name: &str, status, change: Rewrite| {
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
fn the_header_of_stripe_is_written_in_one_way() {
    let sent = Sent::new(Kind::Stripe);
    let header = "stripe-signature";
    let mut table = Table::default();
    let mut change = |name: &str, status, change: Rewrite| {
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
