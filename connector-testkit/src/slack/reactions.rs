//! Reactions and pins.

use serde_json::{Value, json};

use super::chat::writable;
use super::gate::Call;
use super::message::View;
use super::reply::{Outcome, Refusal, ok};
use super::talk::react;
use super::ts::Ts;

/// The `ts` of the message that is meant.
fn timestamp(call: &Call<'_>) -> Result<Ts, Refusal> {
    let text = call.arguments.text("timestamp").ok_or_else(|| Refusal::new("no_item_specified"))?;
    Ts::parse(text).ok_or_else(|| Refusal::new("bad_timestamp"))
}

/// reactions.get of a message, or of a file, which has none here; `full` shows all users
/// (`spec_reactions.get.json` is that of a file).
pub(super) fn get(call: &Call<'_>) -> Outcome {
    let data = call.workspace.data();
    if let Some(id) = call.arguments.text("file") {
        let file =
            data.files.iter().find(|file| file["id"] == *id).ok_or_else(|| Refusal::new("file_not_found"))?;
        return ok(json!({ "type": "file", "file": file }));
    }
    let ts = timestamp(call)?;
    let channel = data.channel(call.arguments.text("channel").unwrap_or_default())?;
    if !call.is_in(channel) {
        return Err(Refusal::new("not_in_channel"));
    }
    let (message, thread) = channel.find(ts).ok_or_else(|| Refusal::new("message_not_found"))?;
    let view = View { all_users: call.arguments.flag("full"), unknown: data.unknown, ..View::default() };
    let shown = channel.value(data.cast(), message, thread, view);
    ok(json!({ "type": "message", "channel": channel.id, "message": shown }))
}

/// reactions.list: what one user reacted to, in the channels that the caller is in.
pub(super) fn list(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let data = &mut *data;
    let user = call.arguments.text("user").map_or_else(|| call.user(data), str::to_owned);
    let view = View { all_users: true, ..View::default() };
    let mut items: Vec<(String, Value)> = Vec::new();
    for channel in data.channels.iter().filter(|channel| call.is_in(channel)) {
        for message in &channel.messages {
            let value = channel.value(data.cast(), message, None, view);
            let reacted = value["reactions"].as_array().into_iter().flatten().any(|reaction| {
                reaction["users"].as_array().is_some_and(|users| users.iter().any(|known| *known == user))
            });
            if reacted {
                let id = format!("{}-{}", channel.id, message.ts);
                items.push((id, json!({ "type": "message", "channel": channel.id, "message": value })));
            }
        }
    }
    let page = data.pages.slice(&items, |(id, _)| id, (call.arguments, "item"), (100, 1000));
    let (items, metadata) = page?;
    let items: Vec<&Value> = items.iter().map(|(_, item)| item).collect();
    ok(json!({ "items": items, "response_metadata": metadata }))
}

/// reactions.add; again it is `already_reacted`.
pub(super) fn add(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let name = call.arguments.text("name").ok_or_else(|| Refusal::new("invalid_name"))?;
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-+:'".contains(&byte);
    if !name.bytes().all(known) {
        return Err(Refusal::new("invalid_name"));
    }
    let ts = timestamp(call)?;
    let user = call.user(&data);
    let (channel, cast) = data.channel_mut(call.arguments.text("channel").unwrap_or_default())?;
    writable(call, channel)?;
    let mut new = false;
    if !channel.change(cast, ts, |fields| new = react(fields, name, &user)) {
        return Err(Refusal::new("message_not_found"));
    }
    if new { ok(json!({})) } else { Err(Refusal::new("already_reacted")) }
}

/// pins.list: one answer, no pages. No example is among the fixtures; the documented fields.
pub(super) fn pins(call: &Call<'_>) -> Outcome {
    let data = call.workspace.data();
    let channel = data.channel(call.arguments.text("channel").unwrap_or_default())?;
    if !call.is_in(channel) {
        return Err(Refusal::new("not_in_channel"));
    }
    let items: Vec<Value> = channel
        .pins
        .iter()
        .filter_map(|(ts, created, by)| {
            let (message, thread) = channel.find(*ts)?;
            let view = View { unknown: data.unknown, ..View::default() };
            let mut message = channel.value(data.cast(), message, thread, view);
            message["pinned_to"] = json!([channel.id]);
            message["permalink"] = json!(format!("https://acme.slack.com/archives/{}/p{}", channel.id, ts.0));
            Some(json!({
                "type": "message", "channel": channel.id, "created": created, "created_by": by, "message": message,
            }))
        })
        .collect();
    ok(json!({ "items": items }))
}
