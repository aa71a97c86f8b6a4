//! Conditions: made from literals that fit their field, tested against the JSON of a row's values.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Bound;

use super::super::datetime;
use super::super::field::Kind;
use super::super::id;
use super::Refusal;
use super::lexer::{ANY, ONE};
use super::parser::{Literal, Name, Operator};
use super::plan::{Binder, Target, Uses};

#[derive(Debug)]
pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare {
        field: Target,
        operator: Operator,
        operand: Key,
    },
    /// `pattern` in small letters, wildcards as the lexer marks them.
    Like {
        field: Target,
        pattern: Vec<char>,
    },
    In {
        field: Target,
        negated: bool,
        operands: Vec<Key>,
    },
}

/// A value in the form in which values of its field compare.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Key {
    Null,
    Boolean(bool),
    Number(f64),
    /// Text in small letters; ids, dates and date-times as written, which sort in their own order.
    Text(String),
}

impl Key {
    /// Nulls before everything else.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (a, b) => (*a != Self::Null).cmp(&(*b != Self::Null)),
        }
    }
}

/// A row's value as it compares.
pub(super) fn key(kind: Kind, json: &[u8]) -> Key {
    if json == b"null" {
        return Key::Null;
    }
    match kind {
        Kind::Boolean => Key::Boolean(json == b"true"),
        Kind::Number => {
            let number = std::str::from_utf8(json).ok().and_then(|text| text.parse().ok());
            number.map_or(Key::Null, Key::Number)
        }
        Kind::Id | Kind::Date | Kind::Datetime => Key::Text(text_of(json).into_owned()),
        Kind::Text | Kind::Compound => Key::Text(text_of(json).to_lowercase()),
    }
}

fn equal(kind: Kind, json: &[u8], operand: &Key) -> bool {
    match operand {
        Key::Null => json == b"null",
        operand => order(kind, json, operand) == Some(Ordering::Equal),
    }
}

/// How a row's value stands to an operand; none where one of them is null.
fn order(kind: Kind, json: &[u8], operand: &Key) -> Option<Ordering> {
    if json == b"null" || *operand == Key::Null {
        return None;
    }
    match (kind, operand) {
        (Kind::Id | Kind::Date | Kind::Datetime, Key::Text(operand)) => {
            Some(text_of(json).as_ref().cmp(operand))
        }
        _ => Some(key(kind, json).order(operand)),
    }
}

/// What a JSON text says.
pub(super) fn text_of(json: &[u8]) -> Cow<'_, str> {
    match json {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => String::from_utf8_lossy(inner),
        _ => Cow::Owned(serde_json::from_slice(json).unwrap_or_default()),
    }
}

/// Makes a comparison.
pub(super) fn compare(
    binder: &mut Binder<'_>,
    name: &Name,
    operator: Operator,
    value: &Literal,
) -> Result<Test, Refusal> {
    let (field, uses) = filterable(binder, name)?;
    let wrong_operator = match operator {
        Operator::Like => field.kind != Kind::Text,
        Operator::Equal | Operator::NotEqual => false,
        _ => matches!(field.kind, Kind::Boolean | Kind::Compound),
    };
    if wrong_operator {
        let message = format!("invalid operator on {} field", uses.described);
        return Err(Refusal::at("INVALID_FIELD", binder.text, name.at, &message));
    }
    if operator != Operator::Like {
        let operand = operand(binder, name, field, &uses, value)?;
        return Ok(Test::Compare { field, operator, operand });
    }
    match value {
        Literal::Text { pattern, .. } => {
            Ok(Test::Like { field, pattern: pattern.to_lowercase().chars().collect() })
        }
        _ => Err(wrong_literal(binder, name, field, &uses)),
    }
}

/// Makes a membership test.
pub(super) fn within(
    binder: &mut Binder<'_>,
    name: &Name,
    negated: bool,
    values: &[Literal],
) -> Result<Test, Refusal> {
    let (field, uses) = filterable(binder, name)?;
    let operands =
        values.iter().map(|value| operand(binder, name, field, &uses, value)).collect::<Result<_, _>>()?;
    Ok(Test::In { field, negated, operands })
}

fn filterable(binder: &mut Binder<'_>, name: &Name) -> Result<(Target, Uses), Refusal> {
    let (field, uses) = binder.target(name)?;
    if uses.filterable {
        return Ok((field, uses));
    }
    let message = format!("field '{}' can not be filtered in a query call", uses.name);
    Err(Refusal::at("INVALID_FIELD", binder.text, name.at, &message))
}

fn operand(
    binder: &Binder<'_>,
    name: &Name,
    field: Target,
    uses: &Uses,
    value: &Literal,
) -> Result<Key, Refusal> {
    let fits = match (field.kind, value) {
        (_, Literal::Null) => Some(Key::Null),
        (Kind::Boolean, Literal::Boolean(value)) => Some(Key::Boolean(*value)),
        (Kind::Number, Literal::Bare(text)) => text.parse().ok().map(Key::Number),
        (Kind::Datetime, Literal::Bare(text)) => {
            datetime::parse(text).map(|at| Key::Text(datetime::text(at)))
        }
        (Kind::Date, Literal::Bare(text)) => datetime::is_date(text).then(|| Key::Text(text.clone())),
        (Kind::Text, Literal::Text { value, .. }) => Some(Key::Text(value.to_lowercase())),
        (Kind::Id, Literal::Text { value, .. }) => {
            let id = id::full_length(value).ok_or_else(|| {
                Refusal::at(
                    "INVALID_QUERY_FILTER_OPERATOR",
                    binder.text,
                    name.at,
                    &format!("invalid ID field: {value}"),
                )
            })?;
            Some(Key::Text(id))
        }
        _ => None,
    };
    fits.ok_or_else(|| wrong_literal(binder, name, field, uses))
}

fn wrong_literal(binder: &Binder<'_>, name: &Name, field: Target, uses: &Uses) -> Refusal {
    let (kind, quotes) = match field.kind {
        Kind::Boolean => ("boolean", "should not be enclosed in quotes"),
        Kind::Number => ("double", "should not be enclosed in quotes"),
        Kind::Date => ("date", "should not be enclosed in quotes"),
        Kind::Datetime => ("dateTime", "should not be enclosed in quotes"),
        Kind::Id | Kind::Text | Kind::Compound => ("string", "should be enclosed in quotes"),
    };
    let message =
        format!("value of filter criterion for field '{}' must be of type {kind} and {quotes}", uses.name);
    Refusal::at("INVALID_FIELD", binder.text, name.at, &message)
}

impl Test {
    /// Whether a row passes; `value` gives the JSON of its fields.
    pub(super) fn passes<'a>(&self, value: &impl Fn(Target) -> &'a [u8]) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.passes(value)),
            Self::Any(parts) => parts.iter().any(|part| part.passes(value)),
            Self::Not(inner) => !inner.passes(value),
            Self::Compare { field, operator: Operator::Equal, operand } => {
                equal(field.kind, value(*field), operand)
            }
            Self::Compare { field, operator: Operator::NotEqual, operand } => {
                !equal(field.kind, value(*field), operand)
            }
            Self::Compare { field, operator, operand } => {
                let Some(order) = order(field.kind, value(*field), operand) else { return false };
                match operator {
                    Operator::Less => order.is_lt(),
                    Operator::LessOrEqual => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    Operator::GreaterOrEqual => order.is_ge(),
                    Operator::Equal | Operator::NotEqual | Operator::Like => false,
                }
            }
            Self::Like { field, pattern } => match key(field.kind, value(*field)) {
                Key::Text(text) => like(&text.chars().collect::<Vec<_>>(), pattern),
                _ => false,
            },
            Self::In { field, negated, operands } => {
                operands.iter().any(|operand| equal(field.kind, value(*field), operand)) != *negated
            }
        }
    }

    /// The bounds that every passing row keeps on this column of the object itself, in milliseconds.
    pub(super) fn bounds_on(&self, column: usize) -> (Bound<i64>, Bound<i64>) {
        match self {
            Self::All(parts) => parts.iter().map(|part| part.bounds_on(column)).fold(
                (Bound::Unbounded, Bound::Unbounded),
                |(low, high), (lower, higher)| {
                    (tighter(low, lower, i64::max), tighter(high, higher, i64::min))
                },
            ),
            Self::Compare {
                field: Target { relation: None, column: own, kind: Kind::Datetime },
                operator,
                operand,
            } if *own == column => {
                let at = match operand {
                    Key::Text(text) => datetime::parse(text),
                    _ => None,
                };
                match (operator, at) {
                    (Operator::Equal, Some(at)) => (Bound::Included(at), Bound::Included(at)),
                    (Operator::Less, Some(at)) => (Bound::Unbounded, Bound::Excluded(at)),
                    (Operator::LessOrEqual, Some(at)) => (Bound::Unbounded, Bound::Included(at)),
                    (Operator::Greater, Some(at)) => (Bound::Excluded(at), Bound::Unbounded),
                    (Operator::GreaterOrEqual, Some(at)) => (Bound::Included(at), Bound::Unbounded),
                    _ => (Bound::Unbounded, Bound::Unbounded),
                }
            }
            _ => (Bound::Unbounded, Bound::Unbounded),
        }
    }
}

/// The tighter of two bounds, where `pick` gives the tighter of two times. At the same time an open end is
/// the tighter one; being too loose there only costs looking at a few rows more, since the test is run as well.
fn tighter(a: Bound<i64>, b: Bound<i64>, pick: fn(i64, i64) -> i64) -> Bound<i64> {
    match (a, b) {
        (Bound::Unbounded, other) | (other, Bound::Unbounded) => other,
        (Bound::Included(x) | Bound::Excluded(x), Bound::Included(y) | Bound::Excluded(y)) => {
            if pick(x, y) == x { a } else { b }
        }
    }
}

/// Matches a pattern without backtracking over more than the last `%`.
fn like(text: &[char], pattern: &[char]) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(next) {
            Some(&ANY) => {
                star = Some((next, at));
                next += 1;
            }
            Some(&wanted) if wanted == ONE || wanted == text[at] => {
                at += 1;
                next += 1;
            }
            _ => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    at = *from;
                    next = *after + 1;
                }
                None => return false,
            },
        }
    }
    pattern[next..].iter().all(|rest| *rest == ANY)
}
