//! When a fault happens: rules that count the requests they match.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Fault;
use crate::random::Random;

/// What the script sees of a request.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Method in capitals.
    pub method: &'a str,
    /// Path, percent-decoding undone by nobody: as it came.
    pub path: &'a str,
    /// Query string with percent-encoding and `+` undone; empty without one.
    pub query: &'a str,
}

/// Which requests a rule is about: all conditions that were set have to hold.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    method: Option<String>,
    path: Option<String>,
    query: Option<String>,
}

impl Matcher {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests whose path contains this text.
    #[must_use]
    pub fn path(text: impl Into<String>) -> Self {
        Self { path: Some(text.into()), ..Self::default() }
    }

    /// Only with this method (capitals).
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only where the decoded query string contains this text.
    #[must_use]
    pub fn query(mut self, text: impl Into<String>) -> Self {
        self.query = Some(text.into());
        self
    }

    fn matches(&self, seen: &Seen<'_>) -> bool {
        self.method.as_deref().is_none_or(|method| method == seen.method)
            && self.path.as_deref().is_none_or(|path| seen.path.contains(path))
            && self.query.as_deref().is_none_or(|query| seen.query.contains(query))
    }
}

impl From<&str> for Matcher {
    fn from(path: &str) -> Self {
        Self::path(path)
    }
}

/// The script of one fake vendor. Cloning gives another handle on the same script.
#[derive(Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<Rules>>,
}

/// Names a rule, to ask how often it fired or to take it out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rule(u64);

#[derive(Default)]
struct Rules {
    next: u64,
    fired: u64,
    list: Vec<Entry>,
}

struct Entry {
    rule: Rule,
    matcher: Matcher,
    when: When,
    times: Option<u64>,
    fault: Fault,
    hook: Option<Hook>,
    seen: u64,
    fired: u64,
}

#[derive(Clone)]
struct Hook(Arc<dyn Fn(&Seen<'_>) + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

#[derive(Debug, Clone, Copy)]
enum When {
    /// Matching requests after the first `skip` ones.
    After { skip: u64 },
    /// Matching requests number `n`, `2n`, …
    Every { n: u64 },
    /// Each matching request with this share of a million.
    Chance { per_million: u64, random: Random },
}

impl Entry {
    fn fires(&mut self) -> bool {
        self.seen += 1;
        if self.times.is_some_and(|times| self.fired >= times) {
            return false;
        }
        let due = match &mut self.when {
            When::After { skip } => self.seen > *skip,
            When::Every { n } => self.seen.is_multiple_of(*n),
            When::Chance { per_million, random } => random.below(1_000_000) < *per_million,
        };
        if due {
            self.fired += 1;
        }
        due
    }
}

impl Faults {
    /// Begins a rule; [`Script::then`] puts it in force. Without further words it fires once, at the first
    /// request that matches. Rules are asked in the order they were made, and the first that fires wins.
    pub fn on(&self, matcher: impl Into<Matcher>) -> Script {
        Script {
            faults: self.clone(),
            matcher: matcher.into(),
            when: When::After { skip: 0 },
            times: Some(1),
            hook: None,
        }
    }

    /// What happens to this request, if anything. Counts it on every rule that matches.
    #[must_use]
    pub fn decide(&self, seen: &Seen<'_>) -> Option<Fault> {
        let mut rules = self.lock();
        let mut chosen = None;
        let mut hook = None;
        for entry in &mut rules.list {
            if entry.matcher.matches(seen) && chosen.is_none() {
                if entry.fires() {
                    chosen = Some(entry.fault.clone());
                    hook = entry.hook.clone();
                }
            } else if entry.matcher.matches(seen) {
                entry.seen += 1;
            }
        }
        rules.fired += u64::from(chosen.is_some());
        drop(rules);
        if let Some(Hook(hook)) = hook {
            hook(seen);
        }
        chosen
    }

    /// How many requests a fault happened to, over all rules there ever were.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.lock().fired
    }

    /// How often this rule fired; 0 when it was taken out.
    #[must_use]
    pub fn fired_by(&self, rule: Rule) -> u64 {
        self.lock().list.iter().find(|entry| entry.rule == rule).map_or(0, |entry| entry.fired)
    }

    /// Takes one rule out.
    pub fn remove(&self, rule: Rule) {
        self.lock().list.retain(|entry| entry.rule != rule);
    }

    /// Takes all rules out; [`Faults::fired`] keeps its count.
    pub fn clear(&self) {
        self.lock().list.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.lock();
        f.debug_struct("Faults").field("rules", &rules.list.len()).field("fired", &rules.fired).finish()
    }
}

/// A rule in the making; see [`Faults::on`].
#[derive(Debug)]
#[must_use = "a rule is in force only after `then`"]
pub struct Script {
    faults: Faults,
    matcher: Matcher,
    when: When,
    times: Option<u64>,
    hook: Option<Hook>,
}

impl Script {
    /// Does this each time the rule fires, with the request it fires at, before the fault happens: a proxy in front
    /// closes its door, a row is written, a clock goes on.
    pub fn doing(mut self, hook: impl Fn(&Seen<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Hook(Arc::new(hook)));
        self
    }

    /// Only the `number`-th matching request, counted from 1.
    pub fn nth(mut self, number: u64) -> Self {
        self.when = When::After { skip: number.saturating_sub(1) };
        self.times = Some(1);
        self
    }

    /// Leaves the first `count` matching requests in peace.
    pub fn skip(mut self, count: u64) -> Self {
        self.when = When::After { skip: count };
        self
    }

    /// Fires this often, then never again.
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }

    /// Fires without end.
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Fires at each `n`-th matching request (`n` at least 1), without end unless [`Script::times`] follows.
    pub fn every(mut self, n: u64) -> Self {
        self.when = When::Every { n: n.max(1) };
        self.times = None;
        self
    }

    /// Fires with this chance (0 to 1) at each matching request, drawn from `seed`, without end unless
    /// [`Script::times`] follows.
    pub fn with_probability(mut self, chance: f64, seed: u64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..=1 before"
        )]
        let per_million = (chance.clamp(0.0, 1.0) * 1_000_000.0) as u64;
        self.when = When::Chance { per_million, random: Random::new(seed) };
        self.times = None;
        self
    }

    /// Puts the rule in force.
    pub fn then(self, fault: Fault) -> Rule {
        let mut rules = self.faults.lock();
        rules.next += 1;
        let rule = Rule(rules.next);
        let Self { matcher, when, times, hook, .. } = &self;
        rules.list.push(Entry {
            rule,
            matcher: matcher.clone(),
            when: *when,
            times: *times,
            fault,
            hook: hook.clone(),
            seen: 0,
            fired: 0,
        });
        rule
    }
}

/// A query string as a person reads it, for the log and for matching faults.
pub(crate) fn decoded(query: &str) -> String {
    url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&")
}
