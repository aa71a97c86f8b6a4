//! What records look like, and what the seeded data are made of.

use std::collections::{BTreeMap, BTreeSet};

use connector_testkit::salesforce::FakeOrg;
use serde_json::{Value, json};

use super::{Client, within};

/// All fields of an object, in the order of its describe.
async fn fields(client: &Client, object: &str) -> Vec<String> {
    let describe = client.get(&format!("/services/data/v66.0/sobjects/{object}/describe")).await.json();
    let list = describe["fields"].as_array().expect("fields");
    list.iter().map(|field| field["name"].as_str().expect("name").to_owned()).collect()
}

#[test]
fn every_described_field_can_be_read_and_is_the_truth() {
    within(async {
        let org = FakeOrg::builder().contacts(400).accounts(60).start().await.expect("start");
        let client = Client::new(&org);
        for object in ["Contact", "Account", "User", "LoginHistory", "Pricebook_Setup__c"] {
            let soql = format!("SELECT {} FROM {object}", fields(&client, object).await.join(", "));
            let (records, _) = client.all("query", &soql).await;
            let truth = org.truth(object).expect("truth");
            assert_eq!(records.len(), truth.len(), "{object}");
            for mut record in records {
                record.as_object_mut().expect("a record").remove("attributes");
                assert_eq!(record, truth[record["Id"].as_str().expect("Id")]);
            }
        }
    });
}

#[test]
fn records_come_in_the_order_and_digits_they_were_stored_in() {
    within(async {
        let org = FakeOrg::builder().contacts(300).start().await.expect("start");
        let client = Client::new(&org);
        let all = fields(&client, "Contact").await;
        let text = client.query(&format!("SELECT {} FROM Contact", all.join(", "))).await.text;
        for row in org.truth_text("Contact").expect("truth").values() {
            assert!(text.contains(&row[1..]), "{row}");
        }
        for digits in
            ["9007199254740993", "999999999999999999", "123456789.123456789", ":0.1,", "-0.000000001", ".50,"]
        {
            assert!(text.contains(digits), "{digits}");
        }
        let few = client.query("SELECT lastname, ID FROM contact LIMIT 1").await.text;
        let (head, tail) = (few.find("\"LastName\""), few.find("\"Id\""));
        assert!(head.is_some() && head < tail, "fields in the order of the query, named as described: {few}");
    });
}

#[test]
fn a_record_is_about_880_bytes_and_full_of_what_breaks_careless_code() {
    within(async {
        let org = FakeOrg::builder().contacts(2000).start().await.expect("start");
        let client = Client::new(&org);
        // Nobody has an external id before a client writes one.
        let seeded = |name: &String| !["MailingAddress", "External_Id__c"].contains(&name.as_str());
        let all: Vec<_> = fields(&client, "Contact").await.into_iter().filter(seeded).collect();
        let text = client.query(&format!("SELECT {} FROM Contact", all.join(", "))).await.text;
        let each = text.len() / 2000;
        assert!((820..960).contains(&each), "{each} bytes");
        for hard in
            ["\\\"", "\\r\\n", "\\t", "\\\\", "🤝", "👩", "田中", "فاطمة", "\u{2028}", "null", "O'Brien"]
        {
            assert!(text.contains(hard), "{hard:?}");
        }
        let rows = org.truth("Contact").expect("truth");
        for name in &all {
            let nulls = rows.values().filter(|row| row[name].is_null()).count();
            let required =
                ["Id", "IsDeleted", "LastName", "Name", "HasOptedOutOfEmail", "OwnerId", "CreatedDate"];
            if required.contains(&name.as_str())
                || name.ends_with("ById")
                || name.ends_with("Date")
                || name == "SystemModstamp"
            {
                assert!(name == "Birthdate" || nulls == 0 || name.ends_with("date"), "{name}");
            } else {
                assert!(nulls > 20 && nulls < 1999, "{name}: {nulls} nulls");
            }
        }
    });
}

#[test]
fn timestamps_tie_across_the_page_and_in_groups_larger_than_one() {
    within(async {
        let org = FakeOrg::builder().contacts(10_000).start().await.expect("start");
        let client = Client::new(&org);
        let (records, _) = client.all("query", "SELECT Id, SystemModstamp, CreatedDate, LastModifiedDate FROM Contact ORDER BY SystemModstamp, Id").await;
        let stamp = |index: usize| records[index]["SystemModstamp"].as_str().expect("text");
        assert_eq!(stamp(1995), stamp(2005), "a tie lies across the first page's end");
        let mut groups = BTreeMap::<&str, usize>::new();
        for index in 0..records.len() {
            *groups.entry(stamp(index)).or_default() += 1;
        }
        assert!(groups.values().any(|size| *size > 2000), "one tie is larger than a page");
        assert!(groups.values().filter(|size| **size == 1).count() > 500);
        assert!(
            records.iter().all(|record| record["CreatedDate"].as_str() <= record["SystemModstamp"].as_str())
        );
        assert!(
            records
                .iter()
                .all(|record| record["LastModifiedDate"].as_str() <= record["SystemModstamp"].as_str())
        );
        let ids: Vec<_> = records.iter().map(|record| record["Id"].as_str()).collect();
        assert!(!ids.is_sorted(), "ids do not follow the time");
        assert!(stamp(0).ends_with(".000+0000"));
        let years = |text: &str| text[..4].parse::<i32>().expect("year");
        assert!((2..=4).contains(&(years(stamp(9999)) - years(stamp(0)))), "about three years");
    });
}

#[test]
fn the_same_seed_and_clock_make_the_same_org() {
    within(async {
        let truth = async |seed: u64| {
            let builder =
                FakeOrg::builder().seed(seed).contacts(100).deleted_contacts(9).clock(|| 1_750_000_000_000);
            builder.start().await.expect("start").truth_text("Contact").expect("truth")
        };
        assert_eq!(truth(5).await, truth(5).await);
        assert_ne!(truth(5).await, truth(6).await);
        assert_eq!(truth(5).await.len(), 109);
    });
}

#[test]
fn a_parent_is_rendered_inside_its_child() {
    within(async {
        let org = FakeOrg::builder().contacts(200).start().await.expect("start");
        let client = Client::new(&org);
        let soql = "SELECT Id, Account.Name, AccountId, Account.Id, Owner.Username FROM Contact";
        let (records, _) = client.all("query", soql).await;
        let accounts = org.truth("Account").expect("truth");
        let mut orphans = 0;
        for record in &records {
            match record["AccountId"].as_str() {
                Some(id) => assert_eq!(
                    record["Account"],
                    json!({
                        "attributes": {"type": "Account", "url": format!("/services/data/v66.0/sobjects/Account/{id}")},
                        "Name": accounts[id]["Name"],
                        "Id": id,
                    })
                ),
                None => {
                    assert_eq!(record["Account"], Value::Null);
                    orphans += 1;
                }
            }
            assert!(record["Owner"]["Username"].is_string());
        }
        assert!(orphans > 0 && orphans < 50);
    });
}

#[test]
fn counts_and_extremes_are_computed() {
    within(async {
        let org = FakeOrg::builder().contacts(123).start().await.expect("start");
        let client = Client::new(&org);
        let count = client.query("SELECT COUNT() FROM Contact").await.json();
        assert_eq!(count, json!({"totalSize": 123, "done": true, "records": []}));
        let rows = org.truth("Contact").expect("truth");
        let stamps: BTreeSet<_> =
            rows.values().map(|row| row["SystemModstamp"].as_str().expect("text")).collect();
        let titled = rows.values().filter(|row| !row["Title"].is_null()).count();
        let answer = client
            .query("SELECT MIN(SystemModstamp), MAX(SystemModstamp) last, COUNT(Title) FROM Contact")
            .await
            .json();
        assert_eq!(
            answer["records"][0],
            json!({
                "attributes": {"type": "AggregateResult"},
                "expr0": stamps.first(),
                "last": stamps.last(),
                "expr2": titled,
            })
        );
    });
}

#[test]
fn refusals_reach_the_client_as_an_array_with_their_status() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let client = Client::new(&org);
        for (soql, status, code) in [
            ("SELECT Nope FROM Contact", 400, "INVALID_FIELD"),
            ("SELECT Id FROM Nope", 400, "INVALID_TYPE"),
            ("SELECT Id FRM Contact", 400, "MALFORMED_QUERY"),
            ("", 400, "MALFORMED_QUERY"),
            ("SELECT Id FROM AccountChangeEvent", 400, "INVALID_TYPE_FOR_OPERATION"),
            ("SELECT Id FROM Payroll__c", 403, "INSUFFICIENT_ACCESS"),
            ("SELECT Id FROM ContentDocumentLink", 400, "MALFORMED_QUERY"),
        ] {
            let answer = client.query(soql).await;
            assert_eq!(answer.error(), (status, code.to_owned()), "{soql}");
            assert!(answer.header("sforce-limit-info").starts_with("api-usage="));
        }
        assert_eq!(client.get("/services/data/v66.0/query").await.error().1, "MALFORMED_QUERY");
    });
}
