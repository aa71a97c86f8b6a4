use connector_sdk::{Timestamp, record::BatchBuilder};

use super::*;

fn batch(keys: impl Iterator<Item = u64>) -> SequencedBatch {
    let mut builder = BatchBuilder::new("s".into());
    for key in keys {
        builder.upsert(format!("{{\"id\":{key:04}}}").as_bytes(), b"{}", None);
    }
    SequencedBatch {
        batch: builder.build(),
        partition: "p".into(),
        first_sequence: 1,
        epoch: 0,
        generation: 1,
        extracted_at: Timestamp::from_millis(0),
        schema_fingerprint: "".into(),
        covered: true,
    }
}

/// A generation that was seen whole, in many small files.
async fn seen(work: &Path, number: u64, keys: impl Iterator<Item = u64>) -> Generation {
    let mut generation = Generation::new(work, &"a/b".into(), number, 7);
    for key in keys {
        generation.note(&batch([key, key].into_iter()));
        generation.flush().await.unwrap();
    }
    generation.merge().await.unwrap();
    generation
}

#[tokio::test]
async fn d_14_what_the_earlier_generation_had_and_this_one_has_not_is_gone() {
    let work = tempfile::tempdir().unwrap();
    seen(work.path(), 1, (0..300).rev()).await;
    let second = seen(work.path(), 2, (0..400).filter(|key| key % 100 != 7)).await;
    let comparison = second.compare().await.unwrap().unwrap();
    assert_eq!((comparison.before, comparison.gone), (300, 3));
    let gone = second.gone(None, 2).await.unwrap();
    assert_eq!(gone, [b"{\"id\":0007}".to_vec(), b"{\"id\":0107}".to_vec()]);
    let rest = second.gone(gone.last().cloned(), 2).await.unwrap();
    assert_eq!(rest, [b"{\"id\":0207}".to_vec()]);
}

#[tokio::test]
async fn the_first_generation_has_nothing_to_be_compared_with() {
    let work = tempfile::tempdir().unwrap();
    let first = seen(work.path(), 1, 0..5).await;
    assert!(first.compare().await.unwrap().is_none());
}

#[tokio::test]
async fn an_interrupted_generation_keeps_what_it_had_noted() {
    let work = tempfile::tempdir().unwrap();
    seen(work.path(), 1, 0..10).await;
    let mut interrupted = Generation::new(work.path(), &"a/b".into(), 2, 8);
    interrupted.note(&batch(0..5));
    interrupted.flush().await.unwrap();
    drop(interrupted);
    let mut resumed = Generation::new(work.path(), &"a/b".into(), 2, 9);
    resumed.note(&batch(5..10));
    resumed.flush().await.unwrap();
    resumed.merge().await.unwrap();
    assert_eq!(resumed.compare().await.unwrap().unwrap().gone, 0);
}

#[tokio::test]
async fn what_is_needed_no_more_is_removed() {
    let work = tempfile::tempdir().unwrap();
    seen(work.path(), 1, 0..3).await;
    let second = seen(work.path(), 2, 0..3).await;
    second.clean().await.unwrap();
    let left: Vec<_> =
        std::fs::read_dir(work.path().join("a%2Fb")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["0000000002.keys"]);
}

#[tokio::test]
async fn d_20_what_was_noted_is_written_before_it_is_too_much() {
    let work = tempfile::tempdir().unwrap();
    let mut generation = Generation::new(work.path(), &"s".into(), 1, 1);
    assert!(!generation.is_full());
    let mut noted = 0;
    while !generation.is_full() {
        generation.note(&batch(noted..noted + 1_000));
        noted += 1_000;
        assert!(noted < 2_000_000, "{noted} keys in memory, and no end");
    }
    generation.flush().await.unwrap();
    assert!(!generation.is_full());
}
