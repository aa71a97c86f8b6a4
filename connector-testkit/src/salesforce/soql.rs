//! The query language: enough of SOQL to be wrong about it in the same ways as the vendor.
//!
//! `SELECT` fields, fields of a parent (`Account.Name`), `COUNT()`, `COUNT`, `MIN`, `MAX`; `FROM` one object;
//! `WHERE` with `AND`, `OR`, `NOT`, parentheses, comparisons, `LIKE`, `IN`, `NOT IN`; `ORDER BY`; `LIMIT`;
//! `OFFSET`. As in the real thing `AND` and `OR` do not mix without parentheses, text compares without
//! regard to case, and nulls sort first. No subqueries, no `GROUP BY`, no date functions.

mod bulk;
mod filter;
mod lexer;
mod parser;
mod plan;
mod run;
#[cfg(test)]
mod tests;

pub(super) use bulk::{Column, columns, refuse_in_bulk};
pub(super) use parser::parse;
pub(super) use plan::{Plan, Projection, Select, bind};
pub(super) use run::{Found, aggregate, run};

/// Why a query is refused: goes to the client as one entry of the error array, with status 400 or 403.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// With the place in the query, drawn as the vendor draws it: the text around, a caret below, and row and
    /// column counted from 1 (shape of the recorded INVALID_TYPE answer).
    pub(super) fn at(code: &'static str, query: &str, offset: usize, message: &str) -> Self {
        let offset = query.floor_char_boundary(offset);
        let row = query[..offset].matches('\n').count() + 1;
        let line_start = query[..offset].rfind('\n').map_or(0, |at| at + 1);
        let column = query[line_start..offset].chars().count() + 1;
        let from = query.floor_char_boundary(line_start.max(offset.saturating_sub(40)));
        let line_end = query[offset..].find('\n').map_or(query.len(), |at| offset + at);
        let to = query.ceil_char_boundary(line_end.min(offset + 40));
        let indent = query[from..offset].chars().count();
        Self::new(
            code,
            format!("\n{}\n{:indent$}^\nERROR at Row:{row}:Column:{column}\n{message}", &query[from..to], ""),
        )
    }

    pub(super) fn malformed(query: &str, offset: usize, message: &str) -> Self {
        Self::at("MALFORMED_QUERY", query, offset, message)
    }
}
