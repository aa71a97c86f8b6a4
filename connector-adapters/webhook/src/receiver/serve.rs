//! A run's listener: its own address, or its places behind the host's gate.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_ingress::{
    Journal, Listening,
    listener::{Endpoint, Endpoints, Rate},
};
use connector_sdk::{Context, Result, contract::Listener};
use tokio_util::sync::CancellationToken;

use super::{config::Settings, gate::Gate, keep::keep, known::Known};

/// Slack waits three seconds for an answer, Shopify five, GitHub ten: the shortest of them, less the way here.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Where senders come in.
#[derive(Debug)]
pub(super) enum Door {
    /// At an address of its own.
    Own(Listening),
    /// At the host's.
    Gate(Gate),
}

/// The endpoints of a run.
#[derive(Debug)]
pub(super) struct Serving {
    door: Door,
    places: Places,
    journal: Journal,
}

/// What is put behind a door.
#[derive(Debug)]
struct Places {
    settings: Settings,
    known: Known,
    journal: Journal,
}

impl Serving {
    /// Nobody is let in yet.
    pub(super) fn new(door: Door, settings: Settings, known: Known, journal: Journal) -> Self {
        Self { door, places: Places { settings, known, journal: journal.clone() }, journal }
    }
}

impl Places {
    /// Puts each endpoint in its place.
    fn fill(&self, endpoints: &Endpoints, prefix: &str, cx: &Context, shared: Option<Rate>) {
        let Settings { endpoints: live, body, gzip, rate, .. } = &self.settings;
        let own = rate.map(|(per_second, burst)| {
            Rate::new(cx.connection().as_str(), per_second, burst, Arc::clone(cx.clock()))
        });
        for path in self.known.removed() {
            endpoints.remove(format!("{prefix}{path}"));
        }
        for live in live {
            let keep = keep(live.path.clone(), live.scheme.name(), live.headers.clone());
            let (scheme, journal) = (Arc::clone(&live.scheme), self.journal.clone());
            let endpoint = Endpoint::new(scheme, keep, journal, Arc::clone(cx.clock()), ANSWER_WITHIN)
                .with_body(*body)
                .with_gzip(*gzip);
            let endpoint = own.iter().chain(&shared).cloned().fold(endpoint, Endpoint::with_rate);
            endpoints.add(format!("{prefix}{}", live.path), endpoint);
        }
    }

    /// Serves at the door until the stop.
    async fn serve(self, door: Door, cx: &Context, stop: CancellationToken) {
        match door {
            Door::Own(listening) => {
                let endpoints = Endpoints::default();
                self.fill(&endpoints, "", cx, None);
                listening.serve(Arc::clone(cx.clock()), Arc::new(endpoints), stop).await;
            }
            Door::Gate(gate) => {
                let prefix = Gate::prefix(cx.tenant(), cx.connection());
                let paths = self.settings.endpoints.iter().map(|live| format!("{prefix}{}", live.path));
                // Dropped in the middle, it takes nothing more all the same.
                let _resting = Resting { endpoints: gate.endpoints().clone(), paths: paths.collect() };
                self.fill(gate.endpoints(), &prefix, cx, gate.rate(cx.tenant()));
                stop.cancelled().await;
            }
        }
    }
}

#[async_trait]
impl Listener for Serving {
    fn addresses(&self) -> Vec<SocketAddr> {
        match &self.door {
            Door::Own(listening) => vec![listening.address()],
            Door::Gate(_) => Vec::new(),
        }
    }

    async fn serve(self: Box<Self>, cx: Context) -> Result<()> {
        let Self { door, places, journal } = *self;
        let stop = cx.stop().child_token();
        let mut served = Box::pin(places.serve(door, &cx, stop.clone()));
        let failed = tokio::select! {
            biased;
            () = &mut served => None,
            failed = journal.failure() => {
                // Who is in the middle of it is told to come again.
                stop.cancel();
                served.await;
                Some(failed)
            }
        };
        super::connector::close(&journal).await;
        failed.map_or(Ok(()), Err)
    }
}

/// Paths that rest when this is dropped.
struct Resting {
    endpoints: Endpoints,
    paths: Vec<String>,
}

impl Drop for Resting {
    fn drop(&mut self) {
        for path in self.paths.drain(..) {
            self.endpoints.rest(path);
        }
    }
}
