//! What is refused, and with which status: 401 where nothing is proved, 400 where it is written as nobody writes it.
//! Each case is a request that is taken, with one change.

mod signed;
mod time;
mod written;

use connector_testkit::webhook::Kind;

use super::Sent;

/// A value of a header made of another.
type Rewrite = Box<dyn Fn(&str) -> Vec<u8>>;

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
