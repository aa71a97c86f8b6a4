//! Opens the file and brings its tables to the version of this program, or says why it will not.
//!
//! The migrations are a list of our own instead of `sqlx::migrate!`: a registry of a newer version must be
//! refused with both versions named and nothing written, all steps belong in one transaction, and a macro
//! that reads a folder at build time does not notice a new file in it.

use std::{io::ErrorKind, path::Path};

use connector_sdk::{Class, Clock, Error, Result};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{BUSY_TIMEOUT, fault::fault, owners::Owners};

/// Step n brings version n - 1 to n and says so in `user_version`. A released step is never edited.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/sqlite/0001_registry.sql")];

/// In the header of every registry, so that no other program's database is taken for one: "cnrg".
const APPLICATION_ID: i64 = 0x636e_7267;

/// Opens the connection that writes, with the tables as this program knows them.
pub(super) async fn open_writer(path: &Path, owners: &Owners, clock: &dyn Clock) -> Result<SqliteConnection> {
    check_place(path)?;
    // SQLite does not wait for the lock that a change of the journal mode needs, so of processes that open a
    // new registry at once some would fail. One after the other they do not; nobody looks into an empty file
    // out of turn, because even a look would stand in the way.
    let is_new = std::fs::metadata(path).map_or(true, |file| file.len() == 0);
    let mut turn = if is_new { Some(owners.opening(clock).await?) } else { None };
    if is_new {
        create(path)?;
    }
    let options = options(path)
        // In WAL mode this syncs the log with every commit: what a call has written is durable (D-01).
        .pragma("synchronous", "full")
        // Where fsync alone leaves the data in the drive's cache (macOS); elsewhere it means nothing.
        .pragma("fullfsync", "on");
    let mut writer = options.connect().await.map_err(|error| at(path, fault(OPEN)(error)))?;
    let ready = is_ready(&mut writer).await.map_err(|error| at(path, error))?;
    if !ready {
        if turn.is_none() {
            turn = Some(owners.opening(clock).await?);
        }
        prepare(&mut writer, path).await.map_err(|error| at(path, error))?;
    }
    drop(turn);
    Ok(writer)
}

/// Makes the empty file, for its owner alone; SQLite gives its log the same rights.
fn create(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(at(path, Error::config(OPEN, "the registry cannot be created").with_source(error)))
        }
        _ => Ok(()),
    }
}

/// Opens a connection that reads beside it.
pub(super) async fn open_reader(path: &Path) -> Result<SqliteConnection> {
    options(path).read_only(true).connect().await.map_err(|error| at(path, fault(OPEN)(error)))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

async fn is_ready(db: &mut SqliteConnection) -> Result<bool> {
    Ok(version(db).await? == MIGRATIONS.len() && journal(db, "pragma journal_mode").await? == "wal")
}

async fn prepare(db: &mut SqliteConnection, path: &Path) -> Result<()> {
    if journal(db, "pragma journal_mode = wal").await? != "wal" {
        return Err(Error::config(
            OPEN,
            "the registry needs a local disk: its file system cannot share memory",
        ));
    }
    let mut step = db.begin_with("begin immediate").await.map_err(fault(OPEN))?;
    let standing = version(&mut step).await?;
    for migration in MIGRATIONS.iter().copied().skip(standing) {
        sqlx::raw_sql(migration).execute(&mut *step).await.map_err(fault(OPEN))?;
    }
    step.commit().await.map_err(fault(OPEN))?;
    sync_folder(path)
}

/// The version that stands in the file, 0 for a new one.
async fn version(db: &mut SqliteConnection) -> Result<usize> {
    // In one transaction: another process may be making the tables.
    let mut look = db.begin().await.map_err(fault(OPEN))?;
    let version: i64 = number(&mut look, "pragma user_version").await?;
    let application: i64 = number(&mut look, "pragma application_id").await?;
    let tables: i64 = number(&mut look, "select count(*) from sqlite_schema").await?;
    look.rollback().await.map_err(fault(OPEN))?;
    let known = MIGRATIONS.len();
    if application != APPLICATION_ID && (application != 0 || version != 0 || tables != 0) {
        return Err(Error::config(OPEN, "the file is no registry: it is the database of another program"));
    }
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        _ => Err(Error::config(
            OPEN,
            format!(
                "the registry has schema version {version}, this program knows versions up to {known}: use the \
                 newer program; nothing was changed"
            ),
        )),
    }
}

async fn number(db: &mut SqliteConnection, sql: &'static str) -> Result<i64> {
    sqlx::query_scalar(sql).fetch_one(db).await.map_err(fault(OPEN))
}

async fn journal(db: &mut SqliteConnection, sql: &'static str) -> Result<String> {
    sqlx::query_scalar(sql).fetch_one(db).await.map_err(fault(OPEN))
}

/// SQLite says only that it cannot open the file.
fn check_place(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    let message = if !folder.is_dir() {
        "its folder does not exist: make it, or correct the path"
    } else if path.is_dir() {
        "it is a folder: name a file in it"
    } else if path.to_str().is_none_or(|text| text.contains('\0')) {
        "its path must be UTF-8 without NUL"
    } else {
        return Ok(());
    };
    Err(at(path, Error::config(OPEN, format!("the registry cannot be opened: {message}"))))
}

/// The name of a new file is durable only with its folder.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|_| cfg!(unix));
    let synced = folder.map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all());
    synced.map_err(|error| {
        Error::new(Class::Permanent, OPEN, "the registry's folder cannot be made durable").with_source(error)
    })
}

fn at(path: &Path, error: Error) -> Error {
    error.with_context("path", path.display())
}

const OPEN: &str = "open registry";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_step_says_the_version_it_brings() {
        let mut db = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        for (before, migration) in MIGRATIONS.iter().copied().enumerate() {
            assert_eq!(version(&mut db).await.unwrap(), before);
            sqlx::raw_sql(migration).execute(&mut db).await.unwrap();
        }
        assert_eq!(version(&mut db).await.unwrap(), MIGRATIONS.len());
        assert_eq!(number(&mut db, "pragma application_id").await.unwrap(), APPLICATION_ID);
    }

    #[tokio::test]
    async fn d_01_every_commit_syncs_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db");
        let mut writer =
            open_writer(&path, &Owners::of(&path), &connector_sdk::SystemClock::new()).await.unwrap();
        assert_eq!(number(&mut writer, "pragma synchronous").await.unwrap(), 2, "full");
        assert_eq!(journal(&mut writer, "pragma journal_mode").await.unwrap(), "wal");
        assert_eq!(number(&mut writer, "pragma foreign_keys").await.unwrap(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_new_registry_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db");
        let _writer =
            open_writer(&path, &Owners::of(&path), &connector_sdk::SystemClock::new()).await.unwrap();
        for (file, mode) in
            [("r.db", 0o600), ("r.db-wal", 0o600), ("r.db-shm", 0o600), ("r.db.owners", 0o700)]
        {
            let metadata = std::fs::metadata(folder.path().join(file)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
        }
    }

    #[tokio::test]
    async fn every_key_starts_with_the_tenant() {
        let mut db = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        sqlx::raw_sql(MIGRATIONS[0]).execute(&mut db).await.unwrap();
        let keys: Vec<(String, String)> = sqlx::query_as(
            "select t.name, i.name from sqlite_schema t, pragma_index_list(t.name) l, pragma_index_info(l.name) i \
             where t.type = 'table' and i.seqno = 0",
        )
        .fetch_all(&mut db)
        .await
        .unwrap();
        assert!(keys.len() >= 12, "{keys:?}");
        for (table, first) in keys {
            let expected = if table == "connector_definitions" { "connector" } else { "tenant" };
            assert_eq!(first, expected, "{table}");
        }
    }
}
