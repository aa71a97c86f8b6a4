use super::*;

#[test]
fn vendor_times_are_read_as_the_general_parser_reads_them() {
    for text in [
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "2024-02-29T12:34:56.789Z",
        "2000-03-01T00:00:00+00:00",
        "1900-02-28T23:59:59.001Z",
        "2100-12-31T23:59:59.000Z",
        "0001-01-01T00:00:00.000Z",
    ] {
        let expected: Timestamp = text.parse().unwrap();
        assert_eq!(utc_millis(text.as_bytes()), Some(expected.as_millis()), "{text}");
    }
    assert_eq!(timestamp_millis(b"\"2024-01-01T00:00:00.250+0000\""), Some(1_704_067_200_250));
    assert_eq!(timestamp_millis(b"\"2024-01-01T02:00:00+02:00\""), Some(1_704_067_200_000));
}

#[test]
fn what_is_no_time_gives_none() {
    for json in [
        "\"\"",
        "1704067200",
        "null",
        "\"2023-02-29T00:00:00Z\"",
        "\"2024-13-01T00:00:00Z\"",
        "\"yesterday\"",
    ] {
        assert_eq!(timestamp_millis(json.as_bytes()), None, "{json}");
    }
}

#[test]
fn a_page_of_more_records_than_memory_should_hold_is_refused() {
    let page = format!("[{}0]", "0,".repeat(1_000_000));
    let spec = PageSpec::new("numbers", Vec::<String>::new());
    let error = PageSplitter::new(spec).split(page, 1).unwrap_err();
    assert_eq!(error.class(), Class::Schema);
    assert!(error.to_string().contains("1,000,000"), "{error}");
}

fn contacts() -> PageSplitter {
    let spec = PageSpec::new("Contact", ["records"])
        .with_page_field(["totalSize"])
        .with_page_field(["done"])
        .with_page_field(["next", "url"])
        .with_page_field(["absent"])
        .with_key(["Id", "Org"])
        .with_cursor(Some("Changed".into()))
        .with_deleted(Some("Gone".into()));
    PageSplitter::new(spec)
}

#[test]
fn the_fields_of_a_page_are_read_by_their_number_and_kind() {
    let text = r#"{"totalSize": 205, "done" : false, "next": {"url": "\/q\u002d2"}, "records": []}"#;
    let page = contacts().split(text.as_bytes().to_vec(), 1).unwrap();
    assert_eq!(page.field(0), Some(&b"205"[..]));
    assert_eq!((page.number(0), page.number(1), page.number(3)), (Some(205), None, None));
    assert_eq!((page.flag(0), page.flag(1), page.flag(3), page.flag(4)), (None, Some(false), None, None));
    assert_eq!(page.text(2).as_deref(), Some("/q-2"), "a text is what it says, not how it is written");
    assert_eq!((page.text(0), page.text(3), page.field(4)), (None, None, None));
    assert_eq!(page.link(2).unwrap().as_deref(), Some("/q-2"));
    for no_link in [0, 3, 4] {
        assert_eq!(page.link(no_link).unwrap_err().class(), Class::Schema, "{no_link} is no end");
    }
    let last = contacts().split(&br#"{"done":true,"next":{"url":null},"records":[]}"#[..], 2).unwrap();
    assert_eq!((last.flag(1), last.text(2), last.number(0)), (Some(true), None, None));
    assert_eq!(last.link(2).unwrap(), None, "null is the end");
}

#[test]
fn a_record_has_its_key_its_cursor_and_its_fate() {
    let text = r#"{"records":[
        {"Id":"a","Org":7,"Changed":"2026-01-31T12:00:00.000Z","Gone":false},
        {"Gone":true,"Changed":null,"Org":8,"Id":"b"},
        {"Id":"c","Org":9}
    ]}"#;
    let page = contacts().split(text.as_bytes().to_vec(), 1).unwrap();
    let record = |index: usize| page.batch.get(index).unwrap();
    assert_eq!(record(0).key, Some(&br#"{"Id":"a","Org":7}"#[..]));
    assert_eq!(record(0).cursor, Some(&br#""2026-01-31T12:00:00.000Z""#[..]));
    assert_eq!(record(0).source_timestamp, Some(1_769_860_800_000));
    assert_eq!(
        record(1).key,
        Some(&br#"{"Id":"b","Org":8}"#[..]),
        "in the order of the key, not of the record"
    );
    assert_eq!(
        (record(1).cursor, record(1).source_timestamp),
        (None, None),
        "null is no place to go on from"
    );
    assert_eq!((record(2).cursor, record(2).source_timestamp), (None, None));
    let fates: Vec<_> = page.batch.iter().map(|record| record.operation).collect();
    assert_eq!(fates, [Operation::Upsert, Operation::Delete, Operation::Upsert]);
    assert_eq!(record(0).record.map(<[u8]>::len), Some(68));
}

#[test]
fn without_a_cursor_the_mark_of_a_delete_is_found_all_the_same() {
    let spec = PageSpec::new("x", Vec::<String>::new()).with_key(["id"]).with_deleted(Some("gone".into()));
    let page =
        PageSplitter::new(spec).split(&br#"[{"id":1,"gone":true},{"id":2,"gone":"true"}]"#[..], 1).unwrap();
    let fates: Vec<_> = page.batch.iter().map(|record| record.operation).collect();
    assert_eq!(fates, [Operation::Delete, Operation::Upsert], "a text is no mark");
    assert!(page.batch.iter().all(|record| record.cursor.is_none()));
}

#[test]
fn what_is_wrong_with_a_page_is_said_with_where_it_is() {
    let broken = |text: &'static str| contacts().split(text.as_bytes(), 7).unwrap_err();
    let cut = broken(r#"{"records":[{"Id":"a","Org":1"#);
    assert_eq!(cut.class(), Class::Transient);
    let keyless = broken(r#"{"records":[{"Id":"a","Org":1},{"Id":"b"}]}"#);
    assert_eq!(keyless.class(), Class::Schema);
    let said = keyless.to_string();
    assert!(said.contains("record 1") && said.contains("Contact") && said.contains('7'), "{said}");
    assert!(said.contains("31"), "the byte where the record begins: {said}");
    assert_eq!(broken(r#"{"records":7}"#).class(), Class::Schema);
}

#[test]
fn no_byte_among_the_digits_of_a_number_is_taken_for_one() {
    let splitter = PageSplitter::new(PageSpec::new("numbers", Vec::<String>::new()));
    for at in 1..=12 {
        for byte in 0..=u8::MAX {
            let mut page = *b"[123456789012]";
            page[at] = byte;
            let expected = serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(&page).is_ok();
            let split = splitter.split(page.to_vec(), 1);
            assert_eq!(split.is_ok(), expected, "{byte:#x} at {at}");
        }
    }
}
