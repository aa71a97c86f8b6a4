//! Results as people read them: tables.

use std::{path::Path, time::Duration};

use connector_host::{
    preflight::{CheckReport, ProbeStatus, StreamEstimate},
    report::{RunReport, RunStatus},
};
use connector_sdk::{Catalog, Manifest, SyncMode, manifest::Capability};
use indicatif::{HumanBytes, HumanCount, HumanDuration};
use serde_json::Value;

/// Lines of columns, the last one as wide as it likes. Numbers stand at the right.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend_from_slice(rows);
    let widths: Vec<usize> =
        (0..N).map(|at| lines.iter().map(|line| width(line, at)).max().unwrap_or(0)).collect();
    let number =
        |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains(['-', ':', '/']);
    let right: Vec<bool> =
        (0..N).map(|at| rows.iter().all(|row| row.get(at).is_some_and(|text| number(text)))).collect();
    let mut out = String::new();
    for line in &lines {
        let mut row = String::new();
        for (at, text) in line.iter().enumerate() {
            let fill = " ".repeat(widths.get(at).copied().unwrap_or(0).saturating_sub(width(line, at)));
            let (before, after) =
                if right.get(at) == Some(&true) { (fill.as_str(), "") } else { ("", fill.as_str()) };
            row.push_str(&format!("{before}{text}{after}  "));
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

fn width<const N: usize>(line: &[String; N], at: usize) -> usize {
    line.get(at).map_or(0, |text| text.chars().count())
}

pub(crate) fn manifests<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> String {
    let rows: Vec<_> = manifests
        .map(|manifest| {
            let modes: Vec<String> = modes(manifest).iter().map(SyncMode::to_string).collect();
            [
                manifest.id().to_string(),
                manifest.version.clone(),
                modes.join(", "),
                manifest.description.clone(),
            ]
        })
        .collect();
    table(["CONNECTOR", "VERSION", "MODES", "WHAT"], &rows)
}

/// The ways a connector's streams can be read, as its capabilities say.
pub(crate) fn modes(manifest: &Manifest) -> Vec<SyncMode> {
    if manifest.claims(Capability::Incremental) {
        vec![SyncMode::Incremental, SyncMode::Full]
    } else {
        vec![SyncMode::Full]
    }
}

pub(crate) fn check(report: &CheckReport) -> String {
    let mut out = String::new();
    for probe in &report.probes {
        let mark = match probe.status {
            ProbeStatus::Pass => "pass",
            ProbeStatus::Fail => "FAIL",
            ProbeStatus::Skip => "skip",
        };
        out.push_str(&format!("{mark}  {:<12}  {}\n", probe.name.as_str(), probe.message));
    }
    if let Some(estimates) = &report.estimates {
        out.push('\n');
        out.push_str(&table(["STREAM", "REQUESTS", "RECORDS", "AT LEAST", ""], &rows(estimates)));
    }
    out
}

fn rows(estimates: &[StreamEstimate]) -> Vec<[String; 5]> {
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |n| HumanCount(n).to_string());
    let row = |estimate: &StreamEstimate| {
        let lasts = estimate.duration_ms.map(Duration::from_millis);
        [
            estimate.stream.to_string(),
            count(estimate.requests),
            count(estimate.records),
            lasts.map_or_else(|| "?".to_owned(), |lasts| HumanDuration(lasts).to_string()),
            estimate.error.clone().unwrap_or_default(),
        ]
    };
    estimates.iter().map(row).collect()
}

pub(crate) fn catalog(catalog: &Catalog) -> String {
    let rows: Vec<_> = catalog
        .streams
        .iter()
        .map(|spec| {
            let modes: Vec<String> = spec.modes.iter().map(SyncMode::to_string).collect();
            let cursor = spec.cursor_field.clone().unwrap_or_else(|| "-".to_owned());
            let fields = spec.fields().count().to_string();
            [spec.name.to_string(), spec.primary_key.join(", "), cursor, modes.join(", "), fields]
        })
        .collect();
    table(["STREAM", "KEY", "CURSOR", "MODES", "FIELDS"], &rows)
}

/// The summary of a run whose records lie below `bronze`.
pub(crate) fn run(report: &RunReport, bronze: &Path) -> String {
    let rows: Vec<_> = report
        .streams
        .iter()
        .map(|stream| {
            [
                stream.name.to_string(),
                stream.status.as_str().to_owned(),
                HumanCount(stream.records).to_string(),
                HumanCount(stream.deletes).to_string(),
                HumanBytes(stream.bytes).to_string(),
                HumanCount(stream.dead_letters).to_string(),
            ]
        })
        .collect();
    let mut out = table(["STREAM", "STATUS", "RECORDS", "DELETES", "SIZE", "DEAD LETTERS"], &rows);
    for stream in &report.streams {
        for (word, partitions) in [("failed", &stream.failed), ("skipped", &stream.skipped)] {
            for report in partitions {
                out.push_str(&format!("{word}: {} / {}: {}\n", stream.name, report.partition, report.error));
            }
        }
        for drift in &stream.drift {
            out.push_str(&format!(
                "drift: {}: `{}` {} ({})\n",
                stream.name, drift.field, drift.change, drift.policy
            ));
        }
    }
    let totals = &report.totals;
    let seconds = report.finished_at.saturating_since(report.started_at).as_secs_f64();
    let rate = if seconds > 0.0 { totals.records as f64 / seconds } else { 0.0 };
    let status = report.status.as_str();
    out.push_str(&format!(
        "\n{status}: {} records, {}, {} requests, {} retries, {seconds:.1} s, {rate:.0} records/s\n",
        HumanCount(totals.records),
        HumanBytes(totals.bytes),
        HumanCount(totals.requests),
        HumanCount(totals.retries),
    ));
    if report.status == RunStatus::Stopped {
        out.push_str("what was read is durable; the next run goes on from there\n");
    }
    if let Some(receipt) = &report.receipt {
        out.push_str(&format!("receipt: {}\n", bronze.join(receipt).display()));
    }
    out
}

/// Runs, as their documents.
pub(crate) fn runs(documents: &[Value]) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rows: Vec<_> = documents
        .iter()
        .map(|run| {
            let records = run["totals"]["records"]
                .as_u64()
                .map_or_else(|| "-".to_owned(), |n| HumanCount(n).to_string());
            [
                text(&run["run_id"]),
                text(&run["status"]),
                text(&run["started_at"]),
                records,
                text(&run["error"]["message"]),
            ]
        })
        .collect();
    table(["RUN", "STATUS", "STARTED", "RECORDS", "ERROR"], &rows)
}

/// States, as `state show` has them. A cursor is shown as far as a line goes: nobody reads it but its connector.
pub(crate) fn states(documents: &[Value]) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => shortened(&other.to_string(), 60),
    };
    let rows: Vec<_> = documents
        .iter()
        .map(|state| {
            ["stream", "partition", "sequence", "updated_at", "cursor"].map(|name| text(&state[name]))
        })
        .collect();
    table(["STREAM", "PARTITION", "SEQUENCE", "UPDATED", "CURSOR"], &rows)
}

fn shortened(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_heads_and_numbers_at_the_right() {
        let rows = [["Contact".to_owned(), "5".to_owned()], ["Ü".to_owned(), "12,000".to_owned()]];
        assert_eq!(
            table(["STREAM", "RECORDS"], &rows),
            "STREAM   RECORDS\nContact        5\nÜ         12,000\n"
        );
        assert_eq!(table(["A", "B"], &[]), "A  B\n");
    }
}
