//! Values that are bound to names in a query, so that none can become syntax.

use std::{collections::BTreeMap, fmt};

use connector_sdk::{Error, Result, Timestamp};
use serde_json::{Map, Number, Value};

use crate::soql;

/// One value, as SOQL writes it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Param {
    /// A string.
    Text(String),
    /// A number.
    Number(Number),
    /// True or false.
    Boolean(bool),
    /// Null.
    Null,
    /// A day, `2026-01-31`.
    Date(String),
    /// An instant.
    Datetime(Timestamp),
    /// A list, for `IN`.
    List(Vec<Param>),
}

/// The values of a query by their names.
///
/// ```
/// use connector_salesforce::{Param, Params};
/// let params = Params::new()
///     .set("name", "O'Brien")
///     .set("since", Param::Date("2026-01-31".to_owned()))
///     .set("ids", vec!["0035e00000000011AA", "0035e00000000021AA"]);
/// let soql = params.bind("SELECT Id FROM Contact WHERE LastName = :name AND Birthdate > :since AND Id IN :ids")?;
/// assert_eq!(
///     soql,
///     r"SELECT Id FROM Contact WHERE LastName = 'O\'Brien' AND Birthdate > 2026-01-31 AND Id IN ('0035e00000000011AA','0035e00000000021AA')"
/// );
/// # Ok::<(), connector_sdk::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Params(BTreeMap<String, Param>);

/// Values are personal data: their names are enough.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Params").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

impl Params {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the value that `:name` stands for.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<Param>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The values of a JSON object. A JSON text is a string; a day is `{"date": "2026-01-31"}`, an instant
    /// `{"datetime": "2026-01-31T12:00:00Z"}`.
    ///
    /// # Errors
    /// Config when a value is none of these, naming it.
    pub fn from_json(values: &Map<String, Value>) -> Result<Self> {
        let read = |(name, value): (&String, &Value)| {
            let value = Param::from_json(value).map_err(|error| error.with_context("param", name))?;
            Ok((name.clone(), value))
        };
        values.iter().map(read).collect::<Result<_>>().map(Self)
    }

    /// The query with every `:name` replaced by its value. What stands in quotes stays as it is.
    ///
    /// # Errors
    /// Config when a name has no value, a value has no name in the query, a list is empty, or a quote does not end.
    pub fn bind(&self, soql: &str) -> Result<String> {
        let mut out = String::with_capacity(soql.len() + 64);
        let mut used = std::collections::BTreeSet::new();
        let mut rest = soql;
        while let Some(at) = rest.find(['\'', ':']) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            if let Some(inner) = from.strip_prefix('\'') {
                let end = 2 + end_of_text(inner)?;
                out.push_str(&from[..end]);
                rest = &from[end..];
                continue;
            }
            let length = 1 + name_length(&from[1..]);
            if length == 1 {
                // A time, or a count of days.
                out.push(':');
                rest = &from[1..];
                continue;
            }
            let name = &from[1..length];
            let (name, value) = self.0.get_key_value(name).ok_or_else(|| {
                Error::config("query", format!("`:{name}` stands in the query and has no value"))
            })?;
            value.write(&mut out).map_err(|error| error.with_context("param", name))?;
            used.insert(name.as_str());
            rest = &from[length..];
        }
        out.push_str(rest);
        match self.0.keys().find(|name| !used.contains(name.as_str())) {
            None => Ok(out),
            Some(name) => {
                let name = name.escape_debug();
                Err(Error::config("query", format!("`{name}` has a value and does not stand in the query")))
            }
        }
    }
}

/// Bytes up to the quote that ends a string.
fn end_of_text(text: &str) -> Result<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'\'' => return Ok(at),
            _ => {}
        }
    }
    Err(Error::config("query", "a quote in the query does not end"))
}

/// Bytes of the name that a text begins with.
fn name_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return 0;
    }
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

impl Param {
    fn from_json(value: &Value) -> Result<Self> {
        let wrong = |what: &str| Error::config("query", what.to_owned());
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Boolean(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect::<Result<_>>()?),
            Value::Object(fields) => {
                let only =
                    |name: &str| fields.get(name).filter(|_| fields.len() == 1).and_then(Value::as_str);
                match (only("date"), only("datetime")) {
                    (Some(day), _) => Self::Date(day.to_owned()),
                    (_, Some(time)) => Self::Datetime(
                        time.parse().map_err(|_| wrong("this is no instant such as 2026-01-31T12:00:00Z"))?,
                    ),
                    _ => {
                        return Err(wrong(
                            "a value is a string, number, boolean, null, a list of these, {\"date\": …} or \
                             {\"datetime\": …}",
                        ));
                    }
                }
            }
        })
    }

    fn write(&self, out: &mut String) -> Result<()> {
        match self {
            Self::Text(text) => out.push_str(&soql::text(text)),
            // SOQL reads no exponents.
            Self::Number(number) if number.is_f64() => {
                out.push_str(&number.as_f64().map(|number| number.to_string()).unwrap_or_default());
            }
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Null => out.push_str("null"),
            Self::Date(day) => {
                let is_day = day.len() == 10 && format!("{day}T00:00:00Z").parse::<Timestamp>().is_ok();
                if !is_day {
                    return Err(Error::config("query", "this is no day such as 2026-01-31"));
                }
                out.push_str(day);
            }
            Self::Datetime(time) => out.push_str(&time.to_string()),
            Self::List(items) if items.is_empty() => {
                let message = "the list is empty, and `IN` needs a value: leave the condition out";
                return Err(Error::config("query", message));
            }
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    out.push(if index == 0 { '(' } else { ',' });
                    if matches!(item, Self::List(_)) {
                        return Err(Error::config("query", "a list holds no lists"));
                    }
                    item.write(out)?;
                }
                out.push(')');
            }
        }
        Ok(())
    }
}

impl From<&str> for Param {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Param {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Param {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

impl From<i32> for Param {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Param {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

/// A number that is none (NaN, infinity) is null, as in JSON.
impl From<f64> for Param {
    fn from(number: f64) -> Self {
        Number::from_f64(number).map_or(Self::Null, Self::Number)
    }
}

impl From<Timestamp> for Param {
    fn from(time: Timestamp) -> Self {
        Self::Datetime(time)
    }
}

impl<T: Into<Self>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Param {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_stands_for_its_name_and_leaves_no_quotes() {
        let params = Params::new()
            .set("a", "x' OR Name != '")
            .set("n", 7)
            .set("f", 1e30)
            .set("yes", true)
            .set("none", None::<&str>)
            .set("t", Timestamp::from_millis(0))
            .set("l", vec![1, 2]);
        let soql = "WHERE A=:a AND N>:n AND F<:f AND Y=:yes AND Z!=:none AND T>=:t AND L IN :l";
        assert_eq!(
            params.bind(soql).unwrap(),
            "WHERE A='x\\' OR Name != \\'' AND N>7 AND F<1000000000000000000000000000000 AND Y=true AND Z!=null \
             AND T>=1970-01-01T00:00:00.000Z AND L IN (1,2)"
        );
    }

    #[test]
    fn what_stands_in_quotes_and_what_is_a_time_stays_as_it_is() {
        let params = Params::new().set("a", "b");
        let soql = r"WHERE X = ':a \' :a' AND T > 2026-01-31T12:00:00Z AND D = LAST_N_DAYS:30 AND Y = :a";
        let bound = params.bind(soql).unwrap();
        assert_eq!(bound, soql.replace("Y = :a", "Y = 'b'"));
    }

    #[test]
    fn a_value_that_names_another_is_not_looked_into() {
        let params = Params::new().set("a", ":b").set("b", ":a");
        assert_eq!(params.bind(":a :b").unwrap(), "':b' ':a'");
    }

    #[test]
    fn names_without_a_value_and_values_without_a_name_are_refused() {
        let text = |error: Error| error.to_string();
        let params = Params::new().set("name", "x");
        assert!(text(params.bind("WHERE A = :nam").unwrap_err()).contains("`:nam`"));
        assert!(text(params.bind("WHERE A = ':name'").unwrap_err()).contains("`name`"));
        assert!(text(params.bind("WHERE A = 'x AND B = :name").unwrap_err()).contains("does not end"));
        let empty = Params::new().set("ids", Vec::<String>::new());
        assert!(text(empty.bind("WHERE Id IN :ids").unwrap_err()).contains("param: ids"));
        for day in ["2026-13-01", "2026-1-1", "2026-01-01 OR", "today"] {
            assert!(Params::new().set("d", Param::Date(day.to_owned())).bind("D > :d").is_err(), "{day}");
        }
    }

    #[test]
    fn json_says_which_text_is_a_day_and_which_is_an_instant() {
        let values = json!({
            "s": "2026-01-31", "d": {"date": "2026-01-31"}, "t": {"datetime": "2026-01-31T12:00:00Z"},
            "l": [1, "x", null],
        });
        let params = Params::from_json(values.as_object().unwrap()).unwrap();
        assert_eq!(
            params.bind(":s :d :t :l").unwrap(),
            "'2026-01-31' 2026-01-31 2026-01-31T12:00:00.000Z (1,'x',null)"
        );
        for bad in [json!({"x": {"date": 1}}), json!({"x": {}}), json!({"x": {"datetime": "soon"}})] {
            assert!(
                Params::from_json(bad.as_object().unwrap()).unwrap_err().to_string().contains("param: x")
            );
        }
    }
}
