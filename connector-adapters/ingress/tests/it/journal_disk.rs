//! What a journal makes of damage, and of a disk that it has to share.

use std::{path::Path, sync::atomic::Ordering};

use bytes::Bytes;
use connector_bronze::Disk as _;
use connector_ingress::journal::{Appended, Entry, Journal, JournalError, Limits};
use connector_sdk::Class;
use connector_testkit::disk::Plan;

use crate::support::{TestDisk, bounded, event, ids, kept_after, open, open_with, small};

fn large() -> Limits {
    Limits::of_size(1 << 20)
}

async fn opened(disk: &TestDisk) -> Journal {
    let journal = open_with(disk, large()).await.unwrap();
    journal.take().await.unwrap();
    journal
}

/// Events in one batch: they gather while the disk is held.
async fn batch(disk: &TestDisk, journal: &Journal, numbers: std::ops::RangeInclusive<u64>) {
    let mut waiting = Vec::new();
    {
        let _held = disk.memory.hold();
        // The writer takes the first of them alone, and waits for the disk; the rest is one batch.
        for number in numbers {
            waiting.push(journal.submit(event(number)).await.unwrap());
        }
    }
    for waiting in waiting {
        bounded(waiting.durable()).await.unwrap();
    }
}

fn segment(disk: &TestDisk) -> (String, Vec<u8>) {
    let path = disk.memory.files().into_iter().find(|file| file.ends_with(".segment")).unwrap();
    let bytes = disk.memory.read(Path::new(&path), 0, usize::MAX).unwrap();
    (path, bytes)
}

/// A bit that flips anywhere costs the event that it is in, and no other, and no position means another event after it.
#[tokio::test]
async fn a_bit_that_flips_in_the_last_segment_costs_one_event_and_is_said() {
    let whole = TestDisk::default();
    let journal = opened(&whole).await;
    for number in 1..=6 {
        journal.append(event(number)).await.unwrap();
    }
    drop(journal);
    let (path, bytes) = segment(&whole);
    let frame = (bytes.len() - 32) / 6;
    for at in 0..bytes.len() {
        let disk = TestDisk::default();
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        disk.memory.put(&path, &damaged).unwrap();
        if at < 32 {
            let error = open_with(&disk, large()).await.unwrap_err();
            assert_eq!(error.class(), Class::Permanent, "{error}");
            continue;
        }
        let hit = ((at - 32) / frame) as u64 + 1;
        let journal = opened(&disk).await;
        let expected = ids((1..=6).filter(|number| *number != hit));
        // Of the last event nobody knows whether it was torn or damaged: after it nothing was ever written.
        let next = if hit == 6 { 6 } else { 7 };
        assert_eq!(journal.append(event(10)).await, Ok(Appended::Kept(next)), "{at}");
        journal.close().await.unwrap();
        let mut should = expected;
        should.extend(ids([10]));
        assert_eq!(kept_after(&journal, 0).await, should, "byte {at}");
        assert_eq!(
            kept_after(&journal, 5).await,
            ids([6].into_iter().filter(|_| hit != 6).chain([10])),
            "byte {at}"
        );
        let aside = disk.memory.files().into_iter().find(|file| file.ends_with(".damaged"));
        assert_eq!(aside.is_some(), hit != 6, "{:?}", disk.memory.files());
        if let Some(aside) = aside {
            assert_eq!(
                disk.memory.read(Path::new(&aside), 0, usize::MAX).unwrap(),
                damaged,
                "as it was found"
            );
        }
        drop(journal);
        // It is mended for good.
        let journal = opened(&disk).await;
        journal.close().await.unwrap();
        assert_eq!(kept_after(&journal, 0).await, should, "byte {at}, a life later");
    }
}

/// A batch that was cut off may have its later events on the disk and its earlier ones not: nobody has heard of any.
#[tokio::test]
async fn the_last_batch_is_torn_wherever_it_is_broken_and_an_earlier_one_is_damaged() {
    let whole = TestDisk::default();
    let journal = opened(&whole).await;
    journal.append(event(1)).await.unwrap();
    batch(&whole, &journal, 2..=9).await;
    drop(journal);
    let (path, bytes) = segment(&whole);
    let frame = (bytes.len() - 32) / 9;
    // The batch that 2 began alone, or began with others, ends before the one that was gathered behind it.
    let torn = TestDisk::default();
    let mut broken = bytes.clone();
    broken[32 + 7 * frame + 20] ^= 1;
    torn.memory.put(&path, &broken).unwrap();
    let journal = opened(&torn).await;
    journal.close().await.unwrap();
    assert_eq!(kept_after(&journal, 0).await, ids(1..=7), "8 and 9 were torn off together");
    assert!(!torn.memory.files().iter().any(|file| file.ends_with(".damaged")));
    drop(journal);
    // With a batch behind it the same is damage, and 9 is still there.
    let journal = opened(&whole).await;
    journal.append(event(10)).await.unwrap();
    drop(journal);
    let damaged = TestDisk::default();
    let mut all = bytes;
    all[32 + 7 * frame + 20] ^= 1;
    let later: Vec<String> = whole.memory.files();
    let last = later.iter().rfind(|file| file.ends_with(".segment")).unwrap();
    let last = whole.memory.read(Path::new(last), 32, usize::MAX).unwrap();
    all.extend_from_slice(&last);
    damaged.memory.put(&path, &all).unwrap();
    let journal = opened(&damaged).await;
    journal.close().await.unwrap();
    assert_eq!(kept_after(&journal, 0).await, ids((1..=7).chain(9..=10)));
}

/// What leaves the journal is written to the same disk: a journal that takes all of it can never be emptied.
#[tokio::test]
async fn a_journal_leaves_room_on_its_disk_for_what_has_to_leave_it() {
    let disk = TestDisk::default();
    disk.size.store(60 << 10, Ordering::SeqCst);
    let journal = open(&disk).await;
    let mut taken = 0;
    while let Ok(Appended::Kept(position)) = bounded(journal.append(event(taken + 1))).await {
        taken = position;
    }
    assert_eq!(journal.append(event(taken + 1)).await, Err(JournalError::Full));
    let used = disk.memory.used();
    assert!(taken > 50 && used > 5 << 10, "{taken} events, {used} bytes: it is not afraid of nothing");
    // Bronze writes all of it, three times as large, and the disk is really full then.
    disk.memory.put("/bronze/data", &vec![b'x'; used * 3]).unwrap();
    disk.memory.plan(Plan { capacity: Some(60 << 10), ..Plan::default() });
    assert_eq!(journal.append(event(taken + 1)).await, Err(JournalError::Full));
    journal.acknowledge(taken).await.unwrap();
    let left = disk.memory.files();
    let segments = left.iter().filter(|file| file.ends_with(".segment")).count();
    assert!(segments <= 2, "what is in Bronze was given up: {left:?}");
    disk.memory.take_away("/bronze");
    assert!(matches!(bounded(journal.append(event(taken + 1))).await, Ok(Appended::Kept(_))));
    assert_eq!(bounded(journal.append(event(1))).await, Ok(Appended::Known));
}

/// A receiver that runs for months has as many files as one that was started today.
#[tokio::test]
async fn ids_are_put_together_while_it_runs() {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    for number in 1..=1_000 {
        journal.append(event(number)).await.unwrap();
        if number % 10 == 0 {
            journal.acknowledge(number).await.unwrap();
            let files = disk.memory.files();
            assert!(files.len() < 40, "{} files after {number} events", files.len());
        }
    }
    drop(journal);
    let journal = open(&disk).await;
    for number in [1, 2, 500, 1_000] {
        assert_eq!(journal.append(event(number)).await, Ok(Appended::Known), "{number}");
    }
}

#[tokio::test]
async fn what_waits_for_the_disk_has_a_bound_in_memory() {
    let disk = TestDisk::default();
    let journal = open_with(&disk, Limits::of_size(1 << 30)).await.unwrap();
    journal.take().await.unwrap();
    let mut waiting = Vec::new();
    let refused = {
        let _held = disk.memory.hold();
        let body = Bytes::from(vec![b'x'; 8 << 20]);
        let mut refused = 0;
        for number in 0..12 {
            match journal.submit(Entry { body: body.clone(), ..event(number) }).await {
                Ok(submitted) => waiting.push(submitted),
                Err(error) => {
                    assert_eq!(error, JournalError::Busy);
                    refused += 1;
                }
            }
        }
        refused
    };
    assert_eq!((waiting.len(), refused), (7, 5), "8 MiB each, 64 MiB together");
    for waiting in waiting {
        bounded(waiting.durable()).await.unwrap();
    }
    assert!(bounded(journal.append(event(50))).await.is_ok(), "and then there is room again");
}

/// What others write looks like frames, and the event that holds it is torn by a crash: it is no event of anybody's.
#[tokio::test]
async fn frames_in_a_body_are_no_frames() {
    // A journal that its writer knows, to learn from it what frames look like.
    let known = TestDisk::default();
    let journal = opened(&known).await;
    for number in 1..=20 {
        journal.append(event(number)).await.unwrap();
    }
    drop(journal);
    let (_, frames) = segment(&known);
    let disk = TestDisk::default();
    let journal = opened(&disk).await;
    journal.append(event(1)).await.unwrap();
    journal.append(Entry { body: Bytes::from(frames[32..].to_vec()), ..event(2) }).await.unwrap();
    drop(journal);
    let (path, bytes) = segment(&disk);
    disk.memory.put(&path, &bytes[..bytes.len() - 1]).unwrap();
    let journal = opened(&disk).await;
    journal.close().await.unwrap();
    assert_eq!(kept_after(&journal, 0).await, ids([1]));
    assert!(
        !disk.memory.files().iter().any(|file| file.ends_with(".damaged")),
        "it was torn, and that is all"
    );
}

/// A batch that did not fit is still in the active segment when all before it is acknowledged, and then it crashes.
#[tokio::test]
async fn a_torn_write_an_acknowledgement_and_a_crash_leave_a_journal_that_opens() {
    for crash_after in 0..12 {
        let disk = TestDisk::default();
        let limits = Limits { segment_size: 4 << 10, ..small() };
        let journal = open_with(&disk, limits).await.unwrap();
        journal.take().await.unwrap();
        for number in 1..=20 {
            journal.append(event(number)).await.unwrap();
        }
        let capacity = Some(disk.memory.used() + 50);
        disk.memory.plan(Plan { capacity, write_at_most: Some(30), ..Plan::default() });
        assert_eq!(bounded(journal.append(event(21))).await, Err(JournalError::Full));
        let room = Some(disk.memory.used() + 40);
        let crash = Some(crash_after);
        disk.memory.plan(Plan { capacity: room, crash_after: crash, ..Plan::default() });
        let _ = bounded(journal.acknowledge(20)).await;
        drop(journal);
        disk.memory.reboot(connector_testkit::disk::Crash::Kept);
        let journal = opened(&disk).await;
        assert!(bounded(journal.append(event(21))).await.is_ok());
        assert_eq!(bounded(journal.append(event(7))).await, Ok(Appended::Known));
        journal.close().await.unwrap();
        assert_eq!(kept_after(&journal, 20).await, ids([21]));
    }
}

/// An acknowledgement that failed is not the last one, though nothing more can come in that would cause another.
#[tokio::test]
async fn a_full_journal_gets_empty_also_when_the_first_try_fails() {
    let disk = TestDisk::default();
    let limits = Limits { max_size: 4 << 10, ..small() };
    let journal = open_with(&disk, limits).await.unwrap();
    journal.take().await.unwrap();
    let mut taken = 0;
    while let Ok(Appended::Kept(position)) = bounded(journal.append(event(taken + 1))).await {
        taken = position;
    }
    disk.memory.plan(Plan { fail_at: Some((1, std::io::ErrorKind::StorageFull)), ..Plan::default() });
    let _ = bounded(journal.acknowledge(taken)).await;
    let mut last = Err(JournalError::Full);
    for seconds in 1..200 {
        let at = connector_sdk::Timestamp::from_millis(crate::support::T0 + seconds * 1_000);
        last = bounded(journal.append(Entry { received_at: at, ..event(taken + 1) })).await;
        if last.is_ok() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(matches!(last, Ok(Appended::Kept(_))), "{last:?}");
}

/// Ids are only memory: where they cannot be read, an event may come twice, and none is shut out.
#[tokio::test]
async fn ids_that_cannot_be_read_shut_nobody_out() {
    let disk = TestDisk::default();
    let journal = open(&disk).await;
    for number in 1..=60 {
        journal.append(event(number)).await.unwrap();
    }
    journal.acknowledge(40).await.unwrap();
    drop(journal);
    let path = disk.memory.files().into_iter().find(|file| file.ends_with(".ids")).unwrap();
    let mut bytes = disk.memory.read(Path::new(&path), 0, usize::MAX).unwrap();
    bytes[3] ^= 1;
    disk.memory.put(&path, &bytes).unwrap();
    let journal = open(&disk).await;
    assert_eq!(journal.append(event(60)).await, Ok(Appended::Known));
    assert!(matches!(journal.append(event(1)).await, Ok(Appended::Kept(_))));
    assert!(disk.memory.files().iter().any(|file| file.ends_with(".ids.damaged")));
}

/// Who sends very much has its own ids forgotten, not those of others.
#[tokio::test]
async fn one_endpoint_does_not_push_out_the_ids_of_another() {
    let disk = TestDisk::default();
    let mut limits = large();
    limits.remember.count = 100;
    let entry = |endpoint: &str, number: u64| Entry { id: format!("{endpoint}\n{number}"), ..event(number) };
    let journal = open_with(&disk, limits).await.unwrap();
    journal.take().await.unwrap();
    for number in 0..40 {
        journal.append(entry("/honest", number)).await.unwrap();
    }
    for number in 0..500 {
        journal.append(entry("/flood", number)).await.unwrap();
    }
    for life in 0..2 {
        assert_eq!(journal.append(entry("/honest", 0)).await, Ok(Appended::Known), "life {life}");
        assert_eq!(journal.append(entry("/flood", 499)).await, Ok(Appended::Known));
    }
    assert!(matches!(journal.append(entry("/flood", 0)).await, Ok(Appended::Kept(_))));
}

/// A clock that is wrong for a moment makes nothing be forgotten.
#[tokio::test]
async fn an_event_from_the_future_does_not_make_the_past_forgotten() {
    let disk = TestDisk::default();
    let future = connector_sdk::Timestamp::from_millis(crate::support::T0 + 400 * 86_400_000);
    let journal = opened(&disk).await;
    journal.append(event(1)).await.unwrap();
    journal.append(Entry { received_at: future, ..event(2) }).await.unwrap();
    assert_eq!(journal.append(event(1)).await, Ok(Appended::Known));
    drop(journal);
    let journal = opened(&disk).await;
    assert_eq!(journal.append(event(1)).await, Ok(Appended::Known));
    assert_eq!(journal.append(event(2)).await, Ok(Appended::Known));
}

/// Nothing of this changes what small segments are for.
#[tokio::test]
async fn segments_that_were_given_up_are_gone() {
    let disk = TestDisk::default();
    let journal = open_with(&disk, small()).await.unwrap();
    journal.take().await.unwrap();
    for number in 1..=60 {
        journal.append(event(number)).await.unwrap();
    }
    let count = || disk.memory.files().iter().filter(|file| file.ends_with(".segment")).count();
    let before = count();
    journal.acknowledge(60).await.unwrap();
    assert!(before > 3 && count() <= 2, "{before}, then {}", count());
}
