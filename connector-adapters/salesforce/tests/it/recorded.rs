//! Answers that real orgs gave, which say the same to us. Those that no part of the adapter asks for (`recordCount`,
//! `getUpdated`) are left out; errors, limits and results of jobs have their tests beside the code that reads them.

use connector_salesforce::{Client, SalesforceConfig};
use connector_sdk::Class;
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::FakeOrg,
};
use serde_json::Value;

use super::host::{config, connect, context, start, within};

/// What was recorded under this name; none where there are no recordings.
#[expect(clippy::print_stderr, reason = "a test that had nothing to read says so")]
fn recorded(name: &str) -> Option<String> {
    let Some(folder) = std::env::var_os("CONNECTOR_FIXTURES") else {
        eprintln!("CONNECTOR_FIXTURES is not set: {name} is not read");
        return None;
    };
    let file = std::path::Path::new(&folder).join("salesforce").join(format!("{name}.json"));
    Some(std::fs::read_to_string(file).unwrap())
}

fn client(org: &FakeOrg) -> Client {
    let config: SalesforceConfig = serde_json::from_value(config(org)).unwrap();
    Client::connect(&config, &context()).unwrap()
}

/// The rows of a query that is answered by this.
async fn rows_of(name: &str) -> Option<Vec<Value>> {
    let body = recorded(name)?;
    let org = start(FakeOrg::builder()).await;
    org.faults().on("/query").times(1).then(Fault::status(200).with_body(body));
    Some(client(&org).query("SELECT Id FROM Contact").await.unwrap())
}

#[test]
fn the_pages_of_a_query_are_read_one_after_the_other() {
    within(async {
        let Some(first) = recorded("restforce_sobject_query_paginated_first_page_response") else { return };
        let Some(last) = recorded("restforce_sobject_query_paginated_last_page_response") else { return };
        let org = start(FakeOrg::builder()).await;
        org.faults().on("/query/01gD").times(1).then(Fault::status(200).with_body(last));
        org.faults()
            .on(Matcher::path("/query").query("Text_Label"))
            .times(1)
            .then(Fault::status(200).with_body(first));
        let rows = client(&org).query("SELECT Text_Label FROM Whizbang").await.unwrap();
        let texts: Vec<_> = rows.iter().map(|row| row["Text_Label"].as_str().unwrap()).collect();
        assert_eq!(texts, ["First Page", "Last Page"]);
    });
}

#[test]
fn rows_have_the_values_parents_and_children_they_were_sent_with() {
    within(async {
        let Some(rows) = rows_of("restforce_sobject_query_success_response").await else { return };
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["Picklist_Multiselect_Label"], "four;six");
        assert_eq!(rows[0]["ParentWhizbang__r"]["Name"], "Parent Whizbang");
        assert!(rows[0].to_string().contains("Whizbangs__r"), "{}", rows[0]);
        let rows = rows_of("restforce_sobject_query_empty_response").await.unwrap();
        assert!(rows.is_empty());
        let rows = rows_of("restforce_sobject_query_aggregate_success_response").await.unwrap();
        let sums: Vec<_> = rows.iter().map(|row| row["expr0"].as_f64().unwrap()).collect();
        assert_eq!(sums, [300.0, 100.0, 400.0]);
        assert_eq!(rows[2]["CampaignId"], Value::Null);
        let rows = rows_of("cumulusci_query_Account").await.unwrap();
        let mut names: Vec<_> = rows.iter().map(|row| row["Name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!((names.len(), names[0]), (6, "Account 0"));
    });
}

#[test]
fn a_row_that_is_asked_for_by_its_id_has_its_compound_fields() {
    within(async {
        let Some(body) = recorded("cumulusci_sobject_Organization") else { return };
        let org = start(FakeOrg::builder()).await;
        org.faults().on("/sobjects/Organization/").times(1).then(Fault::status(200).with_body(body));
        let row = client(&org).retrieve("Organization", "00D0xORGID00000000", &[]).await.unwrap();
        assert_eq!(row["Name"], "CumulusCI - Dev Workspace");
        assert_eq!(row["Address"]["country"], "US");
    });
}

#[test]
fn a_described_object_is_a_stream_or_says_why_it_is_none() {
    within(async {
        let Some(body) = recorded("restforce_sobject_sobject_describe_success_response") else { return };
        let mut described: Value = serde_json::from_str(&body).unwrap();
        let fields = described["fields"].as_array().unwrap().len();
        // Recorded before describes said so.
        described["queryable"] = true.into();
        let org = start(FakeOrg::builder()).await;
        org.faults().on("/describe").times(1).then(Fault::status(200).with_body(described.to_string()));
        let cx = context();
        let connector = connect(&config(&org), &cx).unwrap();
        let catalog = connector.discover(&cx, Some(&["Whizbang".into()])).await.unwrap();
        assert_eq!(catalog.stream("Whizbang").unwrap().fields().count(), fields);
    });
}

#[test]
fn a_sign_in_that_names_a_host_outside_of_the_connection_is_refused_without_its_token() {
    within(async {
        for name in ["restforce_auth_success_response", "restforce_refresh_success_response"] {
            let Some(body) = recorded(name) else { return };
            let token =
                serde_json::from_str::<Value>(&body).unwrap()["access_token"].as_str().unwrap().to_owned();
            let org = start(FakeOrg::builder()).await;
            org.faults()
                .on("/oauth2/token")
                .always()
                .then(Fault::status(200).with_header("content-type", "application/json").with_body(body));
            let error = client(&org).query("SELECT Id FROM Contact").await.unwrap_err();
            assert!(matches!(error.class(), Class::Config | Class::Auth), "{error}");
            assert!(error.to_string().contains("na1.salesforce.com"), "{error}");
            assert!(!format!("{error:?}").contains(&token));
        }
    });
}
