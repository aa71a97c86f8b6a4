//! Sets of UIDs, as ranges.
//!
//! A server says in a few bytes that five hundred million messages have vanished, so a set is never spelt out: what it
//! costs depends on how many ranges it has, not on what is in them.

use std::{fmt, ops::RangeInclusive};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// UIDs, as disjoint ranges in order that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// All from the first to the last, none when the last comes before the first.
    pub(crate) fn range(range: RangeInclusive<u32>) -> Self {
        let (first, last) = (*range.start(), *range.end());
        if first > last { Self::new() } else { Self(vec![(first, last)]) }
    }

    /// A set as servers write it: `1:5,7,12:9`. None when it is something else. A range may stand backwards
    /// (RFC 9051, 9, "seq-range").
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut ranges = Vec::new();
        for part in text.split(|byte| *byte == b',') {
            let (first, last) = match part.iter().position(|byte| *byte == b':') {
                Some(at) => (number(part.get(..at)?)?, number(part.get(at + 1..)?)?),
                None => (number(part)?, number(part)?),
            };
            ranges.push((first.min(last), first.max(last)));
        }
        Some(Self::of(ranges))
    }

    /// Any ranges, in any order.
    fn of(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(end) if first <= end.1.saturating_add(1) => end.1 = end.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many UIDs are in it.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    pub(crate) fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    pub(crate) fn contains(&self, uid: u32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < uid);
        self.0.get(at).is_some_and(|(first, _)| *first <= uid)
    }

    pub(crate) fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, last)| *last)
    }

    pub(crate) fn insert(&mut self, uid: u32) {
        // New mail comes at the end.
        match self.0.last_mut() {
            Some(end) if end.1.checked_add(1) == Some(uid) => end.1 = uid,
            Some(end) if uid <= end.1 => {
                if !self.contains(uid) {
                    *self = self.union(&Self(vec![(uid, uid)]));
                }
            }
            _ => self.0.push((uid, uid)),
        }
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied().collect())
    }

    /// What is in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(&&(a, b)), Some(&&(c, d))) = (left.peek(), right.peek()) {
            let (first, last) = (a.max(c), b.min(d));
            if first <= last {
                both.push((first, last));
            }
            if b <= d {
                left.next()
            } else {
                right.next()
            };
        }
        Self(both)
    }

    /// What is in this one and not in the other.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let mut left = Vec::with_capacity(self.0.len());
        let mut others = other.0.iter().peekable();
        for &(first, last) in &self.0 {
            let mut next = Some(first);
            while let Some(from) = next {
                match others.peek() {
                    Some(&&(_, d)) if d < from => {
                        others.next();
                    }
                    Some(&&(c, d)) if c <= last => {
                        if from < c {
                            left.push((from, c - 1));
                        }
                        next = d.checked_add(1).filter(|after| *after <= last);
                    }
                    _ => {
                        left.push((from, last));
                        next = None;
                    }
                }
            }
        }
        Self(left)
    }

    /// Takes the first so many out.
    pub(crate) fn take_first(&mut self, count: usize) -> Self {
        let first: Self = self.iter().take(count).collect();
        if let Some(last) = first.last() {
            *self = self.difference(&Self::range(1..=last));
        }
        first
    }

    /// Every UID, in order: for sets whose size we know to be small, because they are of messages that exist.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// The same with at most so many ranges: the narrowest gaps are filled. What is in it stays in it.
    pub(crate) fn coarsened(self, most: usize) -> Self {
        if self.0.len() <= most || most == 0 {
            return self;
        }
        let mut gaps: Vec<(u32, usize)> = self
            .0
            .windows(2)
            .enumerate()
            .filter_map(|(at, pair)| Some((pair.last()?.0 - pair.first()?.1, at)))
            .collect();
        gaps.sort_unstable();
        gaps.truncate(self.0.len() - most);
        let mut filled: Vec<usize> = gaps.into_iter().map(|(_, at)| at).collect();
        filled.sort_unstable();
        let mut filled = filled.into_iter().peekable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(most);
        let mut joins = false;
        for (at, (first, last)) in self.0.into_iter().enumerate() {
            match merged.last_mut().filter(|_| joins) {
                Some(end) => end.1 = last,
                None => merged.push((first, last)),
            }
            joins = filled.next_if_eq(&at).is_some();
        }
        Self(merged)
    }
}

/// A UID: a number from 1 to 2³² − 1 (RFC 9051, 2.3.1.1).
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number > 0)
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<T: IntoIterator<Item = u32>>(uids: T) -> Self {
        Self::of(uids.into_iter().map(|uid| (uid, uid)).collect())
    }
}

impl Serialize for UidSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UidSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::new());
        }
        Self::parse(text.as_bytes()).ok_or_else(|| de::Error::custom("no set of UIDs such as 1:5,7"))
    }
}

#[cfg(test)]
mod tests;
