//! What the database reports, as errors that say who has to act; and how numbers and documents cross over.

use connector_sdk::{Class, Error, Result};
use serde::{Serialize, de::DeserializeOwned};

/// SQLite's primary result codes (sqlite.org/rescode.html) that mean something to a reader.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const AUTH: i32 = 23;
    pub(super) const NOTADB: i32 = 26;
}

/// Turns a failure of the database into an error of `operation`.
pub(super) fn fault(operation: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| {
        let (class, message) = judge(&error);
        Error::new(class, operation, message).with_source(error)
    }
}

fn judge(error: &sqlx::Error) -> (Class, &'static str) {
    let Some(code) = primary_code(error) else {
        return match error {
            sqlx::Error::Io(_) => (Class::Config, "the registry's file cannot be opened"),
            sqlx::Error::WorkerCrashed => (Class::Permanent, "the registry's connection has ended"),
            _ => (Class::Bug, "the registry does not understand its own database"),
        };
    };
    match code {
        code::BUSY | code::LOCKED => (Class::Transient, "another process keeps the registry busy; try again"),
        code::PERM | code::READONLY | code::AUTH => (
            Class::Config,
            "the registry may not be written: make its file and folder writable for this user",
        ),
        code::CANTOPEN => (
            Class::Config,
            "the registry's file cannot be opened: check that this user may read and write it and its folder",
        ),
        code::NOTADB => (Class::Config, "the file is no registry: it is not a SQLite database"),
        code::FULL => (Class::Permanent, "the registry's disk is full: free some space and run again"),
        code::IOERR => (Class::Permanent, "the registry's disk fails to read or write"),
        code::CORRUPT => (Class::Permanent, "the registry's file is damaged: restore it from a backup"),
        _ => (Class::Bug, "the registry does not understand its own database"),
    }
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// A number as the database keeps it.
pub(super) fn int(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|error| {
        Error::bug("write registry", "a number is too large for the registry").with_source(error)
    })
}

/// A number that the database kept.
pub(super) fn nat(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|error| {
        Error::config("read registry", "a number in the registry is negative").with_source(error)
    })
}

/// A document as the database keeps it.
pub(super) fn text<T: Serialize + ?Sized>(document: &T) -> Result<String> {
    serde_json::to_string(document)
        .map_err(|error| Error::bug("write registry", "the document does not serialise").with_source(error))
}

/// A document that the database kept, of the row that `at` names.
pub(super) fn document<T: DeserializeOwned>(text: &str, at: impl FnOnce(Error) -> Error) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        at(Error::config(
            "read registry",
            "a row of the registry cannot be decoded; restore it from a backup",
        ))
        .with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

    use super::*;

    #[tokio::test]
    async fn a_database_that_another_process_writes_is_busy_for_the_moment_only() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("r.db"))
            .create_if_missing(true)
            .busy_timeout(std::time::Duration::ZERO);
        let (mut one, mut two) = (options.connect().await.unwrap(), options.connect().await.unwrap());
        let writing = one.begin_with("begin immediate").await.unwrap();
        let error =
            two.begin_with("begin immediate").await.map(|_| ()).map_err(fault("claim stream")).unwrap_err();
        assert_eq!(error.class(), Class::Transient);
        assert_eq!(error.operation(), "claim stream");
        drop(writing);
    }

    #[tokio::test]
    async fn a_database_that_may_not_be_written_is_a_matter_of_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let options =
            SqliteConnectOptions::new().filename(folder.path().join("r.db")).create_if_missing(true);
        options.connect().await.unwrap().close().await.unwrap();
        let mut reader = options.read_only(true).connect().await.unwrap();
        let error =
            sqlx::query("create table t (a)").execute(&mut reader).await.map_err(fault("write")).unwrap_err();
        assert_eq!(error.class(), Class::Config);
    }

    #[tokio::test]
    async fn a_full_disk_is_not_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let options =
            SqliteConnectOptions::new().filename(folder.path().join("r.db")).create_if_missing(true);
        let mut one = options.pragma("max_page_count", "2").connect().await.unwrap();
        sqlx::raw_sql("create table t (a)").execute(&mut one).await.unwrap();
        let fill = sqlx::query("insert into t values (zeroblob(100000))");
        let error = fill.execute(&mut one).await.map_err(fault("write")).unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert!(error.to_string().contains("full"));
    }

    #[test]
    fn a_number_that_does_not_fit_is_an_error() {
        assert_eq!(int(7).unwrap(), 7);
        assert_eq!(int(u64::MAX).unwrap_err().class(), Class::Bug);
        assert_eq!(nat(-1).unwrap_err().class(), Class::Config);
    }
}
