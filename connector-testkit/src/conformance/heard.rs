//! What a program logs and measures, as text: to look for what must not be there.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata as Measured, Recorder, SharedString, Unit};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// All that was logged at any level, and the names and labels of all that was measured.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Texts>);

#[derive(Debug, Default)]
struct Texts {
    logs: Mutex<String>,
    metrics: Mutex<String>,
    spans: AtomicU64,
}

impl Heard {
    /// Listens while the call lasts, in this thread.
    pub(super) fn listening<T>(call: impl FnOnce(&Self) -> T) -> T {
        let heard = Self::default();
        let subscriber = heard.clone();
        tracing::subscriber::with_default(subscriber, || {
            metrics::with_local_recorder(&heard, || call(&heard))
        })
    }

    /// What was heard so far, with what each is.
    pub(super) fn taken(&self) -> [(&'static str, String); 2] {
        let text = |of: &Mutex<String>| of.lock().unwrap_or_else(PoisonError::into_inner).clone();
        [("the log", text(&self.0.logs)), ("the labels of metrics", text(&self.0.metrics))]
    }

    fn log(&self, write: impl FnOnce(&mut Line<'_>)) {
        let mut logs = self.0.logs.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut Line(&mut logs));
        logs.push('\n');
    }

    fn measured(&self, key: &Key) {
        let mut metrics = self.0.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a text cannot fail.
        let _ = writeln!(metrics, "{key}");
    }
}

/// A line that fields are written to.
struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.log(|line| {
            line.0.push_str(span.metadata().name());
            span.record(line);
        });
        Id::from_u64(self.0.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        self.log(|line| values.record(line));
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.log(|line| event.record(line));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

impl Recorder for Heard {
    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn register_counter(&self, key: &Key, _metadata: &Measured<'_>) -> Counter {
        self.measured(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _metadata: &Measured<'_>) -> Gauge {
        self.measured(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _metadata: &Measured<'_>) -> Histogram {
        self.measured(key);
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_levels_and_all_labels_are_heard() {
        let texts = Heard::listening(|heard| {
            tracing::trace!(token = %"t-1", "asked for {}", "t-2");
            let span = tracing::debug_span!("call", to = "t-3", later = tracing::field::Empty);
            span.record("later", "t-4");
            metrics::histogram!("duration", "to" => "t-5").record(1.0);
            heard.taken()
        });
        let all = format!("{texts:?}");
        for expected in ["t-1", "t-2", "t-3", "t-4", "t-5"] {
            assert!(all.contains(expected), "{expected}: {all}");
        }
    }
}
