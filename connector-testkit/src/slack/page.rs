//! Pages: how large, where they go on, and how the last one says that it is the last.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::random::Random;

use super::arguments::Arguments;
use super::reply::Refusal;

/// The pages of one workspace.
#[derive(Debug)]
pub(super) struct Pages {
    /// Cursors of an earlier generation have expired.
    pub(super) generation: u64,
    /// Short and empty pages that lead on.
    pub(super) thin: bool,
    pub(super) random: Random,
}

/// Where a page begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// What the cursor names; none on the first page.
    pub(super) at: Option<String>,
    /// The page before was an empty one: this one is not.
    pub(super) after_empty: bool,
}

/// How the end of a listing is said: all three are the vendor's.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// `response_metadata: {"next_cursor": ""}`.
    Empty,
    /// No `response_metadata`.
    Missing,
}

impl Pages {
    /// The place that the arguments name. A cursor is base64 of a text like `next_ts:1512085861000543`, as in
    /// the vendor's examples; the generation is ours.
    pub(super) fn place(&self, arguments: &Arguments, prefix: &str) -> Result<Place, Refusal> {
        let Some(cursor) = arguments.text("cursor") else { return Ok(Place::default()) };
        let invalid = || Refusal::new("invalid_cursor");
        let text = STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(invalid)?;
        let mut parts = text.split(':');
        let (kind, at) = (parts.next(), parts.next().map(str::to_owned));
        let after_empty = match parts.next().and_then(|generation| generation.split_once('.')) {
            Some((generation, empty)) if generation == self.generation.to_string() => empty == "1",
            _ => return Err(invalid()),
        };
        if kind != Some(prefix) || at.is_none() {
            return Err(invalid());
        }
        Ok(Place { at, after_empty })
    }

    /// The cursor that leads on at `at`.
    pub(super) fn cursor(&self, prefix: &str, at: &str, empty: bool) -> String {
        STANDARD.encode(format!("{prefix}:{at}:{}.{}", self.generation, u8::from(empty)))
    }

    /// How many of `limit` the next page holds: all, unless pages are thin. Two empty ones never follow each other.
    pub(super) fn size(&mut self, limit: usize, place: &Place) -> usize {
        if !self.thin {
            return limit;
        }
        match self.random.below(4) {
            0 if !place.after_empty => 0,
            1 => limit,
            _ => 1 + usize::try_from(self.random.below(limit as u64)).unwrap_or_default(),
        }
    }

    /// `response_metadata` for a page with this next cursor. Thin pages end with `null`.
    pub(super) fn metadata(&self, next: Option<&str>, end: End) -> Option<Value> {
        match (next, end, self.thin) {
            (Some(cursor), _, _) => Some(json!({ "next_cursor": cursor })),
            (None, _, true) => Some(json!({ "next_cursor": null })),
            (None, End::Empty, false) => Some(json!({ "next_cursor": "" })),
            (None, End::Missing, false) => None,
        }
    }

    /// One page of a listing that is ordered by id: the rows, and the answer's `response_metadata`.
    pub(super) fn slice<'a, T>(
        &mut self,
        all: &'a [T],
        id: impl Fn(&T) -> &str,
        (arguments, prefix): (&Arguments, &str),
        (default, most): (usize, usize),
    ) -> Result<(&'a [T], Value), Refusal> {
        let place = self.place(arguments, prefix)?;
        let limit = limit(arguments, default, most)?;
        let start = match &place.at {
            None => 0,
            Some(at) => {
                all.iter().position(|row| id(row) == at).ok_or_else(|| Refusal::new("invalid_cursor"))?
            }
        };
        let end = (start + self.size(limit, &place)).min(all.len());
        let next = all.get(end).map(|row| self.cursor(prefix, id(row), end == start));
        let metadata = self.metadata(next.as_deref(), End::Empty).unwrap_or_default();
        Ok((&all[start..end], metadata))
    }
}

/// `limit`; above the most it is `invalid_limit`, and so are 0 and what is no number.
pub(super) fn limit(arguments: &Arguments, default: usize, most: usize) -> Result<usize, Refusal> {
    let limit = arguments.number("limit", "invalid_limit")?.unwrap_or(default);
    if limit == 0 || limit > most { Err(Refusal::new("invalid_limit")) } else { Ok(limit) }
}
