//! An HTTP/1.1 server for senders that nobody knows: everything that a connection may cost has a limit.
//!
//! - A connection that sends no whole head within `header_timeout` is closed; so is one that was answered and sends
//!   nothing more. A body has `body_timeout`, and `max_body` bytes; what says that it is larger is not read at all.
//! - At most `max_connections` at once; others wait to be accepted.
//! - On a stop nobody is accepted any more, who has begun is answered, and the rest is closed.
//!
//! All limits in time are by the clock it is given.

mod answer;
mod connection;
mod endpoint;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use connector_sdk::{Clock, Error, Result, clock::timeout};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use answer::Answer;
pub use endpoint::{Endpoint, Receive};

/// Where a listener listens, and what a connection may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// The address; port 0: any that is free.
    pub listen: SocketAddr,
    /// The largest body, in bytes. Default 1 MiB.
    pub max_body: usize,
    /// How long a connection may take for the head of a request, and may be idle. Default 10 s.
    pub header_timeout: Duration,
    /// How long the body may take. Default 10 s.
    pub body_timeout: Duration,
    /// Connections at once. Default 1,024.
    pub max_connections: usize,
}

impl ListenerConfig {
    /// Listens there, with the defaults.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            max_body: 1 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            max_connections: 1024,
        }
    }
}

/// A pause after the system has refused a connection: it has no more files, or no memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address that is bound: who connects is in the queue, and is served once [`serve`](Self::serve) is called.
#[derive(Debug)]
pub struct Listening {
    socket: TcpListener,
    address: SocketAddr,
    config: ListenerConfig,
}

impl Listening {
    /// Binds the address.
    ///
    /// # Errors
    /// Config when it cannot be bound: it is taken, not ours, or not allowed.
    pub async fn bind(config: ListenerConfig) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::config("listen", format!("`listen`: {error}")).with_context("address", config.listen)
        };
        let socket = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, config })
    }

    /// Where it listens, with the port that it was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the stop, then answers who has begun; nobody is served any more when this ends.
    pub async fn serve(self, clock: Arc<dyn Clock>, receive: Arc<dyn Receive>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.config.max_connections.max(1)));
        let mut connections = JoinSet::new();
        loop {
            let accepted = async {
                // The place first: who has none stays in the system's queue.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, self.socket.accept().await)
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                (place, accepted) = accepted => match accepted {
                    Ok((stream, _)) => {
                        let connection = connection::Connection {
                            config: self.config,
                            clock: Arc::clone(&clock),
                            receive: Arc::clone(&receive),
                            stop: stop.clone(),
                        };
                        connections.spawn(async move {
                            connection.serve(stream).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no connection can be accepted for the moment");
                        clock.sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.socket);
        let longest = self.config.header_timeout + self.config.body_timeout + receive.longest();
        let rest = async { while connections.join_next().await.is_some() {} };
        if timeout(&*clock, longest, rest).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections that do not end are cut off");
        }
    }
}
