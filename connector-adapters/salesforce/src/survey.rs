//! What has to be asked before a read can be planned: the vendor's clock, the oldest row, how many.

use std::{sync::Arc, time::Duration};

use connector_sdk::{
    Class, Context, Delivery, Error, Partition, Plan, ReadRequest, Result, StreamSelection, StreamState,
    SyncMode, Timestamp, contract::Skipped,
};
use serde::{Deserialize, Serialize};

use crate::{
    api::Api,
    bulk,
    deleted::{self, Ledger},
    describe::{Described, ID},
    door::Door,
    fault::{self, Then},
    pages::Source,
    plan::{Answer, Reach, Standing, Window},
    selection::Selection,
    soql::{Condition, Query},
};

/// The partition of a read that has but one.
const ALL: &str = "all";
/// How far the vendor's clock may be ahead of ours. What a plan reaches is never taken back: one that is made
/// by a clock of the far future would leave nothing to read for good.
const MOST_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// What to read now.
pub(crate) async fn plan(
    api: &Arc<Api>,
    cx: &Context,
    stream: &StreamSelection,
    state: &StreamState,
) -> Result<Plan> {
    let survey = Survey::new(api, cx, stream)?;
    let plan = match stream.mode {
        SyncMode::Full => survey.plan_full().await,
        SyncMode::Incremental => survey.plan(state).await,
    };
    match plan {
        Err(error) if fault::then(&error) == Then::Skip => {
            let mut plan = Plan::nothing();
            plan.skipped.push(Skipped { partition: ALL.into(), error: Arc::new(error) });
            Ok(plan)
        }
        plan => plan.map_err(fault::after_all),
    }
}

/// How many rows a read of the stream would find now.
pub(crate) async fn count(api: &Arc<Api>, cx: &Context, stream: &StreamSelection) -> Result<u64> {
    let survey = Survey::new(api, cx, stream)?;
    let query = survey.selection.bounded(survey.selection.count()?)?;
    Ok(survey.count(query).await?.0)
}

struct Survey {
    api: Arc<Api>,
    cx: Context,
    selection: Selection,
    source: Source,
    reach: Reach,
    door: Door,
    /// Whether deletions are asked for besides.
    reads_log: bool,
}

/// What the reader of a full read has to know: travels in [`Partition::slice`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Full {
    /// Whether it is to be read by a Bulk job.
    pub(crate) by_job: bool,
}

/// Whether a partition is to be read by a Bulk job: planned so, or begun so.
pub(crate) fn is_by_job(request: &ReadRequest) -> bool {
    let is_begun =
        request.state.as_ref().is_some_and(|state| !state.is_complete() && bulk::job_of(state).is_some());
    let is_planned = match request.stream.mode {
        SyncMode::Full => request.partition.slice::<Full>().is_ok_and(|full| full.by_job),
        SyncMode::Incremental => request.partition.slice::<Window>().is_ok_and(|window| window.by_job),
    };
    is_begun || is_planned
}

/// What was found by asking.
struct Found {
    /// The time of the first row.
    first: Option<i64>,
    now: Timestamp,
}

impl Survey {
    fn new(api: &Arc<Api>, cx: &Context, stream: &StreamSelection) -> Result<Self> {
        let settings = api.settings();
        let selection = Selection::of(settings, stream)?;
        let source = Source::new(api, cx, &selection, settings.page_size);
        let reads_log = settings.include_deleted && settings.deleted_log && stream.spec.has_log();
        let reach = Reach {
            lookback: settings.lookback,
            safety_lag: settings.safety_lag,
            since: stream.since,
            until: stream.until,
        };
        Ok(Self {
            api: Arc::clone(api),
            cx: cx.clone(),
            selection,
            source,
            reach,
            door: settings.door,
            reads_log,
        })
    }

    /// One partition, told which way it is read where there is a choice.
    async fn plan_full(&self) -> Result<Plan> {
        let all = Partition::new(ALL);
        if self.door != Door::Auto {
            return Ok(Plan::read([all]));
        }
        let rows = match self.count(self.selection.bounded(self.selection.count()?)?).await {
            Ok((rows, _)) => Some(rows),
            Err(error) if cannot_count(&error) => None,
            Err(error) => return Err(error),
        };
        let by_job = self.takes_job(rows).await?;
        Ok(Plan::read([all.with_slice(&Full { by_job })?]))
    }

    async fn plan(&self, state: &StreamState) -> Result<Plan> {
        let (watermark, folded) = match Standing::of(state)? {
            Standing::Unfinished(windows) => {
                // An object that was closed to us in between would be skipped and planned for ever.
                self.ask(self.select([ID])?.limit(1)).await?;
                let mut plan = read(&windows)?.and_again();
                if let Some(range) = Ledger::unread(state)?.filter(|_| self.reads_log) {
                    plan.partitions.push(range.partition()?);
                }
                return Ok(plan);
            }
            Standing::Folded { watermark, folded } => (watermark, folded),
        };
        let answer = match watermark.low(&self.reach) {
            None => self.first_load().await?,
            Some(low) => self.changes_since(low).await?,
        };
        let answer = Answer { by_job: self.takes_job(answer.rows).await?, ..answer };
        let closed = watermark.closed;
        let (mut watermark, windows) = watermark.next(&self.reach, &answer);
        let mut plan = read(&windows)?;
        if self.reads_log {
            watermark.read_log(closed, answer.now, self.reach.lookback);
            let log = watermark.log.as_deref();
            if let Some(range) = log.and_then(Ledger::reading) {
                plan.partitions.push(range.partition()?);
            }
            if let Some(unknown) = log.and_then(Ledger::unknown) {
                let error = Arc::new(unknown.error());
                plan.skipped.push(Skipped { partition: deleted::skipped_name(), error });
            }
        }
        Ok(plan.with_state(watermark.state()?).folding(folded))
    }

    /// The oldest row, and how many there are.
    async fn first_load(&self) -> Result<Answer> {
        let cursor = self.selection.cursor()?;
        let query = self.selection.bounded(self.select([ID, cursor])?)?.order_by(cursor)?.limit(1);
        let Found { first, now } = self.ask(query).await?;
        let oldest = first.map(Timestamp::from_millis);
        if oldest.is_none() {
            return Ok(Answer { now, oldest, rows: Some(0), by_job: false });
        }
        match self.count(self.selection.bounded(self.selection.count()?)?).await {
            Ok((rows, now)) => Ok(Answer { now, oldest, rows: Some(rows), by_job: false }),
            Err(error) if cannot_count(&error) => Ok(Answer { now, oldest, rows: None, by_job: false }),
            Err(error) => Err(error),
        }
    }

    /// How many rows changed at or after this.
    async fn changes_since(&self, low: Timestamp) -> Result<Answer> {
        let condition = Condition::at_or_after(self.selection.cursor()?, low)?;
        match self.count(self.selection.count()?.filter(condition)).await {
            Ok((rows, now)) => Ok(Answer { now, oldest: None, rows: Some(rows), by_job: false }),
            Err(error) if cannot_count(&error) => {
                let now = self.ask(self.select([ID])?.limit(1)).await?.now;
                Ok(Answer { now, oldest: None, rows: None, by_job: false })
            }
            Err(error) => Err(error),
        }
    }

    fn select<'a>(&self, fields: impl IntoIterator<Item = &'a str>) -> Result<Query> {
        Query::select(fields, self.selection.object())
    }

    /// Whether so many rows are read by a job. Where there is a choice, none is made when the day's are used up.
    async fn takes_job(&self, rows: Option<u64>) -> Result<bool> {
        let takes = rows != Some(0) && Door::takes_job(self.api.settings(), self.selection.spec(), rows);
        if !takes || self.door != Door::Auto {
            return Ok(takes);
        }
        match self.api.limits(&self.cx).await {
            Ok(limits) => Ok(limits.daily_jobs.is_none_or(|left| left.remaining > 0)),
            Err(error) if matches!(error.class(), Class::Auth | Class::RateLimited) => Err(error),
            // Who may not see the limits, or not now, learns of them when the job is refused.
            Err(_) => Ok(true),
        }
    }

    async fn count(&self, query: Query) -> Result<(u64, Timestamp)> {
        let mut pages = self.source.put(query.to_string());
        let answered = pages.next().await?;
        let rows = answered.as_ref().and_then(|answered| answered.found).ok_or_else(|| {
            Error::new(Class::Schema, "query", "the answer to COUNT() has no `totalSize`")
                .with_delivery(Delivery::Answered)
        })?;
        Ok((rows, self.vendor_clock(answered.and_then(|answered| answered.date))?))
    }

    /// The first row. Pages may be empty before it.
    async fn ask(&self, query: Query) -> Result<Found> {
        let mut pages = self.source.put(query.to_string());
        let mut now = None;
        while let Some(answered) = pages.next().await? {
            // The first answer's: what was visible then is known, what came later is not.
            now = now.or(answered.date);
            if let Some(record) = answered.page.batch.get(0) {
                return Ok(Found { first: record.source_timestamp, now: self.vendor_clock(now)? });
            }
        }
        Ok(Found { first: None, now: self.vendor_clock(now)? })
    }

    fn vendor_clock(&self, date: Option<Timestamp>) -> Result<Timestamp> {
        vendor_clock(date, self.cx.clock().now())
    }
}

/// The vendor's clock is the only one that tells what has been seen (rule D-09).
///
/// It is refused when it is far ahead of ours; behind, it holds nothing back that a later run does not read.
fn vendor_clock(date: Option<Timestamp>, ours: Timestamp) -> Result<Timestamp> {
    let wrong = |message: String| Error::permanent("query", message).with_delivery(Delivery::Answered);
    let date = date.ok_or_else(|| {
        wrong("the answer has no Date header; a proxy on the way must not drop it".to_owned())
    })?;
    if date.saturating_since(ours) > MOST_AHEAD {
        return Err(wrong(format!(
            "the answer's Date header says {date}, more than 24 h ahead of this machine's clock, {ours}: \
             one of the two clocks is wrong"
        )));
    }
    Ok(date)
}

/// Some objects cannot be counted, and some counts take too long: they are read all the same.
fn cannot_count(error: &Error) -> bool {
    match fault::then(error) {
        Then::Shrink => true,
        Then::Fail => error.class() == Class::Permanent,
        _ => false,
    }
}

fn read(windows: &[Window]) -> Result<Plan> {
    Ok(Plan::read(windows.iter().map(Window::partition).collect::<Result<Vec<_>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_09_without_the_vendors_clock_nothing_is_planned() {
        let ours = Timestamp::from_millis(0);
        assert!(vendor_clock(None, ours).unwrap_err().message().contains("Date"));
        assert!(vendor_clock(Some(ours), ours).is_ok());
    }

    #[test]
    fn a_vendors_clock_more_than_a_day_ahead_of_ours_is_refused_and_one_behind_is_not() {
        let ours: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert!(vendor_clock(Some(ours + MOST_AHEAD), ours).is_ok());
        assert!(vendor_clock(Some(Timestamp::from_millis(0)), ours).is_ok());
        for wrong in ["2026-02-01T12:00:01Z", "9999-01-01T00:00:00Z"] {
            let error = vendor_clock(Some(wrong.parse().unwrap()), ours).unwrap_err();
            assert_eq!(error.class(), Class::Permanent);
            for named in [wrong.trim_end_matches('Z'), "2026-01-31T12:00:00"] {
                assert!(error.message().contains(named), "{error}");
            }
        }
    }
}
