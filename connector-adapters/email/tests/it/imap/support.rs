//! What the tests have in common: a connector for a server, and what a read of it says.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use connector_sdk::{
    Class, Connector, Context, Error, Factory, Message, Network, Operation, PartitionId, ReadRequest, State,
    StreamSelection, StreamState, state::PartitionState,
};
use connector_testkit::mail::{Capabilities, Dovecot, PASSWORD};
use futures_util::StreamExt;
use serde_json::{Value, json, value::RawValue};

pub(crate) const MODES: [Capabilities; 3] =
    [Capabilities::Qresync, Capabilities::Condstore, Capabilities::Plain];

/// A record as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) partition: String,
    pub(crate) operation: Operation,
    pub(crate) key: Value,
    pub(crate) record: Value,
}

impl Record {
    pub(crate) fn uid(&self) -> u64 {
        self.key["uid"].as_u64().expect("a key has a UID")
    }
}

/// A connector, and the states that a host would keep for it.
pub(crate) struct Reader {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) cx: Context,
    pub(crate) state: StreamState,
    /// Partitions that were skipped in the last run.
    pub(crate) skipped: Vec<(String, Class)>,
    config: Value,
}

pub(crate) fn config(address: SocketAddr, user: &str) -> Value {
    json!({
        "host": address.ip().to_string(), "port": address.port(), "tls": "none",
        "auth": { "password": { "username": user, "password": PASSWORD } },
    })
}

pub(crate) fn context() -> Context {
    Context::builder("acme", "mail").network(Network::loopback()).seed(7).build()
}

pub(crate) fn connect(config: &Value, cx: &Context) -> Result<Arc<dyn Connector>, Error> {
    let raw = RawValue::from_string(config.to_string()).expect("JSON");
    connector_email::imap().connect(&raw, cx)
}

pub(crate) fn selection(stream: &str) -> StreamSelection {
    StreamSelection::new(Arc::new(specs().remove(stream).expect("a stream of that name")))
}

fn specs() -> BTreeMap<String, connector_sdk::StreamSpec> {
    let cx = context();
    let address: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    let connector = connect(&config(address, "nobody"), &cx).expect("it connects");
    let catalog = futures_util::FutureExt::now_or_never(connector.discover(&cx, None));
    let catalog = catalog.expect("it asks nobody").expect("a catalog");
    catalog.streams.into_iter().map(|spec| (spec.name.as_str().to_owned(), spec)).collect()
}

impl Reader {
    pub(crate) fn new(config: Value) -> Self {
        Self::with(config, context())
    }

    pub(crate) fn with(config: Value, cx: Context) -> Self {
        let connector = connect(&config, &cx).expect("the configuration connects");
        Self { connector, cx, state: StreamState::default(), skipped: Vec::new(), config }
    }

    pub(crate) fn of(dovecot: &Dovecot, user: &str) -> Self {
        Self::new(config(dovecot.address(), user))
    }

    /// Connects anew, as another process does.
    pub(crate) fn restart(&mut self) {
        self.connector = connect(&self.config, &self.cx).expect("it connects again");
    }

    pub(crate) async fn plan(&self, stream: &str) -> Result<Vec<String>, Error> {
        let plan = self.connector.partitions(&self.cx, &selection(stream), &self.state).await?;
        Ok(plan.partitions.into_iter().map(|partition| partition.id.as_str().to_owned()).collect())
    }

    /// Reads the stream as a host does, one partition after the other, and keeps the states.
    pub(crate) async fn run(&mut self, stream: &str) -> Result<Vec<Record>, Error> {
        let selection = selection(stream);
        let plan = self.connector.partitions(&self.cx, &selection, &self.state).await?;
        let mut records = Vec::new();
        self.skipped.clear();
        for partition in plan.partitions {
            let id = partition.id.clone();
            let known = self.state.partitions.get(&id).and_then(|known| known.state.clone());
            let request = ReadRequest::new(self.cx.clone(), selection.clone(), partition).with_state(known);
            let mut messages = self.connector.read(request);
            let mut uncovered = Vec::new();
            while let Some(message) = messages.next().await {
                match message? {
                    Message::Batch(batch) => uncovered.extend(batch.iter().map(|record| Record {
                        partition: id.as_str().to_owned(),
                        operation: record.operation,
                        key: record.key.map_or(Value::Null, parse),
                        record: record.record.map_or(Value::Null, parse),
                    })),
                    Message::State(state) => {
                        assert_eq!(state.records(), uncovered.len() as u64, "records that a state covers");
                        records.append(&mut uncovered);
                        self.keep(&id, state);
                    }
                    Message::Skip(error) => self.skipped.push((id.as_str().to_owned(), error.class())),
                    _ => {}
                }
            }
            assert!(uncovered.is_empty(), "records that no state covers");
        }
        Ok(records)
    }

    fn keep(&mut self, id: &PartitionId, state: State) {
        let known = PartitionState { sequence: 1, epoch: 0, state: Some(state) };
        self.state.partitions.insert(id.clone(), known);
    }
}

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("JSON")
}

/// Mails of about this size, each of which says its number.
pub(crate) fn mails(numbers: impl IntoIterator<Item = usize>, size: usize) -> Vec<Vec<u8>> {
    numbers.into_iter().map(|number| mail(number, size)).collect()
}

pub(crate) fn mail(number: usize, size: usize) -> Vec<u8> {
    let head = format!(
        "From: Ada <ada@example.test>\r\nTo: bob@example.test\r\nSubject: mail {number}\r\n\
         Message-ID: <{number}@example.test>\r\nDate: Fri, 20 Nov 2026 09:41:01 +0000\r\n\r\n"
    );
    let line = "Words of a mail that has something to say and says it in lines of this length.\r\n";
    let lines = size.saturating_sub(head.len()).div_ceil(line.len());
    [head, line.repeat(lines)].concat().into_bytes()
}

/// A server, or the end of the test where there is none.
macro_rules! dovecot {
    ($builder:expr) => {
        match $builder.start().await.expect("a Dovecot") {
            Some(dovecot) => dovecot,
            None => return,
        }
    };
}
pub(crate) use dovecot;
