//! The commit log: folding, damage, and what is nobody's business.

use std::{collections::BTreeMap, io, sync::Arc};

use connector_bronze::{Bronze, Disk, Format};
use connector_sdk::{Class, Emit, PartitionId};

use connector_testkit::disk::{Crash, MemoryDisk, Plan};

use crate::support::*;

fn disks() -> (MemoryDisk, Arc<dyn Disk>) {
    let disk = MemoryDisk::default();
    (disk.clone(), Arc::new(disk))
}

async fn standing_of(bronze: &Bronze, fence: u64) -> BTreeMap<PartitionId, u64> {
    standing(&bronze.open(&context(), opening(fence)).await.unwrap())
}

#[tokio::test]
async fn d_20_the_log_does_not_grow_with_the_number_of_commits() {
    let (disk, shared) = disks();
    let writing = bronze(&shared, Format::Jsonl);
    writing.open(&context(), opening(1)).await.unwrap();
    write(&writing, 1, &[batch("q", 1, 5)]).await.unwrap();
    for number in 1..=400 {
        let receipt = write(&writing, 1, &[batch("p", number, number)]).await.unwrap();
        assert_eq!(receipt.number, number + 1, "numbers have no gap");
        assert!(has(&disk.files(), "_commits") <= 130);
    }
    assert_eq!(has(&disk.files(), "_commits/snapshot-360.json"), 1, "{:#?}", disk.files());
    let expected_standing = BTreeMap::from([("p".into(), 400), ("q".into(), 5)]);
    assert_eq!(standing_of(&bronze(&shared, Format::Jsonl), 2).await, expected_standing);
    assert_eq!(numbered(&writing), expected(&[("p", 400), ("q", 5)]));
}

/// A stream whose next commit is the one that folds.
async fn about_to_fold() -> MemoryDisk {
    let (disk, shared) = disks();
    let writing = bronze(&shared, Format::Jsonl);
    writing.open(&context(), opening(1)).await.unwrap();
    for number in 1..=127 {
        write(&writing, 1, &[batch("p", number, number)]).await.unwrap();
    }
    writing.close(&context(), &"Contact".into()).await.unwrap();
    assert_eq!(has(&disk.files(), "_commits"), 127);
    disk
}

#[tokio::test]
async fn a_crash_at_any_moment_of_folding_loses_nothing() {
    let base = about_to_fold().await;
    for crash in [Crash::Lost, Crash::Kept, Crash::Some(11)] {
        // Step by step up to the deleting of the entries, which is the same again and again.
        for after in (0..40).chain((40..).step_by(23)) {
            let disk = base.fork();
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let writing = bronze(&shared, Format::Jsonl);
            disk.plan(Plan { crash_after: Some(after), ..Plan::default() });
            let written = match writing.open(&context(), opening(2)).await {
                Ok(_) => write(&writing, 2, &[batch("p", 128, 128)]).await,
                Err(error) => Err(error),
            };
            let crashed = disk.has_crashed();
            disk.reboot(crash);
            let next = bronze(&shared, Format::Jsonl);
            let last = standing_of(&next, 3).await[&PartitionId::from("p")];
            assert!(last == 128 || (last == 127 && written.is_err()), "{crash:?} after {after}: {last}");
            write(&next, 3, &[batch("p", last + 1, last + 1)]).await.unwrap();
            assert_eq!(numbered(&next), expected(&[("p", last + 1)]), "{crash:?} after {after}");
            if !crashed {
                assert!(after > 130, "the sweep covers the folding, up to operation {after}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_folded_is_folded_later() {
    let disk = about_to_fold().await;
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let writing = bronze(&shared, Format::Jsonl);
    writing.open(&context(), opening(2)).await.unwrap();
    let probe = disk.fork();
    let on_probe: Arc<dyn Disk> = Arc::new(probe.clone());
    let trial = bronze(&on_probe, Format::Jsonl);
    trial.open(&context(), opening(2)).await.unwrap();
    probe.plan(Plan::default());
    write(&trial, 2, &[batch("p", 128, 128)]).await.unwrap();
    let rename =
        probe.trace().iter().position(|step| step.contains("rename") && step.contains("snapshot")).unwrap();
    disk.plan(Plan { fail_at: Some((rename as u64 + 1, io::ErrorKind::Other)), ..Plan::default() });
    write(&writing, 2, &[batch("p", 128, 128)])
        .await
        .expect("the commit stands whether the log folds or not");
    assert_eq!(has(&disk.files(), "_commits/snapshot-120.json"), 0);
    write(&writing, 2, &[batch("p", 129, 129)]).await.unwrap();
    assert_eq!(has(&disk.files(), "_commits/snapshot-121.json"), 1, "{:#?}", disk.files());
}

#[tokio::test]
async fn a_damaged_log_is_an_error_that_names_the_file_and_says_what_to_do() {
    let damage: [(&str, &[u8], Class, &str); 6] = [
        ("3.json", b"", Class::Permanent, "3.json"),
        ("3.json", br#"{"version":1,"number":3,"fence":1,"of":{"ten"#, Class::Permanent, "3.json"),
        ("3.json", b"\0\0\0\0\0\0\0\0", Class::Permanent, "3.json"),
        ("3.json", br#"{"version":2,"whatever":true}"#, Class::Config, "newer version"),
        ("snapshot-2.json", b"{\"version\":1", Class::Permanent, "snapshot-2.json"),
        ("9.json", b"{}", Class::Permanent, "4.json"),
    ];
    for (name, bytes, class, says) in damage {
        let (disk, shared) = disks();
        let writing = bronze(&shared, Format::Jsonl);
        writing.open(&context(), opening(1)).await.unwrap();
        for number in 1..=3 {
            write(&writing, 1, &[batch("p", number, number)]).await.unwrap();
        }
        disk.put(format!("{STREAM}/_commits/{name}"), bytes).unwrap();
        let error = bronze(&shared, Format::Jsonl).open(&context(), opening(2)).await.unwrap_err();
        assert_eq!(error.class(), class, "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.context().any(|(name, _)| name == "fence"));
    }
}

#[tokio::test]
async fn a_log_of_another_stream_is_not_touched() {
    let (disk, shared) = disks();
    let writing = bronze(&shared, Format::Jsonl);
    writing.open(&context(), opening(1)).await.unwrap();
    write(&writing, 1, &[batch("p", 1, 1)]).await.unwrap();
    // As on a file system where `contact` and `Contact` are one folder.
    let entry = disk.read_text(format!("{STREAM}/_commits/1.json")).unwrap();
    disk.put("/bronze/acme/crm/contact/_commits/1.json", entry.as_bytes()).unwrap();
    let mut other = takeover(2);
    other.lease.stream = "contact".into();
    other.header.stream = "contact".into();
    let error = writing.open(&context(), other).await.unwrap_err();
    assert_eq!(error.class(), Class::Config, "{error:?}");
    assert!(error.to_string().contains("acme/crm/Contact"), "{error}");
}

#[tokio::test]
async fn old_bronze_may_be_moved_away() {
    for format in FORMATS {
        let (disk, shared) = disks();
        let writing = bronze(&shared, format);
        writing.open(&context(), opening(1)).await.unwrap();
        write(&writing, 1, &[batch("p", 1, 5)]).await.unwrap();
        disk.take_away(format!("{STREAM}/2026-01-31"));
        let next = bronze(&shared, format);
        assert_eq!(standing_of(&next, 2).await, [("p".into(), 5)].into());
        write(&next, 2, &[batch("p", 6, 7)]).await.unwrap();
        assert_eq!(visible(&next).len(), 2);
        // Even the whole folder: the registry goes on counting, the log begins anew.
        disk.take_away(STREAM);
        let next = bronze(&shared, format);
        assert!(standing_of(&next, 3).await.is_empty());
        let receipt = write(&next, 3, &[batch("p", 8, 9)]).await.unwrap();
        assert_eq!(receipt.number, 1);
        assert_eq!(visible(&next).len(), 2);
    }
}

#[tokio::test]
async fn foreign_files_are_left_alone() {
    let (disk, shared) = disks();
    let foreign = [
        "_commits/notes.json",
        "_commits/01.json",
        "_commits/1.json.bak",
        "_commits/.DS_Store",
        "_commits/.1.json.tmp-9",
        "_pending/report.tmp",
        "_pending/0000000001-9-0.jsonl.tmp",
        "_pending/0000000001-1-0.jsonl",
        "2026-01-30/README.md",
    ];
    for name in foreign {
        disk.put(format!("{STREAM}/{name}"), b"not ours, or of a later owner").unwrap();
    }
    let writing = bronze(&shared, Format::Jsonl);
    writing.open(&context(), takeover(1)).await.unwrap();
    write(&writing, 1, &[batch("p", 1, 2)]).await.unwrap();
    assert_eq!(numbered(&writing), expected(&[("p", 2)]));
    for name in foreign {
        assert!(disk.files().contains(&format!("{STREAM}/{name}")), "{name}");
    }
}
