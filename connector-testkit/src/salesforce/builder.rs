//! What an org can be told before it starts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::bulk::Bulk;
use super::clock::Source;
use super::grants::Credentials;
use super::org::{Data, FakeOrg};
use super::{objects, recorded};

/// How clients sign in.
#[derive(Debug, Clone, Default)]
pub struct SignIn {
    /// The credentials the org knows.
    pub credentials: Credentials,
    /// Give a new refresh token with every refresh and take the old one as theft when it comes back.
    pub rotate_refresh_tokens: bool,
    /// Requests an access token is good for; any number without.
    pub requests_per_token: Option<u32>,
    /// Answer `grant_type=password`, which the vendor tells everyone to leave.
    pub password_grant: bool,
    /// The public key (PEM) that assertions, JWT and SAML, are checked with; none refuses them all.
    pub jwt_public_key: Option<String>,
}

/// Quotas.
#[derive(Debug, Clone)]
pub struct Limits {
    /// API calls a day.
    pub daily: u64,
    /// Calls at the same time; any number without.
    pub concurrent: Option<usize>,
    /// Adds `per-app-api-usage` to the limits header: name of the app, used, limit.
    pub per_app: Option<(String, u64, u64)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { daily: 100_000, concurrent: None, per_app: None }
    }
}

/// How answers look on the wire.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wire {
    /// Compress answers for clients that accept it.
    pub gzip: bool,
    /// Pages of any size, empty ones in between.
    pub ragged_pages: bool,
}

/// How large `Wide__c` is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wide {
    pub(super) fields: usize,
    pub(super) rows: usize,
}

/// All of it, as the org keeps it.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) port: u16,
    pub(super) seed: u64,
    pub(super) contacts: usize,
    pub(super) deleted_contacts: usize,
    pub(super) accounts: usize,
    pub(super) wide: Wide,
    pub(super) newest_age: Duration,
    pub(super) clock: Source,
    pub(super) clock_offset: i64,
    pub(super) sign_in: SignIn,
    pub(super) limits: Limits,
    pub(super) wire: Wire,
    pub(super) bulk: Bulk,
    pub(super) recorded: Option<PathBuf>,
}

impl Settings {
    /// The org's data when its clock shows `now`.
    pub(super) fn data(&self, now: i64) -> io::Result<Data> {
        let age = i64::try_from(self.newest_age.as_secs()).unwrap_or_default() * 1000;
        let mut data = objects::all(self, now - age);
        if let Some(folder) = &self.recorded {
            recorded::load(&mut data, folder)?;
        }
        Ok(data)
    }
}

/// Makes a [`FakeOrg`]; see [`FakeOrg::builder`]. Without further words: 200 contacts, 50 accounts, seed 1,
/// the machine's clock, any free port.
#[derive(Debug, Clone)]
pub struct Builder(Settings);

impl Default for Builder {
    fn default() -> Self {
        Self(Settings {
            port: 0,
            seed: 1,
            contacts: 200,
            deleted_contacts: 0,
            accounts: 50,
            wide: Wide::default(),
            newest_age: Duration::from_secs(3600),
            clock: Source::Machine,
            clock_offset: 0,
            sign_in: SignIn::default(),
            limits: Limits::default(),
            wire: Wire::default(),
            bulk: Bulk::default(),
            recorded: None,
        })
    }
}

impl Builder {
    /// What all data and tokens are drawn from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Contacts that are alive.
    #[must_use]
    pub fn contacts(mut self, count: usize) -> Self {
        self.0.contacts = count;
        self
    }

    /// Contacts that are in the recycle bin, besides those alive.
    #[must_use]
    pub fn deleted_contacts(mut self, count: usize) -> Self {
        self.0.deleted_contacts = count;
        self
    }

    /// Accounts.
    #[must_use]
    pub fn accounts(mut self, count: usize) -> Self {
        self.0.accounts = count;
        self
    }

    /// An object `Wide__c` with so many custom fields (`Field_000__c` and on: text, number, true or false, text)
    /// and so many rows. From some 700 fields on their names do not fit into one address.
    #[must_use]
    pub fn wide(mut self, fields: usize, rows: usize) -> Self {
        self.0.wide = Wide { fields, rows };
        self
    }

    /// How long before the org's time the newest seeded row was changed; an hour without.
    #[must_use]
    pub fn newest_age(mut self, age: Duration) -> Self {
        self.0.newest_age = age;
        self
    }

    /// Reads the time from `clock` (milliseconds since the epoch) instead of the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.0.clock = Source::Other(Arc::new(clock));
        self
    }

    /// Sets the org's clock off by this many milliseconds: a vendor's clock is not the client's.
    #[must_use]
    pub fn clock_offset(mut self, millis: i64) -> Self {
        self.0.clock_offset = millis;
        self
    }

    /// Listens on this port of 127.0.0.1; 0 for any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.0.port = port;
        self
    }

    /// How clients sign in.
    #[must_use]
    pub fn sign_in(mut self, sign_in: SignIn) -> Self {
        self.0.sign_in = sign_in;
        self
    }

    /// Quotas.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = limits;
        self
    }

    /// How answers look on the wire.
    #[must_use]
    pub fn wire(mut self, wire: Wire) -> Self {
        self.0.wire = wire;
        self
    }

    /// How Bulk query jobs are answered at first; [`FakeOrg::change_bulk`] changes it later.
    #[must_use]
    pub fn bulk(mut self, bulk: Bulk) -> Self {
        self.0.bulk = bulk;
        self
    }

    /// Takes describes recorded from a real org out of this folder (`cumulusci_describe_*.json`).
    #[must_use]
    pub fn recorded(mut self, folder: impl Into<PathBuf>) -> Self {
        self.0.recorded = Some(folder.into());
        self
    }

    #[cfg(test)]
    pub(super) fn into_settings(self) -> Settings {
        self.0
    }

    /// Draws the data and starts to serve them.
    ///
    /// # Errors
    /// The port is taken, or a recorded describe cannot be read.
    pub async fn start(self) -> io::Result<FakeOrg> {
        FakeOrg::start(self.0).await
    }
}
