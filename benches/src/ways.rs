//! The ways of reading the pages that are compared.

use std::{
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
    time::Instant,
};

use async_trait::async_trait;
use connector_bronze::{Bronze, BronzeConfig, Format};
use connector_host::{
    registry::SqliteRegistry,
    report::RunStatus,
    run::{self, Job, Quiet, RunOptions, StreamChoice},
};
use connector_sdk::{
    Authenticate, Catalog, Connector, Context, Counters, Discover, Error, Factory, Identity, Manifest,
    Message, Network, Partition, Plan, Read, ReadRequest, Result, State, StreamId, StreamSelection,
    StreamSpec, StreamState, SystemClock,
    http::{HttpClient, Request},
    record::{PageSpec, PageSplitter},
    resilience::Resilience,
};
use futures_util::{TryStreamExt as _, stream::BoxStream};
use serde_json::value::RawValue;

use crate::{Cost, Outcome, usage};

/// Each way's letter, and what it does.
pub(crate) const WAYS: [(&str, &str); 10] = [
    ("a", "download only"),
    ("b", "serde_json RawValue → JSONL"),
    ("c", "whole run → JSONL envelope"),
    ("d", "whole run → Parquet zstd 1"),
    ("e", "whole run → Parquet with typed columns"),
    ("f", "Bulk CSV: whole run → Parquet zstd 1"),
    ("g", "Bulk CSV: whole run → JSONL envelope"),
    ("h", "Slack messages: whole run → JSONL envelope"),
    ("i", "Slack messages: whole run → Parquet zstd 1"),
    ("r", "Slack messages: read into batches, nothing written"),
];

/// Reads all pages in this way, and says what this process has used.
pub(crate) fn read(way: &str, url: &str) -> Outcome<Cost> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
    let start = Instant::now();
    let folder = tempfile::tempdir()?;
    let out = folder.path();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (records, bytes) = runtime.block_on(async {
        match way {
            "a" => plain(url, out, false).await,
            "b" => plain(url, out, true).await,
            "c" => whole_run(url, out, Format::Jsonl, false).await,
            "d" => whole_run(url, out, Format::Parquet, false).await,
            "e" => whole_run(url, out, Format::Parquet, true).await,
            "f" => bulk_run(url, out, Format::Parquet).await,
            "g" => bulk_run(url, out, Format::Jsonl).await,
            "h" => slack_run(url, out, Format::Jsonl).await,
            "i" => slack_run(url, out, Format::Parquet).await,
            "r" => slack_read(url).await,
            other => Err(format!("there is no way `{other}`").into()),
        }
    })?;
    // Before the folder is removed, which is nobody's cost.
    Ok(Cost {
        records,
        bytes,
        wall_seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: usage::cpu_seconds()?,
        peak_mb: usage::peak_mb()?,
    })
}

fn context() -> Context {
    Context::builder("bench", "static").network(Network::loopback()).run("bench".into()).build()
}

fn client(cx: &Context, url: &str) -> Outcome<HttpClient> {
    Ok(HttpClient::builder(cx).base_url(url.parse()?).build()?)
}

#[derive(serde::Deserialize)]
struct Page<'a> {
    #[serde(rename = "nextRecordsUrl")]
    next: Option<String>,
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

/// Downloads; with `split` also splits with serde_json and writes a plain line per record.
async fn plain(url: &str, out: &Path, split: bool) -> Outcome<(u64, u64)> {
    let cx = context();
    let client = client(&cx, url)?;
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(out.join("out.jsonl"))?);
    let (mut records, mut bytes, mut number) = (0u64, 0u64, 0u64);
    loop {
        let response = client.send(&cx, Request::get("page", format!("/page/{number}"))).await?;
        bytes += response.body.len() as u64;
        let more = if split {
            let page: Page<'_> = serde_json::from_slice(&response.body)?;
            for record in &page.records {
                file.write_all(record.get().as_bytes())?;
                file.write_all(b"\n")?;
            }
            records += page.records.len() as u64;
            page.next.is_some()
        } else {
            records += crate::pages::PAGE;
            let head = response.body.get(..200).unwrap_or(&response.body);
            std::str::from_utf8(head)?.contains("nextRecordsUrl")
        };
        if !more {
            break;
        }
        number += 1;
    }
    file.into_inner()?.sync_all()?;
    Ok((records, bytes))
}

async fn whole_run(url: &str, out: &Path, format: Format, typed: bool) -> Outcome<(u64, u64)> {
    let cx = context();
    let source = Arc::new(Static { client: client(&cx, url)? });
    run_of(cx, source, Manifest::new("static", "bench", "0.1.0"), out, format, typed, None).await
}

/// The door `salesforce/bulk`, as a host runs it.
async fn bulk_run(url: &str, out: &Path, format: Format) -> Outcome<(u64, u64)> {
    let cx = context();
    let config = serde_json::json!({
        "instance_url": url, "login_url": url, "auth": { "session": { "access_token": "of the bench" } },
    });
    let door = connector_salesforce::bulk();
    let connector = door.connect(&RawValue::from_string(config.to_string())?, &cx)?;
    run_of(cx, connector, door.manifest().clone(), out, format, false, None).await
}

/// `slack/web` without our own pacing.
fn slack(url: &str) -> Outcome<(Context, Manifest, Arc<dyn Connector>)> {
    let mut resilience = Resilience::default();
    resilience.paced = false;
    let cx = Context::builder("bench", "static")
        .network(Network::loopback())
        .resilience(resilience)
        .run("bench".into())
        .build();
    let config = serde_json::json!({
        "base_url": format!("{url}/api"), "auth": { "bot_token": { "token": "xoxb-of-the-bench" } }, "page_size": 200,
    });
    let door = connector_slack::web();
    let connector = door.connect(&RawValue::from_string(config.to_string())?, &cx)?;
    Ok((cx, door.manifest().clone(), connector))
}

/// The stream `messages`, as a host runs it.
async fn slack_run(url: &str, out: &Path, format: Format) -> Outcome<(u64, u64)> {
    let (cx, manifest, connector) = slack(url)?;
    let streams = Some(vec![StreamChoice { name: "messages".into(), ..StreamChoice::default() }]);
    run_of(cx, connector, manifest, out, format, false, streams).await
}

/// The stream `messages`, one channel after the other, by who does something else with the records.
async fn slack_read(url: &str) -> Outcome<(u64, u64)> {
    let (cx, _, connector) = slack(url)?;
    let catalog = connector.discover(&cx, Some(&["messages".into()])).await?;
    let spec = catalog.stream("messages").ok_or("no such stream")?;
    let stream = StreamSelection::new(Arc::new(spec.clone()));
    let plan = connector.partitions(&cx, &stream, &StreamState::default()).await?;
    let mut records = 0;
    for partition in plan.partitions {
        let mut reading = connector.read(ReadRequest::new(cx.clone(), stream.clone(), partition));
        while let Some(message) = reading.try_next().await? {
            if let Message::Batch(batch) = message {
                records += batch.len() as u64;
            }
        }
    }
    Ok((records, Counters::get(&cx.counters().received_bytes)))
}

pub(crate) async fn run_of(
    cx: Context,
    connector: Arc<dyn Connector>,
    manifest: Manifest,
    out: &Path,
    format: Format,
    typed: bool,
    streams: Option<Vec<StreamChoice>>,
) -> Outcome<(u64, u64)> {
    let clock = SystemClock::shared();
    let bronze = BronzeConfig::new(out.join("bronze"), format).with_typed(typed);
    let registry = SqliteRegistry::open(&out.join("registry.db"), clock).await?;
    let job = Job {
        cx,
        connector,
        manifest,
        registry: Arc::new(registry),
        sink: Arc::new(Bronze::new(bronze)),
        streams,
        options: RunOptions::default(),
        progress: Arc::new(Quiet),
    };
    let received = job.cx.counters().clone();
    let report = run::run(job).await;
    match (report.status, report.error) {
        (RunStatus::Succeeded, None) => Ok((report.totals.records, Counters::get(&received.received_bytes))),
        (_, error) => Err(format!("the run failed: {error:?}").into()),
    }
}

/// A connector for the static pages, as an author would write it.
#[derive(Debug)]
struct Static {
    client: HttpClient,
}

#[async_trait]
impl Authenticate for Static {
    async fn authenticate(&self, _cx: &Context) -> Result<Identity> {
        Ok(Identity::new("nobody"))
    }
}

#[async_trait]
impl Discover for Static {
    async fn discover(&self, _cx: &Context, _names: Option<&[StreamId]>) -> Result<Catalog> {
        let text = serde_json::json!({ "type": ["string", "null"] });
        let mut properties = serde_json::Map::new();
        for name in FIELDS {
            properties.insert(name.to_owned(), text.clone());
        }
        for name in ["IsDeleted", "HasOptedOutOfEmail"] {
            properties.insert(name.to_owned(), serde_json::json!({ "type": "boolean" }));
        }
        properties.insert("Score__c".to_owned(), serde_json::json!({ "type": ["number", "null"] }));
        for name in ["CreatedDate", "LastModifiedDate", "SystemModstamp"] {
            properties
                .insert(name.to_owned(), serde_json::json!({ "type": "string", "format": "date-time" }));
        }
        let schema = serde_json::json!({ "type": "object", "properties": properties });
        let contact =
            StreamSpec::new("Contact", schema).with_primary_key(["Id"]).with_cursor("SystemModstamp");
        Ok(Catalog::new(vec![contact]))
    }
}

const FIELDS: [&str; 18] = [
    "Id",
    "AccountId",
    "LastName",
    "FirstName",
    "Name",
    "Email",
    "Phone",
    "MobilePhone",
    "Title",
    "Department",
    "MailingStreet",
    "MailingCity",
    "MailingPostalCode",
    "MailingCountry",
    "LeadSource",
    "Birthdate",
    "OwnerId",
    "Description",
];

#[async_trait]
impl Read for Static {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Ok(Plan::read([Partition::new("all")]))
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let client = self.client.clone();
        Box::pin(async_stream::try_stream! {
            let spec = PageSpec::new(request.stream.spec.name.clone(), ["records"])
                .with_page_field(["nextRecordsUrl"])
                .with_key(["Id"])
                .with_cursor(Some("SystemModstamp".to_owned()))
                .with_deleted(Some("IsDeleted".to_owned()));
            let splitter = PageSplitter::new(spec);
            let mut next = Some("/page/0".to_owned());
            let mut number = 0;
            while let Some(path) = next {
                number += 1;
                let response = client.send(&request.cx, Request::get("page", path)).await?;
                let page = splitter.split(response, number)?;
                next = page.text(0).map(|text| text.into_owned());
                let records = page.batch.len() as u64;
                yield Message::Batch(page.batch);
                let state = State::encode(1, &next)?.covering(records);
                yield Message::State(if next.is_none() { state.completing() } else { state });
            }
            if number == 0 {
                Err(Error::bug("read", "no page"))?;
            }
        })
    }
}

impl Connector for Static {}
