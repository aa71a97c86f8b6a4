use super::*;
use crate::{
    Timestamp,
    record::{BatchBuilder, Operation},
};

fn header() -> EnvelopeHeader {
    EnvelopeHeader {
        tenant: "ac\"me".into(),
        connector: "salesforce/rest".into(),
        connector_version: "0.1.0".into(),
        connection: "crm".into(),
        stream: "Contact".into(),
        run_id: "run-1".into(),
    }
}

fn line(record: &[u8], operation: Operation, timestamp: Option<i64>) -> String {
    let mut builder = BatchBuilder::new("Contact".into());
    builder.push(RecordView {
        operation,
        record: Some(record),
        key: Some(b"{\"Id\":\"1\"}"),
        cursor: Some(b"\"2026\""),
        source_timestamp: timestamp,
    });
    let batch = SequencedBatch {
        batch: builder.build(),
        partition: "p".into(),
        first_sequence: 18_446_744_073_709_551_615,
        epoch: 2,
        generation: 3,
        extracted_at: Timestamp::from_millis(5),
        schema_fingerprint: "ff".into(),
        covered: true,
    };
    let mut out = Vec::new();
    let view = batch.batch.get(0).unwrap();
    EnvelopeLines::new(&header(), &batch).write(&mut out, &view, None);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_json_form_has_the_eighteen_keys_in_order() {
    let text = line(b"{\"a\":1}", Operation::Upsert, Some(-7));
    assert_eq!(
        text,
        "{\"tenant\":\"ac\\\"me\",\"connector\":\"salesforce/rest\",\"connector_version\":\"0.1.0\",\
         \"connection\":\"crm\",\"stream\":\"Contact\",\"partition\":\"p\",\"run_id\":\"run-1\",\
         \"sequence\":18446744073709551615,\"operation\":\"upsert\",\"key\":{\"Id\":\"1\"},\
         \"cursor\":\"2026\",\"epoch\":2,\"generation\":3,\"extracted_at\":5,\"source_timestamp\":-7,\
         \"schema_fingerprint\":\"ff\",\"changes\":null,\"record\":{\"a\":1}}\n"
    );
    let mut at = 0;
    for column in ENVELOPE_COLUMNS {
        let found = text.get(at..).unwrap().find(&format!("\"{column}\":")).unwrap();
        at += found;
    }
}

#[test]
fn line_breaks_between_tokens_become_spaces_and_nothing_else_changes() {
    let text = line(b"{\r\n \"a\" : 12345678901234567890.50,\n\"b\":\"x\\ny\"\n}", Operation::Delete, None);
    assert_eq!(text.matches('\n').count(), 1);
    assert!(text.contains("\"record\":{   \"a\" : 12345678901234567890.50, \"b\":\"x\\ny\" }}"));
    assert!(text.contains("\"operation\":\"delete\""));
    assert!(text.contains("\"source_timestamp\":null"));
}
