//! What a stream that has failed answers: never that all is well.

use std::{io, sync::Arc};

use connector_bronze::{Bronze, Disk, Format};
use connector_sdk::{Class, Emit, contract::Commit, record::Tally};
use connector_testkit::disk::{MemoryDisk, Plan};

use crate::support::*;

/// Every commit that a host might try is refused, and none of it appears.
async fn assert_every_commit_is_refused(bronze: &Bronze, disk: &MemoryDisk, what: &str) {
    let (first, second) = (batch("p", 1, 3), batch("p", 4, 6));
    let empty = Commit { tally: Tally::default(), ..commit(&[&first]) };
    let tries = [vec![commit(&[&first])], vec![commit(&[&second])], vec![empty], Vec::new()];
    for commits in tries {
        let refused = bronze.commit(&context(), &lease(1), &commits).await.unwrap_err();
        assert_eq!(refused.class(), Class::Bug, "{what}: {commits:?}: {refused}");
        assert!(refused.to_string().contains("open it anew"), "{what}: {refused}");
    }
    assert_eq!(has(&disk.files(), "_commits"), 0, "{what}");
    assert!(visible(bronze).is_empty(), "{what}");
}

async fn written_after_opening_anew(bronze: &Bronze) {
    bronze.open(&context(), opening(1)).await.unwrap();
    write(bronze, 1, &[batch("p", 1, 3), batch("p", 4, 6)]).await.unwrap();
    assert_eq!(numbered(bronze), expected(&[("p", 6)]));
}

async fn opened(format: Format) -> (MemoryDisk, Bronze) {
    let disk = MemoryDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let bronze = bronze(&shared, format);
    bronze.open(&context(), opening(1)).await.unwrap();
    bronze.emit(&context(), batch("p", 1, 3)).await.unwrap();
    (disk, bronze)
}

#[tokio::test]
async fn case_26_a_commit_after_a_write_that_failed_is_refused() {
    for format in FORMATS {
        let (disk, bronze) = opened(format).await;
        // Whatever the sink does to the disk next fails; Parquet may hold a small batch back until it commits.
        disk.plan(Plan { fail_at: Some((1, io::ErrorKind::StorageFull)), ..Plan::default() });
        let emitted = bronze.emit(&context(), batch("p", 4, 6)).await;
        let both = commit(&[&batch("p", 1, 3), &batch("p", 4, 6)]);
        let failed = match emitted {
            Err(error) => error,
            Ok(()) => bronze.commit(&context(), &lease(1), &[both]).await.unwrap_err(),
        };
        assert_eq!(failed.class(), Class::Transient, "{format:?}: {failed}");
        assert_every_commit_is_refused(&bronze, &disk, &format!("{format:?} after a failure")).await;
        written_after_opening_anew(&bronze).await;
    }
}

#[tokio::test]
async fn case_26_a_commit_after_a_close_is_refused() {
    for format in FORMATS {
        let (disk, bronze) = opened(format).await;
        bronze.close(&context(), &"Contact".into()).await.unwrap();
        assert_every_commit_is_refused(&bronze, &disk, &format!("{format:?} after a close")).await;
        written_after_opening_anew(&bronze).await;
    }
}
