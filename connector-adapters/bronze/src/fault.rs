//! What went wrong on the disk, as an error that says what to do.

use std::{io, path::Path};

use connector_sdk::{Class, Error};

/// A failed file operation on `path`.
pub(crate) fn disk(operation: &'static str, path: &Path, error: io::Error) -> Error {
    use io::ErrorKind as Kind;
    let (class, message) = match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => {
            (Class::Transient, "the disk is full; free some space, the next run goes on by itself".to_owned())
        }
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            (Class::Config, format!("Bronze cannot be written there: {error}"))
        }
        Kind::NotADirectory | Kind::IsADirectory | Kind::InvalidFilename => {
            (Class::Config, format!("the path does not fit what lies on the disk: {error}"))
        }
        Kind::Interrupted
        | Kind::TimedOut
        | Kind::WouldBlock
        | Kind::ResourceBusy
        | Kind::StaleNetworkFileHandle => {
            (Class::Transient, format!("the disk did not do it this time: {error}"))
        }
        // EMFILE and ENFILE have no kind of their own; 24 and 23 on every Unix.
        _ if cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24)) => {
            (Class::Transient, format!("too many open files; raise the limit of the process: {error}"))
        }
        _ => {
            (Class::Permanent, format!("the disk failed: {error}; the next run goes on from the last commit"))
        }
    };
    Error::new(class, operation, message).with_context("path", path.display()).with_source(error)
}

/// The stream belongs to a newer owner. The host knows it by the context `fence`.
pub(crate) fn fenced(operation: &'static str, path: &Path, ours: u64, found: u64) -> Error {
    Error::permanent(
        operation,
        "the stream has a newer owner, nothing was published; if there is none, the registry was lost or \
         replaced, and its fence must grow beyond the one found",
    )
    .with_context("fence", found)
    .with_context("lease", ours)
    .with_context("path", path.display())
}

/// A file of the log that cannot be what we wrote.
pub(crate) fn corrupt(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::permanent(
        "open stream",
        format!(
            "the commit log is damaged: {what}; restore the file, or move the stream's folder away: reading \
             then goes on from the registry's state into a new log"
        ),
    )
    .with_context("path", path.display())
}
