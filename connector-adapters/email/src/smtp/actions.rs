//! What can be done: sending a mail, and telling people of something.
//!
//! A mail server has no idempotency key, and nobody can look whether a mail has arrived. So a mail whose end was sent
//! and whose answer was lost is ambiguous, for each recipient that it was for, and not sent again under the same key. The
//! Message-ID is drawn from the key: who gets a mail twice all the same can see that it is one.

use std::{sync::atomic::AtomicBool, time::Duration};

use aws_lc_rs::rand;
use connector_sdk::{
    Class, Context, Delivery, Error, Result, Timestamp,
    contract::{ActionOutcome, ActionRequest, ActionSpec, ActionStatus},
};
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    alert::Alert,
    compose::{Given, Mail, compose},
    deliver::{Delivered, Deliverer},
    input::{Dsn, Recipient, Send, Sent, Status, wrong},
    ledger::{self, Ledger},
    transaction::{Fate, Kind},
};

/// Characters of an id that comes back with notifications (RFC 3461, 4.4).
const LONGEST_ENVELOPE_ID: usize = 100;

/// What acts.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) deliverer: Deliverer,
    pub(super) ledger: Ledger,
}

/// What is offered.
pub(super) fn specs() -> Vec<ActionSpec> {
    vec![spec::<Send>("send"), spec::<Alert>("alert")]
}

fn spec<I: JsonSchema>(name: &str) -> ActionSpec {
    ActionSpec::new(name, schema_for!(I), schema_for!(Sent))
}

impl Actor {
    /// Does one action.
    ///
    /// # Errors
    /// Config when there is no such action or its input is wrong, and before anything was sent; otherwise as no session
    /// can be opened. What became of a mail is in the outcome.
    pub(super) async fn act(&self, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        let ActionRequest { name, input, idempotency_key: key, .. } = request;
        let given = input;
        let input = match name.as_str() {
            "send" => read::<Send>(given.clone())?,
            "alert" => read::<Alert>(given.clone())?.compose()?,
            other => {
                let what = format!("this connector has no action `{}`", other.escape_debug());
                return Err(Error::config("act", what));
            }
        };
        check_dsn(input.dsn.as_ref())?;
        let mark = key.as_deref().map(|key| ledger::mark(cx, key));
        let mail = self.mail(cx, &input, mark.as_ref())?;
        let Some(mark) = mark else {
            let known = vec![None; mail.recipients.len()];
            let delivered =
                self.deliverer.deliver(cx, &mail, input.dsn.as_ref(), known, &AtomicBool::default()).await?;
            return outcome(cx, &mail, delivered);
        };
        let page = self.ledger.page(mark);
        let mut page = page.lock().await;
        page.claim(&name, &given)?;
        let names: Vec<String> = mail.recipients.iter().map(ToString::to_string).collect();
        let (known, begun) = page.begin(&names);
        let delivered = self.deliverer.deliver(cx, &mail, input.dsn.as_ref(), known, &begun).await;
        let delivered = match delivered {
            Ok(delivered) => delivered,
            Err(error) => {
                page.take_back();
                return Err(error);
            }
        };
        page.note(names.into_iter().zip(delivered.fates.iter().cloned()));
        outcome(cx, &mail, delivered)
    }

    fn mail(&self, cx: &Context, input: &Send, mark: Option<&ledger::Mark>) -> Result<Mail> {
        let settings = &self.deliverer.gate.server.settings;
        let unique = match mark {
            Some(mark) => hex(mark),
            None => {
                let mut bytes = ledger::Mark::default();
                rand::fill(&mut bytes).map_err(|_| Error::bug("send", "there is no randomness"))?;
                hex(&bytes)
            }
        };
        let now = cx.clock().now();
        let given =
            Given { from: &settings.from, sender: settings.return_path.as_ref(), now, unique: &unique };
        let mut mail = compose(input, given)?;
        if mail.bytes.len() > settings.max_message {
            let what = format!(
                "make a mail of {} bytes: `max_message` is {}",
                mail.bytes.len(),
                settings.max_message
            );
            return Err(wrong("attachments", what));
        }
        if let Some(signer) = &settings.dkim {
            let header = signer.sign(&mail.bytes, mail.head, now)?;
            mail.bytes.splice(0..0, header.into_bytes());
        }
        Ok(mail)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_dsn(dsn: Option<&Dsn>) -> Result<()> {
    let Some(id) = dsn.and_then(|dsn| dsn.envelope_id.as_deref()) else { return Ok(()) };
    let is_id =
        (1..=LONGEST_ENVELOPE_ID).contains(&id.len()) && id.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_id { Ok(()) } else { Err(wrong("dsn.envelope_id", "is not one to 100 characters of ASCII")) }
}

fn read<T: DeserializeOwned>(input: Value) -> Result<T> {
    // The parser's words name a field, and may quote a value.
    serde_json::from_value(input).map_err(|error| {
        Error::config("act", "the input does not fit the action's schema").with_source(error)
    })
}

/// The answer to all that has become of a mail.
fn outcome(cx: &Context, mail: &Mail, delivered: Delivered) -> Result<ActionOutcome> {
    let Delivered { fates, dsn } = delivered;
    let count = |kind: Kind| fates.iter().filter(|fate| fate.kind == kind).count();
    let (accepted, unknown, deferred) = (count(Kind::Accepted), count(Kind::Unknown), count(Kind::Deferred));
    let status = match (accepted, unknown) {
        (_, 1..) => ActionStatus::Ambiguous,
        (all, _) if all == fates.len() => ActionStatus::Succeeded,
        (0, _) => ActionStatus::Failed,
        _ => ActionStatus::Partial,
    };
    let error = match status {
        ActionStatus::Succeeded => None,
        ActionStatus::Ambiguous => {
            let what = "it is unknown whether the mail was taken: look before sending it again";
            Some(Error::new(Class::Ambiguous, "send", what).with_delivery(Delivery::Unknown))
        }
        _ => Some(refusal(&fates, deferred, cx.clock().now())),
    };
    let error = error.map(|error| {
        let refused = fates.len() - accepted - unknown - deferred;
        let counts =
            [("accepted", accepted), ("deferred", deferred), ("refused", refused), ("unknown", unknown)];
        counts.into_iter().fold(error, |error, (name, count)| error.with_context(name, count))
    });
    let recipients = mail.recipients.iter().zip(fates);
    let recipients = recipients.map(|(address, fate)| recipient(address.given(), fate)).collect();
    let sent = Sent { message_id: mail.message_id.clone(), dsn, recipients };
    let output = serde_json::to_value(&sent)
        .map_err(|error| Error::bug("act", "the output cannot be written as JSON").with_source(error))?;
    let mut outcome = ActionOutcome::succeeded(output);
    (outcome.status, outcome.error) = (status, error);
    Ok(outcome)
}

/// What is said of all who did not get it: whether coming back helps comes first.
fn refusal(fates: &[Fate], deferred: usize, now: Timestamp) -> Error {
    let of = |kind: Kind| fates.iter().filter(move |fate| fate.kind == kind);
    let kind = if deferred > 0 { Kind::Deferred } else { Kind::Refused };
    let (what, otherwise) = match kind {
        Kind::Deferred => (
            "recipients were put off: send it later to them alone, with a new key and the same message_id",
            Class::Transient,
        ),
        _ => ("recipients were refused", Class::Permanent),
    };
    let class = of(kind).find_map(|fate| fate.class).unwrap_or(otherwise);
    let soonest: Option<Duration> = of(kind).filter_map(|fate| fate.retry_after).min();
    let error = Error::new(class, "send", what).with_delivery(Delivery::Answered).into_exhausted();
    let error = match of(kind).next() {
        Some(first) => error.with_context("server_says", &first.message),
        None => error,
    };
    match soonest {
        Some(wait) => error.with_retry_after(wait).with_resume_at(now + wait),
        None => error,
    }
}

fn recipient(address: &str, fate: Fate) -> Recipient {
    Recipient {
        address: address.to_owned(),
        status: match fate.kind {
            Kind::Accepted => Status::Accepted,
            Kind::Deferred => Status::Deferred,
            Kind::Refused => Status::Refused,
            Kind::Unknown => Status::Unknown,
        },
        code: fate.code,
        enhanced: fate.enhanced,
        message: fate.message,
        class: fate.class,
        retry_after_ms: fate.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
    }
}
