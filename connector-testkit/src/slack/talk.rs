//! People who write, behind the back of the API, and what a reader should have found.

use serde_json::{Map, Value, json};

use super::channel::{Channel, ChannelKind};
use super::message::View;
use super::ts::Ts;
use super::workspace::{BOT_USER, Data, FakeWorkspace, TEAM};

impl FakeWorkspace {
    /// Somebody writes. Answers the `ts`; an empty text where there is no such channel.
    pub fn post(&self, channel: &str, text: &str) -> String {
        self.say(channel, text, None, None)
    }

    /// Somebody writes, at a time of the test's choice: a message that becomes visible late, or an old one. `ts` must
    /// not be taken.
    pub fn post_at(&self, channel: &str, ts: &str, text: &str) -> String {
        self.say(channel, text, None, Ts::parse(ts))
    }

    /// Somebody replies.
    pub fn reply(&self, channel: &str, thread_ts: &str, text: &str) -> String {
        self.say(channel, text, Ts::parse(thread_ts), None)
    }

    fn say(&self, channel: &str, text: &str, thread: Option<Ts>, at: Option<Ts>) -> String {
        let now = self.workspace.now();
        let mut data = self.workspace.data();
        let user = data.ids.first().cloned().unwrap_or_default();
        let Ok((channel, _)) = data.channel_mut(channel) else { return String::new() };
        let ts = at.unwrap_or_else(|| channel.next_ts(now));
        let mut fields = Map::new();
        for (name, value) in [("type", "message"), ("user", &user), ("team", TEAM), ("text", text)] {
            fields.insert(name.to_owned(), json!(value));
        }
        fields.insert("ts".to_owned(), json!(ts.to_string()));
        if let Some(thread) = thread {
            fields.insert("thread_ts".to_owned(), json!(thread.to_string()));
        }
        channel.insert(ts, fields, thread);
        ts.to_string()
    }

    /// The author changes a message. False where there is none.
    pub fn edit(&self, channel: &str, ts: &str, text: &str) -> bool {
        let now = Ts::from_millis(self.workspace.now());
        self.change(channel, ts, |fields| {
            let user = fields.get("user").cloned().unwrap_or_else(|| json!(BOT_USER));
            fields.insert("text".to_owned(), json!(text));
            fields.insert("edited".to_owned(), json!({ "user": user, "ts": now.to_string() }));
        })
    }

    /// Changes the fields of a message as one likes. False where there is none.
    pub fn change(&self, channel: &str, ts: &str, change: impl FnOnce(&mut Map<String, Value>)) -> bool {
        let mut data = self.workspace.data();
        let (Ok((channel, cast)), Some(ts)) = (data.channel_mut(channel), Ts::parse(ts)) else {
            return false;
        };
        channel.change(cast, ts, change)
    }

    /// Somebody takes a message away. False where there is none.
    pub fn delete_message(&self, channel: &str, ts: &str) -> bool {
        let mut data = self.workspace.data();
        let (Ok((channel, cast)), Some(ts)) = (data.channel_mut(channel), Ts::parse(ts)) else {
            return false;
        };
        channel.remove(cast, ts)
    }

    /// Somebody reacts. False where there is no such message, or the user has reacted so already.
    pub fn react(&self, channel: &str, ts: &str, name: &str, user: &str) -> bool {
        let mut done = false;
        self.change(channel, ts, |fields| done = react(fields, name, user)) && done
    }

    /// The messages of a channel as history serves them now, without `metadata`, oldest first.
    #[must_use]
    pub fn truth(&self, channel: &str) -> Vec<Value> {
        self.read(channel, |data, channel| {
            let view = View { unknown: data.unknown, ..View::default() };
            channel.messages.iter().map(|message| channel.value(data.cast(), message, None, view)).collect()
        })
    }

    /// The replies of a thread as conversations.replies serves them now, oldest first, without the parent.
    #[must_use]
    pub fn replies_truth(&self, channel: &str, thread: &str) -> Vec<Value> {
        self.read(channel, |data, channel| {
            let view = View { unknown: data.unknown, ..View::default() };
            let thread = Ts::parse(thread);
            let replies = thread.and_then(|thread| channel.threads.get(&thread)).into_iter().flatten();
            replies.map(|reply| channel.value(data.cast(), reply, thread, view)).collect()
        })
    }

    /// The `ts` of all parents in a channel, oldest first.
    #[must_use]
    pub fn threads(&self, channel: &str) -> Vec<String> {
        self.read(channel, |_, channel| {
            let mut parents: Vec<&Ts> = channel.threads.keys().collect();
            parents.sort();
            parents.iter().map(ToString::to_string).map(Value::String).collect()
        })
        .iter()
        .filter_map(|parent| parent.as_str().map(str::to_owned))
        .collect()
    }

    /// Who is in a channel.
    #[must_use]
    pub fn members_truth(&self, channel: &str) -> Vec<String> {
        let data = self.workspace.data();
        data.channel(channel).map(|channel| channel.members.clone()).unwrap_or_default()
    }

    /// All users as users.list serves them to somebody who may see addresses, ordered by id.
    #[must_use]
    pub fn users_truth(&self) -> Vec<Value> {
        let with_email = self.granted().iter().any(|scope| scope == "users:read.email");
        self.workspace.data().users.iter().map(|user| user.view(with_email)).collect()
    }

    /// The conversations of one kind as conversations.list serves them, ordered by id.
    #[must_use]
    pub fn channels_truth(&self, kind: ChannelKind) -> Vec<Value> {
        let data = self.workspace.data();
        data.channels
            .iter()
            .filter(|channel| channel.kind == kind)
            .filter(|channel| kind == ChannelKind::Public || channel.bot_is_member)
            .map(|channel| channel.describe(TEAM, channel.bot_is_member))
            .collect()
    }

    /// All user groups with their users.
    #[must_use]
    pub fn usergroups_truth(&self) -> Vec<Value> {
        self.workspace.data().usergroups.clone()
    }

    /// Somebody pins a message. False where there is none.
    pub fn pin(&self, channel: &str, ts: &str) -> bool {
        let now = self.workspace.now() / 1000;
        let mut data = self.workspace.data();
        let user = data.ids.first().cloned().unwrap_or_default();
        let (Ok((channel, _)), Some(ts)) = (data.channel_mut(channel), Ts::parse(ts)) else { return false };
        let there = channel.find(ts).is_some();
        if there {
            channel.pins.push((ts, now, user));
        }
        there
    }

    /// A message with everything that is kept of it: `metadata`, and all users of its reactions. Null where there is
    /// none.
    #[must_use]
    pub fn message_truth(&self, channel: &str, ts: &str) -> Value {
        let mut all = self.read(channel, |data, channel| {
            let view = View { metadata: true, all_users: true, unknown: data.unknown };
            let found = Ts::parse(ts).and_then(|ts| channel.find(ts));
            found
                .map(|(message, thread)| channel.value(data.cast(), message, thread, view))
                .into_iter()
                .collect()
        });
        all.pop().unwrap_or_default()
    }

    /// What was posted by the API, oldest first, each message with its `channel` and its `metadata`, as it was posted.
    #[must_use]
    pub fn posts(&self) -> Vec<Value> {
        self.workspace.data().posts.clone()
    }

    /// All files, newest first, as files.list serves them long after they were uploaded.
    #[must_use]
    pub fn files_truth(&self) -> Vec<Value> {
        let mut files = self.workspace.data().files.clone();
        for file in files.iter_mut().filter_map(Value::as_object_mut) {
            file.remove("uploaded");
        }
        files
    }

    /// The bytes that were uploaded as this file.
    #[must_use]
    pub fn uploaded(&self, file: &str) -> Option<Vec<u8>> {
        self.workspace.data().uploaded(file).map(Into::into)
    }

    fn read(&self, channel: &str, read: impl FnOnce(&Data, &Channel) -> Vec<Value>) -> Vec<Value> {
        let now = self.workspace.now();
        let mut data = self.workspace.data();
        data.settle(now);
        data.channel(channel).map(|channel| read(&data, channel)).unwrap_or_default()
    }
}

/// Adds a user to a reaction; false where it is there.
pub(super) fn react(fields: &mut Map<String, Value>, name: &str, user: &str) -> bool {
    let reactions = fields.entry("reactions").or_insert_with(|| json!([]));
    let Some(reactions) = reactions.as_array_mut() else { return false };
    let at = match reactions.iter().position(|reaction| reaction["name"] == name) {
        Some(at) => at,
        None => {
            reactions.push(json!({ "name": name, "users": [], "count": 0 }));
            reactions.len() - 1
        }
    };
    let Some(users) = reactions[at]["users"].as_array_mut() else { return false };
    if users.iter().any(|known| known == user) {
        return false;
    }
    users.push(json!(user));
    reactions[at]["count"] = json!(users.len());
    true
}
