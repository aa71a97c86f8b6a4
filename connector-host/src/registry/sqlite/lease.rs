//! Table leases: who may write a stream.

use std::time::Duration;

use connector_sdk::{Result, Timestamp, contract::Lease};
use sqlx::{SqlSafeStr, Sqlite, SqliteConnection};

use super::{
    super::{
        Claim, StreamKey, fenced,
        rules::{self, Held},
    },
    SqliteRegistry, begin,
    fault::{fault, int, nat},
};

const CLAIM: &str = "claim stream";
const RENEW: &str = "renew lease";
const RELEASE: &str = "release stream";

pub(super) async fn claim(
    registry: &SqliteRegistry,
    key: &StreamKey,
    owner: &str,
    lease: Duration,
) -> Result<Claim> {
    let mut writer = registry.writer().await;
    let mut db = begin(&mut writer, CLAIM).await?;
    // The clock is read and the owners are looked at with the write lock held: whoever waited for it judges
    // by what is the case now.
    let now = registry.clock.now();
    let me = registry.owners.me()?;
    let (fence, owner_id, held) = holder(&mut db, key).await?.unwrap_or_default();
    let alive = || owner_id.as_deref().map_or(Ok(true), |id| registry.owners.is_alive(id));
    let takeover = rules::may_claim(&key.stream, held.as_ref(), now, alive)?;
    let fence = fence + 1;
    sqlx::query(
        "insert into leases (tenant, connection, stream, fence, owner_id, owner, expires_at) \
         values ($1, $2, $3, $4, $5, $6, $7) \
         on conflict (tenant, connection, stream) do update set \
         fence = excluded.fence, owner_id = excluded.owner_id, owner = excluded.owner, expires_at = excluded.expires_at",
    )
    .bind(key.tenant.as_str())
    .bind(key.connection.as_str())
    .bind(key.stream.as_str())
    .bind(int(fence)?)
    .bind(me)
    .bind(owner)
    .bind((now + lease).as_millis())
    .execute(&mut *db)
    .await
    .map_err(fault(CLAIM))?;
    sqlx::query(
        "insert into streams (tenant, connection, stream, epoch, generation) values ($1, $2, $3, 0, 0) \
         on conflict (tenant, connection, stream) do nothing",
    )
    .bind(key.tenant.as_str())
    .bind(key.connection.as_str())
    .bind(key.stream.as_str())
    .execute(&mut *db)
    .await
    .map_err(fault(CLAIM))?;
    db.commit().await.map_err(fault(CLAIM))?;
    Ok(Claim { lease: key.lease(fence, owner), takeover })
}

pub(super) async fn renew(registry: &SqliteRegistry, lease: &Lease, extend: Duration) -> Result<()> {
    let mut writer = registry.writer().await;
    let mut db = begin(&mut writer, RENEW).await?;
    check(&mut db, lease, RENEW).await?;
    let expires_at = registry.clock.now() + extend;
    of_lease(
        "update leases set expires_at = $4 where tenant = $1 and connection = $2 and stream = $3",
        lease,
    )
    .bind(expires_at.as_millis())
    .execute(&mut *db)
    .await
    .map_err(fault(RENEW))?;
    db.commit().await.map_err(fault(RENEW))
}

pub(super) async fn release(registry: &SqliteRegistry, lease: &Lease) -> Result<()> {
    let mut writer = registry.writer().await;
    of_lease(
        "update leases set owner_id = null, owner = null, expires_at = null \
         where tenant = $1 and connection = $2 and stream = $3 and fence = $4",
        lease,
    )
    .bind(int(lease.fence)?)
    .execute(&mut *writer)
    .await
    .map_err(fault(RELEASE))?;
    Ok(())
}

/// What stands of a stream that a lease may write.
pub(super) struct Standing {
    pub(super) epoch: u64,
    pub(super) generation: u64,
}

/// Says whether the lease may write (D-16). The transaction already holds the write lock, so the answer stays
/// true until it ends.
pub(super) async fn check(
    db: &mut SqliteConnection,
    lease: &Lease,
    operation: &'static str,
) -> Result<Standing> {
    let row: Option<(i64, bool, i64, i64)> = sqlx::query_as(
        "select l.fence, l.owner_id is not null, s.epoch, s.generation \
         from leases l join streams s using (tenant, connection, stream) \
         where l.tenant = $1 and l.connection = $2 and l.stream = $3",
    )
    .bind(lease.tenant.as_str())
    .bind(lease.connection.as_str())
    .bind(lease.stream.as_str())
    .fetch_optional(db)
    .await
    .map_err(fault(operation))?;
    let (fence, held, epoch, generation) = row.ok_or_else(|| fenced(lease, 0))?;
    rules::may_write(lease, nat(fence)?, held)?;
    Ok(Standing { epoch: nat(epoch)?, generation: nat(generation)? })
}

/// A statement whose first three parameters are the key of the lease's stream.
pub(super) fn of_lease(
    sql: impl SqlSafeStr,
    lease: &Lease,
) -> sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments> {
    sqlx::query(sql)
        .bind(lease.tenant.to_string())
        .bind(lease.connection.to_string())
        .bind(lease.stream.to_string())
}

type Holder = (u64, Option<String>, Option<Held>);

/// Fence, lock file and owner of a stream that was ever claimed.
async fn holder(db: &mut SqliteConnection, key: &StreamKey) -> Result<Option<Holder>> {
    type Row = (i64, Option<String>, Option<String>, Option<i64>);
    let row: Option<Row> = sqlx::query_as(
        "select fence, owner_id, owner, expires_at from leases \
         where tenant = $1 and connection = $2 and stream = $3",
    )
    .bind(key.tenant.as_str())
    .bind(key.connection.as_str())
    .bind(key.stream.as_str())
    .fetch_optional(db)
    .await
    .map_err(fault(CLAIM))?;
    let Some((fence, owner_id, owner, expires_at)) = row else { return Ok(None) };
    let held =
        owner.zip(expires_at).map(|(owner, at)| Held { owner, expires_at: Timestamp::from_millis(at) });
    Ok(Some((nat(fence)?, owner_id, held)))
}
