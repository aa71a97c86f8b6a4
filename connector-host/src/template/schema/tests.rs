use std::path::Path;

use serde_json::json;

use super::*;
use crate::template::yaml;

fn schema() -> Value {
    // As schemars writes structs, optional structs, enums by tag, and enums of words.
    json!({
        "$defs": {
            "Auth": { "oneOf": [
                { "type": "object", "properties": { "client_credentials": { "$ref": "#/$defs/Client" } },
                  "required": ["client_credentials"], "additionalProperties": false },
                { "type": "object", "properties": { "session": { "type": "object",
                    "properties": { "access_token": { "type": "string", "writeOnly": true } },
                    "required": ["access_token"], "additionalProperties": false } },
                  "required": ["session"], "additionalProperties": false },
            ]},
            "Client": { "type": "object",
                "properties": { "client_id": { "type": "string" }, "client_secret": { "type": "string", "writeOnly": true } },
                "required": ["client_id", "client_secret"], "additionalProperties": false },
            "Mode": { "oneOf": [ { "type": "string", "const": "full" }, { "type": "string", "const": "incremental" } ] },
            "Page": { "type": "object", "properties": { "size": { "type": "integer", "minimum": 1 } }, "additionalProperties": false },
        },
        "type": "object",
        "properties": {
            "auth": { "$ref": "#/$defs/Auth" },
            "mode": { "anyOf": [ { "$ref": "#/$defs/Mode" }, { "type": "null" } ] },
            "page": { "anyOf": [ { "$ref": "#/$defs/Page" }, { "type": "null" } ] },
            "url": { "type": "string", "pattern": "^https?://" },
            "size": { "anyOf": [ { "type": "integer" }, { "type": "string", "pattern": "^[0-9]+MiB$" } ] },
            "tags": { "type": "array", "items": { "type": "string" } },
        },
        "required": ["auth"],
        "additionalProperties": false,
    })
}

/// `line:column field: text` of each mistake.
fn mistakes(text: &str) -> Vec<String> {
    let tree = yaml::parse(Path::new("t.yaml"), text).unwrap();
    let value = tree.to_json(&|text, _| Ok(text.to_owned())).unwrap();
    let found = check(&schema(), &tree, &value, "config").unwrap();
    found.iter().map(|v| format!("{} {}: {}", v.place, v.field, v.text)).collect()
}

const GOOD: &str = "auth: { session: { access_token: hunter2 } }\n";

#[test]
fn what_fits_has_no_mistakes() {
    assert_eq!(mistakes(GOOD), Vec::<String>::new());
    assert_eq!(
        mistakes(&format!("{GOOD}mode: full\npage: {{ size: 2 }}\nsize: 3MiB\n")),
        Vec::<String>::new()
    );
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    assert_eq!(
        mistakes(&format!("{GOOD}moed: full\n")),
        ["2:1 config.moed: there is no key `moed` in `config`; did you mean `mode`?"]
    );
    assert_eq!(
        mistakes(&format!("{GOOD}page:\n  sice: 1\n")),
        ["3:3 config.page.sice: there is no key `sice` in `config.page`; did you mean `size`?"]
    );
}

#[test]
fn the_alternative_that_a_tag_chose_is_the_one_explained() {
    assert_eq!(
        mistakes("auth:\n  client_credentials:\n    client_id: x\n    client_secrte: hunter2\n"),
        [
            "3:5 config.auth.client_credentials: `client_secret` is missing in `config.auth.client_credentials`",
            "4:5 config.auth.client_credentials.client_secrte: there is no key `client_secrte` in \
             `config.auth.client_credentials`; did you mean `client_secret`?",
        ]
    );
    assert_eq!(
        mistakes("auth:\n  client_credential: { client_id: x }\n"),
        [
            "2:3 config.auth.client_credential: there is no key `client_credential` in `config.auth`; did you mean `client_credentials`?"
        ]
    );
    assert_eq!(
        mistakes("auth: {}\n"),
        ["1:7 config.auth: `config.auth` needs one of `client_credentials`, `session`, and only one"]
    );
}

#[test]
fn words_and_types_are_named_and_values_are_not() {
    for (text, expected) in [
        ("mode: hunter2", "2:7 config.mode: `config.mode` must be one of `full`, `incremental`"),
        (
            "page: { size: hunter2 }",
            "2:15 config.page.size: `config.page.size` must be a whole number, and is a text",
        ),
        ("page: 5", "2:7 config.page: `config.page` must be a map, and is a number"),
        ("size: [hunter2]", "2:7 config.size: `config.size` must be a whole number or a text, and is a list"),
        ("tags: [a, 5]", "2:11 config.tags.1: `config.tags.1` must be a text, and is a number"),
    ] {
        assert_eq!(mistakes(&format!("{GOOD}{text}\n")), [expected]);
    }
    for text in ["url: hunter2", "size: hunter2", "page: { size: 0 }"] {
        let found = mistakes(&format!("{GOOD}{text}\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(!found.concat().contains("hunter2"), "{found:?}");
    }
}
