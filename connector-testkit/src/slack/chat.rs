//! Writing: chat.postMessage, .update and .delete (`spec_chat.*.json`).

use serde_json::{Map, Value, json};

use super::channel::{Channel, ChannelKind};
use super::gate::Call;
use super::log::TokenKind;
use super::reply::{Outcome, Refusal, ok};
use super::ts::Ts;
use super::workspace::{APP, BOT, Data, TEAM};

/// Characters of a message's text at most; beyond them the vendor cuts off or refuses, and this one refuses.
const MAX_TEXT: usize = 40_000;
/// Characters of `markdown_text`, and of the text of one block (B7).
const MAX_MARKDOWN: usize = 12_000;
const MAX_BLOCK_TEXT: usize = 3_000;
const MAX_ATTACHMENTS: usize = 100;

/// Whether the caller may write into this conversation now.
pub(super) fn writable(call: &Call<'_>, channel: &Channel) -> Result<(), Refusal> {
    if !call.is_in(channel) {
        let code = if channel.kind == ChannelKind::Public { "not_in_channel" } else { "channel_not_found" };
        return Err(Refusal::new(code));
    }
    if channel.archived { Err(Refusal::new("is_archived")) } else { Ok(()) }
}

/// Posts. There is no idempotency key: the same call twice is two messages.
pub(super) fn post(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let id = call.arguments.text("channel").ok_or_else(|| Refusal::new("channel_not_found"))?.to_owned();
    writable(call, data.channel(&id)?)?;
    let mut fields = content(call)?;
    if fields.get("text").is_none_or(|text| text == "")
        && !fields.contains_key("blocks")
        && !fields.contains_key("attachments")
    {
        return Err(Refusal::new("no_text"));
    }
    let thread = call.arguments.ts("thread_ts", "invalid_thread_ts")?;
    // What a reply to nothing answers is not recorded.
    if thread.is_some_and(|thread| data.channel(&id).is_ok_and(|channel| channel.top(thread).is_none())) {
        return Err(Refusal::new("thread_not_found"));
    }
    author(call, &data, &mut fields);
    if let Some(metadata) = call.arguments.json("metadata", "invalid_metadata_format")? {
        if !metadata["event_type"].is_string() || !metadata["event_payload"].is_object() {
            return Err(Refusal::new("invalid_metadata_format"));
        }
        fields.insert("metadata".to_owned(), metadata);
    }
    let ts = say(call, &mut data, &id, fields.clone(), thread)?;
    fields.insert("ts".to_owned(), json!(ts.to_string()));
    if let Some(thread) = thread {
        fields.insert("thread_ts".to_owned(), json!(thread.to_string()));
    }
    ok(json!({ "channel": id, "ts": ts.to_string(), "message": fields }))
}

/// Puts the caller's message into the conversation, at once or when it becomes visible, and notes it.
pub(super) fn say(
    call: &Call<'_>,
    data: &mut Data,
    id: &str,
    mut fields: Map<String, Value>,
    thread: Option<Ts>,
) -> Result<Ts, Refusal> {
    let delay = data.visibility_delay;
    let (channel, _) = data.channel_mut(id)?;
    let ts = channel.next_ts(call.now);
    fields.insert("ts".to_owned(), json!(ts.to_string()));
    if let Some(thread) = thread {
        fields.insert("thread_ts".to_owned(), json!(thread.to_string()));
    }
    let mut noted = fields.clone();
    noted.insert("channel".to_owned(), json!(id));
    if delay > 0 {
        data.hidden.push((call.now + delay, id.to_owned(), ts, fields, thread));
    } else {
        channel.insert(ts, fields, thread);
    }
    data.posts.push(Value::Object(noted));
    Ok(ts)
}

/// Who the message is from.
pub(super) fn author(call: &Call<'_>, data: &Data, fields: &mut Map<String, Value>) {
    fields.insert("type".to_owned(), json!("message"));
    fields.insert("user".to_owned(), json!(call.user(data)));
    fields.insert("team".to_owned(), json!(TEAM));
    if call.kind == TokenKind::Bot {
        fields.insert("bot_id".to_owned(), json!(BOT));
        fields.insert("app_id".to_owned(), json!(APP));
    }
    if let Some(name) = call.arguments.text("username") {
        fields.insert("username".to_owned(), json!(name));
        fields.insert("subtype".to_owned(), json!("bot_message"));
    }
}

/// Text, blocks and attachments, within their limits.
fn content(call: &Call<'_>) -> Result<Map<String, Value>, Refusal> {
    let mut fields = Map::new();
    let (text, most) = match call.arguments.text("markdown_text") {
        Some(text) => (Some(text), MAX_MARKDOWN),
        None => (call.arguments.text("text"), MAX_TEXT),
    };
    if text.is_some_and(|text| text.chars().count() > most) {
        return Err(Refusal::new("msg_too_long"));
    }
    fields.insert("text".to_owned(), json!(text.unwrap_or_default()));
    if let Some(blocks) = call.arguments.json("blocks", "invalid_blocks_format")? {
        let all = blocks.as_array().ok_or_else(|| Refusal::new("invalid_blocks_format"))?;
        let too_long = |block: &Value| {
            block["text"]["text"].as_str().is_some_and(|text| text.chars().count() > MAX_BLOCK_TEXT)
        };
        if all.iter().any(|block| !block["type"].is_string() || too_long(block)) {
            return Err(Refusal::said(
                "invalid_blocks",
                "no more than 3000 characters allowed [json-pointer:/blocks/0/text/text]",
            ));
        }
        fields.insert("blocks".to_owned(), blocks);
    }
    if let Some(attachments) = call.arguments.json("attachments", "invalid_attachments")? {
        if attachments.as_array().is_some_and(|all| all.len() > MAX_ATTACHMENTS) {
            return Err(Refusal::new("too_many_attachments"));
        }
        fields.insert("attachments".to_owned(), attachments);
    }
    Ok(fields)
}

/// The channel, the message that is meant, and whether the caller wrote it.
fn own(call: &Call<'_>, data: &Data) -> Result<(String, Ts, bool), Refusal> {
    let id = call.arguments.text("channel").ok_or_else(|| Refusal::new("channel_not_found"))?;
    let channel = data.channel(id)?;
    if !call.is_in(channel) {
        return Err(Refusal::new("channel_not_found"));
    }
    let missing = || Refusal::new("message_not_found");
    let ts = call.arguments.text("ts").and_then(Ts::parse).ok_or_else(missing)?;
    let (message, parent) = channel.find(ts).ok_or_else(missing)?;
    let fields = message.fields(&channel.drawn(data.cast(), parent));
    let own = match call.kind {
        TokenKind::Bot => {
            fields.get("bot_id") == Some(&json!(BOT)) && fields.get("app_id") == Some(&json!(APP))
        }
        _ => fields.get("user") == Some(&json!(call.user(data))),
    };
    Ok((id.to_owned(), ts, own))
}

/// Changes a message of one's own; again with the same text changes nothing.
pub(super) fn update(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let (id, ts, own) = own(call, &data)?;
    if !own {
        return Err(Refusal::new("cant_update_message"));
    }
    let new = content(call)?;
    if new["text"] == "" && new.len() == 1 {
        return Err(Refusal::new("no_text"));
    }
    let (user, now) = (call.user(&data), Ts::from_millis(call.now).to_string());
    let (channel, cast) = data.channel_mut(&id)?;
    let text = new["text"].clone();
    channel.change(cast, ts, |fields| {
        fields.extend(new.clone());
        fields.insert("edited".to_owned(), json!({ "user": user, "ts": now }));
    });
    let mut message = new;
    message.insert("user".to_owned(), json!(user));
    ok(json!({ "channel": id, "ts": ts.to_string(), "text": text, "message": message }))
}

/// Takes a message of one's own away.
pub(super) fn delete(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let (id, ts, own) = own(call, &data)?;
    if !own {
        return Err(Refusal::new("cant_delete_message"));
    }
    let (channel, cast) = data.channel_mut(&id)?;
    channel.remove(cast, ts);
    ok(json!({ "channel": id, "ts": ts.to_string() }))
}
