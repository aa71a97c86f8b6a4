//! Who turns the names of hosts into addresses.

use std::{fmt::Debug, io, net::IpAddr};

use async_trait::async_trait;

/// Turns the name of a host into its addresses.
///
/// Used by the transport for each new connection. What it answers is not trusted: the transport connects
/// only to addresses that the connection's [`Network`](crate::Network) lets through. The limit of
/// connecting bounds it.
#[async_trait]
pub trait Resolve: Send + Sync + Debug {
    /// The addresses of the host, best first.
    ///
    /// # Errors
    /// When they cannot be found; the request fails with class Transient.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system, which looks into its files and asks the name servers that it is told to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}
