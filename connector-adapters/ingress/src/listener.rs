//! An HTTP/1.1 server for senders that nobody knows: everything that a connection may cost has a limit.
//!
//! - A connection that sends no whole head within `header_timeout` is closed; so is one that does not come to the end of
//!   its TLS handshake, and one that was answered and sends nothing more. What a body may cost is in [`BodyLimits`].
//! - At most `max_connections` at once. For one more the connection goes that has waited longest for its sender, so that
//!   those who say nothing, or say it slowly, are in nobody's way. Who waits for us stays.
//! - Bodies in memory, of all connections together, have `max_in_flight` bytes. Beyond that the one has to go that takes
//!   longest to come, and where all are there already, who comes is refused with 503.
//! - On a stop nobody is accepted any more, who has begun is answered, and the rest is closed.
//!
//! A request with both a length and a transfer coding is read by its coding, and is the last one of its connection (RFC
//! 9112, section 6.1): what somebody hid behind it is read by nobody.
//!
//! All limits in time are by the clock it is given.

mod answer;
mod body;
mod connection;
mod encoding;
mod endpoint;
mod endpoints;
mod places;
mod rate;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use connector_sdk::{Clock, Error, Result, clock::timeout};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use answer::Answer;
pub use body::{BodyLimits, Flight, read_body};
pub use endpoint::{Endpoint, Receive};
pub use endpoints::Endpoints;
pub use rate::Rate;
pub use tls::{ServerTls, TlsConfig};

use connection::{Connection, Shared};
use places::Places;

/// Where a listener listens, and what a connection may cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// The address; port 0: any that is free.
    pub listen: SocketAddr,
    /// How long a connection may take for its handshake, for the head of a request, and may be idle. Default 10 s.
    pub header_timeout: Duration,
    /// Connections at once. Default 1,024.
    pub max_connections: usize,
    /// Bytes of bodies in memory at once, of all connections, but for the first 16 KiB of each. Default 64 MiB.
    pub max_in_flight: usize,
    /// Speaks TLS with this certificate; none: plain text, as behind a proxy.
    pub tls: Option<ServerTls>,
}

impl ListenerConfig {
    /// Listens there, with the defaults.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            header_timeout: Duration::from_secs(10),
            max_connections: 1024,
            max_in_flight: 64 << 20,
            tls: None,
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
        let Self { socket, config, .. } = self;
        let places = Arc::new(Places::new(config.max_connections));
        let flight = Flight::new(config.max_in_flight);
        let header_timeout = config.header_timeout;
        let shared = Arc::new(Shared { config, clock, receive, flight, places });
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accept(&socket, &shared) => accepted,
            };
            let Some(stream) = accepted else { continue };
            let place = shared.places.take(shared.now());
            let slot = place.slot();
            let connection = Connection::new(Arc::clone(&shared), place, stop.child_token());
            slot.belongs_to(connections.spawn(connection.serve(stream)));
        }
        drop(socket);
        let longest = header_timeout + shared.receive.longest();
        let rest = async { while connections.join_next().await.is_some() {} };
        if timeout(&*shared.clock, longest, rest).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections that do not end are cut off");
        }
    }
}

/// ENOMEM, ENFILE, EMFILE, ENOBUFS: the machine's affair. All others are those of one connection (accept(2)).
fn is_out_of_room(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}

/// The next connection that there is a place for; none: the system had none to give.
async fn accept(socket: &TcpListener, shared: &Shared) -> Option<tokio::net::TcpStream> {
    // Whoever waits for us stays; where all do, the next one waits in the system's queue.
    shared.places.free().await;
    match socket.accept().await {
        Ok((stream, _)) => {
            // Only now: nobody has to go for one who never comes.
            shared.places.make_room().await;
            Some(stream)
        }
        Err(error) if is_out_of_room(&error) => {
            tracing::warn!(%error, "no connection can be accepted for the moment");
            shared.places.evict();
            shared.clock.sleep(ACCEPT_PAUSE).await;
            None
        }
        // One that has gone away again before it was accepted.
        Err(error) => {
            tracing::debug!(%error, "a connection was not accepted");
            tokio::task::yield_now().await;
            None
        }
    }
}
