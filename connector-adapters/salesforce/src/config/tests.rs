use connector_sdk::{Class, Context, Factory, Network};
use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::door::Door;

fn config(change: impl FnOnce(&mut Value)) -> Value {
    let mut config = json!({
        "instance_url": "https://acme.my.salesforce.com",
        "auth": { "client_credentials": { "client_id": "key", "client_secret": "hunter2" } },
    });
    change(&mut config);
    config
}

fn check(config: &Value) -> Result<Settings> {
    serde_json::from_value::<SalesforceConfig>(config.clone()).unwrap().check(&Network::default(), Door::Rest)
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let settings = check(&config(|_| {})).unwrap();
    assert_eq!(settings.api_version.to_string(), "v66.0");
    assert_eq!(settings.api_version.path(), "/services/data/v66.0");
    assert_eq!(
        (settings.page_size, settings.lookback.as_secs(), settings.safety_lag.as_secs()),
        (2_000, 600, 300)
    );
    assert!(settings.include_deleted);
    assert!((settings.quota_share - 0.8).abs() < f64::EPSILON);
    assert_eq!(settings.login_url.as_str(), "https://login.salesforce.com/");
}

#[test]
fn every_wrong_value_is_a_config_error_that_names_its_field() {
    for (field, value) in [
        ("instance_url", json!("https://login.salesforce.com")),
        ("instance_url", json!("https://test.salesforce.com")),
        ("instance_url", json!("http://acme.my.salesforce.com")),
        ("instance_url", json!("https://acme.evil.example")),
        ("instance_url", json!("acme")),
        ("instance_url", json!(null)),
        ("login_url", json!("https://evil.example")),
        ("api_version", json!("66")),
        ("api_version", json!("v66")),
        ("api_version", json!("v66.1")),
        ("api_version", json!("v+66.0")),
        ("api_version", json!("v066.0")),
        ("api_version", json!("v1000.0")),
        ("api_version", json!("v66.0/../..")),
        ("api_version", json!("v21.0")),
        ("api_version", json!("v30.0")),
        ("page_size", json!(199)),
        ("page_size", json!(2_001)),
        ("quota_share", json!(0)),
        ("quota_share", json!(1.01)),
        ("quota_share", json!(-0.5)),
        ("lookback", json!("400d")),
        ("safety_lag", json!("9000h")),
    ] {
        let error = check(&config(|config| config[field] = value.clone())).unwrap_err();
        assert_eq!(error.class(), Class::Config, "{field}: {value}");
        assert!(error.message().contains(&format!("`{field}`")), "{value}: {error}");
    }
    let retired = check(&config(|config| config["api_version"] = "v30.0".into())).unwrap_err();
    assert!(retired.message().contains("retired") && retired.message().contains("v31.0"), "{retired}");
}

#[test]
fn each_way_to_sign_in_needs_what_it_needs() {
    let auth = |auth: Value| config(|config| config["auth"] = auth);
    let jwt = json!({"jwt_bearer": {"client_id": "key", "username": "u@acme.example", "private_key": "PEM"}});
    let saml =
        json!({"saml_bearer": {"client_id": "key", "username": "u@acme.example", "private_key": "PEM"}});
    let refresh = json!({"refresh_token": {"client_id": "key", "refresh_token": "r"}});
    let session = json!({"session": {"access_token": "00D"}});
    for way in [&jwt, &saml, &refresh, &session] {
        assert!(check(&auth(way.clone())).is_ok(), "{way}");
    }
    let without_instance = |way: &Value| {
        let mut config = auth(way.clone());
        config.as_object_mut().unwrap().remove("instance_url");
        check(&config)
    };
    for way in [&jwt, &saml, &refresh] {
        assert!(without_instance(way).is_ok(), "{way}");
    }
    assert!(without_instance(&session).unwrap_err().message().contains("`instance_url`"));
    assert!(check(&config(|config| config["instance_url"] = Value::Null)).is_err());
    for (way, field) in [
        (json!({"client_credentials": {"client_id": "", "client_secret": "s"}}), "client_id"),
        (json!({"client_credentials": {"client_id": "k", "client_secret": " "}}), "client_secret"),
        (json!({"refresh_token": {"client_id": "k", "refresh_token": ""}}), "refresh_token"),
        (json!({"jwt_bearer": {"client_id": "k", "username": "", "private_key": "p"}}), "username"),
        (json!({"saml_bearer": {"client_id": " ", "username": "u", "private_key": "p"}}), "client_id"),
        (json!({"saml_bearer": {"client_id": "k", "username": "", "private_key": "p"}}), "username"),
        (json!({"saml_bearer": {"client_id": "k", "username": "u", "private_key": ""}}), "private_key"),
        (json!({"session": {"access_token": ""}}), "access_token"),
    ] {
        let error = check(&auth(way)).unwrap_err();
        assert!(error.message().contains(field), "{error}");
    }
}

#[test]
fn an_unknown_key_is_refused_by_name_and_no_secret_is_shown() {
    let factory = crate::rest();
    let connect = |config: Value| {
        let raw = RawValue::from_string(config.to_string()).unwrap();
        factory.connect(&raw, &Context::builder("t", "c").build()).err().unwrap().to_string()
    };
    let text = connect(config(|config| config["instnce_url"] = "x".into()));
    assert!(text.contains("instnce_url"), "{text}");
    let text = connect(config(|config| config["auth"]["client_credentials"]["secret"] = "x".into()));
    assert!(text.contains("auth.client_credentials"), "{text}");
    let text = connect(config(|config| config["auth"] = json!({"password": {"password": "hunter2"}})));
    assert!(text.contains("auth") && !text.contains("hunter2"), "{text}");
    let text = connect(config(|config| config["page_size"] = "hunter2".into()));
    assert!(text.contains("page_size") && !text.contains("hunter2"), "{text}");
    let known: SalesforceConfig = serde_json::from_value(config(|_| {})).unwrap();
    assert!(!format!("{known:?}").contains("hunter2"));
}

#[test]
fn the_schema_documents_every_field() {
    let schema = serde_json::to_value(schemars::schema_for!(SalesforceConfig)).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.len(), 13);
    for (name, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
