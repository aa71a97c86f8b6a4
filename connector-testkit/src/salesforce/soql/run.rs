//! Running a plan: which rows, in which order.

use std::cmp::Ordering;
use std::ops::Bound;

use super::super::field::Kind;
use super::super::org::Data;
use super::super::row::Row;
use super::super::table::Table;
use super::filter::key;
use super::plan::{Function, Plan, Relation, Target};

/// The rows of a query as they were when it ran.
#[derive(Debug)]
pub(in super::super) struct Found {
    pub(in super::super) rows: Vec<Row>,
    /// For each row one entry per relation of the plan.
    pub(in super::super) parents: Vec<Option<Row>>,
}

/// Runs a plan. Deleted rows are seen only by `queryAll`.
pub(in super::super) fn run(data: &Data, plan: &Plan, deleted_too: bool) -> Found {
    let mut rows = matching(data, plan, deleted_too);
    sort(data, plan, &mut rows);
    let rows: Vec<Row> =
        rows.into_iter().skip(plan.offset).take(plan.limit.unwrap_or(usize::MAX)).cloned().collect();
    let parents = rows
        .iter()
        .flat_map(|row| plan.relations.iter().map(|relation| parent(data, relation, row).cloned()))
        .collect();
    Found { rows, parents }
}

/// The JSON of one computed value over all rows of the query.
pub(in super::super) fn aggregate(
    data: &Data,
    plan: &Plan,
    found: &Found,
    function: Function,
    of: Target,
) -> String {
    let values = found.rows.iter().map(|row| value(data, plan, row, of)).filter(|value| *value != b"null");
    let best = match function {
        Function::Count => return values.count().to_string(),
        Function::Min => values.min_by(|a, b| key(of.kind, a).order(&key(of.kind, b))),
        Function::Max => values.max_by(|a, b| key(of.kind, a).order(&key(of.kind, b))),
    };
    best.map_or_else(|| "null".to_owned(), |value| String::from_utf8_lossy(value).into_owned())
}

fn matching<'a>(data: &'a Data, plan: &Plan, deleted_too: bool) -> Vec<&'a Row> {
    let Some(table) = data.table(&plan.object.name) else { return Vec::new() };
    let wanted = |row: &&'a Row| {
        (deleted_too || table.columns.is_deleted.is_none_or(|column| !row.is_true(column)))
            && plan.filter.as_ref().is_none_or(|test| test.passes(&|target| value(data, plan, row, target)))
    };
    if plan.between == (Bound::Unbounded, Bound::Unbounded) && !sorts_by_cursor(plan, table) {
        table.all_seen().filter(wanted).collect()
    } else {
        let (from, to) = plan.between;
        let mut rows = table.seen_between(from, to);
        rows.retain(wanted);
        rows
    }
}

/// Rows that come in the order of the cursor time are almost sorted already.
fn sorts_by_cursor(plan: &Plan, table: &Table) -> bool {
    table.columns.cursor.is_some()
        && plan
            .order
            .first()
            .is_some_and(|first| first.by.relation.is_none() && Some(first.by.column) == table.columns.cursor)
}

fn sort(data: &Data, plan: &Plan, rows: &mut [&Row]) {
    if plan.order.is_empty() {
        return;
    }
    rows.sort_by(|a, b| {
        for sort in &plan.order {
            let (left, right) = (value(data, plan, a, sort.by), value(data, plan, b, sort.by));
            let order = match (left == b"null", right == b"null") {
                (true, true) => Ordering::Equal,
                (true, false) if sort.nulls_last => Ordering::Greater,
                (true, false) => Ordering::Less,
                (false, true) if sort.nulls_last => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => {
                    let order = compare(sort.by, left, right);
                    if sort.descending { order.reverse() } else { order }
                }
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    });
}

fn compare(by: Target, left: &[u8], right: &[u8]) -> Ordering {
    match by.kind {
        // Ids and times are written so that their bytes sort as they do.
        Kind::Id | Kind::Date | Kind::Datetime => left.cmp(right),
        _ => key(by.kind, left).order(&key(by.kind, right)),
    }
}

fn value<'a>(data: &'a Data, plan: &Plan, row: &'a Row, target: Target) -> &'a [u8] {
    match target.relation.map(|relation| &plan.relations[relation]) {
        None => row.value(target.column),
        Some(relation) => parent(data, relation, row).map_or(b"null", |parent| parent.value(target.column)),
    }
}

fn parent<'a>(data: &'a Data, relation: &Relation, row: &Row) -> Option<&'a Row> {
    let table = data.table(&relation.parent.name)?;
    table.seen(table.slot(row.plain(relation.column))?)
}
