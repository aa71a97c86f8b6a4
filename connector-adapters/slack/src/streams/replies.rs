//! Messages in threads of a channel.
//!
//! A thread may get a reply at any time, and history tells of it only at the thread's beginning, which may be old. So the
//! beginnings of `thread_lookback` and everything newer are gone through, newest first, and each thread is asked for what
//! comes after its last reply that is known; a thread whose `latest_reply` is known is not asked. A pass has an end whatever
//! happens meanwhile: it goes down in time, and what begins during it is left to the next one.

use std::{collections::BTreeMap, time::Duration};

use async_stream::try_stream;
use connector_sdk::{
    Batch, Class, Delivery, Error, Message, ReadRequest, Result, State, SyncMode,
    record::{BatchBuilder, Seen},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::{Keys, Messages, STATE_VERSION, Source, builder, lower_bound};
use crate::{
    cursor::Cursors,
    fault,
    method::REPLIES,
    page::{Page, Row, Splitter},
    ts::Ts,
};

/// The fields of a thread's beginning, in the order in which they are asked for.
const FIELDS: [&str; 3] = ["reply_count", "latest_reply", "thread_ts"];
/// So many replies, and there is a state to go on from in the middle of a page of threads.
const REPLIES_PER_STATE: u64 = 200;
/// How often a page that arrives broken is asked for.
const PAGE_ATTEMPTS: u32 = 3;

/// Where a channel's threads stand.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// Threads that began up to here were gone through.
    parents_to: Ts,
    /// The last reply that is known of each thread inside the look-back.
    #[serde(default)]
    threads: BTreeMap<Ts, Ts>,
    /// Replies that were delivered after these.
    #[serde(default, skip_serializing_if = "Seen::is_empty")]
    seen: Seen,
    /// The pass that is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pass: Option<Pass>,
}

/// A pass on its way down.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pass {
    /// Threads that began before this are left.
    before: Ts,
    /// When it began everything up to here was visible, by the vendor's clock.
    settled: Ts,
}

/// Reads the threads of one channel.
pub(super) fn read(source: Source, request: ReadRequest) -> Messages {
    try_stream! {
        let mut walk = Walk::open(&source, &request)?;
        let mut descent = source.history(&request, &FIELDS).descend(walk.from, walk.before());
        let mut uncovered = 0;
        while let Some(page) = descent.next().await? {
            walk.begin(descent.now().map_or(Ts::ZERO, Ts::from));
            for row in &page.rows {
                if let Some(known) = walk.asks(&page, row) {
                    let mut thread = Thread::new(row.ts, known);
                    while let Some(batch) = walk.more(&mut thread).await? {
                        if !batch.is_empty() {
                            uncovered += batch.len() as u64;
                            yield Message::Batch(batch);
                        }
                    }
                    walk.known(row.ts, &thread);
                }
                walk.went_by(row.ts);
                if uncovered >= REPLIES_PER_STATE {
                    yield Message::State(walk.state()?.covering(uncovered));
                    uncovered = 0;
                }
            }
            if uncovered > 0 {
                yield Message::State(walk.state()?.covering(uncovered));
                uncovered = 0;
            }
        }
        walk.begin(descent.now().map_or(Ts::ZERO, Ts::from));
        yield Message::State(walk.last_state()?);
    }
    .boxed()
}

struct Walk {
    source: Source,
    request: ReadRequest,
    splitter: Splitter,
    keys: Keys,
    position: Position,
    /// Only threads that began after this are gone through.
    from: Ts,
    since: Ts,
    lookback: Duration,
    lag: Duration,
    is_full: bool,
}

/// A thread that is being read.
struct Thread {
    parent: Ts,
    /// Only replies after this are wanted.
    after: Ts,
    last: Ts,
    cursors: Cursors,
    is_done: bool,
}

impl Thread {
    fn new(parent: Ts, after: Ts) -> Self {
        Self { parent, after, last: after, cursors: Cursors::new(REPLIES.name), is_done: false }
    }
}

impl Walk {
    fn open(source: &Source, request: &ReadRequest) -> Result<Self> {
        let settings = &source.settings;
        let is_full = request.stream.mode == SyncMode::Full;
        let known = request.state.as_ref().filter(|state| !(is_full && state.is_complete()));
        let position: Position =
            known.map(|state| state.decode(STATE_VERSION)).transpose()?.unwrap_or_default();
        let since = lower_bound(request);
        // A thread that began before what is wanted may have replies that are: the look-back holds for it too.
        let from = position.parents_to.max(since).saturating_sub(settings.thread_lookback);
        Ok(Self {
            source: source.clone(),
            request: request.clone(),
            splitter: Splitter::new(&[]),
            keys: Keys::new(request),
            from,
            since,
            position,
            lookback: settings.thread_lookback,
            lag: settings.safety_lag,
            is_full,
        })
    }

    /// Where the pass begins, or goes on.
    fn before(&self) -> Ts {
        self.position.pass.map_or(Ts::FOREVER, |pass| pass.before)
    }

    fn begin(&mut self, now: Ts) {
        let settled = now.saturating_sub(self.lag);
        self.position.pass.get_or_insert(Pass { before: Ts::FOREVER, settled });
    }

    fn settled(&self) -> Ts {
        self.position.pass.map_or(Ts::ZERO, |pass| pass.settled)
    }

    /// Whether a message begins a thread that may have replies we do not know, and after which one.
    fn asks(&self, page: &Page, row: &Row) -> Option<Ts> {
        let count = page.field(row, 0).and_then(|count| std::str::from_utf8(count).ok()?.parse::<u64>().ok());
        let begins_one = match count {
            Some(count) => count > 0,
            None => page.field(row, 2).and_then(Ts::from_json) == Some(row.ts),
        };
        let known = self.position.threads.get(&row.ts).copied().unwrap_or(Ts::ZERO).max(self.since);
        let latest = page.field(row, 1).and_then(Ts::from_json);
        (begins_one && latest.is_none_or(|latest| latest > known)).then_some(known)
    }

    /// The next page of a thread's replies; none after the last one.
    async fn more(&mut self, thread: &mut Thread) -> Result<Option<Batch>> {
        while !thread.is_done {
            let page = match self.page(thread).await {
                Err(error) if thread.cursors.expired(&error)? => {
                    // Asked again by time, after the last one that came.
                    thread.after = thread.last;
                    continue;
                }
                // Deleted meanwhile.
                Err(error) if fault::has_code(&error, "thread_not_found") => {
                    tracing::debug!(channel = %self.request.partition.id, ts = %thread.parent, "a thread is gone");
                    thread.is_done = true;
                    return Ok(None);
                }
                page => page.map_err(|error| error.with_context("channel", &self.request.partition.id))?,
            };
            let batch = self.take(thread, &page);
            thread.is_done = !thread.cursors.go_on(page.next.clone(), batch.len())?;
            if thread.is_done && page.leads_on() {
                return Err(self.no_way_on());
            }
            return Ok(Some(batch));
        }
        Ok(None)
    }

    fn no_way_on(&self) -> Error {
        Error::new(Class::Permanent, REPLIES.name, "a page says that there is more, and not where")
            .with_delivery(Delivery::Answered)
            .with_context("channel", &self.request.partition.id)
    }

    async fn page(&self, thread: &Thread) -> Result<Page> {
        let (api, cx) = (&self.source.api, &self.request.cx);
        let limit = api.limits().page(self.source.settings.page_size);
        let (parent, after, size) = (thread.parent.to_string(), thread.after.to_string(), limit.to_string());
        let mut arguments =
            vec![("channel", self.request.partition.id.as_str()), ("ts", &*parent), ("limit", &*size)];
        if thread.after > Ts::ZERO {
            arguments.push(("oldest", &*after));
        }
        arguments.extend(thread.cursors.current().map(|cursor| ("cursor", cursor)));
        let mut attempt = 1;
        loop {
            let response = api.get(cx, &REPLIES, &arguments).await?;
            match self.splitter.split(&response, REPLIES.name) {
                Ok(page) => {
                    api.limits().page_came(limit, page.came(), page.leads_on());
                    return Ok(page);
                }
                Err(error) if attempt < PAGE_ATTEMPTS => {
                    tracing::info!(%error, attempt, "a page came broken, asked for again");
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The replies of a page that were not delivered before. Each page begins with the thread's beginning, which is no
    /// reply.
    fn take(&mut self, thread: &mut Thread, page: &Page) -> Batch {
        let mut batch: BatchBuilder = builder(&self.request, page);
        let settled = self.settled();
        for row in &page.rows {
            if row.ts == thread.parent || row.ts <= thread.after {
                continue;
            }
            let view = self.keys.view(page, row);
            thread.last = thread.last.max(row.ts);
            if !self.is_full {
                if self.position.seen.contains(&view) {
                    continue;
                }
                if row.ts > settled {
                    self.position.seen.insert(&view);
                }
            }
            batch.push(view);
        }
        batch.build()
    }

    /// Takes note of what is known of a thread. Beyond what is settled a reply may become visible late.
    fn known(&mut self, parent: Ts, thread: &Thread) {
        let settled = self.settled();
        if parent > settled.saturating_sub(self.lookback) {
            self.position.threads.insert(parent, thread.last.min(settled));
        }
    }

    fn went_by(&mut self, parent: Ts) {
        if let Some(pass) = &mut self.position.pass {
            pass.before = parent;
        }
    }

    fn state(&self) -> Result<State> {
        State::encode(STATE_VERSION, &self.position)
    }

    /// The state that covers the pass. What no later one will meet is forgotten.
    fn last_state(&mut self) -> Result<State> {
        let settled = self.settled();
        let from = settled.saturating_sub(self.lookback);
        self.position.pass = None;
        self.position.parents_to = settled.max(self.position.parents_to);
        self.position.threads = self.position.threads.split_off(&from.next());
        self.position.seen.forget_before(settled.millis());
        Ok(self.state()?.completing())
    }
}
