//! Posting a message, once.
//!
//! The vendor takes every post for a new one. With an idempotency key the message carries a mark of it in its `metadata`,
//! which only apps see. When nobody knows whether a post was done (its answer was lost, or the vendor said that it failed
//! in the middle), the channel is looked through for the mark:
//!
//! ```text
//! post ─ ok ──────────────────────────────▶ done
//!   └─ unknown ─ look ─ found ────────────▶ done, with its `ts`
//!                 └─ not there: wait, look again ─ not there ─▶ post once more ─ unknown ─ look ─ … ─▶ ambiguous
//! ```
//!
//! That the mark is not there is believed only after a while, because a post may still be on its way. An earlier
//! call may still be going on, here or in another process: what it posted is found, but until it must have ended nothing is
//! posted for it.
//! Without a key nothing is looked for, and the outcome is Ambiguous.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use connector_sdk::{Class, Context, Delivery, Error, Result, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::{
    Actor, Answered,
    input::{Send, Touched},
};
use crate::{
    api,
    method::{HISTORY, Method, POST, REPLIES},
    ts::Ts,
};

/// The type of our metadata: what other apps may see of it.
const EVENT_TYPE: &str = "connector_idempotency";
/// A post that is not there so long after its answer was lost was not done.
const SETTLES_AFTER: Duration = Duration::from_secs(10);
/// The vendor's clock may run behind its messages by this.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// How often a post is sent at most.
const POSTS: u32 = 2;
/// A call may last so many deadlines of a request: two posts, two looks after each, some pages.
const DEADLINES: u32 = 8;
/// How many pages are looked through at most: more has not come in since we posted.
const PAGES: u32 = 50;
/// How many keys are remembered.
const KEYS: usize = 10_000;

/// What became of posts with a key, in this process: the host remembers what was answered, and for longer.
#[derive(Debug, Default)]
pub(crate) struct Posts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    posts: HashMap<u128, Post>,
    order: VecDeque<u128>,
}

#[derive(Debug, Clone)]
enum Post {
    /// It stands there.
    Done(Touched),
    /// Nobody knows.
    Unknown(Since),
}

/// When a post was first sent.
#[derive(Debug, Clone, Copy)]
struct Since {
    /// A reading of the monotonic clock, and how long before it that was, which another process may have seen.
    read: Duration,
    before: Duration,
}

impl Since {
    fn now(cx: &Context) -> Self {
        Self { read: cx.clock().monotonic(), before: Duration::ZERO }
    }

    fn at(cx: &Context, instant: Timestamp) -> Self {
        let millis = cx.clock().now().as_millis().saturating_sub(instant.as_millis());
        let before = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        Self { read: cx.clock().monotonic(), before }
    }

    fn elapsed(self, cx: &Context) -> Duration {
        self.before + cx.clock().monotonic().saturating_sub(self.read)
    }
}

impl Posts {
    fn get(&self, mark: u128) -> Option<Post> {
        self.lock().posts.get(&mark).cloned()
    }

    fn put(&self, mark: u128, post: Post) {
        let mut known = self.lock();
        if known.posts.insert(mark, post).is_none() {
            known.order.push_back(mark);
        }
        if known.order.len() > KEYS
            && let Some(oldest) = known.order.pop_front()
        {
            known.posts.remove(&oldest);
        }
    }

    fn forget(&self, mark: u128) {
        let mut known = self.lock();
        known.posts.remove(&mark);
        known.order.retain(|other| *other != mark);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Seen>,
    #[serde(default)]
    has_more: Option<bool>,
    #[serde(default)]
    response_metadata: Option<NextPage>,
}

#[derive(Deserialize)]
struct NextPage {
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Seen {
    ts: String,
    #[serde(default)]
    metadata: Option<Value>,
}

impl Seen {
    fn has(&self, mark: &str) -> bool {
        let field = |name: &str| self.metadata.as_ref().and_then(|metadata| metadata.get(name));
        let key = field("event_payload").and_then(|payload| payload.get("key"));
        field("event_type").and_then(Value::as_str) == Some(EVENT_TYPE)
            && key.and_then(Value::as_str) == Some(mark)
    }
}

impl Page {
    fn next(&self) -> Option<&str> {
        let next = self.response_metadata.as_ref().and_then(|metadata| metadata.next_cursor.as_deref());
        next.filter(|next| !next.is_empty())
    }
}

/// Tells keys apart without showing them: two connections with one key mean two messages.
fn mark(cx: &Context, key: &str) -> u128 {
    xxh3_128(json!([cx.tenant().as_str(), cx.connection().as_str(), key]).to_string().as_bytes())
}

impl Actor {
    pub(super) async fn send(
        &self,
        cx: &Context,
        input: Send,
        key: Option<&str>,
        begun_at: Option<Timestamp>,
    ) -> Result<Touched> {
        if input.text.is_none() && input.blocks.is_none() {
            return Err(Error::config(POST.name, "a message needs a `text` or `blocks`"));
        }
        let mut body = serde_json::to_value(&input).map_err(|error| {
            Error::bug(POST.name, "the message cannot be written as JSON").with_source(error)
        })?;
        let Some(key) = key else { return self.post(cx, &input, &body).await };
        let mark = mark(cx, key);
        let name = format!("{mark:032x}");
        if let Some(body) = body.as_object_mut() {
            let metadata = json!({ "event_type": EVENT_TYPE, "event_payload": { "key": name } });
            body.insert("metadata".to_owned(), metadata);
        }
        let elsewhere = begun_at.map(|instant| Since::at(cx, instant));
        let mut unknown = match self.posts.get(mark) {
            Some(Post::Done(touched)) => return Ok(touched),
            Some(Post::Unknown(since)) => Some((since, ambiguous())),
            None => elsewhere.map(|since| (since, ambiguous())),
        };
        let mut posts = 0;
        loop {
            if let Some((since, error)) = unknown {
                if let Some(ts) = self.find(cx, &input, &name, since).await.map_err(|_| error.clone())? {
                    let touched = Touched { channel: input.channel, ts };
                    self.posts.put(mark, Post::Done(touched.clone()));
                    return Ok(touched);
                }
                if posts >= POSTS {
                    return Err(error);
                }
            }
            if let Some(since) = elsewhere.filter(|_| posts == 0) {
                let lasts = cx.resilience().deadline * DEADLINES;
                if let Some(left) = lasts.checked_sub(since.elapsed(cx)).filter(|left| !left.is_zero()) {
                    return Err(going_on(left));
                }
            }
            let since = unknown_since(&self.posts, mark).or(elsewhere).unwrap_or_else(|| Since::now(cx));
            // Before it is sent: who is dropped in the middle must not forget.
            self.posts.put(mark, Post::Unknown(since));
            posts += 1;
            match self.post(cx, &input, &body).await {
                Ok(touched) => {
                    self.posts.put(mark, Post::Done(touched.clone()));
                    return Ok(touched);
                }
                Err(error) if error.class() == Class::Ambiguous => unknown = Some((since, error)),
                // An earlier one may still come: that this one was refused says nothing of it.
                Err(error) if posts > 1 => return Err(ambiguous().with_source(error)),
                Err(error) if error.delivery() == Delivery::Unknown => return Err(error),
                Err(error) => {
                    self.posts.forget(mark);
                    return Err(error);
                }
            }
        }
    }

    async fn post(&self, cx: &Context, input: &Send, body: &Value) -> Result<Touched> {
        let response = self.api.post(cx, &POST, body).await?;
        let answer: Option<Answered> = serde_json::from_slice(&response.body).ok();
        match answer {
            Some(Answered { channel, ts: Some(ts) }) => {
                Ok(Touched { channel: channel.unwrap_or_else(|| input.channel.clone()), ts })
            }
            _ => Err(ambiguous()),
        }
    }

    /// The `ts` of the message with this mark, which was sent at `since` or later; none when it is surely not there.
    async fn find(&self, cx: &Context, input: &Send, mark: &str, since: Since) -> Result<Option<String>> {
        if let Some(ts) = self.look(cx, input, mark, since).await? {
            return Ok(Some(ts));
        }
        cx.clock().sleep(SETTLES_AFTER).await;
        self.look(cx, input, mark, since).await
    }

    async fn look(&self, cx: &Context, input: &Send, mark: &str, since: Since) -> Result<Option<String>> {
        let size = self.api.limits().page(200).to_string();
        let thread = input.thread_ts.as_deref();
        let method = if thread.is_some() { &REPLIES } else { &HISTORY };
        let mut arguments = vec![
            ("channel", input.channel.as_str()),
            ("limit", size.as_str()),
            ("include_all_metadata", "true"),
        ];
        arguments.extend(thread.map(|thread| ("ts", thread)));
        let mut cursor = None;
        let mut oldest = None;
        for _ in 0..PAGES {
            let mut arguments = arguments.clone();
            arguments.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let (page, now) = self.page(cx, method, &arguments).await?;
            if let Some(seen) = page.messages.iter().find(|seen| seen.has(mark)) {
                return Ok(Some(seen.ts.clone()));
            }
            // When we sent, by the vendor's clock: neither clock has to be right for that.
            let elapsed = since.elapsed(cx);
            let sent = *oldest.get_or_insert(Ts::from(now).saturating_sub(elapsed + CLOCK_TOLERANCE));
            // History comes newest first, a thread oldest first.
            let bottom = page.messages.iter().filter_map(|seen| seen.ts.parse::<Ts>().ok()).min();
            let is_past = thread.is_none() && bottom.is_some_and(|bottom| bottom < sent);
            match page.next() {
                _ if is_past => return Ok(None),
                Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
                None if page.has_more != Some(true) => return Ok(None),
                _ => break,
            }
        }
        Err(ambiguous())
    }

    async fn page(
        &self,
        cx: &Context,
        method: &Method,
        arguments: &[(&str, &str)],
    ) -> Result<(Page, Timestamp)> {
        let response = self.api.get(cx, method, arguments).await?;
        let now = response.date().unwrap_or(response.received_at);
        Ok((api::decode(&response, method.name)?, now))
    }
}

fn unknown_since(posts: &Posts, mark: u128) -> Option<Since> {
    match posts.get(mark) {
        Some(Post::Unknown(since)) => Some(since),
        _ => None,
    }
}

fn going_on(left: Duration) -> Error {
    let message =
        "an earlier call with this key may still be going on, and what it posts is not there yet: ask again";
    let error = Error::new(Class::Ambiguous, POST.name, message).with_delivery(Delivery::Unknown);
    error.with_context("ask_again_after_s", left.as_secs() + 1)
}

fn ambiguous() -> Error {
    let message = "it is unknown whether the message was posted: look before repeating it";
    Error::new(Class::Ambiguous, POST.name, message).with_delivery(Delivery::Unknown)
}
