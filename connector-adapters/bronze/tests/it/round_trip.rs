//! What goes in comes out, in both formats, in the places that interface.md names.

use std::sync::Arc;

use connector_bronze::{Bronze, BronzeConfig, Disk, Format};
use connector_sdk::{
    Emit, Operation,
    contract::{Commit, SequencedBatch},
    record::{BatchBuilder, ENVELOPE_COLUMNS, RecordView, Tally},
};
use serde_json::json;

use connector_testkit::disk::MemoryDisk;

use crate::support::*;

fn on_disk(format: Format) -> (MemoryDisk, Bronze) {
    let disk = MemoryDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    (disk, bronze(&shared, format))
}

/// A batch with everything an envelope can say.
fn odd_batch() -> SequencedBatch {
    let mut builder = BatchBuilder::new("Contact".into());
    let mut push = |operation, record: Option<&str>, key: Option<&str>, cursor: Option<&str>, at| {
        builder.push(RecordView {
            operation,
            record: record.map(str::as_bytes),
            key: key.map(str::as_bytes),
            cursor: cursor.map(str::as_bytes),
            source_timestamp: at,
        });
    };
    push(Operation::Reset, None, None, None, None);
    push(
        Operation::Upsert,
        Some("{\n  \"big\": 12345678901234567890.50,\r\n\t\"text\": \"a\\nb \u{1F600} \\u00e9\"\n}"),
        Some(r#"{"Id":"ü"}"#),
        Some(r#""2026-01-31T00:00:00.000+0000""#),
        Some(-1),
    );
    push(Operation::Delete, None, Some(r#"{"Id":"1"}"#), Some(r#""a\"b""#), Some(5));
    push(Operation::Snapshot, Some("null"), Some(r#"{"Id":"2"}"#), None, None);
    push(Operation::Upsert, Some("[1,2]"), None, Some(r#""""#), Some(i64::MAX));
    SequencedBatch { epoch: 3, generation: u64::MAX, ..sequenced(builder, "p/1", 7) }
}

fn odd_commit(batch: &SequencedBatch) -> Commit {
    Commit { epoch: 3, ..commit(&[batch]) }
}

#[tokio::test]
async fn both_formats_give_back_the_same_envelopes() {
    let mut texts = Vec::new();
    for format in FORMATS {
        let (_, bronze) = on_disk(format);
        bronze.open(&context(), opening(1)).await.unwrap();
        let batch = odd_batch();
        bronze.emit(&context(), batch.clone()).await.unwrap();
        bronze.commit(&context(), &lease(1), &[odd_commit(&batch)]).await.unwrap();
        let lines = bronze.records(&"acme".into(), &"crm".into(), Some(&"Contact".into()), None).unwrap();
        texts.push(lines.map(Result::unwrap).collect::<Vec<String>>());
    }
    assert_eq!(texts[0], texts[1]);
    let second = &texts[0][1];
    assert_eq!(second.matches('\n').count(), 0);
    assert!(second.contains(r#""record":{   "big": 12345678901234567890.50,"#), "{second}");
    let value: serde_json::Value = serde_json::from_str(second).unwrap();
    assert_eq!(value["key"], json!({"Id": "ü"}));
    assert_eq!(value["cursor"], "2026-01-31T00:00:00.000+0000");
    assert_eq!((&value["sequence"], &value["source_timestamp"]), (&json!(8), &json!(-1)));
    assert_eq!(value["partition"], "p/1");
    assert_eq!(value["run_id"], "run-1");
    assert_eq!(value["changes"], json!(null));
    let mut at = 0;
    for column in ENVELOPE_COLUMNS {
        at += second[at..].find(&format!("\"{column}\":")).unwrap();
    }
    let operations: Vec<serde_json::Value> = texts[0]
        .iter()
        .map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap()["operation"].clone())
        .collect();
    assert_eq!(operations, ["reset", "upsert", "delete", "snapshot", "upsert"]);
}

#[tokio::test]
async fn cursors_that_are_numbers_come_back_as_numbers() {
    for format in FORMATS {
        let (_, bronze) = on_disk(format);
        bronze.open(&context(), opening(1)).await.unwrap();
        let mut builder = BatchBuilder::new("Contact".into());
        builder.upsert(b"{\"Id\":1}", b"{\"Id\":1}", Some(b"17"));
        builder.upsert(b"{\"Id\":2}", b"{\"Id\":2}", Some(b"18446744073709551616"));
        write(&bronze, 1, &[sequenced(builder, "p", 1)]).await.unwrap();
        let lines = bronze.records(&"acme".into(), &"crm".into(), None, None).unwrap();
        let lines: Vec<String> = lines.map(Result::unwrap).collect();
        assert!(lines[0].contains(r#""cursor":17,"#), "{}", lines[0]);
        assert!(lines[1].contains(r#""cursor":18446744073709551616,"#), "{}", lines[1]);
    }
}

#[tokio::test]
async fn what_a_policy_has_changed_is_listed() {
    for format in FORMATS {
        let (_, bronze) = on_disk(format);
        bronze.open(&context(), opening(1)).await.unwrap();
        let mut builder = BatchBuilder::new("Contact".into());
        let record = RecordView {
            operation: Operation::Upsert,
            record: Some(b"{\"a\":null}"),
            key: None,
            cursor: None,
            source_timestamp: None,
        };
        builder.push_changed(record, Some(br#"[{"field":"a","change":"nulled"}]"#));
        write(&bronze, 1, &[sequenced(builder, "p", 1)]).await.unwrap();
        assert_eq!(visible(&bronze)[0]["changes"], json!([{"field": "a", "change": "nulled"}]));
    }
}

#[tokio::test]
async fn files_lie_under_tenant_connection_stream_and_the_day_of_the_commit() {
    for format in FORMATS {
        let (disk, bronze) = on_disk(format);
        bronze.open(&context(), opening(3)).await.unwrap();
        let first = write(&bronze, 3, &[batch("p", 1, 3)]).await.unwrap();
        let second = write(&bronze, 3, &[batch("p", 4, 5)]).await.unwrap();
        let extension = format.extension();
        assert_eq!(first.files[0].path, format!("Contact/2026-01-31/0000000001-3-0.{extension}"));
        assert_eq!((first.number, first.records, first.files[0].records), (1, 3, 3));
        assert_eq!(first.files[0].hash, Tally::of(&batch("p", 1, 3).batch).hex());
        assert_eq!((second.number, second.records), (2, 2));
        let path = format!("/bronze/acme/crm/{}", second.files[0].path);
        assert_eq!(disk.size(path.as_ref()).unwrap(), second.files[0].bytes);
        let mut files = vec![
            format!("{STREAM}/2026-01-31/0000000001-3-0.{extension}"),
            format!("{STREAM}/2026-01-31/0000000002-3-0.{extension}"),
            format!("{STREAM}/_commits/1.json"),
            format!("{STREAM}/_commits/2.json"),
        ];
        files.sort();
        assert_eq!(disk.files(), files);
    }
}

#[tokio::test]
async fn records_come_in_the_order_of_the_commits_and_no_more_than_asked_for() {
    let disk = MemoryDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    // The format may change from run to run, and the clock may go back.
    for (fence, format, day) in [(1, Format::Jsonl, 3), (2, Format::Parquet, 2), (3, Format::Jsonl, 1)] {
        let clock = clock();
        clock.0.store(86_400_000 * day, std::sync::atomic::Ordering::Relaxed);
        let cx = connector_sdk::Context::builder("acme", "crm").clock(clock).build();
        let bronze = bronze(&shared, format);
        bronze.open(&cx, opening(fence)).await.unwrap();
        let batch = batch("p", fence * 2 - 1, fence * 2);
        bronze.emit(&cx, batch.clone()).await.unwrap();
        bronze.commit(&cx, &lease(fence), &[commit(&[&batch])]).await.unwrap();
    }
    let bronze = bronze(&shared, Format::Jsonl);
    let sequences: Vec<u64> =
        visible(&bronze).iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
    let read = |stream: Option<&str>, limit| {
        let stream = stream.map(Into::into);
        bronze.records(&"acme".into(), &"crm".into(), stream.as_ref(), limit).unwrap().count()
    };
    assert_eq!(read(None, Some(3)), 3);
    assert_eq!(read(Some("Contact"), Some(0)), 0);
    assert_eq!(read(Some("Account"), None), 0);
    assert_eq!(bronze.records(&"other".into(), &"crm".into(), None, None).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_and_the_others_are_shown() {
    for format in FORMATS {
        let (disk, bronze) = on_disk(format);
        bronze.open(&context(), opening(1)).await.unwrap();
        write(&bronze, 1, &[batch("p", 1, 2)]).await.unwrap();
        disk.put(format!("{STREAM}/2026-01-31/0000000000-0-0.parquet"), b"PAR1 or so").unwrap();
        disk.put(format!("{STREAM}/2026-01-31/0000000000-0-0.jsonl"), b"{\"a\":1}\n{\"b\":").unwrap();
        disk.put(format!("{STREAM}/2026-01-31/notes.txt"), b"not data").unwrap();
        disk.put(format!("{STREAM}/2026-01-31/_SUCCESS"), b"").unwrap();
        disk.put(format!("{STREAM}/2026-01-31/.hidden.jsonl"), b"{}\n").unwrap();
        disk.put(format!("{STREAM}/2026-01-31/half.jsonl.tmp"), b"{}\n").unwrap();
        let lines: Vec<_> = bronze.records(&"acme".into(), &"crm".into(), None, None).unwrap().collect();
        let shown: Vec<&String> = lines.iter().filter_map(|line| line.as_ref().ok()).collect();
        let notes: Vec<String> =
            lines.iter().filter_map(|line| line.as_ref().err().map(ToString::to_string)).collect();
        assert_eq!(shown.len(), 3, "{lines:?}");
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("line 2 is cut off") && notes[0].contains("0-0.jsonl"), "{}", notes[0]);
        assert!(notes[1].contains("0-0.parquet"), "{}", notes[1]);
    }
}

#[tokio::test]
async fn case_40_a_file_that_ends_inside_a_character_shows_its_whole_lines_and_says_where_it_ends() {
    let (disk, bronze) = on_disk(Format::Jsonl);
    bronze.open(&context(), opening(1)).await.unwrap();
    write(&bronze, 1, &[batch("p", 1, 2)]).await.unwrap();
    let text = "{\"a\":\"é🦌\"}\n{\"b\":\"é🦌".as_bytes();
    for lacks in 1..6 {
        disk.take_away(format!("{STREAM}/2026-01-30"));
        disk.put(format!("{STREAM}/2026-01-30/0000000000-0-0.jsonl"), &text[..text.len() - lacks]).unwrap();
        let lines: Vec<_> = bronze.records(&"acme".into(), &"crm".into(), None, None).unwrap().collect();
        let shown: Vec<&String> = lines.iter().filter_map(|line| line.as_ref().ok()).collect();
        assert_eq!(shown.len(), 3, "{lines:?}");
        assert_eq!(shown[0], "{\"a\":\"é🦌\"}");
        let note = lines.iter().find_map(|line| line.as_ref().err()).unwrap().to_string();
        assert!(note.contains("line 2") && note.contains("0-0.jsonl"), "{note}");
    }
}

#[tokio::test]
async fn a_huge_record_passes() {
    for format in FORMATS {
        let (_, bronze) = on_disk(format);
        bronze.open(&context(), opening(1)).await.unwrap();
        let mut builder = BatchBuilder::new("Contact".into());
        let huge = format!("{{\"Id\":\"1\",\"body\":\"{}\"}}", "x".repeat(20 << 20));
        builder.upsert(b"{\"Id\":\"1\"}", huge.as_bytes(), None);
        builder.upsert(b"{\"Id\":\"2\"}", b"{\"Id\":\"2\"}", None);
        write(&bronze, 1, &[sequenced(builder, "p", 1)]).await.unwrap();
        let lines = bronze.records(&"acme".into(), &"crm".into(), None, None).unwrap();
        let lines: Vec<String> = lines.map(Result::unwrap).collect();
        assert!(lines[0].ends_with(&format!("{huge}}}")) && lines[1].contains(r#""sequence":2,"#));
    }
}

#[tokio::test]
async fn parquet_has_plain_types_that_every_reader_knows() {
    use parquet::basic::{ConvertedType, Type};
    let folder = tempfile::tempdir().unwrap();
    let bronze = Bronze::new(BronzeConfig::new(folder.path(), Format::Parquet));
    bronze.check().unwrap();
    bronze.open(&context(), opening(1)).await.unwrap();
    let receipt = write(&bronze, 1, &[batch("p", 1, 3)]).await.unwrap();
    let file = std::fs::File::open(folder.path().join("acme/crm").join(&receipt.files[0].path)).unwrap();
    let reader = parquet::file::reader::SerializedFileReader::new(file).unwrap();
    let metadata = parquet::file::reader::FileReader::metadata(&reader).file_metadata().clone();
    let columns: Vec<(String, Type, ConvertedType)> = metadata
        .schema_descr()
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), column.physical_type(), column.converted_type()))
        .collect();
    let names: Vec<&str> = columns.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ENVELOPE_COLUMNS);
    for (name, physical, converted) in &columns {
        let expected = match name.as_str() {
            "sequence" | "epoch" | "generation" => (Type::INT64, ConvertedType::UINT_64),
            "extracted_at" | "source_timestamp" => (Type::INT64, ConvertedType::NONE),
            _ => (Type::BYTE_ARRAY, ConvertedType::UTF8),
        };
        assert_eq!((*physical, *converted), expected, "{name}");
    }
    let keys: Vec<&str> =
        metadata.key_value_metadata().unwrap().iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(
        keys,
        ["connector.cursor"],
        "no Arrow schema, which would bring string views and dictionaries"
    );
}

#[tokio::test]
async fn one_sink_serves_many_connections_and_keeps_them_apart() {
    let (disk, bronze) = on_disk(Format::Jsonl);
    for tenant in ["acme", "beta"] {
        let cx = connector_sdk::Context::builder(tenant, "crm").clock(clock()).build();
        let mut opening = opening(1);
        opening.lease.tenant = tenant.into();
        opening.header.tenant = tenant.into();
        let lease = opening.lease.clone();
        bronze.open(&cx, opening).await.unwrap();
        let batch = batch("p", 1, 2);
        bronze.emit(&cx, batch.clone()).await.unwrap();
        bronze.commit(&cx, &lease, &[commit(&[&batch])]).await.unwrap();
    }
    let lines = bronze.records(&"beta".into(), &"crm".into(), None, None).unwrap();
    for line in lines {
        assert!(line.unwrap().starts_with(r#"{"tenant":"beta""#));
    }
    assert!(disk.files().contains(&"/bronze/beta/crm/Contact/_commits/1.json".to_owned()));
    let mut foreign = opening(2);
    foreign.lease.tenant = "beta".into();
    assert_eq!(bronze.open(&context(), foreign).await.unwrap_err().class(), connector_sdk::Class::Bug);
}
