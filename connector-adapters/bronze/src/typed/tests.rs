use super::*;

fn values(json: &str) -> Option<Vec<&str>> {
    let (mut keys, mut found) = (KnownKeys::default(), Vec::new());
    let whole = object(json, &mut keys, |_| (), |(), value| found.push(value.json));
    whole.then_some(found)
}

#[test]
fn values_are_found_between_any_blanks_and_brackets() {
    let json = " {\n\"a\" : 1 , \"b\":[{\"x\":\"]}\\\"\"},[]],\"c\\\"\":\"\\\\\",\t\"d\":{}, \"e\":null }";
    let expected = vec!["1", "[{\"x\":\"]}\\\"\"},[]]", "\"\\\\\"", "{}", "null"];
    assert_eq!(values(json), Some(expected));
    assert_eq!(values("{}"), Some(Vec::new()));
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
        assert_eq!(values(json), None, "{json}");
    }
    // Every prefix of something long.
    let json = "{\"a\":{\"b\":[1,\"ü\\u00e9\",{}]},\"c\":\"d\\\\\",\"e\":-1.5e7,\"日本\":true}";
    for (at, _) in json.char_indices() {
        assert_eq!(values(&json[..at]), None, "{at}");
    }
    assert_eq!(values(json).map(|values| values.len()), Some(4));
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

#[test]
fn names_are_looked_up_once_and_again_only_where_the_order_changes() {
    let looked_up = std::cell::RefCell::new(Vec::new());
    let mut keys = KnownKeys::default();
    let mut read = |json: &str| {
        let look_up = |name: &str| {
            looked_up.borrow_mut().push(name.to_owned());
            name.len()
        };
        let mut found = Vec::new();
        assert!(
            object(json, &mut keys, look_up, |length, value| found.push((length, value.escaped))),
            "{json}"
        );
        (found, looked_up.take())
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(read(r#"{"a":"x","b\u0062":"\n"}"#), (vec![(1, false), (2, true)], names(&["a", "bb"])));
    assert_eq!(read(r#"{"a":"y", "b\u0062" :1}"#), (vec![(1, false), (2, false)], names(&[])));
    assert_eq!(
        read(r#"{"a":"y","bb":1,"":2}"#),
        (vec![(1, false), (2, false), (0, false)], names(&["bb", ""]))
    );
    assert_eq!(read(r#"{"ab":0}"#), (vec![(2, false)], names(&["ab"])));
    assert_eq!(read(r#"{"a\"b":0}"#), (vec![(3, false)], names(&["a\"b"])));
    assert_eq!(read(r#"{"a":0}"#), (vec![(1, false)], names(&["a"])));
}
