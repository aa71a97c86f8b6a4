//! Our side, as a process of its own: says where it listens, serves until its input ends, says what it has used.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use connector_bronze::{Bronze, BronzeConfig, Format};
use connector_host::{
    registry::SqliteRegistry,
    report::RunStatus,
    run::{self, Job, Progress, RunOptions},
};
use connector_ingress::{
    Journal, ListenerConfig, Listening, Scheme,
    journal::{Limits, RealDisk},
    listener::{Answer, BodyLimits, Endpoint, Receive},
    scheme::{Proof, SchemeConfig, SchemeName, Verified},
};
use connector_sdk::{Clock, Context, Factory, Network, Secret, SystemClock, Timestamp};
use http::request::Parts;
use serde_json::value::RawValue;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::{End, load::SECRET};
use crate::{Outcome, usage};

/// GitHub's signature of a body.
pub(super) fn signature(body: &[u8]) -> String {
    let body = Bytes::copy_from_slice(body);
    let signed = github().signer().and_then(|signer| signer.sign("1", Timestamp::from_millis(0), &body));
    let mut signed = signed.into_iter().flatten();
    let value = signed.find(|(name, _)| name.as_str() == "x-hub-signature-256").map(|(_, value)| value);
    value.and_then(|value| value.to_str().ok().map(str::to_owned)).unwrap_or_default()
}

fn github() -> SchemeConfig {
    SchemeConfig::new(SchemeName::Github, vec![Secret::new(SECRET.to_owned())])
}

/// Serves in this way.
pub(crate) fn serve(way: &str, folder: &Path) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (events, drain_seconds) = runtime.block_on(async {
        match way {
            "verify" => listen(|clock| Ok(Arc::new(Verifying::new(clock)?) as Arc<dyn Receive>))
                .await
                .map(|()| (0, 0.0)),
            "durable" => durable(folder).await,
            "run" => whole_run(folder).await,
            way => Err(format!("there is no way {way}").into()),
        }
    })?;
    let end = End { events, drain_seconds, cpu_seconds: usage::cpu_seconds()?, peak_mb: usage::peak_mb()? };
    println!("{}", serde_json::to_string(&end)?);
    Ok(())
}

/// Ends with the input of this process.
async fn end_of_input() {
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
}

async fn listen(receive: impl FnOnce(Arc<dyn Clock>) -> Outcome<Arc<dyn Receive>>) -> Outcome<()> {
    let clock = SystemClock::shared();
    let listening = Listening::bind(ListenerConfig::new("127.0.0.1:0".parse()?)).await?;
    println!("http://{}/in", listening.address());
    let stop = CancellationToken::new();
    let task = tokio::spawn(listening.serve(Arc::clone(&clock), receive(clock)?, stop.clone()));
    end_of_input().await;
    stop.cancel();
    Ok(task.await?)
}

/// Proves the sender, and keeps nothing.
#[derive(Debug)]
struct Verifying {
    scheme: Arc<dyn Scheme>,
    clock: Arc<dyn Clock>,
}

impl Verifying {
    fn new(clock: Arc<dyn Clock>) -> Outcome<Self> {
        Ok(Self { scheme: github().verifier()?, clock })
    }
}

#[async_trait]
impl Receive for Verifying {
    fn admits(&self, _: &Parts) -> Result<BodyLimits, Answer> {
        Ok(BodyLimits::default())
    }

    async fn receive(&self, head: Parts, body: Bytes) -> Answer {
        match self.scheme.verify(&head.headers, &body, self.clock.now()) {
            Ok(_) => Answer::ok(Bytes::new()),
            Err(refused) => Answer::refused(refused.status, refused.why),
        }
    }

    fn longest(&self) -> Duration {
        Duration::from_secs(10)
    }
}

async fn durable(folder: &Path) -> Outcome<(u64, f64)> {
    let limits = Limits::of_size(64 << 30);
    let journal =
        Journal::open(Arc::new(RealDisk), folder.join("journal"), limits, &SystemClock::new()).await?;
    journal.take().await?;
    let kept = journal.clone();
    let keep = |_: &Parts, _: &Bytes, proof: Proof| {
        Ok(Verified { id: proof.id.unwrap_or_default(), head: Bytes::new() })
    };
    listen(move |clock| {
        let within = Duration::from_secs(2);
        Ok(Arc::new(Endpoint::new(github().verifier()?, Arc::new(keep), kept, clock, within)))
    })
    .await?;
    Ok((journal.durable(), 0.0))
}

#[derive(Debug)]
struct Telling;

impl Progress for Telling {
    fn listening(&self, addresses: &[SocketAddr]) {
        if let Some(address) = addresses.first() {
            println!("http://{address}/in");
        }
    }
}

/// `webhook/receiver` as a host runs it.
async fn whole_run(folder: &Path) -> Outcome<(u64, f64)> {
    let stop = CancellationToken::new();
    let cx = Context::builder("bench", "static")
        .network(Network::loopback())
        .folder(folder)
        .stop(stop.clone())
        .run("bench".into())
        .build();
    let config = serde_json::json!({
        "listen": "127.0.0.1:0", "journal": { "path": "journal", "max_size": "8GiB" },
        "endpoints": [{ "path": "/in", "scheme": "github", "secrets": [SECRET] }],
    });
    let door = connector_webhook::receiver();
    let job = Job {
        connector: door.connect(&RawValue::from_string(config.to_string())?, &cx)?,
        cx,
        manifest: door.manifest().clone(),
        registry: Arc::new(SqliteRegistry::open(&folder.join("registry.db"), SystemClock::shared()).await?),
        sink: Arc::new(Bronze::new(BronzeConfig::new(folder.join("bronze"), Format::Jsonl))),
        streams: None,
        options: RunOptions::default(),
        progress: Arc::new(Telling),
    };
    let running = tokio::spawn(run::run(job));
    end_of_input().await;
    #[expect(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
    let start = Instant::now();
    stop.cancel();
    let report = running.await?;
    match (report.status, report.error) {
        (RunStatus::Stopped, None) => Ok((report.totals.records, start.elapsed().as_secs_f64())),
        (_, error) => Err(format!("the run failed: {error:?}").into()),
    }
}
