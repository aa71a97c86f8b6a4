//! Which hosts a token, a secret or a file may go to.

use std::net::{IpAddr, Ipv4Addr};

use connector_sdk::{Network, Result};
use url::{Host, Url};

use crate::config::wrong;

/// Where the Web API is, for everybody but governments.
pub(crate) const BASE_URL: &str = "https://slack.com/api";

/// The vendor's hosts: the API, `files.slack.com` for uploads, `wss-*.slack.com` for Socket Mode. Others, such as those
/// for governments, are let through by `network.allow_hosts`.
pub(crate) const VENDOR_HOSTS: [&str; 2] = ["slack.com", "*.slack.com"];

/// The URL below which the methods are, without a slash at its end.
///
/// # Errors
/// Config, naming the field, when it is no https URL of an allowed host.
pub(crate) fn base(field: &'static str, text: &str, network: &Network) -> Result<Url> {
    let mut url =
        Url::parse(text.trim()).map_err(|_| wrong(field, "is no URL such as https://slack.com/api"))?;
    match url.scheme() {
        "https" => {}
        "http" if network.allow_http => {}
        "http" => return Err(wrong(field, "is an http URL: tokens would go in the clear; write https")),
        _ => return Err(wrong(field, "is no https URL")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(field, "holds a user or a password: they belong into `auth`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(field, "has a query; give it as in https://slack.com/api"));
    }
    let host = url.host().ok_or_else(|| wrong(field, "has no host"))?;
    if !allows(&host, network) {
        let known = VENDOR_HOSTS.join(", ");
        let what = format!(
            "names the host `{host}`, which is none of {known} and not in `network.allow_hosts`: no token is sent there"
        );
        return Err(wrong(field, what));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn allows(host: &Host<&str>, network: &Network) -> bool {
    match host {
        Host::Domain("localhost") => network.allows(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Host::Domain(name) => VENDOR_HOSTS
            .into_iter()
            .chain(network.allow_hosts.iter().map(String::as_str))
            .any(|pattern| matches(pattern, name)),
        Host::Ipv4(address) => network.allows(IpAddr::V4(*address)),
        Host::Ipv6(address) => network.allows(IpAddr::V6(*address)),
    }
}

/// A leading `*.` stands for one or more labels.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.trim_end_matches('.').to_ascii_lowercase());
    match pattern.strip_prefix('*') {
        None => pattern == name,
        Some(domain) => name.len() > domain.len() && name.ends_with(domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vendors_hosts_get_a_token() {
        let network = Network::default();
        for good in ["https://slack.com/api", "https://slack.com/api/", "https://acme.slack.com/api"] {
            assert!(!base("base_url", good, &network).unwrap().path().ends_with('/'), "{good}");
        }
        for bad in [
            "https://evilslack.com/api",
            "https://slack.com.evil.example/api",
            "https://.slack.com.evil/api",
            "http://slack.com/api",
            "ftp://slack.com/api",
            "https://user@slack.com/api",
            "https://slack.com/api?x=1",
            "https://127.0.0.1/api",
            "https://localhost/api",
            "slack.com/api",
        ] {
            let error = base("base_url", bad, &network).unwrap_err();
            assert!(error.to_string().contains("base_url"), "{bad}: {error}");
        }
        let loopback = Network::loopback();
        assert_eq!(base("base_url", "http://127.0.0.1:8/api", &loopback).unwrap().path(), "/api");
        assert!(base("base_url", "http://10.0.0.1/api", &loopback).is_err());
    }
}
