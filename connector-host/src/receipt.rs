//! Receipts: what a run has done, written beside its data, as JSON and as YAML.
//!
//! A receipt is the run document with what only the books need: the connector's version, the files that
//! each commit published, with counts and hashes. It lies below the connection's Bronze folder in
//! `_receipts/`, and in the registry.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use connector_sdk::{Error, Manifest, Result, contract};
use serde_json::{Value, json};

use crate::{Registry, RunReport, registry::RunRecord, report::StreamReport};

/// The folder of a connection that receipts lie in; its `_` says that it holds no data.
const FOLDER: &str = "_receipts";

/// The receipt of a run.
///
/// # Errors
/// Bug when it does not serialise.
pub fn document(report: &RunReport, manifest: &Manifest) -> Result<Value> {
    let streams = report.streams.iter().map(stream).collect::<Result<Vec<Value>>>()?;
    Ok(json!({
        "run_id": report.run_id,
        "tenant": report.tenant,
        "connection": report.connection,
        "connector": report.connector,
        "connector_version": manifest.version,
        "status": report.status,
        "started_at": report.started_at,
        "finished_at": report.finished_at,
        "totals": report.totals,
        "streams": streams,
        "error": report.error,
    }))
}

fn stream(report: &StreamReport) -> Result<Value> {
    let mut value = serde_json::to_value(report).map_err(unserialisable)?;
    if let Value::Object(fields) = &mut value {
        let files: Vec<&contract::FileReceipt> =
            report.commits.iter().flat_map(|commit| &commit.files).collect();
        let number = |commit: Option<&contract::Receipt>| commit.map(|commit| commit.number);
        fields.insert(
            "commits".to_owned(),
            json!({ "first": number(report.commits.first()), "last": number(report.commits.last()), "count": report.commits.len() }),
        );
        fields.insert("files".to_owned(), serde_json::to_value(files).map_err(unserialisable)?);
    }
    Ok(value)
}

/// Writes the receipt of a run into both files and into the registry, and notes in the run's document
/// where it lies. `bronze` is the Bronze folder, `folder` the connection's own below it.
///
/// A file is there whole or not at all, and durable when the call returns.
///
/// # Errors
/// Permanent when the disk refuses, naming the path; as [`Registry::define`] when the registry does.
pub async fn write(
    report: &mut RunReport,
    manifest: &Manifest,
    bronze: &Path,
    folder: &Path,
    registry: &dyn Registry,
) -> Result<()> {
    let receipt = document(report, manifest)?;
    let yaml = serde_saphyr::to_string(&receipt).map_err(unserialisable)?;
    let json = serde_json::to_string_pretty(&receipt).map_err(unserialisable)? + "\n";
    let name = file_name(report.run_id.as_str());
    let at = folder.join(FOLDER);
    let path = at.strip_prefix(bronze).unwrap_or(&at).join(format!("{name}.json"));
    let work = tokio::task::spawn_blocking(move || {
        make_folder(&at)?;
        place(&at, &format!("{name}.yaml"), yaml.as_bytes())?;
        place(&at, &format!("{name}.json"), json.as_bytes())
    });
    work.await.map_err(|error| Error::bug("write receipt", "the work was cut off").with_source(error))??;
    report.receipt =
        Some(path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"));
    registry.put_receipt(&report.tenant, &report.run_id, &receipt).await?;
    registry.finish_run(&record(report)?).await
}

/// The run's row, with the document as it is now.
fn record(report: &RunReport) -> Result<RunRecord> {
    Ok(RunRecord {
        tenant: report.tenant.clone(),
        connection: report.connection.clone(),
        run: report.run_id.clone(),
        status: report.status.as_str().to_owned(),
        started_at: report.started_at,
        finished_at: Some(report.finished_at),
        document: serde_json::to_value(report).map_err(unserialisable)?,
    })
}

/// Notes a failure of the receipt itself in the report: what was read is durable all the same.
pub fn note_failure(report: &mut RunReport, error: Error) {
    tracing::warn!(%error, run = %report.run_id, "the run has no receipt");
    report.error.get_or_insert_with(|| Arc::new(error));
}

fn make_folder(folder: &Path) -> Result<()> {
    let made = fs::create_dir_all(folder).and_then(|()| match folder.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    });
    made.map_err(|error| failed(folder, &error))
}

/// Writes a file under a name that is no data, makes it durable, and gives it its own name.
fn place(folder: &Path, name: &str, text: &[u8]) -> Result<()> {
    let unfinished: PathBuf = folder.join(format!(".{name}.tmp"));
    let written = (|| {
        let mut file = File::create(&unfinished)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(name))?;
        File::open(folder)?.sync_all()
    })();
    written.map_err(|error| {
        // Best effort: a file of that name is no data, and the next run of that name replaces it.
        let _ = fs::remove_file(&unfinished);
        failed(&folder.join(name), &error)
    })
}

/// A run's name as a file name. Ours need no change; an embedding program may choose another.
fn file_name(run: &str) -> String {
    let mut name = String::new();
    for byte in run.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::permanent("write receipt", format!("cannot write the receipt: {error}"))
        .with_context("path", path.display())
}

fn unserialisable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::bug("write receipt", "the receipt does not serialise").with_source(error)
}

#[cfg(test)]
mod tests;
