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
