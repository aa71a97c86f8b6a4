//! Messages of a channel, oldest first, from where the last read has come to.
//!
//! Windows of time are read down to their bottom and delivered from there (see [`crate::stride`]), with a state after each
//! page. Everything that is visible is read; but what is kept as "read up to here" stays behind the vendor's clock by
//! `safety_lag`, and what was delivered beyond it is remembered: what becomes visible late is found, and nothing comes twice.

use std::collections::VecDeque;

use async_stream::try_stream;
use connector_sdk::{Batch, Message, ReadRequest, Result, State, SyncMode, record::Seen};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::{Keys, Messages, STATE_VERSION, Source, builder, lower_bound};
use crate::{
    channels::Slice,
    descent::History,
    page::Page,
    stride::{HOLD, Stride},
    ts::Ts,
};

/// Where a channel stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// Everything up to here was delivered.
    read_to: Ts,
    /// What was delivered beyond it, and inside the look-back.
    #[serde(default, skip_serializing_if = "Seen::is_empty")]
    seen: Seen,
    /// The length of the windows, in microseconds; none: all there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<u64>,
    /// What was delivered before this is not remembered: a look-back that was made longer reaches no further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remembered_from: Option<Ts>,
}

/// Reads one channel.
pub(super) fn read(source: Source, request: ReadRequest) -> Messages {
    try_stream! {
        let mut walk = Walk::open(&source, &request)?;
        while let Some(window) = walk.window().await? {
            for page in window.into_iter().rev() {
                let batch = walk.take(&request, &page);
                let covered = batch.len() as u64;
                if covered > 0 {
                    yield Message::Batch(batch);
                    yield Message::State(walk.state()?.covering(covered));
                }
            }
            walk.close();
        }
        yield Message::State(walk.last_state()?);
    }
    .boxed()
}

struct Walk {
    history: History,
    keys: Keys,
    /// Everything up to here was delivered, in this read or before.
    at: Ts,
    seen: Seen,
    stride: Stride,
    begins: Ts,
    /// Nothing from here on is wanted.
    until: Option<Ts>,
    lag: std::time::Duration,
    lookback: std::time::Duration,
    /// A full read has nothing to look back to.
    is_full: bool,
    /// See [`Position`].
    remembered_from: Option<Ts>,
    /// What is delivered after this is remembered.
    remember_from: Option<Ts>,
    /// Up to here everything is visible, by the vendor's clock.
    settled: Ts,
    /// The window that is being delivered: its end, and how many pages it had.
    window: Option<(Option<Ts>, usize)>,
    is_done: bool,
}

impl Walk {
    fn open(source: &Source, request: &ReadRequest) -> Result<Self> {
        let settings = &source.settings;
        let is_full = request.stream.mode == SyncMode::Full;
        // A full read that is done is begun anew; an incremental one goes on.
        let known = request.state.as_ref().filter(|state| !(is_full && state.is_complete()));
        let position: Position =
            known.map(|state| state.decode(STATE_VERSION)).transpose()?.unwrap_or_default();
        let slice: Slice = request.partition.slice()?;
        let looks_back = !is_full && known.is_some_and(State::is_complete);
        let at =
            if looks_back { position.read_to.saturating_sub(settings.lookback) } else { position.read_to };
        let at = at.max(position.remembered_from.unwrap_or(Ts::ZERO));
        Ok(Self {
            history: source.history(request, &[]),
            keys: Keys::new(request),
            at: at.max(lower_bound(request)),
            seen: position.seen,
            stride: Stride::new(position.width),
            begins: slice.begins,
            until: request.stream.until.map(Ts::from),
            lag: settings.safety_lag,
            lookback: settings.lookback,
            is_full,
            remembered_from: position.remembered_from,
            remember_from: None,
            settled: Ts::ZERO,
            window: None,
            is_done: false,
        })
    }

    /// The pages of the next window, newest first; none after the last one.
    async fn window(&mut self) -> Result<Option<VecDeque<Page>>> {
        while !self.is_done {
            let top = self.stride.top(self.at);
            let end = top.map_or(Ts::FOREVER, Ts::next);
            let end = self.until.map_or(end, |until| until.min(end));
            let mut descent = self.history.descend(self.at, end);
            let (mut pages, mut held, mut came) = (VecDeque::new(), 0, 0);
            let room = HOLD * self.history.api.limits().page(self.history.page_size) as usize;
            let patience = if top.is_some() { 2 * room } else { room };
            let mut let_go = None;
            while let Some(page) = descent.next().await? {
                (held, came) = (held + page.rows.len(), came + page.rows.len());
                pages.push_back(page);
                if descent.is_done() {
                    break;
                }
                if came >= patience {
                    break;
                }
                while held > room
                    && let Some(newest) = pages.pop_front()
                {
                    // The oldest are delivered first: the newest of a window that has a little more are read again.
                    held -= newest.rows.len();
                    let_go = let_go.or_else(|| newest.rows.first().map(|row| row.ts));
                }
            }
            if !descent.is_done() {
                self.overflowed(&pages, let_go);
                continue;
            }
            let now = descent.now().map_or(Ts::ZERO, Ts::from);
            self.settled = now.saturating_sub(self.lag);
            self.remember_from.get_or_insert(self.settled.saturating_sub(self.lookback));
            let is_last = top.is_none_or(|top| top >= now) || self.until.is_some_and(|until| end == until);
            let newest = pages.front().and_then(|page: &Page| page.rows.first()).map(|row| row.ts);
            self.is_done = is_last && let_go.is_none();
            let top = if let_go.is_some() { newest } else { top.filter(|_| !is_last) };
            self.window = Some((top, pages.len()));
            return Ok(Some(pages));
        }
        Ok(None)
    }

    fn overflowed(&mut self, pages: &VecDeque<Page>, let_go: Option<Ts>) {
        let newest = let_go.or_else(|| pages.front().and_then(|page| page.rows.first()).map(|row| row.ts));
        let oldest_held = pages.front().and_then(|page| page.rows.first()).map(|row| row.ts);
        let bottom = pages.back().and_then(|page| page.rows.last());
        if let (Some(newest), Some(from), Some(bottom)) = (newest, oldest_held, bottom) {
            self.stride.overflowed(self.at, self.begins, (bottom.ts, from), newest);
        }
    }

    /// A page, oldest first, without what was delivered before.
    fn take(&mut self, request: &ReadRequest, page: &Page) -> Batch {
        let mut batch = builder(request, page);
        let remember_from = self.remember_from.unwrap_or(Ts::ZERO);
        for row in page.rows.iter().rev() {
            let view = self.keys.view(page, row);
            self.at = row.ts;
            if !self.is_full {
                if self.seen.contains(&view) {
                    continue;
                }
                if row.ts > remember_from {
                    self.seen.insert(&view);
                }
            }
            batch.push(view);
        }
        batch.build()
    }

    /// The window is delivered.
    fn close(&mut self) {
        if let Some((Some(top), pages)) = self.window.take() {
            self.at = top;
            self.stride.succeeded(top, pages);
        }
    }

    fn state(&self) -> Result<State> {
        let read_to = if self.is_full { self.at } else { self.at.min(self.settled) };
        let (seen, width) = (self.seen.clone(), self.stride.width);
        let remembered_from = self.remembered_from.filter(|_| !self.is_full);
        State::encode(STATE_VERSION, &Position { read_to, seen, width, remembered_from })
    }

    /// The state that covers the whole. What no later read will meet is forgotten.
    fn last_state(&mut self) -> Result<State> {
        let end = self.until.map_or(self.settled, |until| until.previous().min(self.settled));
        self.at = if self.is_full { self.at } else { end.max(self.at.min(self.settled)) };
        let remembered_from = self.settled.saturating_sub(self.lookback);
        self.seen.forget_before(remembered_from.millis());
        self.remembered_from =
            Some(self.remembered_from.map_or(remembered_from, |known| known.max(remembered_from)));
        self.stride = Stride::default();
        Ok(self.state()?.completing())
    }
}
