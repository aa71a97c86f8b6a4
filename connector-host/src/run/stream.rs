//! A run of one stream: the steps of delivery, in order. Nobody else decides the order.

use std::sync::Arc;

use connector_sdk::{
    Context, Error, Partition, PartitionId, Plan, ReadRequest, Result, State, StreamSelection, StreamState,
    SyncMode,
    clock::timeout,
    contract::{DeadLetter, Lease, Opening},
    crash,
    record::EnvelopeHeader,
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use super::{
    DriftPolicy, Job,
    budget::Budget,
    deletes,
    generation::Generation,
    lease::LeaseKeeper,
    reader::{Item, Numbering, Outcome, Reader, Reset},
    reconcile,
    schema::SchemaWatch,
    writer::{Emitted, Writer},
};
use crate::{
    registry::{Fold, StreamKey},
    report::{PartitionReport, RunStatus, StreamReport},
};

/// Plans that ask for another plan more often than this are taken for a loop.
const MAX_ROUNDS: u32 = 10_000;

/// Runs one stream. What goes wrong is in the report.
pub(super) async fn run_stream(job: &Job, selection: StreamSelection, policy: DriftPolicy) -> StreamReport {
    let mut report = StreamReport::new(selection.spec.name.clone());
    if job.cx.is_stopping() {
        report.status = RunStatus::Stopped;
        return report;
    }
    job.progress.started(&selection.spec.name);
    if let Err(error) = StreamRun::go(job, selection, policy, &mut report).await {
        report.status = RunStatus::Failed;
        report.error = Some(Arc::new(error));
    }
    if report.status == RunStatus::Failed && report.records > 0 {
        report.status = RunStatus::Incomplete;
    }
    job.progress.finished(&report);
    report
}

pub(super) struct StreamRun<'a> {
    pub(super) job: &'a Job,
    /// As the job's, with a token that also stops when the lease is lost.
    pub(super) cx: Context,
    selection: StreamSelection,
    pub(super) schema: SchemaWatch,
    pub(super) lease: Lease,
    pub(super) writer: Writer,
    budget: Budget,
    pub(super) report: &'a mut StreamReport,
}

impl<'a> StreamRun<'a> {
    /// The order of delivery: claim, reconcile, (plan, read, commit)*, release.
    async fn go(
        job: &'a Job,
        selection: StreamSelection,
        policy: DriftPolicy,
        report: &'a mut StreamReport,
    ) -> Result<()> {
        let key = StreamKey {
            tenant: job.cx.tenant().clone(),
            connection: job.cx.connection().clone(),
            stream: selection.spec.name.clone(),
        };
        let claim = job.registry.claim(&key, &job.owner(), job.options.lease).await?;
        crash::point("stream.claimed");
        let lease = claim.lease.clone();
        let keeper = LeaseKeeper::start(&job.cx, job.registry.clone(), lease.clone(), job.options.lease);
        let mut run = Self::new(job, selection, lease.clone(), policy, report);
        let work = async {
            run.reconcile(&key, claim.takeover).await?;
            run.rounds().await
        };
        // A lost lease ends the work at once, without a commit: somebody else goes on.
        let result = tokio::select! {
            result = work => result,
            error = keeper.lost() => Err(error),
        };
        crash::point("stream.worked");
        keeper.stop().await;
        let closed = job.sink.close(&job.cx, &lease.stream).await;
        crash::point("stream.closed");
        let released = job.registry.release(&lease).await;
        crash::point("stream.released");
        // The first thing that went wrong is what a person has to know.
        result.and(closed).and(released)
    }

    fn new(
        job: &'a Job,
        selection: StreamSelection,
        lease: Lease,
        policy: DriftPolicy,
        report: &'a mut StreamReport,
    ) -> Self {
        let writer = Writer {
            cx: job.cx.clone(),
            connector: job.connector.clone(),
            registry: job.registry.clone(),
            sink: job.sink.clone(),
            lease: lease.clone(),
            options: job.options.clone(),
            progress: job.progress.clone(),
            durable: std::collections::BTreeMap::new(),
            pending: std::collections::BTreeMap::new(),
            pending_bytes: 0,
            pending_since: None,
            is_pressed: false,
            emitted: Emitted::default(),
            generation: None,
        };
        let schema = SchemaWatch::new(job, lease.clone(), policy);
        let budget = Budget::new(job.options.look_ahead);
        Self { job, cx: job.cx.clone(), selection, schema, lease, writer, budget, report }
    }

    /// What stands in Bronze against what the registry knows, after the sink has repaired itself.
    async fn reconcile(&mut self, key: &StreamKey, takeover: bool) -> Result<()> {
        self.schema.compare_with_known(key, &self.selection, self.report).await?;
        crash::point("stream.schema_compared");
        let state = self.load().await?;
        let opening = Opening {
            lease: self.lease.clone(),
            takeover,
            spec: self.selection.spec.clone(),
            header: self.header(),
        };
        let standing = self.job.sink.open(&self.cx, opening).await?;
        crash::point("stream.opened");
        let ahead = reconcile::ahead(&state, standing);
        if !ahead.is_empty() {
            tracing::info!(stream = %self.lease.stream, partitions = ahead.len(), "adopting what was committed before a crash");
            self.job.registry.checkpoint(&self.lease, &ahead).await?;
            crash::point("stream.adopted");
        }
        // The last run may have died, or failed, between the checkpoint and the acknowledgement.
        let state = self.load().await?;
        self.writer.acknowledge_again(&state).await;
        crash::point("stream.reconciled");
        Ok(())
    }

    fn header(&self) -> EnvelopeHeader {
        EnvelopeHeader {
            tenant: self.cx.tenant().clone(),
            connector: self.job.manifest.id(),
            connector_version: self.job.manifest.version.as_str().into(),
            connection: self.cx.connection().clone(),
            stream: self.lease.stream.clone(),
            run_id: self.job.run_id(),
        }
    }

    async fn load(&self) -> Result<StreamState> {
        self.job.registry.load(&self.lease.tenant, &self.lease.connection, &self.lease.stream).await
    }

    /// Plan, read, commit; again as long as the plan asks for it.
    async fn rounds(&mut self) -> Result<()> {
        for _ in 0..MAX_ROUNDS {
            let Some((plan, state)) = self.plan().await? else {
                self.stopped();
                return Ok(());
            };
            let again = plan.again;
            let names: Vec<PartitionId> =
                plan.partitions.iter().map(|partition| partition.id.clone()).collect();
            let skipped = self.report.skipped.len();
            let clean = self.read_all(plan, &state).await?;
            if self.cx.is_stopping() {
                self.stopped();
                return Ok(());
            }
            // What was skipped is not complete, so another plan would only find it again; and what was not
            // seen shows no deletes.
            let whole = clean && self.report.skipped.len() == skipped;
            if !whole || !again {
                let state = self.load().await?;
                let full = self.selection.mode == SyncMode::Full;
                if whole && full && are_complete(&state, &names) {
                    self.conclude_deletes(&state).await?;
                } else if clean && full && !again && self.are_read_or_skipped(&state, &names) {
                    self.end_generation(&state).await?;
                }
                return Ok(());
            }
        }
        Err(Error::bug("plan", "the connector asks for plan after plan without an end"))
    }

    /// Whether all that can be read was read to its end.
    fn are_read_or_skipped(&self, state: &StreamState, names: &[PartitionId]) -> bool {
        let is_skipped =
            |name: &PartitionId| self.report.skipped.iter().any(|skipped| skipped.partition == *name);
        names.iter().all(|name| is_skipped(name) || state_of(state, name).is_some_and(State::is_complete))
    }

    /// The stop has been asked for; a failure that came before it is not forgotten.
    fn stopped(&mut self) {
        if self.report.status == RunStatus::Succeeded {
            self.report.status = RunStatus::Stopped;
        }
    }

    /// Asks the connector what to read, and makes the answer durable before anything is read. None when the
    /// run is asked to stop.
    async fn plan(&mut self) -> Result<Option<(Plan, StreamState)>> {
        let state = self.load().await?;
        let shown = deletes::without_own(&state);
        let call = self.job.connector.partitions(&self.cx, &self.selection, &shown);
        let planned = timeout(&**self.cx.clock(), self.job.options.call, call);
        let stop = self.cx.stop().clone();
        let plan = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            planned = planned => planned.map_err(|elapsed| Error::transient("plan", elapsed.to_string()))??,
        };
        crash::point("stream.planned");
        plan.partitions.iter().try_for_each(|partition| deletes::refuse_reserved(&partition.id))?;
        let full = self.selection.mode == SyncMode::Full;
        let names: Vec<PartitionId> = plan.partitions.iter().map(|partition| partition.id.clone()).collect();
        let mut in_progress = full && deletes::is_in_progress(&state)?;
        if in_progress
            && !plan.again
            && plan.skipped.is_empty()
            && !names.is_empty()
            && are_complete(&state, &names)
        {
            // The run before read everything and died before it had concluded the deletes.
            self.note_keys(state.generation);
            self.conclude_deletes(&state).await?;
            in_progress = false;
        }
        let restart = full && !in_progress;
        if restart || plan.state.is_some() || !plan.folded.is_empty() {
            let fold = Fold {
                state: plan.state.clone(),
                forget: plan.folded.clone(),
                // A full read that goes on stays the read it is, whatever the connector keeps beside it.
                generation: state.generation + u64::from(restart || !full),
                restart,
            };
            self.job.registry.fold(&self.lease, &fold).await?;
            crash::point("stream.folded");
        }
        if restart {
            self.begin_generation().await?;
            crash::point("stream.generation_begun");
        }
        let state = self.load().await?;
        if full {
            self.note_keys(state.generation);
        }
        Ok(Some((plan, state)))
    }

    /// From now on the keys of what is emitted are noted, if deletes are to be concluded from them.
    fn note_keys(&mut self, generation: u64) {
        let has_key = !self.selection.spec.primary_key.is_empty();
        let work = self.job.options.work.as_ref().filter(|_| has_key);
        self.writer.generation =
            work.map(|work| Generation::new(work, &self.lease.stream, generation, self.lease.fence));
    }

    /// Reads the plan's partitions, several at once, and commits as it goes. True when all went well.
    async fn read_all(&mut self, mut plan: Plan, state: &StreamState) -> Result<bool> {
        if self.selection.mode == SyncMode::Full {
            // A full read that goes on: what it has read to the end is not read again.
            plan.partitions
                .retain(|partition| !state_of(state, &partition.id).is_some_and(State::is_complete));
        }
        for skipped in plan.skipped {
            let report = PartitionReport { partition: skipped.partition, error: skipped.error };
            self.report.skipped.push(report);
        }
        self.writer.durable = state
            .partitions
            .iter()
            .filter_map(|(id, known)| Some((id.clone(), known.state.clone()?)))
            .collect();
        let at_once = self.job.options.partitions.max(1);
        let (sender, mut items) = mpsc::channel(64);
        let mut waiting = plan.partitions.into_iter();
        let mut readers: JoinSet<()> = JoinSet::new();
        let mut running: Vec<(PartitionId, AbortHandle)> = Vec::new();
        let mut clean = true;
        loop {
            while running.len() < at_once && !self.cx.is_stopping() {
                let Some(partition) = waiting.next() else { break };
                let id = partition.id.clone();
                let reader = self.reader(partition, state, sender.clone());
                running.push((id, readers.spawn(reader.run())));
                crash::point("stream.reader_spawned");
                self.report.partitions += 1;
            }
            if running.is_empty() {
                break;
            }
            let due = self.writer.remaining().unwrap_or(self.job.options.commit_interval);
            let clock = self.cx.clock().clone();
            tokio::select! {
                biased;
                item = items.recv() => match item {
                    Some(item) => clean &= self.take(item, &mut running).await?,
                    None => break,
                },
                Some(Err(panicked)) = readers.join_next() => {
                    clean = false;
                    self.bury_panicked(&mut running, panicked).await?;
                }
                () = clock.sleep(due) => {}
            }
            if self.writer.is_due() {
                self.writer.commit(self.report).await?;
            }
        }
        self.writer.commit(self.report).await?;
        crash::point("stream.read");
        Ok(clean)
    }

    fn reader(&self, partition: Partition, state: &StreamState, items: mpsc::Sender<Item>) -> Reader {
        let known = state.partitions.get(&partition.id);
        let numbering = Numbering {
            epoch: state.epoch,
            last_sequence: known.map_or(0, |known| known.sequence),
            reset: match known {
                Some(known) if known.epoch < state.epoch => Reset::Now,
                // One that has only had states so far has said nothing yet.
                Some(known) if state.epoch > 0 && known.sequence == 0 => Reset::BeforeRecords,
                None if state.epoch > 0 => Reset::BeforeRecords,
                _ => Reset::Said,
            },
        };
        let request = ReadRequest::new(self.cx.clone(), self.selection.clone(), partition)
            .with_state(known.and_then(|known| known.state.clone()))
            .with_stream_state(state.state.clone())
            .with_generation(state.generation);
        let options = &self.job.options;
        Reader {
            connector: self.job.connector.clone(),
            request,
            numbering,
            fingerprint: self.schema.fingerprint(),
            budget: self.budget.clone(),
            hold_limit: self.budget.hold_limit(options.partitions),
            max_record: options.max_record,
            watch: self.schema.watch(),
            stall: options.stall,
            items,
            progress: self.job.progress.clone(),
        }
    }

    /// Takes one item from a reader. False when it tells of a failure that the stream survives.
    async fn take(&mut self, item: Item, running: &mut Vec<(PartitionId, AbortHandle)>) -> Result<bool> {
        match item {
            Item::Spilled((batch, share)) => {
                // The next commit that names this partition must cover what follows.
                if self.writer.pending.contains_key(&batch.partition) {
                    self.writer.commit(self.report).await?;
                }
                self.writer.emit(batch).await?;
                drop(share);
                crash::point("stream.spilled");
            }
            Item::Covered { batches, letters, commit, sums, spilled } => {
                for letter in letters {
                    self.bury(letter).await?;
                }
                for (batch, share) in batches {
                    self.writer.emit(batch).await?;
                    drop(share);
                }
                self.report.bytes += sums.bytes;
                self.report.deletes += sums.deletes;
                crash::point("stream.emitted");
                self.writer.cover(commit);
                crash::point("stream.covered");
                if spilled {
                    self.writer.commit(self.report).await?;
                    crash::point("stream.spill_committed");
                }
            }
            Item::DeadLetter(letter) => self.bury(letter).await?,
            Item::Schema(spec) => {
                self.schema.changed_in_band(&spec, &self.selection, self.report).await?;
                crash::point("stream.schema_changed");
            }
            Item::Unknown { field, key } => self.schema.unknown(field, key, self.report).await?,
            Item::End { partition, outcome, spilled } => {
                running.retain(|(id, _)| *id != partition);
                if spilled {
                    self.job.sink.discard(&self.cx, &self.lease.stream, &partition).await?;
                    crash::point("stream.discarded");
                }
                return Ok(self.ended(partition, outcome));
            }
        }
        Ok(true)
    }

    async fn bury(&mut self, letter: DeadLetter) -> Result<()> {
        self.job.sink.dead_letter(&self.cx, &self.lease.stream, letter).await?;
        crash::point("stream.letter_buried");
        self.writer.emitted.dead_letters += 1;
        let letters = self.report.dead_letters + self.writer.emitted.dead_letters;
        if letters <= self.job.options.max_dead_letters {
            return Ok(());
        }
        Err(Error::new(
            connector_sdk::Class::Schema,
            "read",
            "too many records went to the dead letters; the stream is stopped",
        )
        .with_context("dead_letters", letters)
        .with_context("limit", self.job.options.max_dead_letters))
    }

    fn ended(&mut self, partition: PartitionId, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Finished | Outcome::Stopped => true,
            Outcome::Skipped(error) => {
                tracing::warn!(stream = %self.lease.stream, %partition, %error, "skipped");
                self.report.skipped.push(PartitionReport { partition, error: Arc::new(error) });
                true
            }
            Outcome::Failed(error) => {
                tracing::warn!(stream = %self.lease.stream, %partition, %error, "failed; the others go on");
                let error = Arc::new(error);
                self.report.status = RunStatus::Failed;
                self.report.error.get_or_insert_with(|| error.clone());
                self.report.failed.push(PartitionReport { partition, error });
                false
            }
        }
    }

    /// A connector that panics fails its partition, like any other error of it.
    async fn bury_panicked(
        &mut self,
        running: &mut Vec<(PartitionId, AbortHandle)>,
        panicked: tokio::task::JoinError,
    ) -> Result<()> {
        let gone = running.iter().position(|(_, task)| task.id() == panicked.id());
        let Some((partition, _)) = gone.map(|at| running.swap_remove(at)) else { return Ok(()) };
        self.job.sink.discard(&self.cx, &self.lease.stream, &partition).await?;
        self.ended(
            partition,
            Outcome::Failed(Error::bug("read", "the connector has panicked; please report it")),
        );
        Ok(())
    }
}

/// Whether each of these partitions has been read to its end.
fn are_complete(state: &StreamState, partitions: &[PartitionId]) -> bool {
    partitions.iter().all(|id| state_of(state, id).is_some_and(State::is_complete))
}

fn state_of<'a>(state: &'a StreamState, partition: &PartitionId) -> Option<&'a State> {
    state.partitions.get(partition).and_then(|known| known.state.as_ref())
}
