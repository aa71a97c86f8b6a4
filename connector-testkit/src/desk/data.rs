//! The tickets, the sessions, and what was written with which key.

use std::collections::{BTreeMap, BTreeSet};

use connector_sdk::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::random::Random;

/// 2027-01-15T08:00:00Z: the time of the first ticket.
const BEGINNING: i64 = 1_800_000_000_000;
/// Tickets wait in so many queues.
pub(super) const QUEUES: u64 = 3;

/// A ticket as the desk serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ticket {
    /// Its number.
    pub id: u64,
    /// What it is about.
    pub subject: String,
    /// `open`, `pending` or `closed`.
    pub status: &'static str,
    /// A number larger than a float can hold, as ids of vendors are.
    pub external_id: u64,
    /// Who asked, or nobody.
    pub requester: Option<String>,
    /// How often it was changed.
    pub revision: u64,
    /// When it was changed; several share one time.
    pub changed_at: Timestamp,
    /// It is no more.
    pub deleted: bool,
    /// How urgent it is; from when the desk has such a field, see [`add_priority`](super::FakeDesk::add_priority).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u64>,
}

impl Ticket {
    /// The queue it waits in, of [`QUEUES`].
    pub(super) fn queue(&self) -> u64 {
        self.id % QUEUES
    }
}

pub(super) struct Data {
    random: Random,
    /// Milliseconds; each change that is made goes on by one second.
    now: i64,
    tickets: BTreeMap<u64, Ticket>,
    live_tokens: BTreeSet<String>,
    tokens: Vec<String>,
    written: BTreeMap<String, Value>,
    writes: u64,
    has_priority: bool,
    /// In each queue, up to where tickets are served no more.
    forgotten: BTreeMap<u64, (Timestamp, u64)>,
    /// How many pages lead in a circle, and the links of these pages.
    circle: Option<(usize, Vec<String>)>,
}

impl Data {
    pub(super) fn new(seed: u64, tickets: usize) -> Self {
        let mut data = Self {
            random: Random::new(seed),
            now: BEGINNING,
            tickets: BTreeMap::new(),
            live_tokens: BTreeSet::new(),
            tokens: Vec::new(),
            written: BTreeMap::new(),
            writes: 0,
            has_priority: false,
            forgotten: BTreeMap::new(),
            circle: None,
        };
        data.open(tickets);
        data
    }

    pub(super) fn in_order(&self) -> Vec<Ticket> {
        let mut tickets: Vec<_> = self.tickets.values().cloned().collect();
        tickets.sort_by_key(|ticket| (ticket.changed_at, ticket.id));
        tickets
    }

    /// Seven in a row share a time, so that a page of any size ends between equals.
    pub(super) fn open(&mut self, count: usize) {
        for index in 0..count {
            if index % 7 == 0 {
                self.now += 1000;
            }
            self.open_one(None);
        }
    }

    pub(super) fn open_one(&mut self, subject: Option<String>) -> Ticket {
        let id = self.tickets.len() as u64 + 1;
        let word =
            self.random.pick(&["printer", "password", "größe", "emoji \u{1f5a8}", "\"quoted\"", "tab\there"]);
        let named = self.random.percent(80);
        let ticket = Ticket {
            id,
            subject: subject.unwrap_or_else(|| format!("{word} {id}")),
            status: self.random.pick(&["open", "pending", "closed"]),
            external_id: u64::MAX - id,
            requester: named.then(|| format!("user-{}", self.random.below(50))),
            revision: 1,
            changed_at: Timestamp::from_millis(self.now),
            deleted: false,
            priority: self.has_priority.then_some(id % 5),
        };
        self.tickets.insert(id, ticket.clone());
        ticket
    }

    pub(super) fn touch(&mut self, count: usize) {
        self.change(count, |ticket| ticket.subject.push_str(" (again)"));
    }

    pub(super) fn delete(&mut self, count: usize) {
        self.change(count, |ticket| ticket.deleted = true);
    }

    /// Changes tickets that are alive, drawn by chance, all at one instant.
    fn change(&mut self, count: usize, change: impl Fn(&mut Ticket)) {
        self.now += 1000;
        let now = Timestamp::from_millis(self.now);
        for _ in 0..count {
            let alive: Vec<u64> = self
                .tickets
                .values()
                .filter(|ticket| !ticket.deleted && ticket.changed_at != now)
                .map(|ticket| ticket.id)
                .collect();
            let drawn = usize::try_from(self.random.below(alive.len() as u64)).unwrap_or_default();
            if let Some(ticket) = alive.get(drawn).and_then(|id| self.tickets.get_mut(id)) {
                change(ticket);
                ticket.revision += 1;
                ticket.changed_at = now;
            }
        }
    }

    /// From now on each ticket has a priority; none counts as changed.
    pub(super) fn add_priority(&mut self) {
        self.has_priority = true;
        for ticket in self.tickets.values_mut() {
            ticket.priority = Some(ticket.id % 5);
        }
    }

    pub(super) fn set_clock(&mut self, at: Timestamp) {
        self.now = at.as_millis();
    }

    /// Serves no more what stands in the queue up to this place. Whoever says less than before changes nothing.
    pub(super) fn forget(&mut self, queue: u64, place: (Timestamp, u64)) {
        let known = self.forgotten.entry(queue).or_insert(place);
        *known = place.max(*known);
    }

    pub(super) fn is_forgotten(&self, ticket: &Ticket) -> bool {
        let place = (ticket.changed_at, ticket.id);
        self.forgotten.get(&ticket.queue()).is_some_and(|forgotten| place <= *forgotten)
    }

    pub(super) fn circle(&mut self, pages: usize) {
        self.circle = Some((pages.max(1), Vec::new()));
    }

    /// Where the page with this link leads, which would lead to `next`.
    pub(super) fn leads_to(&mut self, link: &str, next: String) -> String {
        let Some((pages, links)) = &mut self.circle else { return next };
        if links.len() < *pages {
            links.push(next.clone());
            return next;
        }
        let place = links.iter().position(|known| known == link).map_or(0, |place| (place + 1) % *pages);
        links[place].clone()
    }

    pub(super) fn new_token(&mut self) -> String {
        let token = format!("canary-7f3a9c-desk-token-{:016x}", self.random.next());
        self.live_tokens.insert(token.clone());
        self.tokens.push(token.clone());
        token
    }

    pub(super) fn knows_token(&self, token: &str) -> bool {
        self.live_tokens.contains(token)
    }

    pub(super) fn forget_token(&mut self, token: &str) {
        self.live_tokens.remove(token);
    }

    pub(super) fn expire_tokens(&mut self) {
        self.live_tokens.clear();
    }

    pub(super) fn tokens(&self) -> Vec<String> {
        self.tokens.clone()
    }

    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// Makes a ticket, or answers what was made with this key.
    pub(super) fn write(&mut self, key: Option<&str>, subject: String) -> Value {
        if let Some(made) = key.and_then(|key| self.written.get(key)) {
            return made.clone();
        }
        self.now += 1000;
        self.writes += 1;
        let made = serde_json::to_value(self.open_one(Some(subject))).unwrap_or_default();
        if let Some(key) = key {
            self.written.insert(key.to_owned(), made.clone());
        }
        made
    }
}
