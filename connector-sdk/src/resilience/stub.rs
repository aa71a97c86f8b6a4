#![allow(missing_docs, missing_debug_implementations, unreachable_pub)]
use std::time::Duration;
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BudgetSettings {
    pub ratio: f64,
}
#[derive(Debug)]
pub struct RetryBudget;
impl RetryBudget {
    pub fn new(_: BudgetSettings) -> Self {
        Self
    }
    pub fn deposit(&self, _: Duration) {}
    pub fn withdraw(&self, _: Duration) -> bool {
        true
    }
    pub fn balance(&self, _: Duration) -> u32 {
        0
    }
}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AimdSettings {
    pub start: u32,
    pub min: u32,
    pub max: u32,
}
impl Default for AimdSettings {
    fn default() -> Self {
        Self { start: 4, min: 1, max: 32 }
    }
}
#[derive(Debug)]
pub struct Aimd(AimdSettings);
impl Aimd {
    pub fn new(s: AimdSettings) -> Self {
        Self(s)
    }
    pub fn limit(&self) -> u32 {
        self.0.start
    }
    pub fn on_success(&mut self, _: Duration, _: u32, _: Duration) {}
    pub fn on_overload(&mut self, _: Duration, _: Duration) {}
}
#[derive(Debug, Clone, Copy)]
pub struct Quota;
impl Quota {
    pub fn new(_: u32, _: Duration) -> Self {
        Self
    }
}
#[derive(Debug, Clone)]
pub struct QuotaKey(std::sync::Arc<str>);
impl From<String> for QuotaKey {
    fn from(s: String) -> Self {
        Self(s.into())
    }
}
impl std::fmt::Display for QuotaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct QuotaState;
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    pub remaining: u64,
    pub resets_in: Duration,
}
#[derive(Debug, Default)]
pub struct RateLimiter;
impl RateLimiter {
    pub fn admit(&self, _: &QuotaKey, _: Option<Quota>, _: Duration) -> Result<(), Duration> {
        Ok(())
    }
    pub fn pause(&self, _: &QuotaKey, _: Duration) {}
    pub fn tighten(&self, _: &QuotaKey, _: u64, _: Duration) {}
    pub fn state(&self, _: Duration) -> Vec<QuotaState> {
        vec![]
    }
}
pub mod rate_headers {
    use super::Allowance;
    pub fn parse(_: &http::HeaderMap, _: crate::Timestamp) -> Option<Allowance> {
        None
    }
}
