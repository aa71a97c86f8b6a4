//! Where a connection goes: an address that is good once (apps.connections.open).

use std::net::IpAddr;

use connector_sdk::{
    Class, Context, Delivery, Error, Result, Secret,
    http::{Hosts, Url},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    api::{self, Api},
    hosts::VENDOR_HOSTS,
    method::{Method, Tier},
};

/// The method, which is the operation of its errors.
pub(in crate::events) const OPERATION: &str = "apps.connections.open";
/// It is not paced here: how often connections are opened, [`Pace`](super::pace::Pace) says.
const OPEN: Method = Method { name: OPERATION, tier: Tier::T1, takes_team: false, repeats: true };

/// An address that is good for one connection. It holds a secret.
#[derive(Debug)]
pub(in crate::events) struct Ticket(Secret);

#[derive(Deserialize)]
struct Answer {
    url: Secret,
}

impl Ticket {
    /// Asks for one.
    ///
    /// # Errors
    /// As [`Api::post`]; Schema when there is no address in the answer.
    pub(in crate::events) async fn get(api: &Api, cx: &Context) -> Result<Self> {
        let response = api.post(cx, &OPEN, &json!({})).await?;
        let answer: Answer = api::decode(&response, OPERATION)?;
        Ok(Self(answer.url))
    }

    /// Whose it is, as far as the address says.
    pub(in crate::events) fn app_id(&self) -> Option<String> {
        let url: Url = self.0.expose().parse().ok()?;
        url.query_pairs().find(|(name, _)| name == "app_id").map(|(_, app)| app.into_owned())
    }

    /// The address as the URL of a request.
    ///
    /// # Errors
    /// Schema when it is no address of a WebSocket; Permanent when it is none of the vendor's hosts.
    pub(super) fn url(&self, cx: &Context) -> Result<Url> {
        let wrong = |class, what: &str| {
            Error::new(class, OPERATION, what.to_owned()).with_delivery(Delivery::Answered)
        };
        let text = self.0.expose();
        let http = match text.split_once("://") {
            Some(("wss", rest)) => format!("https://{rest}"),
            Some(("ws", rest)) => format!("http://{rest}"),
            _ => return Err(wrong(Class::Schema, "the address is none of a WebSocket")),
        };
        let url: Url = http.parse().map_err(|_| wrong(Class::Schema, "the address is no URL"))?;
        let mut hosts = Hosts::default();
        VENDOR_HOSTS
            .iter()
            .copied()
            .chain(cx.network().allow_hosts.iter().map(String::as_str))
            .try_for_each(|host| hosts.allow(host))?;
        let address: Option<IpAddr> =
            url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        if hosts.holds(&url) || address.is_some_and(|address| cx.network().allows(address)) {
            return Ok(url);
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        Err(wrong(Class::Permanent, "the address is none of the vendor's: no connection is opened to it")
            .with_context("host", host))
    }
}

#[cfg(test)]
mod tests {
    use connector_sdk::Network;

    use super::*;

    #[test]
    fn a_connection_goes_to_the_vendors_hosts_only() {
        let url = |text: &str, network: Network| {
            let cx = Context::builder("acme", "chat").network(network).build();
            Ticket(Secret::new(text.to_owned())).url(&cx)
        };
        let good = url("wss://wss-primary.slack.com/link/?ticket=1&app_id=A1", Network::default()).unwrap();
        assert_eq!(good.as_str(), "https://wss-primary.slack.com/link/?ticket=1&app_id=A1");
        for bad in
            ["wss://slack.com.evil.example/", "wss://10.0.0.1/", "wss://evil/?slack.com", "ws://127.0.0.1:1/"]
        {
            assert_eq!(url(bad, Network::default()).unwrap_err().class(), Class::Permanent, "{bad}");
        }
        for bad in ["https://slack.com/", "slack.com", ""] {
            assert_eq!(url(bad, Network::default()).unwrap_err().class(), Class::Schema, "{bad}");
        }
        assert!(url("ws://127.0.0.1:1/", Network::loopback()).is_ok());
        let secret = Ticket(Secret::new("wss://slack.com/?ticket=canary".to_owned()));
        assert!(!format!("{secret:?}").contains("canary"));
    }
}
