//! The methods that are answered: whose token they take, which scopes they need, how often they may be called.

use super::log::TokenKind;

/// How often a method may be called in a minute, for one app in one workspace (B2; `java_rate_limit_tiers.json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    One,
    Two,
    Three,
    Four,
    /// Its own rule: auth.test without a number here, chat.postMessage one a second in each channel.
    Special,
}

impl Tier {
    /// Calls a minute: the documented floor.
    pub(super) fn a_minute(self) -> Option<usize> {
        match self {
            Self::One => Some(1),
            Self::Two => Some(20),
            Self::Three => Some(50),
            Self::Four => Some(100),
            Self::Special => None,
        }
    }
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Client and secret in the arguments.
    Client,
    /// An app token.
    App,
    /// A bot or a user.
    Member,
}

impl Who {
    pub(super) fn takes(self, kind: TokenKind) -> bool {
        match self {
            Self::Client => true,
            Self::App => kind == TokenKind::App,
            Self::Member => matches!(kind, TokenKind::Bot | TokenKind::User),
        }
    }
}

/// One method.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) tier: Tier,
    pub(super) who: Who,
    /// Any one of these opens it; which of them the data need is decided where the data are.
    pub(super) scopes: &'static [&'static str],
    /// An org token has to name the workspace with `team_id` (B3).
    pub(super) needs_team: bool,
}

const READ: &[&str] = &["channels:read", "groups:read", "im:read", "mpim:read"];
const HISTORY: &[&str] = &["channels:history", "groups:history", "im:history", "mpim:history"];

const fn member(name: &'static str, tier: Tier, scopes: &'static [&'static str]) -> Method {
    Method { name, tier, who: Who::Member, scopes, needs_team: false }
}

const fn of_team(name: &'static str, tier: Tier, scopes: &'static [&'static str]) -> Method {
    Method { name, tier, who: Who::Member, scopes, needs_team: true }
}

const fn of_client(name: &'static str, tier: Tier) -> Method {
    Method { name, tier, who: Who::Client, scopes: &[], needs_team: false }
}

/// All of them. Tiers: the fixture's table; where B2 notes a conflict (apps.connections.open) the fixture's word.
pub(super) const METHODS: &[Method] = &[
    Method {
        name: "apps.connections.open",
        tier: Tier::One,
        who: Who::App,
        scopes: &["connections:write"],
        needs_team: false,
    },
    member("auth.test", Tier::Special, &[]),
    of_client("oauth.v2.access", Tier::Four),
    of_client("oauth.v2.exchange", Tier::Three),
    of_team("conversations.list", Tier::Two, READ),
    member("conversations.history", Tier::Three, HISTORY),
    member("conversations.replies", Tier::Three, HISTORY),
    member("conversations.members", Tier::Four, READ),
    member("conversations.info", Tier::Three, READ),
    member("conversations.join", Tier::Three, &["channels:join", "channels:write"]),
    of_team("users.list", Tier::Two, &["users:read"]),
    member("users.info", Tier::Four, &["users:read"]),
    member("users.lookupByEmail", Tier::Three, &["users:read.email"]),
    of_team("usergroups.list", Tier::Two, &["usergroups:read"]),
    of_team("files.list", Tier::Three, &["files:read"]),
    member("files.info", Tier::Four, &["files:read"]),
    member("files.getUploadURLExternal", Tier::Four, &["files:write"]),
    member("files.completeUploadExternal", Tier::Four, &["files:write"]),
    member("reactions.get", Tier::Three, &["reactions:read"]),
    of_team("reactions.list", Tier::Two, &["reactions:read"]),
    member("reactions.add", Tier::Three, &["reactions:write"]),
    member("pins.list", Tier::Two, &["pins:read"]),
    member("chat.postMessage", Tier::Special, &["chat:write"]),
    member("chat.update", Tier::Three, &["chat:write"]),
    member("chat.delete", Tier::Three, &["chat:write"]),
    member("team.info", Tier::Three, &["team:read"]),
];

/// The method of this name.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// All scopes that any method asks for, and `users:read.email`.
pub(super) fn all_scopes() -> Vec<String> {
    let mut all: Vec<String> =
        METHODS.iter().flat_map(|method| method.scopes).map(|scope| (*scope).to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

/// Name of each method that is answered, and how often its tier lets it be called in a minute; none where the method has
/// a rule of its own.
pub fn tiers() -> impl Iterator<Item = (&'static str, Option<usize>)> {
    METHODS.iter().map(|method| (method.name, method.tier.a_minute()))
}
