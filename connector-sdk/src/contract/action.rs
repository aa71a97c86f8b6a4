//! Writing back: what a connector can do in the outside system besides being read.

use schemars::Schema;
use serde::{Deserialize, Serialize};

use crate::{Error, Timestamp};

/// An action that a connector offers.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ActionSpec {
    /// Its name, such as `create`.
    pub name: String,
    /// JSON Schema of its input.
    pub input: Schema,
    /// JSON Schema of its output.
    pub output: Schema,
    /// Doing it twice with the same input is the same as doing it once.
    pub idempotent: bool,
    /// With an idempotency key, it finds out by itself whether an earlier call did it ([`ActionRequest::begun_at`]).
    pub resolves: bool,
}

impl ActionSpec {
    /// An action of that name, which is not idempotent.
    pub fn new(name: impl Into<String>, input: Schema, output: Schema) -> Self {
        Self { name: name.into(), input, output, idempotent: false, resolves: false }
    }

    /// Says that doing it twice is the same as doing it once.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Says that it looks whether an earlier call with the same key did it, before it does it: a host then asks it again
    /// where the answer of that call is not known, instead of answering that nobody knows.
    #[must_use]
    pub fn resolving(mut self) -> Self {
        self.resolves = true;
        self
    }
}

/// An action to be done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ActionRequest {
    /// Which one.
    pub name: String,
    /// Its input.
    pub input: serde_json::Value,
    /// With the same key the action is done once, however often it is asked for.
    pub idempotency_key: Option<String>,
    /// An earlier call with this key began then, and what came of it is not known: its process died, or the vendor's
    /// answer was lost. It may even be going on. Set only for an action that [resolves](ActionSpec::resolves) that.
    pub begun_at: Option<Timestamp>,
}

impl ActionRequest {
    /// Asks for the action of that name.
    pub fn new(name: impl Into<String>, input: serde_json::Value) -> Self {
        Self { name: name.into(), input, idempotency_key: None, begun_at: None }
    }

    /// Makes asking twice the same as asking once.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Says that an earlier call with the key began then, with an outcome that is not known.
    #[must_use]
    pub fn after_unknown(mut self, begun_at: Timestamp) -> Self {
        self.begun_at = Some(begun_at);
        self
    }
}

/// What came of an action.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct ActionOutcome {
    /// In one word.
    pub status: ActionStatus,
    /// What the vendor answered; names what was touched.
    pub output: serde_json::Value,
    /// Why it did not succeed.
    pub error: Option<Error>,
}

impl ActionOutcome {
    /// It succeeded, with this output.
    #[must_use]
    pub fn succeeded(output: serde_json::Value) -> Self {
        Self { status: ActionStatus::Succeeded, output, error: None }
    }
}

/// What came of an action, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionStatus {
    /// All of it was done.
    Succeeded,
    /// Some of many records or recipients.
    Partial,
    /// It is durable in an outbox, and a run delivers it.
    Accepted,
    /// Nothing was done.
    Failed,
    /// Nobody knows whether it was done.
    Ambiguous,
}
