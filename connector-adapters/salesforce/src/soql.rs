//! SOQL, put together so that no value can become syntax.

use std::fmt::{self, Write as _};

use connector_sdk::{Error, Result, Timestamp};

/// A query of one object, its conditions joined by AND.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    select: String,
    object: String,
    conditions: Vec<String>,
    order: Vec<String>,
    limit: Option<u32>,
}

impl Query {
    /// Selects these fields of the object.
    pub(crate) fn select<'a>(fields: impl IntoIterator<Item = &'a str>, object: &str) -> Result<Self> {
        let mut select = String::new();
        for field in fields {
            if !select.is_empty() {
                select.push_str(", ");
            }
            select.push_str(identifier(field)?);
        }
        Ok(Self::new(select, identifier(object)?))
    }

    /// Counts the rows of the object.
    pub(crate) fn count(object: &str) -> Result<Self> {
        Ok(Self::new("COUNT()".to_owned(), identifier(object)?))
    }

    fn new(select: String, object: &str) -> Self {
        Self { select, object: object.to_owned(), conditions: Vec::new(), order: Vec::new(), limit: None }
    }

    /// Adds a condition, if there is one.
    pub(crate) fn filter(mut self, condition: impl Into<Option<Condition>>) -> Self {
        self.conditions.extend(condition.into().map(|condition| condition.0));
        self
    }

    /// Orders by this field, ascending, after those given before.
    pub(crate) fn order_by(mut self, field: &str) -> Result<Self> {
        self.order.push(format!("{} ASC", identifier(field)?));
        Ok(self)
    }

    /// At most so many rows.
    pub(crate) fn limit(mut self, rows: u32) -> Self {
        self.limit = Some(rows);
        self
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SELECT {} FROM {}", self.select, self.object)?;
        for (index, condition) in self.conditions.iter().enumerate() {
            f.write_str(if index == 0 { " WHERE " } else { " AND " })?;
            f.write_str(condition)?;
        }
        if !self.order.is_empty() {
            write!(f, " ORDER BY {}", self.order.join(", "))?;
        }
        match self.limit {
            Some(rows) => write!(f, " LIMIT {rows}"),
            None => Ok(()),
        }
    }
}

/// A condition, complete in itself.
#[derive(Debug, Clone)]
pub(crate) struct Condition(String);

impl Condition {
    /// `field >= time`.
    pub(crate) fn at_or_after(field: &str, time: Timestamp) -> Result<Self> {
        Ok(Self(format!("{} >= {time}", identifier(field)?)))
    }

    /// `field < time`.
    pub(crate) fn before(field: &str, time: Timestamp) -> Result<Self> {
        Ok(Self(format!("{} < {time}", identifier(field)?)))
    }

    /// `field > 'text'`.
    pub(crate) fn greater(field: &str, value: &str) -> Result<Self> {
        Ok(Self(format!("{} > {}", identifier(field)?, text(value))))
    }

    /// `field <= 'text'`.
    pub(crate) fn up_to(field: &str, value: &str) -> Result<Self> {
        Ok(Self(format!("{} <= {}", identifier(field)?, text(value))))
    }

    /// `field IN ('text', …)`.
    pub(crate) fn one_of<'a>(field: &str, values: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let values: Vec<String> = values.into_iter().map(text).collect();
        Ok(Self(format!("{} IN ({})", identifier(field)?, values.join(","))))
    }

    /// What comes up to a place in the order of a time and a key, that place included.
    pub(crate) fn through(cursor: &str, time: Timestamp, key: &str, value: &str) -> Result<Self> {
        let (cursor, key) = (identifier(cursor)?, identifier(key)?);
        Ok(Self(format!("({cursor} < {time} OR ({cursor} = {time} AND {key} <= {}))", text(value))))
    }

    /// What comes after a place in the order of a time and a key: equal times are told apart by the key.
    pub(crate) fn after(cursor: &str, time: Timestamp, key: &str, value: &str) -> Result<Self> {
        let (cursor, key) = (identifier(cursor)?, identifier(key)?);
        Ok(Self(format!("(({cursor} = {time} AND {key} > {}) OR {cursor} > {time})", text(value))))
    }
}

/// A name of an object or field, checked to be nothing else.
fn identifier(name: &str) -> Result<&str> {
    let legal = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if name.split('.').all(legal) {
        return Ok(name);
    }
    Err(Error::config("query", format!("`{}` is no name of an object or field", name.escape_debug())))
}

/// A string literal (SOQL reference, "Quoted String Escape Sequences").
pub(crate) fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('\'');
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            other if other.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_769_860_800_250);

    #[test]
    fn a_query_is_written_as_the_vendor_reads_it() {
        let query = Query::select(["Id", "Name"], "Contact")
            .unwrap()
            .filter(Condition::at_or_after("SystemModstamp", T).unwrap())
            .filter(Condition::before("SystemModstamp", T).unwrap())
            .filter(None)
            .order_by("SystemModstamp")
            .unwrap()
            .order_by("Id")
            .unwrap()
            .limit(1);
        assert_eq!(
            query.to_string(),
            "SELECT Id, Name FROM Contact WHERE SystemModstamp >= 2026-01-31T12:00:00.250Z \
             AND SystemModstamp < 2026-01-31T12:00:00.250Z ORDER BY SystemModstamp ASC, Id ASC LIMIT 1"
        );
        assert_eq!(Query::count("A__c").unwrap().to_string(), "SELECT COUNT() FROM A__c");
    }

    #[test]
    fn d_07_what_follows_a_place_includes_the_rest_of_its_tie() {
        let condition = Condition::after("SystemModstamp", T, "Id", "003A").unwrap();
        assert_eq!(
            condition.0,
            "((SystemModstamp = 2026-01-31T12:00:00.250Z AND Id > '003A') \
             OR SystemModstamp > 2026-01-31T12:00:00.250Z)"
        );
    }

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(text(r"O'Re\illy"), r"'O\'Re\\illy'");
        assert_eq!(text("a\"b\nc\rd\te\u{8}f\u{c}g\u{1}é"), "'a\\\"b\\nc\\rd\\te\\bf\\fg\\u0001é'");
    }

    #[test]
    fn a_name_that_is_more_than_a_name_is_refused() {
        for bad in ["", "Id FROM User--", "a;b", "1a", "a..b", "Näme", "_x", "a.", "Id,Name"] {
            assert!(Query::select([bad], "Contact").is_err(), "{bad}");
            assert!(Query::count(bad).is_err(), "{bad}");
        }
        for good in ["Id", "Owner.Name", "ns__Field__c", "A1"] {
            assert!(Query::select([good], "Contact").is_ok(), "{good}");
        }
    }
}
