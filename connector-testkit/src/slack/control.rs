//! What a test may ask of the workspace and change in it, beside the API.

use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;

use crate::fault::Faults;

use super::channel::ChannelKind;
use super::log::{LoggedRequest, TokenKind};
use super::tokens::OAuth;
use super::workspace::{BOT_USER, FakeWorkspace, Refused, TEAM};

impl FakeWorkspace {
    /// Where it is reached: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.workspace.url
    }

    /// What stands in the place of `https://slack.com/api`: [`FakeWorkspace::url`] with `/api`, no slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}/api", self.workspace.url)
    }

    /// The bot's long-lived token, `xoxb-…`.
    #[must_use]
    pub fn bot_token(&self) -> &str {
        &self.workspace.installed[0]
    }

    /// The long-lived token of the user who installed the app, `xoxp-…`.
    #[must_use]
    pub fn user_token(&self) -> &str {
        &self.workspace.installed[1]
    }

    /// The app's token for Socket Mode, `xapp-…`.
    #[must_use]
    pub fn app_token(&self) -> &str {
        &self.workspace.installed[2]
    }

    /// Client, secret and the refresh tokens that the installation began with.
    #[must_use]
    pub fn oauth(&self) -> OAuth {
        let (client_id, client_secret) = self.workspace.tokens().client.clone();
        let [_, _, _, refresh_token, user_refresh_token] = self.workspace.installed.clone();
        OAuth { client_id, client_secret, refresh_token, user_refresh_token }
    }

    /// A bot token that ends, and its refresh token, as a sign-in would give them.
    #[must_use]
    pub fn issue_pair(&self) -> (String, String) {
        let now = self.workspace.now();
        self.workspace.tokens().pair(TokenKind::Bot, now)
    }

    /// Id of the workspace: the `team_id` that organisations' tokens name.
    #[must_use]
    pub fn team_id(&self) -> &'static str {
        TEAM
    }

    /// The bot's own user.
    #[must_use]
    pub fn bot_user(&self) -> &'static str {
        BOT_USER
    }

    /// The script of what goes wrong. Its matchers see all arguments where others see the query string.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.workspace.faults
    }

    /// The requests so far, oldest first; the last 50,000 of them.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.workspace.log.requests()
    }

    /// The requests so far for one method, oldest first.
    #[must_use]
    pub fn requests_to(&self, api: &str) -> Vec<LoggedRequest> {
        self.requests().into_iter().filter(|request| request.api == api).collect()
    }

    /// The workspace's time, in milliseconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.workspace.now()
    }

    /// Puts the workspace's clock forward by itself.
    pub fn advance(&self, by: Duration) {
        self.skew(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Sets the workspace's clock off by so many milliseconds more: a vendor's clock is not the client's.
    pub fn skew(&self, millis: i64) {
        let mut skew = self.workspace.skew.lock().unwrap_or_else(PoisonError::into_inner);
        *skew = skew.saturating_add(millis);
    }

    /// Ids of the conversations of one kind, ordered.
    #[must_use]
    pub fn channels(&self, kind: ChannelKind) -> Vec<String> {
        let data = self.workspace.data();
        data.channels
            .iter()
            .filter(|channel| channel.kind == kind)
            .map(|channel| channel.id.clone())
            .collect()
    }

    /// Puts the bot into a channel, or takes it out. An id that is unknown changes nothing.
    pub fn join(&self, channel: &str, member: bool) {
        if let Ok((channel, _)) = self.workspace.data().channel_mut(channel) {
            channel.set_member(BOT_USER, member);
        }
    }

    /// Archives a channel, or takes it back. An archived one can be read and not be written to.
    pub fn archive(&self, channel: &str, archived: bool) {
        if let Ok((channel, _)) = self.workspace.data().channel_mut(channel) {
            channel.archived = archived;
        }
    }

    /// Takes back all tokens, access and refresh: the app was removed.
    pub fn revoke_tokens(&self) {
        self.workspace.tokens().revoke();
    }

    /// Ends all rotated access tokens; refresh tokens stay good, and long-lived ones know no end.
    pub fn expire_tokens(&self) {
        let now = self.workspace.now();
        self.workspace.tokens().expire(now);
    }

    /// From now on these scopes are granted, and no others.
    pub fn scopes(&self, scopes: &[&str]) {
        self.workspace.tokens().scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    }

    /// The scopes that are granted.
    #[must_use]
    pub fn granted(&self) -> Vec<String> {
        self.workspace.tokens().scopes.clone()
    }

    /// The app is one of those that the change of 29 May 2025 is about: one request a minute and 15 objects on
    /// conversations.history and conversations.replies.
    pub fn slow_cohort(&self, slow: bool) {
        self.workspace.data().limits.slow = slow;
    }

    /// The tiers are enforced, by the workspace's clock, at their documented floors.
    pub fn tiers(&self, enforced: bool) {
        self.workspace.data().limits.tiers = enforced;
    }

    /// How many calls were refused with a 429, scripted faults not counted.
    #[must_use]
    pub fn limited(&self) -> u64 {
        self.workspace.data().limits.refused
    }

    /// The tokens are an organisation's: `team_id` is demanded where the vendor demands it.
    pub fn grid(&self, grid: bool) {
        self.workspace.data().grid = grid;
    }

    /// Short and empty pages that lead on, and a last one whose `next_cursor` is `null`.
    pub fn thin_pages(&self, thin: bool) {
        self.workspace.data().pages.thin = thin;
    }

    /// A window of history with `oldest` and without `latest` is answered from its older end, as channels.history
    /// did. Whether conversations.history does is not recorded; off at first.
    pub fn forward_windows(&self, forward: bool) {
        self.workspace.data().forward = forward;
    }

    /// Whether parents carry `latest_reply`, which no recorded answer shows; on at first.
    pub fn latest_reply(&self, shown: bool) {
        self.workspace.data().latest_reply = shown;
    }

    /// Messages carry fields, subtypes and values that nobody knows.
    pub fn unknown(&self, unknown: bool) {
        self.workspace.data().unknown = unknown;
    }

    /// The next call of this method is answered `ok: false` with this code, before it does anything. Codes queue.
    pub fn refuse(&self, method: &str, code: &str) {
        self.order(method, Some(Refused { code: code.to_owned(), after: false }));
    }

    /// The next call of this method does its work and is answered `ok: false` with this code all the same, as
    /// `fatal_error` and `internal_error` may be (B1). Codes queue.
    pub fn refuse_after(&self, method: &str, code: &str) {
        self.order(method, Some(Refused { code: code.to_owned(), after: true }));
    }

    /// The next calls of this method, so many, are answered as usual before a code that is queued after this.
    pub fn let_pass(&self, method: &str, calls: usize) {
        (0..calls).for_each(|_| self.order(method, None));
    }

    fn order(&self, method: &str, refused: Option<Refused>) {
        self.workspace.data().refusals.entry(method.to_owned()).or_default().push_back(refused);
    }

    /// All cursors that were given out have expired: `invalid_cursor`.
    pub fn expire_cursors(&self) {
        self.workspace.data().pages.generation += 1;
    }

    /// From now on messages that the API posts can be read only this much later, under the `ts` of their posting.
    pub fn set_visibility_delay(&self, delay: Duration) {
        self.workspace.data().visibility_delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    }

    /// From now on clients are sent there for uploads: a proxy stands in front of [`FakeWorkspace::address`].
    pub fn stands_behind(&self, url: impl Into<String>) {
        *self.workspace.front.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.into());
    }

    /// Where the server itself listens, for what stands in front of it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
