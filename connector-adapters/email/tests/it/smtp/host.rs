//! What the tests have in common: servers, a connector, and an answer.

use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use connector_sdk::{
    Clock, Connector, Context, Error, Factory, Network,
    contract::{ActionOutcome, ActionRequest},
    resilience::Resilience,
};
use connector_testkit::{
    clock::FastClock,
    mail::{Dovecot, Postfix, Script, ScriptedServer},
};
use serde_json::{Value, json, value::RawValue};

/// Who mails are from.
pub(super) const FROM: &str = "sender@example.test";
/// Whose mails are laid down in files.
pub(super) const FILED: &str = "all@maildir.test";

/// Runs a test under a deadline, on a runtime of its own.
#[allow(clippy::disallowed_methods, reason = "the deadline of a test is real time")]
pub(super) fn within<F: Future>(test: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let test = Box::pin(test);
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(100), test).await.expect("in time") })
}

/// A Postfix before a Dovecot; none where they are not installed.
pub(super) async fn servers() -> Option<(Dovecot, Postfix)> {
    let dovecot = Dovecot::builder().start().await.expect("starts")?;
    let postfix = Postfix::builder().start(&dovecot).await.expect("starts")?;
    Some((dovecot, postfix))
}

/// A configuration that reaches a server in the clear.
pub(super) fn config(address: SocketAddr) -> Value {
    json!({ "host": "127.0.0.1", "port": address.port(), "tls": "none", "from": FROM })
}

/// One that reaches it over TLS and signs in with a password.
pub(super) fn secure(address: SocketAddr, tls: &str) -> Value {
    json!({
        "host": "localhost", "port": address.port(), "tls": tls, "from": FROM,
        "auth": { "password": { "username": FROM, "password": "pass" } },
    })
}

/// Limits for the fast clock, by which a reply takes minutes.
pub(super) fn resilience() -> Resilience {
    let mut resilience = Resilience::default();
    resilience.base_delay = Duration::from_millis(1);
    resilience.connect_timeout = Duration::from_secs(600);
    resilience.attempt_timeout = Duration::from_secs(600);
    resilience.idle_timeout = Duration::from_secs(600);
    resilience.deadline = Duration::from_secs(1_200);
    resilience
}

pub(super) fn context_with(
    clock: Arc<dyn Clock>,
    resilience: Resilience,
    authority: Option<PathBuf>,
) -> Context {
    let mut network = Network::loopback();
    network.ca_file = authority;
    Context::builder("acme", "acme-mail").network(network).resilience(resilience).clock(clock).seed(7).build()
}

pub(super) fn context() -> Context {
    context_with(FastClock::shared(), resilience(), None)
}

pub(super) fn trusting(authority: PathBuf) -> Context {
    context_with(FastClock::shared(), resilience(), Some(authority))
}

pub(super) fn connect(config: &Value, cx: &Context) -> Result<Arc<dyn Connector>, Error> {
    connector_email::smtp().connect(&RawValue::from_string(config.to_string()).expect("json"), cx)
}

/// A mail to this recipient.
pub(super) fn mail(to: Value) -> Value {
    json!({ "to": to, "subject": "Hello", "text": "one line\n" })
}

pub(super) async fn send(
    connector: &Arc<dyn Connector>,
    cx: &Context,
    input: Value,
) -> Result<ActionOutcome, Error> {
    connector.act(cx, ActionRequest::new("send", input)).await
}

/// Sends one mail over a connection of its own.
pub(super) async fn send_once(config: &Value, cx: &Context, input: Value) -> Result<ActionOutcome, Error> {
    send(&connect(config, cx)?, cx, input).await
}

/// What became of each recipient, in one word.
pub(super) fn statuses(outcome: &ActionOutcome) -> Vec<String> {
    let recipients = outcome.output["recipients"].as_array().expect("recipients");
    recipients.iter().map(|recipient| recipient["status"].as_str().expect("a status").to_owned()).collect()
}

/// A server that follows this script.
pub(super) async fn scripted(script: Script) -> ScriptedServer {
    ScriptedServer::start([script]).await.expect("starts")
}

/// It greets, and offers this besides what it has to.
pub(super) fn greeting(extensions: &[&str]) -> Script {
    let script = Script::new().say("220 mx.test ESMTP").hear("EHLO").say("250-mx.test");
    extensions
        .iter()
        .fold(script, |script, extension| script.say(&format!("250-{extension}")))
        .say("250 HELP")
}

/// The headers and the body of a mail, split at the first empty line, whatever its line ends.
pub(super) fn parts(mail: &[u8]) -> (String, String) {
    let text = String::from_utf8(mail.to_vec()).expect("text").replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").expect("an empty line");
    (head.to_owned(), body.to_owned())
}
