//! `Account`: the parent of contacts.

use std::fmt::Write as _;

use crate::random::Random;

use super::super::field::Field;
use super::super::id;
use super::super::schema::Object;
use super::super::seed;
use super::super::table::Table;
use super::contact::{address, optional, phone};

const INDUSTRIES: [&str; 8] =
    ["Agriculture", "Banking", "Construction", "Education", "Energy", "Healthcare", "Retail", "Technology"];
const TYPES: [&str; 4] = ["Prospect", "Customer - Direct", "Customer - Channel", "Other"];
const RATINGS: [&str; 3] = ["Hot", "Warm", "Cold"];
const FORMS: [&str; 8] = ["GmbH", "B.V.", "Ltd.", "& Söhne", "株式会社", "S.A.", "Inc.", "\"Trading\" Co."];

fn object() -> Object {
    let mut fields = vec![
        Field::new("Id", "Account ID", "id").system(),
        Field::new("IsDeleted", "Deleted", "boolean").system(),
        Field::new("Name", "Account Name", "string").length(255).required().named(),
        Field::new("Type", "Account Type", "picklist").length(255).picklist(&TYPES),
        Field::new("ParentId", "Parent Account ID", "reference").reference("Account", "Parent"),
        Field::new("BillingStreet", "Billing Street", "textarea").length(255).part_of("BillingAddress"),
        Field::new("BillingCity", "Billing City", "string").length(40).part_of("BillingAddress"),
        Field::new("BillingState", "Billing State/Province", "string").length(80).part_of("BillingAddress"),
        Field::new("BillingPostalCode", "Billing Zip/Postal Code", "string")
            .length(20)
            .part_of("BillingAddress"),
        Field::new("BillingCountry", "Billing Country", "string").length(80).part_of("BillingAddress"),
        Field::new("BillingAddress", "Billing Address", "address"),
        Field::new("Phone", "Account Phone", "phone").length(40),
        Field::new("Website", "Website", "url").length(255),
        Field::new("Industry", "Industry", "picklist").length(255).picklist(&INDUSTRIES),
        Field::new("AnnualRevenue", "Annual Revenue", "currency").number(18, 0),
        Field::new("NumberOfEmployees", "Employees", "int"),
        Field::new("Rating", "Account Rating", "picklist").length(255).picklist(&RATINGS),
        Field::new("Description", "Account Description", "textarea").length(32_000),
    ];
    fields.extend(super::owned_fields());
    Object::new(["Account", "Account", "Accounts"], "001", fields)
}

pub(super) fn table(mut random: Random, count: usize, newest: i64) -> Table {
    let stamps = seed::timeline(&mut random, count, newest);
    let mut scratch = String::new();
    super::filled(object(), count, |builder, number, _| {
        builder.boolean(false);
        scratch.clear();
        let _ = write!(scratch, "{} {} {number}", random.pick(&seed::LAST_NAMES), random.pick(&FORMS));
        builder.text(&scratch);
        optional(&mut random, builder, &TYPES, 20);
        let earlier = u32::try_from(number).unwrap_or_default();
        if earlier > 0 && random.percent(15) {
            builder.plain(&id::record_id("001", seed::draw_slot(&mut random, earlier)));
        } else {
            builder.null();
        }
        address(&mut random, builder);
        builder.null(); // BillingAddress is put together when it is read.
        phone(&mut random, builder, &mut scratch, 15);
        scratch.clear();
        let _ = write!(scratch, "https://www.company-{number}.example.com/?q=a&b=ü");
        builder.text(&scratch);
        optional(&mut random, builder, &INDUSTRIES, 10);
        match random.below(3) {
            0 => builder.null(),
            1 => builder.json(format!("{}.0", random.below(1_000_000_000)).as_bytes()),
            _ => builder.json(format!("{}.25", random.below(100_000_000_000)).as_bytes()),
        }
        if random.percent(25) {
            builder.null();
        } else {
            builder.json(random.below(300_000).to_string().as_bytes());
        }
        optional(&mut random, builder, &RATINGS, 50);
        optional(&mut random, builder, &seed::REMARKS, 60);
        seed::audit(&mut random, builder, &stamps[number], super::USERS);
    })
}
