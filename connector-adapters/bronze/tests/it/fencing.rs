//! One live owner per stream: rule D-16.

use std::{io, path::Path, sync::Arc};

use connector_bronze::{DirEntry, Disk, DiskFile, Format};
use connector_sdk::{Class, Emit, Error};

use connector_testkit::disk::{MemoryDisk, Plan};

use crate::support::*;

fn disks() -> (MemoryDisk, Arc<dyn Disk>) {
    let disk = MemoryDisk::default();
    (disk.clone(), Arc::new(disk))
}

fn assert_fenced(error: &Error, found: &str) {
    assert_eq!(error.class(), Class::Permanent, "{error:?}");
    assert!(error.context().any(|(name, value)| name == "fence" && value == found), "{error:?}");
}

#[tokio::test]
async fn d_16_a_paused_owner_that_wakes_up_publishes_nothing() {
    for format in FORMATS {
        let (disk, shared) = disks();
        let paused = bronze(&shared, format);
        paused.open(&context(), opening(1)).await.unwrap();
        write(&paused, 1, &[batch("p", 1, 2)]).await.unwrap();
        let late = batch("p", 3, 4);
        paused.emit(&context(), late.clone()).await.unwrap();

        let owner = bronze(&shared, format);
        let found = owner.open(&context(), takeover(2)).await.unwrap();
        assert_eq!(standing(&found), [("p".into(), 2)].into());
        assert!(disk.read_text(format!("{STREAM}/_commits/2.json")).unwrap().contains(r#""fence":2"#));

        // It even writes on, into a file that its successor has not seen.
        let later = uncovered(batch("q", 1, 2));
        paused.emit(&context(), later).await.unwrap();
        let error = paused.commit(&context(), &lease(1), &[commit(&[&late])]).await.unwrap_err();
        assert!(error.class() == Class::Permanent, "{error:?}");
        assert_eq!(numbered(&owner), expected(&[("p", 2)]));

        write(&owner, 2, &[batch("p", 3, 5)]).await.unwrap();
        owner.close(&context(), &"Contact".into()).await.unwrap();
        assert_eq!(numbered(&owner), expected(&[("p", 5)]));
        let next = bronze(&shared, format);
        next.open(&context(), opening(3)).await.unwrap();
        assert_eq!(has(&disk.files(), "_pending"), 0, "what the paused owner left is cleaned up");
    }
}

#[tokio::test]
async fn d_16_a_paused_owner_whose_file_is_still_there_finds_its_number_taken() {
    let (disk, shared) = disks();
    let paused = bronze(&shared, Format::Jsonl);
    paused.open(&context(), opening(1)).await.unwrap();
    let owner = bronze(&shared, Format::Jsonl);
    owner.open(&context(), takeover(2)).await.unwrap();
    let error = write(&paused, 1, &[batch("p", 1, 2)]).await.unwrap_err();
    assert_fenced(&error, "2");
    assert!(visible(&owner).is_empty());
    assert_eq!(has(&disk.files(), "_pending"), 0, "it removes its own");
    let again = write(&paused, 1, &[batch("p", 1, 2)]).await.unwrap_err();
    assert_eq!(again.class(), Class::Bug, "a fenced owner has to open anew: {again:?}");
    assert_fenced(&paused.open(&context(), opening(1)).await.unwrap_err(), "2");
}

#[tokio::test]
async fn d_16_a_commit_with_somebody_elses_lease_is_refused() {
    let (_, shared) = disks();
    let bronze = bronze(&shared, Format::Jsonl);
    bronze.open(&context(), opening(1)).await.unwrap();
    assert_fenced(&write(&bronze, 2, &[batch("p", 1, 2)]).await.unwrap_err(), "2");
    assert!(visible(&bronze).is_empty());
}

#[tokio::test]
async fn d_16_a_number_that_was_folded_away_is_still_taken() {
    let (disk, shared) = disks();
    let paused = bronze(&shared, Format::Jsonl);
    paused.open(&context(), opening(1)).await.unwrap();
    let owner = bronze(&shared, Format::Jsonl);
    owner.open(&context(), takeover(2)).await.unwrap();
    for number in 1..=130 {
        write(&owner, 2, &[batch("p", number, number)]).await.unwrap();
    }
    assert!(!disk.files().contains(&format!("{STREAM}/_commits/1.json")), "folded");
    let error = write(&paused, 1, &[batch("p", 1, 1)]).await.unwrap_err();
    assert_eq!(error.class(), Class::Permanent, "{error:?}");
    assert!(!disk.files().contains(&format!("{STREAM}/_commits/1.json")), "{:#?}", disk.files());
    assert_eq!(numbered(&owner), expected(&[("p", 130)]));
    write(&owner, 2, &[batch("p", 131, 131)]).await.unwrap();
    let next = bronze(&shared, Format::Jsonl);
    assert_eq!(standing(&next.open(&context(), opening(3)).await.unwrap()), [("p".into(), 131)].into());
}

#[tokio::test]
async fn a_commit_whose_owner_stopped_before_publishing_is_rolled_forward_by_the_next() {
    for format in FORMATS {
        let (disk, shared) = disks();
        let paused = bronze(&shared, format);
        paused.open(&context(), opening(1)).await.unwrap();
        let probe = disk.fork();
        let on_probe: Arc<dyn Disk> = Arc::new(probe.clone());
        let trial = bronze(&on_probe, format);
        trial.open(&context(), opening(1)).await.unwrap();
        probe.plan(Plan::default());
        write(&trial, 1, &[batch("p", 1, 3)]).await.unwrap();
        let rename = probe.trace().iter().position(|step| step.starts_with("rename")).unwrap() as u64 + 1;

        disk.plan(Plan { fail_at: Some((rename, io::ErrorKind::TimedOut)), ..Plan::default() });
        let error = write(&paused, 1, &[batch("p", 1, 3)]).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient, "{error:?}");
        assert!(visible(&paused).is_empty(), "committed, and not visible yet");
        let next = bronze(&shared, format);
        let found = next.open(&context(), takeover(2)).await.unwrap();
        assert_eq!(standing(&found), [("p".into(), 3)].into());
        assert_eq!(numbered(&next), expected(&[("p", 3)]));
    }
}

#[tokio::test]
async fn an_older_lease_cannot_open_the_stream() {
    let (_, shared) = disks();
    let newer = bronze(&shared, Format::Jsonl);
    newer.open(&context(), opening(7)).await.unwrap();
    write(&newer, 7, &[batch("p", 1, 2)]).await.unwrap();
    for opening in [opening(6), takeover(6)] {
        let older = bronze(&shared, Format::Jsonl);
        assert_fenced(&older.open(&context(), opening).await.unwrap_err(), "7");
    }
    write(&newer, 7, &[batch("p", 3, 4)]).await.unwrap();
}

#[tokio::test]
async fn the_same_owner_may_open_again_and_again() {
    let (disk, shared) = disks();
    let bronze = bronze(&shared, Format::Jsonl);
    for round in 0..3 {
        bronze.open(&context(), opening(1)).await.unwrap();
        bronze.emit(&context(), batch("p", 3 * round + 1, 3 * round + 2)).await.unwrap();
        bronze.open(&context(), opening(1)).await.unwrap();
        write(&bronze, 1, &[batch("p", 3 * round + 1, 3 * round + 3)]).await.unwrap();
    }
    assert_eq!(numbered(&bronze), expected(&[("p", 9)]));
    assert_eq!(has(&disk.files(), "_commits"), 3, "a clean opening puts nothing into the log");
}

/// Makes the link and says that the name was taken, as a file server whose first answer got lost.
#[derive(Debug)]
struct LostAnswer(MemoryDisk);

impl Disk for LostAnswer {
    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        self.0.link(file, name)?;
        Err(io::ErrorKind::AlreadyExists.into())
    }
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dirs(dir)
    }
    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.create(file)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, file: &Path) -> io::Result<()> {
        self.0.remove(file)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list(dir)
    }
    fn size(&self, file: &Path) -> io::Result<u64> {
        self.0.size(file)
    }
    fn read(&self, file: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.0.read(file, offset, length)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
}

#[tokio::test]
async fn a_link_whose_answer_was_lost_is_recognised_as_our_own() {
    let shared: Arc<dyn Disk> = Arc::new(LostAnswer(MemoryDisk::default()));
    let bronze = bronze(&shared, Format::Jsonl);
    bronze.open(&context(), takeover(1)).await.unwrap();
    write(&bronze, 1, &[batch("p", 1, 2)]).await.unwrap();
    assert_eq!(numbered(&bronze), expected(&[("p", 2)]));
}
