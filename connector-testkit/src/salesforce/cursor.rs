//! Query cursors: the rows of a query from its first page to its last, at most ten per user.

use std::collections::VecDeque;
use std::sync::Arc;

use super::id;
use super::soql::{Found, Plan};

/// Open cursors per user; one more drops the oldest (help article 000004410).
const PER_USER: usize = 10;

/// One query being read.
#[derive(Debug)]
pub(super) struct Cursor {
    locator: String,
    user: String,
    /// Rows per page that were asked for.
    pub(super) batch: usize,
    pub(super) plan: Plan,
    pub(super) found: Found,
}

/// The open cursors, oldest first.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    open: VecDeque<Arc<Cursor>>,
    made: u32,
}

impl Cursors {
    /// A cursor that nobody can ask for yet.
    pub(super) fn make(&mut self, user: &str, batch: usize, plan: Plan, found: Found) -> Arc<Cursor> {
        self.made += 1;
        let locator = id::record_id("01g", self.made);
        Arc::new(Cursor { locator, user: user.to_owned(), batch, plan, found })
    }

    /// Keeps a cursor for its next pages.
    pub(super) fn keep(&mut self, cursor: Arc<Cursor>) {
        let of_user = self.open.iter().filter(|open| open.user == cursor.user).count();
        if of_user >= PER_USER
            && let Some(oldest) = self.open.iter().position(|open| open.user == cursor.user)
        {
            self.open.remove(oldest);
        }
        self.open.push_back(cursor);
    }

    /// Finds a cursor by the locator in a page's address, and the place in it. A cursor stays open after its
    /// last page, so a page whose answer got lost can be asked for again.
    pub(super) fn find(&self, user: &str, text: &str) -> Option<(Arc<Cursor>, Place)> {
        let (locator, place) = text.rsplit_once('-')?;
        let (row, repeat) = match place.split_once('.') {
            Some((row, repeat)) => (row.parse().ok()?, repeat.parse().ok()?),
            None => (place.parse().ok()?, 0),
        };
        let cursor = self.open.iter().find(|open| open.user == user && open.locator == locator)?;
        (row <= cursor.found.rows.len()).then(|| (Arc::clone(cursor), Place { row, repeat }))
    }

    /// Forgets all cursors, as the vendor does after two days.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

/// Where a page starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) row: usize,
    /// How many empty pages came before at the same row: keeps their addresses apart.
    pub(super) repeat: u32,
}

impl Cursor {
    /// The locator of the page at this place.
    pub(super) fn locator(&self, place: Place) -> String {
        match place.repeat {
            0 => format!("{}-{}", self.locator, place.row),
            repeat => format!("{}-{}.{repeat}", self.locator, place.row),
        }
    }

    /// How many rows the page at this place has. The vendor gives no guarantee that a page is full; with
    /// `ragged` pages vary from empty to full, the same way each time. Two empty ones never follow each other.
    pub(super) fn page_rows(&self, place: Place, ragged: bool) -> usize {
        let left = self.found.rows.len() - place.row;
        if !ragged {
            return left.min(self.batch);
        }
        let mixed = (place.row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        let wanted = match (mixed % 5, place.repeat) {
            (0, 0) => 0,
            (1, _) => 1,
            (2, _) => self.batch,
            _ => 1 + usize::try_from(mixed % self.batch as u64).unwrap_or_default(),
        };
        left.min(wanted)
    }
}
