//! The objects of the org, and the rows they start with.

mod account;
mod contact;
mod others;
mod wide;

use crate::random::Random;

use super::builder::Settings;
use super::field::Field;
use super::org::Data;
use super::row::RowBuilder;
use super::schema::Object;
use super::table::Table;

/// Rows of `User`; the first one is the integration user.
const USERS: u32 = 12;

/// The user that every session belongs to: the first row of `User`.
pub(super) fn integration_user() -> &'static str {
    "0055e0000000000AAA"
}

/// All objects, and rows drawn from the settings' seed that end at `newest`.
pub(super) fn all(settings: &Settings, newest: i64) -> Data {
    let mut data = Data::default();
    // Each object draws from its own sequence, so that more accounts do not change the contacts.
    let random = |object: u64| Random::new(settings.seed.wrapping_mul(31).wrapping_add(object));
    data.add(others::users(random(1), newest));
    data.add(account::table(random(2), settings.accounts, newest));
    let contacts = contact::Volume {
        live: settings.contacts,
        deleted: settings.deleted_contacts,
        accounts: u32::try_from(settings.accounts).unwrap_or(u32::MAX),
    };
    data.add(contact::table(random(3), contacts, newest));
    for table in others::small(random(4), newest) {
        data.add(table);
    }
    if let Some(table) = wide::table(random(5), settings.wide, newest) {
        data.add(table);
    }
    data
}

/// The fields of an object that has nothing but what the org writes itself.
pub(super) fn system_fields() -> Vec<Field> {
    let mut fields = vec![
        Field::new("Id", "Record ID", "id").system(),
        Field::new("IsDeleted", "Deleted", "boolean").system(),
    ];
    fields.extend(audit_fields());
    fields
}

/// Owner and audit fields, in the order in which seeded rows end.
fn owned_fields() -> Vec<Field> {
    let owner =
        Field::new("OwnerId", "Owner ID", "reference").reference("User", "Owner").required().defaulted();
    std::iter::once(owner).chain(audit_fields()).collect()
}

fn audit_fields() -> Vec<Field> {
    let user = |name: &str, label: &str, relationship: &str| {
        Field::new(name, label, "reference").reference("User", relationship).system()
    };
    vec![
        Field::new("CreatedDate", "Created Date", "datetime").system(),
        user("CreatedById", "Created By ID", "CreatedBy"),
        Field::new("LastModifiedDate", "Last Modified Date", "datetime").system(),
        user("LastModifiedById", "Last Modified By ID", "LastModifiedBy"),
        Field::new("SystemModstamp", "System Modstamp", "datetime").system(),
    ]
}

/// A table with rows made by `fill`, which gets the row's number and id.
fn filled(object: Object, count: usize, mut fill: impl FnMut(&mut RowBuilder, usize, &str)) -> Table {
    let mut table = Table::new(object);
    let mut builder = RowBuilder::default();
    for number in 0..count {
        let slot = table.next_slot();
        let id = table.id(slot);
        builder.plain(&id);
        fill(&mut builder, number, &id);
        table.write(slot, Some(builder.finish()), None);
    }
    table
}
