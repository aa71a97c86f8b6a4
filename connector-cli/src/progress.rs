//! How far a run is: bars on a terminal, log lines otherwise.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use connector_host::{report::StreamReport, run::Progress};
use connector_sdk::StreamId;
use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

const OPEN: &str = "{spinner} {prefix:24!} {human_pos:>12} records {rate:>14} {msg:>12}";
const BOUNDED: &str =
    "{spinner} {prefix:24!} {human_pos:>12} records {rate:>14} {msg:>12} {wide_bar} {percent:>3}% {eta:>4}";
const TOTAL: &str = "  {prefix:24!} {human_pos:>12} records {rate:>14} {msg:>12} {elapsed:>6}";

/// A bar for each stream, and one for the whole.
pub(crate) struct Bars {
    all: MultiProgress,
    total: Bar,
    streams: Mutex<BTreeMap<StreamId, Bar>>,
}

#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    bytes: Mutex<u64>,
}

impl Bar {
    fn new(bar: ProgressBar, name: &str, template: &str) -> Self {
        bar.set_style(style(template));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, bytes: Mutex::new(0) }
    }

    fn read(&self, records: u64, bytes: u64) {
        let mut sum = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *sum += bytes;
        self.bar.set_message(HumanBytes(*sum).to_string());
        self.bar.inc(records);
    }
}

fn style(template: &str) -> ProgressStyle {
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A bar that cannot be drawn is no failure of the run.
        let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("rate", rate)
}

impl Bars {
    pub(crate) fn new(all: MultiProgress) -> Self {
        let total = Bar::new(all.add(ProgressBar::no_length()), "total", TOTAL);
        Self { all, total, streams: Mutex::default() }
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<StreamId, Bar>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bars").finish_non_exhaustive()
    }
}

impl Progress for Bars {
    fn started(&self, stream: &StreamId) {
        let bar = self.all.insert_before(&self.total.bar, ProgressBar::no_length());
        self.streams().insert(stream.clone(), Bar::new(bar, stream.as_str(), OPEN));
    }

    fn expected(&self, stream: &StreamId, records: u64) {
        if let Some(Bar { bar, .. }) = self.streams().get(stream) {
            bar.set_style(style(BOUNDED));
            bar.set_length(bar.length().unwrap_or(0) + records);
        }
    }

    fn read(&self, stream: &StreamId, records: u64, bytes: u64) {
        if let Some(bar) = self.streams().get(stream) {
            bar.read(records, bytes);
        }
        self.total.read(records, bytes);
    }

    fn finished(&self, report: &StreamReport) {
        if let Some(Bar { bar, .. }) = self.streams().get(&report.name) {
            bar.set_style(style(OPEN));
            bar.set_prefix(format!("{} ({})", report.name, report.status.as_str()));
            bar.finish();
        }
    }
}

/// A log line for what becomes durable.
#[derive(Debug)]
pub(crate) struct Lines;

impl Progress for Lines {
    fn started(&self, stream: &StreamId) {
        tracing::info!(%stream, "reading");
    }

    fn committed(&self, stream: &StreamId, records: u64) {
        tracing::info!(%stream, records, "committed");
    }

    fn finished(&self, report: &StreamReport) {
        let StreamReport { name, records, bytes, .. } = report;
        let status = report.status.as_str();
        match &report.error {
            None => tracing::info!(stream = %name, status, records, bytes, "finished"),
            Some(error) => tracing::warn!(stream = %name, status, records, bytes, %error, "finished"),
        }
    }
}
