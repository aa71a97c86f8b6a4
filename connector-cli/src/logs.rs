//! Logs on standard error: lines for people, JSON lines for programs, never through a progress bar.

use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::output::Output;

/// Where the host says which addresses it listens at: scripts wait for that line, whatever else is shown.
const LISTENING: &str = "connector_host::listening";

/// Starts logging. Answers the progress bars that logs give way to: hidden ones where nobody watches, or
/// where the command has none.
pub(crate) fn start(output: &Output, has_bars: bool) -> MultiProgress {
    let shown = has_bars && output.is_watched();
    let bars = MultiProgress::with_draw_target(if shown {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    });
    // Bars say what a log at `info` would; a command that reads or prints a little needs no log at all.
    let level = match output.verbose {
        0 if shown || !has_bars => "warn",
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    let ours = format!(
        "warn,connector={level},connector_host={level},connector_sdk={level},connector_bronze={level},connector_salesforce={level},\
         connector_email={level},connector_ingress={level},connector_slack={level},connector_webhook={level},{LISTENING}=info"
    );
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(ours));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Beside(bars.clone()));
    let started = if output.json {
        logs.json().flatten_event(true).try_init()
    } else {
        logs.with_ansi(output.is_watched()).with_target(false).try_init()
    };
    // Only a second start in one process fails, and then the first one's logs go on.
    drop(started);
    bars
}

/// Standard error, with the bars out of the way while a line is written.
#[derive(Debug, Clone)]
struct Beside(MultiProgress);

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A log that cannot be written must not end the program.
        let _ = self.0.suspend(|| io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Beside {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
