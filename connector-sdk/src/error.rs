//! One error type, which tells its reader what to do next.
//!
//! An [`Error`] answers four questions: what kind of failure it is ([`Class`]), whether the request may
//! have taken effect ([`Delivery`]), when to come back ([`Error::retry_after`], [`Error::resume_at`]),
//! and what was being done ([`Error::operation`] and the context). It is one word wide, so a `Result`
//! stays small. Display is one line, never the chain of sources, never a secret.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use crate::clock::Timestamp;

/// What every fallible function here returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; it decides who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Class {
    /// The configuration is wrong: a person has to change it. Never retried. Example: an unknown key.
    Config,
    /// The vendor does not accept who we are. A person has to authorise again, unless the credential
    /// could be renewed, which has then already been tried. Example: a revoked refresh token.
    Auth,
    /// It may work in a moment. Retried within the attempts and the deadline. Example: 503, a reset.
    Transient,
    /// The vendor asks us to slow down. Retried after the wait it asks for, or the run ends with
    /// `resume_at`. Example: 429, a daily quota.
    RateLimited,
    /// The data is not as declared. The host applies the stream's drift policy. Example: a field is gone.
    Schema,
    /// The vendor has understood and says no; the same request will fail again. Example: 404.
    Permanent,
    /// A write may or may not have happened. Never repeated blindly. Example: a POST whose answer was lost.
    Ambiguous,
    /// Our own mistake, or a connector's. Report it. Example: records that no state covers.
    Bug,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Whether the outside system may have acted on the request: may a write be repeated?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Delivery {
    /// It never left, or was provably not read. Repeating is safe.
    NotSent,
    /// It left, and no answer came. Repeating is safe only for idempotent requests.
    Unknown,
    /// The outside system answered; the class says what.
    Answered,
}

/// A failure. See the [module](self) for how to read one.
///
/// ```
/// use connector_sdk::{Class, Delivery, Error};
/// let error = Error::new(Class::Transient, "query", "the vendor answered 503")
///     .with_delivery(Delivery::Answered)
///     .with_context("stream", "Contact");
/// assert_eq!(error.to_string(), "query: the vendor answered 503 (stream: Contact)");
/// assert!(size_of::<Error>() == size_of::<usize>());
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    class: Class,
    delivery: Delivery,
    operation: Cow<'static, str>,
    message: String,
    context: Vec<(&'static str, String)>,
    retry_after: Option<Duration>,
    resume_at: Option<Timestamp>,
    exhausted: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of `operation`. The message says what happened and what to do, in one line.
    #[must_use]
    pub fn new(class: Class, operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            class,
            delivery: Delivery::NotSent,
            operation: operation.into(),
            message: message.into(),
            context: Vec::new(),
            retry_after: None,
            resume_at: None,
            exhausted: false,
            source: None,
        }))
    }

    /// [`Class::Config`].
    #[must_use]
    pub fn config(operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Class::Config, operation, message)
    }

    /// [`Class::Permanent`].
    #[must_use]
    pub fn permanent(operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Class::Permanent, operation, message)
    }

    /// [`Class::Transient`].
    #[must_use]
    pub fn transient(operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Class::Transient, operation, message)
    }

    /// [`Class::Bug`].
    #[must_use]
    pub fn bug(operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Class::Bug, operation, message)
    }

    /// Says whether the request may have taken effect.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.0.delivery = delivery;
        self
    }

    /// Changes the class; for a layer that knows more than the one below.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    /// Adds a fact that helps to find the cause. Never a secret, never personal data.
    #[must_use]
    pub fn with_context(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((name, value.to_string()));
        self
    }

    /// The vendor asked for this wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Nothing will work before this instant (a daily quota, a long Retry-After).
    #[must_use]
    pub fn with_resume_at(mut self, at: Timestamp) -> Self {
        self.0.resume_at = Some(at);
        self
    }

    /// Keeps the cause for those who log the chain.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// An inner layer has used up its attempts: an outer one must not try again.
    #[must_use]
    pub fn into_exhausted(mut self) -> Self {
        self.0.exhausted = true;
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// Whether the request may have taken effect.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// What happened and what to do, without operation and context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The facts added on the way up, in order.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The wait the vendor asked for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The instant before which nothing will work.
    #[must_use]
    pub fn resume_at(&self) -> Option<Timestamp> {
        self.0.resume_at
    }

    /// True when an inner layer has used up its attempts.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.0.exhausted
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.message)?;
        for (index, (name, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{name}: {value}", if index == 0 { " (" } else { ", " })?;
        }
        if self.0.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {:?}", self, self.0.class, self.0.delivery)?;
        if let Some(wait) = self.0.retry_after {
            write!(f, ", retry after {wait:?}")?;
        }
        if let Some(at) = self.0.resume_at {
            write!(f, ", resume at {at}")?;
        }
        f.write_str(if self.0.exhausted { ", exhausted]" } else { "]" })?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "\n  because: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let context: serde_json::Map<String, serde_json::Value> =
            self.0.context.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let mut out = serializer.serialize_struct("Error", 7)?;
        out.serialize_field("class", &self.0.class)?;
        out.serialize_field("delivery", &self.0.delivery)?;
        out.serialize_field("operation", &self.0.operation)?;
        out.serialize_field("message", &self.0.message)?;
        out.serialize_field("context", &context)?;
        out.serialize_field("retry_after_ms", &self.0.retry_after.map(|wait| wait.as_millis()))?;
        out.serialize_field("resume_at", &self.0.resume_at)?;
        out.end()
    }
}

#[cfg(test)]
mod tests;
