use connector_sdk::Class;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn check(change: &[(&str, Value)]) -> Result<Settings> {
    let mut config = json!({
        "url": "https://example.com/hooks?token=canary-1", "secrets": [SECRET], "outbox": { "path": "outbox" },
        "headers": { "X-Api-Key": "canary-2" },
    });
    for (name, value) in change {
        config[*name] = value.clone();
    }
    let cx = Context::builder("acme", "hooks").folder("/etc/acme").build();
    serde_json::from_value::<SenderConfig>(config).expect("parses").check(&cx)
}

#[test]
fn the_defaults_are_those_of_the_interface() {
    let settings = check(&[]).unwrap();
    let hours: Vec<u64> = settings.schedule.waits.iter().map(Duration::as_secs).collect();
    assert_eq!(hours, [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]);
    assert_eq!((settings.concurrency, settings.ordered, settings.retry_4xx), (8, false, false));
    assert_eq!(settings.outbox, PathBuf::from("/etc/acme/outbox"));
    assert_eq!(settings.timeout, Duration::from_secs(15));
    assert_eq!(check(&[("ordered", json!(true))]).unwrap().concurrency, 1);
}

#[test]
fn no_secret_is_shown() {
    let settings = check(&[]).unwrap();
    let shown = format!("{settings:?}");
    assert!(!shown.contains("canary") && shown.contains("https://example.com"), "{shown}");
}

#[test]
fn each_value_that_does_not_fit_is_named() {
    let url = |url: &str| ("url", json!(url));
    for (change, field) in [
        (url("example.com"), "url"),
        (url("ftp://example.com"), "url"),
        (url("https://user@example.com/"), "url"),
        (url("https://:pass@example.com/"), "url"),
        (url("https://user:pass@example.com/"), "url"),
        (url("https://example.com:25/"), "url"),
        (url("http://example.com:6667/"), "url"),
        (url("https://example.com:0/"), "url"),
        (url("https://example.com/#x"), "url"),
        (("secrets", json!([])), "secrets"),
        (("secrets", json!(["whsec_c2hvcnQ="])), "secrets"),
        (("hmac", json!({ "header": "X-Signature" })), "hmac"),
        (("id_header", json!("X-Id")), "id_header"),
        (("headers", json!({ "Host": "x" })), "headers"),
        (("headers", json!({ "a b": "x" })), "headers"),
        (("headers", json!({ "X-A": "x\r\ny" })), "headers"),
        (("headers", json!({ "X-Team": "Zürich" })), "headers"),
        (("headers", json!({ "X-A": "x", "x-a": "y" })), "headers"),
        (("schedule", json!([])), "schedule"),
        (("schedule", json!(["0s", "0s"])), "schedule"),
        (("schedule", json!(["32d"])), "schedule"),
        (("schedule", json!(vec!["1s"; 51])), "schedule"),
        (("jitter", json!(-0.1)), "jitter"),
        (("jitter", json!(1.1)), "jitter"),
        (("retry_after_cap", json!("32d")), "retry_after_cap"),
        (("concurrency", json!(0)), "concurrency"),
        (("concurrency", json!(257)), "concurrency"),
        (("timeout", json!("0s")), "timeout"),
        (("timeout", json!("6m")), "timeout"),
        (("max_response", json!("2MiB")), "max_response"),
        (("outbox", json!({ "path": "" })), "outbox.path"),
        (("outbox", json!({ "path": "x", "max_size": 1000 })), "outbox.max_size"),
    ] {
        let error = check(std::slice::from_ref(&change)).unwrap_err();
        assert_eq!(error.class(), Class::Config, "{change:?}");
        assert!(error.message().contains(&format!("`{field}`")), "{change:?}: {error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let both = [("ordered", json!(true)), ("concurrency", json!(2))];
    assert!(check(&both).unwrap_err().message().contains("`concurrency`"));
    let both = [("outbox", json!({ "path": "x", "max_size": "1MiB" })), ("max_response", json!("64KiB"))];
    assert!(check(&both).unwrap_err().message().contains("`max_response`"));
}
