//! What a commit covers, what it refuses, and what happens between commits.

use std::sync::Arc;

use connector_bronze::{Bronze, Disk, Format};
use connector_sdk::{
    Class, Emit, Error, Result,
    contract::{Commit, DeadLetter, Receipt, SequencedBatch},
    record::Tally,
};

use connector_testkit::disk::MemoryDisk;

use crate::support::*;

async fn opened(format: Format) -> (MemoryDisk, Bronze) {
    let disk = MemoryDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let bronze = bronze(&shared, format);
    bronze.open(&context(), opening(1)).await.unwrap();
    (disk, bronze)
}

async fn emit(bronze: &Bronze, batch: &SequencedBatch) {
    bronze.emit(&context(), batch.clone()).await.unwrap();
}

async fn commit_all(bronze: &Bronze, commits: &[Commit]) -> Result<Receipt> {
    bronze.commit(&context(), &lease(1), commits).await
}

fn assert_bug(error: &Error, says: &str) {
    assert_eq!(error.class(), Class::Bug, "{error:?}");
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test]
async fn d_05_a_commit_whose_tally_is_not_what_was_encoded_is_refused() {
    for format in FORMATS {
        let batch = batch("p", 1, 3);
        let right = commit(&[&batch]);
        let wrong = [
            Tally { count: right.tally.count + 1, ..right.tally },
            Tally { count: right.tally.count - 1, ..right.tally },
            Tally { hash: right.tally.hash ^ 1, ..right.tally },
            Tally::default(),
        ];
        for tally in wrong {
            let (disk, bronze) = opened(format).await;
            emit(&bronze, &batch).await;
            let error = commit_all(&bronze, &[Commit { tally, ..right.clone() }]).await.unwrap_err();
            assert_bug(&error, "not what was read");
            assert!(error.context().any(|(name, value)| name == "partition" && value == "p"), "{error}");
            assert_eq!(has(&disk.files(), "_commits"), 0);
            assert!(visible(&bronze).is_empty());
            // The stream is poisoned, and a new opening heals it.
            assert_bug(&bronze.emit(&context(), batch.clone()).await.unwrap_err(), "open it anew");
            bronze.open(&context(), opening(1)).await.unwrap();
            write(&bronze, 1, std::slice::from_ref(&batch)).await.unwrap();
            assert_eq!(numbered(&bronze), expected(&[("p", 3)]));
        }
    }
}

#[tokio::test]
async fn d_05_a_record_that_changed_on_the_way_is_found() {
    for format in FORMATS {
        let (_, bronze) = opened(format).await;
        emit(&bronze, &batch("p", 1, 3)).await;
        let read = sequenced(
            {
                let mut builder = connector_sdk::record::BatchBuilder::new("Contact".into());
                for sequence in 1..=3u64 {
                    let key = format!(r#"{{"Id":"p{sequence}"}}"#);
                    let text = record("p", sequence).replace(".10", ".1");
                    builder.upsert(key.as_bytes(), text.as_bytes(), None);
                }
                builder
            },
            "p",
            1,
        );
        assert_bug(&commit_all(&bronze, &[commit(&[&read])]).await.unwrap_err(), "not what was read");
    }
}

#[tokio::test]
async fn d_06_a_gap_or_a_repeat_in_the_numbers_is_refused() {
    for (first, second) in [(1, 5), (1, 3), (1, 1), (4, 3)] {
        let (_, bronze) = opened(Format::Jsonl).await;
        emit(&bronze, &batch("p", first, first + 2)).await;
        let error = bronze.emit(&context(), batch("p", second, second + 1)).await.unwrap_err();
        assert_bug(&error, "no gap");
    }
    let (_, bronze) = opened(Format::Jsonl).await;
    let mut zero = batch("p", 1, 2);
    zero.first_sequence = 0;
    assert_bug(&bronze.emit(&context(), zero).await.unwrap_err(), "start at 1");
    let (_, bronze) = opened(Format::Jsonl).await;
    write(&bronze, 1, &[batch("p", 1, 3)]).await.unwrap();
    assert_bug(&bronze.emit(&context(), batch("p", 3, 4)).await.unwrap_err(), "no gap");
}

#[tokio::test]
async fn d_06_a_commit_must_end_where_the_records_end() {
    let (_, bronze) = opened(Format::Jsonl).await;
    let batch = batch("p", 1, 3);
    emit(&bronze, &batch).await;
    let error = commit_all(&bronze, &[Commit { sequence: 4, ..commit(&[&batch]) }]).await.unwrap_err();
    assert_bug(&error, "not what was read");
}

#[tokio::test]
async fn covered_records_that_no_commit_names_are_a_bug() {
    let (_, bronze) = opened(Format::Jsonl).await;
    let (p, q) = (batch("p", 1, 2), batch("q", 1, 2));
    emit(&bronze, &p).await;
    emit(&bronze, &q).await;
    let error = commit_all(&bronze, &[commit(&[&p])]).await.unwrap_err();
    assert_bug(&error, "not in the commit");
    assert!(visible(&bronze).is_empty());
}

#[tokio::test]
async fn a_partition_named_twice_is_a_bug() {
    let (_, bronze) = opened(Format::Jsonl).await;
    let p = batch("p", 1, 2);
    emit(&bronze, &p).await;
    assert_bug(&commit_all(&bronze, &[commit(&[&p]), commit(&[&p])]).await.unwrap_err(), "twice");
}

#[tokio::test]
async fn uncovered_records_wait_until_a_commit_names_their_partition() {
    for format in FORMATS {
        let (disk, bronze) = opened(format).await;
        let (p, q1, q2) = (batch("p", 1, 2), uncovered(batch("q", 1, 2)), uncovered(batch("q", 3, 4)));
        for batch in [&p, &q1] {
            emit(&bronze, batch).await;
        }
        commit_all(&bronze, &[commit(&[&p])]).await.unwrap();
        assert_eq!(numbered(&bronze), expected(&[("p", 2)]));
        assert_eq!(has(&disk.files(), "_pending"), 1, "it waits");
        emit(&bronze, &q2).await;
        let p = batch("p", 3, 3);
        emit(&bronze, &p).await;
        let receipt = commit_all(&bronze, &[commit(&[&p]), commit(&[&q1, &q2])]).await.unwrap();
        assert_eq!((receipt.records, receipt.files.len()), (5, 2));
        assert_eq!(numbered(&bronze), expected(&[("p", 3), ("q", 4)]));
    }
}

#[tokio::test]
async fn a_commit_may_reach_what_is_covered_and_not_what_was_spilled_after_it() {
    for format in FORMATS {
        let (_, bronze) = opened(format).await;
        let (covered, spilled) = (batch("p", 1, 2), uncovered(batch("p", 3, 5)));
        emit(&bronze, &covered).await;
        emit(&bronze, &spilled).await;
        commit_all(&bronze, &[commit(&[&covered])]).await.unwrap();
        assert_eq!(numbered(&bronze), expected(&[("p", 2)]));
        commit_all(&bronze, &[commit(&[&spilled])]).await.unwrap();
        assert_eq!(numbered(&bronze), expected(&[("p", 5)]));
    }
}

#[tokio::test]
async fn a_covered_batch_after_uncovered_ones_is_committed_with_them() {
    let (_, bronze) = opened(Format::Jsonl).await;
    let (spilled, covered) = (uncovered(batch("p", 1, 2)), batch("p", 3, 5));
    emit(&bronze, &spilled).await;
    emit(&bronze, &covered).await;
    commit_all(&bronze, &[commit(&[&spilled, &covered])]).await.unwrap();
    assert_eq!(numbered(&bronze), expected(&[("p", 5)]));
}

#[tokio::test]
async fn what_is_discarded_is_gone_and_its_numbers_are_used_again() {
    for format in FORMATS {
        let (disk, bronze) = opened(format).await;
        let (covered, spilled) = (batch("p", 1, 2), uncovered(batch("p", 3, 5)));
        emit(&bronze, &covered).await;
        emit(&bronze, &spilled).await;
        bronze.discard(&context(), &"Contact".into(), &"p".into()).await.unwrap();
        bronze.discard(&context(), &"Contact".into(), &"unknown".into()).await.unwrap();
        let again = batch("p", 3, 4);
        emit(&bronze, &again).await;
        commit_all(&bronze, &[commit(&[&covered, &again])]).await.unwrap();
        assert_eq!(numbered(&bronze), expected(&[("p", 4)]));
        assert_eq!(has(&disk.files(), "_pending"), 0);
    }
}

#[tokio::test]
async fn close_throws_away_what_is_not_committed() {
    for format in FORMATS {
        let (disk, bronze) = opened(format).await;
        emit(&bronze, &batch("p", 1, 2)).await;
        emit(&bronze, &uncovered(batch("q", 1, 2))).await;
        bronze.dead_letter(&context(), &"Contact".into(), letter("x")).await.unwrap();
        bronze.close(&context(), &"Contact".into()).await.unwrap();
        assert!(disk.files().is_empty(), "{:?}", disk.files());
        bronze.close(&context(), &"Contact".into()).await.expect("closing twice is no error");
        let error = bronze.emit(&context(), batch("p", 1, 2)).await.unwrap_err();
        assert_bug(&error, "not open");
    }
}

#[tokio::test]
async fn a_state_without_records_is_a_commit_without_files() {
    for format in FORMATS {
        let (disk, bronze) = opened(format).await;
        let empty = Commit { tally: Tally::default(), ..commit(&[&batch("p", 1, 7)]) };
        let receipt = commit_all(&bronze, &[empty]).await.unwrap();
        assert_eq!((receipt.number, receipt.records, receipt.files.len()), (1, 0, 0));
        assert_eq!(disk.files(), [format!("{STREAM}/_commits/1.json")]);
        let found = bronze.open(&context(), opening(2)).await.unwrap();
        assert_eq!(standing(&found), [("p".into(), 7)].into());
        let nothing = bronze.commit(&context(), &lease(2), &[]).await.unwrap();
        assert_eq!(nothing.number, 1, "nothing to say puts nothing into the log");
    }
}

#[tokio::test]
async fn an_empty_batch_makes_no_file() {
    let (disk, bronze) = opened(Format::Parquet).await;
    let nothing = sequenced(connector_sdk::record::BatchBuilder::new("Contact".into()), "p", 1);
    emit(&bronze, &nothing).await;
    assert!(disk.files().is_empty());
}

#[tokio::test]
async fn states_come_back_from_the_log_as_they_were_committed() {
    let (_, bronze) = opened(Format::Jsonl).await;
    let p = batch("p", 1, 2);
    emit(&bronze, &p).await;
    let wanted =
        Commit { epoch: 4, generation: 9, state: state(2).covering(2).completing(), ..commit(&[&p]) };
    commit_all(&bronze, std::slice::from_ref(&wanted)).await.unwrap();
    let found = bronze.open(&context(), opening(2)).await.unwrap();
    assert_eq!(found, [wanted]);
    assert!(found[0].state.is_complete());
}

fn letter(reason: &str) -> DeadLetter {
    DeadLetter {
        reason: reason.to_owned(),
        class: Class::Schema,
        stream: "Contact".into(),
        partition: "p".into(),
        record: "{\"torn\":\n".into(),
    }
}

#[tokio::test]
async fn d_19_dead_letters_appear_with_the_commit_that_follows_them() {
    for format in FORMATS {
        let (disk, bronze) = opened(format).await;
        let p = batch("p", 1, 2);
        emit(&bronze, &p).await;
        for reason in ["too large", "no key"] {
            bronze.dead_letter(&context(), &"Contact".into(), letter(reason)).await.unwrap();
        }
        assert_eq!(has(&disk.files(), "_dead_letters"), 0);
        let receipt = commit_all(&bronze, &[commit(&[&p])]).await.unwrap();
        assert_eq!((receipt.records, receipt.dead_letters, receipt.files.len()), (2, 2, 1));
        let text = disk.read_text(format!("{STREAM}/_dead_letters/0000000001-1.jsonl")).unwrap();
        let lines: Vec<DeadLetter> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].reason.as_str(), lines[1].record.as_str()), ("too large", "{\"torn\":\n"));
        assert_eq!(visible(&bronze).len(), 2, "dead letters are not data");
        bronze.dead_letter(&context(), &"Contact".into(), letter("alone")).await.unwrap();
        let alone = commit_all(&bronze, &[]).await.unwrap();
        assert_eq!((alone.number, alone.dead_letters), (2, 1));
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_poisons_the_stream_until_it_is_opened_anew() {
    let (disk, bronze) = opened(Format::Jsonl).await;
    let held = disk.hold();
    let cx = context();
    let mut call = Box::pin(bronze.emit(&cx, batch("p", 1, 2)));
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut task).is_pending(), "the disk is slow");
    drop(call);
    drop(held);
    let error = bronze.emit(&context(), batch("p", 3, 4)).await.unwrap_err();
    assert_bug(&error, "open it anew");
    bronze.open(&context(), opening(2)).await.unwrap();
    write(&bronze, 2, &[batch("p", 1, 3)]).await.unwrap();
    assert_eq!(numbered(&bronze), expected(&[("p", 3)]));
}

#[tokio::test]
async fn streams_are_written_side_by_side() {
    let (_, bronze) = opened(Format::Jsonl).await;
    let bronze = Arc::new(bronze);
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..8 {
        let bronze = bronze.clone();
        tasks.spawn(async move {
            let name = format!("Stream{index}");
            let mut opening = opening(1);
            opening.lease.stream = name.as_str().into();
            opening.header.stream = name.as_str().into();
            let lease = opening.lease.clone();
            bronze.open(&context(), opening).await.unwrap();
            for number in 1..=5u64 {
                let mut builder = connector_sdk::record::BatchBuilder::new(name.as_str().into());
                builder.upsert(b"{}", b"{}", None);
                let batch = sequenced(builder, "p", number);
                bronze.emit(&context(), batch.clone()).await.unwrap();
                bronze.commit(&context(), &lease, &[commit(&[&batch])]).await.unwrap();
            }
            bronze.close(&context(), &lease.stream).await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(visible(&bronze).len(), 40);
}
