//! From names to columns: what a query means in this org, or why it means nothing.

use std::ops::Bound;
use std::sync::Arc;

use super::super::field::Kind;
use super::super::schema::{Access, Object};
use super::Refusal;
use super::filter::{self, Test};
use super::parser::{Condition, Item, Name, Query};

/// Where the rest of a message stands that the vendor ends its unknown names with.
const REFERENCE: &str = "Please reference your WSDL or the describe call for the appropriate names.";
/// The largest offset the vendor takes (SOQL reference, OFFSET).
const MAX_OFFSET: usize = 2000;

/// A query ready to run. Holds what it needs of the schema, so a schema change does not touch it.
#[derive(Debug)]
pub(in super::super) struct Plan {
    pub(in super::super) object: Arc<Object>,
    pub(in super::super) relations: Vec<Relation>,
    pub(in super::super) select: Select,
    pub(super) filter: Option<Test>,
    pub(super) order: Vec<Sort>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
    /// Bounds that the filter sets on the cursor column, in milliseconds.
    pub(super) between: (Bound<i64>, Bound<i64>),
}

/// A parent that the query looks at.
#[derive(Debug)]
pub(in super::super) struct Relation {
    /// Its name as the describe writes it.
    pub(in super::super) name: String,
    /// The column of the reference.
    pub(in super::super) column: usize,
    pub(in super::super) parent: Arc<Object>,
}

#[derive(Debug)]
pub(in super::super) enum Select {
    /// `COUNT()`: the number is `totalSize`, and there are no records.
    Count,
    /// One record of computed values, each with the name it goes by.
    Aggregates(Vec<(String, Function, Target)>),
    Rows(Vec<Projection>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Function {
    Count,
    Min,
    Max,
}

/// One entry of a rendered record.
#[derive(Debug)]
pub(in super::super) enum Projection {
    Field(usize),
    /// Fields of the parent, under the relationship's name.
    Parent {
        relation: usize,
        columns: Vec<usize>,
    },
}

/// A field of the object, or of one of its parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Target {
    pub(in super::super) relation: Option<usize>,
    pub(in super::super) column: usize,
    pub(in super::super) kind: Kind,
}

#[derive(Debug)]
pub(super) struct Sort {
    pub(super) by: Target,
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}

/// Looks up the names of `query`, whose text is `text`; `find` knows the objects.
pub(in super::super) fn bind(
    text: &str,
    query: &Query,
    find: &dyn Fn(&str) -> Option<Arc<Object>>,
) -> Result<Plan, Refusal> {
    let from = &query.from;
    let object = find(&from.text).ok_or_else(|| {
        let message = format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append \
             the '__c' after the entity name. {REFERENCE}",
            from.text
        );
        Refusal::at("INVALID_TYPE", text, from.at, &message)
    })?;
    admit(&object, query.filter.as_ref())?;
    let mut binder = Binder { text, object: &object, find, relations: Vec::new() };
    let select = binder.select(&query.select)?;
    let filter = match &query.filter {
        Some(condition) => Some(binder.test(condition)?),
        None => None,
    };
    let mut order = Vec::new();
    for sort in &query.order {
        let (by, field) = binder.target(&sort.field)?;
        if !field.sortable {
            let message = format!("field '{}' can not be sorted in a query call", sort.field.text);
            return Err(Refusal::malformed(text, sort.field.at, &message));
        }
        order.push(Sort { by, descending: sort.descending, nulls_last: sort.nulls_last });
    }
    let offset = query.offset.map_or(0, |(offset, _)| offset);
    if offset > MAX_OFFSET {
        let message = format!("Maximum SOQL offset allowed is {MAX_OFFSET}");
        return Err(Refusal::new("NUMBER_OUTSIDE_VALID_RANGE", message));
    }
    let relations = binder.relations;
    let between = object.columns().cursor.map_or((Bound::Unbounded, Bound::Unbounded), |cursor| {
        filter.as_ref().map_or((Bound::Unbounded, Bound::Unbounded), |filter| filter.bounds_on(cursor))
    });
    Ok(Plan { object, relations, select, filter, order, limit: query.limit, offset, between })
}

/// Refuses objects that cannot be queried at all, or not like this.
fn admit(object: &Object, filter: Option<&Condition>) -> Result<(), Refusal> {
    let name = &object.name;
    match object.access {
        Access::Open => Ok(()),
        Access::EventsOnly => Err(Refusal::new(
            "INVALID_TYPE_FOR_OPERATION",
            format!("entity type {name} does not support query"),
        )),
        Access::Forbidden => {
            Err(Refusal::new("INSUFFICIENT_ACCESS", format!("insufficient access rights on entity: {name}")))
        }
        Access::ByFilterOn(fields) if filter.is_some_and(|filter| names_one(filter, fields)) => Ok(()),
        Access::ByFilterOn(fields) => Err(Refusal::new(
            "MALFORMED_QUERY",
            format!(
                "Implementation restriction: {name} requires a filter by a single Id on {} using the equals \
                 operator or multiple Id's using the IN operator.",
                fields.join(" or ")
            ),
        )),
    }
}

fn names_one(condition: &Condition, fields: &[&str]) -> bool {
    let known = |name: &Name| fields.iter().any(|field| field.eq_ignore_ascii_case(&name.text));
    match condition {
        Condition::All(parts) => parts.iter().any(|part| names_one(part, fields)),
        Condition::Compare { field, operator: super::parser::Operator::Equal, .. } => known(field),
        Condition::In { field, negated: false, .. } => known(field),
        _ => false,
    }
}

/// What looking up a name needs.
pub(super) struct Binder<'a> {
    pub(super) text: &'a str,
    object: &'a Arc<Object>,
    find: &'a dyn Fn(&str) -> Option<Arc<Object>>,
    relations: Vec<Relation>,
}

/// What a condition may do with a field.
pub(super) struct Uses {
    /// The name as the describe writes it.
    pub(super) name: String,
    pub(super) described: String,
    pub(super) filterable: bool,
    sortable: bool,
}

impl Binder<'_> {
    /// The field a name stands for.
    pub(super) fn target(&mut self, name: &Name) -> Result<(Target, Uses), Refusal> {
        let (relation, object, field) = match name.text.split_once('.') {
            None => (None, Arc::clone(self.object), name.text.as_str()),
            // The vendor lets a query write the object's own name before a field.
            Some((own, field)) if own.eq_ignore_ascii_case(&self.object.name) && !field.contains('.') => {
                (None, Arc::clone(self.object), field)
            }
            Some((relationship, field)) => {
                let relation = self.relation(name, relationship)?;
                (Some(relation), Arc::clone(&self.relations[relation].parent), field)
            }
        };
        let Some(column) = object.column(field) else {
            let message = format!(
                "No such column '{field}' on entity '{}'. If you are attempting to use a custom field, be sure to \
                 append the '__c' after the custom field name. {REFERENCE}",
                object.name
            );
            return Err(Refusal::at("INVALID_FIELD", self.text, name.at, &message));
        };
        let found = &object.fields[column];
        let uses = Uses {
            name: found.name.clone(),
            described: found
                .describe
                .get("type")
                .and_then(|kind| kind.as_str())
                .unwrap_or("string")
                .to_owned(),
            filterable: found.filterable(),
            sortable: found.sortable(),
        };
        Ok((Target { relation, column, kind: found.kind }, uses))
    }

    fn relation(&mut self, name: &Name, relationship: &str) -> Result<usize, Refusal> {
        let known = self.relations.iter().position(|known| known.name.eq_ignore_ascii_case(relationship));
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.object.relationship(relationship).and_then(|(column, to)| {
            let written = self.object.fields[column].parent()?.0.to_owned();
            Some(Relation { name: written, column, parent: (self.find)(to)? })
        });
        let Some(relation) = found else {
            let message = format!(
                "Didn't understand relationship '{relationship}' in field path. If you are attempting to use a \
                 custom relationship, be sure to append the '__r' after the custom relationship name. {REFERENCE}"
            );
            return Err(Refusal::at("INVALID_FIELD", self.text, name.at, &message));
        };
        self.relations.push(relation);
        Ok(self.relations.len() - 1)
    }

    fn select(&mut self, items: &[Item]) -> Result<Select, Refusal> {
        if let [Item::Call { function, argument: None, alias: None }] = items
            && function.text.eq_ignore_ascii_case("count")
        {
            return Ok(Select::Count);
        }
        let aggregated = items.iter().any(|item| matches!(item, Item::Call { .. }));
        if aggregated { self.aggregates(items) } else { self.rows(items) }
    }

    fn aggregates(&mut self, items: &[Item]) -> Result<Select, Refusal> {
        let mut list = Vec::new();
        for item in items {
            let (function, argument, alias) = match item {
                Item::Field(name) => {
                    let message = format!("Field must be grouped or aggregated: {}", name.text);
                    return Err(Refusal::malformed(self.text, name.at, &message));
                }
                Item::Call { function, argument, alias } => (function, argument, alias),
            };
            let kind = match function.text.to_ascii_lowercase().as_str() {
                "count" => Function::Count,
                "min" => Function::Min,
                "max" => Function::Max,
                _ => {
                    let message = format!("unknown function: '{}'", function.text);
                    return Err(Refusal::malformed(self.text, function.at, &message));
                }
            };
            let Some(argument) = argument else {
                return Err(Refusal::malformed(self.text, function.at, "unexpected token: ')'"));
            };
            let name = alias.clone().unwrap_or_else(|| format!("expr{}", list.len()));
            list.push((name, kind, self.target(argument)?.0));
        }
        Ok(Select::Aggregates(list))
    }

    fn rows(&mut self, items: &[Item]) -> Result<Select, Refusal> {
        let mut seen = Vec::new();
        let mut projections: Vec<Projection> = Vec::new();
        for item in items {
            let Item::Field(name) = item else { continue };
            let (target, uses) = self.target(name)?;
            if seen.contains(&(target.relation, target.column)) {
                let message = format!("duplicate field selected: {}", uses.name);
                return Err(Refusal::at("INVALID_FIELD", self.text, name.at, &message));
            }
            seen.push((target.relation, target.column));
            let Some(relation) = target.relation else {
                projections.push(Projection::Field(target.column));
                continue;
            };
            let parent = projections.iter_mut().find_map(|projection| match projection {
                Projection::Parent { relation: known, columns } if *known == relation => Some(columns),
                _ => None,
            });
            match parent {
                Some(columns) => columns.push(target.column),
                None => projections.push(Projection::Parent { relation, columns: vec![target.column] }),
            }
        }
        Ok(Select::Rows(projections))
    }

    fn test(&mut self, condition: &Condition) -> Result<Test, Refusal> {
        let all = |binder: &mut Self, parts: &[Condition]| {
            parts.iter().map(|part| binder.test(part)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            Condition::All(parts) => Test::All(all(self, parts)?),
            Condition::Any(parts) => Test::Any(all(self, parts)?),
            Condition::Not(inner) => Test::Not(Box::new(self.test(inner)?)),
            Condition::Compare { field, operator, value } => filter::compare(self, field, *operator, value)?,
            Condition::In { field, negated, values } => filter::within(self, field, *negated, values)?,
        })
    }
}
