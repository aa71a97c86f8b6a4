//! What has to be asked before a read can be planned: the vendor's clock, the oldest row, how many.

use std::sync::Arc;

use connector_sdk::{
    Context, Error, Partition, Plan, Result, StreamSelection, StreamState, SyncMode, Timestamp,
    contract::Skipped, http::Response, record::PageSplitter,
};

use crate::{
    api::{Api, vendor_clock},
    describe::ID,
    fault::{self, Then},
    plan::{Answer, Reach, Standing, Window},
    query,
    selection::{Selection, field},
    soql::{Condition, Query},
};

/// The partition of a read that has but one.
pub(crate) const ALL: &str = "all";

/// What to read now.
pub(crate) async fn plan(
    api: &Api,
    cx: &Context,
    stream: &StreamSelection,
    state: &StreamState,
) -> Result<Plan> {
    if stream.mode == SyncMode::Full {
        return Ok(Plan::read([Partition::new(ALL)]));
    }
    let survey = Survey { api, cx, selection: Selection::of(api.settings(), stream)?, stream };
    match survey.plan(state).await {
        Err(error) if fault::then(&error) == Then::Skip => {
            let mut plan = Plan::nothing();
            plan.skipped.push(Skipped { partition: ALL.into(), error: Arc::new(error) });
            Ok(plan)
        }
        plan => plan,
    }
}

/// How many rows a read of the stream would find now.
pub(crate) async fn count(api: &Api, cx: &Context, stream: &StreamSelection) -> Result<u64> {
    let survey = Survey { api, cx, selection: Selection::of(api.settings(), stream)?, stream };
    let query = survey.selection.bounded(survey.selection.count()?)?;
    Ok(survey.count(query).await?.0)
}

struct Survey<'a> {
    api: &'a Api,
    cx: &'a Context,
    selection: Selection,
    stream: &'a StreamSelection,
}

impl Survey<'_> {
    async fn plan(&self, state: &StreamState) -> Result<Plan> {
        let (watermark, folded) = match Standing::of(state)? {
            Standing::Unfinished(windows) => {
                // An object that was closed to us in between would be skipped and planned for ever.
                self.ask(self.select([ID])?.limit(1)).await?;
                return Ok(read(&windows)?.and_again());
            }
            Standing::Folded { watermark, folded } => (watermark, folded),
        };
        let settings = self.api.settings();
        let reach = Reach {
            lookback: settings.lookback,
            safety_lag: settings.safety_lag,
            since: self.stream.since,
            until: self.stream.until,
        };
        let answer = match watermark.low(&reach) {
            None => self.first_load().await?,
            Some(low) => self.changes_since(low).await?,
        };
        let (watermark, windows) = watermark.next(&reach, &answer);
        Ok(read(&windows)?.with_state(watermark.state()?).folding(folded))
    }

    /// The oldest row, and how many there are.
    async fn first_load(&self) -> Result<Answer> {
        let cursor = self.selection.cursor()?;
        let query = self.selection.bounded(self.select([ID, cursor])?)?.order_by(cursor)?.limit(1);
        let (oldest, now) = {
            let (page, response) = self.ask(query).await?;
            let oldest = page.batch.get(0).and_then(|record| record.source_timestamp);
            (oldest.map(Timestamp::from_millis), vendor_clock(&response)?)
        };
        if oldest.is_none() {
            return Ok(Answer { now, oldest, rows: Some(0) });
        }
        let count = self.selection.bounded(self.selection.count()?)?;
        match self.count(count).await {
            Ok((rows, now)) => Ok(Answer { now, oldest, rows: Some(rows) }),
            Err(error) if fault::then(&error) == Then::Shrink => Ok(Answer { now, oldest, rows: None }),
            Err(error) => Err(error),
        }
    }

    /// How many rows changed at or after this.
    async fn changes_since(&self, low: Timestamp) -> Result<Answer> {
        let condition = Condition::at_or_after(self.selection.cursor()?, low)?;
        let query = self.selection.count()?.filter(condition);
        match self.count(query).await {
            Ok((rows, now)) => Ok(Answer { now, oldest: None, rows: Some(rows) }),
            Err(error) if fault::then(&error) == Then::Shrink => {
                let (_, response) = self.ask(self.select([ID])?.limit(1)).await?;
                Ok(Answer { now: vendor_clock(&response)?, oldest: None, rows: None })
            }
            Err(error) => Err(error),
        }
    }

    fn select<'b>(&self, fields: impl IntoIterator<Item = &'b str>) -> Result<Query> {
        Query::select(fields, self.selection.object())
    }

    async fn count(&self, query: Query) -> Result<(u64, Timestamp)> {
        let (page, response) = self.ask(query).await?;
        let rows = page.number(field::TOTAL_SIZE).ok_or_else(|| {
            Error::new(connector_sdk::Class::Schema, "query", "the answer to COUNT() has no `totalSize`")
        })?;
        Ok((rows, vendor_clock(&response)?))
    }

    async fn ask(&self, query: Query) -> Result<(connector_sdk::record::Page, Response)> {
        let splitter = PageSplitter::new(self.selection.page_spec());
        query::fetch_split(&splitter, 1, || {
            let soql = query.to_string();
            async move { self.api.query(self.cx, &soql, self.selection.all, self.api.settings().page_size).await }
        })
        .await
    }
}

fn read(windows: &[Window]) -> Result<Plan> {
    Ok(Plan::read(windows.iter().map(Window::partition).collect::<Result<Vec<_>>>()?))
}
