//! Tokens: who holds which, until when, and what they may do.

use std::collections::{HashMap, HashSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::random::Random;

use super::log::TokenKind;

/// A rotated token is good for this long, in seconds (B4).
pub(super) const LIFETIME: i64 = 43_200;

/// What an app signs in with: client, secret, and the refresh token of the installation's bot. All made up.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth {
    /// Id of the app's client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The bot's refresh token; single use, the workspace gives the next one with each refresh.
    pub refresh_token: String,
    /// The installing user's refresh token; rotates apart from the bot's.
    pub user_refresh_token: String,
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What an access token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// By the workspace's clock, in milliseconds; a long-lived token has none.
    pub(super) until: Option<i64>,
    pub(super) revoked: bool,
}

/// What an authorisation code is bound to.
#[derive(Debug, Clone)]
pub(super) struct Code {
    pub(super) redirect_uri: Option<String>,
    /// `BASE64URL(SHA256(verifier))` (RFC 7636, 4.2), where the client sent one.
    pub(super) challenge: Option<String>,
    pub(super) until: i64,
}

pub(super) struct Tokens {
    random: Random,
    access: HashMap<String, Token>,
    refresh: HashMap<String, TokenKind>,
    /// Refresh tokens that were used.
    pub(super) spent: HashSet<String>,
    /// Long-lived tokens that were exchanged for a pair.
    pub(super) exchanged: HashSet<String>,
    codes: HashMap<String, Code>,
    pub(super) scopes: Vec<String>,
    pub(super) client: (String, String),
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("access", &self.access.len()).finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new(seed: u64, scopes: Vec<String>) -> Self {
        Self {
            random: Random::new(seed ^ 0x70ce),
            access: HashMap::new(),
            refresh: HashMap::new(),
            spent: HashSet::new(),
            exchanged: HashSet::new(),
            codes: HashMap::new(),
            scopes,
            client: ("2141029472.691202649728".to_owned(), "fake-client-secret".to_owned()),
        }
    }

    fn draw(&mut self) -> String {
        let bytes: Vec<u8> = (0..4).flat_map(|_| self.random.next().to_le_bytes()).collect();
        URL_SAFE_NO_PAD.encode(bytes).replace('_', "x")
    }

    /// A token that lasts until it is taken back.
    pub(super) fn long_lived(&mut self, kind: TokenKind) -> String {
        let prefix = match kind {
            TokenKind::Bot => "xoxb-2141029472-",
            TokenKind::User => "xoxp-2141029472-",
            TokenKind::App | TokenKind::Unknown => "xapp-1-A0KRD7HC3-",
        };
        let token = format!("{prefix}{}", self.draw());
        self.access.insert(token.clone(), Token { kind, until: None, revoked: false });
        token
    }

    /// A token that ends, and the refresh token that replaces it (prefixes of B4).
    pub(super) fn pair(&mut self, kind: TokenKind, now: i64) -> (String, String) {
        let prefix = if kind == TokenKind::User { "xoxe.xoxp-1-" } else { "xoxe.xoxb-1-" };
        let token = format!("{prefix}{}", self.draw());
        self.access.insert(token.clone(), Token { kind, until: Some(now + LIFETIME * 1000), revoked: false });
        let refresh = self.refresh_token(kind);
        (token, refresh)
    }

    pub(super) fn refresh_token(&mut self, kind: TokenKind) -> String {
        let refresh = format!("xoxe-1-{}", self.draw());
        self.refresh.insert(refresh.clone(), kind);
        refresh
    }

    pub(super) fn find(&self, token: &str) -> Option<Token> {
        self.access.get(token).copied()
    }

    /// Whose refresh token this is; it is spent by the question.
    pub(super) fn spend(&mut self, refresh: &str) -> Option<TokenKind> {
        let kind = self.refresh.remove(refresh)?;
        self.spent.insert(refresh.to_owned());
        Some(kind)
    }

    pub(super) fn new_code(&mut self, code: Code) -> String {
        let text = format!("2141029472.{}", self.draw());
        self.codes.insert(text.clone(), code);
        text
    }

    /// What the code is bound to; it is good for one question, right or wrong.
    pub(super) fn use_code(&mut self, code: &str) -> Option<Code> {
        self.codes.remove(code)
    }

    /// A token that the workspace forgets.
    pub(super) fn forget(&mut self, token: &str) {
        self.access.remove(token);
    }

    /// All rotated tokens end now; long-lived ones do not know an end.
    pub(super) fn expire(&mut self, now: i64) {
        for token in self.access.values_mut() {
            token.until = token.until.map(|until| until.min(now));
        }
    }

    pub(super) fn revoke(&mut self) {
        self.access.values_mut().for_each(|token| token.revoked = true);
        self.refresh.clear();
    }
}
