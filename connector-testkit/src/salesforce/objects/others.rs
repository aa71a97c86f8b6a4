//! The objects around the two big ones: small, and each there for one habit of the vendor.

use crate::random::Random;

use super::super::datetime;
use super::super::field::Field;
use super::super::id;
use super::super::schema::{Access, Object};
use super::super::seed;
use super::super::table::Table;

/// `User`: whom owners and authors refer to.
pub(super) fn users(mut random: Random, newest: i64) -> Table {
    let mut fields = vec![
        Field::new("Id", "User ID", "id").system(),
        Field::new("Username", "Username", "string").length(80).required(),
        Field::new("Name", "Full Name", "string").length(121).required().read_only().named(),
        Field::new("Email", "Email", "email").length(128).required(),
        Field::new("IsActive", "Active", "boolean"),
    ];
    fields.extend(super::audit_fields());
    let object = Object::new(["User", "User", "Users"], "005", fields);
    let stamps = seed::timeline(&mut random, super::USERS as usize, newest);
    super::filled(object, super::USERS as usize, |builder, number, _| {
        builder.plain(&format!("user{number}@acme.example"));
        builder.text(&format!("{} {}", random.pick(&seed::FIRST_NAMES), random.pick(&seed::LAST_NAMES)));
        builder.plain(&format!("user{number}@acme.example"));
        builder.boolean(number % 5 != 4);
        builder.plain(&datetime::text(stamps[number].created));
        builder.plain(super::integration_user());
        builder.plain(&datetime::text(stamps[number].modified));
        builder.plain(super::integration_user());
        builder.plain(&datetime::text(stamps[number].modstamp));
    })
}

pub(super) fn small(mut random: Random, newest: i64) -> Vec<Table> {
    vec![
        logins(&mut random, newest),
        setup(),
        links(newest),
        // Change events show in the describes, some orgs' even as queryable, and cannot be queried
        // (`UserChangeEvent` of the recorded describe; the list that AB-SF keeps of them).
        Table::new(event("AccountChangeEvent", "Account Change Event").not_queryable()),
        Table::new(event("ContactChangeEvent", "Contact Change Event")),
        Table::new(
            Object::new(["Payroll__c", "Payroll", "Payrolls"], "a01", super::system_fields())
                .with_access(Access::Forbidden),
        ),
    ]
}

/// `LoginHistory`: no `SystemModstamp`, so it is read by `LoginTime`.
fn logins(random: &mut Random, newest: i64) -> Table {
    let fields = vec![
        Field::new("Id", "Login ID", "id").system(),
        Field::new("UserId", "User ID", "reference").reference("User", "User").system(),
        Field::new("LoginTime", "Login Time", "datetime").system(),
        Field::new("LoginType", "Login Type", "picklist").length(1).read_only(),
        Field::new("SourceIp", "Source IP", "string").length(39).read_only(),
        Field::new("Status", "Status", "string").length(128).read_only(),
        Field::new("Application", "Application", "string").length(64).read_only(),
    ];
    let object = Object::new(["LoginHistory", "Login History", "Login History"], "0Ya", fields);
    let count = 60;
    let stamps = seed::timeline(random, count, newest);
    super::filled(object, count, |builder, number, _| {
        builder.plain(&id::record_id("005", seed::draw_slot(random, super::USERS)));
        builder.plain(&datetime::text(stamps[number].modstamp));
        builder.text("Application");
        builder.plain(&format!("192.0.2.{}", random.below(255)));
        builder.text(if random.percent(10) { "Invalid Password" } else { "Success" });
        builder.text_or_null((!random.percent(20)).then_some("Browser"));
    })
}

/// `Pricebook_Setup__c`: nothing to read by, so always whole.
fn setup() -> Table {
    let fields = vec![
        Field::new("Id", "Record ID", "id").system(),
        Field::new("Name", "Name", "string").length(80).named(),
        Field::new("Priority__c", "Priority", "double").number(4, 0),
    ];
    let object = Object::new(["Pricebook_Setup__c", "Pricebook Setup", "Pricebook Setups"], "a00", fields);
    super::filled(object, 7, |builder, number, _| {
        builder.text(&format!("Setup № {number}"));
        builder.json(number.to_string().as_bytes());
    })
}

/// `ContentDocumentLink`: queryable, but only by id (salesforce object reference).
fn links(newest: i64) -> Table {
    let fields = vec![
        Field::new("Id", "ContentDocumentLink ID", "id").system(),
        Field::new("LinkedEntityId", "Linked Entity ID", "reference")
            .reference("Account", "LinkedEntity")
            .required(),
        Field::new("ContentDocumentId", "ContentDocument ID", "reference")
            .reference("ContentDocument", "ContentDocument")
            .required(),
        Field::new("IsDeleted", "Is Deleted", "boolean").system(),
        Field::new("SystemModstamp", "System Modstamp", "datetime").system(),
        Field::new("ShareType", "Share Type", "picklist").length(40).picklist(&["V", "C", "I"]),
    ];
    let names = ["ContentDocumentLink", "Content Document Link", "Content Document Link"];
    let object = Object::new(names, "06A", fields)
        .with_access(Access::ByFilterOn(&["ContentDocumentId", "LinkedEntityId"]));
    super::filled(object, 3, |builder, number, _| {
        let number = u32::try_from(number).unwrap_or_default();
        builder.plain(&id::record_id("001", number));
        builder.plain(&id::record_id("069", number));
        builder.boolean(false);
        builder.plain(&datetime::text(newest));
        builder.plain("V");
    })
}

fn event(name: &str, label: &str) -> Object {
    let fields = vec![
        Field::new("Id", "Change Event ID", "id").system(),
        Field::new("ReplayId", "Replay ID", "string").length(255).read_only(),
        Field::new("ChangeEventHeader", "Change Event Header", "complexvalue").read_only(),
    ];
    Object::new([name, label, label], "", fields).with_access(Access::EventsOnly)
}
