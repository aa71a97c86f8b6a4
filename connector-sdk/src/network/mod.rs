//! Where a connection may go: what the transport lets through besides public addresses over TLS.

mod dial;
mod range;
mod special;

use std::{net::IpAddr, path::PathBuf};

pub use dial::{Dial, Stream};
pub use range::{AddressRange, InvalidAddressRange};
use schemars::JsonSchema;
use serde::Deserialize;
pub use special::Special;

use crate::Secret;

/// The `network:` section of a template.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Network {
    /// Address ranges that are let through though they are not public: private, loopback, link-local and
    /// the others of [`Special`]. A range lets through what it holds and nothing that merely embeds it:
    /// `10.0.0.0/8` does not let `64:ff9b::a00:1` through, which a gateway would send to 10.0.0.1.
    pub allow: Vec<AddressRange>,
    /// Hosts that the connector may reach besides the vendor's own.
    pub allow_hosts: Vec<String>,
    /// Lets plain `http` URLs through. For tests and private networks only: credentials go in the clear.
    pub allow_http: bool,
    /// A PEM file with certificates of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy to go through, as a URL; it may hold a password. Its own address is checked like any
    /// other. It resolves the names of vendors itself, so of their addresses only those that stand in
    /// a URL as numbers are checked here: a proxy has to refuse the others.
    pub proxy: Option<Secret>,
}

impl Network {
    /// Whether an allowed range holds the address.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|range| range.contains(address))
    }

    /// Why the address is refused; none: it is public, or an allowed range holds it.
    ///
    /// ```
    /// use connector_sdk::Network;
    /// let refused = |address: &str| Network::default().refuses(address.parse().unwrap());
    /// assert_eq!(refused("::ffff:169.254.169.254").unwrap().name, "metadata");
    /// assert!(refused("9.9.9.9").is_none());
    /// ```
    #[must_use]
    pub fn refuses(&self, address: IpAddr) -> Option<Special> {
        Special::of(address).filter(|_| !self.allows(address))
    }

    /// Loopback over plain http: for examples and tests against a fake vendor.
    #[must_use]
    pub fn loopback() -> Self {
        Self { allow: vec![AddressRange::LOOPBACK], allow_http: true, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_proxy_is_not_in_the_debug_text() {
        let network: Network =
            serde_json::from_str(r#"{ "proxy": "http://user:canary-7f3a9c@proxy.example" }"#).unwrap();
        assert_eq!(network.proxy.as_ref().unwrap().expose(), "http://user:canary-7f3a9c@proxy.example");
        assert!(!format!("{network:?}").contains("canary-7f3a9c"), "{network:?}");
    }
}
