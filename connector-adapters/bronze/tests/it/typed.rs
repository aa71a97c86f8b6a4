//! The typed column `data`.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, RecordBatch, StructArray},
    datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType},
};
use bytes::Bytes;
use connector_bronze::{Bronze, BronzeConfig, Disk, Format};
use connector_sdk::{
    Emit, Operation, StreamSpec,
    contract::Opening,
    record::{BatchBuilder, RecordView},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use connector_testkit::disk::MemoryDisk;

use crate::support::*;

async fn written(schema: serde_json::Value, records: &[Option<&str>]) -> RecordBatch {
    let disk = MemoryDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let bronze = Bronze::with_disk(BronzeConfig::new(ROOT, Format::Parquet).with_typed(true), shared);
    let spec = Arc::new(StreamSpec::new("Contact", schema));
    bronze.open(&context(), Opening { spec, ..opening(1) }).await.unwrap();
    let mut builder = BatchBuilder::new("Contact".into());
    for record in records {
        builder.push(RecordView {
            operation: if record.is_some() { Operation::Upsert } else { Operation::Delete },
            record: record.map(str::as_bytes),
            key: Some(b"{}"),
            cursor: None,
            source_timestamp: None,
        });
    }
    let receipt = write(&bronze, 1, &[sequenced(builder, "p", 1)]).await.unwrap();
    let path = format!("/bronze/acme/crm/{}", receipt.files[0].path);
    let file = Bytes::from(disk.read(path.as_ref(), 0, usize::MAX).unwrap());
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.next().unwrap().unwrap()
}

fn data(batch: &RecordBatch) -> &StructArray {
    batch.column_by_name("data").unwrap().as_struct()
}

fn texts(array: &dyn Array) -> Vec<Option<String>> {
    array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn everything() -> serde_json::Value {
    json!({"type": "object", "properties": {
        "text": {"type": "string"},
        "maybe": {"type": ["string", "null"]},
        "whole": {"type": "integer"},
        "number": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "flag": {"type": "boolean"},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "nested": {"type": "object"},
        "list": {"type": "array"},
        "any": {},
    }})
}

#[tokio::test]
async fn every_type_of_the_schema_becomes_a_column_of_its_type() {
    let record = r#"{"extra":[{"deep":"}"}], "text":"a\"\u00e9\n","maybe":null,"whole":9007199254740993,
        "number":1.5,"flag":true,"at":"2026-01-31T13:00:00.250+0100","day":"2026-01-31",
        "nested":{"a" : [1,"]"]},"list":[1, 2],"any":12345678901234567890.50}"#;
    let batch = written(everything(), &[Some(record)]).await;
    let data = data(&batch);
    let types: Vec<(&str, &DataType)> =
        data.fields().iter().map(|field| (field.name().as_str(), field.data_type())).collect();
    assert_eq!(
        types,
        [
            ("any", &DataType::Utf8),
            ("at", &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
            ("day", &DataType::Date32),
            ("flag", &DataType::Boolean),
            ("list", &DataType::Utf8),
            ("maybe", &DataType::Utf8),
            ("nested", &DataType::Utf8),
            ("number", &DataType::Float64),
            ("text", &DataType::Utf8),
            ("whole", &DataType::Int64),
        ]
    );
    let column = |name: &str| data.column_by_name(name).unwrap();
    assert_eq!(texts(column("text")), [some("a\"é\n")]);
    assert_eq!(texts(column("maybe")), [None]);
    assert_eq!(column("whole").as_primitive::<Int64Type>().value(0), 9_007_199_254_740_993);
    assert!((column("number").as_primitive::<Float64Type>().value(0) - 1.5).abs() < f64::EPSILON);
    assert!(column("flag").as_boolean().value(0));
    assert_eq!(column("at").as_primitive::<TimestampMillisecondType>().value(0), 1_769_860_800_250);
    assert_eq!(column("day").as_primitive::<Date32Type>().value(0), 20_484);
    assert_eq!(texts(column("nested")), [some(r#"{"a" : [1,"]"]}"#)]);
    assert_eq!(texts(column("list")), [some("[1, 2]")]);
    assert_eq!(texts(column("any")), [some("12345678901234567890.50")]);
    assert_eq!(batch.column_by_name("record").unwrap().as_string::<i32>().value(0), record);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_null_and_fails_nothing() {
    let misfits = [
        ("whole", r#""seven""#),
        ("whole", "1.5"),
        ("whole", "9223372036854775808"),
        ("whole", "{}"),
        ("number", "1e999"),
        ("number", "true"),
        ("number", r#""NaN""#),
        ("flag", "1"),
        ("flag", r#""yes""#),
        ("at", r#""2026-01-31""#),
        ("at", r#""2026-01-31T13:00:00""#),
        ("at", r#""tomorrow""#),
        ("at", "1769860800"),
        ("at", r#""2026-01-31T13:00:00Zé""#),
        ("day", r#""2026-02-30""#),
        ("day", r#""2026-01-31T00:00:00Z""#),
        ("day", r#""äöüßx""#),
    ];
    for (field, value) in misfits {
        let record = format!(r#"{{"{field}":{value},"text":"kept"}}"#);
        let batch = written(everything(), &[Some(&record), Some("{}")]).await;
        let data = data(&batch);
        assert!(data.column_by_name(field).unwrap().is_null(0), "{field}: {value}");
        assert_eq!(texts(data.column_by_name("text").unwrap()), [some("kept"), None]);
        assert_eq!(batch.column_by_name("record").unwrap().as_string::<i32>().value(0), record);
    }
}

#[tokio::test]
async fn quoted_values_and_values_in_text_columns_are_taken_for_what_they_say() {
    let record =
        r#"{"text":12.0,"maybe":{"a":1},"whole":"42","number":"1.25","flag":"false","at":"","day":""}"#;
    let batch = written(
        everything(),
        &[Some(record), Some(r#"{"whole":5.0,"text":true}"#), Some(r#"{"whole":1e3}"#)],
    )
    .await;
    let data = data(&batch);
    let column = |name: &str| data.column_by_name(name).unwrap();
    assert_eq!(texts(column("text")), [some("12.0"), some("true"), None]);
    assert_eq!(texts(column("maybe"))[0], some(r#"{"a":1}"#));
    assert_eq!(column("whole").as_primitive::<Int64Type>().values(), &[42, 5, 1000]);
    assert!((column("number").as_primitive::<Float64Type>().value(0) - 1.25).abs() < f64::EPSILON);
    assert!(!column("flag").as_boolean().value(0));
    assert!(column("at").is_null(0) && column("day").is_null(0));
}

#[tokio::test]
async fn keys_are_found_whatever_their_order_and_spelling() {
    let records = [
        r#"{"text":"a","maybe":"b"}"#,
        r#"{"maybe":"c","text":"d"}"#,
        r#"{"te\u0078t":"e"}"#,
        r#"{"text":"first","text":"last"}"#,
        r#"{"text ":"no","Text":"no"}"#,
        "{ }",
    ];
    let batch = written(everything(), &records.map(Some)).await;
    let found = texts(data(&batch).column_by_name("text").unwrap());
    assert_eq!(found, [some("a"), some("d"), some("e"), some("last"), None, None]);
}

#[tokio::test]
async fn records_that_are_no_object_have_no_typed_columns() {
    let batch =
        written(everything(), &[Some("[1]"), None, Some("null"), Some("\"x\""), Some(r#"{"text":"a"}"#)])
            .await;
    let data = data(&batch);
    let present: Vec<bool> = (0..5).map(|row| data.is_valid(row)).collect();
    assert_eq!(present, [false, false, false, false, true]);
}

#[tokio::test]
async fn a_schema_without_properties_adds_no_column() {
    for schema in [json!({"type": "object"}), json!({"properties": {}}), json!(true)] {
        let batch = written(schema, &[Some("{}")]).await;
        assert!(batch.column_by_name("data").is_none());
    }
}

#[tokio::test]
async fn of_names_that_differ_only_in_case_one_is_typed() {
    let schema = json!({"properties": {"Id": {"type": "string"}, "ID": {"type": "string"}}});
    let batch = written(schema, &[Some(r#"{"Id":"a","ID":"b"}"#)]).await;
    assert_eq!(data(&batch).num_columns(), 1);
}
