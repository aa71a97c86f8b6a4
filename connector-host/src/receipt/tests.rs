use connector_sdk::{SystemClock, Timestamp, contract::FileReceipt};
use serde_json::json;

use super::*;
use crate::{
    registry::MemoryRegistry,
    report::{RunStatus, Totals},
};

fn report(run: &str) -> RunReport {
    let mut contacts = StreamReport::new("Contact".into());
    contacts.records = 3;
    for number in [4, 5] {
        let file = FileReceipt {
            path: format!("Contact/2026-01-31/{number}.parquet"),
            records: 2,
            bytes: 900,
            hash: "00000000000000ff".to_owned(),
        };
        contacts.commits.push(contract::Receipt { number, records: 2, dead_letters: 0, files: vec![file] });
    }
    RunReport {
        run_id: run.into(),
        tenant: "acme".into(),
        connection: "acme-crm".into(),
        connector: "desk/rest".into(),
        status: RunStatus::Succeeded,
        started_at: Timestamp::from_millis(1_000),
        finished_at: Timestamp::from_millis(2_500),
        streams: vec![contacts],
        totals: Totals { records: 3, ..Totals::default() },
        receipt: None,
        error: None,
    }
}

fn manifest() -> Manifest {
    Manifest::new("desk", "rest", "1.2.3")
}

#[tokio::test]
async fn a_receipt_stands_in_both_files_and_in_the_registry() {
    let bronze = tempfile::tempdir().unwrap();
    let registry = MemoryRegistry::new(SystemClock::shared());
    let mut report = report("20260131-1");
    write(&mut report, &manifest(), bronze.path(), &bronze.path().join("acme/acme-crm"), &registry)
        .await
        .unwrap();

    assert_eq!(report.receipt.as_deref(), Some("acme/acme-crm/_receipts/20260131-1.json"));
    let folder = bronze.path().join("acme/acme-crm/_receipts");
    let json: Value = serde_json::from_slice(&fs::read(folder.join("20260131-1.json")).unwrap()).unwrap();
    assert_eq!(json["connector_version"], "1.2.3");
    assert_eq!(json["status"], "succeeded");
    assert_eq!(json["streams"][0]["commits"], json!({"first": 4, "last": 5, "count": 2}));
    assert_eq!(json["streams"][0]["files"][1]["path"], "Contact/2026-01-31/5.parquet");
    assert_eq!(json["streams"][0]["tally"]["count"], 0);
    assert_eq!(json["finished_at"], "1970-01-01T00:00:02.500Z");
    let yaml: Value =
        serde_saphyr::from_str(&fs::read_to_string(folder.join("20260131-1.yaml")).unwrap()).unwrap();
    assert_eq!(yaml, json);
    assert_eq!(registry.receipt(&"acme".into(), &"20260131-1".into()).await.unwrap(), Some(json));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing unfinished is left");

    let runs = registry.runs(&"acme".into(), &"acme-crm".into(), 1).await.unwrap();
    assert_eq!(runs[0].document["receipt"], "acme/acme-crm/_receipts/20260131-1.json");
}

#[tokio::test]
async fn a_run_with_an_unusual_name_stays_in_its_folder() {
    let bronze = tempfile::tempdir().unwrap();
    let registry = MemoryRegistry::new(SystemClock::shared());
    let mut report = report("../../x y");
    write(&mut report, &manifest(), bronze.path(), &bronze.path().join("a/b"), &registry).await.unwrap();
    assert_eq!(report.receipt.as_deref(), Some("a/b/_receipts/%2E%2E%2F%2E%2E%2Fx%20y.json"));
}

#[tokio::test]
async fn a_receipt_that_cannot_be_written_is_an_error_of_the_run_and_loses_nothing() {
    let bronze = tempfile::tempdir().unwrap();
    fs::create_dir(bronze.path().join("a")).unwrap();
    fs::write(bronze.path().join("a/b"), "in the way").unwrap();
    let registry = MemoryRegistry::new(SystemClock::shared());
    let mut report = report("r1");
    let error = write(&mut report, &manifest(), bronze.path(), &bronze.path().join("a/b"), &registry)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("_receipts"), "{error}");
    note_failure(&mut report, error);
    assert_eq!((report.status, report.receipt.is_none()), (RunStatus::Succeeded, true));
    assert_eq!(report.error.unwrap().operation(), "write receipt");
}
