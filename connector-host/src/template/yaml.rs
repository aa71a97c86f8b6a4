//! YAML, behind one function: a tree that remembers where each value stands in the file.

use std::{fmt, path::Path};

use connector_sdk::{Error, Result};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

/// A place in a file. Lines and columns start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The line.
    pub(super) line: u64,
    /// The column, in characters.
    pub(super) column: u64,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What YAML can say, as far as JSON can.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; the place is that of the key.
    Map(Vec<(String, Place, Node)>),
}

/// Parses the text of `file`. Keys that occur twice, and what JSON has no word for, are errors.
///
/// # Errors
/// Config, with file, line and column.
pub(super) fn parse(file: &Path, text: &str) -> Result<Node> {
    if text.trim().is_empty() {
        return Err(Error::config("read template", format!("{}: the file is empty", file.display())));
    }
    // A template is small: the limits stop one that unfolds into a large one by aliases.
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
    };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let place = error.location().map(Place::from);
        // The parser adds a tail about the place, which is named before it here.
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default().replace(['\n', '\r'], " ");
        match place {
            Some(place) => Error::config("read template", format!("{}:{place}: {said}", file.display())),
            None => Error::config("read template", format!("{}: {said}", file.display())),
        }
    })
}

impl Node {
    /// The value of a key, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, ..)| name == key).map(|(.., node)| node),
            _ => None,
        }
    }

    /// Where the value at a JSON pointer stands, or the nearest place above it that is in the file.
    pub(super) fn place(&self, pointer: &str) -> Place {
        self.at_pointer(pointer).at
    }

    /// The value at a JSON pointer, or the nearest above it that is in the file.
    pub(super) fn at_pointer(&self, pointer: &str) -> &Node {
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::List(items) => token.parse().ok().and_then(|index: usize| items.get(index)),
                _ => node.get(&token),
            };
            let Some(next) = next else { break };
            node = next;
        }
        node
    }

    /// Whether a variable stands in it, or in what is below it.
    pub(super) fn holds_variables(&self) -> bool {
        let mut holds = false;
        self.texts(&mut |text, _| holds |= text.contains("${"));
        holds
    }

    /// Where a key of the map at a JSON pointer stands.
    pub(super) fn key_place(&self, pointer: &str, key: &str) -> Place {
        let whole = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        let mut node = self;
        let tokens: Vec<String> =
            whole.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
        for (depth, token) in tokens.iter().enumerate() {
            match &node.value {
                Value::Map(entries) => match entries.iter().find(|(name, ..)| name == token) {
                    Some((_, at, _)) if depth + 1 == tokens.len() => return *at,
                    Some((.., next)) => node = next,
                    None => break,
                },
                Value::List(items) => match token.parse().ok().and_then(|index: usize| items.get(index)) {
                    Some(next) => node = next,
                    None => break,
                },
                _ => break,
            }
        }
        node.at
    }

    /// The tree as JSON, each text passed through `text`.
    pub(super) fn to_json(&self, text: &dyn Fn(&str, Place) -> Result<String>) -> Result<serde_json::Value> {
        Ok(match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(value) => serde_json::Value::Number(value.clone()),
            Value::Text(value) => text(value, self.at)?.into(),
            Value::List(items) => {
                items.iter().map(|item| item.to_json(text)).collect::<Result<Vec<_>>>()?.into()
            }
            Value::Map(entries) => {
                let entries: Result<serde_json::Map<_, _>> =
                    entries.iter().map(|(key, _, node)| Ok((key.clone(), node.to_json(text)?))).collect();
                serde_json::Value::Object(entries?)
            }
        })
    }

    /// Calls `found` with each text and its place.
    pub(super) fn texts<'a>(&'a self, found: &mut dyn FnMut(&'a str, Place)) {
        match &self.value {
            Value::Text(text) => found(text, self.at),
            Value::List(items) => items.iter().for_each(|item| item.texts(found)),
            Value::Map(entries) => entries.iter().for_each(|(.., node)| node.texts(found)),
            _ => {}
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { at: referenced.into(), value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, number, boolean, list or map")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        serde_json::Number::from_i128(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("the number is too large"))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        serde_json::Number::from_u128(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("the number is too large"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("the number is not finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            map.push((key.value, key.referenced.into(), entries.next_value()?));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        parse(Path::new("t.yaml"), text).unwrap()
    }

    fn json(text: &str) -> serde_json::Value {
        node(text).to_json(&|text, _| Ok(text.to_owned())).unwrap()
    }

    #[test]
    fn every_value_and_every_key_knows_its_place() {
        let tree = node("a: 1\nb:\n  - x\n  - deep: [1, {k: v}]\n");
        assert_eq!(tree.place("/a"), Place { line: 1, column: 4 });
        assert_eq!(tree.place("/b/0"), Place { line: 3, column: 5 });
        assert_eq!(tree.place("/b/1/deep/1/k").line, 4);
        assert_eq!(tree.key_place("", "b"), Place { line: 2, column: 1 });
        assert_eq!(tree.key_place("/b/1", "deep"), Place { line: 4, column: 5 });
        assert_eq!(tree.place("/b/7/none"), tree.place("/b"), "what is not there is where its parent is");
    }

    #[test]
    fn scalars_are_what_yaml_1_2_says() {
        let value = json(
            "a: no\nc: 1.50\nd: ~\ne: true\nf: \"5\"\ng: 9223372036854775808\nh: off\ni: 2026-01-31\nj: 10m\nk: 00Q5\n",
        );
        let expected = serde_json::json!({
            "a": "no", "c": 1.5, "d": null, "e": true, "f": "5", "g": 9_223_372_036_854_775_808_u64,
            "h": "off", "i": "2026-01-31", "j": "10m", "k": "00Q5"
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn anchors_and_merge_keys_are_followed() {
        let value = json("base: &b {x: 1}\nuse: *b\nmore: {<<: *b, y: 2}\n");
        assert_eq!(value, serde_json::json!({"base": {"x": 1}, "use": {"x": 1}, "more": {"x": 1, "y": 2}}));
    }

    #[test]
    fn what_is_wrong_with_the_syntax_is_said_with_its_place() {
        for (text, line) in [
            ("a: [1, 2\nb: 3\n", 2),
            ("a: 1\na: 2\n", 2),
            ("a: 'x\n", 1),
            ("a:\n\t- x\n", 2),
            ("a: *none\n", 1),
        ] {
            let error = parse(Path::new("t.yaml"), text).unwrap_err().to_string();
            assert!(error.starts_with("read template: t.yaml:"), "{error}");
            assert!(error.contains(&format!("t.yaml:{line}:")) || line == 1, "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        assert!(parse(Path::new("t.yaml"), " \n").is_err());
        assert!(parse(Path::new("t.yaml"), "a: 1\n---\nb: 2\n").is_err(), "two documents");
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let before = format!("*a{},", n - 1).repeat(10);
            text.push_str(&format!("a{n}: &a{n} [{before}]\n"));
        }
        assert!(parse(Path::new("t.yaml"), &text).is_err());
    }
}
