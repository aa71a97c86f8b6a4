//! Who may come in: the credentials the org knows and the tokens it gave out.

use std::collections::{HashMap, HashSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::random::Random;

/// The organization's id.
pub(super) const ORGANIZATION: &str = "00D5e0000000001EAA";

/// What a client signs in with. The defaults are made up and open nothing but a fake org.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Consumer key of the connected app.
    pub client_id: String,
    /// Consumer secret of the connected app.
    pub client_secret: String,
    /// The integration user: runs client credentials, is the subject of a JWT, logs in by SOAP.
    pub username: String,
    /// That user's password.
    pub password: String,
    /// What is appended to the password where the client's address is not trusted.
    pub security_token: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            client_id: "3MVG9.fake.connected.app".to_owned(),
            client_secret: "fake-consumer-secret".to_owned(),
            username: "integration@acme.example".to_owned(),
            password: "fake-password".to_owned(),
            security_token: "fakeSecurityToken".to_owned(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The tokens of the org.
pub(super) struct Grants {
    random: Random,
    /// Requests each access token is still good for; none means any number.
    access: HashMap<String, Option<u32>>,
    refresh: HashSet<String>,
    /// Refresh tokens that were rotated away. Coming back with one gives the thief away.
    spent: HashSet<String>,
    /// Authorisation codes that were given and not used.
    codes: HashMap<String, Code>,
    rotate: bool,
    requests_per_token: Option<u32>,
    /// The consumer secret, where it was changed.
    pub(super) client_secret: Option<String>,
}

/// What an authorisation code is bound to.
pub(super) struct Code {
    pub(super) redirect_uri: String,
    /// `BASE64URL(SHA256(verifier))` (RFC 7636, 4.2).
    pub(super) challenge: String,
    /// The org's time at which it ends.
    pub(super) until: i64,
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("access", &self.access.len())
            .field("refresh", &self.refresh.len())
            .finish_non_exhaustive()
    }
}

impl Grants {
    pub(super) fn new(seed: u64, rotate: bool, requests_per_token: Option<u32>) -> Self {
        Self {
            random: Random::new(seed ^ 0x0a07),
            access: HashMap::new(),
            refresh: HashSet::new(),
            spent: HashSet::new(),
            codes: HashMap::new(),
            rotate,
            requests_per_token,
            client_secret: None,
        }
    }

    pub(super) fn new_access(&mut self) -> String {
        let token = format!("{}!AQ{}", &ORGANIZATION[..15], self.draw());
        self.access.insert(token.clone(), self.requests_per_token);
        token
    }

    pub(super) fn new_refresh(&mut self) -> String {
        let token = format!("5Aep861{}", self.draw());
        self.refresh.insert(token.clone());
        token
    }

    pub(super) fn new_code(&mut self, code: Code) -> String {
        let text = format!("aPrx{}==", self.draw());
        self.codes.insert(text.clone(), code);
        text
    }

    /// What the code is bound to; it is good for one question, right or wrong.
    pub(super) fn use_code(&mut self, code: &str) -> Option<Code> {
        self.codes.remove(code)
    }

    /// Whether a request with this access token may pass; counts it.
    pub(super) fn use_access(&mut self, token: &str) -> bool {
        match self.access.get_mut(token) {
            None => false,
            Some(None) => true,
            Some(Some(0)) => {
                self.access.remove(token);
                false
            }
            Some(Some(left)) => {
                *left -= 1;
                true
            }
        }
    }

    /// A new access token for a refresh token, and under rotation the refresh token that replaces it. An old
    /// refresh token revokes the current one and all access tokens (help article 005316711).
    pub(super) fn refresh(&mut self, token: &str) -> Option<(String, Option<String>)> {
        if self.spent.contains(token) {
            self.refresh.clear();
            self.access.clear();
            return None;
        }
        if !self.refresh.contains(token) {
            return None;
        }
        let next = self.rotate.then(|| {
            self.refresh.remove(token);
            self.spent.insert(token.to_owned());
            self.new_refresh()
        });
        Some((self.new_access(), next))
    }

    pub(super) fn expire(&mut self, token: &str) {
        self.access.remove(token);
    }

    pub(super) fn expire_all(&mut self) {
        self.access.clear();
    }

    pub(super) fn revoke_refresh(&mut self) {
        self.refresh.clear();
    }

    /// What stands in the `signature` of a token answer; nobody checks it here.
    pub(super) fn signature(&mut self) -> String {
        let bytes: Vec<u8> = (0..4).flat_map(|_| self.random.next().to_le_bytes()).collect();
        STANDARD.encode(bytes)
    }

    fn draw(&mut self) -> String {
        let bytes: Vec<u8> = (0..9).flat_map(|_| self.random.next().to_le_bytes()).collect();
        URL_SAFE_NO_PAD.encode(bytes).replace('-', ".")
    }
}
