//! Tables connector_runs, receipts and actions: what was done.

use connector_sdk::{ConnectionName, Result, RunId, TenantId, Timestamp};

use super::{
    super::{ActionRecord, RunRecord, rules},
    SqliteRegistry, begin,
    fault::{document, fault, text},
};

pub(super) async fn put_run(registry: &SqliteRegistry, run: &RunRecord) -> Result<()> {
    let mut writer = registry.writer().await;
    sqlx::query(
        "insert into connector_runs (tenant, connection, run, status, started_at, finished_at, document) \
         values ($1, $2, $3, $4, $5, $6, $7) \
         on conflict (tenant, connection, run) do update set status = excluded.status, \
         started_at = excluded.started_at, finished_at = excluded.finished_at, document = excluded.document",
    )
    .bind(run.tenant.as_str())
    .bind(run.connection.as_str())
    .bind(run.run.as_str())
    .bind(&run.status)
    .bind(run.started_at.as_millis())
    .bind(run.finished_at.map(Timestamp::as_millis))
    .bind(text(&run.document)?)
    .execute(&mut *writer)
    .await
    .map_err(fault("note run"))?;
    Ok(())
}

pub(super) async fn runs(
    registry: &SqliteRegistry,
    tenant: &TenantId,
    connection: &ConnectionName,
    limit: usize,
) -> Result<Vec<RunRecord>> {
    type Row = (String, String, i64, Option<i64>, String);
    let mut reader = registry.reader().await;
    let rows: Vec<Row> = sqlx::query_as(
        "select run, status, started_at, finished_at, document from connector_runs \
         where tenant = $1 and connection = $2 order by started_at desc, run desc limit $3",
    )
    .bind(tenant.as_str())
    .bind(connection.as_str())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *reader)
    .await
    .map_err(fault("read runs"))?;
    let decode = |(run, status, started_at, finished_at, text): Row| {
        Ok(RunRecord {
            tenant: tenant.clone(),
            connection: connection.clone(),
            document: document(&text, |error| error.with_context("run", &run))?,
            run: run.into(),
            status,
            started_at: Timestamp::from_millis(started_at),
            finished_at: finished_at.map(Timestamp::from_millis),
        })
    };
    rows.into_iter().map(decode).collect()
}

pub(super) async fn put_receipt(
    registry: &SqliteRegistry,
    tenant: &TenantId,
    run: &RunId,
    receipt: &serde_json::Value,
) -> Result<()> {
    let mut writer = registry.writer().await;
    sqlx::query(
        "insert into receipts (tenant, run, receipt) values ($1, $2, $3) \
         on conflict (tenant, run) do update set receipt = excluded.receipt",
    )
    .bind(tenant.as_str())
    .bind(run.as_str())
    .bind(text(receipt)?)
    .execute(&mut *writer)
    .await
    .map_err(fault("keep receipt"))?;
    Ok(())
}

pub(super) async fn receipt(
    registry: &SqliteRegistry,
    tenant: &TenantId,
    run: &RunId,
) -> Result<Option<serde_json::Value>> {
    let mut reader = registry.reader().await;
    let found: Option<String> =
        sqlx::query_scalar("select receipt from receipts where tenant = $1 and run = $2")
            .bind(tenant.as_str())
            .bind(run.as_str())
            .fetch_optional(&mut *reader)
            .await
            .map_err(fault("read receipt"))?;
    found.map(|text| document(&text, |error| error.with_context("run", run))).transpose()
}

pub(super) async fn begin_action(
    registry: &SqliteRegistry,
    action: &ActionRecord,
) -> Result<Option<ActionRecord>> {
    const BEGIN: &str = "begin action";
    type Row = (String, String, String, Option<String>, i64, Option<i64>);
    let mut writer = registry.writer().await;
    let mut db = begin(&mut writer, BEGIN).await?;
    let known: Option<Row> = sqlx::query_as(
        "select name, input_hash, status, answer, started_at, finished_at from actions \
         where tenant = $1 and connection = $2 and key = $3",
    )
    .bind(action.tenant.as_str())
    .bind(action.connection.as_str())
    .bind(&action.key)
    .fetch_optional(&mut *db)
    .await
    .map_err(fault(BEGIN))?;
    if let Some((name, input_hash, status, answer, started_at, finished_at)) = known {
        let answer =
            answer.map(|text| document(&text, |error| error.with_context("action", &name))).transpose()?;
        return Ok(Some(ActionRecord {
            name,
            input_hash,
            status,
            answer,
            started_at: Timestamp::from_millis(started_at),
            finished_at: finished_at.map(Timestamp::from_millis),
            ..action.clone()
        }));
    }
    sqlx::query(
        "insert into actions \
         (tenant, connection, key, name, input_hash, status, answer, started_at, finished_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(action.tenant.as_str())
    .bind(action.connection.as_str())
    .bind(&action.key)
    .bind(&action.name)
    .bind(&action.input_hash)
    .bind(&action.status)
    .bind(action.answer.as_ref().map(text).transpose()?)
    .bind(action.started_at.as_millis())
    .bind(action.finished_at.map(Timestamp::as_millis))
    .execute(&mut *db)
    .await
    .map_err(fault(BEGIN))?;
    db.commit().await.map_err(fault(BEGIN))?;
    Ok(None)
}

pub(super) async fn finish_action(registry: &SqliteRegistry, action: &ActionRecord) -> Result<()> {
    let mut writer = registry.writer().await;
    let written = sqlx::query(
        "update actions set status = $4, answer = $5, finished_at = $6 \
         where tenant = $1 and connection = $2 and key = $3",
    )
    .bind(action.tenant.as_str())
    .bind(action.connection.as_str())
    .bind(&action.key)
    .bind(&action.status)
    .bind(action.answer.as_ref().map(text).transpose()?)
    .bind(action.finished_at.map(Timestamp::as_millis))
    .execute(&mut *writer)
    .await
    .map_err(fault("finish action"))?;
    if written.rows_affected() == 0 { Err(rules::never_intended(action)) } else { Ok(()) }
}
