//! Events: each in its wrapper, sent to a receiver by HTTP or to the sockets that are open (B5, B6;
//! `spec_event_wrapper_schema.json`).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::signature::sign;
use super::socket;
use super::workspace::{APP, BOT_USER, FakeWorkspace, TEAM, Workspace};
use crate::post;

/// A receiver has to answer within this time.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long the vendor waits before each attempt: one, and three retries, at once, after a minute, after five.
const WAITS: [u64; 4] = [0, 0, 60, 300];

/// What carried an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A POST to the receiver.
    Http,
    /// The connection of Socket Mode with this number, counted from 1.
    Socket(u64),
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Of the event; empty for what has none.
    pub event_id: String,
    /// By what it went.
    pub carrier: Carrier,
    /// 0, then the number of the retry.
    pub attempt: u32,
    /// When it was sent, by the workspace's clock, in milliseconds since the epoch.
    pub at: i64,
    /// Status that the receiver answered; none over a socket, and where no answer came.
    pub status: Option<u16>,
    /// The receiver has it: answered 2xx, or sent the envelope's id back.
    pub acknowledged: bool,
}

/// Where events go, and where they went.
#[derive(Debug)]
pub(super) struct Events {
    to: Option<String>,
    secret: String,
    next: u64,
    pub(super) log: Vec<Delivery>,
}

impl Default for Events {
    fn default() -> Self {
        // The vendor's own example.
        Self { to: None, secret: "8f742231b10e8888abcd99yyyzzz85a5".to_owned(), next: 0, log: Vec::new() }
    }
}

impl Workspace {
    /// Notes an attempt; answers its place in the log.
    pub(super) fn sent(&self, event_id: &str, carrier: Carrier, attempt: u32) -> usize {
        let at = self.now();
        let mut events = self.events();
        let delivery = Delivery {
            event_id: event_id.to_owned(),
            carrier,
            attempt,
            at,
            status: None,
            acknowledged: false,
        };
        events.log.push(delivery);
        events.log.len() - 1
    }

    /// Notes what came of it.
    pub(super) fn answered(&self, place: usize, status: Option<u16>, acknowledged: bool) {
        if let Some(delivery) = self.events().log.get_mut(place) {
            (delivery.status, delivery.acknowledged) = (status, acknowledged);
        }
    }

    /// The headers of a signed request.
    fn signed(&self, body: &[u8]) -> Vec<(&'static str, String)> {
        let seconds = self.now() / 1000;
        let signature = sign(&self.events().secret, seconds, body);
        vec![
            ("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("X-Slack-Request-Timestamp", seconds.to_string()),
            ("X-Slack-Signature", signature),
        ]
    }
}

impl FakeWorkspace {
    /// What requests to a receiver are signed with.
    #[must_use]
    pub fn signing_secret(&self) -> String {
        self.workspace.events().secret.clone()
    }

    /// Signs with another secret from now on, as after its rotation.
    pub fn change_signing_secret(&self, secret: impl Into<String>) {
        self.workspace.events().secret = secret.into();
    }

    /// The value of `X-Slack-Signature` for a body of a test's own, sent at `seconds` since the epoch.
    #[must_use]
    pub fn signature(&self, seconds: i64, body: &[u8]) -> String {
        sign(&self.signing_secret(), seconds, body)
    }

    /// From now on events are sent to this URL, and not over sockets. It is not verified before; see
    /// [`FakeWorkspace::verify`].
    pub fn events_to(&self, url: impl Into<String>) {
        self.workspace.events().to = Some(url.into());
    }

    /// Asks a receiver whether it is one: `url_verification`. True where it answers 200 and the challenge, as text or
    /// as JSON.
    pub async fn verify(&self, url: &str) -> bool {
        let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
        let body = json!({ "token": TOKEN, "challenge": challenge, "type": "url_verification" }).to_string();
        let headers = self.workspace.signed(body.as_bytes());
        let Some(answer) = post::send(url, &headers, body.as_bytes()).await else { return false };
        let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
        let said = serde_json::from_str::<Value>(&text).is_ok_and(|said| said["challenge"] == challenge);
        answer.status == 200 && (said || text == challenge)
    }

    /// Sends an event in its wrapper: by HTTP where [`FakeWorkspace::events_to`] said so, else over one of the sockets
    /// that are open, or the first that opens. Answers its `event_id`.
    pub fn push_event(&self, event: Value) -> String {
        let time = self.workspace.now() / 1000;
        let id = {
            let mut events = self.workspace.events();
            events.next += 1;
            format!("Ev0{:08}", events.next)
        };
        self.push_wrapper(json!({
            "token": TOKEN, "team_id": TEAM, "api_app_id": APP, "event": event, "type": "event_callback",
            "event_id": id, "event_time": time, "authed_users": [BOT_USER],
            // Cut to one (B3).
            "authorizations": [{
                "enterprise_id": null, "team_id": TEAM, "user_id": BOT_USER, "is_bot": true,
                "is_enterprise_install": false,
            }],
            "is_ext_shared_channel": false, "event_context": format!("4-{id}"),
        }));
        id
    }

    /// Tells that events were held back in the minute that begins at `minute` (seconds since the epoch). It has no
    /// inner event and no id (B5).
    pub fn push_rate_limited(&self, minute: i64) {
        self.push_wrapper(json!({
            "token": TOKEN, "type": "app_rate_limited", "team_id": TEAM, "minute_rate_limited": minute,
            "api_app_id": APP,
        }));
    }

    /// Sends a whole wrapper of a test's own: the same event again, another type, another shape.
    pub fn push_wrapper(&self, wrapper: Value) {
        let to = self.workspace.events().to.clone();
        let workspace = Arc::clone(&self.workspace);
        match to {
            Some(url) => self.spawn(by_http(workspace, url, wrapper)),
            None => self.spawn(socket::carry(workspace, "events_api", wrapper)),
        }
    }

    /// Sends an envelope of another kind over a socket: `interactive`, `slash_commands`, or one that nobody knows. It
    /// is not delivered again.
    pub fn push_envelope(&self, kind: &'static str, payload: Value) {
        self.spawn(socket::carry(Arc::clone(&self.workspace), kind, payload));
    }

    /// All attempts so far, in the order of their beginning.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.workspace.events().log.clone()
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

/// The old verification token: deprecated, still sent.
const TOKEN: &str = "XXYYZZ";

/// One event by HTTP until it is acknowledged, retried in vain, or the receiver says that it wants no retry.
async fn by_http(workspace: Arc<Workspace>, url: String, wrapper: Value) {
    let body = wrapper.to_string();
    let id = wrapper["event_id"].as_str().unwrap_or_default();
    let mut reason = None;
    for (attempt, wait) in (0..).zip(WAITS) {
        workspace.clock.sleep(Duration::from_secs(wait)).await;
        let mut headers = workspace.signed(body.as_bytes());
        if let Some(reason) = reason {
            headers.push(("X-Slack-Retry-Num", attempt.to_string()));
            headers.push(("X-Slack-Retry-Reason", String::from(reason)));
        }
        let place = workspace.sent(id, Carrier::Http, attempt);
        let answer = tokio::select! {
            answer = post::send(&url, &headers, body.as_bytes()) => Ok(answer),
            () = workspace.clock.sleep(PATIENCE) => Err("http_timeout"),
        };
        let (status, next) = match &answer {
            Ok(Some(answer)) if (200..300).contains(&answer.status) => (Some(answer.status), None),
            Ok(Some(answer)) => (Some(answer.status), Some("http_error")),
            Ok(None) => (None, Some("connection_failed")),
            Err(reason) => (None, Some(*reason)),
        };
        workspace.answered(place, status, next.is_none());
        if next.is_none()
            || matches!(&answer, Ok(Some(answer)) if answer.header("x-slack-no-retry") == Some("1"))
        {
            return;
        }
        reason = next;
    }
}
