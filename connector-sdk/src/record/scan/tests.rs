use super::{MAX_DEPTH, Scan, ScanError, ScanErrorKind, ScanSpec, Span, block, oracle, unescape};

/// Scans for `Id` and `attributes.type` of the records, and for the page's `done` and `nextRecordsUrl`.
fn spec() -> ScanSpec {
    ScanSpec::new(&["records"])
        .with_page_field(&["done"])
        .with_page_field(&["nextRecordsUrl"])
        .with_record_field(&["Id"])
        .with_record_field(&["attributes", "type"])
}

fn scan(spec: &ScanSpec, page: impl AsRef<[u8]>) -> Result<Scan, ScanError> {
    let mut out = Scan::default();
    spec.scan(page.as_ref(), &mut out).map(|()| out)
}

/// Scans a page that is the array of records itself, whatever they are.
fn verdict(page: impl AsRef<[u8]>) -> Result<usize, (ScanErrorKind, usize)> {
    oracle::compare(page.as_ref());
    match scan(&ScanSpec::new::<&str>(&[]), page) {
        Ok(scan) => Ok(scan.records.len()),
        Err(error) => Err((error.kind, error.offset)),
    }
}

fn texts<'a>(page: &'a str, spans: &[Span]) -> Vec<Option<&'a str>> {
    spans.iter().map(|span| span.of(page.as_bytes()).map(|raw| std::str::from_utf8(raw).unwrap())).collect()
}

/// The error for the page, whose kind is a syntax error, without the words.
fn syntax(page: impl AsRef<[u8]>) -> usize {
    match verdict(page) {
        Err((ScanErrorKind::Syntax { .. }, offset)) => offset,
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_and_fields_are_found_where_they_stand() {
    let page = r#" { "totalSize" : 2, "done" : false,
        "records" : [ { "attributes" : { "type" : "Contact", "url" : "/x" }, "Id" : "003A", "Amount" : 0.10 } ,
                      {"Id":"003B","attributes":{"url":"/y"}} ], "nextRecordsUrl": "/next" } "#;
    let scan = scan(&spec(), page).unwrap();
    assert_eq!(texts(page, &scan.page_fields), [Some("false"), Some(r#""/next""#)]);
    assert_eq!(
        texts(page, &scan.records),
        [
            Some(
                r#"{ "attributes" : { "type" : "Contact", "url" : "/x" }, "Id" : "003A", "Amount" : 0.10 }"#
            ),
            Some(r#"{"Id":"003B","attributes":{"url":"/y"}}"#)
        ]
    );
    assert_eq!(texts(page, scan.fields(0)), [Some(r#""003A""#), Some(r#""Contact""#)]);
    assert_eq!(texts(page, scan.fields(1)), [Some(r#""003B""#), None]);
    assert!(scan.fields(2).is_empty());
}

#[test]
fn records_may_be_the_page_itself_or_lie_deep_in_it() {
    assert_eq!(scan(&ScanSpec::new::<&str>(&[]), "[1,2]").unwrap().records.len(), 2);
    let page = r#"{"response":{"count":1,"items":[{"Id":7}],"next":null},"items":[1,2,3]}"#;
    let spec = ScanSpec::new(&["response", "items"])
        .with_page_field(&["response", "next"])
        .with_record_field(&["Id"]);
    let scan = scan(&spec, page).unwrap();
    assert_eq!(texts(page, &scan.record_fields), [Some("7")]);
    assert_eq!(texts(page, &scan.page_fields), [Some("null")]);
}

#[test]
fn a_scan_used_again_keeps_nothing_of_the_page_before() {
    let mut out = Scan::default();
    spec().scan(br#"{"records":[{"Id":1},{"Id":2}],"done":true}"#, &mut out).unwrap();
    spec().scan(br#"{"records":[{"Nr":1}]}"#, &mut out).unwrap();
    assert_eq!((out.records.len(), out.fields(0)), (1, &[Span::NONE, Span::NONE][..]));
    assert_eq!(out.page_fields, [Span::NONE, Span::NONE]);
    spec().scan(b"{", &mut out).unwrap_err();
    assert!(out.records.is_empty() && out.record_fields.is_empty() && out.page_fields.is_empty());
}

#[test]
fn of_two_equal_keys_the_last_counts() {
    let page = r#"{"done":1,"records":[{"Id":0}],"done":2,
        "records":[{"Id":1,"Id":2,"attributes":{"type":3},"attributes":{"kind":4}},{"attributes":{"type":5},"attributes":6}]}"#;
    let scan = scan(&spec(), page).unwrap();
    assert_eq!(texts(page, &scan.page_fields), [Some("2"), None]);
    assert_eq!(texts(page, &scan.record_fields), [Some("2"), None, None, None]);
    oracle::compare(page.as_bytes());
}

#[test]
fn a_second_parent_takes_the_records_back() {
    let spec = ScanSpec::new(&["response", "items"]);
    let page = r#"{"response":{"items":[1]},"response":{"other":2}}"#;
    assert_eq!(scan(&spec, page).unwrap_err().kind, ScanErrorKind::RecordsMissing);
    assert_eq!(scan(&spec, r#"{"response":5}"#).unwrap_err().kind, ScanErrorKind::RecordsMissing);
}

#[test]
fn keys_are_compared_as_text() {
    let page = r#"{"r\u0065cords":[{"I\u0064":1},{"\u0049d":2,"I\\d":3},{"I\u0064":4},{"Id":5}]}"#;
    let scan = scan(&spec(), page).unwrap();
    assert_eq!(
        texts(page, &scan.record_fields),
        [Some("1"), None, Some("2"), None, Some("4"), None, Some("5"), None]
    );
}

#[test]
fn keys_with_the_length_of_a_wanted_one_are_not_taken_for_it() {
    let long = "x".repeat(66);
    let page = format!(r#"{{"records":[{{"id":1,"{long}":2}}]}}"#);
    assert_eq!(texts(&page, scan(&spec(), &page).unwrap().fields(0)), [None, None]);
}

#[test]
fn records_of_many_shapes_and_many_keys_are_read_right() {
    let keys: Vec<String> = (0..700).map(|key| format!("\"k{key}\":{key}")).collect();
    let record = |from: usize, step: usize| {
        let mut fields: Vec<_> = keys.iter().skip(from).step_by(step).cloned().collect();
        fields.push(format!("\"Id\":{from}"));
        format!("{{{}}}", fields.join(","))
    };
    let records: Vec<_> = (0..60).map(|index| record(index * 7 % 13, index % 9 + 1)).collect();
    let page = format!("{{\"records\":[{}]}}", records.join(","));
    let scan = scan(&spec(), &page).unwrap();
    assert_eq!(
        texts(&page, &scan.records),
        records.iter().map(|record| Some(record.as_str())).collect::<Vec<_>>()
    );
    for index in 0..60 {
        assert_eq!(texts(&page, scan.fields(index)), [Some((index * 7 % 13).to_string().as_str()), None]);
    }
}

#[test]
fn records_need_not_be_objects() {
    let page = r#"{"records":[null,1,"Id",[{"Id":1}],{"Id":{"Id":2}},{}]}"#;
    let scan = scan(&spec(), page).unwrap();
    assert_eq!(
        texts(page, &scan.records),
        [
            Some("null"),
            Some("1"),
            Some(r#""Id""#),
            Some(r#"[{"Id":1}]"#),
            Some(r#"{"Id":{"Id":2}}"#),
            Some("{}")
        ]
    );
    let ids: Vec<_> = (0..6).map(|index| texts(page, scan.fields(index))[0]).collect();
    assert_eq!(ids, [None, None, None, None, Some(r#"{"Id":2}"#), None]);
}

#[test]
fn no_array_where_the_records_should_be_is_an_error_of_its_own() {
    let error = scan(&spec(), r#"{"records": null}"#).unwrap_err();
    assert_eq!((error.kind, error.offset), (ScanErrorKind::RecordsNotAnArray, 12));
    let error = scan(&spec(), r#"{"records": {"Id":1}}"#).unwrap_err();
    assert_eq!((error.kind, error.offset), (ScanErrorKind::RecordsNotAnArray, 12));
    let error = scan(&spec(), r#"{"record": []} "#).unwrap_err();
    assert_eq!((error.kind, error.offset), (ScanErrorKind::RecordsMissing, 15));
    assert_eq!(scan(&spec(), "[]").unwrap_err().kind, ScanErrorKind::RecordsMissing);
    assert_eq!(verdict("{}"), Err((ScanErrorKind::RecordsNotAnArray, 0)));
}

#[test]
fn null_may_be_taken_for_no_records() {
    let spec = spec().with_null_as_empty();
    assert!(scan(&spec, r#"{"records":null}"#).unwrap().records.is_empty());
    assert!(scan(&spec, r#"{"records":[1],"records":null}"#).unwrap().records.is_empty());
    assert_eq!(scan(&spec, r#"{"records":0}"#).unwrap_err().kind, ScanErrorKind::RecordsNotAnArray);
    assert_eq!(scan(&spec, "{}").unwrap_err().kind, ScanErrorKind::RecordsMissing);
}

#[test]
fn numbers_stay_as_they_came() {
    for number in [
        "0",
        "-0",
        "9007199254740993",
        "18446744073709551616",
        "-123456789012345678901234567890",
        "0.1000",
        "1e999",
        "1E+05",
        "1.5e-300",
        "12345678",
        "1234567",
        "123456789",
        "0.12345678",
        "1e12345678",
    ] {
        let page = format!(r#"{{"records":[{{"Id":{number}}}]}}"#);
        assert_eq!(texts(&page, scan(&spec(), &page).unwrap().fields(0)), [Some(number), None]);
        assert_eq!(verdict(format!("[{number}]")), Ok(1));
    }
}

#[test]
fn numbers_that_are_none_are_refused_at_the_byte() {
    for (page, offset) in [
        ("[01]", 2),
        ("[-01]", 3),
        ("[1.]", 3),
        ("[.5]", 1),
        ("[-]", 2),
        ("[+1]", 1),
        ("[1e]", 3),
        ("[1e+]", 4),
        ("[1.e1]", 3),
        ("[- 1]", 2),
        ("[1_000]", 2),
        ("[0x1]", 2),
        ("[1.5.5]", 4),
        ("[NaN]", 1),
        ("[Infinity]", 1),
        ("[-Infinity]", 2),
        ("[12345678x]", 9),
        ("[1234567\u{660}]", 8),
    ] {
        assert_eq!(syntax(page), offset, "{page}");
    }
}

#[test]
fn a_number_ends_at_the_first_byte_that_is_no_digit() {
    for byte in 0..=u8::MAX {
        for at in 1..12 {
            let mut page = b"[123456789012]".to_vec();
            page[at] = byte;
            oracle::compare(&page);
        }
    }
}

#[test]
fn grammar_that_is_none_is_refused_at_the_byte() {
    for (page, offset) in [
        ("[1 2]", 3),
        ("[1,]", 3),
        ("[,1]", 1),
        ("[}", 1),
        ("[1}", 2),
        ("[{]", 2),
        ("[{\"a\"}]", 5),
        ("[{\"a\":}]", 6),
        ("[{\"a\":1,}]", 8),
        ("[{,}]", 2),
        ("[{a:1}]", 2),
        ("[{1:1}]", 2),
        ("[{\"a\" 1}]", 6),
        ("[{\"a\":1 \"b\":2}]", 8),
        ("[{\"a\":1]", 7),
        ("[tru]", 4),
        ("[truee]", 5),
        ("[nulL]", 4),
        ("[fa", 3),
        ("[True]", 1),
        ("['a']", 1),
        ("[//]", 1),
        ("[[1,2],{\"a\":[}]]", 13),
        ("[[[1}]]", 4),
        ("[{\"a\":{\"b\":1]}]", 12),
        ("[\"a\":1]", 4),
    ] {
        if page == "[fa" {
            assert_eq!(verdict(page), Err((ScanErrorKind::UnexpectedEnd, offset)));
        } else {
            assert_eq!(syntax(page), offset, "{page}");
        }
    }
    assert_eq!(syntax("\u{b}[]"), 0);
    assert_eq!(syntax("[\u{a0}]"), 1);
}

#[test]
fn a_page_that_ends_too_early_is_told_from_a_wrong_one() {
    for page in [
        "",
        " \n",
        "[",
        "[1",
        "[1,",
        "[-",
        "[1.",
        "[1e",
        "[\"",
        "[\"\\",
        "[\"\\u",
        "[\"\\u12",
        "[\"\\ud83d",
        "[{",
        "[\"\\ud83d\\",
        "[\"\\ud83d\\u",
        "[\"\\ud83d\\ude",
        "[t",
        "[fals",
        "[{\"a",
        "[{\"a\"",
        "[{\"a\":",
        "[{\"a\":1",
        "[{\"a\":1,",
    ] {
        assert_eq!(verdict(page), Err((ScanErrorKind::UnexpectedEnd, page.len())), "{page}");
    }
    // In the middle of a character of several bytes too.
    let page = "[\"🦌".as_bytes();
    for cut in 3..page.len() {
        assert_eq!(verdict(&page[..cut]), Err((ScanErrorKind::UnexpectedEnd, cut)));
    }
}

#[test]
fn what_follows_the_page_is_refused() {
    assert_eq!(verdict("[] []"), Err((ScanErrorKind::TrailingData, 3)));
    assert_eq!(verdict("[],"), Err((ScanErrorKind::TrailingData, 2)));
    assert_eq!(verdict("[]\0"), Err((ScanErrorKind::TrailingData, 2)));
    assert_eq!(verdict("[] \t\r\n"), Ok(0));
}

#[test]
fn a_byte_order_mark_is_named() {
    assert_eq!(verdict("\u{feff}[]"), Err((ScanErrorKind::ByteOrderMark, 0)));
    let error = scan(&spec(), "\u{feff}{}").unwrap_err();
    assert_eq!(error.to_string(), "not JSON: a byte order mark stands before it at byte 0");
}

#[test]
fn control_characters_in_strings_are_refused_and_their_escapes_are_not() {
    for control in 0..0x20u8 {
        let page = [b"[\"ab".as_slice(), &[control], b"\"]"].concat();
        assert_eq!(verdict(page), Err((ScanErrorKind::ControlCharacter, 4)));
        assert_eq!(verdict(format!("[\"\\u{control:04x}\"]")), Ok(1));
    }
    assert_eq!(verdict("[\"\u{7f}\"]"), Ok(1));
}

#[test]
fn escapes_are_those_of_the_grammar() {
    assert_eq!(verdict(r#"["\"\\\/\b\f\n\r\t\u00e9\uABCD\ud83e\udd8c"]"#), Ok(1));
    for (page, offset) in
        [(r#"["\a"]"#, 3), (r#"["\U0041"]"#, 3), (r#"["\u00g0"]"#, 6), (r#"["\u12"]"#, 6), ("[\"\\\n\"]", 3)]
    {
        assert_eq!(syntax(page), offset, "{page}");
    }
}

#[test]
fn half_of_a_surrogate_pair_is_refused_even_where_nobody_asked() {
    for page in [
        r#"["ab\ud83d"]"#,
        r#"["ab\ude00"]"#,
        r#"["ab\ud83d\n"]"#,
        r#"["ab\ud83d\ud83d"]"#,
        r#"["ab\ud83dx"]"#,
        r#"["ab\uD83D\u0041"]"#,
        r#"["ab\ud83d \ude00"]"#,
    ] {
        assert_eq!(verdict(page), Err((ScanErrorKind::LoneSurrogate, 4)), "{page}");
    }
    assert_eq!(verdict(r#"[{"\ud83d":1}]"#), Err((ScanErrorKind::LoneSurrogate, 3)));
}

#[test]
fn surrogates_begin_and_end_where_unicode_says() {
    for unit in ["d7ff", "d800", "dbff", "dc00", "dfff", "e000"] {
        oracle::compare(format!(r#"["\u{unit}"]"#).as_bytes());
        oracle::compare(format!(r#"["\ud800\u{unit}"]"#).as_bytes());
        oracle::compare(format!(r#"["\u{unit}\udfff"]"#).as_bytes());
    }
}

#[test]
fn what_is_no_utf_8_is_refused_at_the_byte() {
    for bad in [&b"\xff"[..], b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"] {
        let page = [b"[\"ab", bad, b"\"]"].concat();
        assert_eq!(verdict(page), Err((ScanErrorKind::Utf8, 4)), "{bad:?}");
        // Between tokens it is no JSON either, and UTF-8 is the better reason.
        let page = [b"[1,", bad, b"]"].concat();
        assert_eq!(verdict(page), Err((ScanErrorKind::Utf8, 3)), "{bad:?}");
    }
    // What is wrong first is named first.
    assert_eq!(verdict(b"[\"\xff\",}"), Err((ScanErrorKind::Utf8, 2)));
    assert_eq!(syntax(b"[},\"\xff\"]"), 1);
}

#[test]
fn containers_nest_128_deep_and_no_deeper() {
    let nested = |open: &str, close: &str, depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    assert_eq!(verdict(nested("[", "]", MAX_DEPTH)), Ok(1));
    assert_eq!(verdict(nested("[", "]", MAX_DEPTH + 1)), Err((ScanErrorKind::Depth, MAX_DEPTH)));
    assert_eq!(verdict(format!("[{}]", nested("{\"a\":", "}", MAX_DEPTH - 1))), Ok(1));
    let deep = format!("[{}]", nested("{\"a\":", "}", MAX_DEPTH));
    assert_eq!(verdict(deep), Err((ScanErrorKind::Depth, 1 + 5 * (MAX_DEPTH - 1))));

    // A record of such a page can be parsed, though serde_json counts one less.
    let page = format!("[{}]", nested("[", "]", MAX_DEPTH - 1));
    let record = scan(&ScanSpec::new::<&str>(&[]), &page).unwrap().records[0];
    serde_json::from_slice::<serde_json::Value>(record.of(page.as_bytes()).unwrap()).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&page).is_err());
}

#[test]
fn a_path_of_the_spec_is_followed_128_deep_and_no_deeper() {
    for (depth, verdict) in [(MAX_DEPTH - 1, Ok(1)), (MAX_DEPTH, Err(ScanErrorKind::Depth))] {
        let page = format!("{}[7]{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let found = scan(&ScanSpec::new(&vec!["a"; depth]), &page);
        assert_eq!(found.map(|scan| scan.records.len()).map_err(|error| error.kind), verdict);
    }
}

#[test]
fn a_page_of_brackets_costs_neither_stack_nor_time() {
    for open in ["[", "{\"a\":", "[{\"a\":", "[[],"] {
        let error = scan(&ScanSpec::new::<&str>(&[]), open.repeat(1_000_000)).unwrap_err();
        assert_eq!(error.kind, ScanErrorKind::Depth);
    }
}

#[test]
fn a_block_marks_quotes_backslashes_and_control_characters() {
    for byte in 0..=u8::MAX {
        for at in 0..block::WIDTH {
            let mut bytes = [b'x'; block::WIDTH];
            bytes[at] = byte;
            let stop = byte == b'"' || byte == b'\\' || byte < 0x20;
            assert_eq!(block::stops(&bytes), u32::from(stop) << at, "{byte:#x} at {at}");
        }
    }
}

#[test]
fn strings_of_every_length_end_where_they_end() {
    for length in 0..100 {
        for tail in ["", "                                                                        "] {
            let page = format!("[\"{}\"{tail}]{tail}", "x".repeat(length));
            let span = scan(&ScanSpec::new::<&str>(&[]), &page).unwrap().records[0];
            assert_eq!(span.range(), Some(1..length + 3));
            for (stop, kind) in [
                (b'\x1f', Some(ScanErrorKind::ControlCharacter)),
                (b'\xff', Some(ScanErrorKind::Utf8)),
                (b'"', None),
                (b'\\', None),
            ] {
                for at in 0..length {
                    let mut broken = page.clone().into_bytes();
                    broken[2 + at] = stop;
                    let verdict = verdict(broken);
                    if let Some(kind) = kind {
                        assert_eq!(verdict, Err((kind, 2 + at)), "length {length}");
                    }
                }
            }
        }
    }
}

#[test]
fn white_space_is_what_the_grammar_calls_so() {
    let space = " \t\r\n".repeat(20);
    let page = format!(
        "{space}{{{space}\"records\"{space}:{space}[{space}{{{space}\"Id\"{space}:{space}1{space}}}{space},{space}{{{space}}}{space}]{space}}}{space}"
    );
    let scan = scan(&spec(), &page).unwrap();
    assert_eq!(texts(&page, &scan.record_fields), [Some("1"), None, None, None]);
    for other in ["\u{c}", "\u{b}", "\0", "\u{85}", "\u{2028}"] {
        assert_eq!(syntax(format!("[{other}1]")), 1);
    }
}

#[test]
fn spans_beyond_4_gib_find_nothing() {
    assert_eq!(Span::new(0, u32::MAX as usize + 1), Span::NONE);
    assert_eq!(Span::new(usize::MAX, usize::MAX).range(), None);
    assert_eq!(Span::new(2, 4).of(b"abc"), None);
    assert_eq!(Span::new(1, 3).of(b"abc"), Some(&b"bc"[..]));
}

#[test]
fn errors_say_what_and_where_and_quote_nothing() {
    let error = scan(&spec(), r#"{"records":[{"ssn" "078-05-1120"}]}"#).unwrap_err();
    assert_eq!(error.to_string(), "not JSON: expected ':' after a key at byte 19");
}

#[test]
fn text_is_borrowed_where_nothing_is_escaped() {
    use std::borrow::Cow;
    assert!(matches!(unescape("\"grün\"".as_bytes()), Some(Cow::Borrowed("grün"))));
    assert!(matches!(unescape(br#""gr\u00fcn""#), Some(Cow::Owned(text)) if text == "grün"));
    assert_eq!(unescape(b"\"\"").as_deref(), Some(""));
    for no_string in
        [&b""[..], b"\"", b"null", b"1", b" \"a\"", b"\"a\" ", b"\"a\"\"", b"\"\\\"", b"\"\xff\"", b"\"\n\""]
    {
        assert_eq!(unescape(no_string), None);
    }
}
