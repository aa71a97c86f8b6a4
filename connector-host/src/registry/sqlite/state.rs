//! Tables streams and connector_run_state: where reads stand.

use std::collections::BTreeMap;

use connector_sdk::{
    ConnectionName, Error, PartitionId, Result, State, StreamId, StreamState, TenantId, Timestamp,
    contract::{Commit, Lease},
    state::PartitionState,
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::{
    super::{Fold, StoredState, rules},
    SqliteRegistry, begin,
    fault::{document, fault, int, nat, text},
    lease::{Standing, check, of_lease},
};

const LOAD: &str = "load state";
const CHECKPOINT: &str = "checkpoint";
const FOLD: &str = "fold stream";
const RESET: &str = "reset stream";

pub(super) async fn load(
    registry: &SqliteRegistry,
    tenant: &TenantId,
    connection: &ConnectionName,
    stream: &StreamId,
) -> Result<StreamState> {
    let found = read(registry, tenant, connection, Some(stream)).await?;
    Ok(found.into_iter().next().map(|stored| stored.state).unwrap_or_default())
}

pub(super) async fn states(
    registry: &SqliteRegistry,
    tenant: &TenantId,
    connection: &ConnectionName,
) -> Result<Vec<StoredState>> {
    read(registry, tenant, connection, None).await
}

type StreamRow = (String, i64, i64, Option<i64>, Option<String>);
type PartitionRow = (String, String, i64, i64, i64, Option<String>);

macro_rules! streams {
    ($which:literal) => {
        concat!(
            "select stream, epoch, generation, updated_at, state from streams \
             where tenant = $1 and connection = $2",
            $which,
            " order by stream"
        )
    };
}

macro_rules! partitions {
    ($which:literal) => {
        concat!(
            "select stream, partition, epoch, sequence, updated_at, state from connector_run_state \
             where tenant = $1 and connection = $2",
            $which,
            " order by stream, partition"
        )
    };
}

/// All streams of the connection or one of them, in one transaction, so that a checkpoint is seen whole.
/// A row that cannot be decoded is an error that names it, whatever the others say (D-15).
async fn read(
    registry: &SqliteRegistry,
    tenant: &TenantId,
    connection: &ConnectionName,
    stream: Option<&StreamId>,
) -> Result<Vec<StoredState>> {
    let mut reader = registry.reader().await;
    let mut db = reader.begin().await.map_err(fault(LOAD))?;
    let (tenant, connection) = (tenant.as_str(), connection.as_str());
    let (streams, partitions) = match stream {
        Some(stream) => (
            sqlx::query_as(streams!(" and stream = $3")).bind(tenant).bind(connection).bind(stream.as_str()),
            sqlx::query_as(partitions!(" and stream = $3"))
                .bind(tenant)
                .bind(connection)
                .bind(stream.as_str()),
        ),
        None => (
            sqlx::query_as(streams!("")).bind(tenant).bind(connection),
            sqlx::query_as(partitions!("")).bind(tenant).bind(connection),
        ),
    };
    let streams: Vec<StreamRow> = streams.fetch_all(&mut *db).await.map_err(fault(LOAD))?;
    let partitions: Vec<PartitionRow> = partitions.fetch_all(&mut *db).await.map_err(fault(LOAD))?;
    db.rollback().await.map_err(fault(LOAD))?;
    let mut found = BTreeMap::new();
    for (name, epoch, generation, updated_at, state) in streams {
        let state = decode(state.as_deref(), &name, None)?;
        let state =
            StreamState { epoch: nat(epoch)?, generation: nat(generation)?, state, ..StreamState::default() };
        let own = updated_at.map(|at| (None, Timestamp::from_millis(at)));
        let stored =
            StoredState { stream: name.as_str().into(), state, updated_at: own.into_iter().collect() };
        found.insert(name, stored);
    }
    for (name, partition, epoch, sequence, updated_at, state) in partitions {
        let state = decode(state.as_deref(), &name, Some(&partition))?;
        let known = PartitionState { sequence: nat(sequence)?, epoch: nat(epoch)?, state };
        // The foreign key holds that the stream has a row.
        if let Some(stored) = found.get_mut(&name) {
            let partition = PartitionId::from(partition);
            stored.updated_at.push((Some(partition.clone()), Timestamp::from_millis(updated_at)));
            stored.state.partitions.insert(partition, known);
        }
    }
    Ok(found.into_values().collect())
}

fn decode(state: Option<&str>, stream: &str, partition: Option<&str>) -> Result<Option<State>> {
    let at = |_: Error| {
        let message = "a state in the registry cannot be decoded; restore the registry from a backup, or read the \
                       stream again after `connector state reset`";
        let error = Error::config(LOAD, message).with_context("stream", stream);
        match partition {
            Some(partition) => error.with_context("partition", partition),
            None => error.with_context("partition", "none: the stream's own state"),
        }
    };
    state.map(|state| document(state, at)).transpose()
}

/// Partitions that one statement writes: a statement costs more than its rows.
const ROWS: usize = 16;

pub(super) async fn checkpoint(registry: &SqliteRegistry, lease: &Lease, commits: &[Commit]) -> Result<()> {
    let now = registry.clock.now().as_millis();
    let mut writer = registry.writer().await;
    let mut db = begin(&mut writer, CHECKPOINT).await?;
    let epoch = check(&mut db, lease, CHECKPOINT).await?.epoch;
    for rows in rules::to_write(epoch, commits)?.chunks(ROWS) {
        let mut statement = of_lease(AssertSqlSafe(upsert(rows.len())), lease).bind(now);
        for (commit, cursor) in rows {
            statement = statement
                .bind(commit.partition.as_str())
                .bind(int(commit.epoch)?)
                .bind(int(commit.generation)?)
                .bind(int(commit.sequence)?)
                .bind(cursor.map(text).transpose()?);
        }
        let written = statement.execute(&mut *db).await.map_err(fault(CHECKPOINT))?;
        if written.rows_affected() == rows.len() as u64 {
            continue;
        }
        for (commit, _) in rows {
            if let Some(known) = partition(&mut db, lease, &commit.partition, CHECKPOINT).await? {
                rules::check_forward((known.epoch, known.sequence), commit)?;
            }
        }
        return Err(Error::bug(CHECKPOINT, "the registry has written fewer partitions than it was given"));
    }
    db.commit().await.map_err(fault(CHECKPOINT))
}

/// Writes so many partitions, except those that would go backwards. Prepared once for each number of rows.
fn upsert(rows: usize) -> String {
    let values = (0..rows).map(|row| {
        let [id, epoch, generation, sequence, state] = std::array::from_fn(|column| 5 + row * 5 + column);
        format!("($1, $2, $3, ${id}, ${epoch}, ${generation}, ${sequence}, $4, ${state})")
    });
    format!(
        "insert into connector_run_state \
         (tenant, connection, stream, partition, epoch, generation, sequence, updated_at, state) \
         values {} \
         on conflict (tenant, connection, stream, partition) do update set \
         epoch = excluded.epoch, generation = excluded.generation, sequence = excluded.sequence, \
         updated_at = excluded.updated_at, state = excluded.state \
         where excluded.epoch >= connector_run_state.epoch and excluded.sequence >= connector_run_state.sequence",
        values.collect::<Vec<_>>().join(", ")
    )
}

pub(super) async fn fold(registry: &SqliteRegistry, lease: &Lease, fold: &Fold) -> Result<()> {
    let now = registry.clock.now().as_millis();
    let mut writer = registry.writer().await;
    let mut db = begin(&mut writer, FOLD).await?;
    let Standing { epoch, generation } = check(&mut db, lease, FOLD).await?;
    rules::check_fold(generation, fold)?;
    for id in &fold.forget {
        let known = partition(&mut db, lease, id, FOLD).await?;
        rules::check_forget(epoch, id, known.as_ref().map(|known| (known.epoch, known.state.as_ref())))?;
        of_lease(
            "delete from connector_run_state \
             where tenant = $1 and connection = $2 and stream = $3 and partition = $4",
            lease,
        )
        .bind(id.as_str())
        .execute(&mut *db)
        .await
        .map_err(fault(FOLD))?;
    }
    if fold.restart {
        empty_cursors(&mut db, lease, now, FOLD).await?;
    }
    of_lease(
        "update streams set generation = $4, updated_at = $5, state = coalesce($6, state) \
         where tenant = $1 and connection = $2 and stream = $3",
        lease,
    )
    .bind(int(fold.generation)?)
    .bind(now)
    .bind(fold.state.as_ref().map(text).transpose()?)
    .execute(&mut *db)
    .await
    .map_err(fault(FOLD))?;
    db.commit().await.map_err(fault(FOLD))
}

pub(super) async fn reset(registry: &SqliteRegistry, lease: &Lease) -> Result<()> {
    let now = registry.clock.now().as_millis();
    let mut writer = registry.writer().await;
    let mut db = begin(&mut writer, RESET).await?;
    check(&mut db, lease, RESET).await?;
    empty_cursors(&mut db, lease, now, RESET).await?;
    of_lease(
        "update streams set epoch = epoch + 1, updated_at = $4, state = null \
         where tenant = $1 and connection = $2 and stream = $3",
        lease,
    )
    .bind(now)
    .execute(&mut *db)
    .await
    .map_err(fault(RESET))?;
    db.commit().await.map_err(fault(RESET))
}

/// Sequences and epochs stay: what stands in Bronze does not change.
async fn empty_cursors(
    db: &mut SqliteConnection,
    lease: &Lease,
    now: i64,
    operation: &'static str,
) -> Result<()> {
    of_lease(
        "update connector_run_state set state = null, updated_at = $4 \
         where tenant = $1 and connection = $2 and stream = $3",
        lease,
    )
    .bind(now)
    .execute(db)
    .await
    .map_err(fault(operation))?;
    Ok(())
}

/// One partition of the lease's stream, inside a transaction that writes.
async fn partition(
    db: &mut SqliteConnection,
    lease: &Lease,
    id: &PartitionId,
    operation: &'static str,
) -> Result<Option<PartitionState>> {
    let row: Option<(i64, i64, Option<String>)> = sqlx::query_as(
        "select epoch, sequence, state from connector_run_state \
         where tenant = $1 and connection = $2 and stream = $3 and partition = $4",
    )
    .bind(lease.tenant.as_str())
    .bind(lease.connection.as_str())
    .bind(lease.stream.as_str())
    .bind(id.as_str())
    .fetch_optional(db)
    .await
    .map_err(fault(operation))?;
    let Some((epoch, sequence, state)) = row else { return Ok(None) };
    let state = decode(state.as_deref(), lease.stream.as_str(), Some(id.as_str()))?;
    Ok(Some(PartitionState { epoch: nat(epoch)?, sequence: nat(sequence)?, state }))
}
