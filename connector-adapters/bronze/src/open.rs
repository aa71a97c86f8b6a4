//! Opening a stream: step 2 of delivery. Finishes or undoes what a crash left half done (D-02, D-21, D-22).

use std::{io, path::Path, sync::Arc};

use connector_sdk::{
    Error, Result, Timestamp,
    contract::{Commit, Lease, Opening},
    crash,
};

use crate::{
    BronzeConfig, Format,
    disk::Disk,
    fault,
    layout::{LogName, PendingName, StreamDir, connection_dir},
    log::Log,
    typed::TypedSchema,
    writer::StreamWriter,
};

/// Opens a stream for writing; answers the last commit of each partition.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    config: &BronzeConfig,
    opening: Opening,
    at: Timestamp,
) -> Result<(StreamWriter, Vec<Commit>)> {
    let Opening { lease, takeover, spec, header } = opening;
    if header.stream != lease.stream || header.tenant != lease.tenant || header.connection != lease.connection
    {
        return Err(Error::bug("open stream", "the envelope and the lease speak of different streams"));
    }
    let dir = stream_dir(&config.path, &lease);
    for dir in [dir.commits(), dir.pending()] {
        disk.create_dirs(&dir).map_err(|error| fault::disk("open stream", &dir, error))?;
    }
    crash::point("bronze.folders_made");
    // Listed before the log is read: what is in this list and is still pending when the log has been rolled
    // forward was never committed.
    let listed = pending(&*disk, &dir)?;
    let (log, contents) = Log::open(disk, dir, &lease, header.run_id.clone(), takeover, at)?;
    crash::point("bronze.log_opened");
    let typed = (config.typed && config.format == Format::Parquet).then(|| TypedSchema::of(&spec)).flatten();
    let mut writer = StreamWriter::new(log, header, config.format, typed.map(Arc::new));
    writer.roll_forward(&contents.files)?;
    crash::point("bronze.rolled_forward");
    clean(&writer.log, &listed)?;
    crash::point("bronze.cleaned");
    if let Err(error) = writer.log.sweep().and_then(|()| writer.log.fold_when_due()) {
        tracing::warn!(stream = %lease.stream, %error, "the commit log could not be folded; it is tried again");
    }
    Ok((writer, contents.standing.into_values().map(|last| last.commit).collect()))
}

pub(crate) fn stream_dir(root: &Path, lease: &Lease) -> StreamDir {
    StreamDir::new(&connection_dir(root, &lease.tenant, &lease.connection), &lease.stream)
}

/// The names of the pending files.
fn pending(disk: &dyn Disk, dir: &StreamDir) -> Result<Vec<String>> {
    let dir = dir.pending();
    let listed = disk.list(&dir).map_err(|error| fault::disk("open stream", &dir, error))?;
    Ok(listed.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect())
}

/// Removes what earlier owners left behind uncommitted, and our own earlier selves; nothing that does not
/// bear one of our names. A paused owner may still be writing one of these files: it cannot commit it any more.
fn clean(log: &Log, pending: &[String]) -> Result<()> {
    let mut removed = 0u64;
    for name in pending {
        if PendingName::parse(name).is_some_and(|parsed| parsed.fence <= log.fence()) {
            removed += u64::from(remove(log, &log.dir.pending().join(name))?);
            crash::point("bronze.pending_removed");
        }
    }
    let dir = log.dir.commits();
    for entry in log.disk.list(&dir).map_err(|error| fault::disk("open stream", &dir, error))? {
        if let Some(LogName::Draft(fence)) = LogName::parse(&entry.name)
            && fence <= log.fence()
        {
            remove(log, &dir.join(&entry.name))?;
            crash::point("bronze.draft_removed");
        }
    }
    if removed > 0 {
        tracing::info!(stream = %log.of.stream, files = removed, "threw away what was never committed; it is read again");
    }
    Ok(())
}

fn remove(log: &Log, path: &Path) -> Result<bool> {
    match log.disk.remove(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(fault::disk("open stream", path, error)),
    }
}
