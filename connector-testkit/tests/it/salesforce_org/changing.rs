//! What a test does to a running org, and how queries see it.

use std::time::Duration;

use connector_testkit::salesforce::{FakeOrg, FieldType, WriteError};
use serde_json::json;

use super::{Client, within};

const NOW: i64 = 1_700_000_000_750;
const STAMP: &str = "2023-11-14T22:13:20.000+0000";

async fn org() -> (FakeOrg, Client) {
    let org = FakeOrg::builder().contacts(40).clock(|| NOW).start().await.expect("start");
    let client = Client::new(&org);
    (org, client)
}

#[test]
fn a_new_row_is_stamped_by_the_orgs_clock_in_whole_seconds() {
    within(async {
        let (org, client) = org().await;
        let id = org
            .insert("Contact", &json!({"LastName": "Zoë \"Z\"", "FirstName": "Ada", "Score__c": 2.5}))
            .expect("insert");
        let soql = format!(
            "SELECT Name, Score__c, Title, IsDeleted, CreatedDate, SystemModstamp, OwnerId FROM Contact WHERE Id = '{id}'"
        );
        let record = client.query(&soql).await.json()["records"][0].clone();
        assert_eq!(record["Name"], "Ada Zoë \"Z\"");
        assert_eq!(
            (&record["Score__c"], &record["Title"], &record["IsDeleted"]),
            (&json!(2.5), &json!(null), &json!(false))
        );
        assert_eq!(
            (record["CreatedDate"].as_str(), record["SystemModstamp"].as_str()),
            (Some(STAMP), Some(STAMP))
        );
        assert!(record["OwnerId"].is_string());
        let login = org.insert("LoginHistory", &json!({"Status": "Success"})).expect("insert");
        assert_eq!(org.truth("LoginHistory").expect("truth")[&login]["LoginTime"], STAMP);
    });
}

#[test]
fn an_update_moves_the_stamp_and_the_name_follows_its_parts() {
    within(async {
        let (org, client) = org().await;
        let id = org.truth("Contact").expect("truth").into_keys().next().expect("a contact");
        org.update(
            "Contact",
            &id[..15],
            &json!({"LastName": "New", "FirstName": null, "Birthdate": "1999-12-31"}),
        )
        .expect("update");
        let record = client
            .query(&format!(
                "SELECT Name, Birthdate, LastModifiedDate, SystemModstamp FROM Contact WHERE Id = '{id}'"
            ))
            .await
            .json();
        let record = &record["records"][0];
        assert_eq!(
            (record["Name"].as_str(), record["Birthdate"].as_str()),
            (Some("New"), Some("1999-12-31"))
        );
        assert_eq!(
            (record["LastModifiedDate"].as_str(), record["SystemModstamp"].as_str()),
            (Some(STAMP), Some(STAMP))
        );
        let found = client
            .query(&format!(
                "SELECT COUNT() FROM Contact WHERE SystemModstamp >= {}",
                STAMP.replace("+0000", "Z")
            ))
            .await;
        assert_eq!(found.json()["totalSize"], 1);
    });
}

#[test]
fn the_recycle_bin_gives_back_and_a_hard_delete_does_not() {
    within(async {
        let (org, client) = org().await;
        let ids: Vec<_> = org.truth("Contact").expect("truth").into_keys().take(2).collect();
        let counts = async || {
            let alive = client.query("SELECT COUNT() FROM Contact").await.json()["totalSize"].clone();
            let all = client.get("/services/data/v66.0/queryAll?q=SELECT+COUNT()+FROM+Contact").await.json()
                ["totalSize"]
                .clone();
            (alive, all)
        };
        org.delete("Contact", &ids[0]).expect("delete");
        assert_eq!(counts().await, (json!(39), json!(40)));
        let row = &org.truth("Contact").expect("truth")[&ids[0]];
        assert_eq!((&row["IsDeleted"], row["SystemModstamp"].as_str()), (&json!(true), Some(STAMP)));
        org.undelete("Contact", &ids[0]).expect("undelete");
        assert_eq!(counts().await, (json!(40), json!(40)));
        org.hard_delete("Contact", &ids[1]).expect("hard delete");
        assert_eq!(counts().await, (json!(39), json!(39)));
        assert!(!org.truth("Contact").expect("truth").contains_key(&ids[1]));
        assert_eq!(org.update("Contact", &ids[1], &json!({})), Err(WriteError::UnknownRow(ids[1].clone())));
    });
}

#[test]
fn touch_changes_exactly_so_many_rows() {
    within(async {
        let (org, client) = org().await;
        let before = org.truth("Contact").expect("truth");
        let touched = org.touch("Contact", 10).expect("touch");
        let after = org.truth("Contact").expect("truth");
        let mut changed: Vec<_> =
            after.iter().filter(|(id, row)| before[*id] != **row).map(|(id, _)| id.clone()).collect();
        changed.sort();
        let mut named = touched.clone();
        named.sort();
        assert_eq!(changed, named);
        assert_eq!(changed.len(), 10);
        let soql =
            format!("SELECT COUNT() FROM Contact WHERE SystemModstamp = {}", STAMP.replace("+0000", "Z"));
        assert_eq!(client.query(&soql).await.json()["totalSize"], 10);
        assert_eq!(org.touch("Contact", 1000).expect("touch").len(), 40);
    });
}

#[test]
fn a_late_write_shows_later_under_its_old_stamp() {
    within(async {
        let (org, client) = org().await;
        org.set_visibility_delay(Duration::from_secs(300));
        let id = org.insert("Contact", &json!({"LastName": "Late"})).expect("insert");
        org.update("Contact", &id, &json!({"Title": "twice"})).expect("update");
        let soql = format!("SELECT Title, SystemModstamp FROM Contact WHERE Id = '{id}'");
        assert_eq!(client.query(&soql).await.json()["totalSize"], 0);
        assert_eq!(org.truth("Contact").expect("truth")[&id]["Title"], "twice", "the truth knows it at once");
        org.set_visibility_delay(Duration::ZERO);
        org.advance(Duration::from_secs(299));
        assert_eq!(client.query(&soql).await.json()["totalSize"], 0);
        org.advance(Duration::from_secs(1));
        let record = client.query(&soql).await.json()["records"][0].clone();
        assert_eq!(
            (record["Title"].as_str(), record["SystemModstamp"].as_str()),
            (Some("twice"), Some(STAMP))
        );
        let counted = client.query("SELECT COUNT() FROM Contact").await.json();
        assert_eq!(counted["totalSize"], 41);
    });
}

#[test]
fn a_field_can_come_and_go_while_the_org_is_read() {
    within(async {
        let (org, client) = org().await;
        let describe = async || client.get("/services/data/v66.0/sobjects/Contact/describe").await.text;
        org.add_field("Contact", "Tier__c", FieldType::Text).expect("add");
        assert!(describe().await.contains("\"Tier__c\""));
        let id = org.insert("Contact", &json!({"LastName": "x", "Tier__c": "gold"})).expect("insert");
        let gold = client.query("SELECT Id, Tier__c FROM Contact WHERE Tier__c != null").await.json();
        assert_eq!(
            (gold["totalSize"].as_u64(), gold["records"][0]["Id"].as_str()),
            (Some(1), Some(id.as_str()))
        );
        org.remove_field("Contact", "Title").expect("remove");
        assert!(!describe().await.contains("\"Title\""));
        assert_eq!(client.query("SELECT Id, Title FROM Contact").await.error().1, "INVALID_FIELD");
        assert_eq!(client.query("SELECT Id, Department FROM Contact").await.status, 200);
        assert_eq!(org.remove_field("Contact", "Title"), Err(WriteError::UnknownField("Title".to_owned())));
    });
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    within(async {
        let (org, _) = org().await;
        let before = org.truth_text("Contact").expect("truth");
        let id = before.keys().next().expect("a contact").clone();
        assert_eq!(org.insert("Nope", &json!({})), Err(WriteError::UnknownObject("Nope".to_owned())));
        for (values, expected) in [
            (json!({"Nope": 1}), WriteError::UnknownField("Nope".to_owned())),
            (json!({"Score__c": "1"}), WriteError::WrongValue("Score__c".to_owned())),
            (json!({"Birthdate": "yesterday"}), WriteError::WrongValue("Birthdate".to_owned())),
            (json!({"MailingAddress": {}}), WriteError::WrongValue("MailingAddress".to_owned())),
            (json!({"AccountId": "short"}), WriteError::WrongValue("AccountId".to_owned())),
        ] {
            assert_eq!(org.update("Contact", &id, &values), Err(expected));
        }
        assert_eq!(org.delete("Pricebook_Setup__c", &id), Err(WriteError::UnknownRow(id.clone())));
        assert_eq!(org.truth_text("Contact").expect("truth"), before);
    });
}
