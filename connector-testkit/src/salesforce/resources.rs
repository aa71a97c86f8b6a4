//! What the org says of itself: API versions, the resources of one version, its limits.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::org::Org;
use super::reply;

/// v21 to v30 were retired in Summer '25, the older ones before (help article 000354473).
const LAST_RETIRED: u32 = 30;
/// v31 to v40 are deprecated and go in Summer '28 (help article 005321531).
const LAST_DEPRECATED: u32 = 40;
/// Summer '26.
const NEWEST: u32 = 67;

/// What the org makes of an API version in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Unknown,
    Retired,
    Deprecated,
    Current,
}

/// Reads `v66.0`.
pub(super) fn version(segment: &str) -> Version {
    let number = segment.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0"));
    match number.and_then(|number| number.parse::<u32>().ok()) {
        Some(7..=LAST_RETIRED) => Version::Retired,
        Some(number) if number > LAST_RETIRED && number <= LAST_DEPRECATED => Version::Deprecated,
        Some(number) if number > LAST_DEPRECATED && number <= NEWEST => Version::Current,
        _ => Version::Unknown,
    }
}

/// Whether this API version (`66.0`, as SOAP paths write it) is answered.
pub(super) fn is_served(number: &str) -> bool {
    matches!(version(&format!("v{number}")), Version::Deprecated | Version::Current)
}

/// `GET /services/data`: needs no session and carries no limits.
pub(super) fn versions() -> Response {
    let list: Vec<Value> = (LAST_RETIRED + 1..=NEWEST)
        .map(|number| {
            json!({
                "label": release(number),
                "url": format!("/services/data/v{number}.0"),
                "version": format!("{number}.0"),
            })
        })
        .collect();
    reply::json(StatusCode::OK, &list.into())
}

/// Three releases a year; v66 is Spring '26, and Winter carries the number of the year that follows.
fn release(number: u32) -> String {
    let since = i64::from(number) - 66;
    let year = 26 + since.div_euclid(3);
    match since.rem_euclid(3) {
        0 => format!("Spring '{year}"),
        1 => format!("Summer '{year}"),
        _ => format!("Winter '{}", year + 1),
    }
}

/// `GET /services/data/vNN.0`: the resources served here.
pub(super) fn resources(version: &str) -> Response {
    let list: Map<String, Value> = ["limits", "query", "queryAll", "sobjects"]
        .into_iter()
        .map(|name| (name.to_owned(), format!("/services/data/{version}/{name}").into()))
        .collect();
    reply::json(StatusCode::OK, &list.into())
}

/// `GET …/limits`. Only the daily requests and the Bulk query quotas move; the others are there for clients that look.
pub(super) fn limits(org: &Org) -> Response {
    let mut list: Map<String, Value> = [
        ("ConcurrentAsyncGetReportInstances", 200),
        ("ConcurrentSyncReportRuns", 20),
        ("DailyAsyncApexExecutions", 250_000),
        ("DailyBulkApiBatches", 15_000),
        ("DailyDurableStreamingApiEvents", 10_000),
        ("DailyGenericStreamingApiEvents", 10_000),
        ("DailyStreamingApiEvents", 10_000),
        ("DataStorageMB", 1_024),
        ("FileStorageMB", 1_024),
        ("HourlyODataCallout", 10_000),
        ("HourlySyncReportRuns", 500),
        ("MassEmail", 10),
        ("SingleEmail", 15),
    ]
    .into_iter()
    .map(|(name, max)| (name.to_owned(), json!({"Max": max, "Remaining": max})))
    .collect();
    let (used, daily) = org.usage();
    let requests = json!({"Max": daily, "Remaining": daily.saturating_sub(used)});
    list.insert("DailyApiRequests".to_owned(), requests);
    for (name, max, left) in org.bulk().limits() {
        list.insert(name.to_owned(), json!({"Max": max, "Remaining": left}));
    }
    reply::json(StatusCode::OK, &list.into())
}

/// The header that announces the end of a version.
pub(super) fn deprecation(version: &str) -> String {
    format!("299 - \"API version {version} is deprecated and will be retired in Summer '28\"")
}
