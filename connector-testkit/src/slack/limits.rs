//! Budgets, kept apart by method, and for posts by channel (B2).

use std::collections::{HashMap, VecDeque};

use super::methods::{Method, Tier};
use super::reply::Refusal;

const MINUTE: i64 = 60_000;
/// Methods that the change of 29 May 2025 is about.
const SLOWED: &[&str] = &["conversations.history", "conversations.replies"];
/// Objects on one page of those, at most and without `limit`.
pub(super) const SLOW_OBJECTS: usize = 15;

#[derive(Debug, Default)]
pub(super) struct Limits {
    /// The tiers are enforced.
    pub(super) tiers: bool,
    /// The app is one of those that get one request a minute and 15 objects.
    pub(super) slow: bool,
    /// When calls of the last minute were let through, by method, and by channel for posts.
    passed: HashMap<(&'static str, String), VecDeque<i64>>,
    /// Calls that were refused with a 429.
    pub(super) refused: u64,
}

impl Limits {
    pub(super) fn slows(&self, method: &Method) -> bool {
        self.slow && SLOWED.contains(&method.name)
    }

    /// Lets a call through, or says after how many seconds it may come again. Refused calls are not counted: whether
    /// the vendor counts them is not recorded.
    pub(super) fn pass(&mut self, method: &Method, channel: Option<&str>, now: i64) -> Result<(), Refusal> {
        let (most, span, key) = match method.tier {
            _ if self.slows(method) => (1, MINUTE, ""),
            _ if !self.tiers => return Ok(()),
            Tier::Special if method.name == "chat.postMessage" => (1, 1_000, channel.unwrap_or_default()),
            tier => match tier.a_minute() {
                Some(calls) => (calls, MINUTE, ""),
                None => return Ok(()),
            },
        };
        let passed = self.passed.entry((method.name, key.to_owned())).or_default();
        while passed.front().is_some_and(|at| at + span <= now) {
            passed.pop_front();
        }
        match passed.front() {
            Some(oldest) if passed.len() >= most => {
                self.refused += 1;
                let seconds = (oldest + span - now + 999) / 1000;
                Err(Refusal::limited(u64::try_from(seconds).unwrap_or(1)))
            }
            _ => {
                passed.push_back(now);
                Ok(())
            }
        }
    }
}
