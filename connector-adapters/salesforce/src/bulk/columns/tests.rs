use connector_sdk::Operation;

use super::*;

fn columns() -> Arc<Columns> {
    let field = |name: &str, kind| (name.to_owned(), kind);
    Arc::new(Columns {
        stream: "Contact".into(),
        fields: vec![
            field("Id", FieldKind::Text),
            field("Name", FieldKind::Text),
            field("Score__c", FieldKind::Integer),
            field("Amount", FieldKind::Number),
            field("IsDeleted", FieldKind::Boolean),
            field("SystemModstamp", FieldKind::Text),
        ],
        key: Some("Id".to_owned()),
        cursor: Some("SystemModstamp".to_owned()),
        deleted: Some("IsDeleted"),
        path: None,
    })
}

const HEADER: &str = "\"Id\",\"Name\",\"Score__c\",\"Amount\",\"IsDeleted\",\"SystemModstamp\"\n";

fn open(document: &str) -> Result<Rows> {
    Rows::open(Bytes::from(document.to_owned()), Delimiter::Comma, &columns())
}

/// The records of these rows, each as text.
fn read(rows: &str) -> Result<Vec<String>> {
    let batch = open(&format!("{HEADER}{rows}"))?.batch(100)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok(batch.iter().flat_map(Batch::iter).map(|record| text(record.record.unwrap())).collect())
}

#[test]
fn a_row_becomes_a_record_typed_by_the_description() {
    let mut rows = open(&format!(
        "{HEADER}\"003A\",\"Ann\",\"7.0\",\"1250.50\",\"false\",\"2024-01-01T00:00:00.250Z\"\n"
    ))
    .unwrap();
    let batch = rows.batch(10).unwrap().unwrap();
    let record = batch.get(0).unwrap();
    let text = std::str::from_utf8(record.record.unwrap()).unwrap();
    assert_eq!(
        text,
        r#"{"Id":"003A","Name":"Ann","Score__c":7,"Amount":1250.50,"IsDeleted":false,"SystemModstamp":"2024-01-01T00:00:00.250Z"}"#
    );
    assert_eq!(record.key, Some(&br#"{"Id":"003A"}"#[..]));
    assert_eq!(record.cursor, Some(&br#""2024-01-01T00:00:00.250Z""#[..]));
    assert_eq!(record.source_timestamp, Some(1_704_067_200_250));
    assert_eq!(record.operation, Operation::Upsert);
    assert!(rows.is_end() && rows.batch(10).unwrap().is_none());
}

#[test]
fn an_empty_cell_is_null_with_quotes_and_without() {
    let records = read("\"003A\",\"\",,\"\",,\n").unwrap();
    let null =
        r#"{"Id":"003A","Name":null,"Score__c":null,"Amount":null,"IsDeleted":null,"SystemModstamp":null}"#;
    assert_eq!(records, [null]);
}

#[test]
fn a_time_is_written_as_rest_writes_it_where_that_is_asked_for() {
    let mut columns = (*columns()).clone();
    columns.fields[5].1 = FieldKind::Time;
    let rows = format!("{HEADER}1,,,,,2024-01-01T00:00:00.250Z\n2,,,,,odd\n");
    columns.path = Some("/services/data/v66.0/sobjects/Contact/".to_owned());
    let mut rows = Rows::open(Bytes::from(rows), Delimiter::Comma, &Arc::new(columns)).unwrap();
    let batch = rows.batch(9).unwrap().unwrap();
    let record = std::str::from_utf8(batch.get(0).unwrap().record.unwrap()).unwrap();
    let head = r#"{"attributes":{"type":"Contact","url":"/services/data/v66.0/sobjects/Contact/1"},"Id":"1","Name":null,"#;
    assert!(record.starts_with(head), "{record}");
    assert_eq!(batch.get(0).unwrap().cursor, Some(&br#""2024-01-01T00:00:00.250+0000""#[..]));
    assert_eq!(batch.get(0).unwrap().source_timestamp, Some(1_704_067_200_250));
    assert_eq!(batch.get(1).unwrap().cursor, Some(&br#""odd""#[..]));
}

#[test]
fn a_row_of_the_recycle_bin_is_a_delete() {
    let batch = open(&format!("{HEADER}\"003A\",,,,true,\n")).unwrap().batch(1).unwrap().unwrap();
    assert_eq!(batch.get(0).unwrap().operation, Operation::Delete);
}

#[test]
fn what_does_not_fit_its_type_stays_text_as_it_came() {
    let records =
        read("1,a,7.5,1.,yes,x\n2,b,-0,1e400,TRUE,y\n3,c,12.000,007,,z\n4,d,--1,+1,,z\n5,e,.0,NaN,,z\n")
            .unwrap();
    let has = |index: usize, part: &str| assert!(records[index].contains(part), "{}", records[index]);
    has(0, r#""Score__c":"7.5","Amount":"1.","IsDeleted":"yes""#);
    has(1, r#""Score__c":-0,"Amount":1e400,"IsDeleted":"TRUE""#);
    has(2, r#""Score__c":12,"Amount":"007""#);
    has(3, r#""Score__c":"--1","Amount":"+1""#);
    has(4, r#""Score__c":".0","Amount":"NaN""#);
}

#[test]
fn every_text_comes_out_as_the_json_of_itself() {
    // Airbyte #8300: a NUL byte in a text broke the reader; egen/spark-salesforce #53: so did a line end.
    for text in [
        "a\0b",
        "line\r\nline\ttab",
        "say \"hé\" 😀",
        "back\\slash\\",
        "\u{1}\u{1f}\u{7f}\u{2028}",
        "\"",
        "\"\"",
        "x\"\"\"y",
    ] {
        let quoted = text.replace('"', "\"\"");
        let records = read(&format!("1,\"{quoted}\",,,,\n")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&records[0]).unwrap();
        assert_eq!(value["Name"], text, "{}", records[0]);
    }
}

#[test]
fn every_record_is_json_whatever_the_cells_hold() {
    // Cells of all short combinations of what has a meaning somewhere.
    let parts = ["\"", ",", "\n", "\\", "0", ".", "e", "-", "t", "é", "\0"];
    for a in parts {
        for b in parts {
            for c in parts {
                let text = format!("{a}{b}{c}");
                let cell = format!("\"{}\"", text.replace('"', "\"\""));
                let records = read(&format!("1,{cell},{cell},{cell},{cell},{cell}\n")).unwrap();
                let value: serde_json::Value = serde_json::from_str(&records[0]).unwrap();
                assert_eq!(value["Name"], text);
            }
        }
    }
}

#[test]
fn rows_that_were_taken_before_are_passed_over() {
    let rows: String = (0..10).map(|row| format!("{row},\"a\nb\",,,,\n")).collect();
    let mut rows = open(&format!("{HEADER}{rows}")).unwrap();
    rows.skip(7).unwrap();
    let batch = rows.batch(2).unwrap().unwrap();
    assert_eq!((batch.len(), rows.taken()), (2, 9));
    assert_eq!(batch.get(0).unwrap().key, Some(&br#"{"Id":"7"}"#[..]));
    assert_eq!(rows.batch(100).unwrap().unwrap().len(), 1);
}

#[test]
fn d_12_a_document_that_was_cut_is_asked_for_again_and_one_that_is_wrong_is_not() {
    let class = |rows: &str| read(rows).unwrap_err().class();
    assert_eq!(class("\"1\",\"a"), Class::Transient);
    assert_eq!(class("1,a,1"), Class::Transient);
    assert_eq!(class("1,a\n"), Class::Schema);
    assert_eq!(class("1,a,,,,,\n"), Class::Schema);
    assert_eq!(class(",a,,,,\n"), Class::Schema);
    let error = open("Id,Name\n1,a\n").unwrap_err();
    assert!(error.message().contains("`Score__c`"), "{error}");
    let mut cut = HEADER.as_bytes().to_vec();
    cut.extend_from_slice(b"1,\"\xC3");
    let open =
        |bytes: Vec<u8>| Rows::open(Bytes::from(bytes), Delimiter::Comma, &columns()).unwrap_err().class();
    assert_eq!(open(cut.clone()), Class::Transient);
    cut.extend_from_slice(b"a\"\n");
    assert_eq!(open(cut), Class::Schema);
}

#[test]
fn an_error_says_where_and_no_value() {
    let error = read("1,secret,,,,\n2,secret\n").unwrap_err();
    let context: Vec<_> = error.context().map(|(name, value)| format!("{name}={value}")).collect();
    assert!(
        context.contains(&"row=2".to_owned()) && context.iter().any(|part| part.starts_with("byte=")),
        "{context:?}"
    );
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn a_document_without_rows_has_none() {
    assert!(Rows::none(&columns()).batch(10).unwrap().is_none());
    assert_eq!(open("").unwrap_err().class(), Class::Transient, "nothing at all was cut before its header");
    assert!(open(HEADER).unwrap().batch(10).unwrap().is_none());
}
