//! The rows of one object: found by id and by cursor time, and shown only when they are due.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::datetime;
use super::id;
use super::row::Row;
use super::schema::{Columns, Object};

/// Number of a row in its table, and in its id.
pub(super) type Slot = u32;

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) object: Arc<Object>,
    pub(super) columns: Columns,
    /// What queries see.
    slots: Vec<Option<Row>>,
    by_cursor: BTreeSet<(i64, Slot)>,
    /// Written, but shown only later; per slot in the order they were written.
    hidden: Vec<Hidden>,
    /// When rows that are deleted or removed went, in milliseconds.
    deletions: BTreeMap<Slot, i64>,
    /// The org's time when it was last told.
    now: i64,
}

#[derive(Debug, Clone)]
struct Hidden {
    from: i64,
    slot: Slot,
    row: Option<Row>,
}

impl Table {
    pub(super) fn new(object: Object) -> Self {
        let columns = object.columns();
        Self {
            object: Arc::new(object),
            columns,
            slots: Vec::new(),
            by_cursor: BTreeSet::new(),
            hidden: Vec::new(),
            deletions: BTreeMap::new(),
            now: 0,
        }
    }

    /// Changes what the object looks like; rows keep what they hold.
    pub(super) fn alter(&mut self, change: impl FnOnce(&mut Object)) {
        change(Arc::make_mut(&mut self.object));
        self.columns = self.object.columns();
    }

    pub(super) fn next_slot(&self) -> Slot {
        Slot::try_from(self.slots.len()).unwrap_or(Slot::MAX)
    }

    pub(super) fn id(&self, slot: Slot) -> String {
        id::record_id(&self.object.prefix, slot)
    }

    /// The slot of an id in 15 or 18 characters, if a row was ever there.
    pub(super) fn slot(&self, id: &str) -> Option<Slot> {
        id::number(&self.object.prefix, id).filter(|slot| (*slot as usize) < self.slots.len())
    }

    /// The row queries see.
    pub(super) fn seen(&self, slot: Slot) -> Option<&Row> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The row as it was last written, shown or not.
    pub(super) fn latest(&self, slot: Slot) -> Option<&Row> {
        match self.hidden.iter().rev().find(|hidden| hidden.slot == slot) {
            Some(hidden) => hidden.row.as_ref(),
            None => self.seen(slot),
        }
    }

    /// All rows as they were last written.
    pub(super) fn all_latest(&self) -> Vec<&Row> {
        let hidden: BTreeMap<Slot, Option<&Row>> =
            self.hidden.iter().map(|hidden| (hidden.slot, hidden.row.as_ref())).collect();
        (0..self.next_slot())
            .filter_map(|slot| hidden.get(&slot).copied().unwrap_or_else(|| self.seen(slot)))
            .collect()
    }

    /// All rows queries see, in the order of their ids.
    pub(super) fn all_seen(&self) -> impl Iterator<Item = &Row> {
        self.slots.iter().flatten()
    }

    /// The rows queries see whose cursor time lies between these, in the order of that time.
    pub(super) fn seen_between(&self, from: Bound<i64>, to: Bound<i64>) -> Vec<&Row> {
        let low = match from {
            Bound::Included(at) => Bound::Included((at, Slot::MIN)),
            Bound::Excluded(at) => Bound::Excluded((at, Slot::MAX)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let high = match to {
            Bound::Included(at) => Bound::Included((at, Slot::MAX)),
            Bound::Excluded(at) => Bound::Excluded((at, Slot::MIN)),
            Bound::Unbounded => Bound::Unbounded,
        };
        if is_empty(low, high) {
            return Vec::new();
        }
        self.by_cursor.range((low, high)).filter_map(|(_, slot)| self.seen(*slot)).collect()
    }

    /// Writes a row, `None` to make it vanish for good. With `from` queries see it only then; writes of one
    /// row become visible in their order. A removal carries the time of the last [`Table::settle`].
    pub(super) fn write(&mut self, slot: Slot, row: Option<Row>, from: Option<i64>) {
        self.note_deletion(slot, row.as_ref());
        while self.slots.len() <= slot as usize {
            self.slots.push(None);
        }
        let before = self.hidden.iter().filter(|hidden| hidden.slot == slot).map(|hidden| hidden.from).max();
        match from.max(before) {
            Some(from) => self.hidden.push(Hidden { from, slot, row }),
            None => self.show(slot, row),
        }
    }

    /// Shows what is due at this time of the org.
    pub(super) fn settle(&mut self, now: i64) {
        self.now = now;
        let (due, hidden) =
            std::mem::take(&mut self.hidden).into_iter().partition(|hidden| hidden.from <= now);
        self.hidden = hidden;
        for Hidden { slot, row, .. } in due {
            self.show(slot, row);
        }
    }

    /// The rows that went, and when, in milliseconds: those in the recycle bin, and those removed for good.
    pub(super) fn deletions(&self) -> impl Iterator<Item = (Slot, i64)> {
        self.deletions.iter().map(|(slot, at)| (*slot, *at))
    }

    /// Forgets what went before this time.
    pub(super) fn forget_deletions_before(&mut self, millis: i64) {
        self.deletions.retain(|_, at| *at >= millis);
    }

    /// A row that goes is noted with its time; one that is back, or there, is noted no more. Emptying the
    /// recycle bin is no second deletion.
    fn note_deletion(&mut self, slot: Slot, row: Option<&Row>) {
        let is_deleted = |row: &Row| self.columns.is_deleted.is_some_and(|column| row.is_true(column));
        match row {
            Some(row) if !is_deleted(row) => {
                self.deletions.remove(&slot);
            }
            // One that is in the recycle bin from the start went when it was last changed.
            Some(row) => {
                let at = self.cursor_time(row).unwrap_or(self.now);
                self.deletions.entry(slot).or_insert(at);
            }
            None => {
                let second = self.now - self.now.rem_euclid(1000);
                self.deletions.entry(slot).or_insert(second);
            }
        }
    }

    fn show(&mut self, slot: Slot, row: Option<Row>) {
        if let Some(at) = self.seen(slot).and_then(|row| self.cursor_time(row)) {
            self.by_cursor.remove(&(at, slot));
        }
        if let Some(at) = row.as_ref().and_then(|row| self.cursor_time(row)) {
            self.by_cursor.insert((at, slot));
        }
        self.slots[slot as usize] = row;
    }

    fn cursor_time(&self, row: &Row) -> Option<i64> {
        datetime::parse(row.plain(self.columns.cursor?))
    }
}

/// `BTreeSet::range` panics on a range that ends before it starts.
fn is_empty(low: Bound<(i64, Slot)>, high: Bound<(i64, Slot)>) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => {
            low >= high
        }
        _ => false,
    }
}
