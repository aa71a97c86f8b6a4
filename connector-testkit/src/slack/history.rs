//! What was said: conversations.history, newest first and without replies, and conversations.replies, oldest first.

use serde_json::Value;

use super::arguments::Arguments;
use super::channel::Channel;
use super::gate::Call;
use super::limits::SLOW_OBJECTS;
use super::message::{Message, View};
use super::page::{End, Place, limit};
use super::reply::{Answer, Outcome, Refusal};
use super::ts::Ts;
use super::workspace::Data;

/// The time between which messages are asked for.
#[derive(Debug, Clone, Copy)]
struct Window {
    oldest: Option<Ts>,
    latest: Option<Ts>,
    inclusive: bool,
}

impl Window {
    fn read(arguments: &Arguments) -> Result<Self, Refusal> {
        Ok(Self {
            // "0" is how the documentation writes the beginning.
            oldest: arguments.ts("oldest", "invalid_ts_oldest")?,
            latest: arguments.ts("latest", "invalid_ts_latest")?,
            inclusive: arguments.flag("inclusive"),
        })
    }

    /// The part of the list that lies inside; the ends only where they are asked for.
    fn within<'a>(&self, list: &'a [Message]) -> &'a [Message] {
        let start = self.oldest.map_or(0, |oldest| Channel::from(list, oldest, self.inclusive));
        let end = self.latest.map_or(list.len(), |latest| Channel::from(list, latest, !self.inclusive));
        &list[start..end.max(start)]
    }
}

/// How many objects a page may have. Those who are slowed get 15 whatever they ask for.
fn objects(call: &Call<'_>, data: &Data, default: usize, most: usize) -> Result<usize, Refusal> {
    let limit = limit(call.arguments, default, most)?;
    Ok(if data.limits.slows(call.method) { limit.min(SLOW_OBJECTS) } else { limit })
}

fn readable<'d>(call: &Call<'_>, data: &'d Data) -> Result<&'d Channel, Refusal> {
    let channel = call.channel(data, "history")?;
    if call.is_in(channel) { Ok(channel) } else { Err(Refusal::new("not_in_channel")) }
}

fn view(call: &Call<'_>, data: &Data) -> View {
    View { metadata: call.arguments.flag("include_all_metadata"), all_users: false, unknown: data.unknown }
}

/// A window is answered from its newer end, 100 messages without `limit`, 999 at most (B3). With `oldest` alone the
/// older channels.history answered from the older end ("you can page forward"); whether this method kept that is not
/// recorded: the test chooses ([`FakeWorkspace::forward_windows`](super::FakeWorkspace::forward_windows)).
pub(super) fn history(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let data = &mut *data;
    readable(call, data)?;
    let window = Window::read(call.arguments)?;
    let most = objects(call, data, 100, 999)?;
    let forward = data.forward && window.oldest.is_some() && window.latest.is_none();
    let prefix = if forward { "prev_ts" } else { "next_ts" };
    let place = data.pages.place(call.arguments, prefix)?;
    let size = data.pages.size(most, &place);
    let from = position(&place)?;
    let channel = readable(call, data)?;
    let inside = window.within(&channel.messages);
    let (page, next) = if forward {
        let start = from.map_or(0, |from| Channel::from(inside, from, true));
        let end = (start + size).min(inside.len());
        (&inside[start..end], inside.get(end))
    } else {
        let end = from.map_or(inside.len(), |from| Channel::from(inside, from, false));
        let start = end.saturating_sub(size);
        (&inside[start..end], start.checked_sub(1).map(|next| &inside[next]))
    };
    let mut body = Vec::with_capacity(256 + page.len() * 256);
    body.extend_from_slice(b"{\"ok\":true,\"messages\":[");
    for (index, message) in page.iter().rev().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        channel.write(data.cast(), message, None, view(call, data), &mut body);
    }
    body.push(b']');
    if let Some(latest) = call.arguments.text("latest").and_then(Ts::parse) {
        push(&mut body, "latest", &Value::String(latest.to_string()));
    }
    push(&mut body, "pin_count", &Value::from(channel.pins.len()));
    let next = next.map(|next| data.pages.cursor(prefix, &next.ts.0.to_string(), page.is_empty()));
    finish(data, body, next.as_deref())
}

/// The message that is named, and what was replied to it, 1,000 objects without `limit` (B3). The parent stands first
/// on the first page, whatever the window: that is how clients tell it, no recording does.
pub(super) fn replies(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let data = &mut *data;
    readable(call, data)?;
    let window = Window::read(call.arguments)?;
    let most = objects(call, data, 1000, 1000)?;
    let place = data.pages.place(call.arguments, "next_ts")?;
    let size = data.pages.size(most, &place);
    let from = position(&place)?;
    let channel = readable(call, data)?;
    let not_found = || Refusal::new("thread_not_found");
    let ts = call.arguments.text("ts").and_then(Ts::parse).ok_or_else(not_found)?;
    let (parent, above) = channel.find(ts).ok_or_else(not_found)?;
    let none = Vec::new();
    let all = channel.threads.get(&ts).filter(|_| above.is_none()).unwrap_or(&none);
    let inside = window.within(all);
    let start = from.map_or(0, |from| Channel::from(inside, from, true));
    let with_parent = from.is_none() && size > 0;
    let end = (start + size - usize::from(with_parent)).min(inside.len());
    let mut body = Vec::with_capacity(256 + (end - start + 1) * 256);
    body.extend_from_slice(b"{\"ok\":true,\"messages\":[");
    if with_parent {
        channel.write(data.cast(), parent, above, view(call, data), &mut body);
    }
    for (index, reply) in inside[start..end].iter().enumerate() {
        if index > 0 || with_parent {
            body.push(b',');
        }
        channel.write(data.cast(), reply, Some(ts), view(call, data), &mut body);
    }
    body.push(b']');
    let empty = start == end && !with_parent;
    let at = if empty && from.is_none() {
        // The parent is still to come.
        Some("first".to_owned())
    } else {
        inside.get(end).map(|next| next.ts.0.to_string())
    };
    let next = at.map(|at| data.pages.cursor("next_ts", &at, empty));
    finish(data, body, next.as_deref())
}

/// The message that a cursor names.
fn position(place: &Place) -> Result<Option<Ts>, Refusal> {
    match place.at.as_deref() {
        None | Some("first") => Ok(None),
        Some(at) => at.parse().map(|micros| Some(Ts(micros))).map_err(|_| Refusal::new("invalid_cursor")),
    }
}

fn finish(data: &Data, mut body: Vec<u8>, next: Option<&str>) -> Outcome {
    push(&mut body, "has_more", &Value::Bool(next.is_some()));
    if let Some(metadata) = data.pages.metadata(next, End::Missing) {
        push(&mut body, "response_metadata", &metadata);
    }
    body.push(b'}');
    Ok(Answer::Rendered(body))
}

fn push(body: &mut Vec<u8>, name: &str, value: &Value) {
    body.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
}
