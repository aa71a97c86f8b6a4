//! What a test does to a running org besides writing rows: clock, sessions, quota, faults, the request log.

use std::time::Duration;

use crate::fault::Faults;

use super::grants::Credentials;
use super::log::{Counters, LoggedRequest};
use super::org::FakeOrg;

impl FakeOrg {
    /// What clients sign in with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.org.settings.sign_in.credentials
    }

    /// The script of what goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.org.faults
    }

    /// The requests so far, oldest first; the last 20,000 of them.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.org.log.requests()
    }

    /// Totals since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.org.log.counters()
    }

    /// The org's time, in milliseconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.org.clock.now()
    }

    /// Stops the org's clock at this time, in milliseconds since the epoch.
    pub fn set_clock(&self, millis: i64) {
        self.org.clock.set(millis);
    }

    /// Puts the org's clock forward.
    pub fn advance(&self, by: Duration) {
        self.org.clock.advance(by);
    }

    /// Sets the org's clock off by so many milliseconds more: in `Date`, and in what it stamps rows with.
    pub fn skew(&self, millis: i64) {
        self.org.clock.skew(millis);
    }

    /// From now on a write can be queried only this much later, though it carries the time of the write.
    pub fn set_visibility_delay(&self, delay: Duration) {
        self.org.data().visibility_delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    }

    /// Sets the API calls used today and the daily limit.
    pub fn set_usage(&self, used: u64, daily: u64) {
        self.org.set_usage(used, daily);
    }

    /// API calls used today, and the daily limit.
    #[must_use]
    pub fn usage(&self) -> (u64, u64) {
        self.org.usage()
    }

    /// An access token as a client would get it by signing in.
    #[must_use]
    pub fn issue_token(&self) -> String {
        self.org.grants().new_access()
    }

    /// A refresh token as a user's approval would give it.
    #[must_use]
    pub fn issue_refresh_token(&self) -> String {
        self.org.grants().new_refresh()
    }

    /// Ends all sessions; refresh tokens stay good.
    pub fn expire_tokens(&self) {
        self.org.grants().expire_all();
    }

    /// Gives the connected app another consumer secret, as an administrator does who rotates it: the old one
    /// opens nothing any more, and sessions go on.
    pub fn change_client_secret(&self, secret: impl Into<String>) {
        self.org.grants().client_secret = Some(secret.into());
    }

    /// Takes back all refresh tokens, as an administrator does who revokes the app.
    pub fn revoke_refresh_tokens(&self) {
        self.org.grants().revoke_refresh();
    }

    /// From now on a query that finds more rows than these is refused with this code, as one that takes too
    /// long (`QUERY_TIMEOUT`); none ends it. Counts are not.
    pub fn refuse_queries_above(&self, rows: Option<(usize, &'static str)>) {
        self.org.data().too_much.rows = rows;
    }

    /// From now on a query for more fields than these is refused as too complicated; none ends it.
    pub fn refuse_fields_above(&self, fields: Option<usize>) {
        self.org.data().too_much.fields = fields;
    }

    /// Drops all query cursors, as the vendor does after two days.
    pub fn drop_cursors(&self) {
        self.org.data().cursors.clear();
    }
}
