use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use connector_sdk::{
    Class, Result, Timestamp,
    auth::{SamlBearer, TokenEndpoint},
};

use super::{
    super::{Bench, key},
    AUDIENCE, ISSUER, SUBJECT, noon, sent,
    xml::Element,
    xmlsec,
};

fn bearer(endpoint: TokenEndpoint) -> Result<SamlBearer> {
    SamlBearer::new(endpoint, ISSUER, SUBJECT, AUDIENCE, &key("client.pem"))
}

/// The assertion that a source sends, and where to.
async fn document(source: impl FnOnce(TokenEndpoint) -> Result<SamlBearer>) -> (String, String) {
    let sent = sent(source).await;
    assert_eq!(sent.grant_type, "urn:ietf:params:oauth:grant-type:saml2-bearer");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&sent.assertion).unwrap();
    (String::from_utf8(bytes).unwrap(), sent.recipient)
}

/// What a strict server expects.
#[derive(Clone)]
struct Server {
    issuer: String,
    subject: String,
    audience: String,
    recipient: String,
    /// In seconds.
    now: i64,
}

impl Server {
    fn at(recipient: &str) -> Self {
        Self {
            issuer: ISSUER.to_owned(),
            subject: SUBJECT.to_owned(),
            audience: AUDIENCE.to_owned(),
            recipient: recipient.to_owned(),
            now: noon(),
        }
    }

    /// What it thinks of an assertion; an error is its reason to refuse (RFC 7522, 3).
    fn judge(&self, document: &str) -> Result<(), &'static str> {
        let root = Element::read(document)?;
        self.judge_form(&root)?;
        if !xmlsec::verifies(document, "client.pub.pem") {
            return Err("signature");
        }
        self.judge_content(&root)
    }

    /// Only what was signed may be read, so it has to be the whole.
    fn judge_form(&self, root: &Element) -> Result<(), &'static str> {
        let is_one = |name| root.count(name) == 1;
        if root.name != "saml:Assertion" || !is_one("saml:Assertion") {
            return Err("not one assertion");
        }
        let signed = root.at("ds:Signature/ds:SignedInfo").filter(|_| is_one("ds:Signature"));
        let signed = signed.ok_or("not one signature")?;
        let reference = signed.only("ds:Reference").and_then(|it| it.attribute("URI")?.strip_prefix('#'));
        if reference.is_none() || reference != root.attribute("ID") {
            return Err("what was signed");
        }
        let algorithm = |path| signed.at(path).and_then(|it| it.attribute("Algorithm"));
        if algorithm("ds:SignatureMethod") != Some("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
            || algorithm("ds:Reference/ds:DigestMethod") != Some("http://www.w3.org/2001/04/xmlenc#sha256")
        {
            return Err("algorithm");
        }
        Ok(())
    }

    fn judge_content(&self, root: &Element) -> Result<(), &'static str> {
        let text = |path| root.at(path).and_then(Element::text);
        let seconds = |text: &str| text.parse::<Timestamp>().ok().map(|time| time.as_millis() / 1000);
        if text("saml:Issuer") != Some(&self.issuer) {
            return Err("issuer");
        }
        if text("saml:Subject/saml:NameID") != Some(&self.subject) {
            return Err("subject");
        }
        let confirmation = root.at("saml:Subject/saml:SubjectConfirmation").ok_or("confirmation")?;
        if confirmation.attribute("Method") != Some("urn:oasis:names:tc:SAML:2.0:cm:bearer") {
            return Err("confirmation");
        }
        let data = confirmation.only("saml:SubjectConfirmationData").ok_or("confirmation")?;
        if data.attribute("Recipient") != Some(&self.recipient) {
            return Err("recipient");
        }
        let conditions = root.only("saml:Conditions").ok_or("conditions")?;
        if conditions.at("saml:AudienceRestriction/saml:Audience").and_then(Element::text)
            != Some(&self.audience)
        {
            return Err("audience");
        }
        let time = |of: &Element, name| of.attribute(name).and_then(seconds);
        for end in [time(data, "NotOnOrAfter"), time(conditions, "NotOnOrAfter")] {
            match end.ok_or("no end")? - self.now {
                ..=0 => return Err("expired"),
                301.. => return Err("too long"),
                _ => {}
            }
        }
        if time(conditions, "NotBefore").is_some_and(|from| self.now < from) {
            return Err("not yet");
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_strict_server_takes_our_assertion_from_a_minute_before_for_three_minutes() {
    if !xmlsec::is_there() {
        return;
    }
    let (document, recipient) = document(bearer).await;
    for wait in [-60, 0, 179] {
        let mut server = Server::at(&recipient);
        server.now += wait;
        server.judge(&document).unwrap();
    }
    let root = Element::read(&document).unwrap();
    assert_eq!(root.attribute("Version"), Some("2.0"));
    let context = root.at("saml:AuthnStatement/saml:AuthnContext/saml:AuthnContextClassRef").unwrap();
    assert_eq!(context.text(), Some("urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"));
    let (another, _) = self::document(bearer).await;
    assert_ne!(root.attribute("ID"), Element::read(&another).unwrap().attribute("ID"));
}

/// Values that would break out of a template, or that a reader of XML would change.
const AWKWARD: [&str; 8] = [
    "a<b>&\"c'",
    "</saml:NameID></saml:Subject><saml:Subject><saml:NameID>eve",
    "ada<!---->@acme.example",
    "]]>&amp;&lt;&#x41;",
    "line\rfeed\nand\ttab\r\nin it",
    "  blanks  at both ends  ",
    "Zoë 李 \u{1f980} \u{2028}\u{e000}",
    "\" ID=\"_eve\" x=\"",
];

#[tokio::test]
async fn whatever_the_values_hold_the_signature_is_right_and_they_are_read_as_they_were() {
    if !xmlsec::is_there() {
        return;
    }
    for (index, value) in AWKWARD.into_iter().enumerate() {
        // Each place with each value, in turn.
        let of = |place: usize| AWKWARD[(index + place) % AWKWARD.len()].to_owned();
        let (document, _) = document(|endpoint| {
            SamlBearer::new(endpoint, of(0), of(1), of(2), &key("client.pem"))?.with_recipient(of(3))
        })
        .await;
        let server = Server { issuer: of(0), subject: of(1), audience: of(2), recipient: of(3), now: noon() };
        assert_eq!(server.judge(&document), Ok(()), "{value:?}: {document}");
    }
}

#[tokio::test]
async fn a_certificate_goes_along_where_it_is_wanted() {
    if !xmlsec::is_there() {
        return;
    }
    let certificate = key("client.crt.pem");
    let (document, recipient) =
        document(|endpoint| bearer(endpoint)?.with_certificate(&certificate.expose().replace('\n', "\\n")))
            .await;
    assert!(xmlsec::verifies_by_certificate(&document, "client.crt.pem"));
    assert!(!xmlsec::verifies_by_certificate(&document, "other.crt.pem"));
    Server::at(&recipient).judge(&document).unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_none_or_another_keys_is_a_mistake_of_the_configuration() {
    let bench = Bench::new([]).await;
    for wrong in ["other.crt.pem", "client.pub.pem", "client.pem", "ca.pem"] {
        let error = bearer(bench.endpoint()).unwrap().with_certificate(key(wrong).expose()).unwrap_err();
        assert_eq!(error.class(), Class::Config, "{wrong}");
        assert!(error.to_string().contains("`certificate`"), "{error}");
    }
}

fn replaced(document: &str, from: &str, to: &str) -> String {
    assert!(document.contains(from), "{from}");
    document.replacen(from, to, 1)
}

/// The text between two marks, which stand once.
fn between<'a>(document: &'a str, start: &str, end: &str) -> &'a str {
    document.split_once(start).unwrap().1.split_once(end).unwrap().0
}

/// The document without what stands from one mark to the end of another.
fn without(document: &str, start: &str, end: &str) -> String {
    replaced(document, &format!("{start}{}{end}", between(document, start, end)), "")
}

/// One character of a text turned into another.
fn flipped(document: &str, start: &str) -> String {
    let at = document.find(start).unwrap() + start.len() + 3;
    let other = if document.as_bytes()[at] == b'A' { "B" } else { "A" };
    let mut changed = document.to_owned();
    changed.replace_range(at..=at, other);
    changed
}

#[tokio::test]
async fn a_strict_server_refuses_every_other_assertion_for_its_own_reason() {
    if !xmlsec::is_there() {
        return;
    }
    let (ours, recipient) = document(bearer).await;
    let (strangers, _) = document(|endpoint| {
        let key = key("other.pem");
        SamlBearer::new(endpoint, ISSUER, SUBJECT, AUDIENCE, &key)?.with_recipient(&*recipient)
    })
    .await;
    let server = Server::at(&recipient);
    server.judge(&ours).unwrap();
    // Signed by our own key, but not by our own code.
    let forged = |document: String| {
        let mut blank = document;
        for name in ["DigestValue", "SignatureValue"] {
            let (start, end) = (format!("<ds:{name}>"), format!("</ds:{name}>"));
            let value = between(&blank, &start, &end).to_owned();
            blank = replaced(&blank, &value, "");
        }
        xmlsec::signed(&blank)
    };
    server.judge(&forged(ours.clone())).unwrap();

    let id = between(&ours, "ID=\"", "\"");
    let until = between(&ours, "<saml:SubjectConfirmationData NotOnOrAfter=\"", "\"");
    let from = between(&ours, "<saml:Conditions NotBefore=\"", "\"");
    let signature =
        format!("<ds:Signature {}</ds:Signature>", between(&ours, "<ds:Signature ", "</ds:Signature>"));
    let change = |from: &str, to: &str| replaced(&ours, from, to);
    let named = |name: &str| format!(">{name}<");
    let audience = format!("<saml:Audience>{AUDIENCE}</saml:Audience>");
    let eves = "<saml:Audience>https://eve.example</saml:Audience>";
    let wrapping = |inner: &str| {
        // The signed original, hidden where nobody looks, below an assertion that says something else.
        let evil = without(&ours, "<ds:Signature ", "</ds:Signature>");
        let evil = replaced(&replaced(&evil, id, "_eve"), &named(SUBJECT), &named("eve"));
        replaced(&evil, "</saml:Issuer>", &format!("</saml:Issuer>{inner}"))
    };
    let original = without(&ours, "<ds:Signature ", "</ds:Signature>");
    let wrapped_beside = wrapping(&format!("{signature}<saml:Advice>{original}</saml:Advice>"));
    let wrapped_whole = wrapping(&ours);
    let commented = change(&named(SUBJECT), ">ada@acme.example<!---->.eve.example<");
    let commented = replaced(&commented, ".eve.example", "");
    // What makes these dangerous: the signature alone is in order.
    for dangerous in [&wrapped_beside, &wrapped_whole, &commented] {
        assert!(xmlsec::verifies(dangerous, "client.pub.pem"), "{dangerous}");
    }

    let table = [
        ("a flipped digest", flipped(&ours, "<ds:DigestValue>"), "signature"),
        ("a flipped signature", flipped(&ours, "<ds:SignatureValue>"), "signature"),
        ("a flipped issuer", flipped(&ours, "<saml:Issuer>"), "signature"),
        ("a flipped audience", flipped(&ours, "<saml:Audience>"), "signature"),
        ("a flipped subject", flipped(&ours, "unspecified\">"), "signature"),
        ("a flipped recipient", flipped(&ours, "Recipient=\""), "signature"),
        (
            "another issue",
            change(&format!("IssueInstant=\"{from}"), "IssueInstant=\"2026-01-31T11:00:00.000Z"),
            "signature",
        ),
        (
            "another beginning",
            change(&format!("NotBefore=\"{from}"), "NotBefore=\"2026-01-31T11:00:00.000Z"),
            "signature",
        ),
        ("a longer confirmation", change(until, "2026-01-31T12:04:00.000Z"), "signature"),
        (
            "longer conditions",
            change(&format!("{until}\"><saml:Aud"), "2026-01-31T12:04:00.000Z\"><saml:Aud"),
            "signature",
        ),
        (
            "another sign-in",
            change(&format!("AuthnInstant=\"{from}"), "AuthnInstant=\"2026-01-31T11:00:00.000Z"),
            "signature",
        ),
        ("another id", ours.replace(id, "_0"), "signature"),
        ("an id that was not signed", change(id, "_0"), "what was signed"),
        ("a weaker signature", change("xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha1"), "algorithm"),
        ("a weaker digest", change("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"), "algorithm"),
        (
            "a shared secret",
            change("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#hmac-sha1"),
            "algorithm",
        ),
        ("signed by a stranger", strangers, "signature"),
        ("unsigned", original.clone(), "not one signature"),
        ("signed twice", change(&signature, &signature.repeat(2)), "not one signature"),
        ("conditions taken out", without(&ours, "<saml:Conditions ", "</saml:Conditions>"), "signature"),
        ("an audience put in", change(&audience, &format!("{audience}{eves}")), "signature"),
        ("wrapped beside its signature", wrapped_beside, "not one assertion"),
        ("wrapped whole", wrapped_whole, "not one assertion"),
        ("two in a row", format!("{ours}{ours}"), "something behind the assertion"),
        ("a comment in the subject", commented, "more than elements"),
        (
            "a section of character data",
            change(&named(SUBJECT), "><![CDATA[ada@acme.example]]><"),
            "more than elements",
        ),
        ("a document type", format!("<!DOCTYPE x [<!ENTITY e \"ada\">]>{ours}"), "more than elements"),
        ("an entity", change(&named(SUBJECT), ">&ada;@acme.example<"), "an entity"),
        ("another namespace", change("urn:oasis:names:tc:SAML:2.0:assertion\"", "urn:eve\""), "a namespace"),
        ("cut off", ours[..ours.len() - 5].to_owned(), "an end tag"),
        (
            "forged: no conditions",
            forged(without(&ours, "<saml:Conditions ", "</saml:Conditions>")),
            "conditions",
        ),
        ("forged: no audience", forged(change(&audience, "")), "audience"),
        ("forged: an audience more", forged(change(&audience, &format!("{audience}{eves}"))), "audience"),
        ("forged: another audience", forged(change(&audience, eves)), "audience"),
        ("forged: another recipient", forged(change(&recipient, "https://eve.example/token")), "recipient"),
        ("forged: no recipient", forged(change(&format!(" Recipient=\"{recipient}\""), "")), "recipient"),
        ("forged: not for bearers", forged(change("cm:bearer", "cm:sender-vouches")), "confirmation"),
        (
            "forged: no confirmation",
            forged(without(&ours, "<saml:SubjectConfirmation ", "</saml:SubjectConfirmation>")),
            "confirmation",
        ),
        (
            "forged: a confirmation without end",
            forged(change(&format!("Data NotOnOrAfter=\"{until}\""), "Data")),
            "no end",
        ),
        ("forged: a day of life", forged(ours.replace(until, "2026-02-01T12:00:00.000Z")), "too long"),
        ("forged: another subject", forged(change(&named(SUBJECT), ">eve@acme.example<")), "subject"),
        ("forged: another issuer", forged(change(&named(ISSUER), ">eve<")), "issuer"),
    ];
    for (name, document, reason) in &table {
        assert_eq!(server.judge(document).unwrap_err(), *reason, "{name}: {document}");
    }

    let other = |change: &dyn Fn(&mut Server)| {
        let mut server = server.clone();
        change(&mut server);
        server.judge(&ours).unwrap_err()
    };
    let elsewhere = [
        (other(&|server| server.now += 180), "expired"),
        (other(&|server| server.now += 86_400), "expired"),
        (other(&|server| server.now -= 61), "not yet"),
        (other(&|server| server.issuer.push(' ')), "issuer"),
        (other(&|server| server.subject = "Ada@acme.example".into()), "subject"),
        (other(&|server| server.audience.push('/')), "audience"),
        (other(&|server| server.recipient.push('/')), "recipient"),
    ];
    for (found, expected) in elsewhere {
        assert_eq!(found, expected);
    }
    assert!(table.len() + elsewhere.len() >= 40, "{}", table.len());
}
