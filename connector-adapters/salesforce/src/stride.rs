//! How much of what is left is asked for at once: all of it, until the vendor finds that too much.
//!
//! ```text
//!  refused ──▶ half of what was asked for, down to the least
//!  read    ──▶ the double again, after as many successes as growing has proved wrong before
//! ```
//!
//! So a read that meets a dense place costs one refusal for each halving on the way down, and a read that is
//! dense throughout at most one refusal in [`MOST_PATIENCE`] queries.

/// The most successes that are waited for before more is asked for.
const MOST_PATIENCE: u32 = 64;

/// See the module. The unit is the reader's: seconds of a window, rows of an object.
#[derive(Debug, Clone)]
pub(crate) struct Stride {
    /// None: all that is left.
    size: Option<u64>,
    least: u64,
    most: u64,
    /// Successes since the size was last changed.
    successes: u32,
    /// How many it takes.
    patience: u32,
    /// The size is what growing made of it.
    has_grown: bool,
}

impl Stride {
    /// All that is left; if that is refused, `most` at the most and `least` at the least.
    pub(crate) fn new(least: u64, most: u64) -> Self {
        Self { size: None, least, most, successes: 0, patience: 1, has_grown: false }
    }

    /// How much to ask for; none: all that is left.
    pub(crate) fn size(&self) -> Option<u64> {
        self.size
    }

    /// So much was refused. False when less cannot be asked for.
    pub(crate) fn refused(&mut self, asked: u64) -> bool {
        if asked <= self.least {
            return false;
        }
        if std::mem::take(&mut self.has_grown) {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
        }
        self.successes = 0;
        self.size = Some((asked / 2).clamp(self.least, self.most));
        true
    }

    /// What was asked for has been read to its end.
    pub(crate) fn succeeded(&mut self) {
        let Some(size) = self.size else { return };
        self.successes += 1;
        if self.successes >= self.patience {
            self.successes = 0;
            self.has_grown = size < self.most;
            self.size = Some(size.saturating_mul(2).min(self.most));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_down_to_the_least_and_no_further() {
        let mut stride = Stride::new(1, u64::MAX);
        assert_eq!(stride.size(), None);
        let mut asked = 1_000;
        let mut refusals = 0;
        while stride.refused(asked) {
            assert!(stride.size().unwrap() < asked);
            asked = stride.size().unwrap();
            refusals += 1;
        }
        assert_eq!((asked, refusals), (1, 9));
    }

    #[test]
    fn it_grows_back_and_more_slowly_the_more_often_that_was_wrong() {
        let mut stride = Stride::new(1, u64::MAX);
        assert!(stride.refused(16));
        // Whatever is above 8 is refused: one refusal for ever more successes.
        let (mut successes, mut refusals) = (0, 0);
        for _ in 0..1_000 {
            match stride.size() {
                Some(asked) if asked > 8 => {
                    assert!(stride.refused(asked));
                    refusals += 1;
                }
                _ => {
                    stride.succeeded();
                    successes += 1;
                }
            }
        }
        assert!(refusals <= 6 + successes / 64 + 1, "{refusals} of {successes}");
        let mut stride = Stride::new(200, 50_000);
        assert!(stride.refused(u64::MAX));
        assert_eq!(stride.size(), Some(50_000));
        assert!(stride.refused(50_000) && stride.size() == Some(25_000));
        stride.succeeded();
        assert_eq!(stride.size(), Some(50_000));
        stride.succeeded();
        assert_eq!(stride.size(), Some(50_000), "never above the most");
    }
}
