//! `Wide__c`: more fields than one address can name.

use crate::random::Random;

use super::super::builder::Wide;
use super::super::datetime;
use super::super::field::Field;
use super::super::row::RowBuilder;
use super::super::schema::Object;
use super::super::seed::{self, REMARKS};
use super::super::table::Table;

/// The object with its rows; none where the org was made without one.
pub(super) fn table(mut random: Random, wide: Wide, newest: i64) -> Option<Table> {
    if wide.fields == 0 {
        return None;
    }
    let mut fields = super::system_fields();
    fields.extend((0..wide.fields).map(field));
    let object = Object::new(["Wide__c", "Wide", "Wides"], "a0W", fields);
    let stamps = seed::timeline(&mut random, wide.rows, newest);
    Some(super::filled(object, wide.rows, |builder, number, _| {
        builder.boolean(false);
        builder.plain(&datetime::text(stamps[number].created));
        builder.plain(super::integration_user());
        builder.plain(&datetime::text(stamps[number].modified));
        builder.plain(super::integration_user());
        builder.plain(&datetime::text(stamps[number].modstamp));
        (0..wide.fields).for_each(|field| value(&mut random, builder, field));
    }))
}

/// Every fourth is text, and so is the last one.
fn field(number: usize) -> Field {
    let (name, label) = (format!("Field_{number:03}__c"), format!("Field {number}"));
    match number % 4 {
        0 | 3 => Field::new(&name, &label, "string").length(255),
        1 => Field::new(&name, &label, "double").number(18, 2),
        _ => Field::new(&name, &label, "boolean"),
    }
}

fn value(random: &mut Random, builder: &mut RowBuilder, number: usize) {
    match number % 4 {
        0 | 3 if random.percent(30) => builder.null(),
        0 | 3 => builder.text(random.pick(&REMARKS)),
        // Digits that no double keeps.
        1 => builder.json(
            format!("{}.{}0", 9_007_199_254_740_993 + random.below(1_000), random.below(10)).as_bytes(),
        ),
        _ => builder.boolean(random.percent(50)),
    }
}
