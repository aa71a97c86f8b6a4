//! What reading a stream will cost, before it is read.
//!
//! The vendor does not say how many messages a channel has. One page of a few channels says how many there are where it is
//! the only one, and how dense they lie where there are more; what is not counted is told as requests and time, not as
//! records.

use std::sync::Arc;

use connector_sdk::{Context, Result, StreamSelection, contract::CostEstimate};

use crate::{
    catalog::Stream,
    channels::Channel,
    descent::History,
    fault::{self, Then},
    method::{HISTORY, MEMBERS, Method, PINS, REPLIES},
    page::Splitter,
    streams::Source,
    ts::Ts,
};

/// Channels that are looked into.
const SAMPLES: usize = 5;

/// What was seen of a channel.
struct Sample {
    pages: u64,
    /// How many messages it has, where one page has them all.
    count: Option<u64>,
    /// How many of them begin a thread.
    threads: u64,
}

/// See the module.
///
/// # Errors
/// As the vendor answers.
pub(crate) async fn estimate(
    source: &Source,
    cx: &Context,
    stream: Stream,
    selection: &StreamSelection,
    channels: &Arc<Vec<Channel>>,
) -> Result<CostEstimate> {
    let each = |method: &Method| told(source, method, channels.len() as u64, None);
    match stream {
        Stream::Members => Ok(each(&MEMBERS)),
        Stream::Pins => Ok(each(&PINS)),
        Stream::Messages | Stream::Replies | Stream::Reactions => {
            let mut samples = Vec::new();
            let mut skipped = 0;
            for channel in channels.iter() {
                if samples.len() == SAMPLES {
                    break;
                }
                match sample(source, cx, selection, channel).await {
                    Err(error) if fault::then(&error) == Then::Skip => skipped += 1,
                    sample => samples.push(sample?),
                }
            }
            let seen = samples.len() as u64;
            let readable = (channels.len() as u64).saturating_sub(skipped);
            let pages: u64 = samples.iter().map(|sample| sample.pages).sum();
            let requests = (pages * readable).checked_div(seen).unwrap_or(0).max(readable);
            let counted: Option<u64> = samples.iter().map(|sample| sample.count).sum();
            let records = counted.filter(|_| seen == readable && stream == Stream::Messages);
            let mut cost = told(source, &HISTORY, requests, records);
            if stream == Stream::Replies {
                // Each thread is a request of a method with a budget of its own; both go on side by side.
                let threads: u64 = samples.iter().map(|sample| sample.threads).sum();
                let threads = (threads * readable).checked_div(seen).unwrap_or(0);
                let each = told(source, &REPLIES, threads, None);
                cost.requests = Some(requests + threads);
                cost.duration = cost.duration.max(each.duration);
            }
            if stream == Stream::Reactions {
                // How many messages are asked for again, nobody knows.
                cost.duration = None;
            }
            Ok(cost)
        }
        // One list, whose length nobody knows.
        _ => Ok(CostEstimate::default()),
    }
}

/// With how long it takes, at the vendor's pace.
fn told(source: &Source, method: &Method, requests: u64, records: Option<u64>) -> CostEstimate {
    let duration = source.api.limits().duration(method, requests);
    if source.api.limits().is_cohort() {
        tracing::warn!(
            method = method.name,
            requests,
            minutes = duration.as_secs().div_ceil(60),
            "at one request a minute the read takes long"
        );
    }
    CostEstimate::new(Some(requests), records).with_duration(Some(duration))
}

async fn sample(
    source: &Source,
    cx: &Context,
    selection: &StreamSelection,
    channel: &Channel,
) -> Result<Sample> {
    let history = History {
        api: Arc::clone(&source.api),
        cx: cx.clone(),
        splitter: Arc::new(Splitter::new(&["reply_count"])),
        channel: channel.id.as_str().into(),
        page_size: source.settings.page_size,
    };
    let oldest = selection.since.map_or(Ts::ZERO, |since| Ts::from(since).previous());
    let mut descent = history.descend(oldest, Ts::FOREVER);
    let Some(page) = descent.next().await? else {
        return Ok(Sample { pages: 1, count: Some(0), threads: 0 });
    };
    let count = page.rows.len() as u64;
    let begins_thread = |row| page.field(row, 0).is_some_and(|count: &[u8]| count != b"0");
    let threads = page.rows.iter().filter(|row| begins_thread(row)).count() as u64;
    if descent.is_done() {
        return Ok(Sample { pages: 1, count: Some(count), threads });
    }
    let (newest, bottom) = match (page.rows.first(), page.rows.last()) {
        (Some(newest), Some(bottom)) => (newest.ts.micros(), bottom.ts.micros()),
        _ => (0, 0),
    };
    // As dense as at its end, down to when it was made.
    let begins = channel.begins().max(oldest).micros();
    let span = newest.saturating_sub(bottom).max(1);
    let pages = (newest.saturating_sub(begins) / span).max(2);
    Ok(Sample { pages, count: None, threads: threads * pages })
}
