use connector_sdk::{Timestamp, http::HeaderMap};

use super::*;

fn answer(
    operation: &'static str,
    status: u16,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Option<Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let response = Response::new(
        StatusCode::from_u16(status).unwrap(),
        map,
        body.to_owned(),
        "https://slack.com/api/x".parse().unwrap(),
        Timestamp::from_millis(0),
    );
    super::fault(&Request::get(operation, "/api/x"), &response)
}

fn code(code: &str) -> Error {
    answer("users.list", 200, &[], &format!(r#"{{"ok":false,"error":"{code}"}}"#)).expect("a failure")
}

/// The table of the reference, row by row.
#[test]
fn every_code_has_its_class() {
    for (class, then, codes) in [
        (Class::RateLimited, Then::Fail, &["ratelimited", "rate_limited"][..]),
        (Class::Transient, Then::Fail, &["service_unavailable", "request_timeout", "team_added_to_org"]),
        (Class::Transient, Then::Fail, &["fatal_error", "internal_error"]),
        (Class::Auth, Then::Fail, &["token_expired", "not_authed", "invalid_auth", "account_inactive"]),
        (Class::Auth, Then::Fail, &["token_revoked"]),
        (Class::Config, Then::Fail, &["missing_scope", "no_permission", "org_login_required"]),
        (Class::Config, Then::Fail, &["ekm_access_denied", "not_allowed_token_type", "access_denied"]),
        (
            Class::Config,
            Then::Fail,
            &["two_factor_setup_required", "accesslimited", "enterprise_is_restricted"],
        ),
        (Class::Permanent, Then::Skip, &["not_in_channel", "channel_not_found", "is_archived"]),
        (
            Class::Permanent,
            Then::Skip,
            &["channel_is_limited_access", "method_not_supported_for_channel_type"],
        ),
        (
            Class::Permanent,
            Then::Fail,
            &["thread_not_found", "invalid_limit", "limit_required", "msg_too_long"],
        ),
        (Class::Permanent, Then::Fail, &["invalid_ts_latest", "invalid_ts_oldest", "missing_argument"]),
        (Class::Permanent, Then::Restart, &["invalid_cursor"]),
        (Class::Permanent, Then::Fail, &["a_code_of_tomorrow"]),
    ] {
        for known in codes {
            let error = code(known);
            assert_eq!((error.class(), super::then(&error)), (class, then), "{known}");
            assert_eq!(error_code(&error), Some(*known), "kept as it came");
            assert!(error.to_string().contains(known), "{error}");
        }
    }
}

#[test]
fn a_missing_scope_is_named() {
    let body = r#"{"ok":false,"error":"missing_scope","needed":"channels:history","provided":"users:read"}"#;
    let error = answer("conversations.history", 200, &[], body).unwrap();
    assert_eq!(error.class(), Class::Config);
    assert!(error.message().contains("channels:history"), "{error}");
    let context: Vec<_> = error.context().collect();
    assert!(
        context.contains(&("needed", "channels:history")) && context.contains(&("provided", "users:read"))
    );
}

#[test]
fn what_says_ok_is_good_whatever_stands_before_it() {
    for good in [
        r#"{"ok":true}"#,
        r#" { "ok" : true , "members": [] }"#,
        r#"{"messages":[{"ok":false}],"ok":true}"#,
        r#"{"ok":true,"warning":"missing_charset","response_metadata":{"warnings":["missing_charset"]}}"#,
        r#"{"ok":true,"response_metadata":{"messages":["[WARN] superfluous"],"next_cursor":""}}"#,
    ] {
        for operation in ["users.list", "conversations.history"] {
            assert!(answer(operation, 200, &[], good).is_none(), "{operation} {good}");
        }
    }
    assert!(answer("conversations.history", 200, &[], r#"{"messages":[],"ok":false}"#).is_some());
}

#[test]
fn what_is_no_answer_is_no_success() {
    for (body, class) in [
        ("", Class::Transient),
        ("<html>maintenance</html>", Class::Transient),
        (r#"{"ok":tr"#, Class::Transient),
        (r#"{"ok":true,"members":[{"id":"U"#, Class::Transient),
        ("garbage", Class::Transient),
        ("null", Class::Schema),
        ("[]", Class::Schema),
        ("{}", Class::Schema),
        (r#"{"ok":"yes"}"#, Class::Schema),
    ] {
        assert_eq!(answer("users.list", 200, &[], body).unwrap().class(), class, "{body}");
    }
    let odd = answer("users.list", 200, &[], r#"{"ok":false,"error":"no <b>code</b>"}"#).unwrap();
    assert_eq!((odd.class(), error_code(&odd)), (Class::Permanent, Some("")));
    assert!(!odd.to_string().contains('<'));
}

#[test]
fn a_status_means_what_it_says_unless_a_code_is_known() {
    let ratelimited = r#"{"ok":false,"error":"ratelimited"}"#;
    for (status, body, class) in [
        (500, "", Class::Transient),
        (503, "<html>", Class::Transient),
        (504, r#"{"ok":false}"#, Class::Transient),
        (400, ratelimited, Class::RateLimited),
        (503, ratelimited, Class::RateLimited),
        (404, "<html>", Class::Permanent),
        (401, r#"{"ok":false,"error":"invalid_auth"}"#, Class::Auth),
        (403, r#"{"ok":false,"error":"a_code_of_tomorrow"}"#, Class::Permanent),
    ] {
        let error = answer("users.list", status, &[], body).unwrap();
        assert_eq!(error.class(), class, "{status} {body}");
    }
}

#[test]
fn who_is_asked_to_slow_down_waits_though_no_time_is_named() {
    let wait = |headers, status, body| answer("users.list", status, headers, body).unwrap().retry_after();
    assert_eq!(wait(&[], 429, ""), Some(UNSTATED_WAIT));
    assert_eq!(wait(&[], 200, r#"{"ok":false,"error":"ratelimited"}"#), Some(UNSTATED_WAIT));
    // The layer reads what is named.
    assert_eq!(wait(&[("retry-after", "7")], 429, ""), None);
}

#[test]
fn the_vendors_own_examples_of_failures_are_read() {
    let Some(folder) = std::env::var_os("CONNECTOR_FIXTURES") else {
        eprintln!("CONNECTOR_FIXTURES is not set: the vendor's examples are not read");
        return;
    };
    for (file, expected) in [
        ("spec_conversations.history_error.json", Class::Permanent),
        ("spec_conversations.replies_error.json", Class::Permanent),
        ("spec_users.list_error.json", Class::Permanent),
        ("spec_chat.postMessage_error.json", Class::Permanent),
        ("ref_oauth.v2.access_error.json", Class::Permanent),
    ] {
        let path = std::path::Path::new(&folder).join("slack").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let error = answer("users.list", 200, &[], &text).expect(file);
        assert_eq!(error.class(), expected, "{file}: {error}");
        let code = serde_json::from_str::<serde_json::Value>(&text).unwrap()["error"].clone();
        assert_eq!(error_code(&error), code.as_str(), "{file}");
    }
}
