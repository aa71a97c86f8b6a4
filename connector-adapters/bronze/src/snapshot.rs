//! Folding: what old commits left standing goes into one file, and theirs are deleted.
//!
//! A snapshot has its number in its name and is never written over: a paused owner that wakes up in the
//! middle of folding can only add an older one, which nobody reads.
//!
//! It keeps the last commit of every partition whose reading goes on. Of those that are complete (windows
//! of time come and go by the thousands) it keeps the newest, as many as fit 8 MiB, which are some twenty
//! thousand. This loses no record: the registry knows where a forgotten partition stands, and a host asks
//! the log only what the registry may have missed at the last crash. Only a registry that was restored from
//! a backup older than all of these would read such a window again.

use std::collections::BTreeMap;

use connector_sdk::{PartitionId, Result, crash};
use serde::{Deserialize, Serialize};

use crate::{
    fault,
    layout::LogName,
    log::{Identity, Log, Standing, VERSION, encode},
};

/// The newest entries stay files, to be looked at.
const KEPT: usize = 8;
/// Fold when so many entries could.
const MAX_ENTRIES: usize = 120;
/// Or so many bytes of them.
const MAX_BYTES: u64 = 32 << 20;
/// What is kept of complete partitions, in bytes.
const MAX_COMPLETE_BYTES: usize = 8 << 20;

/// What the commits up to `number` left standing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) version: u32,
    pub(crate) number: u64,
    /// The highest fence in them.
    pub(crate) fence: u64,
    pub(crate) of: Identity,
    pub(crate) standing: Vec<Standing>,
}

impl Log {
    /// Folds when it is worth it.
    pub(crate) fn fold_when_due(&mut self) -> Result<()> {
        let foldable = self.entries.len().saturating_sub(KEPT);
        let bytes: u64 = self.entries.iter().take(foldable).map(|(_, bytes)| bytes).sum();
        if foldable < MAX_ENTRIES && bytes < MAX_BYTES {
            return Ok(());
        }
        let Some((through, _)) = foldable.checked_sub(1).and_then(|last| self.entries.get(last)).copied()
        else {
            return Ok(());
        };
        let mut contents = self.read(Some(through))?;
        let forgotten = forget(&mut contents.standing, MAX_COMPLETE_BYTES);
        // A snapshot that is newer than what we would write covers it already.
        if contents.snapshot < through {
            let snapshot = Snapshot {
                version: VERSION,
                number: through,
                fence: contents.fence,
                of: self.of.clone(),
                standing: contents.standing.into_values().collect(),
            };
            let name = LogName::snapshot(through);
            let draft = self.write_draft(&name, &encode(&snapshot)?)?;
            crash::point("bronze.snapshot_drafted");
            let path = self.dir.commits().join(name);
            self.disk.rename(&draft, &path).map_err(|error| fault::disk("fold", &path, error))?;
            crash::point("bronze.snapshot_named");
            self.sync()?;
            crash::point("bronze.snapshot_synced");
        }
        self.entries.retain(|(number, _)| *number > through);
        tracing::debug!(stream = %self.of.stream, through, forgotten, "folded the commit log");
        self.sweep()
    }

    /// Deletes what the newest snapshot has made superfluous.
    pub(crate) fn sweep(&self) -> Result<()> {
        let names = self.names()?;
        let newest = names.iter().filter_map(|name| match name {
            LogName::Snapshot(number) => Some(*number),
            _ => None,
        });
        let newest = newest.max().unwrap_or(0);
        for name in names {
            let name = match name {
                LogName::Entry(number) if number <= newest => LogName::entry(number),
                LogName::Snapshot(number) if number < newest => LogName::snapshot(number),
                _ => continue,
            };
            let path = self.dir.commits().join(name);
            match self.disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(fault::disk("fold", &path, error));
                }
                _ => {}
            }
            crash::point("bronze.swept_one");
        }
        Ok(())
    }
}

/// Forgets the oldest of the complete partitions beyond `limit` bytes; answers how many.
fn forget(standing: &mut BTreeMap<PartitionId, Standing>, limit: usize) -> usize {
    let mut complete: Vec<(u64, PartitionId, usize)> = standing
        .iter()
        .filter(|(_, last)| last.commit.state.is_complete())
        .map(|(id, last)| {
            (last.number, id.clone(), 256 + id.as_str().len() + last.commit.state.cursor().get().len())
        })
        .collect();
    complete.sort_unstable_by(|a, b| b.cmp(a));
    let mut bytes = 0;
    let before = standing.len();
    for (_, id, size) in complete {
        bytes += size;
        if bytes > limit {
            standing.remove(&id);
        }
    }
    before - standing.len()
}

#[cfg(test)]
mod tests;
