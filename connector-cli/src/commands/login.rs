//! `connector login`: a person signs in with a browser, and the connection's runs need nobody any more.

use std::time::Duration;

use connector_host::{Connectors, login::Loopback};
use connector_sdk::{Error, Result};
use serde_json::json;
use url::Url;

use crate::{
    args::LoginArgs,
    connection::Connection,
    output::{self, Exit, Output},
    stop,
};

/// A person finds the password and the second factor in this time, or begins again.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Shows the address, waits for the person, and keeps the refresh token where runs look for it.
pub(crate) async fn login(connectors: &Connectors, args: &LoginArgs, output: &Output) -> Result<Exit> {
    let redirect_uri = Url::parse(&args.redirect_uri).map_err(|_| {
        Error::config("sign in", "`--redirect-uri` is no URL such as http://127.0.0.1:8085/callback")
    })?;
    let connection = Connection::load(&args.file).await?;
    // Without a registry there is no place for the token: better to know before a person signs in.
    let registry = connection.registry().await?;
    let cx = connection.context(Some(&registry), None, stop::on_signals()?)?;
    let code = connection.sign_in(connectors, &cx).await?;
    let loopback = Loopback::bind(&redirect_uri).await?;
    let sign_in = code.begin(loopback.redirect_uri().clone());
    output::sign_in_at(output, sign_in.url().as_str());
    if args.open {
        open(sign_in.url());
    }
    let callback = loopback.wait(&cx, &sign_in, PATIENCE).await?;
    let token = sign_in.exchange(&cx, &callback).await?;
    let document = json!({
        "status": "succeeded",
        "tenant": cx.tenant(),
        "connection": cx.connection(),
        "scopes": token.extra().get("scope").map(|scopes| scopes.split(' ').collect::<Vec<_>>()),
        "expires_at": token.expires_at(),
    });
    output
        .result(&document, || format!("{} is signed in; its runs need nobody any more\n", cx.connection()))?;
    Ok(Exit::Done)
}

/// Asks the desktop to open it. Where there is none the address stands in the terminal all the same.
fn open(url: &Url) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let nothing = std::process::Stdio::null;
    let opening = std::process::Command::new(program)
        .arg(url.as_str())
        .stdin(nothing())
        .stdout(nothing())
        .stderr(nothing())
        .spawn();
    if let Err(error) = opening {
        tracing::warn!(%error, program, "no browser could be opened");
    }
}
