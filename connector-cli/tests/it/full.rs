//! Full reads from outside: what is gone at the vendor becomes a delete in Bronze.

use connector_testkit::salesforce::FakeOrg;
use serde_json::json;

use crate::desk::Desk;

#[tokio::test]
async fn d_14_what_a_full_read_lacks_becomes_a_delete() {
    let desk = Desk::new(FakeOrg::builder().contacts(300)).await;
    desk.write("streams: [{ name: Contact, mode: full }]\n");
    let first = desk.connector(&["run"]).await.exits(0).document();
    assert_eq!(first["totals"]["records"], json!(300), "{first:#}");
    let gone: Vec<String> = desk.org.truth("Contact").unwrap().into_keys().take(3).collect();
    for id in &gone {
        desk.org.hard_delete("Contact", id).unwrap();
    }
    let second = desk.connector(&["run"]).await.exits(0).document();
    assert_eq!(second["streams"][0]["deletes"], json!(3), "{second:#}");
    let envelopes = desk.contacts().await;
    let deleted: Vec<&str> = envelopes
        .iter()
        .filter(|envelope| envelope["operation"] == "delete")
        .map(|envelope| envelope["key"]["Id"].as_str().unwrap())
        .collect();
    assert_eq!(deleted, gone);
    assert!(envelopes.iter().filter(|envelope| envelope["operation"] == "snapshot").all(|envelope| {
        let generation = envelope["generation"].as_u64().unwrap();
        generation == 1 || generation == 2
    }));

    for id in desk.org.truth("Contact").unwrap().into_keys().take(100) {
        desk.org.hard_delete("Contact", &id).unwrap();
    }
    let refused = desk.connector(&["run"]).await.exits(1).document();
    assert_eq!(refused["error"]["operation"], "conclude deletes", "{refused:#}");
    let allowed = desk.connector(&["run", "--delete-cap", "1"]).await.exits(0).document();
    assert_eq!(allowed["streams"][0]["deletes"], json!(100), "{allowed:#}");
}
