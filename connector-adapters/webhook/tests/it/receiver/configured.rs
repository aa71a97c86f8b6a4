//! Configurations that do not fit: named by their field, without a secret.

use connector_sdk::{Class, Context, Factory as _};
use serde_json::{Value, json, value::RawValue};

use super::{SECRET, github};

fn error(config: &Value) -> Option<String> {
    let cx = Context::builder("acme", "hooks").build();
    let raw = RawValue::from_string(config.to_string()).unwrap();
    let error = connector_webhook::receiver().connect(&raw, &cx).err()?;
    assert_eq!(error.class(), Class::Config, "{error}");
    Some(format!("{error} {error:?}"))
}

#[test]
fn each_value_that_does_not_fit_is_named_and_no_secret_is_shown() {
    assert_eq!(error(&github(json!({}))), None);
    let endpoint = |more: Value| {
        let mut endpoint = json!({ "path": "/in", "scheme": "github", "secrets": ["canary"] });
        let Value::Object(more) = more else { panic!("fields") };
        more.into_iter().for_each(|(name, value)| endpoint[name] = value);
        github(json!({ "endpoints": [endpoint] }))
    };
    let twice = json!({ "path": "/in", "scheme": "github", "secrets": [SECRET] });
    for (config, field) in [
        (github(json!({ "listen": "localhost" })), "`listen`"),
        (github(json!({ "listen": null })), "`listen`"),
        (github(json!({ "listen": null, "tls": { "certificate": "c", "key": "k" } })), "`tls`"),
        (github(json!({ "endpoints": [] })), "`endpoints`"),
        (github(json!({ "endpoints": [twice, twice] })), "`endpoints[1].path`"),
        (github(json!({ "max_body": 0 })), "`max_body`"),
        (github(json!({ "max_body": "1GiB" })), "`max_body`"),
        (github(json!({ "max_in_flight": "1KiB" })), "`max_in_flight`"),
        (github(json!({ "max_connections": 0 })), "`max_connections`"),
        (github(json!({ "header_timeout": "1ms" })), "`header_timeout`"),
        (github(json!({ "body_timeout": "1h" })), "`body_timeout`"),
        (github(json!({ "rate": { "per_second": 0 } })), "`rate.per_second`"),
        (github(json!({ "rate": { "per_second": 1, "burst": 0 } })), "`rate.burst`"),
        (github(json!({ "remember": { "time": "1h" } })), "`remember.time`"),
        (github(json!({ "remember": { "count": 1 } })), "`remember.count`"),
        (github(json!({ "journal": { "path": "" } })), "`journal.path`"),
        (github(json!({ "journal": { "path": "j", "max_size": 5 } })), "`journal.max_size`"),
        (github(json!({ "unknown": 1 })), "unknown"),
        (endpoint(json!({ "path": "in" })), "`endpoints[0].path`"),
        (endpoint(json!({ "path": "/in?x=1" })), "`endpoints[0].path`"),
        (endpoint(json!({ "path": "/a/../in" })), "`endpoints[0].path`"),
        (endpoint(json!({ "path": "/é" })), "`endpoints[0].path`"),
        (endpoint(json!({ "scheme": null })), "`endpoints[0].scheme`"),
        (endpoint(json!({ "scheme": "md5" })), "scheme"),
        (endpoint(json!({ "secrets": [] })), "endpoints[0]: `secrets`"),
        (endpoint(json!({ "secrets": ["canary", ""] })), "endpoints[0]: `secrets`"),
        (endpoint(json!({ "scheme": "none" })), "endpoints[0]: `secrets`"),
        (endpoint(json!({ "scheme": "standard-webhooks" })), "endpoints[0]: `secrets`"),
        (
            endpoint(json!({ "scheme": "standard-webhooks", "secrets": ["whsec_Y2FuYXJ5"] })),
            "endpoints[0]: `secrets`",
        ),
        (endpoint(json!({ "tolerance": "5m" })), "endpoints[0]: `tolerance`"),
        (endpoint(json!({ "headers": ["no header"] })), "`endpoints[0].headers`"),
    ] {
        let error = error(&config).unwrap_or_else(|| panic!("{config} was taken"));
        assert!(error.contains(field), "{config}: {error}");
        assert!(!error.contains("canary") && !error.contains("Y2FuYXJ5"), "{error}");
    }
}
