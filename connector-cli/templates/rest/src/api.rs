//! The vendor's endpoints, a function each. Deadlines, retries, limits and tokens are the client's affair.

use std::sync::Arc;

use connector_sdk::{
    Class, Context, Error, Identity, Result,
    auth::{self, TokenEndpoint},
    http::{HttpClient, Request, Response, StackHealth},
};
use serde::Deserialize;

use crate::{
    config::{Auth, Config},
    fault::DeskFaults,
    tickets::Place,
};

#[derive(Debug)]
pub(crate) struct Api {
    http: HttpClient,
    page_size: u32,
}

#[derive(Deserialize)]
struct Me {
    id: String,
    desk: String,
}

impl Api {
    /// Prepares. Nobody is asked yet: what can fail in the network fails in the first call.
    pub(crate) fn connect(config: &Config, cx: &Context) -> Result<Self> {
        let url = config.check()?;
        let tokens = match &config.auth {
            Auth::ClientCredentials(app) => {
                let token_url = url.join("/oauth/token");
                let token_url =
                    token_url.map_err(|_| Error::config("connect", "`base_url` can have no path"))?;
                let endpoint = TokenEndpoint::new(cx, token_url)?;
                let secret = app.client_secret.clone();
                auth::ClientCredentials::new(endpoint, &app.client_id, secret)
            }
        };
        let http = HttpClient::builder(cx)
            .base_url(url)
            .tokens(Arc::new(tokens))
            .faults(Arc::new(DeskFaults))
            .build()?;
        Ok(Self { http, page_size: config.page_size })
    }

    /// Who we are.
    pub(crate) async fn me(&self, cx: &Context) -> Result<Identity> {
        let request = Request::get("who am I", "/v1/me");
        let response = self.http.send(cx, request).await?;
        let me: Me = serde_json::from_slice(&response.body).map_err(|error| {
            let message = "the answer is not as documented";
            Error::new(Class::Schema, "who am I", message).with_source(error)
        })?;
        Ok(Identity::new(me.id).with_account(me.desk))
    }

    /// The first page behind a place, oldest change first.
    pub(crate) async fn tickets(&self, cx: &Context, place: &Place, with_deleted: bool) -> Result<Response> {
        let mut request = Request::get("list tickets", "/v1/tickets")
            .query("limit", &self.page_size.to_string())
            .query("deleted", &with_deleted.to_string());
        if let Some(time) = &place.changed_at {
            request = request.query("changed_from", time).query("after", &place.id.to_string());
        }
        self.http.send(cx, request).await
    }

    /// The page that another page has named as its next.
    pub(crate) async fn next(&self, cx: &Context, link: &str) -> Result<Response> {
        let request = Request::get("list tickets", link);
        self.http.send(cx, request).await
    }

    pub(crate) fn health(&self, cx: &Context) -> StackHealth {
        self.http.health(cx)
    }
}
