//! What the host does when a stream's schema changes: remember, alert, and follow the policy (rule D-18).

use std::{collections::BTreeSet, sync::Arc};

use connector_sdk::{Class, Error, Result, StreamSelection, StreamSpec, contract::Lease, crash};

use super::{DriftPolicy, Job, discard::FieldWatch, drift};
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
    /// The schema that records are held to, once it is known.
    accepted: Option<StreamSpec>,
    fingerprint: Arc<str>,
    /// Fields that were alerted of in this run.
    alerted: BTreeSet<String>,
}

impl SchemaWatch {
    pub(super) fn new(job: &Job, lease: Lease, policy: DriftPolicy) -> Self {
        let (job, fingerprint) = (job.clone(), "".into());
        Self { job, lease, policy, version: 0, accepted: None, fingerprint, alerted: BTreeSet::new() }
    }

    pub(super) fn fingerprint(&self) -> Arc<str> {
        self.fingerprint.clone()
    }

    /// What looks into each record, where the policy wants that.
    pub(super) fn watch(&self) -> Option<FieldWatch> {
        FieldWatch::new(self.policy, self.accepted.as_ref()?)
    }

    /// At the start of a run: what was known against what was discovered, as far as it is read.
    pub(super) async fn compare_with_known(
        &mut self,
        key: &StreamKey,
        selection: &StreamSelection,
        report: &mut StreamReport,
    ) -> Result<()> {
        let spec = &*selection.spec;
        let Some(known) = self.job.registry.schema(key).await? else { return self.accept(spec).await };
        self.version = known.version;
        let old: StreamSpec = serde_json::from_value(known.spec).map_err(|error| {
            Error::config("compare schema", "the schema in the registry cannot be decoded").with_source(error)
        })?;
        self.fingerprint = known.fingerprint.as_str().into();
        self.accepted = Some(old.clone());
        if known.fingerprint == spec.fingerprint() {
            return Ok(());
        }
        let changes = self.alert_changes(&old, spec, selection, report).await?;
        if self.policy == DriftPolicy::Evolve || changes.is_empty() {
            return self.accept(spec).await;
        }
        if self.policy == DriftPolicy::Freeze {
            return Err(Error::new(
                Class::Schema,
                "compare schema",
                "the schema has changed and the stream is frozen; accept it with `on_drift: evolve`, or select the old fields",
            )
            .with_context("stream", &self.lease.stream)
            .with_context("fields", changes.join(", ")));
        }
        // The other policies go on holding records to the schema they know.
        Ok(())
    }

    /// The connector says, in the middle of a read, that the schema is this from now on.
    pub(super) async fn changed_in_band(
        &mut self,
        new: &StreamSpec,
        selection: &StreamSelection,
        report: &mut StreamReport,
    ) -> Result<()> {
        let old = self.accepted.clone().unwrap_or_else(|| (*selection.spec).clone());
        self.alert_changes(&old, new, selection, report).await?;
        if self.policy == DriftPolicy::Evolve { self.accept(new).await } else { Ok(()) }
    }

    /// Alerts of each change of a field that is read; answers their names.
    async fn alert_changes(
        &mut self,
        old: &StreamSpec,
        new: &StreamSpec,
        selection: &StreamSelection,
        report: &mut StreamReport,
    ) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for change in drift::compare(old, new) {
            if change.field.is_empty() || selection.reads(&change.field) {
                self.alert(&change.field, change.kind, change.detail, report).await?;
                names.push(change.field);
            }
        }
        Ok(names)
    }

    /// A record has a field that the accepted schema does not have.
    pub(super) async fn unknown(
        &mut self,
        field: String,
        key: String,
        report: &mut StreamReport,
    ) -> Result<()> {
        if self.alerted.contains(&field) {
            return Ok(());
        }
        self.alert(&field, "added", serde_json::json!({ "first_record": key }), report).await
    }

    async fn alert(
        &mut self,
        field: &str,
        change: &str,
        detail: serde_json::Value,
        report: &mut StreamReport,
    ) -> Result<()> {
        let policy = policy_name(self.policy);
        let alert = CompatAlert {
            tenant: self.lease.tenant.clone(),
            connection: self.lease.connection.clone(),
            stream: self.lease.stream.clone(),
            run: self.job.run_id(),
            field: field.to_owned(),
            change: change.to_owned(),
            policy: policy.to_owned(),
            detail,
            raised_at: self.job.cx.clock().now(),
        };
        self.job.registry.alert(&alert).await?;
        crash::point("schema.alerted");
        tracing::warn!(stream = %self.lease.stream, field, change, policy, "the schema has changed");
        self.alerted.insert(field.to_owned());
        report.drift.push(Drift {
            field: field.to_owned(),
            change: change.to_owned(),
            policy: policy.to_owned(),
        });
        Ok(())
    }

    /// From now on this is the stream's schema.
    async fn accept(&mut self, spec: &StreamSpec) -> Result<()> {
        self.version += 1;
        self.fingerprint = spec.fingerprint().into();
        self.accepted = Some(spec.clone());
        let document = serde_json::to_value(spec).map_err(|error| {
            Error::bug("accept schema", "the specification does not serialise").with_source(error)
        })?;
        let version = SchemaVersion {
            version: self.version,
            fingerprint: self.fingerprint.to_string(),
            spec: document,
            seen_at: self.job.cx.clock().now(),
        };
        self.job.registry.add_schema(&self.lease, &version).await?;
        crash::point("schema.accepted");
        Ok(())
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
