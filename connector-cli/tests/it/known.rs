//! What the binary knows without any file.

use serde_json::json;

use crate::desk::connector;

#[tokio::test]
async fn list_names_each_connector_with_id_method_version_and_modes() {
    let list = connector(&["--json", "list"]).await.exits(0).document();
    for (id, method) in [
        ("email/imap", "imap"),
        ("salesforce/auto", "auto"),
        ("salesforce/bulk", "bulk"),
        ("salesforce/rest", "rest"),
        ("slack/web", "web"),
    ] {
        let known = list["connectors"].as_array().unwrap().iter().find(|entry| entry["id"] == id).unwrap();
        assert_eq!(known["method"], method);
        assert_eq!(known["modes"], json!(["incremental", "full"]));
        assert!(known["version"].as_str().unwrap().split('.').count() == 3);
    }
    let people = connector(&["list"]).await.exits(0);
    assert!(people.out.contains("salesforce/rest") && people.err.is_empty(), "{people:#?}");
}

#[tokio::test]
async fn spec_shows_the_manifest_and_the_schema_of_the_configuration() {
    let spec = connector(&["spec", "salesforce/rest", "--json"]).await.exits(0).document();
    assert_eq!(spec["manifest"]["system"], "salesforce");
    assert_eq!(spec["config_schema"]["additionalProperties"], false);
    assert!(spec["config_schema"]["properties"]["auth"].is_object());
    let text = spec["config_schema"].to_string();
    assert!(text.contains(r#""writeOnly":true"#), "secrets are marked as such");
}

#[tokio::test]
async fn help_and_version_go_to_standard_output() {
    for argument in ["--help", "--version"] {
        let outcome = connector(&[argument]).await.exits(0);
        assert!(outcome.out.contains("connector") && outcome.err.is_empty(), "{outcome:#?}");
    }
}
