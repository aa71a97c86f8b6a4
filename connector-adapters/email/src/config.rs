//! What both methods are set up with alike: how the connection is secured, and how to sign in. Typed, checked, no I/O.

mod auth;
mod profile;

use std::fmt;

use connector_sdk::{Error, Network, Result};
use schemars::JsonSchema;
use serde::Deserialize;

pub use auth::{Auth, Grant, Oauth, PasswordAuth, TokenAuth};
pub(crate) use profile::Known;
pub use profile::Profile;

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// TLS from the first byte (RFC 8314, 3): port 993 of IMAP, 465 of SMTP.
    #[default]
    Implicit,
    /// Begins in the clear and changes to TLS, or fails: port 143 of IMAP, 587 of SMTP.
    Starttls,
    /// In the clear. For tests and private networks only: `network.allow_http` must be set.
    None,
}

/// A host name, or an address, and nothing else: no scheme, port or space.
fn check_host(host: &str) -> Result<()> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'%');
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.len() > 253 || !host.bytes().all(is_name) {
        return Err(wrong("host", "is no name of a host such as imap.example.com"));
    }
    // A port would otherwise be taken for a part of an address.
    if host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(wrong("host", "holds a port: write it as `port`"));
    }
    Ok(())
}

/// More than any vendor allows an account.
const MOST_CONNECTIONS: u32 = 32;

/// A server as both methods name it: checked against what the connection's network allows, and its host as it is dialled.
///
/// # Errors
/// Config, naming the field.
pub(crate) fn check_server(host: &str, port: Option<u16>, tls: Tls, network: &Network) -> Result<String> {
    check_host(host)?;
    if tls == Tls::None && !network.allow_http {
        let what =
            "is `none`: use `implicit` or `starttls`, or set `network.allow_http` on a network you trust";
        return Err(wrong("tls", what));
    }
    if port == Some(0) {
        return Err(wrong("port", "is 0"));
    }
    Ok(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// How many connections may be held at once.
///
/// # Errors
/// Config when that is none, or too many.
pub(crate) fn check_connections(connections: u32) -> Result<usize> {
    if !(1..=MOST_CONNECTIONS).contains(&connections) {
        return Err(wrong("connections", format!("is {connections}; it must be 1 to {MOST_CONNECTIONS}")));
    }
    Ok(connections as usize)
}

/// An error that names a field of the configuration.
pub(crate) fn wrong(field: &'static str, what: impl fmt::Display) -> Error {
    Error::config("connect", format!("`{field}` {what}")).with_context("field", field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_else() {
        for host in ["imap.example.com", "127.0.0.1", "::1", "[::1]", "mail_1.local"] {
            assert!(check_host(host).is_ok(), "{host}");
        }
        for host in ["", "imap.example.com:993", "imaps://x", "a b", "a\r\nb", "bücher.example"] {
            assert!(check_host(host).is_err(), "{host}");
        }
    }
}
