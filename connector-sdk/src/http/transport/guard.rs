//! Keeps a connection away from addresses that its network does not allow.
//!
//! Who can choose a URL, a redirect or the answer of a name server could otherwise make us ask for the
//! host's own metadata, or for what stands behind its firewall. So the check is made where the address is
//! known, and on the very address that is then connected:
//!
//! - An address that stands in a URL as a number never reaches a resolver. The URL parser has normalised
//!   it (`0x7f.1`, `2130706433` and fullwidth digits are 127.0.0.1), and [`Guard::check`] judges it before
//!   anything is sent.
//! - A name is resolved once per connection, and only what [`Guard`] lets through is handed to the
//!   connector. Between the check and the connection nobody asks again, so a name that changes its answer
//!   (DNS rebinding) gains nothing.
//! - Names that always mean this machine or its metadata are judged like the numbers. Behind a proxy,
//!   which resolves names itself, no other name can be judged here.
//!
//! Of an answer with several addresses those that are allowed are used. To refuse the whole answer would
//! be no safer: who can put a private address beside a public one can as well leave it out. And it would
//! cut off hosts behind DNS64, whose names have a public address and one for a gateway.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolving};
use url::{Host, Url};

use super::Resolve;
use crate::{Error, Network, network::Special};

/// Names that are resolved by nobody: RFC 6761, 6.3; Google Cloud, "About VM metadata".
const NAMES: [(&str, &[IpAddr]); 2] = [
    ("localhost", &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]),
    ("metadata.google.internal", &[IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254))]),
];

/// Judges addresses, and resolves names to those that are allowed.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    network: Arc<Network>,
    resolver: Arc<dyn Resolve>,
}

/// No address of the host is allowed; this is one of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is at {address}, which is refused: {range}")]
pub(crate) struct Refused {
    host: String,
    address: IpAddr,
    range: Special,
}

impl Refused {
    /// The failure of an operation that wanted to go there. Nothing was sent.
    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        Error::permanent(
            operation,
            "the address is not public, and refused: where the connection is meant to go there, add it to `network.allow`",
        )
        .with_context("host", self.host)
        .with_context("address", self.address)
        .with_context("range", self.range)
    }
}

impl Guard {
    pub(crate) fn new(network: Arc<Network>, resolver: Arc<dyn Resolve>) -> Self {
        Self { network, resolver }
    }

    /// Judges a URL as far as it names an address.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refused> {
        url.host().map_or(Ok(()), |host| self.check_host(&host).map(drop))
    }

    /// Judges a host as far as it names an address, which is then answered.
    fn check_host(&self, host: &Host<&str>) -> Result<Option<IpAddr>, Refused> {
        let (text, addresses) = match *host {
            Host::Ipv4(address) => (address.to_string(), vec![address.into()]),
            Host::Ipv6(address) => (address.to_string(), vec![address.into()]),
            Host::Domain(name) => match known(name) {
                Some(addresses) => return self.permitted(name, addresses.to_vec()).map(|_| None),
                None => return Ok(None),
            },
        };
        self.permitted(&text, addresses).map(|permitted| permitted.first().copied())
    }

    /// The addresses that may be connected of a host that stands in no URL. It asks no more than once.
    pub(crate) async fn addresses(
        &self,
        operation: &'static str,
        host: &Host<&str>,
    ) -> crate::Result<Vec<IpAddr>> {
        let refused = |refused: Refused| refused.into_error(operation);
        if let Some(address) = self.check_host(host).map_err(refused)? {
            return Ok(vec![address]);
        }
        let name = host.to_string();
        let unresolved = || Error::transient(operation, "the host's name cannot be resolved");
        let found = self.resolver.resolve(&name).await.map_err(|error| unresolved().with_source(error))?;
        let permitted = self.permitted(&name, found).map_err(refused)?;
        if permitted.is_empty() { Err(unresolved()) } else { Ok(permitted) }
    }

    /// The addresses that are allowed, as they will be connected. None of none.
    fn permitted(&self, host: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Refused> {
        let mut refused = None;
        let mut permitted = Vec::with_capacity(addresses.len());
        for address in addresses.iter().map(IpAddr::to_canonical) {
            match self.network.refuses(address) {
                None => permitted.push(address),
                Some(range) => refused = refused.or(Some((address, range))),
            }
        }
        match refused {
            Some((address, range)) if permitted.is_empty() => {
                Err(Refused { host: host.to_owned(), address, range })
            }
            _ => Ok(permitted),
        }
    }
}

/// What a name stands for that nobody has to be asked about. The URL parser has made it lower-case.
fn known(name: &str) -> Option<&'static [IpAddr]> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is =
        |known| name.strip_suffix(known).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    NAMES.iter().find(|(known, _)| is(known)).map(|(_, addresses)| *addresses)
}

impl reqwest::dns::Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = guard.resolver.resolve(name.as_str()).await?;
            let permitted = guard.permitted(name.as_str(), found)?;
            if permitted.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            // The connector puts the port of the URL in place of this one.
            let addresses = permitted.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
