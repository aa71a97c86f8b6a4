//! The way out for protocols that are not HTTP: IMAP and SMTP.
//!
//! It goes where the HTTP transport goes, and nowhere else: a name is resolved once, each address that it has is
//! judged by the same guard, and only what the guard lets through is connected. TLS trusts the same authorities, and
//! fails in the same words.

mod tls;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use tokio::net::TcpStream;
use url::Host;

use self::tls::Trust;
use super::Network;
use crate::{
    Clock, Error, Result,
    clock::timeout,
    http::{Duplex, Guard, Resolve, SystemResolver},
    resilience::Resilience,
};

/// A connection: bytes in, bytes out. What is read has no limits but those that its user sets.
pub type Stream = Box<dyn Duplex>;

const OPERATION: &str = "connect";

/// When the next address of a host is tried beside one that does not answer (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Opens connections to where a [`Network`] lets through, and secures them.
///
/// | failure | class |
/// |---|---|
/// | `network.proxy` is set; `network.ca_file` cannot be used; the host's name is none | Config |
/// | a certificate that is not trusted, has expired, is of another host; no TLS there | Config |
/// | an address that is not public, and not allowed | Permanent |
/// | the name cannot be resolved; no connection; not in time | Transient |
///
/// ```no_run
/// # async fn f() -> connector_sdk::Result<()> {
/// use connector_sdk::{Network, SystemClock, network::Dial, resilience::Resilience};
/// let dial = Dial::new(&Network::default(), &Resilience::default(), SystemClock::shared())?;
/// let stream = dial.tcp("imap.example.com", 993).await?;
/// let stream = dial.tls(stream, "imap.example.com").await?;
/// # Ok(()) }
/// ```
pub struct Dial {
    guard: Guard,
    limit: Duration,
    clock: Arc<dyn Clock>,
    trust: Trust,
}

impl Dial {
    /// A way out with these settings; each step is given `connect_timeout`.
    ///
    /// # Errors
    /// Config when a proxy is configured, which no protocol but HTTP goes through here, or when the file of
    /// authorities does not hold any.
    pub fn new(network: &Network, settings: &Resilience, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::with_resolver(network, settings, clock, Arc::new(SystemResolver))
    }

    /// A way out that asks this resolver for addresses, and not the system. It judges the answers alike.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_resolver(
        network: &Network,
        settings: &Resilience,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self> {
        if network.proxy.as_ref().is_some_and(|proxy| !proxy.expose().is_empty()) {
            let message = "`network.proxy` is set, and this protocol goes through no proxy: remove it, or let the \
                           host through where the proxy stands";
            return Err(Error::config(OPERATION, message).with_context("setting", "network.proxy"));
        }
        Ok(Self {
            guard: Guard::new(Arc::new(network.clone()), resolver),
            limit: settings.connect_timeout,
            clock,
            trust: Trust::new(network)?,
        })
    }

    /// Connects, in the clear. Of several addresses the first that answers is taken.
    ///
    /// # Errors
    /// Config when the host is none; Permanent when none of its addresses may be connected; Transient when it cannot
    /// be resolved, or does not answer in time.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<Stream> {
        let name = parse(host)?;
        let connected = timeout(&*self.clock, self.limit, async {
            let addresses = self.guard.addresses(OPERATION, &borrowed(&name)).await?;
            let addresses: Vec<_> =
                addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
            self.first(&addresses)
                .await
                .map_err(|error| Error::transient(OPERATION, "no connection").with_source(error))
        });
        let stream = connected
            .await
            .unwrap_or_else(|_| Err(Error::transient(OPERATION, "no connection in time")))
            .map_err(|error| at(error, host, port))?;
        // Commands are small, and each waits for its answer.
        stream.set_nodelay(true).map_err(|error| {
            at(Error::transient(OPERATION, "the connection was lost").with_source(error), host, port)
        })?;
        Ok(Box::new(stream))
    }

    /// Secures a connection with TLS. Who changes to it in the middle of a protocol (STARTTLS) has to have read
    /// everything that came in the clear, and must not have kept any of it: what is left over could be a command of
    /// somebody in between.
    ///
    /// # Errors
    /// Config when the server's certificate is not trusted or it speaks no TLS; Transient when the handshake breaks
    /// off or is not done in time.
    pub async fn tls(&self, stream: Stream, host: &str) -> Result<Stream> {
        let name = parse(host)?;
        let secured = timeout(&*self.clock, self.limit, self.trust.secure(stream, &name)).await;
        secured
            .unwrap_or_else(|_| Err(Error::transient(OPERATION, "the TLS handshake is not done in time")))
            .map_err(|error| error.with_context("host", host))
    }

    /// The first address that answers. The next one is tried when one has failed, or has not answered for a moment.
    async fn first(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        let mut tries = FuturesUnordered::new();
        let mut left = addresses.iter();
        loop {
            let next = left.next();
            tries.extend(next.map(|address| TcpStream::connect(*address)));
            let answer = if next.is_some() {
                match select(tries.next(), self.clock.sleep(STAGGER)).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(_) => continue,
                }
            } else {
                tries.next().await
            };
            match answer {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failure = error,
                None if next.is_none() => return Err(failure),
                None => {}
            }
        }
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A name as the URL parser takes it: in lower case and in ASCII, and what is a number in any form as a number.
fn parse(host: &str) -> Result<Host> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Ok(Host::Ipv6(address));
    }
    Host::parse(host).map_err(|_| Error::config(OPERATION, "the host is neither a name nor an address"))
}

fn borrowed(host: &Host) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

fn at(error: Error, host: &str, port: u16) -> Error {
    let has_host = error.context().any(|(name, _)| name == "host");
    let error = if has_host { error } else { error.with_context("host", host) };
    error.with_context("port", port)
}

#[cfg(test)]
mod tests;
