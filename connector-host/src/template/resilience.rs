//! The `resilience:` section over the defaults of the environment over our own.

use std::{num::NonZeroU32, time::Duration};

use connector_sdk::{ByteSize, Error, Period, Result, resilience::Resilience};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::Variables;

/// Overrides of how failures of the outside system are met.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ResilienceSection {
    /// How often a request is tried in all.
    max_attempts: Option<NonZeroU32>,
    /// The first wait between attempts.
    base_delay: Option<Period>,
    /// The longest wait between attempts that we choose ourselves.
    max_delay: Option<Period>,
    /// The limit of one attempt.
    timeout: Option<Period>,
    /// The limit of connecting.
    connect_timeout: Option<Period>,
    /// The longest silence within a body.
    idle_timeout: Option<Period>,
    /// The limit of an operation: all attempts and waits.
    deadline: Option<Period>,
    /// The largest body, as sent.
    max_body: Option<ByteSize>,
    /// The largest body, decompressed.
    max_decompressed_body: Option<ByteSize>,
    /// How many of a hundred requests may be tried again, counted over ten seconds.
    #[schemars(range(max = 100))]
    retry_percent: Option<u8>,
    /// How many connects in a row have to fail until the vendor is not asked for a while.
    breaker_threshold: Option<NonZeroU32>,
    /// How many of a hundred calls have to fail, of twenty or more in thirty seconds, to the same end.
    #[schemars(range(min = 1, max = 100))]
    breaker_percent: Option<u8>,
    /// For how long it is not asked the first time; the time doubles while it does not come back.
    breaker_open: Option<Period>,
    /// For how long at most.
    breaker_max_open: Option<Period>,
    /// How many requests are under way at once at most; fewer while the vendor is slow.
    max_concurrency: Option<NonZeroU32>,
    /// `off` lifts our own pacing; what the vendor asks for is obeyed all the same.
    rate: Option<Rate>,
}

/// The one word that `rate` knows.
struct Rate;

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // YAML 1.1 readers take `off` for false; ours does not, but JSON templates may say so.
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["off", false] })
    }
}

impl ResilienceSection {
    /// These settings over `defaults`.
    ///
    /// # Errors
    /// Field and text of what is wrong.
    pub(super) fn over(self, defaults: Resilience) -> Result<Resilience, (&'static str, String)> {
        let mut settings = defaults;
        settings.max_attempts = self.max_attempts.map_or(settings.max_attempts, NonZeroU32::get);
        let periods: [(&'static str, Option<Period>, &mut Duration); 8] = [
            ("base_delay", self.base_delay, &mut settings.base_delay),
            ("max_delay", self.max_delay, &mut settings.max_delay),
            ("timeout", self.timeout, &mut settings.attempt_timeout),
            ("connect_timeout", self.connect_timeout, &mut settings.connect_timeout),
            ("idle_timeout", self.idle_timeout, &mut settings.idle_timeout),
            ("deadline", self.deadline, &mut settings.deadline),
            ("breaker_open", self.breaker_open, &mut settings.breaker.open),
            ("breaker_max_open", self.breaker_max_open, &mut settings.breaker.max_open),
        ];
        for (field, given, setting) in periods {
            let Some(Period(given)) = given else { continue };
            // Waiting for no time is a choice; allowing no time is a mistake.
            if given.is_zero() && !field.ends_with("delay") {
                return Err((field, format!("`resilience.{field}` must be longer than nothing")));
            }
            *setting = given;
        }
        for (field, given, least) in
            [("retry_percent", self.retry_percent, 0), ("breaker_percent", self.breaker_percent, 1)]
        {
            if given.is_some_and(|percent| percent < least || percent > 100) {
                return Err((field, format!("`resilience.{field}` must be from {least} to 100")));
            }
        }
        if let Some(percent) = self.retry_percent {
            settings.retry_budget.ratio = f64::from(percent) / 100.0;
        }
        if let Some(percent) = self.breaker_percent {
            settings.breaker.failure_ratio = f64::from(percent) / 100.0;
        }
        if let Some(threshold) = self.breaker_threshold {
            settings.breaker.connect_failures = threshold.get();
        }
        settings.breaker.max_open = settings.breaker.max_open.max(settings.breaker.open);
        if let Some(max) = self.max_concurrency {
            settings.concurrency.max = max.get();
            settings.concurrency.start = settings.concurrency.start.min(max.get());
        }
        settings.paced = self.rate.is_none();
        for (field, given, setting) in [
            ("max_body", self.max_body, &mut settings.max_body),
            ("max_decompressed_body", self.max_decompressed_body, &mut settings.max_decompressed_body),
        ] {
            let Some(ByteSize(given)) = given else { continue };
            if given == 0 {
                return Err((field, format!("`resilience.{field}` must be larger than nothing")));
            }
            *setting = given;
        }
        nested(
            &mut settings,
            [self.connect_timeout.is_some(), self.timeout.is_some(), self.deadline.is_some()],
        )?;
        Ok(settings)
    }
}

/// Connecting ends within an attempt, an attempt within its operation, and a probe of the breaker not before
/// the attempt that it is. What the template says (connect timeout, timeout, deadline) may not contradict
/// this; what it leaves out gives way.
fn nested(
    settings: &mut Resilience,
    [connect, timeout, deadline]: [bool; 3],
) -> Result<(), (&'static str, String)> {
    if settings.attempt_timeout > settings.deadline {
        let limit = settings.deadline;
        match (timeout, deadline) {
            (true, _) => {
                return Err((
                    "timeout",
                    format!(
                        "`resilience.timeout` must not be longer than `resilience.deadline`, which is {limit:?}"
                    ),
                ));
            }
            (false, true) => settings.attempt_timeout = limit,
            (false, false) => {
                return Err((
                    "deadline",
                    format!(
                        "the variable {TIMEOUT} must not be longer than `resilience.deadline`, which is {limit:?}: \
                         lower the one, or raise the other"
                    ),
                ));
            }
        }
    }
    if settings.connect_timeout > settings.attempt_timeout {
        let limit = settings.attempt_timeout;
        if connect {
            let message = format!(
                "`resilience.connect_timeout` must not be longer than `resilience.timeout`, which is {limit:?}"
            );
            return Err(("connect_timeout", message));
        }
        settings.connect_timeout = limit;
    }
    settings.breaker.probe_timeout = settings.breaker.probe_timeout.max(settings.attempt_timeout);
    Ok(())
}

/// The limit of an attempt, in milliseconds.
const TIMEOUT: &str = "CONNECTOR_TIMEOUT_MS";

/// The defaults with what the environment says: `CONNECTOR_RETRY_MAX_ATTEMPTS`,
/// `CONNECTOR_RETRY_BASE_DELAY_MS`, `CONNECTOR_TIMEOUT_MS`, `CONNECTOR_CIRCUIT_BREAKER_THRESHOLD`.
///
/// # Errors
/// Config naming the variable that is no whole number, or too small.
pub(super) fn from_environment(variables: &Variables) -> Result<Resilience> {
    let number = |name: &str, least: u64| -> Result<Option<u64>> {
        let Some(text) = variables.env(name) else { return Ok(None) };
        match text.trim().parse::<u64>() {
            Ok(value) if value >= least && value <= u64::from(u32::MAX) => Ok(Some(value)),
            _ => Err(Error::config(
                "read environment",
                format!("the variable {name} must be a whole number from {least} to {}", u32::MAX),
            )
            .with_context("variable", name)),
        }
    };
    let mut settings = Resilience::default();
    if let Some(attempts) = number("CONNECTOR_RETRY_MAX_ATTEMPTS", 1)? {
        settings.max_attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    }
    if let Some(millis) = number("CONNECTOR_RETRY_BASE_DELAY_MS", 0)? {
        settings.base_delay = Duration::from_millis(millis);
    }
    if let Some(millis) = number(TIMEOUT, 1)? {
        settings.attempt_timeout = Duration::from_millis(millis);
    }
    if let Some(failures) = number("CONNECTOR_CIRCUIT_BREAKER_THRESHOLD", 1)? {
        settings.breaker.connect_failures = u32::try_from(failures).unwrap_or(u32::MAX);
    }
    Ok(settings)
}
