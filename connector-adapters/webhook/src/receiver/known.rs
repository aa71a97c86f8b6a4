//! Which endpoints there were: what is not among the configured ones any more was removed. Stands in a file beside the
//! journal, so that Bronze is told once, whatever becomes of the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use connector_ingress::{Journal, journal::JournalError};
use connector_sdk::{Clock, Error, Result};
use serde::{Deserialize, Serialize};

use super::keep;

/// Endpoints by their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    endpoints: BTreeMap<String, Past>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Past {
    is_removed: bool,
    /// How often it was removed.
    removals: u64,
}

impl Known {
    /// Compares with what is configured, tells of what was removed since the last time, and remembers. The journal takes
    /// events already. What it has no room for is told at the next start: until then it has to be emptied.
    ///
    /// # Errors
    /// Transient when the disk fails, Permanent when the file is damaged.
    pub(super) async fn update(
        folder: &Path,
        live: BTreeSet<String>,
        removed: &BTreeSet<String>,
        journal: &Journal,
        clock: &dyn Clock,
    ) -> Result<Self> {
        let file = folder.join("endpoints.json");
        let before = blocking({
            let file = file.clone();
            move || load(&file)
        })
        .await?;
        let (after, gone) = before.compared(&live, removed);
        let mut saved = after.clone();
        for (endpoint, life) in gone {
            // By its id it is told once, also when the process ends before the file is written.
            match journal.append(keep::removal(&endpoint, life, clock.now())).await {
                Ok(_) => tracing::info!(
                    endpoint,
                    "the endpoint was removed; its sender is answered 410 from now on"
                ),
                Err(error @ JournalError::Failed(_)) => {
                    return Err(Error::transient("listen", format!("a removal cannot be kept: {error}")));
                }
                Err(error) => {
                    tracing::warn!(endpoint, %error, "that the endpoint was removed is told at the next start");
                    saved.endpoints.insert(endpoint, Past { is_removed: false, removals: life - 1 });
                }
            }
        }
        if saved != before {
            blocking(move || saved.save(&file)).await?;
        }
        Ok(after)
    }

    /// Those that nobody takes from any more.
    pub(super) fn removed(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().filter(|(_, past)| past.is_removed).map(|(path, _)| path.as_str())
    }

    /// What is known then, and which were removed since, for the how manieth time.
    fn compared(&self, live: &BTreeSet<String>, removed: &BTreeSet<String>) -> (Self, Vec<(String, u64)>) {
        let mut after = self.clone();
        for path in live {
            let past = after.endpoints.entry(path.clone()).or_insert(Past { is_removed: false, removals: 0 });
            past.is_removed = false;
        }
        for path in removed {
            after.endpoints.entry(path.clone()).or_insert(Past { is_removed: false, removals: 0 });
        }
        let mut gone = Vec::new();
        for (path, past) in &mut after.endpoints {
            if !past.is_removed && !live.contains(path) {
                past.is_removed = true;
                past.removals += 1;
                gone.push((path.clone(), past.removals));
            }
        }
        (after, gone)
    }

    fn save(&self, file: &Path) -> io::Result<()> {
        let unfinished = file.with_extension("json.tmp");
        let mut out = File::create(&unfinished)?;
        out.write_all(&serde_json::to_vec_pretty(self)?)?;
        out.sync_all()?;
        fs::rename(&unfinished, file)?;
        File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn load(file: &PathBuf) -> io::Result<Known> {
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            let why = format!("{}: {error}", file.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::default()),
        Err(error) => Err(error),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Error::bug("listen", "a task has panicked").with_source(error))?;
    done.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Error::permanent(
            "listen",
            format!("the list of endpoints is damaged: {error}; restore it, or remove it"),
        ),
        _ => Error::transient("listen", format!("the list of endpoints: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    fn gone(paths: &[(&str, u64)]) -> Vec<(String, u64)> {
        paths.iter().map(|(path, life)| ((*path).to_owned(), *life)).collect()
    }

    #[test]
    fn what_is_not_there_any_more_was_removed_once() {
        let (known, first) = Known::default().compared(&set(&["/a", "/b"]), &set(&["/never"]));
        assert_eq!(first, gone(&[("/never", 1)]), "it was said so, though nobody knew of it");
        let (known, second) = known.compared(&set(&["/a"]), &set(&["/never"]));
        assert_eq!(second, gone(&[("/b", 1)]));
        assert_eq!(known.removed().collect::<Vec<_>>(), ["/b", "/never"]);
        let (same, third) = known.compared(&set(&["/a"]), &set(&[]));
        assert_eq!((same, third), (known.clone(), gone(&[])));
        let (known, none) = known.compared(&set(&["/a", "/b"]), &set(&[]));
        assert_eq!((none, known.removed().count()), (gone(&[]), 1), "it is back");
        assert_eq!(known.compared(&set(&["/a"]), &set(&[])).1, gone(&[("/b", 2)]));
    }

    #[test]
    fn it_is_read_as_it_was_saved_and_damage_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("endpoints.json");
        assert_eq!(load(&file).unwrap(), Known::default());
        let (known, _) = Known::default().compared(&set(&["/é", "/b"]), &set(&["/c"]));
        known.save(&file).unwrap();
        assert_eq!(load(&file).unwrap(), known);
        fs::write(&file, "{").unwrap();
        assert_eq!(load(&file).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
