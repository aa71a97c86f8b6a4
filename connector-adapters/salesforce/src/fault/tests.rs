use std::{fs, path::PathBuf};

use connector_sdk::{
    Delivery,
    http::{HeaderMap, HeaderValue, Request, Response, StatusCode},
};

use super::*;

const NOW: &str = "Sat, 31 Jan 2026 12:00:00 GMT";

fn answer(status: u16, content_type: &'static str, body: &str) -> Option<Error> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    headers.insert("date", HeaderValue::from_static(NOW));
    let url = "https://acme.my.salesforce.com/services/data/v66.0/query".parse().unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    let response = Response::new(status, headers, body.to_owned(), url, Timestamp::from_millis(0));
    SalesforceFaults.fault(&Request::get("query", "/services/data/v66.0/query"), &response)
}

fn rest(status: u16, code: &str, message: &str) -> Error {
    let body = serde_json::json!([{"message": message, "errorCode": code}]).to_string();
    answer(status, "application/json;charset=UTF-8", &body).unwrap()
}

fn oauth(code: &str, description: &str) -> Error {
    let body = serde_json::json!({"error": code, "error_description": description}).to_string();
    answer(400, "application/json", &body).unwrap()
}

/// Every row of the reference's table, and what is done about it.
#[test]
fn every_row_of_the_table_has_its_class() {
    use Class::{Auth, Config, Permanent, RateLimited, Transient};
    use Then::{Elsewhere, Fail, Redescribe, Restart, Shrink, Skip, Split};
    let rows: &[(u16, &str, &str, Class, bool, bool, Then)] = &[
        // status, code, message, class, exhausted, resume_at, then
        // Re-authorise once.
        (401, "INVALID_SESSION_ID", "Session expired or invalid", Auth, false, false, Fail),
        (403, "INVALID_SESSION_ID", "Session expired or invalid", Auth, false, false, Fail),
        (401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE", Auth, false, false, Fail),
        // A new token does not help.
        (401, "", "Connected app is not attached to Agent", Config, true, false, Fail),
        (
            401,
            "INVALID_SESSION_ID",
            "This session is not valid for use with the REST API",
            Config,
            true,
            false,
            Fail,
        ),
        (
            400,
            "INVALID_LOGIN",
            "Invalid username, password, security token; or user locked out.",
            Auth,
            true,
            false,
            Fail,
        ),
        (
            403,
            "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
            "The users password has expired",
            Auth,
            true,
            false,
            Fail,
        ),
        // Wait and retry.
        (429, "", "", RateLimited, false, false, Fail),
        (500, "UNKNOWN_EXCEPTION", "An unexpected error occurred", Transient, false, false, Fail),
        (502, "", "", Transient, false, false, Fail),
        (503, "SERVER_UNAVAILABLE", "We are down for maintenance", Transient, false, false, Fail),
        (504, "", "", Transient, false, false, Fail),
        (406, "", "", Transient, false, false, Fail),
        (420, "", "", Transient, false, false, Fail),
        (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
            RateLimited,
            false,
            false,
            Fail,
        ),
        (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentPerOrgLongTxn Limit exceeded.",
            RateLimited,
            false,
            false,
            Fail,
        ),
        (
            400,
            "UNABLE_TO_LOCK_ROW",
            "unable to obtain exclusive access to this record",
            Transient,
            false,
            false,
            Fail,
        ),
        (400, "SERVER_UNAVAILABLE", "server temporarily unavailable", Transient, false, false, Fail),
        // Stop for now.
        (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", RateLimited, true, true, Fail),
        (
            400,
            "API_ERROR",
            "Max bulk v2 query jobs (10000) per 24 hrs has been exceeded",
            RateLimited,
            true,
            true,
            Elsewhere,
        ),
        (
            400,
            "API_ERROR",
            "Max bulk v2 query result size stored (1000000000) kb per 24 hrs has been exceeded",
            RateLimited,
            true,
            true,
            Elsewhere,
        ),
        // Shrink.
        (
            400,
            "QUERY_TIMEOUT",
            "Your query request was running for too long.",
            Permanent,
            false,
            false,
            Shrink,
        ),
        (400, "OPERATION_TOO_LARGE", "exceeded 20000 distinct ids", Permanent, false, false, Shrink),
        (400, "QUERY_TOO_COMPLICATED", "too many formula fields", Permanent, false, false, Split),
        (414, "", "", Permanent, false, false, Split),
        (431, "", "", Permanent, false, false, Split),
        // Restart.
        (400, "INVALID_QUERY_LOCATOR", "invalid query locator", Permanent, false, false, Restart),
        (
            400,
            "INVALID_REPLICATION_DATE",
            "startDate before org replication enabled date",
            Permanent,
            false,
            false,
            Fail,
        ),
        // Another door.
        (
            400,
            "INVALIDENTITY",
            "Entity 'CaseStatus' is not supported by the Bulk API.",
            Permanent,
            false,
            false,
            Elsewhere,
        ),
        (
            400,
            "API_ERROR",
            "Selecting compound data not supported in Bulk Query",
            Permanent,
            false,
            false,
            Elsewhere,
        ),
        (403, "FeatureNotEnabled", "Async API not enabled", Config, false, false, Elsewhere),
        // Somebody has to act.
        (403, "API_DISABLED_FOR_ORG", "API is disabled for this User", Config, false, false, Fail),
        (403, "INSUFFICIENT_ACCESS", "insufficient access rights", Config, false, false, Skip),
        (403, "TXN_SECURITY_METERING_ERROR", "blocked", Config, false, false, Fail),
        (400, "OPERATION_TOO_LARGE", "exceeded 100000 distinct who/what's", Config, false, false, Fail),
        (400, "API_ERROR", "Implementation restriction: no access", Config, false, false, Fail),
        (410, "GONE", "The requested resource is retired", Config, false, false, Fail),
        (
            410,
            "UNSUPPORTED_API_VERSION",
            "The requested API version (v20.0) is retired",
            Config,
            false,
            false,
            Fail,
        ),
        // The caller's mistake.
        (400, "MALFORMED_QUERY", "unexpected token: FORM", Permanent, false, false, Fail),
        (
            400,
            "INVALID_FIELD",
            "No such column 'Nope' on entity 'Contact'",
            Permanent,
            false,
            false,
            Redescribe,
        ),
        (400, "INVALID_TYPE", "sObject type 'XYZZY' is not supported.", Permanent, false, false, Skip),
        (
            400,
            "INVALID_TYPE_FOR_OPERATION",
            "entity type Name does not support query",
            Permanent,
            false,
            false,
            Skip,
        ),
        (
            400,
            "MALFORMED_QUERY",
            "Implementation restriction: Vote requires a filter by reified column",
            Permanent,
            false,
            false,
            Skip,
        ),
        (404, "NOT_FOUND", "The requested resource does not exist", Permanent, false, false, Fail),
        (400, "MALFORMED_ID", "malformed id", Permanent, false, false, Fail),
        (
            400,
            "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [LastName]",
            Permanent,
            false,
            false,
            Fail,
        ),
        (400, "DUPLICATES_DETECTED", "Use one of these records?", Permanent, false, false, Fail),
        (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "no", Permanent, false, false, Fail),
        (400, "DUPLICATE_VALUE", "duplicate value found", Permanent, false, false, Fail),
        (400, "DUPLICATE_EXTERNAL_ID", "more than one record", Permanent, false, false, Fail),
        (300, "", "", Permanent, false, false, Fail),
        // Codes that nobody knows go by their status.
        (400, "OF_THE_NEXT_RELEASE", "what", Permanent, false, false, Fail),
        (403, "OF_THE_NEXT_RELEASE", "what", Permanent, false, false, Fail),
        (500, "OF_THE_NEXT_RELEASE", "what", Transient, false, false, Fail),
        (401, "OF_THE_NEXT_RELEASE", "what", Auth, false, false, Fail),
    ];
    for (status, code, message, class, exhausted, resumes, expected) in rows {
        let error = rest(*status, code, message);
        let row = format!("{status} {code} {message}: {error:?}");
        assert_eq!(error.class(), *class, "{row}");
        assert_eq!(error.is_exhausted(), *exhausted, "{row}");
        let resume_at = resumes.then(|| "2026-01-31T13:00:00Z".parse::<Timestamp>().unwrap());
        assert_eq!(error.resume_at(), resume_at, "{row}");
        assert_eq!(then(&error), *expected, "{row}");
        assert_eq!(error.operation(), "query");
        if !code.is_empty() {
            assert!(error.context().any(|(name, value)| name == "code" && value == *code), "{row}");
        }
    }
}

#[test]
fn each_refusal_to_sign_in_says_what_to_do() {
    for (code, description, class, expected) in [
        ("invalid_grant", "expired access/refresh token", Class::Auth, "authorise the app again"),
        ("invalid_grant", "authentication failure", Class::Auth, "wrong user or secret"),
        ("invalid_grant", "authentication failure - Invalid Password", Class::Auth, "user name or password"),
        ("invalid_grant", "inactive user", Class::Auth, "activate"),
        ("invalid_grant", "inactive organization", Class::Auth, "org is not active"),
        ("invalid_grant", "user hasn't approved this consumer", Class::Auth, "pre-approve"),
        ("invalid_grant", "audience is invalid", Class::Auth, "audience"),
        ("invalid_grant", "", Class::Auth, "authorise the app again"),
        ("inactive_user", "", Class::Auth, "activate"),
        ("inactive_org", "", Class::Auth, "org is not active"),
        ("invalid_client_id", "client identifier invalid", Class::Auth, "client_id"),
        ("invalid_client", "invalid client credentials", Class::Auth, "client_secret"),
        ("unsupported_grant_type", "grant type not supported", Class::Config, "way to sign in"),
        ("rate_limit_exceeded", "login rate exceeded", Class::RateLimited, "too many"),
    ] {
        let error = oauth(code, description);
        assert_eq!(error.class(), class, "{code} {description}");
        assert!(error.message().contains(expected), "{code} {description}: {error}");
        assert_eq!(
            error.is_exhausted(),
            class != Class::RateLimited,
            "only a rate is worth a retry: {error:?}"
        );
    }
    let error = answer(400, "application/json", r#"{"error":"invalid_grant"}"#).unwrap();
    assert_eq!(error.class(), Class::Auth, "the description can be absent");
}

#[test]
fn html_from_the_front_end_is_judged_by_its_status() {
    let html = "<html><body><h1>Bad Message 414</h1></body></html>";
    for (status, class) in [
        (414, Class::Permanent),
        (431, Class::Permanent),
        (503, Class::Transient),
        (500, Class::Transient),
        (401, Class::Auth),
        (200, Class::Transient),
    ] {
        assert_eq!(answer(status, "text/html;charset=iso-8859-1", html).unwrap().class(), class, "{status}");
    }
    assert!(answer(414, "text/html", html).unwrap().message().contains("`fields`"));
    assert_eq!(answer(200, "application/json", "\n <!DOCTYPE html>").unwrap().class(), Class::Transient);
    assert!(answer(200, "application/json", r#"{"done":true}"#).is_none());
    assert!(answer(204, "text/plain", "").is_none());
}

#[test]
fn the_bulk_1_shape_is_read_too() {
    let error = answer(
        400,
        "application/json",
        r#"{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}"#,
    );
    assert_eq!(error.unwrap().class(), Class::Auth);
    let error = answer(
        400,
        "application/json",
        r#"{"exceptionCode":"InvalidVersion","exceptionMessage":"Invalid Api version"}"#,
    );
    assert_eq!(error.unwrap().class(), Class::Config);
}

#[test]
fn what_the_vendor_says_is_one_short_line() {
    let error = rest(
        400,
        "MALFORMED_QUERY",
        &format!("\nSELECT Id FORM x\n          ^\nERROR {}", "é".repeat(1_000)),
    );
    let text = error.to_string();
    assert!(
        !text.contains('\n') && text.contains("SELECT Id FORM x ^ ERROR") && text.len() < 1_000,
        "{text}"
    );
    assert_eq!(error.delivery(), Delivery::NotSent, "the layer above sets it, as for every vendor");
}

/// The recordings of real answers, where the machine has them.
fn recorded(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test is the edge of its program")]
    let folder = std::env::var("CONNECTOR_FIXTURES").ok()?;
    fs::read_to_string(PathBuf::from(folder).join("salesforce").join(name)).ok()
}

#[test]
fn recorded_errors_decode_to_what_they_say() {
    for (name, status, class, code, expected) in [
        ("restforce_auth_error_response.json", 400, Class::Auth, "invalid_grant", Then::Fail),
        ("restforce_refresh_error_response.json", 400, Class::Auth, "invalid_grant", Then::Fail),
        ("restforce_expired_session_response.json", 401, Class::Auth, "INVALID_SESSION_ID", Then::Fail),
        (
            "restforce_sobject_query_error_response.json",
            400,
            Class::Permanent,
            "INVALID_FIELD",
            Then::Redescribe,
        ),
        (
            "restforce_sobject_write_error_response.json",
            400,
            Class::Permanent,
            "INVALID_FIELD",
            Then::Redescribe,
        ),
        (
            "restforce_sobject_sobject_describe_error_response.json",
            404,
            Class::Permanent,
            "NOT_FOUND",
            Then::Fail,
        ),
        ("restforce_sobject_upsert_error_response.json", 404, Class::Permanent, "NOT_FOUND", Then::Fail),
    ] {
        let Some(body) = recorded(name) else { return };
        let error = answer(status, "application/json", &body).unwrap();
        assert_eq!((error.class(), then(&error)), (class, expected), "{name}");
        assert!(error.context().any(|(name, value)| name == "code" && value == code), "{name}: {error}");
    }
}

#[test]
fn recorded_parts_of_a_composite_decode_like_answers_of_their_own() {
    for (name, index, class, expected) in [
        ("cumulusci_composite_404_subrequest.json", 0, Class::Permanent, Then::Fail),
        ("cumulusci_composite_invalid_type.json", 1, Class::Permanent, Then::Skip),
    ] {
        let Some(body) = recorded(name) else { return };
        assert!(answer(200, "application/json", &body).is_none(), "the outer answer is a success");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let part = &body["compositeResponse"][index];
        let status = u16::try_from(part["httpStatusCode"].as_u64().unwrap()).unwrap();
        let error = answer(status, "application/json", &part["body"].to_string()).unwrap();
        assert_eq!((error.class(), then(&error)), (class, expected), "{name}");
    }
}

#[test]
fn an_error_body_of_more_than_64_kib_is_not_looked_into() {
    let said = |length: usize| {
        let body = serde_json::json!([{"message": "m".repeat(length), "errorCode": "QUERY_TIMEOUT"}]);
        Said::read(body.to_string().as_bytes()).code
    };
    assert_eq!(said(60_000), "QUERY_TIMEOUT");
    assert_eq!(said(70_000), "");
}

#[test]
fn what_the_vendor_says_reaches_no_error_with_control_characters_or_as_a_code_that_is_none() {
    let said = |code: &str, message: &str| {
        Said::read(serde_json::json!({"error": code, "error_description": message}).to_string().as_bytes())
    };
    assert_eq!(said("x", "a\u{1b}[31mb\r\nc\u{9b}d\0").line(), "a [31mb c d");
    for code in ["INVALID_FIELD", "sf:API.fault - 1", &"A".repeat(80)] {
        assert_eq!(said(code, "").code, code);
    }
    for code in ["", "A\nB", "A\u{1b}[0m", "ÄÖ", "<b>", &"A".repeat(81)] {
        assert_eq!(said(code, "").code, "", "{code:?}");
    }
}
