//! What the host does when a stream's schema changes: remember, alert, and follow the policy (rule D-18).

use std::sync::Arc;

use connector_sdk::{Class, Error, Result, StreamSpec, contract::Lease};

use super::{DriftPolicy, Job, drift, stream::fingerprint};
use crate::{
    registry::{CompatAlert, SchemaVersion, StreamKey},
    report::{Drift, StreamReport},
};

/// Watches the schema of one stream.
pub(super) struct SchemaWatch {
    job: Job,
    lease: Lease,
    policy: DriftPolicy,
    version: u64,
    fingerprint: Arc<str>,
}

impl SchemaWatch {
    pub(super) fn new(job: &Job, lease: Lease, policy: DriftPolicy) -> Self {
        Self { job: job.clone(), lease, policy, version: 0, fingerprint: "".into() }
    }

    pub(super) fn fingerprint(&self) -> Arc<str> {
        self.fingerprint.clone()
    }

    /// At the start of a run: what was known against what was discovered.
    pub(super) async fn compare_with_known(
        &mut self,
        key: &StreamKey,
        spec: &StreamSpec,
        report: &mut StreamReport,
    ) -> Result<()> {
        self.fingerprint = fingerprint(spec);
        let known = self.job.registry.schema(key).await?;
        let Some(known) = known else { return self.remember(spec).await };
        self.version = known.version;
        if known.fingerprint == *self.fingerprint {
            return Ok(());
        }
        let old: StreamSpec = serde_json::from_value(known.spec).map_err(|error| {
            Error::config("compare schema", "the schema in the registry cannot be decoded").with_source(error)
        })?;
        self.changed(&old, spec, report).await
    }

    /// The schema has changed from `old` to `new`.
    pub(super) async fn changed(
        &mut self,
        old: &StreamSpec,
        new: &StreamSpec,
        report: &mut StreamReport,
    ) -> Result<()> {
        let changes = drift::compare(old, new);
        let policy = policy_name(self.policy);
        for change in &changes {
            let alert = CompatAlert {
                tenant: self.lease.tenant.clone(),
                connection: self.lease.connection.clone(),
                stream: self.lease.stream.clone(),
                run: self.job.run_id(),
                field: change.field.clone(),
                change: change.kind.to_owned(),
                policy: policy.to_owned(),
                detail: change.detail.clone(),
                raised_at: self.job.cx.clock().now(),
            };
            self.job.registry.alert(&alert).await?;
            tracing::warn!(stream = %self.lease.stream, field = %change.field, change = change.kind, policy, "the schema has changed");
            let drift = Drift {
                field: change.field.clone(),
                change: change.kind.to_owned(),
                policy: policy.to_owned(),
            };
            report.drift.push(drift);
        }
        if self.policy == DriftPolicy::Freeze && !changes.is_empty() {
            let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
            return Err(Error::new(
                Class::Schema,
                "compare schema",
                "the schema has changed and the stream is frozen; accept it with `on_drift: evolve`, or select the old fields",
            )
            .with_context("stream", &self.lease.stream)
            .with_context("fields", fields.join(", ")));
        }
        self.remember(new).await
    }

    async fn remember(&mut self, spec: &StreamSpec) -> Result<()> {
        self.version += 1;
        self.fingerprint = fingerprint(spec);
        let spec = serde_json::to_value(spec).map_err(|error| {
            Error::bug("remember schema", "the specification does not serialise").with_source(error)
        })?;
        let seen_at = self.job.cx.clock().now();
        let version =
            SchemaVersion { version: self.version, fingerprint: self.fingerprint.to_string(), spec, seen_at };
        self.job.registry.add_schema(&self.lease, &version).await
    }
}

fn policy_name(policy: DriftPolicy) -> &'static str {
    match policy {
        DriftPolicy::Evolve => "evolve",
        DriftPolicy::Freeze => "freeze",
        DriftPolicy::DiscardRow => "discard_row",
        DriftPolicy::DiscardValue => "discard_value",
    }
}
