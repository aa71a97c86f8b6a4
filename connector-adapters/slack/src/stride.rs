//! How much of a channel's history is asked for at once.
//!
//! The vendor serves the newest first, Bronze gets the oldest first: a window of time is read down to its bottom, held, and
//! delivered from there. What is held is bounded, so a window that has more is shortened; one that has little lets the next
//! be longer. The first is all there is, which for most channels is one page.

use crate::ts::Ts;

/// Pages of the size asked for that are held at most.
pub(crate) const HOLD: usize = 6;
/// So many pages a window should have: the last of them is mostly short, and more than are held are asked for in vain.
const WANTED: u64 = 5;

/// The length of the next window, in microseconds; none: all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stride {
    pub(crate) width: Option<u64>,
    /// Up to here is known to be more than can be held.
    too_much: Option<Ts>,
    /// The length of the window after the next one, which asks for what is older than the channel.
    then: Option<u64>,
}

impl Stride {
    pub(crate) fn new(width: Option<u64>) -> Self {
        Self { width: width.map(|width| width.max(1)), too_much: None, then: None }
    }

    /// The last `ts` of a window that begins after `low`; none: it has no end.
    pub(crate) fn top(self, low: Ts) -> Option<Ts> {
        self.width.map(|width| Ts::from_micros(low.micros().saturating_add(width)))
    }

    /// The window after `low` has more than can be held: what is held at its lower end spans this, and it reaches up to
    /// `newest` at least. A channel has hardly anything from before `begins`, so that what may be is asked for by itself.
    pub(crate) fn overflowed(&mut self, low: Ts, begins: Ts, (bottom, held_to): (Ts, Ts), newest: Ts) {
        let asked = self.width;
        let before = begins.micros().saturating_sub(low.micros()).saturating_sub(1);
        // Two thirds of what was held.
        let dense = (held_to.micros().saturating_sub(bottom.micros()) / 3 * 2).max(1);
        let width = if before > 0 && begins < bottom {
            self.then = Some(dense);
            before
        } else {
            self.then = None;
            dense
        };
        // It must become shorter each time, or there is no end to it.
        self.width = Some(asked.map_or(width, |asked| width.min(asked / 2).max(1)));
        self.too_much = Some(newest);
    }

    /// The window after `low` had so many pages.
    pub(crate) fn succeeded(&mut self, low: Ts, pages: usize) {
        let Some(width) = self.width else { return };
        if pages == 0
            && let Some(then) = self.then.take()
        {
            self.width = Some(then);
            return;
        }
        let next = match pages as u64 {
            0 => {
                // Not beyond half of what is known to be too much: from there on it would overflow again.
                let rest = self.too_much.map(|end| end.micros().saturating_sub(low.micros()) / 2);
                let longest = rest.filter(|rest| *rest > 0).unwrap_or(u64::MAX);
                width.saturating_mul(8).min(longest.max(width))
            }
            few if few < WANTED => (width / few).saturating_mul(WANTED).max(width),
            _ => width,
        };
        self.width = Some(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Ts {
        Ts::from_micros(seconds * 1_000_000)
    }

    /// Reads a channel of these messages (sorted), and answers how many pages that took.
    fn read(messages: &[Ts], begins: Ts, page: usize) -> usize {
        let (mut stride, mut low, mut pages, mut found) = (Stride::default(), Ts::ZERO, 0, 0);
        let now = *messages.last().unwrap();
        loop {
            let top = stride.top(low);
            let from = messages.partition_point(|ts| *ts <= low);
            let to = top.map_or(messages.len(), |top| messages.partition_point(|ts| *ts <= top));
            let count = to - from;
            if count > HOLD * page {
                pages += HOLD;
                stride.overflowed(
                    low,
                    begins,
                    (messages[to - HOLD * page], messages[to - 1]),
                    messages[to - 1],
                );
                continue;
            }
            pages += count.div_ceil(page).max(1);
            found += count;
            match top {
                Some(top) if top < now => {
                    stride.succeeded(top, count.div_ceil(page));
                    low = top;
                }
                _ => break,
            }
        }
        assert_eq!(found, messages.len());
        pages
    }

    #[test]
    fn a_small_channel_takes_one_window_and_an_even_one_little_more_than_its_pages() {
        let begins = at(1_600_000_000);
        let even = |count: u64| (0..count).map(|n| at(1_600_000_000 + n * 60)).collect::<Vec<_>>();
        assert_eq!(read(&even(1_100), begins, 200), 6);
        let pages = read(&even(100_000), begins, 200);
        assert!(pages <= 500 + 500 / 5, "{pages}");
    }

    #[test]
    fn a_channel_of_bursts_and_silence_ends_and_is_not_asked_for_ever() {
        let bursts: Vec<Ts> = (0..20u64)
            .flat_map(|burst| {
                (0..2_000u64)
                    .map(move |n| Ts::from_micros((1_500_000_000 + burst * 5_000_000 + n) * 1_000_000))
            })
            .collect();
        let pages = read(&bursts, at(1_500_000_000), 200);
        assert!(pages < 20 * 10 * 10, "{pages}");
        // Messages that are older than the channel, because they were imported.
        let imported: Vec<Ts> = (0..5_000u64).map(|n| at(1_000_000_000 + n)).collect();
        let pages = read(&imported, at(1_600_000_000), 200);
        assert!(pages < 25 + 500, "{pages}");
    }
}
