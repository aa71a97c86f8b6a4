//! Conversations as such: which there are, who is in them, joining one.

use serde_json::{Value, json};

use super::channel::{Channel, ChannelKind};
use super::gate::Call;
use super::reply::{Outcome, Refusal, ok};
use super::workspace::{BOT_USER, TEAM};

/// conversations.list: public channels, all of them; of the others those that the caller is in. A scope is needed for
/// each kind that is asked for.
pub(super) fn list(call: &Call<'_>) -> Outcome {
    let kinds = kinds(call.arguments.text("types"))?;
    let lacking: Vec<String> =
        kinds.iter().map(|kind| format!("{}:read", kind.scope())).filter(|scope| !call.has(scope)).collect();
    if !lacking.is_empty() {
        return Err(call.missing(&lacking.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    let mut data = call.workspace.data();
    let data = &mut *data;
    let archived = !call.arguments.flag("exclude_archived");
    let visible: Vec<&Channel> = data
        .channels
        .iter()
        .filter(|channel| kinds.contains(&channel.kind))
        .filter(|channel| channel.kind == ChannelKind::Public || call.is_in(channel))
        .filter(|channel| archived || !channel.archived)
        .collect();
    let page = data.pages.slice(&visible, |channel| &channel.id, (call.arguments, "team"), (100, 1000));
    let (channels, metadata) = page?;
    let channels: Vec<Value> =
        channels.iter().map(|channel| channel.describe(TEAM, call.is_in(channel))).collect();
    ok(json!({ "channels": channels, "response_metadata": metadata }))
}

fn kinds(types: Option<&str>) -> Result<Vec<ChannelKind>, Refusal> {
    let kind = |name: &str| ChannelKind::ALL.into_iter().find(|kind| kind.name() == name.trim());
    types
        .unwrap_or("public_channel")
        .split(',')
        .map(|name| kind(name).ok_or_else(|| Refusal::new("invalid_types")))
        .collect()
}

pub(super) fn info(call: &Call<'_>) -> Outcome {
    let data = call.workspace.data();
    let channel = call.channel(&data, "read")?;
    let mut shown = channel.describe(TEAM, call.is_in(channel));
    if !call.arguments.flag("include_num_members") {
        shown.as_object_mut().map(|fields| fields.remove("num_members"));
    }
    ok(json!({ "channel": shown }))
}

/// conversations.members: of public channels, whoever asks.
pub(super) fn members(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let data = &mut *data;
    let id = call.channel(data, "read")?.id.clone();
    let at = data.channels.binary_search_by(|channel| channel.id.cmp(&id));
    let members = &data.channels[at.map_err(|_| Refusal::new("channel_not_found"))?].members;
    let page = data.pages.slice(members, String::as_str, (call.arguments, "user"), (100, 1000));
    let (members, metadata) = page?;
    ok(json!({ "members": members, "response_metadata": metadata }))
}

/// conversations.join: public channels that are not archived (B3); who is in already is told so in a warning
/// (`spec_conversations.join.json`).
pub(super) fn join(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let id = call.arguments.text("channel").ok_or_else(|| Refusal::new("channel_not_found"))?;
    let (channel, _) = data.channel_mut(id)?;
    match channel.kind {
        ChannelKind::Public => {}
        _ if channel.bot_is_member => return Err(Refusal::new("method_not_supported_for_channel_type")),
        _ => return Err(Refusal::new("channel_not_found")),
    }
    if channel.archived {
        return Err(Refusal::new("is_archived"));
    }
    let already = channel.bot_is_member;
    channel.set_member(BOT_USER, true);
    let mut answer = json!({ "channel": channel.describe(TEAM, true) });
    if already {
        answer["warning"] = json!("already_in_channel");
        answer["response_metadata"] = json!({ "warnings": ["already_in_channel"] });
    }
    ok(answer)
}
