//! Rule D-21: the disk fails, the run fails, and the next one recovers by itself.

use std::{io, sync::Arc};

use connector_bronze::{Bronze, BronzeConfig, Disk, Format};
use connector_sdk::{Class, Emit};

use connector_testkit::disk::{Crash, MemoryDisk, Plan};

use crate::{
    crash::{Host, assert_whole},
    support::*,
};

/// Lets every single operation fail once, in a process that lives on, and runs again.
async fn fail_everywhere(format: Format, kind: io::ErrorKind) {
    for at in 1.. {
        let disk = MemoryDisk::default();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let bronze = bronze(&shared, format);
        let mut host = Host::default();
        disk.plan(Plan { fail_at: Some((at, kind)), ..Plan::default() });
        let first = host.run(&bronze).await;
        if disk.operations() < at {
            assert!(first.is_ok() && at > 60, "the sweep covers the whole run, which has {at} operations");
            return;
        }
        if let Err(error) = &first {
            assert!(matches!(error.class(), Class::Transient | Class::Permanent), "{error:?}");
            assert!(
                error.context().any(|(name, value)| name == "path" && value.starts_with(ROOT)),
                "{error:?}"
            );
        }
        let what = format!("{format:?}, operation {at} failed with {kind:?}");
        let second = host.run(&bronze).await;
        assert!(second.is_ok(), "{what}: {second:?}");
        assert_eq!(has(&disk.files(), "_pending"), 0, "{what}: {:#?}", disk.files());
        // What the recovery has built on must be durable, though the sync that failed was not its own.
        disk.reboot(Crash::Lost);
        assert_whole(&disk, format, &mut host, &what).await;
    }
}

#[tokio::test]
async fn d_21_after_any_failed_operation_the_next_run_recovers() {
    fail_everywhere(Format::Jsonl, io::ErrorKind::StorageFull).await;
    fail_everywhere(Format::Parquet, io::ErrorKind::Other).await;
}

#[tokio::test]
async fn d_21_a_full_disk_is_named_and_goes_away_by_itself() {
    for format in FORMATS {
        let mut full = 0;
        for capacity in (0..4_000).step_by(97) {
            let disk = MemoryDisk::default();
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let bronze = bronze(&shared, format);
            let mut host = Host::default();
            disk.plan(Plan { capacity: Some(capacity), ..Plan::default() });
            if let Err(error) = host.run(&bronze).await {
                assert_eq!(error.class(), Class::Transient, "{error:?}");
                assert!(error.to_string().contains("the disk is full"), "{error}");
                full += 1;
            }
            disk.plan(Plan::default());
            host.run(&bronze).await.unwrap();
            assert_whole(&disk, format, &mut host, &format!("{format:?}, {capacity} bytes")).await;
        }
        assert!(full > 20, "{full}");
    }
}

#[tokio::test]
async fn d_21_short_writes_are_continued() {
    for format in FORMATS {
        let disk = MemoryDisk::default();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        disk.plan(Plan { write_at_most: Some(7), ..Plan::default() });
        let mut host = Host::default();
        host.run(&bronze(&shared, format)).await.unwrap();
        assert_whole(&disk, format, &mut host, "short writes").await;
    }
}

#[tokio::test]
async fn d_21_a_disk_that_takes_less_than_it_says_is_found_out_before_the_commit() {
    for (format, lie_in) in
        FORMATS.into_iter().flat_map(|format| ["_pending", "_commits"].map(|dir| (format, dir)))
    {
        let disk = MemoryDisk::default();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let bronze = bronze(&shared, format);
        bronze.open(&context(), opening(1)).await.unwrap();
        disk.plan(Plan { lie_in: Some(lie_in), ..Plan::default() });
        let error = write(&bronze, 1, &[batch("p", 1, 3)]).await.unwrap_err();
        assert!(error.context().any(|(name, value)| name == "path" && value.contains(lie_in)), "{error:?}");
        disk.plan(Plan::default());
        assert!(bronze.open(&context(), opening(1)).await.unwrap().is_empty());
        write(&bronze, 1, &[batch("p", 1, 3)]).await.unwrap();
        assert_eq!(numbered(&bronze), expected(&[("p", 3)]));
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_a_folder_is_a_configuration_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let bronze = Bronze::new(BronzeConfig::new(file.join("bronze"), Format::Jsonl));
    let checked = bronze.check().unwrap_err();
    let opened = bronze.open(&context(), opening(1)).await.unwrap_err();
    for error in [checked, opened] {
        assert_eq!(error.class(), Class::Config, "{error:?}");
        assert!(error.context().any(|(name, value)| name == "path" && value.contains("file")), "{error:?}");
    }
}

#[tokio::test]
async fn the_check_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let bronze = Bronze::new(BronzeConfig::new(folder.path().join("a/b"), Format::Jsonl));
    bronze.check().unwrap();
    bronze.check().unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("a/b")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_system_without_hard_links_is_a_configuration_error() {
    // Checking: create_dirs, create, write, sync, link. Opening with takeover: the log's first link.
    let disk = MemoryDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let bronze = bronze(&shared, Format::Jsonl);
    let fail_link =
        |trace: Vec<String>| trace.iter().position(|step| step.starts_with("link")).unwrap() as u64 + 1;
    let probe = MemoryDisk::default();
    let on_probe: Arc<dyn Disk> = Arc::new(probe.clone());
    let trial = crate::support::bronze(&on_probe, Format::Jsonl);
    trial.check().unwrap();
    disk.plan(Plan {
        fail_at: Some((fail_link(probe.trace()), io::ErrorKind::Unsupported)),
        ..Plan::default()
    });
    let checked = bronze.check().unwrap_err();
    probe.plan(Plan::default());
    trial.open(&context(), takeover(1)).await.unwrap();
    disk.plan(Plan {
        fail_at: Some((fail_link(probe.trace()), io::ErrorKind::Unsupported)),
        ..Plan::default()
    });
    let opened = bronze.open(&context(), takeover(1)).await.unwrap_err();
    for error in [checked, opened] {
        assert_eq!(error.class(), Class::Config, "{error:?}");
        assert!(error.to_string().contains("hard links"), "{error}");
    }
}
