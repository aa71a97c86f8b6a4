//! How far a partition has been emitted and committed: rules D-05 and D-06.

use connector_sdk::{Error, PartitionId, Result, contract::Commit, record::Tally};

/// Records of one partition, by their numbers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// The number of the first; 0 when there is none.
    first: u64,
    last: u64,
    tally: Tally,
}

impl Part {
    /// `rows` records from number `first` on.
    pub(crate) fn of(first: u64, rows: u64) -> Self {
        Self { first, last: first.saturating_add(rows - 1), tally: Tally::default() }
    }

    pub(crate) fn with_tally(mut self, tally: Tally) -> Self {
        self.tally = tally;
        self
    }

    fn is_empty(self) -> bool {
        self.first == 0
    }

    fn add(&mut self, next: Self) {
        if self.is_empty() {
            self.first = next.first;
        }
        self.last = self.last.max(next.last);
        self.tally.merge(next.tally);
    }
}

/// What was emitted of a partition since its last commit.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Progress {
    /// What states cover, in the shared file.
    covered: Part,
    /// What none covered when it came, in a file of its own.
    spilled: Part,
    /// The number that comes next; 0: any.
    next: u64,
}

impl Progress {
    /// Rule D-06: numbers have no gap, and none comes twice.
    pub(crate) fn check(&self, partition: &PartitionId, part: Part) -> Result<()> {
        if part.first == 0 || (self.next != 0 && part.first != self.next) {
            return Err(Error::bug("emit", "sequence numbers start at 1 and have no gap")
                .with_context("partition", partition)
                .with_context("expected", self.next.max(1))
                .with_context("got", part.first));
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, part: Part, covered: bool) {
        if covered {
            self.covered.add(part)
        } else {
            self.spilled.add(part)
        }
        self.next = part.last.saturating_add(1);
    }

    /// The numbers of what is thrown away are used again.
    pub(crate) fn discard(&mut self) {
        if !self.spilled.is_empty() {
            self.next = self.spilled.first;
            self.spilled = Part::default();
        }
    }

    pub(crate) fn has_covered(&self) -> bool {
        !self.covered.is_empty()
    }

    /// Nothing waits for a commit.
    pub(crate) fn is_idle(&self) -> bool {
        self.covered.is_empty() && self.spilled.is_empty()
    }

    /// Whether the commit reaches what is spilled. It must end where one of the two parts ends, and say of
    /// it what was encoded.
    pub(crate) fn check_commit(&self, commit: &Commit) -> Result<bool> {
        let with_spilled = !self.spilled.is_empty() && commit.sequence >= self.spilled.last;
        let mut encoded = self.covered;
        if with_spilled {
            encoded.add(self.spilled);
        }
        let ends = encoded.is_empty() || encoded.last == commit.sequence;
        if ends && encoded.tally == commit.tally {
            return Ok(with_spilled);
        }
        Err(Error::bug("commit", "what was encoded is not what was read; nothing of it is published")
            .with_context("partition", &commit.partition)
            .with_context("read", described(commit.tally, commit.sequence))
            .with_context("encoded", described(encoded.tally, encoded.last)))
    }

    pub(crate) fn settle(&mut self, commit: &Commit) {
        self.covered = Part::default();
        if commit.sequence >= self.spilled.last {
            self.spilled = Part::default();
        }
    }
}

fn described(tally: Tally, last: u64) -> String {
    format!("{} records up to number {last}, hash {}", tally.count, tally.hex())
}
