//! `…/sobjects/X/deleted` and `…/sobjects/X/updated`: what went and what changed between two times.
//!
//! What it does: rows put into the recycle bin and rows removed for good are in the log of deletions with the
//! second they went, until they are undeleted or the log is purged; seconds of `start` and `end` are cut off;
//! a start before what the log still holds, and a span of less than a minute, are refused; so are too many ids.
//! `latestDateCovered` is the end asked for, but not later than the org's time, and lags behind it if a test
//! says so: what happened since then is not told yet.
//!
//! What it does not: the log does not purge itself by size, and any object is replicated that can be read.
//!
//! Sources: REST guide (resources_getdeleted, resources_getupdated, dome_get_deleted), SOAP guide
//! (sforce_api_calls_getdeleted).

use std::ops::Bound;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::datetime;
use super::org::{Data, FakeOrg, Org};
use super::reply;
use super::schema::Access;
use super::soql::Refusal;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// How far back deletions are told, in days.
const DELETED_DAYS: i64 = 15;
/// How far back changes are told, in days.
const UPDATED_DAYS: i64 = 30;
/// Most ids of one answer.
const MOST_IDS: usize = 600_000;

/// What a test has set.
#[derive(Debug)]
pub(super) struct Replication {
    /// Milliseconds that `latestDateCovered` is behind.
    lag: i64,
    most_ids: usize,
    /// Nothing before this is in the log of deletions any more.
    purged_before: i64,
}

impl Default for Replication {
    fn default() -> Self {
        Self { lag: 0, most_ids: MOST_IDS, purged_before: i64::MIN }
    }
}

/// From when to when, in whole minutes, the end not included.
struct Span {
    start: i64,
    end: i64,
    earliest: i64,
    covered: i64,
}

/// Answers `…/deleted`.
pub(super) fn deleted(org: &Org, object: &str, query: &str) -> Response {
    answer(org, object, query, DELETED_DAYS, |data, span| {
        let table = data.table(object)?;
        let records: Vec<Value> = table
            .deletions()
            .filter(|(_, at)| (span.start..span.end.min(span.covered)).contains(at))
            .map(|(slot, at)| json!({"id": table.id(slot), "deletedDate": datetime::text(at)}))
            .collect();
        let count = records.len();
        let answer = json!({
            "deletedRecords": records,
            "earliestDateAvailable": datetime::text(span.earliest),
            "latestDateCovered": datetime::text(span.covered),
        });
        Some((count, answer))
    })
}

/// Answers `…/updated`: new and changed rows that are not deleted.
pub(super) fn updated(org: &Org, object: &str, query: &str) -> Response {
    answer(org, object, query, UPDATED_DAYS, |data, span| {
        let table = data.table(object)?;
        let to = Bound::Excluded(span.end.min(span.covered));
        let ids: Vec<&str> = table
            .seen_between(Bound::Included(span.start), to)
            .into_iter()
            .filter(|row| table.columns.is_deleted.is_none_or(|column| !row.is_true(column)))
            .map(|row| row.plain(table.columns.id))
            .collect();
        Some((ids.len(), json!({"ids": ids, "latestDateCovered": datetime::text(span.covered)})))
    })
}

fn answer(
    org: &Org,
    object: &str,
    query: &str,
    days: i64,
    find: impl FnOnce(&Data, &Span) -> Option<(usize, Value)>,
) -> Response {
    let now = org.clock.now();
    let mut data = org.data();
    data.settle(now);
    let Some(access) = data.table(object).map(|table| table.object.access) else {
        return reply::not_found();
    };
    if matches!(access, Access::Forbidden | Access::EventsOnly) {
        let message = format!("insufficient access rights on entity: {object}");
        return reply::refused(&Refusal::new("INSUFFICIENT_ACCESS", message));
    }
    let span = match span(&data.replication, query, days, now) {
        Ok(span) => span,
        Err(refusal) => return reply::refused(&refusal),
    };
    match find(&data, &span) {
        // Text not recorded.
        Some((count, _)) if count > data.replication.most_ids => reply::refused(&Refusal::new(
            "EXCEEDED_ID_LIMIT",
            "too many ids: choose a start and an end that are closer together",
        )),
        Some((_, answer)) => reply::json(StatusCode::OK, &answer),
        None => reply::not_found(),
    }
}

/// Reads `start` and `end`. A `+` that was not percent-encoded is a space, and no date-time.
fn span(settings: &Replication, query: &str, days: i64, now: i64) -> Result<Span, Refusal> {
    let whole = |at: i64| at - at.rem_euclid(MINUTE);
    let time = |wanted: &str| {
        let text = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted);
        // Code and text not recorded.
        let text = text.ok_or_else(|| Refusal::new("MISSING_ARGUMENT", format!("{wanted} is missing")))?.1;
        let at = datetime::parse(&text).ok_or_else(|| {
            Refusal::new("INVALID_REPLICATION_DATE", format!("'{text}' is no date and time"))
        })?;
        Ok(whole(at))
    };
    let (start, end) = (time("start")?, time("end")?);
    if end - start < MINUTE {
        // "must chronologically precede … by more than one minute" (SOAP guide); text not recorded.
        let message = "endDate has to be at least one minute greater than startDate";
        return Err(Refusal::new("INVALID_REPLICATION_DATE", message));
    }
    let purged = if days == DELETED_DAYS { settings.purged_before } else { i64::MIN };
    let earliest = whole((now - days * DAY).max(purged));
    if start < earliest {
        // Text as jsforce #406 shows it.
        let message = "startDate before org replication enabled date";
        return Err(Refusal::new("INVALID_REPLICATION_DATE", message));
    }
    // Where nothing lags, the minute that is under way is told as far as it has come.
    let covered = if settings.lag == 0 { end.min(now + 1) } else { end.min(whole(now - settings.lag)) };
    Ok(Span { start, end, earliest, covered: covered.max(start) })
}

impl FakeOrg {
    /// From now on `latestDateCovered` of deletions and changes is at least this many milliseconds behind the
    /// org's time, and what happened since is not told yet. 0 for no lag.
    pub fn set_replication_lag(&self, millis: i64) {
        self.org.data().replication.lag = millis.max(0);
    }

    /// Most ids that deletions and changes are told with at once; 600,000 without.
    pub fn set_replication_limit(&self, ids: usize) {
        self.org.data().replication.most_ids = ids;
    }

    /// Purges the log of deletions: what went before this time (milliseconds since the epoch) is in it no more,
    /// and a start before it is refused.
    pub fn forget_deletions_before(&self, millis: i64) {
        let mut data = self.org.data();
        data.replication.purged_before = millis;
        data.forget_deletions_before(millis);
    }
}
