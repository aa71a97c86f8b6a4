//! What a Bulk query may not ask for, and the columns of its CSV.

use super::super::field::Kind;
use super::super::schema::Object;
use super::Refusal;
use super::lexer::{Token, tokens};
use super::parser::{Item, Query};
use super::plan::{Plan, Select};

/// One column of a CSV result.
#[derive(Debug)]
pub(in super::super) struct Column {
    /// As the header names it: `Name`, `Account.Name`.
    pub(in super::super) name: String,
    /// The plan's relation it is read through.
    pub(in super::super) relation: Option<usize>,
    pub(in super::super) column: usize,
    pub(in super::super) kind: Kind,
    /// Described as a number without decimal places.
    pub(in super::super) whole: bool,
}

/// Refuses what Bulk API 2.0 does not support (guide, "Create a Query Job"), by its words: before the query is
/// read, since REST takes some of it. Of the messages only the one about child relationships was seen
/// (Data Loader); the others are our own.
pub(in super::super) fn refuse_in_bulk(text: &str) -> Result<(), Refusal> {
    let tokens = tokens(text)?;
    let word = |at: usize, word: &str| matches!(tokens.get(at), Some((Token::Word(text), _)) if text.eq_ignore_ascii_case(word));
    let unsupported = |what: &str| {
        Err(Refusal::new("FUNCTIONALITY_NOT_ENABLED", format!("{what} not supported in Bulk Query")))
    };
    let mut selecting = true;
    for (at, (token, _)) in tokens.iter().enumerate() {
        match token {
            Token::Sign("(") if selecting && word(at + 1, "SELECT") => {
                return unsupported("Aggregate Relationships");
            }
            Token::Sign("(") if selecting && at > 0 => return unsupported("Functions in SELECT are"),
            Token::Word(_) if word(at, "TYPEOF") => return unsupported("TYPEOF is"),
            Token::Word(_) if word(at, "GROUP") && word(at + 1, "BY") => return unsupported("GROUP BY is"),
            Token::Word(_)
                if word(at, "OFFSET") && matches!(tokens.get(at + 1), Some((Token::Literal(_), _))) =>
            {
                return unsupported("OFFSET is");
            }
            Token::Word(_) if word(at, "FROM") => selecting = false,
            _ => {}
        }
    }
    Ok(())
}

/// The columns in the order of the query, as the vendor keeps it since v50. Refuses compound fields.
pub(in super::super) fn columns(query: &Query, plan: &Plan) -> Result<Vec<Column>, Refusal> {
    let mut columns = Vec::new();
    for item in &query.select {
        let Item::Field(name) = item else { continue };
        let (relation, field) = match name.text.split_once('.') {
            Some((own, field)) if !own.eq_ignore_ascii_case(&plan.object.name) => {
                let relation =
                    plan.relations.iter().position(|relation| relation.name.eq_ignore_ascii_case(own));
                (relation, field)
            }
            Some((_, field)) => (None, field),
            None => (None, name.text.as_str()),
        };
        let (before, object): (String, &Object) = match relation.map(|relation| &plan.relations[relation]) {
            Some(relation) => (format!("{}.", relation.name), &relation.parent),
            None => (String::new(), &plan.object),
        };
        // The plan has found all of them already.
        let Some(column) = object.column(field) else { continue };
        let field = &object.fields[column];
        if field.kind == Kind::Compound {
            return Err(Refusal::new(
                "FUNCTIONALITY_NOT_ENABLED",
                "Selecting compound data not supported in Bulk Query",
            ));
        }
        let described = |key: &str| field.describe.get(key);
        let whole = match described("type").and_then(|kind| kind.as_str()) {
            Some("int" | "long") => true,
            Some("double" | "currency" | "percent") => {
                described("scale").and_then(serde_json::Value::as_u64) == Some(0)
            }
            _ => false,
        };
        let name = format!("{before}{}", field.name);
        columns.push(Column { name, relation, column, kind: field.kind, whole });
    }
    Ok(columns)
}

impl Plan {
    /// Whether the vendor may cut the query into chunks of primary keys: not with `ORDER BY` or `LIMIT`.
    pub(in super::super) fn may_be_chunked(&self) -> bool {
        self.order.is_empty() && self.limit.is_none()
    }

    /// Whether it asks for rows at all.
    pub(in super::super) fn asks_for_rows(&self) -> bool {
        matches!(self.select, Select::Rows(_))
    }
}
