//! What a connection is set up with. Typed, checked, no I/O.

use std::{fmt, time::Duration};

use connector_sdk::{Error, Network, Period, Result, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::hosts;

/// Records that a page is asked to have by default, as the vendor recommends (conversations.history, "limit").
const PAGE_SIZE: u32 = 200;
/// The most that conversations.history takes.
const LARGEST_PAGE: u32 = 999;
/// A year: a longer look-back is a mistake of unit.
const LONGEST_PERIOD: Period = Period::secs(365 * 86_400);

/// The `config:` of a `slack/web` connection.
///
/// ```
/// use connector_slack::SlackConfig;
/// let config: SlackConfig = serde_json::from_str(r#"{
///     "auth": { "bot_token": { "token": "xoxb-…" } },
///     "channel_types": ["public_channel", "private_channel"]
/// }"#).unwrap();
/// assert_eq!(config.page_size, 200);
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SlackConfig {
    /// Where the Web API is: `https://slack.com/api` (default).
    #[serde(default = "default_base_url")]
    pub base_url: String,
    /// How to sign in.
    pub auth: Auth,
    /// The workspace to read, `T…`, with a token of an Enterprise Grid organisation. A workspace's own token needs none.
    pub team_id: Option<String>,
    /// Which kinds of conversations are read. Default: `[public_channel]`. Each kind needs scopes of its own.
    #[serde(default = "default_channel_types")]
    pub channel_types: Vec<ChannelType>,
    /// Joins public channels that are to be read and of which we are no member (scope `channels:join`); everybody in
    /// them sees that. Default false: such channels are skipped, and named.
    #[serde(default)]
    pub join: bool,
    /// How old the beginning of a thread may be for new replies in it to be found by a later read. Default `7d`, at
    /// most `365d`. The first read takes all threads, with `since` those that began not longer before it.
    #[serde(default = "default_thread_lookback")]
    pub thread_lookback: Period,
    /// How far a later read of `messages` looks back for messages that were edited. Default `0s`: an edit is found
    /// only while the message is younger than `safety_lag`.
    #[serde(default = "default_lookback")]
    pub lookback: Period,
    /// How far behind the vendor's clock a read is taken for complete. What is newer is read as well, and looked at
    /// again. Default `60s`.
    #[serde(default = "default_safety_lag")]
    pub safety_lag: Period,
    /// Records that a page is asked to have, 1 to 999. Default 200, as the vendor recommends; it gives fewer as it likes.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 999))]
    pub page_size: u32,
}

/// How to sign in; exactly one of these.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Auth {
    /// As the app's bot, with its token, `xoxb-…`.
    BotToken(TokenAuth),
    /// As a user who installed the app, `xoxp-…`: reads what that user may read.
    UserToken(TokenAuth),
    /// As the app whose tokens rotate: each lives for 12 hours, and each refresh token is good once.
    Oauth(Oauth),
}

/// A token that does not end.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenAuth {
    /// The token.
    pub token: Secret,
}

/// OAuth 2.0 with token rotation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oauth {
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret; an app that signs in by PKCE alone has none.
    pub client_secret: Option<Secret>,
    /// The first refresh token, `xoxe-1-…`, of the bot or of a user: who it is of is who reads. Its successors are kept
    /// by the host, apart for each first token. Without it the one that `connector login` has kept is used, the bot's.
    pub refresh_token: Option<Secret>,
}

/// A kind of conversation, as conversations.list names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelType {
    /// Channels that everybody finds.
    PublicChannel,
    /// Channels by invitation.
    PrivateChannel,
    /// Direct messages between two.
    Im,
    /// Direct messages between several.
    Mpim,
}

impl ChannelType {
    /// As the vendor writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PublicChannel => "public_channel",
            Self::PrivateChannel => "private_channel",
            Self::Im => "im",
            Self::Mpim => "mpim",
        }
    }

    /// What its scopes begin with: `channels` of `channels:read`.
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Self::PublicChannel => "channels",
            Self::PrivateChannel => "groups",
            Self::Im => "im",
            Self::Mpim => "mpim",
        }
    }
}

fn default_base_url() -> String {
    hosts::BASE_URL.to_owned()
}
fn default_channel_types() -> Vec<ChannelType> {
    vec![ChannelType::PublicChannel]
}
fn default_thread_lookback() -> Period {
    Period::secs(7 * 86_400)
}
fn default_lookback() -> Period {
    Period::secs(0)
}
fn default_safety_lag() -> Period {
    Period::secs(60)
}
fn default_page_size() -> u32 {
    PAGE_SIZE
}

/// What reading needs of the configuration, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) base_url: Url,
    pub(crate) team_id: Option<String>,
    pub(crate) channel_types: Vec<ChannelType>,
    pub(crate) join: bool,
    pub(crate) thread_lookback: Duration,
    pub(crate) lookback: Duration,
    pub(crate) safety_lag: Duration,
    pub(crate) page_size: u32,
}

impl SlackConfig {
    /// Checks every field against what the vendor and the connection's network allow.
    pub(crate) fn check(&self, network: &Network) -> Result<Settings> {
        let base_url = hosts::base("base_url", &self.base_url, network)?;
        if let Some(team) = &self.team_id {
            let is_id = !team.is_empty() && team.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !is_id {
                return Err(wrong("team_id", "is no id of a workspace such as T012AB3CD"));
            }
        }
        if self.channel_types.is_empty() {
            return Err(wrong("channel_types", "is empty: name at least one kind, such as public_channel"));
        }
        let mut channel_types = self.channel_types.clone();
        channel_types.sort_unstable();
        channel_types.dedup();
        if !(1..=LARGEST_PAGE).contains(&self.page_size) {
            return Err(wrong("page_size", format!("is {}; it must be 1 to {LARGEST_PAGE}", self.page_size)));
        }
        for (field, period) in [
            ("thread_lookback", self.thread_lookback),
            ("lookback", self.lookback),
            ("safety_lag", self.safety_lag),
        ] {
            if period > LONGEST_PERIOD {
                return Err(wrong(field, "is longer than 365d"));
            }
        }
        self.auth.check()?;
        Ok(Settings {
            base_url,
            team_id: self.team_id.clone(),
            channel_types,
            join: self.join,
            thread_lookback: self.thread_lookback.0,
            lookback: self.lookback.0,
            safety_lag: self.safety_lag.0,
            page_size: self.page_size,
        })
    }
}

impl Auth {
    fn check(&self) -> Result<()> {
        let filled = |field: &'static str, text: &str| {
            if text.trim().is_empty() { Err(wrong(field, "is empty")) } else { Ok(()) }
        };
        match self {
            Self::BotToken(auth) => filled("auth.bot_token.token", auth.token.expose()),
            Self::UserToken(auth) => filled("auth.user_token.token", auth.token.expose()),
            Self::Oauth(auth) => {
                filled("auth.oauth.client_id", &auth.client_id)?;
                let token = auth.refresh_token.as_ref();
                token.map_or(Ok(()), |token| filled("auth.oauth.refresh_token", token.expose()))
            }
        }
    }
}

/// An error that names a field of the configuration.
pub(crate) fn wrong(field: &'static str, what: impl fmt::Display) -> Error {
    Error::config("connect", format!("`{field}` {what}")).with_context("field", field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: &str) -> Result<Settings> {
        let text = format!(r#"{{"auth": {{"bot_token": {{"token": "xoxb-1"}}}}{change}}}"#);
        serde_json::from_str::<SlackConfig>(&text).expect("parses").check(&Network::default())
    }

    #[test]
    fn a_token_is_all_that_is_needed() {
        let settings = check("").unwrap();
        assert_eq!(settings.base_url.as_str(), "https://slack.com/api");
        assert_eq!(settings.channel_types, [ChannelType::PublicChannel]);
        assert_eq!((settings.page_size, settings.join), (200, false));
        assert_eq!(settings.thread_lookback, Duration::from_secs(7 * 86_400));
        assert_eq!((settings.lookback, settings.safety_lag), (Duration::ZERO, Duration::from_secs(60)));
    }

    #[test]
    fn each_value_that_does_not_fit_is_named() {
        for (change, field) in [
            (r#","base_url":"https://evil.example/api""#, "base_url"),
            (r#","team_id":"T 1""#, "team_id"),
            (r#","team_id":"""#, "team_id"),
            (r#","channel_types":[]"#, "channel_types"),
            (r#","page_size":0"#, "page_size"),
            (r#","page_size":1000"#, "page_size"),
            (r#","thread_lookback":"366d""#, "thread_lookback"),
            (r#","lookback":"366d""#, "lookback"),
            (r#","safety_lag":"366d""#, "safety_lag"),
        ] {
            let error = check(change).unwrap_err();
            assert_eq!(error.class(), connector_sdk::Class::Config);
            assert!(error.message().contains(&format!("`{field}`")), "{change}: {error}");
        }
        let empty = |auth: &str| {
            let config = format!(r#"{{"auth": {auth}}}"#);
            serde_json::from_str::<SlackConfig>(&config).unwrap().check(&Network::default()).unwrap_err()
        };
        assert!(empty(r#"{"bot_token": {"token": " "}}"#).message().contains("auth.bot_token.token"));
        assert!(empty(r#"{"user_token": {"token": ""}}"#).message().contains("auth.user_token.token"));
        assert!(empty(r#"{"oauth": {"client_id": ""}}"#).message().contains("auth.oauth.client_id"));
        let token = r#"{"oauth": {"client_id": "1.2", "refresh_token": ""}}"#;
        assert!(empty(token).message().contains("auth.oauth.refresh_token"));
    }

    #[test]
    fn a_kind_that_is_named_twice_is_read_once_and_no_secret_is_shown() {
        let settings = check(r#","channel_types":["im","public_channel","im"]"#).unwrap();
        assert_eq!(settings.channel_types, [ChannelType::PublicChannel, ChannelType::Im]);
        let config: SlackConfig =
            serde_json::from_str(r#"{"auth": {"bot_token": {"token": "xoxb-canary"}}}"#).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
    }
}
