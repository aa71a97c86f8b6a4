//! The drawing of the order, the table of defaults, and the code say the same.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use connector_sdk::{http::stack, resilience::Resilience};
use tracing_subscriber::filter::LevelFilter;

use super::{Bench, get};
use crate::support::script::status;

#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_request_passes_the_layers_as_they_are_listed_and_a_retry_those_inside_of_retry() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    Bench::new([status(503), status(200)]).send(get()).await.unwrap();
    let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    let passed: Vec<_> = text.split("layer=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let inside = stack::ORDER.iter().position(|layer| *layer == "retry").unwrap() + 1;
    assert_eq!(passed, [&stack::ORDER[..], &stack::ORDER[inside..]].concat());
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Where each layer is named in a drawing, in order.
fn places(text: &str, before: &str, after: &str) -> Vec<usize> {
    stack::ORDER
        .iter()
        .map(|layer| {
            text.find(&format!("{before}{layer}{after}")).unwrap_or_else(|| panic!("{layer} is not drawn"))
        })
        .collect()
}

#[test]
fn the_drawings_show_the_layers_in_this_order() {
    let source = read("src/http/stack.rs");
    let drawing = source.split("//! ```").nth(1).unwrap();
    assert!(places(drawing, "─ ", " ──").is_sorted(), "{drawing}");
    let architecture = read("../ARCHITECTURE.md");
    let line = architecture.lines().find(|line| line.contains("operation ▷")).expect("the line of the order");
    assert!(places(line, " ", " ▷").is_sorted(), "{line}");
}

#[test]
fn the_table_of_defaults_in_the_architecture_is_that_of_the_code() {
    let architecture = read("../ARCHITECTURE.md");
    let rows = rows(&Resilience::default());
    for row in &rows {
        assert!(
            architecture.contains(row),
            "ARCHITECTURE.md lacks this row:\n{row}\nall:\n{}",
            rows.join("\n")
        );
    }
    let table = architecture.split("| setting |").nth(1).unwrap().split("\n\n").next().unwrap();
    assert_eq!(table.lines().count() - 2, rows.len(), "a row too many");
}

fn rows(settings: &Resilience) -> Vec<String> {
    let Resilience {
        max_attempts,
        base_delay,
        max_delay,
        attempt_timeout,
        connect_timeout,
        idle_timeout,
        deadline,
        retry_budget,
        breaker,
        concurrency,
        paced,
        max_body,
        max_decompressed_body,
        ..
    } = settings;
    let time = |time: &Duration| {
        if time.subsec_millis() > 0 {
            format!("{} ms", time.as_millis())
        } else {
            format!("{} s", time.as_secs())
        }
    };
    let mib = |bytes: &u64| format!("{} MiB", bytes >> 20);
    let percent = |ratio: f64| format!("{:.0} %", ratio * 100.0);
    [
        ("max_attempts", max_attempts.to_string(), "CONNECTOR_RETRY_MAX_ATTEMPTS"),
        ("base_delay", time(base_delay), "CONNECTOR_RETRY_BASE_DELAY_MS"),
        ("max_delay", time(max_delay), ""),
        ("timeout", time(attempt_timeout), "CONNECTOR_TIMEOUT_MS"),
        ("connect_timeout", time(connect_timeout), ""),
        ("idle_timeout", time(idle_timeout), ""),
        ("deadline", time(deadline), ""),
        (
            "retry_percent",
            format!(
                "{} of the operations of {}, and {} more",
                percent(retry_budget.ratio),
                time(&retry_budget.window),
                retry_budget.reserve
            ),
            "",
        ),
        (
            "breaker_percent",
            format!(
                "{} of {} calls or more in {}",
                percent(breaker.failure_ratio),
                breaker.min_calls,
                time(&breaker.window)
            ),
            "",
        ),
        (
            "breaker_threshold",
            format!("{} connect failures in a row", breaker.connect_failures),
            "CONNECTOR_CIRCUIT_BREAKER_THRESHOLD",
        ),
        ("breaker_open", time(&breaker.open), ""),
        ("breaker_max_open", time(&breaker.max_open), ""),
        ("max_concurrency", format!("{}, from {} on", concurrency.max, concurrency.start), ""),
        ("rate", if *paced { "paced" } else { "off" }.to_owned(), ""),
        ("max_body", mib(max_body), ""),
        ("max_decompressed_body", mib(max_decompressed_body), ""),
    ]
    .map(|(setting, default, variable)| {
        let variable = if variable.is_empty() { String::new() } else { format!("`{variable}`") };
        format!("| `{setting}` | {default} | {variable} |")
    })
    .to_vec()
}
