//! Reading a partition of a stream: one file for each family of streams.

mod files;
mod lists;
mod members;
mod messages;
mod pins;
mod reactions;
mod replies;

use std::sync::Arc;

use async_stream::try_stream;
use connector_sdk::{
    Message, Operation, ReadRequest, Result, SyncMode,
    record::{BatchBuilder, RecordView},
};
use futures_util::{StreamExt, stream::BoxStream};

use crate::{
    api::Api,
    catalog::Stream,
    channels::{self, Slice},
    config::Settings,
    descent::History,
    fault::{self, Then},
    page::{Page, Row, Splitter},
    ts::Ts,
};

/// The version of the states of all streams.
const STATE_VERSION: u32 = 1;

/// What reads.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) api: Arc<Api>,
    pub(crate) settings: Arc<Settings>,
}

type Messages = BoxStream<'static, Result<Message>>;

/// Reads one partition.
pub(crate) fn read(source: Source, stream: Stream, request: ReadRequest) -> Messages {
    match stream {
        Stream::Users | Stream::Usergroups | Stream::Channels => lists::read(source, stream, request),
        Stream::Files => files::read(source, request),
        Stream::Members => of_channel(members::read, source, request),
        Stream::Messages => of_channel(messages::read, source, request),
        Stream::Replies => of_channel(replies::read, source, request),
        Stream::Reactions => of_channel(reactions::read, source, request),
        Stream::Pins => of_channel(pins::read, source, request),
    }
}

/// Reads a channel; joins it first where that is wanted and the vendor says that only members may read.
fn of_channel(read: fn(Source, ReadRequest) -> Messages, source: Source, request: ReadRequest) -> Messages {
    let messages = try_stream! {
        let slice: Slice = request.partition.slice()?;
        let mut inner = read(source.clone(), request.clone());
        let mut is_first = true;
        while let Some(message) = inner.next().await {
            match message {
                Err(error) if is_first && slice.join && channels::is_outside(&error) => {
                    channels::join(&source.api, &request.cx, request.partition.id.as_str()).await?;
                    inner = read(source.clone(), request.clone());
                }
                message => yield message?,
            }
            is_first = false;
        }
    };
    let messages: Messages = messages.boxed();
    messages
        .map(|message| match message {
            // Not allowed into this channel: the run names it and goes on with the others.
            Err(error) if fault::then(&error) == Then::Skip => Ok(Message::Skip(error)),
            message => message,
        })
        .boxed()
}

impl Source {
    /// The history of the partition's channel, with these fields of each message.
    fn history(&self, request: &ReadRequest, fields: &[&str]) -> History {
        History {
            api: Arc::clone(&self.api),
            cx: request.cx.clone(),
            splitter: Arc::new(Splitter::new(fields)),
            channel: request.partition.id.as_str().into(),
            page_size: self.settings.page_size,
        }
    }
}

/// Before the first message that is wanted.
fn lower_bound(request: &ReadRequest) -> Ts {
    request.stream.since.map_or(Ts::ZERO, |since| Ts::from(since).previous())
}

/// Makes batches of messages: the record as it came, with its channel and its `ts` as key.
#[derive(Debug)]
struct Keys {
    /// `{"channel":"C012AB3CD","ts":`
    prefix: Vec<u8>,
    key: Vec<u8>,
    operation: Operation,
}

impl Keys {
    fn new(request: &ReadRequest) -> Self {
        let channel = serde_json::Value::from(request.partition.id.as_str());
        let operation =
            if request.stream.mode == SyncMode::Full { Operation::Snapshot } else { Operation::Upsert };
        Self { prefix: format!("{{\"channel\":{channel},\"ts\":").into_bytes(), key: Vec::new(), operation }
    }

    fn view<'a>(&'a mut self, page: &'a Page, row: &Row) -> RecordView<'a> {
        let ts = page.ts_json(row);
        self.key.clear();
        self.key.extend_from_slice(&self.prefix);
        self.key.extend_from_slice(ts);
        self.key.push(b'}');
        RecordView {
            operation: self.operation,
            record: Some(page.record(row)),
            key: Some(&self.key),
            cursor: Some(ts),
            source_timestamp: Some(row.ts.millis()),
        }
    }
}

/// A batch with room for these messages of a page.
fn builder(request: &ReadRequest, page: &Page) -> BatchBuilder {
    let bytes = page.rows.iter().map(|row| page.record(row).len() + page.ts_json(row).len()).sum();
    BatchBuilder::with_capacity(request.stream.spec.name.clone(), bytes)
}
