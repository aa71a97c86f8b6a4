//! The language alone: what parses, what is refused and in which words, what passes a filter.

use std::sync::Arc;

use super::super::builder::{Builder, Settings};
use super::super::objects;
use super::super::org::Data;
use super::{Refusal, bind, parse, run};

const NEWEST: i64 = 1_750_000_000_000;

fn data(contacts: usize) -> Data {
    let settings: Settings =
        Builder::default().contacts(contacts).deleted_contacts(3).accounts(5).into_settings();
    objects::all(&settings, NEWEST)
}

fn ids(data: &Data, soql: &str) -> Result<Vec<String>, Refusal> {
    let plan = bind(soql, &parse(soql)?, &|name| data.object(name))?;
    let found = run(data, &plan, false);
    let id = plan.object.columns().id;
    Ok(found.rows.iter().map(|row| row.plain(id).to_owned()).collect())
}

fn refusal(soql: &str) -> Refusal {
    ids(&data(1), soql).expect_err(soql)
}

/// The value of a field of every live contact, as JSON text, by id.
fn column(data: &Data, field: &str) -> Vec<(String, serde_json::Value)> {
    let table = data.table("Contact").expect("Contact");
    let column = table.object.column(field).expect(field);
    let deleted = table.object.column("IsDeleted").expect("IsDeleted");
    table
        .all_seen()
        .filter(|row| !row.is_true(deleted))
        .map(|row| (row.plain(0).to_owned(), serde_json::from_slice(row.value(column)).expect("stored JSON")))
        .collect()
}

fn expected(data: &Data, field: &str, keep: impl Fn(&serde_json::Value) -> bool) -> Vec<String> {
    column(data, field).into_iter().filter(|(_, value)| keep(value)).map(|(id, _)| id).collect()
}

#[test]
fn an_unknown_object_is_refused_in_the_recorded_words() {
    // The text of `cumulusci_composite_invalid_type.json`, for another name.
    let refused = refusal("select count() from XYZZY");
    assert_eq!(refused.code, "INVALID_TYPE");
    assert_eq!(
        refused.message,
        "\nselect count() from XYZZY\n                    ^\nERROR at Row:1:Column:21\nsObject type 'XYZZY' is not \
         supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity \
         name. Please reference your WSDL or the describe call for the appropriate names."
    );
}

#[test]
fn a_malformed_query_says_where() {
    for (soql, row, column, message) in [
        ("SELEC Id FROM Contact", 1, 1, "unexpected token: 'SELEC'"),
        ("SELECT Id FRM Contact", 1, 11, "unexpected token: 'FRM'"),
        ("SELECT Id,\n FROM Contact", 2, 2, "unexpected token: 'FROM'"),
        ("SELECT Id FROM Contact WHERE", 1, 29, "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Contact WHERE Name = ", 1, 37, "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Contact LIMIT ten", 1, 30, "unexpected token: 'ten'"),
        ("SELECT Id FROM Contact WHERE Name = 'x", 1, 37, "unterminated"),
        ("SELECT Id FROM Contact WHERE Name = 'x\\q'", 1, 37, "Illegal character sequence '\\q'"),
        ("SELECT Id FROM Contact; DROP", 1, 23, "unexpected token: ';'"),
        (
            "SELECT Id FROM Contact WHERE Name = 'a' AND Title = 'b' OR Title = 'c'",
            1,
            57,
            "unexpected token: 'OR'",
        ),
        ("SELECT Id, COUNT(Id) FROM Contact", 1, 8, "grouped or aggregated"),
        ("SELECT FIELDS(ALL) FROM Contact", 1, 8, "unknown function: 'FIELDS'"),
    ] {
        let refused = refusal(soql);
        assert_eq!(refused.code, "MALFORMED_QUERY", "{soql}");
        assert!(
            refused.message.contains(&format!("Row:{row}:Column:{column}\n")),
            "{soql}: {}",
            refused.message
        );
        assert!(refused.message.contains(message), "{soql}: {}", refused.message);
    }
    let deep = format!("SELECT Id FROM Contact WHERE {}Name = 'x'{}", "(".repeat(500), ")".repeat(500));
    assert_eq!(refusal(&deep).code, "MALFORMED_QUERY");
    assert_eq!(
        refusal(&format!("SELECT Id FROM Contact WHERE {}IsDeleted = true", "NOT ".repeat(500))).code,
        "MALFORMED_QUERY"
    );
    assert_eq!(refusal(&"x".repeat(100_001)).code, "MALFORMED_QUERY");
}

#[test]
fn unknown_and_unsuitable_fields_are_refused() {
    for (soql, code, message) in [
        ("SELECT Id, Nme FROM Contact", "INVALID_FIELD", "No such column 'Nme' on entity 'Contact'"),
        ("SELECT Id FROM Contact ORDER BY Nme", "INVALID_FIELD", "No such column 'Nme'"),
        ("SELECT Id FROM Contact WHERE Nme = 1", "INVALID_FIELD", "No such column 'Nme'"),
        ("SELECT Boss.Name FROM Contact", "INVALID_FIELD", "Didn't understand relationship 'Boss'"),
        ("SELECT Account.Nme FROM Contact", "INVALID_FIELD", "No such column 'Nme' on entity 'Account'"),
        ("SELECT Id, id FROM Contact", "INVALID_FIELD", "duplicate field selected: Id"),
        (
            "SELECT Id FROM Contact WHERE Description = 'x'",
            "INVALID_FIELD",
            "'Description' can not be filtered",
        ),
        ("SELECT Id FROM Contact ORDER BY Description", "MALFORMED_QUERY", "'Description' can not be sorted"),
        (
            "SELECT Id FROM Contact WHERE SystemModstamp > '2024-01-01T00:00:00Z'",
            "INVALID_FIELD",
            "'SystemModstamp' must be of type dateTime and should not be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Contact WHERE SystemModstamp > 2024-01-01T00:00:00 00:00",
            "MALFORMED_QUERY",
            "unexpected token: '00:00'",
        ),
        (
            "SELECT Id FROM Contact WHERE Name = 5",
            "INVALID_FIELD",
            "type string and should be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Contact WHERE Id = 'nope'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid ID field: nope",
        ),
        (
            "SELECT Id FROM Contact WHERE IsDeleted > true",
            "INVALID_FIELD",
            "invalid operator on boolean field",
        ),
        ("SELECT Id FROM Contact OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000"),
        ("SELECT Id FROM ContactChangeEvent", "INVALID_TYPE_FOR_OPERATION", "does not support query"),
        ("SELECT Id FROM Payroll__c", "INSUFFICIENT_ACCESS", "Payroll__c"),
        ("SELECT Id FROM ContentDocumentLink", "MALFORMED_QUERY", "Implementation restriction"),
    ] {
        let refused = refusal(soql);
        assert_eq!(refused.code, code, "{soql}: {}", refused.message);
        assert!(refused.message.contains(message), "{soql}: {}", refused.message);
    }
    let link = "SELECT Id FROM ContentDocumentLink WHERE LinkedEntityId IN ('0015e0000000000')";
    assert_eq!(ids(&data(1), link).map(|ids| ids.len()), Ok(1));
}

#[test]
fn filters_keep_what_they_say() {
    let data = data(400);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &serde_json::Value| value.as_f64();
    type Keep<'a> = Box<dyn Fn(&serde_json::Value) -> bool + 'a>;
    let cases: Vec<(&str, &str, Keep<'_>)> = vec![
        ("LastName = 'O\\'Brien'", "LastName", Box::new(|value| text(value) == "O'Brien")),
        ("LastName = 'o\\'brien'", "LastName", Box::new(|value| text(value) == "O'Brien")),
        ("FirstName = null", "FirstName", Box::new(serde_json::Value::is_null)),
        ("FirstName != null", "FirstName", Box::new(|value| !value.is_null())),
        ("FirstName != 'Anna'", "FirstName", Box::new(|value| text(value) != "Anna")),
        ("NOT FirstName = 'Anna'", "FirstName", Box::new(|value| text(value) != "Anna")),
        (
            "FirstName IN ('Anna', 'Zoë')",
            "FirstName",
            Box::new(|value| ["Anna", "Zoë"].contains(&&*text(value))),
        ),
        ("FirstName NOT IN ('Anna')", "FirstName", Box::new(|value| text(value) != "Anna")),
        ("LastName LIKE 'S%'", "LastName", Box::new(|value| text(value).starts_with(['S', 's']))),
        ("LastName LIKE '%E%'", "LastName", Box::new(|value| text(value).to_lowercase().contains('e'))),
        ("LastName LIKE '_g'", "LastName", Box::new(|value| text(value) == "Ng")),
        ("LastName LIKE '\\_g'", "LastName", Box::new(|_| false)),
        ("LastName = '\\\\Backslash'", "LastName", Box::new(|value| text(value) == "\\Backslash")),
        ("LastName = 'Tab\\tbed'", "LastName", Box::new(|value| text(value) == "Tab\tbed")),
        ("Score__c >= 50", "Score__c", Box::new(|value| number(value).is_some_and(|value| value >= 50.0))),
        ("Score__c < 0", "Score__c", Box::new(|value| number(value).is_some_and(|value| value < 0.0))),
        ("Score__c = 0.1", "Score__c", Box::new(|value| number(value) == Some(0.1))),
        ("Birthdate > 1980-06-15", "Birthdate", Box::new(|value| text(value).as_str() > "1980-06-15")),
        ("HasOptedOutOfEmail = TRUE", "HasOptedOutOfEmail", Box::new(|value| *value == true)),
    ];
    for (condition, field, keep) in cases {
        let found = ids(&data, &format!("SELECT Id FROM Contact WHERE {condition}")).expect(condition);
        let wanted = expected(&data, field, keep);
        assert_eq!(found, wanted, "{condition}");
        assert!(wanted.len() < 400, "{condition} has to mean something");
    }
}

#[test]
fn and_or_and_parentheses_combine() {
    let data = data(300);
    let all = |condition: &str| {
        let mut found = ids(&data, &format!("SELECT Id FROM contact WHERE {condition}")).expect(condition);
        found.sort();
        found
    };
    let anna_or_bob = all("(FirstName = 'Anna' OR FirstName = 'Mehmet') AND (NOT (LastName = 'Smith'))");
    let by_hand: Vec<_> = all("FirstName = 'Anna' OR FirstName = 'Mehmet'")
        .into_iter()
        .filter(|id| !all("LastName = 'Smith'").contains(id))
        .collect();
    assert_eq!(anna_or_bob, by_hand);
    assert!(!anna_or_bob.is_empty());
}

#[test]
fn order_puts_nulls_first_unless_told_and_breaks_ties_by_the_next_key() {
    let data = data(300);
    let scores = |soql: &str| -> Vec<Option<f64>> {
        let by_id: std::collections::BTreeMap<_, _> = column(&data, "Score__c").into_iter().collect();
        ids(&data, soql).expect(soql).iter().map(|id| by_id[id].as_f64()).collect()
    };
    let ascending = scores("SELECT Id FROM Contact ORDER BY Score__c");
    assert!(ascending.is_sorted_by(|a, b| a.partial_cmp(b).is_some_and(std::cmp::Ordering::is_le)));
    assert!(ascending[0].is_none() && ascending[299].is_some());
    let descending = scores("SELECT Id FROM Contact ORDER BY Score__c DESC");
    assert!(descending[0].is_none());
    let last = scores("SELECT Id FROM Contact ORDER BY Score__c DESC NULLS LAST");
    assert!(last[0].is_some() && last[299].is_none());

    let stamps: std::collections::BTreeMap<_, _> = column(&data, "SystemModstamp").into_iter().collect();
    let read = ids(&data, "SELECT Id FROM Contact ORDER BY SystemModstamp ASC, Id DESC").expect("query");
    let ties = read
        .windows(2)
        .filter(|pair| stamps[&pair[0]] == stamps[&pair[1]])
        .inspect(|pair| assert!(pair[0] > pair[1]));
    assert!(ties.count() > 10);
    assert!(read.is_sorted_by_key(|id| stamps[id].as_str().map(str::to_owned)));
}

#[test]
fn a_window_and_a_keyset_step_find_the_rows_between() {
    let data = data(300);
    let read = ids(&data, "SELECT Id FROM Contact ORDER BY SystemModstamp, Id").expect("query");
    let stamps: std::collections::BTreeMap<_, _> = column(&data, "SystemModstamp").into_iter().collect();
    let stamp = |id: &String| stamps[id].as_str().expect("text").replace("+0000", "Z");
    let (low, high) = (stamp(&read[100]), stamp(&read[200]));
    let window = format!(
        "SELECT Id FROM Contact WHERE SystemModstamp >= {low} AND SystemModstamp < {high} ORDER BY SystemModstamp, Id"
    );
    let wanted: Vec<_> = read.iter().filter(|id| stamp(id) >= low && stamp(id) < high).cloned().collect();
    assert_eq!(ids(&data, &window), Ok(wanted));
    let step = format!(
        "SELECT Id FROM Contact WHERE (SystemModstamp > {low} OR (SystemModstamp = {low} AND Id > '{}')) \
         AND SystemModstamp < {high} ORDER BY SystemModstamp ASC, Id ASC LIMIT 7",
        read[100]
    );
    assert_eq!(ids(&data, &step).as_deref(), Ok(&read[101..108]));
    assert_eq!(
        ids(
            &data,
            &format!("SELECT Id FROM Contact WHERE SystemModstamp > {high} AND SystemModstamp < {low}")
        ),
        Ok(vec![])
    );
    let offset = ids(&data, "SELECT Id FROM Contact ORDER BY SystemModstamp, Id LIMIT 5 OFFSET 10");
    assert_eq!(offset.as_deref(), Ok(&read[10..15]));
}

#[test]
fn a_parents_field_filters_and_sorts() {
    let data = data(200);
    let accounts = data.table("Account").expect("Account");
    let first = accounts.all_seen().next().expect("an account").clone();
    let name: String =
        serde_json::from_slice(first.value(accounts.object.column("Name").expect("Name"))).expect("text");
    let escaped = name.replace('\\', "\\\\").replace('\'', "\\'");
    let found =
        ids(&data, &format!("SELECT Id FROM Contact WHERE Account.Name = '{escaped}'")).expect("query");
    let wanted = expected(&data, "AccountId", |value| value.as_str() == Some(first.plain(0)));
    assert_eq!(found, wanted);
    assert!(!wanted.is_empty());
    assert_eq!(ids(&data, "SELECT Id FROM Contact ORDER BY Account.Name").map(|ids| ids.len()), Ok(200));
}

#[test]
fn a_plan_outlives_a_schema_change() {
    let mut data = data(5);
    let soql = "SELECT Id, Title FROM Contact";
    let plan = bind(soql, &parse(soql).expect("parse"), &|name| data.object(name)).expect("bind");
    data.table_mut("Contact").expect("Contact").alter(|object| assert!(object.remove("Title")));
    assert!(Arc::strong_count(&plan.object) >= 1);
    assert_eq!(run(&data, &plan, true).rows.len(), 8);
    assert_eq!(ids(&data, soql).map_err(|refused| refused.code), Err("INVALID_FIELD"));
}
