//! The client of reqwest underneath, with everything off that decides by itself.

use std::{fs, sync::Arc, time::Duration};

use ::http::HeaderValue;
use url::Url;

use super::{guard::Guard, head};
use crate::{Error, Network, Result};

pub(super) fn client(
    network: &Network,
    guard: &Guard,
    connect_timeout: Duration,
    user_agent: &str,
) -> Result<reqwest::Client> {
    build(network, guard, connect_timeout, user_agent, false)
}

/// The same, which speaks HTTP/1.1 only: there a connection can change its protocol.
pub(super) fn http1(
    network: &Network,
    guard: &Guard,
    connect_timeout: Duration,
    user_agent: &str,
) -> Result<reqwest::Client> {
    build(network, guard, connect_timeout, user_agent, true)
}

fn build(
    network: &Network,
    guard: &Guard,
    connect_timeout: Duration,
    user_agent: &str,
    is_http1: bool,
) -> Result<reqwest::Client> {
    let authorities = authorities(network)?;
    let user_agent = HeaderValue::try_from(user_agent)
        .map_err(|_| Error::config("connect", "the user agent holds characters that no header can carry"))?;
    let proxy = proxy(network, guard)?;
    let resolver = Arc::new(guard.clone());
    let builder = || {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .user_agent(user_agent.clone())
            .connect_timeout(connect_timeout)
            .http2_max_header_list_size(head::HTTP2_LIST_SIZE)
            .dns_resolver(Arc::clone(&resolver))
            .tls_certs_merge(authorities.clone());
        let builder = if is_http1 { builder.http1_only() } else { builder };
        // A proxy is configuration too: none is taken from the environment behind the template's back.
        match proxy.clone() {
            None => Ok(builder.no_proxy()),
            Some(url) => reqwest::Proxy::all(url).map(|proxy| builder.proxy(proxy)).map_err(|_| no_proxy()),
        }
    };
    builder()?
        .build()
        // A machine without any certificate authority of its own can still trust those of `ca_file`, and
        // speak plain http where that is allowed; https then fails with a certificate that is not trusted.
        .or_else(|_| builder()?.tls_certs_only(authorities.clone()).build().map_err(unusable))
}

/// The proxy, if its own address is allowed as far as it is known. A name is judged when it is resolved.
fn proxy(network: &Network, guard: &Guard) -> Result<Option<Url>> {
    let Some(text) = network.proxy.as_ref().map(|url| url.expose()).filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(no_proxy)?;
    match guard.check(&url) {
        Ok(()) => Ok(Some(url)),
        Err(refused) => Err(refused.into_error("connect").with_context("setting", "network.proxy")),
    }
}

/// The URL may hold a password, and so may what a parser says about it.
fn no_proxy() -> Error {
    Error::config("connect", "`network.proxy` is no URL of a proxy such as http://proxy.example:3128")
}

fn unusable(error: reqwest::Error) -> Error {
    Error::config("connect", "no HTTP client can be made of the network settings")
        .with_source(error.without_url())
}

fn authorities(network: &Network) -> Result<Vec<reqwest::Certificate>> {
    let Some(path) = &network.ca_file else { return Ok(Vec::new()) };
    let refused =
        |why: String| Error::config("connect", format!("`network.ca_file` {}: {why}", path.display()));
    let pem = fs::read(path).map_err(|error| refused(error.to_string()))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(refused("holds no certificates in PEM".to_owned())),
    }
}
