//! What every call passes before its method is asked: the token, its scopes, the budget.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::channel::{Channel, ChannelKind};
use super::log::TokenKind;
use super::methods::{Method, Who};
use super::reply::Refusal;
use super::workspace::{BOT_USER, Data, TEAM, Workspace};

/// Who calls, with which arguments.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) method: &'static Method,
    pub(super) arguments: &'a Arguments,
    pub(super) kind: TokenKind,
    pub(super) token: Option<&'a str>,
    pub(super) scopes: Vec<String>,
    /// By the workspace's clock, in milliseconds.
    pub(super) now: i64,
}

/// The token of the header, or the argument that older clients send.
pub(super) fn token<'a>(headers: &'a HeaderMap, arguments: &'a Arguments) -> Option<&'a str> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim).or_else(|| arguments.text("token"))
}

/// Whose token it is; unknown where the workspace did not give it out.
pub(super) fn kind(workspace: &Workspace, token: Option<&str>) -> TokenKind {
    token.and_then(|token| workspace.tokens().find(token)).map_or(TokenKind::Unknown, |token| token.kind)
}

impl Call<'_> {
    /// Checks the token, the kind it has, and that one of the method's scopes was granted (codes of B1).
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        if self.method.who == Who::Client {
            return Ok(());
        }
        let token = self.token.ok_or_else(|| Refusal::new("not_authed"))?;
        let known = self.workspace.tokens().find(token).ok_or_else(|| Refusal::new("invalid_auth"))?;
        if known.revoked {
            return Err(Refusal::new("token_revoked"));
        }
        if known.until.is_some_and(|until| until <= self.now) {
            return Err(Refusal::new("token_expired"));
        }
        if !self.method.who.takes(known.kind) {
            return Err(Refusal::new("not_allowed_token_type"));
        }
        if self.method.scopes.is_empty() || self.method.scopes.iter().any(|scope| self.has(scope)) {
            return Ok(());
        }
        Err(self.missing(&self.method.scopes[..1]))
    }

    pub(super) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }

    /// `missing_scope`, with what would be needed and what was granted.
    pub(super) fn missing(&self, needed: &[&str]) -> Refusal {
        let more =
            vec![("needed", json!(needed.join(","))), ("provided", Value::String(self.scopes.join(",")))];
        Refusal { more, ..Refusal::new("missing_scope") }
    }

    /// An organisation's token has to say which workspace it means (B3).
    pub(super) fn team(&self, data: &Data) -> Result<(), Refusal> {
        if !data.grid || !self.method.needs_team {
            return Ok(());
        }
        match self.arguments.text("team_id") {
            None => Err(Refusal::missing("team_id")),
            Some(TEAM) => Ok(()),
            Some(_) => Err(Refusal::new("team_not_found")),
        }
    }

    /// Needs `{channels,groups,im,mpim}:{what}` for this kind of conversation.
    pub(super) fn needs(&self, kind: ChannelKind, what: &str) -> Result<(), Refusal> {
        let scope = format!("{}:{what}", kind.scope());
        if self.has(&scope) { Ok(()) } else { Err(self.missing(&[&scope])) }
    }

    /// The conversation that `channel` names, as far as the caller may know of it.
    pub(super) fn channel<'d>(&self, data: &'d Data, what: &str) -> Result<&'d Channel, Refusal> {
        let channel =
            data.channel(self.arguments.text("channel").ok_or_else(|| Refusal::new("channel_not_found"))?)?;
        if channel.kind != ChannelKind::Public && !self.is_in(channel) {
            return Err(Refusal::new("channel_not_found"));
        }
        self.needs(channel.kind, what)?;
        Ok(channel)
    }

    /// Whether the caller is in it. The user who installed the app is in all channels that the bot is in.
    pub(super) fn is_in(&self, channel: &Channel) -> bool {
        channel.bot_is_member
    }

    /// Who the caller is, by id.
    pub(super) fn user(&self, data: &Data) -> String {
        if self.kind == TokenKind::User {
            data.ids.first().cloned().unwrap_or_default()
        } else {
            BOT_USER.to_owned()
        }
    }
}
