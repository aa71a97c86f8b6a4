//! What a journal promises, over a disk that fails as told.

use std::{
    io::ErrorKind,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use connector_bronze::Disk as _;
use connector_ingress::journal::{Appended, Entry, Journal, JournalError, Limits, RealDisk, Remember};
use connector_sdk::{Class, SystemClock, Timestamp};
use connector_testkit::disk::{Crash, MemoryDisk, Plan};

use crate::support::{T0, TestDisk, bounded, event, ids, kept_after, open, open_with, small};

async fn append(journal: &Journal, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        assert!(matches!(bounded(journal.append(event(number))).await, Ok(Appended::Kept(_))));
    }
}

#[tokio::test]
async fn what_was_appended_is_read_in_order_across_segments_and_lives() {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    append(&journal, 1..=60).await;
    let segments = disk.memory.files().iter().filter(|file| file.ends_with(".segment")).count();
    assert!(segments > 3, "{:?}", disk.memory.files());
    journal.close().await.unwrap();
    assert_eq!(kept_after(&journal, 0).await, ids(1..=60));
    assert_eq!(kept_after(&journal, 37).await, ids(38..=60));
    let id = journal.id();
    drop(journal);
    let journal = open(&disk).await;
    assert_eq!(journal.id(), id, "it is the same journal");
    append(&journal, 61..=70).await;
    journal.close().await.unwrap();
    assert_eq!(kept_after(&journal, 37).await, ids(38..=70));
}

#[tokio::test]
async fn a_reader_waits_for_more_until_the_journal_is_closed() {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    let mut reader = journal.read_after(0);
    let waiting = tokio::spawn(async move { (reader.next(10, 1 << 20).await, reader) });
    append(&journal, [1]).await;
    let (found, mut reader) = bounded(waiting).await.unwrap();
    assert_eq!(found.unwrap().unwrap()[0].position, 1);
    let waiting = tokio::spawn(async move { reader.next(10, 1 << 20).await });
    journal.close().await.unwrap();
    assert!(bounded(waiting).await.unwrap().unwrap().is_none());
    assert_eq!(journal.append(event(2)).await, Err(JournalError::Closed));
}

#[tokio::test]
async fn an_event_that_is_larger_than_a_chunk_arrives_whole() {
    let disk = TestDisk::default();
    let journal = open_with(&disk, Limits::of_size(64 << 20)).await.unwrap();
    journal.take().await.unwrap();
    let large = Entry { body: Bytes::from(vec![b'x'; 3 << 20]), ..event(2) };
    append(&journal, [1]).await;
    journal.append(large.clone()).await.unwrap();
    append(&journal, [3]).await;
    journal.close().await.unwrap();
    let mut reader = journal.read_after(0);
    let mut found = Vec::new();
    while let Some(kept) = bounded(reader.next(10, 1 << 20)).await.unwrap() {
        found.extend(kept.into_iter().map(|kept| kept.entry));
    }
    assert_eq!(found, [event(1), large, event(3)]);
}

/// While one sync is under way the others gather, and have one in common.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_share_a_sync() {
    let disk = TestDisk::default();
    let journal = open_with(&disk, Limits::of_size(64 << 20)).await.unwrap();
    journal.take().await.unwrap();
    let before = disk.syncs.load(Ordering::SeqCst);
    let tasks: Vec<_> = {
        let _held = disk.memory.hold();
        let append = |number| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(event(number)).await })
        };
        (1..=500).map(append).collect()
    };
    for task in tasks {
        assert!(matches!(bounded(task).await.unwrap(), Ok(Appended::Kept(_))));
    }
    let syncs = disk.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs < 250, "{syncs} syncs of 500 events");
    assert_eq!(journal.durable(), 500);
}

/// Whatever is lost with the power, what was said to be durable is there, in its place.
#[tokio::test]
async fn what_was_acknowledged_is_there_after_the_power_went() {
    for seed in 1..=60 {
        let disk = TestDisk::default();
        let journal = open(&disk).await;
        append(&journal, 1..=30).await;
        // One more is on its way when it happens.
        disk.memory.plan(Plan { crash_after: Some(seed % 3), ..Plan::default() });
        let unsure = bounded(journal.append(event(31))).await;
        drop(journal);
        let crash = if seed % 4 == 0 { Crash::Lost } else { Crash::Some(seed) };
        disk.memory.reboot(crash);
        let journal = open(&disk).await;
        let after = match bounded(journal.append(event(31))).await.unwrap() {
            Appended::Kept(position) => position,
            Appended::Known => journal.durable(),
        };
        assert_eq!(after, 31, "{unsure:?}");
        append(&journal, [32]).await;
        journal.close().await.unwrap();
        assert_eq!(kept_after(&journal, 0).await, ids(1..=32), "seed {seed}");
    }
}

/// A write of a batch that was cut off by a crash, at each of its bytes.
#[tokio::test]
async fn d_22_a_torn_tail_is_cut_and_the_rest_stands() {
    let whole = TestDisk::default();
    let journal = open_with(&whole, Limits::of_size(1 << 20)).await.unwrap();
    journal.take().await.unwrap();
    append(&journal, 1..=3).await;
    drop(journal);
    let path = whole.memory.files().into_iter().find(|file| file.ends_with(".segment")).unwrap();
    let bytes = whole.memory.read(Path::new(&path), 0, usize::MAX).unwrap();
    let frame = (bytes.len() - 32) / 3;
    for cut in 32..bytes.len() {
        let disk = TestDisk::default();
        disk.memory.put(&path, &bytes[..cut]).unwrap();
        let journal = open(&disk).await;
        let expected = (cut - 32) / frame;
        append(&journal, [10]).await;
        journal.close().await.unwrap();
        let mut should = ids(1..=expected as u64);
        should.extend(ids([10]));
        assert_eq!(kept_after(&journal, 0).await, should, "cut at {cut}");
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_no_torn_tail() {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    append(&journal, 1..=60).await;
    drop(journal);
    let path = disk.memory.files().into_iter().find(|file| file.ends_with(".segment")).unwrap();
    let whole = disk.memory.read(Path::new(&path), 0, usize::MAX).unwrap();
    for at in [200, whole.len() - 1] {
        let disk = disk.fork();
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        disk.memory.put(&path, &bytes).unwrap();
        let journal = open(&disk).await;
        journal.close().await.unwrap();
        let kept = kept_after(&journal, 0).await;
        assert_eq!(kept.len(), 59, "one is lost, whatever it is: {kept:?}");
        assert_eq!(kept_after(&journal, 59).await, ids([60]), "and each is where it was");
        assert!(disk.memory.files().iter().any(|file| file.ends_with(".damaged")));
    }
}

#[tokio::test]
async fn a_sync_that_fails_poisons_the_journal_and_nothing_of_it_is_believed() {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    append(&journal, 1..=5).await;
    disk.memory.plan(Plan { fail_sync: Some(1), ..Plan::default() });
    assert!(matches!(bounded(journal.append(event(6))).await, Err(JournalError::Failed(_))));
    // The next sync would succeed, and lie.
    assert!(matches!(bounded(journal.append(event(7))).await, Err(JournalError::Failed(_))));
    assert_eq!(bounded(journal.failure()).await.class(), Class::Transient);
    let mut reader = journal.read_after(0);
    assert_eq!(
        bounded(reader.next(100, 1 << 20)).await.unwrap().unwrap().len(),
        5,
        "what is durable is read"
    );
    assert!(bounded(reader.next(100, 1 << 20)).await.is_err(), "and then it is no end");
    drop((journal, reader));
    // The cache has what the disk has not; opened again, it is written again.
    disk.memory.reboot(Crash::Kept);
    let journal = open(&disk).await;
    let again = bounded(journal.append(event(6))).await.unwrap();
    drop(journal);
    disk.memory.reboot(Crash::Lost);
    let journal = open(&disk).await;
    journal.close().await.unwrap();
    assert_eq!(kept_after(&journal, 0).await, ids(1..=6), "{again:?}: it was answered, so it is there");
}

#[tokio::test]
async fn a_journal_that_is_full_refuses_until_something_is_acknowledged() {
    let disk = TestDisk::default();
    let limits = Limits { max_size: 4 << 10, ..small() };
    let journal = open_with(&disk, limits).await.unwrap();
    journal.take().await.unwrap();
    let mut taken = 0;
    while let Ok(Appended::Kept(position)) = bounded(journal.append(event(taken + 1))).await {
        taken = position;
    }
    assert_eq!(journal.append(event(taken + 1)).await, Err(JournalError::Full));
    assert_eq!(bounded(journal.append(event(1))).await, Ok(Appended::Known), "what is there is there");
    journal.acknowledge(taken).await.unwrap();
    append(&journal, [taken + 1]).await;
    journal.close().await.unwrap();
    assert_eq!(kept_after(&journal, taken).await, ids([taken + 1]));
}

#[tokio::test]
async fn d_21_a_full_disk_refuses_and_takes_again_when_there_is_room() {
    for write_at_most in [None, Some(7)] {
        let disk = TestDisk::default();
        let journal = open(&disk).await;
        append(&journal, 1..=5).await;
        let capacity = Some(disk.memory.used() + 20);
        disk.memory.plan(Plan { capacity, write_at_most, ..Plan::default() });
        assert_eq!(bounded(journal.append(event(6))).await, Err(JournalError::Full));
        assert_eq!(bounded(journal.append(event(6))).await, Err(JournalError::Full));
        disk.memory.plan(Plan::default());
        append(&journal, [6, 7]).await;
        journal.close().await.unwrap();
        assert_eq!(kept_after(&journal, 0).await, ids(1..=7));
        drop(journal);
        let journal = open(&disk).await;
        journal.close().await.unwrap();
        assert_eq!(kept_after(&journal, 0).await, ids(1..=7));
    }
}

#[tokio::test]
async fn an_id_that_comes_again_is_known_across_segments_lives_and_acknowledgements() {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    append(&journal, 1..=40).await;
    assert_eq!(journal.append(event(3)).await, Ok(Appended::Known));
    journal.acknowledge(40).await.unwrap();
    assert!(disk.memory.files().iter().filter(|file| file.ends_with(".segment")).count() <= 2);
    drop(journal);
    for life in 0..12 {
        let journal = open(&disk).await;
        for old in [1, 20, 40, 40 + life] {
            assert_eq!(journal.append(event(old)).await, Ok(Appended::Known), "{old} in life {life}");
        }
        append(&journal, [41 + life]).await;
        journal.acknowledge(41 + life).await.unwrap();
    }
    let files = disk.memory.files();
    assert!(files.len() < 30, "ids of small segments are put together: {files:?}");
}

#[tokio::test]
async fn ids_are_remembered_no_longer_and_no_more_than_asked() {
    let disk = TestDisk::default();
    let remember = Remember { time: Duration::from_secs(60), count: 3 };
    let journal = open_with(&disk, Limits { remember, ..small() }).await.unwrap();
    journal.take().await.unwrap();
    append(&journal, 1..=4).await;
    assert_eq!(journal.append(event(2)).await, Ok(Appended::Known));
    assert!(matches!(journal.append(event(1)).await, Ok(Appended::Kept(_))), "the fourth was one too many");
    let later = Entry { received_at: Timestamp::from_millis(T0 + 60_001), ..event(4) };
    assert!(matches!(journal.append(later.clone()).await, Ok(Appended::Kept(_))), "a minute has passed");
    assert_eq!(journal.append(later).await, Ok(Appended::Known));
}

#[tokio::test]
async fn without_an_id_each_is_kept() {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    let nameless = Entry { id: String::new(), ..event(1) };
    assert_eq!(journal.append(nameless.clone()).await, Ok(Appended::Kept(1)));
    assert_eq!(journal.append(nameless).await, Ok(Appended::Kept(2)));
}

/// Between an append and the truncation, at each operation of the disk: nothing acknowledged to a sender and not by the
/// reader is lost, and nothing known is forgotten.
#[tokio::test]
async fn a_crash_while_segments_are_given_up_loses_nothing() {
    let mut crashed = 0;
    for after in 0..60 {
        for crash in [Crash::Lost, Crash::Kept, Crash::Some(after + 1)] {
            let disk = TestDisk::default();
            let journal = open(&disk).await;
            append(&journal, 1..=60).await;
            disk.memory.plan(Plan { crash_after: Some(after), ..Plan::default() });
            let done = bounded(journal.acknowledge(33)).await;
            crashed += u64::from(done.is_err());
            drop(journal);
            disk.memory.reboot(crash);
            let journal = open(&disk).await;
            assert_eq!(journal.append(event(1)).await, Ok(Appended::Known));
            assert_eq!(journal.append(event(33)).await, Ok(Appended::Known));
            append(&journal, [61]).await;
            journal.close().await.unwrap();
            assert_eq!(kept_after(&journal, 33).await, ids(34..=61), "{after} {crash:?}");
        }
    }
    assert!(crashed > 20, "{crashed}: the test has to hit something");
}

#[tokio::test]
async fn who_begins_again_is_not_given_what_was_acknowledged() {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    append(&journal, 1..=10).await;
    journal.acknowledge(6).await.unwrap();
    journal.acknowledge(2).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(kept_after(&journal, 0).await, ids(7..=10));
}

#[tokio::test]
async fn an_older_copy_of_a_journal_that_was_restored_skips_nothing_that_comes_after() {
    let folder = tempfile::tempdir().unwrap();
    let (here, copy) = (folder.path().join("journal"), folder.path().join("copy"));
    let open = async || {
        let limits = Limits::of_size(64 << 20);
        let journal =
            Journal::open(Arc::new(RealDisk), here.clone(), limits, &SystemClock::new()).await.unwrap();
        journal.take().await.unwrap();
        journal
    };
    let journal = open().await;
    append(&journal, 1..=10).await;
    let early = journal.bookmark(8);
    drop(journal);
    std::fs::create_dir(&copy).unwrap();
    let journal = open().await;
    assert_eq!(journal.position(&early), 8, "a life later it means the same");
    for file in std::fs::read_dir(&here).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    append(&journal, 11..=20).await;
    let mark = journal.bookmark(20);
    assert_eq!(journal.position(&mark), 20);
    drop(journal);
    std::fs::remove_dir_all(&here).unwrap();
    std::fs::rename(&copy, &here).unwrap();
    let journal = open().await;
    append(&journal, 21..=25).await;
    assert_eq!(
        journal.position(&mark),
        10,
        "what came since the copy was made has positions that were read before"
    );
    append(&journal, 26..=45).await;
    assert_eq!(journal.position(&mark), 10, "and when it has more than was read");
    journal.close().await.unwrap();
    assert_eq!(kept_after(&journal, journal.position(&mark)).await, ids(21..=45));
    let written = serde_json::to_string(&journal.bookmark(35)).unwrap();
    assert_eq!(journal.position(&serde_json::from_str(&written).unwrap()), 35);
}

#[tokio::test]
async fn only_one_process_has_the_journal_open() {
    let folder = tempfile::tempdir().unwrap();
    let open = |clock: SystemClock| {
        let place = folder.path().join("deep/journal");
        async move { Journal::open(Arc::new(RealDisk), place, small(), &clock).await }
    };
    let first = open(SystemClock::new()).await.unwrap();
    first.take().await.unwrap();
    append(&first, 1..=3).await;
    let second = tokio::spawn(open(SystemClock::new()));
    // The second waits for the first to go, for a while.
    append(&first, 4..=20).await;
    assert!(!second.is_finished());
    drop(first);
    let second = bounded(second).await.unwrap().unwrap();
    assert_eq!(kept_after(&second, 0).await, ids(1..=20));
}

/// A folder that may not be written to is the configuration's affair, a disk that fails is not.
#[tokio::test]
async fn what_cannot_be_opened_says_who_has_to_act() {
    let disk = TestDisk::default();
    disk.memory.plan(Plan { fail_at: Some((1, ErrorKind::PermissionDenied)), ..Plan::default() });
    assert_eq!(open_with(&disk, small()).await.unwrap_err().class(), Class::Config);
    disk.memory.plan(Plan { fail_at: Some((3, ErrorKind::StorageFull)), ..Plan::default() });
    assert_eq!(open_with(&disk, small()).await.unwrap_err().class(), Class::Transient);
    let _: &MemoryDisk = &disk.memory;
}
