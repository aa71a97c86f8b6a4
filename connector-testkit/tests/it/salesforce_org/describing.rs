//! Describes: ours have the shape of recorded ones, and recorded ones are served where they are there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use connector_testkit::salesforce::FakeOrg;
use serde_json::Value;

use super::{Client, within};

/// The folder of recorded Salesforce answers, or a word about why the test checks nothing.
#[allow(clippy::disallowed_methods, reason = "the edge of a test program")]
pub(crate) fn recorded() -> Option<PathBuf> {
    let folder = std::env::var("CONNECTOR_FIXTURES").ok();
    if folder.is_none() {
        println!("skipped: CONNECTOR_FIXTURES is not set");
    }
    folder.map(|folder| PathBuf::from(folder).join("salesforce"))
}

fn file(folder: &std::path::Path, name: &str) -> Value {
    let text = std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("an object: {value}")).keys().cloned().collect()
}

fn kinds(value: &Value) -> BTreeSet<(String, &'static str)> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    value.as_object().expect("an object").iter().map(|(key, value)| (key.clone(), kind(value))).collect()
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = list.as_array().expect("a list").iter().find(|entry| entry["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn all_objects_are_listed_with_what_they_can_do() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let client = Client::new(&org);
        let global = client.get("/services/data/v66.0/sobjects").await.json();
        assert_eq!(
            (global["encoding"].as_str(), global["maxBatchSize"].as_u64()),
            (Some("UTF-8"), Some(200))
        );
        for (name, prefix, queryable) in [
            ("Account", Some("001"), true),
            ("Contact", Some("003"), true),
            ("User", Some("005"), true),
            ("LoginHistory", Some("0Ya"), true),
            ("Pricebook_Setup__c", Some("a00"), true),
            ("AccountChangeEvent", None, false),
            ("ContactChangeEvent", None, true),
            ("Payroll__c", Some("a01"), true),
        ] {
            let entry = named(&global["sobjects"], name);
            assert_eq!(
                (entry["keyPrefix"].as_str(), entry["queryable"].as_bool()),
                (prefix, Some(queryable)),
                "{name}"
            );
            assert_eq!(entry["custom"], name.ends_with("__c"));
            let address = entry["urls"]["describe"].as_str().expect("an address");
            assert_eq!(client.get(address).await.json()["name"], name);
        }
    });
}

#[test]
fn a_describe_tells_types_keys_and_what_can_be_filtered() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let client = Client::new(&org);
        let contact = client.get("/services/data/v66.0/sobjects/contact/describe/").await.json();
        let field = |name: &str| named(&contact["fields"], name).clone();
        for (name, kind, soap) in [
            ("Id", "id", "tns:ID"),
            ("AccountId", "reference", "tns:ID"),
            ("Email", "email", "xsd:string"),
            ("MailingStreet", "textarea", "xsd:string"),
            ("MailingAddress", "address", "urn:address"),
            ("Birthdate", "date", "xsd:date"),
            ("SystemModstamp", "datetime", "xsd:dateTime"),
            ("HasOptedOutOfEmail", "boolean", "xsd:boolean"),
            ("Score__c", "double", "xsd:double"),
            ("LeadSource", "picklist", "xsd:string"),
        ] {
            assert_eq!(
                (field(name)["type"].as_str(), field(name)["soapType"].as_str()),
                (Some(kind), Some(soap)),
                "{name}"
            );
        }
        assert_eq!(field("Description")["filterable"], false);
        assert_eq!(field("SystemModstamp")["nillable"], false);
        assert_eq!(field("MailingCity")["compoundFieldName"], "MailingAddress");
        assert_eq!(field("AccountId")["referenceTo"][0], "Account");
        assert_eq!(field("Score__c")["custom"], true);
        let login = client.get("/services/data/v66.0/sobjects/LoginHistory/describe").await.text;
        assert!(!login.contains("SystemModstamp") && login.contains("LoginTime"));
        let account = client.get("/services/data/v66.0/sobjects/Account/describe").await.json();
        let child = account["childRelationships"].as_array().expect("list");
        assert!(
            child
                .iter()
                .any(|child| child["childSObject"] == "Contact" && child["relationshipName"] == "Contacts")
        );
    });
}

#[test]
fn built_in_describes_have_the_shape_of_the_recorded_ones() {
    let Some(folder) = recorded() else { return };
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let client = Client::new(&org);
        let ours = client.get("/services/data/v66.0/sobjects/Account/describe").await.json();
        let theirs = file(&folder, "cumulusci_describe_Account.json");
        assert_eq!(keys(&ours), keys(&theirs));
        assert_eq!(keys(&ours["fields"][0]), keys(&theirs["fields"][0]));
        assert_eq!(keys(&ours["childRelationships"][0]), keys(&theirs["childRelationships"][0]));
        assert_eq!(keys(&ours["recordTypeInfos"][0]), keys(&theirs["recordTypeInfos"][0]));
        assert!(keys(&ours["urls"]).is_subset(&keys(&theirs["urls"])));
        let seen: BTreeSet<_> = theirs["fields"].as_array().expect("fields").iter().flat_map(kinds).collect();
        for field in ours["fields"].as_array().expect("fields") {
            let strange: Vec<_> = kinds(field).into_iter().filter(|kind| !seen.contains(kind)).collect();
            assert!(strange.is_empty(), "{}: {strange:?}", field["name"]);
        }
        // Fields that both have are described alike, up to this org's own labels, lists and settings.
        for name in [
            "Id",
            "IsDeleted",
            "ParentId",
            "BillingStreet",
            "BillingCity",
            "BillingAddress",
            "Phone",
            "AnnualRevenue",
            "NumberOfEmployees",
            "Description",
            "OwnerId",
            "SystemModstamp",
            "CreatedById",
        ] {
            let (mine, recorded) = (named(&ours["fields"], name), named(&theirs["fields"], name));
            for key in keys(mine) {
                if ![
                    "label",
                    "picklistValues",
                    "permissionable",
                    "searchPrefilterable",
                    "idLookup",
                    "relationshipName",
                ]
                .contains(&key.as_str())
                {
                    assert_eq!(mine[&key], recorded[&key], "{name}.{key}");
                }
            }
        }
        let global = client.get("/services/data/v66.0/sobjects").await.json();
        let recorded = file(&folder, "cumulusci_describe_global.json");
        assert_eq!(keys(&global), keys(&recorded));
        assert_eq!(
            kinds(named(&global["sobjects"], "Account")),
            kinds(named(&recorded["sobjects"], "Account"))
        );
    });
}

#[test]
fn recorded_describes_are_served_and_agree_with_the_rows() {
    let Some(folder) = recorded() else { return };
    within(async {
        let org = FakeOrg::builder().accounts(30).recorded(&folder).start().await.expect("start");
        let client = Client::new(&org);
        for name in ["Account", "Case"] {
            let served = client.get(&format!("/services/data/v66.0/sobjects/{name}/describe")).await;
            assert!(!served.text.contains("v48.0") && !served.text.contains("my.salesforce.com"));
            let served = served.json();
            let recorded = file(&folder, &format!("cumulusci_describe_{name}.json"));
            assert_eq!(keys(&served), keys(&recorded));
            assert_eq!(served["childRelationships"], recorded["childRelationships"]);
            for field in recorded["fields"].as_array().expect("fields") {
                let name = field["name"].as_str().expect("name");
                assert_eq!(named(&served["fields"], name), field, "{name}");
            }
            let fields: Vec<_> = served["fields"].as_array().expect("fields").iter().collect();
            let names: Vec<_> = fields.iter().map(|field| field["name"].as_str().expect("name")).collect();
            let (records, _) = client.all("query", &format!("SELECT {} FROM {name}", names.join(","))).await;
            assert_eq!(records.len(), if name == "Account" { 30 } else { 0 });
            for (record, field) in
                records.iter().flat_map(|record| fields.iter().map(move |field| (record, field)))
            {
                let value = &record[field["name"].as_str().expect("name")];
                assert!(field["nillable"] == true || !value.is_null(), "{} is null", field["name"]);
            }
        }
        let global = client.get("/services/data/v66.0/sobjects").await.json();
        let recorded = file(&folder, "cumulusci_describe_global.json");
        for entry in recorded["sobjects"].as_array().expect("list") {
            let name = entry["name"].as_str().expect("name");
            assert_eq!(named(&global["sobjects"], name)["queryable"], entry["queryable"]);
            let answer = client.query(&format!("SELECT Id FROM {name} LIMIT 1")).await;
            let held = ["Account", "Contact", "User"].contains(&name);
            assert_eq!(answer.status == 200, entry["queryable"] == true || held, "{name}: {}", answer.text);
        }
        assert!(global["sobjects"].as_array().is_some_and(|list| list.len() > 110), "ours are listed too");
    });
}
