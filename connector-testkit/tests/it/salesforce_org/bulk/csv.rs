//! The CSV itself, read by the letter of RFC 4180 and held against the truth of the org.

use connector_testkit::salesforce::Bulk;
use serde_json::{Value, json};

use super::{Client, FakeOrg, JOBS, finished, org, state, try_create, within};

/// Reads records as RFC 4180 has them, with any delimiter and either line ending.
pub(super) fn read(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(next) = chars.next() {
        match next {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            other if quoted => field.push(other),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other if other == delimiter => record.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    assert!(!quoted && field.is_empty() && record.is_empty(), "it ends with a line's end");
    records
}

/// What a value of the truth is in CSV.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => match text.strip_suffix("+0000") {
            Some(time) if text.len() == 28 => format!("{time}Z"),
            _ => text.clone(),
        },
        other => other.to_string(),
    }
}

const FIELDS: [&str; 12] = [
    "Id",
    "LastName",
    "FirstName",
    "MailingStreet",
    "Title",
    "Birthdate",
    "Description",
    "Legacy_Number__c",
    "HasOptedOutOfEmail",
    "SystemModstamp",
    "AccountId",
    "Email",
];

async fn raw(client: &Client, soql: &str, more: Value) -> String {
    let mut body = json!({"operation": "query", "query": soql});
    body.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
    let answer = try_create(client, body).await;
    let id = answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned();
    while state(client, &id).await != "JobComplete" {}
    client.get(&format!("{JOBS}/{id}/results?maxRecords=100000")).await.text
}

#[test]
fn every_value_reads_back_as_the_truth_with_every_delimiter_and_line_ending() {
    within(async {
        let (org, client) = org(400).await;
        let truth = org.truth("Contact").expect("truth");
        let soql = format!("SELECT {} FROM Contact", FIELDS.join(", "));
        let delimiters = [
            ("BACKQUOTE", '`'),
            ("CARET", '^'),
            ("COMMA", ','),
            ("PIPE", '|'),
            ("SEMICOLON", ';'),
            ("TAB", '\t'),
        ];
        for (number, (name, delimiter)) in delimiters.into_iter().enumerate() {
            let (ending, end) = [("LF", "\n"), ("CRLF", "\r\n")][number % 2];
            let text = raw(&client, &soql, json!({"columnDelimiter": name, "lineEnding": ending})).await;
            let header = FIELDS.map(|field| format!("\"{field}\"")).join(&delimiter.to_string());
            assert!(text.starts_with(&format!("{header}{end}\"003")), "{name}");
            let rows = read(&text, delimiter);
            assert_eq!(rows.len(), 401);
            for row in &rows[1..] {
                let known = &truth[&row[0]];
                for (field, value) in FIELDS.iter().zip(row) {
                    assert_eq!(*value, text_of(&known[*field]), "{field} with {name}");
                }
            }
        }
        let all = raw(&client, &soql, json!({})).await;
        assert!(
            all.contains("1 Market St\r\nSuite 300") && all.contains("Bob \"\"Bobby\"\""),
            "kept and doubled"
        );
        assert!(all.contains(".000Z\"") && !all.contains("+0000"), "date-times end with Z");
        assert!(all.contains("9007199254740993"), "digits stay");
    });
}

#[test]
fn null_is_an_empty_field_quoted_or_not() {
    within(async {
        let (org, client) = org(0).await;
        org.insert("Contact", &json!({"LastName": "Only"})).expect("insert");
        let soql = "SELECT LastName, Title, Account.Name, HasOptedOutOfEmail FROM Contact";
        let quoted = raw(&client, soql, json!({})).await;
        assert_eq!(
            quoted,
            "\"LastName\",\"Title\",\"Account.Name\",\"HasOptedOutOfEmail\"\n\"Only\",\"\",\"\",\"\"\n"
        );
        org.change_bulk(|bulk| bulk.bare_nulls = true);
        let bare = raw(&client, soql, json!({})).await;
        assert!(bare.ends_with("\n\"Only\",,,\n"), "{bare}");
    });
}

#[test]
fn columns_come_in_the_order_of_the_query_parents_in_between() {
    within(async {
        let (_org, client) = org(60).await;
        let soql =
            "SELECT account.name, Contact.Id, Account.Industry, lastname, Account.Owner__x FROM Contact";
        let refused = try_create(&client, json!({"operation": "query", "query": soql})).await;
        assert_eq!(refused.error(), (400, "INVALID_FIELD".to_owned()));
        let text = raw(&client, &soql.replace(", Account.Owner__x", ""), json!({})).await;
        let rows = read(&text, ',');
        assert_eq!(rows[0], ["Account.Name", "Id", "Account.Industry", "LastName"]);
        let answer = client
            .query("SELECT Id, LastName, Account.Name, Account.Industry FROM Contact ORDER BY Id")
            .await;
        for record in answer.json()["records"].as_array().expect("records") {
            let row = rows.iter().find(|row| row[1] == record["Id"].as_str().expect("Id")).expect("a row");
            let parent = |field: &str| text_of(record["Account"].get(field).unwrap_or(&Value::Null));
            assert_eq!((&row[0], &row[2]), (&parent("Name"), &parent("Industry")));
            assert_eq!(row[3], record["LastName"].as_str().expect("LastName"));
        }
    });
}

#[test]
fn whole_numbers_can_come_with_a_point_and_texts_with_nul() {
    within(async {
        let (org, client) = org(0).await;
        let values = json!({"Name": "Ünit", "NumberOfEmployees": 42, "AnnualRevenue": 7});
        for old in org.truth("Account").expect("truth").into_keys() {
            org.hard_delete("Account", &old).expect("delete");
        }
        org.insert("Account", &values).expect("insert");
        org.change_bulk(|bulk| bulk.decimals_on_whole = true);
        org.with_nul(true);
        let text =
            raw(&client, "SELECT Name, NumberOfEmployees, AnnualRevenue FROM Account", json!({})).await;
        assert!(text.ends_with("\"Ü\0nit\",\"42.0\",\"7.0\"\n"), "{text:?}");
        org.with_nul(false);
        org.change_bulk(|bulk| bulk.decimals_on_whole = false);
        let text =
            raw(&client, "SELECT Name, NumberOfEmployees, AnnualRevenue FROM Account", json!({})).await;
        assert!(text.ends_with("\"Ünit\",\"42\",\"7\"\n"), "{text:?}");
    });
}

/// `jsforce_Account_bulk2_test.csv` is what jsforce's tests load into a real org: what comes back of it has the
/// same line breaks, quotes and delimiters inside its fields.
#[test]
fn a_recorded_csv_goes_into_the_org_and_comes_back_value_by_value() {
    let Some(folder) = super::super::describing::recorded() else { return };
    let text = std::fs::read_to_string(folder.join("jsforce_Account_bulk2_test.csv")).expect("the fixture");
    let mut records = read(&text, ',');
    let header = records.remove(0);
    let place = |name: &str| header.iter().position(|known| known == name).expect("a column");
    let columns = [
        ("Name", place("NAME")),
        ("BillingStreet", place("BILLINGSTREET")),
        ("Phone", place("PHONE")),
        ("Website", place("WEBSITE")),
        ("Description", place("DESCRIPTION")),
    ];
    within(async {
        let org = FakeOrg::builder().accounts(0).bulk(Bulk { page_rows: 7, ..Bulk::default() });
        let org = org.start().await.expect("start");
        let client = Client::new(&org);
        let mut expected = Vec::new();
        for record in &records {
            let mut values = serde_json::Map::new();
            for (field, column) in columns {
                // An empty field says nothing.
                if !record[column].is_empty() {
                    values.insert(field.to_owned(), record[column].as_str().into());
                }
            }
            org.insert("Account", &values.into()).expect("insert");
            expected.push(columns.map(|(_, column)| record[column].clone()).to_vec());
        }
        assert!(expected.iter().flatten().any(|value| value.contains('\n')), "the fixture has line breaks");
        let fields = columns.map(|(field, _)| field).join(", ");
        let id = finished(&client, &format!("SELECT Id, {fields} FROM Account ORDER BY Id")).await;
        let rows = super::all(&client, &id, 7).await;
        assert_eq!(rows.into_iter().map(|row| row[1..].to_vec()).collect::<Vec<_>>(), expected);
    });
}
