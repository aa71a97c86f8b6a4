//! What a connection is set up with. Typed, checked, no I/O.

use std::{net::SocketAddr, path::PathBuf};

use connector_ingress::{JournalConfig, ListenerConfig, scheme};
use connector_sdk::{ByteSize, Context, Result, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::{config::wrong, hosts};

/// Connections of one app at a time (docs.slack.dev, "Using Socket Mode").
const MOST_CONNECTIONS: u8 = 9;

/// The `config:` of a `slack/events` connection.
///
/// ```
/// use connector_slack::EventsConfig;
/// let config: EventsConfig = serde_json::from_str(r#"{
///     "mode": "http", "signing_secrets": ["8f74…"], "listen": "0.0.0.0:3000", "journal": { "path": "./journal" }
/// }"#).unwrap();
/// assert_eq!(config.connections, 1);
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EventsConfig {
    /// How events come.
    pub mode: Mode,
    /// Where the Web API is, for `socket`: `https://slack.com/api` (default).
    #[serde(default = "default_base_url")]
    pub base_url: String,
    /// The app-level token, `xapp-…`, with the scope `connections:write`. For `socket`.
    pub app_token: Option<Secret>,
    /// What Slack signs with: the app's signing secret, and while it is changed the old one too. For `http`.
    #[serde(default)]
    pub signing_secrets: Vec<Secret>,
    /// The address to listen at, such as `0.0.0.0:3000`; port 0: any that is free. For `http`. TLS is the affair of
    /// what stands in front.
    pub listen: Option<String>,
    /// The only path that is known, such as `/slack/events`; others are answered 404. Default: any path. For `http`.
    pub path: Option<String>,
    /// Where events are kept until they are in Bronze.
    pub journal: JournalConfig,
    /// Connections at once, 1 (default) to 9: the vendor allows ten, and one is for the next. An event comes over any one of them. For `socket`.
    #[serde(default = "default_connections")]
    #[schemars(range(min = 1, max = 10))]
    pub connections: u8,
    /// The largest event, in bytes. Default `1MiB`.
    #[serde(default = "default_max_body")]
    pub max_body: ByteSize,
}

/// How events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Over connections that we open, with the app-level token. Needs no address of our own. Not for apps of the
    /// Marketplace.
    Socket,
    /// By requests to us, which Slack signs.
    Http,
}

fn default_base_url() -> String {
    hosts::BASE_URL.to_owned()
}
fn default_connections() -> u8 {
    1
}
fn default_max_body() -> ByteSize {
    ByteSize::mib(1)
}

/// What is needed of the configuration, checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) way: Way,
    pub(super) journal: PathBuf,
    pub(super) max_size: u64,
    pub(super) max_event: usize,
}

/// The way in.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Http { config: ListenerConfig, path: Option<String>, scheme: scheme::Slack },
    Socket { base_url: Url, token: Secret, connections: u8 },
}

impl EventsConfig {
    /// Checks every field, and that those of the mode are there.
    pub(super) fn check(&self, cx: &Context) -> Result<Settings> {
        let way = match self.mode {
            Mode::Http => self.http()?,
            Mode::Socket => self.socket(cx)?,
        };
        if self.journal.path.as_os_str().is_empty() {
            return Err(wrong("journal.path", "is empty"));
        }
        if self.journal.max_size < ByteSize::mib(1) {
            return Err(wrong("journal.max_size", "is less than 1MiB"));
        }
        if self.max_body.0 == 0 || self.max_body.0 > self.journal.max_size.0 / 4 {
            return Err(wrong("max_body", "is 0, or more than a fourth of `journal.max_size`"));
        }
        Ok(Settings {
            way,
            journal: cx.folder().join(&self.journal.path),
            max_size: self.journal.max_size.0,
            max_event: self.max_body.as_usize(),
        })
    }

    fn http(&self) -> Result<Way> {
        let listen =
            self.listen.as_deref().ok_or_else(|| wrong("listen", "is missing: `mode: http` needs it"))?;
        let listen: SocketAddr = listen
            .trim()
            .parse()
            .map_err(|_| wrong("listen", "is no address such as 127.0.0.1:3000 or [::]:3000"))?;
        if self.path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            return Err(wrong("path", "does not begin with a slash"));
        }
        let scheme = scheme::Slack::new(&self.signing_secrets)
            .map_err(|error| wrong("signing_secrets", format!("do not fit: {}", error.message())))?;
        let config = ListenerConfig::new(listen);
        Ok(Way::Http { config, path: self.path.clone(), scheme })
    }

    fn socket(&self, cx: &Context) -> Result<Way> {
        let missing = || wrong("app_token", "is missing: `mode: socket` needs it");
        let token = self.app_token.clone().ok_or_else(missing)?;
        if token.expose().trim().is_empty() {
            return Err(wrong("app_token", "is empty"));
        }
        if !(1..=MOST_CONNECTIONS).contains(&self.connections) {
            return Err(wrong(
                "connections",
                format!(
                    "is {}; it must be 1 to 9: the vendor allows ten, and one is for the next",
                    self.connections
                ),
            ));
        }
        let base_url = hosts::base("base_url", &self.base_url, cx.network())?;
        Ok(Way::Socket { base_url, token, connections: self.connections })
    }
}

#[cfg(test)]
mod tests {
    use connector_sdk::Class;

    use super::*;

    fn check(text: &str) -> Result<Settings> {
        let cx = Context::builder("acme", "chat").folder("/etc/acme").build();
        serde_json::from_str::<EventsConfig>(text).expect("parses").check(&cx)
    }

    #[test]
    fn the_journal_lies_beside_the_template() {
        let settings =
            check(r#"{"mode": "socket", "app_token": "xapp-1", "journal": {"path": "./journal"}}"#).unwrap();
        assert_eq!(settings.journal, PathBuf::from("/etc/acme/./journal"));
        assert!(matches!(settings.way, Way::Socket { connections: 1, .. }));
    }

    #[test]
    fn each_value_that_does_not_fit_is_named_and_no_secret_is_shown() {
        let journal = r#""journal": {"path": "j"}"#;
        for (config, field) in [
            (r#"{"mode": "http", "signing_secrets": ["s"]"#, "listen"),
            (r#"{"mode": "http", "signing_secrets": ["s"], "listen": "localhost"#, "listen"),
            (r#"{"mode": "http", "signing_secrets": ["s"], "listen": ":3000"#, "listen"),
            (r#"{"mode": "http", "listen": "127.0.0.1:0""#, "signing_secrets"),
            (r#"{"mode": "http", "signing_secrets": ["s", ""], "listen": "127.0.0.1:0""#, "signing_secrets"),
            (r#"{"mode": "http", "signing_secrets": ["s"], "listen": "127.0.0.1:0", "path": "x""#, "path"),
            (r#"{"mode": "socket""#, "app_token"),
            (r#"{"mode": "socket", "app_token": " ""#, "app_token"),
            (r#"{"mode": "socket", "app_token": "x", "connections": 10"#, "connections"),
            (r#"{"mode": "socket", "app_token": "x", "connections": 0"#, "connections"),
            (r#"{"mode": "socket", "app_token": "x", "base_url": "https://evil.example/api""#, "base_url"),
            (r#"{"mode": "socket", "app_token": "x", "max_body": "2GiB""#, "max_body"),
        ] {
            let quote = if config.matches('"').count() % 2 == 1 { "\"" } else { "" };
            let error = check(&format!("{config}{quote}, {journal}}}")).unwrap_err();
            assert_eq!(error.class(), Class::Config);
            assert!(error.message().contains(&format!("`{field}`")), "{config}: {error}");
        }
        let small = r#"{"mode": "socket", "app_token": "x", "journal": {"path": "j", "max_size": 1000}}"#;
        assert!(check(small).unwrap_err().message().contains("`journal.max_size`"));
        let config = r#"{"mode": "http", "signing_secrets": ["canary-1"], "app_token": "canary-2",
            "listen": "127.0.0.1:0", "journal": {"path": "j"}}"#;
        let config: EventsConfig = serde_json::from_str(config).unwrap();
        let settings = config.check(&Context::builder("a", "b").build()).unwrap();
        assert!(!format!("{config:?} {settings:?}").contains("canary"));
    }
}
