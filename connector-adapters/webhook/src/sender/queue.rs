//! Which message is next. Pure: what waits stands in memory, without its body.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use connector_sdk::Timestamp;

use super::{outbox::Waiting, schedule::Schedule};

/// A place: the order in which messages were accepted, and a name where two have one place.
type Place = (u64, Arc<str>);

/// What waits.
#[derive(Debug)]
pub(super) struct Queue {
    /// One at a time, in the order of places.
    ordered: bool,
    /// How many may be under way.
    limit: usize,
    waiting: BTreeMap<Place, (Timestamp, Waiting)>,
    by_due: BTreeSet<(Timestamp, Place)>,
    under_way: BTreeSet<Arc<str>>,
}

impl Queue {
    pub(super) fn new(ordered: bool, limit: usize) -> Self {
        let limit = if ordered { 1 } else { limit };
        Self { ordered, limit, waiting: BTreeMap::new(), by_due: BTreeSet::new(), under_way: BTreeSet::new() }
    }

    /// One more waits, until it is due. One that is here already is not taken twice.
    pub(super) fn add(&mut self, waiting: Waiting, due: Timestamp) {
        let place = (waiting.order, Arc::clone(&waiting.name));
        if self.under_way.contains(&waiting.name) || self.waiting.contains_key(&place) {
            return;
        }
        self.by_due.insert((due, place.clone()));
        self.waiting.insert(place, (due, waiting));
    }

    /// The next that is due; it is under way from now on, until [`back`](Self::back) or [`gone`](Self::gone).
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Waiting> {
        if self.under_way.len() >= self.limit {
            return None;
        }
        let (due, place) = self.head()?;
        if due > now {
            return None;
        }
        self.by_due.remove(&(due, place.clone()));
        let (_, waiting) = self.waiting.remove(&place)?;
        self.under_way.insert(Arc::clone(&waiting.name));
        Some(waiting)
    }

    /// Who is looked at first, and when it is due: where there is an order, those behind it wait for it.
    fn head(&self) -> Option<(Timestamp, Place)> {
        match self.ordered {
            true => self.waiting.first_key_value().map(|(place, (due, _))| (*due, place.clone())),
            false => self.by_due.first().cloned(),
        }
    }

    /// It waits again.
    pub(super) fn back(&mut self, waiting: Waiting, due: Timestamp) {
        self.under_way.remove(&waiting.name);
        self.add(waiting, due);
    }

    /// It does not wait any more.
    pub(super) fn gone(&mut self, name: &str) {
        self.under_way.remove(name);
    }

    /// Those that are under way.
    pub(super) fn under_way(&self) -> &BTreeSet<Arc<str>> {
        &self.under_way
    }

    /// How long until something is due; none: nothing is, however long it takes.
    pub(super) fn due_in(&self, now: Timestamp) -> Option<Duration> {
        if self.under_way.len() >= self.limit {
            return None;
        }
        self.head().map(|(due, _)| due.saturating_since(now))
    }

    /// The clock was set back: nothing waits longer than the schedule's longest wait.
    pub(super) fn set_back(&mut self, now: Timestamp, schedule: &Schedule) {
        let waiting = std::mem::take(&mut self.waiting);
        self.by_due.clear();
        for (due, waiting) in waiting.into_values() {
            self.add(waiting, schedule.sane(due, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn message(order: u64) -> Waiting {
        Waiting { name: format!("m{order}").into(), order, accepted_at: at(0), bytes: 1, spent: 0, due: None }
    }

    fn queue(ordered: bool, limit: usize, dues: &[(u64, i64)]) -> Queue {
        let mut queue = Queue::new(ordered, limit);
        for (order, due) in dues {
            queue.add(message(*order), at(*due));
        }
        queue
    }

    fn next(queue: &mut Queue, now: i64) -> Option<u64> {
        queue.next(at(now)).map(|waiting| waiting.order)
    }

    #[test]
    fn without_an_order_what_is_due_goes_and_no_more_than_the_limit() {
        let mut queue = queue(false, 2, &[(1, 50), (2, 10), (3, 10), (4, 20)]);
        assert_eq!(queue.due_in(at(0)), Some(Duration::from_secs(10)));
        assert_eq!(
            [next(&mut queue, 9), next(&mut queue, 30), next(&mut queue, 30)],
            [None, Some(2), Some(3)]
        );
        assert_eq!((next(&mut queue, 30), queue.due_in(at(30))), (None, None));
        queue.gone("m2");
        queue.back(message(3), at(60));
        assert_eq!([next(&mut queue, 30), next(&mut queue, 30)], [Some(4), None]);
        assert_eq!([next(&mut queue, 70), next(&mut queue, 70)], [Some(1), None], "the limit");
    }

    #[test]
    fn with_an_order_the_first_holds_the_others() {
        let mut queue = queue(true, 8, &[(2, 0), (1, 50), (3, 0)]);
        assert_eq!((next(&mut queue, 10), queue.due_in(at(10))), (None, Some(Duration::from_secs(40))));
        assert_eq!([next(&mut queue, 50), next(&mut queue, 50)], [Some(1), None]);
        queue.back(message(1), at(90));
        assert_eq!(next(&mut queue, 60), None, "it has failed, and holds the others");
        assert_eq!(next(&mut queue, 90), Some(1));
        queue.gone("m1");
        assert_eq!(next(&mut queue, 90), Some(2));
    }

    #[test]
    fn one_that_is_here_already_is_not_taken_twice() {
        let mut queue = queue(false, 8, &[(1, 0), (1, 0)]);
        assert_eq!([next(&mut queue, 0), next(&mut queue, 0)], [Some(1), None]);
        queue.add(message(1), at(0));
        assert_eq!(next(&mut queue, 0), None);
        queue.gone("m1");
        queue.add(message(1), at(0));
        assert_eq!(next(&mut queue, 0), Some(1));
    }

    #[test]
    fn a_clock_that_is_set_back_puts_nothing_off_for_ever() {
        let mut queue = queue(false, 8, &[(1, 1_000_000)]);
        let schedule =
            Schedule { waits: vec![Duration::from_secs(60)], jitter: 0.0, retry_after_cap: Duration::ZERO };
        queue.set_back(at(100), &schedule);
        assert_eq!(queue.due_in(at(100)), Some(Duration::from_secs(60)));
    }
}
