//! `Contact`: the object that is read in bulk.

use std::fmt::Write as _;

use crate::random::Random;

use super::super::field::Field;
use super::super::id;
use super::super::row::RowBuilder;
use super::super::schema::Object;
use super::super::seed::{self, Stamps};
use super::super::table::Table;

/// How many rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Volume {
    pub(super) live: usize,
    pub(super) deleted: usize,
    pub(super) accounts: u32,
}

const LEAD_SOURCES: [&str; 6] =
    ["Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Trade Show", "Other"];

fn object() -> Object {
    let mut fields = vec![
        Field::new("Id", "Contact ID", "id").system(),
        Field::new("IsDeleted", "Deleted", "boolean").system(),
        Field::new("AccountId", "Account ID", "reference").reference("Account", "Account"),
        Field::new("LastName", "Last Name", "string").length(80).required().part_of("Name"),
        Field::new("FirstName", "First Name", "string").length(40).part_of("Name"),
        Field::new("Name", "Full Name", "string").length(121).required().read_only().named(),
        Field::new("MailingStreet", "Mailing Street", "textarea").length(255).part_of("MailingAddress"),
        Field::new("MailingCity", "Mailing City", "string").length(40).part_of("MailingAddress"),
        Field::new("MailingState", "Mailing State/Province", "string").length(80).part_of("MailingAddress"),
        Field::new("MailingPostalCode", "Mailing Zip/Postal Code", "string")
            .length(20)
            .part_of("MailingAddress"),
        Field::new("MailingCountry", "Mailing Country", "string").length(80).part_of("MailingAddress"),
        Field::new("MailingAddress", "Mailing Address", "address"),
        Field::new("Phone", "Business Phone", "phone").length(40),
        Field::new("MobilePhone", "Mobile Phone", "phone").length(40),
        Field::new("Email", "Email", "email").length(80),
        Field::new("Title", "Title", "string").length(128),
        Field::new("Department", "Department", "string").length(80),
        Field::new("LeadSource", "Lead Source", "picklist").length(255).picklist(&LEAD_SOURCES),
        Field::new("Birthdate", "Birthdate", "date"),
        Field::new("Description", "Contact Description", "textarea").length(32_000),
        Field::new("HasOptedOutOfEmail", "Email Opt Out", "boolean"),
        Field::new("Score__c", "Score", "double").number(18, 9),
        Field::new("Legacy_Number__c", "Legacy Number", "double").number(18, 0),
    ];
    fields.extend(super::owned_fields());
    // Behind the fields that seeded rows end with: nobody has one before a client writes it.
    fields.push(Field::new("External_Id__c", "External Id", "string").length(64).external_id());
    Object::new(["Contact", "Contact", "Contacts"], "003", fields)
}

pub(super) fn table(mut random: Random, volume: Volume, newest: i64) -> Table {
    let total = volume.live + volume.deleted;
    let stamps = seed::timeline(&mut random, total, newest);
    let deleted = seed::deleted(&mut random, total, volume.deleted);
    let mut scratch = String::new();
    super::filled(object(), total, |builder, number, _| {
        builder.boolean(deleted[number]);
        person(&mut random, builder, volume.accounts, number, &mut scratch);
        rest(&mut random, builder, &mut scratch, &stamps[number]);
    })
}

fn person(random: &mut Random, builder: &mut RowBuilder, accounts: u32, number: usize, scratch: &mut String) {
    if accounts == 0 || random.percent(4) {
        builder.null();
    } else {
        builder.plain(&id::record_id("001", seed::draw_slot(random, accounts)));
    }
    let last = random.pick(&seed::LAST_NAMES);
    let first = (!random.percent(6)).then(|| random.pick(&seed::FIRST_NAMES));
    builder.text(last);
    builder.text_or_null(first);
    scratch.clear();
    let _ = write!(scratch, "{}{}{last}", first.unwrap_or_default(), if first.is_some() { " " } else { "" });
    builder.text(scratch);
    address(random, builder);
    builder.null(); // MailingAddress is put together when it is read.
    phone(random, builder, scratch, 10);
    phone(random, builder, scratch, 40);
    if random.percent(8) {
        builder.null();
    } else {
        scratch.clear();
        let _ = write!(scratch, "contact.{number}@{}.example.com", random.pick(&["mail", "sales", "büro"]));
        builder.text(scratch);
    }
    optional(random, builder, &seed::TITLES, 20);
    optional(random, builder, &seed::DEPARTMENTS, 35);
    optional(random, builder, &LEAD_SOURCES, 30);
}

fn rest(random: &mut Random, builder: &mut RowBuilder, scratch: &mut String, stamps: &Stamps) {
    scratch.clear();
    if random.percent(40) {
        builder.null();
    } else {
        let (year, month, day) = (1940 + random.below(65), 1 + random.below(12), 1 + random.below(28));
        let _ = write!(scratch, "{year}-{month:02}-{day:02}");
        builder.plain(scratch);
    }
    optional(random, builder, &seed::REMARKS, 45);
    builder.boolean(random.percent(12));
    // Numbers are written the way they have to come back: fractions a float cannot hold, zeros at the end,
    // and whole numbers beyond 2^53.
    match random.below(10) {
        0 => builder.null(),
        1 => builder.json(b"0"),
        2 => builder.json(b"0.1"),
        3 => builder.json(b"123456789.123456789"),
        4 => builder.json(b"-0.000000001"),
        5 => builder.json(format!("{}.50", random.below(1000)).as_bytes()),
        _ => builder.json(format!("{}.{:02}", random.below(100), 1 + random.below(99)).as_bytes()),
    }
    match random.below(8) {
        0 => builder.json(b"9007199254740993"),
        1 => builder.json(b"999999999999999999"),
        2 => builder
            .json(format!("{}", 100_000_000_000_000_000 + random.below(800_000_000_000_000_000)).as_bytes()),
        3 => builder.json(format!("-{}", random.below(1_000_000)).as_bytes()),
        _ => builder.null(),
    }
    seed::audit(random, builder, stamps, super::USERS);
}

/// Street, city, state, postal code and country, or none of them.
pub(super) fn address(random: &mut Random, builder: &mut RowBuilder) {
    if random.percent(7) {
        for _ in 0..5 {
            builder.null();
        }
        return;
    }
    let street = random.pick(&seed::STREETS);
    let place = seed::PLACES[usize::try_from(random.below(seed::PLACES.len() as u64)).unwrap_or_default()];
    builder.text(street);
    builder.text(place.0);
    builder.text_or_null(Some(place.1).filter(|state| !state.is_empty()));
    builder.text(place.2);
    builder.text(place.3);
}

/// A phone number, missing this often in a hundred.
pub(super) fn phone(random: &mut Random, builder: &mut RowBuilder, scratch: &mut String, missing: u64) {
    scratch.clear();
    if random.percent(missing) {
        builder.null();
    } else {
        let _ = write!(
            scratch,
            "+{} ({}) 555-{:04}",
            1 + random.below(98),
            200 + random.below(700),
            random.below(10_000)
        );
        builder.plain(scratch);
    }
}

/// One of these, missing this often in a hundred.
pub(super) fn optional(random: &mut Random, builder: &mut RowBuilder, from: &[&str], missing: u64) {
    if random.percent(missing) {
        builder.null();
    } else {
        builder.text(random.pick(from));
    }
}
