//! Tables connector_definitions, tenant_connections, stream_registry, compat_alerts and tokens: what is known
//! of connectors, connections and the shapes of their streams.

use connector_sdk::{ConnectionName, Error, Result, TenantId, Timestamp, contract::Lease};

use super::{
    super::{CompatAlert, ConnectionRecord, Definition, SchemaVersion, StreamKey, rules},
    SqliteRegistry, begin,
    fault::{document, fault, int, nat, text},
    lease::{check, of_lease},
};

pub(super) async fn define(registry: &SqliteRegistry, definition: &Definition) -> Result<()> {
    let mut writer = registry.writer().await;
    sqlx::query(
        "insert into connector_definitions (connector, version, manifest, config_schema, registered_at) \
         values ($1, $2, $3, $4, $5) \
         on conflict (connector, version) do update set manifest = excluded.manifest, \
         config_schema = excluded.config_schema, registered_at = excluded.registered_at",
    )
    .bind(definition.connector.as_str())
    .bind(&definition.version)
    .bind(text(&definition.manifest)?)
    .bind(text(&definition.config_schema)?)
    .bind(definition.registered_at.as_millis())
    .execute(&mut *writer)
    .await
    .map_err(fault("define connector"))?;
    Ok(())
}

pub(super) async fn definitions(registry: &SqliteRegistry) -> Result<Vec<Definition>> {
    let mut reader = registry.reader().await;
    let rows: Vec<(String, String, String, String, i64)> = sqlx::query_as(
        "select connector, version, manifest, config_schema, registered_at from connector_definitions \
         order by connector, version",
    )
    .fetch_all(&mut *reader)
    .await
    .map_err(fault("read definitions"))?;
    let decode =
        |(connector, version, manifest, config_schema, at): (String, String, String, String, i64)| {
            let here =
                |error: Error| error.with_context("connector", &connector).with_context("version", &version);
            Ok(Definition {
                manifest: document(&manifest, here)?,
                config_schema: document(&config_schema, here)?,
                registered_at: Timestamp::from_millis(at),
                connector: connector.as_str().into(),
                version: version.clone(),
            })
        };
    rows.into_iter().map(decode).collect()
}

pub(super) async fn put_connection(registry: &SqliteRegistry, record: &ConnectionRecord) -> Result<()> {
    let mut writer = registry.writer().await;
    sqlx::query(
        "insert into tenant_connections (tenant, connection, connector, config, updated_at) \
         values ($1, $2, $3, $4, $5) \
         on conflict (tenant, connection) do update set connector = excluded.connector, \
         config = excluded.config, updated_at = excluded.updated_at",
    )
    .bind(record.tenant.as_str())
    .bind(record.connection.as_str())
    .bind(record.connector.as_str())
    .bind(text(&record.config)?)
    .bind(record.updated_at.as_millis())
    .execute(&mut *writer)
    .await
    .map_err(fault("put connection"))?;
    Ok(())
}

pub(super) async fn connections(
    registry: &SqliteRegistry,
    tenant: &TenantId,
) -> Result<Vec<ConnectionRecord>> {
    let mut reader = registry.reader().await;
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "select connection, connector, config, updated_at from tenant_connections \
         where tenant = $1 order by connection",
    )
    .bind(tenant.as_str())
    .fetch_all(&mut *reader)
    .await
    .map_err(fault("read connections"))?;
    let decode = |(connection, connector, config, at): (String, String, String, i64)| {
        Ok(ConnectionRecord {
            tenant: tenant.clone(),
            config: document(&config, |error| error.with_context("connection", &connection))?,
            connection: connection.into(),
            connector: connector.into(),
            updated_at: Timestamp::from_millis(at),
        })
    };
    rows.into_iter().map(decode).collect()
}

pub(super) async fn schema(registry: &SqliteRegistry, key: &StreamKey) -> Result<Option<SchemaVersion>> {
    let mut reader = registry.reader().await;
    let row: Option<(i64, String, String, i64)> = sqlx::query_as(
        "select version, fingerprint, spec, seen_at from stream_registry \
         where tenant = $1 and connection = $2 and stream = $3 order by version desc limit 1",
    )
    .bind(key.tenant.as_str())
    .bind(key.connection.as_str())
    .bind(key.stream.as_str())
    .fetch_optional(&mut *reader)
    .await
    .map_err(fault("read schema"))?;
    let Some((version, fingerprint, spec, seen_at)) = row else { return Ok(None) };
    let here =
        |error: Error| error.with_context("stream", &key.stream).with_context("schema_version", version);
    let spec = document(&spec, here)?;
    Ok(Some(SchemaVersion {
        version: nat(version)?,
        fingerprint,
        spec,
        seen_at: Timestamp::from_millis(seen_at),
    }))
}

pub(super) async fn add_schema(
    registry: &SqliteRegistry,
    lease: &Lease,
    schema: &SchemaVersion,
) -> Result<()> {
    const ADD: &str = "add schema";
    let mut writer = registry.writer().await;
    let mut db = begin(&mut writer, ADD).await?;
    check(&mut db, lease, ADD).await?;
    let known: Option<(String,)> = sqlx::query_as(
        "select fingerprint from stream_registry \
         where tenant = $1 and connection = $2 and stream = $3 and version = $4",
    )
    .bind(lease.tenant.as_str())
    .bind(lease.connection.as_str())
    .bind(lease.stream.as_str())
    .bind(int(schema.version)?)
    .fetch_optional(&mut *db)
    .await
    .map_err(fault(ADD))?;
    if let Some((known,)) = known {
        return rules::check_same_schema(&known, schema);
    }
    of_lease(
        "insert into stream_registry (tenant, connection, stream, version, fingerprint, spec, seen_at) \
         values ($1, $2, $3, $4, $5, $6, $7)",
        lease,
    )
    .bind(int(schema.version)?)
    .bind(&schema.fingerprint)
    .bind(text(&schema.spec)?)
    .bind(schema.seen_at.as_millis())
    .execute(&mut *db)
    .await
    .map_err(fault(ADD))?;
    db.commit().await.map_err(fault(ADD))
}

pub(super) async fn alert(registry: &SqliteRegistry, alert: &CompatAlert) -> Result<()> {
    let mut writer = registry.writer().await;
    sqlx::query(
        "insert into compat_alerts \
         (tenant, connection, stream, run, field, change, policy, detail, raised_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         on conflict (tenant, connection, stream, run, field, change) do nothing",
    )
    .bind(alert.tenant.as_str())
    .bind(alert.connection.as_str())
    .bind(alert.stream.as_str())
    .bind(alert.run.as_str())
    .bind(&alert.field)
    .bind(&alert.change)
    .bind(&alert.policy)
    .bind(text(&alert.detail)?)
    .bind(alert.raised_at.as_millis())
    .execute(&mut *writer)
    .await
    .map_err(fault("raise alert"))?;
    Ok(())
}

pub(super) async fn alerts(
    registry: &SqliteRegistry,
    tenant: &TenantId,
    connection: &ConnectionName,
    limit: usize,
) -> Result<Vec<CompatAlert>> {
    type Row = (String, String, String, String, String, String, i64);
    let mut reader = registry.reader().await;
    let rows: Vec<Row> = sqlx::query_as(
        "select stream, run, field, change, policy, detail, raised_at from compat_alerts \
         where tenant = $1 and connection = $2 \
         order by raised_at desc, stream, run, field, change limit $3",
    )
    .bind(tenant.as_str())
    .bind(connection.as_str())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *reader)
    .await
    .map_err(fault("read alerts"))?;
    let decode = |(stream, run, field, change, policy, detail, at): Row| {
        Ok(CompatAlert {
            tenant: tenant.clone(),
            connection: connection.clone(),
            detail: document(&detail, |error| {
                error.with_context("alert", format!("{stream}.{field} of run {run}"))
            })?,
            stream: stream.into(),
            run: run.into(),
            field,
            change,
            policy,
            raised_at: Timestamp::from_millis(at),
        })
    };
    rows.into_iter().map(decode).collect()
}

pub(super) async fn put_token(
    registry: &SqliteRegistry,
    tenant: &TenantId,
    connection: &ConnectionName,
    name: &str,
    sealed: &[u8],
) -> Result<()> {
    let now = registry.clock.now().as_millis();
    let mut writer = registry.writer().await;
    sqlx::query(
        "insert into tokens (tenant, connection, name, sealed, updated_at) values ($1, $2, $3, $4, $5) \
         on conflict (tenant, connection, name) do update set \
         sealed = excluded.sealed, updated_at = excluded.updated_at",
    )
    .bind(tenant.as_str())
    .bind(connection.as_str())
    .bind(name)
    .bind(sealed)
    .bind(now)
    .execute(&mut *writer)
    .await
    .map_err(fault("keep token"))?;
    Ok(())
}

pub(super) async fn token(
    registry: &SqliteRegistry,
    tenant: &TenantId,
    connection: &ConnectionName,
    name: &str,
) -> Result<Option<Vec<u8>>> {
    let mut reader = registry.reader().await;
    sqlx::query_scalar("select sealed from tokens where tenant = $1 and connection = $2 and name = $3")
        .bind(tenant.as_str())
        .bind(connection.as_str())
        .bind(name)
        .fetch_optional(&mut *reader)
        .await
        .map_err(fault("read token"))
}
