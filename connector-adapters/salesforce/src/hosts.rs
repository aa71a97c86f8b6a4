//! Which hosts a token or a secret may go to.

use std::net::{IpAddr, Ipv4Addr};

use connector_sdk::{Network, Result};
use url::{Host, Url};

use crate::config::wrong;

/// Where production orgs sign in.
pub(crate) const LOGIN_URL: &str = "https://login.salesforce.com";
/// The vendor's hosts, as a manifest and the transport guard write them. Experience Cloud and government
/// domains are let through by `network.allow_hosts`.
pub(crate) const VENDOR_HOSTS: [&str; 3] =
    ["*.my.salesforce.com", "login.salesforce.com", "test.salesforce.com"];

/// The origin that a URL of the configuration names.
///
/// # Errors
/// Config, naming the field, when it is no https URL of an allowed host, or has more than an origin.
pub(crate) fn origin(field: &'static str, text: &str, network: &Network) -> Result<Url> {
    let url = Url::parse(text.trim())
        .map_err(|_| wrong(field, "is no URL such as https://acme.my.salesforce.com"))?;
    check(field, &url, network)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(field, "holds a user or a password: they belong into `auth`"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(field, "has a path; give the host only, such as https://acme.my.salesforce.com"));
    }
    Ok(url)
}

/// Whether a secret may go there.
fn check(field: &'static str, url: &Url, network: &Network) -> Result<()> {
    match url.scheme() {
        "https" => {}
        "http" if network.allow_http => {}
        "http" => {
            return Err(wrong(field, "is an http URL: secrets would go in the clear; write https"));
        }
        _ => return Err(wrong(field, "is no https URL")),
    }
    let host = url.host().ok_or_else(|| wrong(field, "has no host"))?;
    if allows(&host, network) {
        return Ok(());
    }
    Err(wrong(
        field,
        format!(
            "names the host `{host}`, which is none of {} and not in `network.allow_hosts`: \
             no secret is sent there",
            VENDOR_HOSTS.join(", ")
        ),
    ))
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
    let name = name.strip_suffix('.').unwrap_or(name);
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(name),
        Some(domain) => name
            .len()
            .checked_sub(domain.len() + 1)
            .filter(|dot| *dot > 0)
            .and_then(|dot| name.split_at_checked(dot))
            .and_then(|(_, rest)| rest.strip_prefix('.'))
            .is_some_and(|rest| rest.eq_ignore_ascii_case(domain)),
    }
}

/// Hosts that sign in users of every org and serve no data.
pub(crate) fn is_login_host(url: &Url) -> bool {
    matches!(url.host_str(), Some("login.salesforce.com" | "test.salesforce.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vendors_hosts_get_a_secret() {
        let network = Network::default();
        for good in [
            "https://acme.my.salesforce.com",
            "https://acme--box.sandbox.my.salesforce.com/",
            "https://ACME.My.Salesforce.com",
            "https://login.salesforce.com",
            "https://test.salesforce.com",
        ] {
            assert!(origin("instance_url", good, &network).is_ok(), "{good}");
        }
        for bad in [
            "https://my.salesforce.com",
            "https://acme.my.salesforce.com.evil.example",
            "https://evilmy.salesforce.com",
            "https://acme.lightning.force.com",
            "https://127.0.0.1:8443",
            "https://localhost",
            "http://acme.my.salesforce.com",
            "ftp://acme.my.salesforce.com",
            "https://user@acme.my.salesforce.com",
            "https://acme.my.salesforce.com/services",
            "https://acme.my.salesforce.com?x=1",
            "acme.my.salesforce.com",
            "",
        ] {
            let error = origin("instance_url", bad, &network).unwrap_err();
            assert!(error.to_string().contains("instance_url"), "{bad}: {error}");
        }
    }

    #[test]
    fn the_network_of_the_connection_lets_more_hosts_through() {
        let mut network = Network::loopback();
        network.allow_hosts = vec!["*.site.example".to_owned(), "crm.example".to_owned()];
        for good in
            ["http://127.0.0.1:8080", "http://localhost:1", "https://a.site.example", "https://crm.example"]
        {
            assert!(origin("login_url", good, &network).is_ok(), "{good}");
        }
        assert!(origin("login_url", "http://10.0.0.1", &network).is_err());
        assert!(origin("login_url", "https://site.example", &network).is_err());
    }
}
