//! What a template or an agent can do in the workspace.
//!
//! The vendor has no idempotency key. What may be done twice is done again when an answer is lost; a message is sent once,
//! and looked for before it would be sent again ([`send`]).

mod input;
mod send;
mod upload;

use std::sync::Arc;

use connector_sdk::{
    Class, Context, Error, Result,
    contract::{ActionOutcome, ActionRequest, ActionSpec},
    resilience::{Backoff, Jitter},
};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use self::input::{Delete, FindUser, Found, React, Send, Touched, Update, Upload, Uploaded};
use crate::{
    api::{self, Api},
    fault,
    method::{DELETE, REACT, UPDATE, USER_BY_EMAIL},
};

pub(crate) use self::{send::Posts, upload::UploadHost};

/// What acts.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) api: Arc<Api>,
    pub(crate) posts: Posts,
    pub(crate) upload: UploadHost,
}

/// What is offered.
pub(crate) fn specs() -> Vec<ActionSpec> {
    vec![
        spec::<Send, Touched>("send").resolving(),
        spec::<Update, Touched>("update").idempotent(),
        spec::<Delete, Touched>("delete"),
        spec::<React, Touched>("react").idempotent(),
        spec::<Upload, Uploaded>("upload"),
        spec::<FindUser, Found>("find_user").idempotent(),
    ]
}

fn spec<I: JsonSchema, O: JsonSchema>(name: &str) -> ActionSpec {
    ActionSpec::new(name, schema_for!(I), schema_for!(O))
}

/// The head of an answer about a message.
#[derive(Deserialize)]
struct Answered {
    channel: Option<String>,
    ts: Option<String>,
}

#[derive(Deserialize)]
struct AnsweredUser {
    user: Value,
}

impl Actor {
    /// Does one action.
    ///
    /// # Errors
    /// Config when there is no such action or its input is wrong; Ambiguous when nobody knows whether it was done; else
    /// as the vendor answers.
    pub(crate) async fn act(&self, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        let ActionRequest { name, input, idempotency_key: key, begun_at, .. } = request;
        match name.as_str() {
            "send" => done(&self.send(cx, read(input)?, key.as_deref(), begun_at).await?),
            "update" => done(&self.update(cx, read(input)?).await?),
            "delete" => done(&self.delete(cx, read(input)?).await?),
            "react" => done(&self.react(cx, read(input)?).await?),
            "upload" => done(&self.upload(cx, read(input)?).await?),
            "find_user" => done(&self.find_user(cx, read(input)?).await?),
            other => {
                Err(Error::config("act", format!("this connector has no action `{}`", other.escape_debug())))
            }
        }
    }

    /// Changing a message to what it is already changes nothing: asked again when an answer is lost.
    async fn update(&self, cx: &Context, input: Update) -> Result<Touched> {
        let response = self.api.post(cx, &UPDATE, &input).await?;
        let answer: Answered = api::decode(&response, UPDATE.name)?;
        Ok(Touched { channel: answer.channel.unwrap_or(input.channel), ts: answer.ts.unwrap_or(input.ts) })
    }

    /// That the message is not there is an error at first, and what was wanted once an answer was lost.
    async fn delete(&self, cx: &Context, input: Delete) -> Result<Touched> {
        let settings = cx.resilience();
        let backoff = Backoff { base: settings.base_delay, cap: settings.max_delay };
        let jitter = Jitter::new(cx.seed());
        for attempt in 1.. {
            let error = match self.api.post(cx, &DELETE, &input).await {
                Ok(_) => break,
                Err(error) => error,
            };
            if attempt > 1 && fault::has_code(&error, "message_not_found") {
                break;
            }
            if error.class() != Class::Ambiguous {
                return Err(error);
            }
            if attempt >= settings.max_attempts || cx.is_stopping() {
                return Err(error.with_class(Class::Transient).into_exhausted());
            }
            cx.clock().sleep(backoff.wait(attempt, jitter.draw())).await;
        }
        Ok(Touched { channel: input.channel, ts: input.ts })
    }

    /// That we have reacted so already is what was wanted.
    async fn react(&self, cx: &Context, input: React) -> Result<Touched> {
        let arguments = json!({ "channel": input.channel, "timestamp": input.ts, "name": input.name });
        match self.api.post(cx, &REACT, &arguments).await {
            Err(error) if !fault::has_code(&error, "already_reacted") => Err(error),
            _ => Ok(Touched { channel: input.channel, ts: input.ts }),
        }
    }

    async fn find_user(&self, cx: &Context, input: FindUser) -> Result<Found> {
        let answer: AnsweredUser = self.api.ask(cx, &USER_BY_EMAIL, &[("email", &input.email)]).await?;
        let id = answer.user.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Found { id, user: answer.user })
    }
}

fn read<T: DeserializeOwned>(input: Value) -> Result<T> {
    // The parser's words name a field, and may quote a value.
    serde_json::from_value(input).map_err(|error| {
        Error::config("act", "the input does not fit the action's schema").with_source(error)
    })
}

fn done(output: &impl Serialize) -> Result<ActionOutcome> {
    let output = serde_json::to_value(output)
        .map_err(|error| Error::bug("act", "the output cannot be written as JSON").with_source(error))?;
    Ok(ActionOutcome::succeeded(output))
}
