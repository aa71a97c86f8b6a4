//! What can be done: putting a message in, taking a dead letter back, enabling the endpoint, looking.

use aws_lc_rs::{digest, rand};
use connector_sdk::{
    Class, Context, Delivery, Error, Result,
    contract::{ActionOutcome, ActionRequest, ActionSpec, ActionStatus},
    http::Transport,
};
use schemars::{JsonSchema, schema_for};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    config::{LARGEST_MESSAGE, Settings},
    input::{Discarded, Enabled, Letters, Nothing, Outbox as Shown, Replayed, Send, Sent, State, wrong},
    message::{Head, Message},
    outbox::{self, Outbox, Put},
    progress::Fate,
};

/// Dead letters that are shown at once.
const SHOWN: usize = 100;

/// What is offered.
pub(super) fn specs() -> Vec<ActionSpec> {
    vec![
        // The id is drawn from the key, and the outbox knows the ids that it has.
        spec::<Send, Sent>("send").resolving(),
        spec::<Letters, Sent>("replay").idempotent(),
        spec::<Letters, Discarded>("discard").idempotent(),
        spec::<Nothing, Enabled>("enable").idempotent(),
        spec::<Nothing, Shown>("outbox").idempotent(),
    ]
}

fn spec<I: JsonSchema, O: JsonSchema>(name: &str) -> ActionSpec {
    ActionSpec::new(name, schema_for!(I), schema_for!(O))
}

/// What acts.
pub(super) struct Actor<'a> {
    pub(super) settings: &'a Settings,
    pub(super) outbox: &'a Outbox,
    pub(super) transport: &'a Transport,
}

impl Actor<'_> {
    /// Does one action.
    ///
    /// # Errors
    /// Config when there is no such action or its input is wrong; Permanent when nothing may be sent to the URL, or there is
    /// no such dead letter; Transient when the outbox is full or its disk fails; Ambiguous when the disk has failed in the
    /// middle.
    pub(super) async fn act(&self, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        let ActionRequest { name, input, idempotency_key: key, .. } = request;
        match name.as_str() {
            "send" => self.send(cx, read(input)?, key.as_deref()).await,
            "replay" => self.replay(read(input)?).await,
            "discard" => self.discard(read(input)?).await,
            "enable" => {
                let Nothing {} = read(input)?;
                done(ActionStatus::Succeeded, &Enabled { was_disabled: self.outbox.enable().await? })
            }
            "outbox" => {
                let Nothing {} = read(input)?;
                done(ActionStatus::Succeeded, &self.shown().await?)
            }
            other => {
                let what = format!("this connector has no action `{}`", other.escape_debug());
                Err(Error::config("act", what))
            }
        }
    }

    async fn send(&self, cx: &Context, input: Send, key: Option<&str>) -> Result<ActionOutcome> {
        // What can never be sent is not kept.
        self.transport.check("send", &self.settings.url)?;
        let (body, content_type) = input.content()?;
        let most = LARGEST_MESSAGE.min(self.settings.max_size / 4);
        if body.len() as u64 > most {
            return Err(wrong("payload", format!("has {} bytes: {most} are taken at most", body.len())));
        }
        let kind = input.kind()?;
        let id = match input.id {
            Some(id) => id,
            None => drawn(cx, key)?,
        };
        if !self.settings.signer.accepts(&id) {
            return Err(wrong(
                "id",
                "cannot be signed: 1 to 255 characters of ASCII without spaces or full stops can",
            ));
        }
        // Its place is given when it is put in.
        let head = Head { id: id.clone(), kind, content_type, accepted_at: cx.clock().now(), order: 0 };
        let state = match self.outbox.put(Message { head, body }).await? {
            Put::Kept | Put::Waits => State::Waiting,
            Put::Ended(Fate::Delivered) => State::Delivered,
            Put::Ended(Fate::Dead) => {
                let error = Error::permanent("send", "this message is a dead letter: replay it")
                    .with_delivery(Delivery::Answered)
                    .with_context("id", &id);
                let mut outcome = done(ActionStatus::Failed, &Sent { id, state: State::Dead })?;
                outcome.error = Some(error);
                return Ok(outcome);
            }
            Put::Taken => {
                let what = "is that of another message: one with another body, type or content type";
                return Err(wrong("id", what).with_context("id", id));
            }
            Put::Full => {
                let what = "the outbox is full: it takes messages again when some were delivered";
                return Err(Error::transient("send", what).with_context("max_size", self.settings.max_size));
            }
            Put::Unsure(why) => {
                let what = "the disk of the outbox has failed, and nobody knows whether the message is kept: send it \
                            again with the same id";
                return Err(Error::new(Class::Ambiguous, "send", what)
                    .with_delivery(Delivery::Unknown)
                    .with_context("id", id)
                    .with_context("disk", why));
            }
        };
        let status = if state == State::Delivered { ActionStatus::Succeeded } else { ActionStatus::Accepted };
        done(status, &Sent { id, state })
    }

    async fn replay(&self, input: Letters) -> Result<ActionOutcome> {
        match input {
            Letters { id: Some(id), all: false } => {
                let state = match self.outbox.replay(id.clone()).await? {
                    outbox::Replay::Replayed | outbox::Replay::Waits => State::Waiting,
                    outbox::Replay::Delivered => State::Delivered,
                    outbox::Replay::Dying => {
                        let what = "its end is being told: a run has to be going on; then replay it again";
                        return Err(Error::transient("replay", what).with_context("id", id));
                    }
                    outbox::Replay::Unknown => {
                        return Err(
                            Error::permanent("replay", "there is no such dead letter").with_context("id", id)
                        );
                    }
                };
                let waits = state == State::Waiting;
                let status = if waits { ActionStatus::Accepted } else { ActionStatus::Succeeded };
                done(status, &Sent { id, state })
            }
            Letters { id: None, all: true } => {
                let mut replayed = 0;
                for letter in self.outbox.standing().await?.dead {
                    // One that was given up meanwhile is none any more.
                    replayed += usize::from(self.outbox.replay(letter.id).await? == outbox::Replay::Replayed);
                }
                done(ActionStatus::Accepted, &Replayed { replayed })
            }
            _ => Err(wrong("id", "or `all` is needed, and only one of them")),
        }
    }

    async fn discard(&self, input: Letters) -> Result<ActionOutcome> {
        let ids = match input {
            Letters { id: Some(id), all: false } => vec![id],
            Letters { id: None, all: true } => {
                self.outbox.standing().await?.dead.into_iter().map(|letter| letter.id).collect()
            }
            _ => return Err(wrong("id", "or `all` is needed, and only one of them")),
        };
        let mut discarded = 0;
        for id in ids {
            discarded += usize::from(self.outbox.discard(id).await?);
        }
        done(ActionStatus::Succeeded, &Discarded { discarded })
    }

    async fn shown(&self) -> Result<Shown> {
        let outbox::Standing { ledger, waiting, damaged, mut dead, is_held, disabled } =
            self.outbox.standing().await?;
        let count = dead.len();
        dead.truncate(SHOWN);
        Ok(Shown {
            waiting,
            dead: count,
            damaged,
            bytes: ledger.bytes,
            max_size: self.settings.max_size,
            held: is_held,
            disabled: disabled.map(Into::into),
            dead_letters: dead,
        })
    }
}

/// An id: the same for the same key.
fn drawn(cx: &Context, key: Option<&str>) -> Result<String> {
    let mut bytes = [0; 16];
    match key {
        Some(key) => {
            // The parts cannot run into each other.
            let of = format!("{:?} {:?} {key:?}", cx.tenant(), cx.connection());
            let hash = digest::digest(&digest::SHA256, of.as_bytes());
            bytes.iter_mut().zip(hash.as_ref()).for_each(|(byte, drawn)| *byte = *drawn);
        }
        None => rand::fill(&mut bytes).map_err(|_| Error::bug("send", "there is no randomness"))?,
    }
    Ok(bytes.iter().fold("msg_".to_owned(), |id, byte| format!("{id}{byte:02x}")))
}

fn read<T: DeserializeOwned>(input: Value) -> Result<T> {
    // The parser's words name a field, and may quote a value.
    serde_json::from_value(input).map_err(|error| {
        Error::config("act", "the input does not fit the action's schema").with_source(error)
    })
}

fn done<T: Serialize>(status: ActionStatus, output: &T) -> Result<ActionOutcome> {
    let output = serde_json::to_value(output)
        .map_err(|error| Error::bug("act", "the output cannot be written as JSON").with_source(error))?;
    let mut outcome = ActionOutcome::succeeded(output);
    outcome.status = status;
    Ok(outcome)
}
