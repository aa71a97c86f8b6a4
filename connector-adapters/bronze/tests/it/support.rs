//! What the tests have in common: a connection, its batches, and a host that is just large enough.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use connector_bronze::{Bronze, BronzeConfig, Disk, Format};
use connector_sdk::{
    Clock, Context, Emit, Operation, PartitionId, Result, State, StreamSpec, Timestamp,
    contract::{Commit, Lease, Opening, Receipt, SequencedBatch},
    record::{BatchBuilder, EnvelopeHeader, RecordView, Tally},
};
use serde_json::{Value, json};

pub(crate) const FORMATS: [Format; 2] = [Format::Jsonl, Format::Parquet];
pub(crate) const ROOT: &str = "/bronze";
pub(crate) const STREAM: &str = "/bronze/acme/crm/Contact";

/// Tells the time that it was given.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) AtomicI64);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, _: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

/// 2026-01-31 in the afternoon.
pub(crate) fn clock() -> Arc<Fixed> {
    Arc::new(Fixed(AtomicI64::new(1_769_870_000_000)))
}

pub(crate) fn context() -> Context {
    Context::builder("acme", "crm").clock(clock()).build()
}

pub(crate) fn lease(fence: u64) -> Lease {
    Lease {
        tenant: "acme".into(),
        connection: "crm".into(),
        stream: "Contact".into(),
        fence,
        owner: format!("host/{fence}"),
    }
}

pub(crate) fn spec() -> StreamSpec {
    let schema = json!({"type": "object", "properties": {
        "Id": {"type": "string"},
        "Amount": {"type": ["number", "null"]},
    }});
    StreamSpec::new("Contact", schema).with_primary_key(["Id"])
}

pub(crate) fn opening(fence: u64) -> Opening {
    Opening {
        lease: lease(fence),
        takeover: false,
        spec: Arc::new(spec()),
        header: EnvelopeHeader {
            tenant: "acme".into(),
            connector: "salesforce/rest".into(),
            connector_version: "0.1.0".into(),
            connection: "crm".into(),
            stream: "Contact".into(),
            run_id: format!("run-{fence}").as_str().into(),
        },
    }
}

pub(crate) fn takeover(fence: u64) -> Opening {
    Opening { takeover: true, ..opening(fence) }
}

pub(crate) fn bronze(disk: &Arc<dyn Disk>, format: Format) -> Bronze {
    Bronze::with_disk(BronzeConfig::new(ROOT, format), disk.clone())
}

pub(crate) fn record(partition: &str, sequence: u64) -> String {
    format!(r#"{{"Id":"{partition}{sequence}","Amount":{sequence}.10}}"#)
}

/// Records `from..=to` of a partition, covered.
pub(crate) fn batch(partition: &str, from: u64, to: u64) -> SequencedBatch {
    let mut builder = BatchBuilder::new("Contact".into());
    for sequence in from..=to {
        let key = format!(r#"{{"Id":"{partition}{sequence}"}}"#);
        builder.push(RecordView {
            operation: Operation::Upsert,
            record: Some(record(partition, sequence).as_bytes()),
            key: Some(key.as_bytes()),
            cursor: Some(format!("\"2026-01-{sequence:02}\"").as_bytes()),
            source_timestamp: Some(sequence as i64),
        });
    }
    sequenced(builder, partition, from)
}

pub(crate) fn sequenced(builder: BatchBuilder, partition: &str, first_sequence: u64) -> SequencedBatch {
    SequencedBatch {
        batch: builder.build(),
        partition: partition.into(),
        first_sequence,
        epoch: 0,
        generation: 1,
        extracted_at: Timestamp::from_millis(1_769_869_999_000),
        schema_fingerprint: "00ff".into(),
        covered: true,
    }
}

pub(crate) fn uncovered(batch: SequencedBatch) -> SequencedBatch {
    SequencedBatch { covered: false, ..batch }
}

/// The commit that covers these batches of one partition.
pub(crate) fn commit(batches: &[&SequencedBatch]) -> Commit {
    let mut tally = Tally::default();
    let mut sequence = 0;
    for batch in batches {
        tally.merge(Tally::of(&batch.batch));
        sequence = batch.first_sequence + batch.batch.len() as u64 - 1;
    }
    let partition = batches[0].partition.clone();
    Commit { partition, epoch: 0, generation: 1, sequence, tally, state: state(sequence) }
}

pub(crate) fn state(sequence: u64) -> State {
    State::encode(1, &json!({"after": sequence})).unwrap()
}

/// Emits batches of one partition and commits them.
pub(crate) async fn write(bronze: &Bronze, fence: u64, batches: &[SequencedBatch]) -> Result<Receipt> {
    for batch in batches {
        bronze.emit(&context(), batch.clone()).await?;
    }
    let batches: Vec<&SequencedBatch> = batches.iter().collect();
    bronze.commit(&context(), &lease(fence), &[commit(&batches)]).await
}

/// What is visible, as JSON.
pub(crate) fn visible(bronze: &Bronze) -> Vec<Value> {
    let lines = bronze.records(&"acme".into(), &"crm".into(), None, None).unwrap();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

/// What is visible: the records by partition and number. Panics where one stands twice.
pub(crate) fn numbered(bronze: &Bronze) -> BTreeMap<(String, u64), Value> {
    let mut found = BTreeMap::new();
    for line in visible(bronze) {
        let place = (line["partition"].as_str().unwrap().to_owned(), line["sequence"].as_u64().unwrap());
        let twice = found.insert(place.clone(), line["record"].clone());
        assert!(twice.is_none(), "{place:?} stands twice in Bronze");
    }
    found
}

/// What should be visible: `partition` up to that number.
pub(crate) fn expected(partitions: &[(&str, u64)]) -> BTreeMap<(String, u64), Value> {
    let mut all = BTreeMap::new();
    for (partition, last) in partitions {
        for sequence in 1..=*last {
            let value = serde_json::from_str(&record(partition, sequence)).unwrap();
            all.insert(((*partition).to_owned(), sequence), value);
        }
    }
    all
}

/// The last committed number of each partition, as the sink says.
pub(crate) fn standing(commits: &[Commit]) -> BTreeMap<PartitionId, u64> {
    commits.iter().map(|commit| (commit.partition.clone(), commit.sequence)).collect()
}

pub(crate) fn has(files: &[String], below: &str) -> usize {
    files.iter().filter(|file| Path::new(file).starts_with(Path::new(STREAM).join(below))).count()
}
