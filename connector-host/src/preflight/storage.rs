//! Can Bronze be written, and the registry be read?

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use connector_sdk::{Clock, Error, Result};

use super::{Preflight, Probe, ProbeName, within};

/// Writes, makes durable and removes a file in the Bronze folder.
pub(super) async fn bronze(folder: Option<&Path>, clock: &dyn Clock, deadline: Duration) -> Probe {
    let name = ProbeName::Bronze;
    let Some(folder) = folder else {
        return Probe::skip(name, "the connection has no `bronze`");
    };
    let path = folder.to_path_buf();
    let probing = async move {
        tokio::task::spawn_blocking(move || write_and_remove(&path))
            .await
            .map_err(|error| Error::bug("check bronze", "the work was cut off").with_source(error))?
    };
    match within(clock, deadline, "check bronze", probing).await {
        Ok(()) => Probe::pass(name, format!("{} can be written", folder.display())),
        Err(error) => Probe::fail(name, &error),
    }
}

fn write_and_remove(folder: &Path) -> Result<()> {
    // The name begins with a dot: no reader of Bronze takes it for data.
    let file = folder.join(format!(".probe-{}.tmp", std::process::id()));
    let written = fs::create_dir_all(folder).and_then(|()| write(&file));
    let removed = match fs::remove_file(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    written.and(removed).map_err(|error| refused(&file, &error))
}

fn write(file: &PathBuf) -> io::Result<()> {
    let mut file = File::create(file)?;
    file.write_all(&[0; 4096])?;
    file.sync_all()
}

fn refused(file: &Path, error: &io::Error) -> Error {
    let folder = file.parent().unwrap_or(file);
    Error::config("check bronze", format!("the folder cannot be written: {error}"))
        .with_context("path", folder.display())
}

/// Reads what the registry knows of the connection.
pub(super) async fn registry(preflight: &Preflight<'_>) -> Probe {
    let name = ProbeName::Registry;
    let registry = match &preflight.registry {
        Ok(registry) => registry,
        Err(error) => return Probe::fail(name, error),
    };
    let cx = preflight.cx;
    let reading = registry.states(cx.tenant(), cx.connection());
    match within(&**cx.clock(), preflight.deadline, "check registry", reading).await {
        Ok(states) if states.is_empty() => Probe::pass(name, "open; the connection has not been read yet"),
        Ok(states) => Probe::pass(name, format!("open; it has states of {} streams", states.len())),
        Err(error) => Probe::fail(name, &error),
    }
}
