use super::{split::object, *};

fn fields(json: &str) -> Option<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    object(json, |key, value| found.push((key, value))).then_some(found)
}

#[test]
fn values_are_found_between_any_blanks_and_brackets() {
    let json = " {\n\"a\" : 1 , \"b\":[{\"x\":\"]}\\\"\"},[]],\"c\\\"\":\"\\\\\",\t\"d\":{}, \"e\":null }";
    let expected =
        vec![("a", "1"), ("b", "[{\"x\":\"]}\\\"\"},[]]"), ("c\\\"", "\"\\\\\""), ("d", "{}"), ("e", "null")];
    assert_eq!(fields(json), Some(expected));
    assert_eq!(fields("{}"), Some(Vec::new()));
}

#[test]
fn what_is_no_object_ends_in_none_and_never_in_a_panic() {
    for json in [
        "",
        " ",
        "1",
        "[]",
        "{",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":[",
        "{\"a\":[}",
        "{\"a\":,}",
        "{a:1}",
        "{\"a\":1 2}",
        "{\"ä\":\"ö",
    ] {
        assert_eq!(fields(json), None, "{json}");
    }
    // Every prefix of something long.
    let json = "{\"a\":{\"b\":[1,\"ü\\u00e9\",{}]},\"c\":\"d\\\\\",\"e\":-1.5e7,\"日本\":true}";
    for (at, _) in json.char_indices() {
        assert_eq!(fields(&json[..at]), None, "{at}");
    }
    assert_eq!(fields(json).map(|fields| fields.len()), Some(4));
}

#[test]
fn the_kind_of_a_property_follows_its_schema() {
    for (schema, kind) in [
        (r#"{"type":"string"}"#, Kind::Text),
        (r#"{"type":"string","format":"email"}"#, Kind::Text),
        (r#"{"type":["null","string"],"format":"date-time"}"#, Kind::Instant),
        (r#"{"type":"string","format":"date"}"#, Kind::Date),
        (r#"{"type":"integer"}"#, Kind::Integer),
        (r#"{"type":["integer","number","null"]}"#, Kind::Number),
        (r#"{"type":"boolean"}"#, Kind::Boolean),
        (r#"{"type":["string","integer"]}"#, Kind::Json),
        (r#"{"type":"object"}"#, Kind::Json),
        (r#"{"anyOf":[{"type":"null"},{"type":"integer"}]}"#, Kind::Integer),
        (r#"{"oneOf":[{"type":"string"},{"type":"integer"}]}"#, Kind::Json),
        ("{\"$ref\":\"#/x\"}", Kind::Json),
        ("{}", Kind::Json),
        ("true", Kind::Json),
        (r#"{"type":7}"#, Kind::Json),
    ] {
        assert_eq!(Kind::of(&serde_json::from_str(schema).unwrap()), kind, "{schema}");
    }
}
