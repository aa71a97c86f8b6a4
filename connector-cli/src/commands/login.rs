//! `connector login`: a person signs in with a browser, and the connection's runs need nobody any more.

use std::{io::Write as _, time::Duration};

use connector_host::{Connectors, login::Loopback};
use connector_sdk::{Error, Result};
use serde_json::json;
use tempfile::NamedTempFile;
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
    let page = args.open.then(|| open(sign_in.url())).flatten();
    let callback = loopback.wait(&cx, &sign_in, PATIENCE).await?;
    drop(page);
    let token = sign_in.exchange(&cx, &callback).await?;
    let signed_in_to = token.base_url().map(|url| url.origin().ascii_serialization());
    // Who that is, in the vendor's words.
    let identity = token.extra().get("id");
    let document = json!({
        "status": "succeeded",
        "tenant": cx.tenant(),
        "connection": cx.connection(),
        "signed_in_to": signed_in_to,
        "identity": identity,
        "scopes": token.extra().get("scope").map(|scopes| scopes.split(' ').collect::<Vec<_>>()),
        "expires_at": token.expires_at(),
    });
    output.result(&document, || {
        let place = signed_in_to.as_ref().map(|place| format!(" to {place}")).unwrap_or_default();
        let identity = identity.map(|identity| format!(" as {identity}")).unwrap_or_default();
        format!("{} is signed in{place}{identity}; its runs need nobody any more\n", cx.connection())
    })?;
    Ok(Exit::Done)
}

/// Asks the desktop to open it. Where there is none the address stands in the terminal all the same.
///
/// What a program is started with can be seen by all users of the machine, and who opens this address first is
/// signed in to the connection. So the browser is started with a file that only its user can read, and that
/// sends it on; it is there until the value is dropped.
fn open(url: &Url) -> Option<NamedTempFile> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = page(url).and_then(|page| {
        let nothing = std::process::Stdio::null;
        let mut opening = std::process::Command::new(program);
        opening.arg(page.path()).stdin(nothing()).stdout(nothing()).stderr(nothing()).spawn().map(|_| page)
    });
    match opened {
        Ok(page) => Some(page),
        Err(error) => {
            tracing::warn!(%error, program, "no browser could be opened");
            None
        }
    }
}

/// A page that sends its reader on. A temporary file has mode 0600.
fn page(url: &Url) -> std::io::Result<NamedTempFile> {
    // A URL holds no `<`, `>` or `"` as it is (WHATWG URL, percent-encoding); `&` and `'` are written out.
    let url = url.as_str().replace('&', "&amp;").replace('\'', "&#39;");
    let mut page = tempfile::Builder::new().prefix("connector-").suffix(".html").tempfile()?;
    writeln!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
         <title>connector</title><meta http-equiv=\"refresh\" content=\"0; url={url}\">\
         <p><a href=\"{url}\">Sign in</a></p></html>"
    )?;
    page.flush()?;
    Ok(page)
}
