//! A conversation: what it says of itself, who is in it, and what was said, in the order of time.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::drawn::Drawn;
use super::message::{Body, Message, ThreadFields, View};
use super::ts::Ts;

/// Kinds of conversation, named as `types` of conversations.list names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelKind {
    /// `public_channel`
    Public,
    /// `private_channel`
    Private,
    /// `im`
    Im,
    /// `mpim`
    Mpim,
}

impl ChannelKind {
    /// As `types` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public_channel",
            Self::Private => "private_channel",
            Self::Im => "im",
            Self::Mpim => "mpim",
        }
    }

    /// First part of the scopes that read it: `channels` of `channels:history`.
    pub(super) fn scope(self) -> &'static str {
        match self {
            Self::Public => "channels",
            Self::Private => "groups",
            Self::Im => "im",
            Self::Mpim => "mpim",
        }
    }

    pub(super) const ALL: [Self; 4] = [Self::Public, Self::Private, Self::Im, Self::Mpim];
}

/// One conversation.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: ChannelKind,
    pub(super) created: i64,
    pub(super) creator: String,
    pub(super) archived: bool,
    /// Whether the bot is in it.
    pub(super) bot_is_member: bool,
    pub(super) members: Vec<String>,
    /// What the seeded messages are drawn from.
    pub(super) seed: u64,
    /// All but replies, by `ts`.
    pub(super) messages: Vec<Message>,
    /// Replies by the `ts` of their parent, each list by `ts`.
    pub(super) threads: HashMap<Ts, Vec<Message>>,
    /// Messages that are pinned, and when, by whom.
    pub(super) pins: Vec<(Ts, i64, String)>,
    /// The last `ts` that was given out.
    pub(super) last: Ts,
}

/// What a message is drawn with, besides its channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cast<'a> {
    pub(super) team: &'a str,
    pub(super) users: &'a [String],
    pub(super) bot: &'a str,
    /// Parents say when the last reply came.
    pub(super) latest_reply: bool,
}

impl Channel {
    pub(super) fn drawn<'a>(&self, cast: Cast<'a>, thread: Option<Ts>) -> Drawn<'a> {
        Drawn { seed: self.seed, team: cast.team, users: cast.users, bot: cast.bot, thread }
    }

    /// A `ts` that this channel has not given out, not before `now`.
    pub(super) fn next_ts(&mut self, now: i64) -> Ts {
        self.last = Ts::from_millis(now).max(Ts(self.last.0 + 1));
        self.last
    }

    /// Where in the list messages from `ts` on begin (`inclusive`), or those after it.
    pub(super) fn from(list: &[Message], ts: Ts, inclusive: bool) -> usize {
        list.partition_point(|message| if inclusive { message.ts < ts } else { message.ts <= ts })
    }

    /// A message that is no reply.
    pub(super) fn top(&self, ts: Ts) -> Option<&Message> {
        self.messages.binary_search_by_key(&ts, |message| message.ts).ok().map(|at| &self.messages[at])
    }

    /// Any message; replies by the parent they hang on.
    pub(super) fn find(&self, ts: Ts) -> Option<(&Message, Option<Ts>)> {
        if let Some(message) = self.top(ts) {
            return Some((message, None));
        }
        self.threads.iter().find_map(|(parent, replies)| {
            let at = replies.binary_search_by_key(&ts, |reply| reply.ts).ok()?;
            Some((&replies[at], Some(*parent)))
        })
    }

    /// The list a message stands in, and where.
    pub(super) fn place(&mut self, ts: Ts) -> Option<(&mut Vec<Message>, usize, Option<Ts>)> {
        let (_, parent) = self.find(ts)?;
        let list = match parent {
            None => &mut self.messages,
            Some(parent) => self.threads.get_mut(&parent)?,
        };
        let at = list.binary_search_by_key(&ts, |message| message.ts).ok()?;
        Some((list, at, parent))
    }

    /// Changes a message; says whether it is there.
    pub(super) fn change(
        &mut self,
        cast: Cast<'_>,
        ts: Ts,
        change: impl FnOnce(&mut serde_json::Map<String, Value>),
    ) -> bool {
        let Some((_, parent)) = self.find(ts) else { return false };
        let drawn = self.drawn(cast, parent);
        let Some((list, at, _)) = self.place(ts) else { return false };
        change(list[at].own(&drawn));
        true
    }

    /// Puts a message at its place; as a reply where `thread` names its parent.
    pub(super) fn insert(&mut self, ts: Ts, fields: serde_json::Map<String, Value>, thread: Option<Ts>) {
        self.last = self.last.max(ts);
        let message = Message { ts, body: Body::Own(Box::new(fields)), parent: false };
        let list = match thread {
            None => &mut self.messages,
            Some(parent) => {
                if let Ok(at) = self.messages.binary_search_by_key(&parent, |message| message.ts) {
                    self.messages[at].parent = true;
                }
                self.threads.entry(parent).or_default()
            }
        };
        let at = Self::from(list, ts, true);
        list.insert(at, message);
    }

    /// What a parent says of its replies.
    pub(super) fn thread_fields(&self, cast: Cast<'_>, message: &Message) -> Option<ThreadFields> {
        let replies =
            self.threads.get(&message.ts).filter(|replies| message.parent && !replies.is_empty())?;
        let drawn = self.drawn(cast, Some(message.ts));
        let mut users: Vec<String> = Vec::new();
        for reply in replies {
            let author = match &reply.body {
                Body::Drawn(number) => Some(drawn.author(*number)),
                Body::Own(fields) => fields.get("user").and_then(Value::as_str),
            };
            if let Some(author) = author
                && !users.iter().any(|user| user == author)
            {
                users.push(author.to_owned());
            }
        }
        let latest = replies.last().filter(|_| cast.latest_reply).map(|reply| reply.ts);
        Some(ThreadFields { replies: replies.len(), users, latest })
    }

    /// Appends a message as it is served.
    pub(super) fn write(
        &self,
        cast: Cast<'_>,
        message: &Message,
        thread: Option<Ts>,
        view: View,
        to: &mut Vec<u8>,
    ) {
        let parent = if message.parent { self.thread_fields(cast, message) } else { None };
        message.write(&self.drawn(cast, thread), parent.as_ref(), view, to);
    }

    /// A message as it is served.
    pub(super) fn value(&self, cast: Cast<'_>, message: &Message, thread: Option<Ts>, view: View) -> Value {
        message.value(&self.drawn(cast, thread), self.thread_fields(cast, message).as_ref(), view)
    }

    /// What conversations.list, .info and .join say of it (`spec_conversations.list.json`). `member`: whether the
    /// caller is in it.
    pub(super) fn describe(&self, team: &str, member: bool) -> Value {
        let topic = |value: &str| json!({ "value": value, "creator": "", "last_set": 0 });
        if self.kind == ChannelKind::Im {
            // No example of a direct message's object is among the fixtures; its fields are the common ones.
            return json!({
                "id": self.id, "created": self.created, "is_im": true, "is_org_shared": false,
                "is_archived": self.archived, "user": self.members.first(), "is_user_deleted": false,
                "context_team_id": team, "priority": 0,
            });
        }
        let private = self.kind != ChannelKind::Public;
        json!({
            "id": self.id, "name": self.name, "name_normalized": self.name,
            "is_channel": !private, "is_group": self.kind == ChannelKind::Private, "is_im": false,
            "is_mpim": self.kind == ChannelKind::Mpim, "is_private": private,
            "created": self.created, "creator": self.creator, "is_archived": self.archived,
            "is_general": self.name == "general", "unlinked": 0, "is_shared": false, "is_ext_shared": false,
            "is_org_shared": false, "shared_team_ids": [team], "pending_shared": [],
            "pending_connected_team_ids": [], "is_pending_ext_shared": false, "is_member": member,
            "topic": topic(""), "purpose": topic(&format!("What we do in {}", self.name)),
            "previous_names": [], "num_members": self.members.len(),
        })
    }
}

impl Channel {
    /// Puts a user in, or takes it out.
    pub(super) fn set_member(&mut self, user: &str, member: bool) {
        self.bot_is_member = member;
        self.members.retain(|known| known != user);
        if member {
            self.members.push(user.to_owned());
            self.members.sort();
        }
    }

    /// Takes a message away. A parent whose replies stay leaves a tombstone, as the vendor does; how it looks is not
    /// recorded. False where there is no such message.
    pub(super) fn remove(&mut self, cast: Cast<'_>, ts: Ts) -> bool {
        let Some((list, at, parent)) = self.place(ts) else { return false };
        if list[at].parent {
            return self.change(cast, ts, |fields| {
                fields.retain(|name, _| ["type", "ts", "team"].contains(&name.as_str()));
                for (name, value) in
                    [("subtype", "tombstone"), ("user", "USLACKBOT"), ("text", "This message was deleted.")]
                {
                    fields.insert(name.to_owned(), json!(value));
                }
            });
        }
        list.remove(at);
        if let Some(parent) = parent
            && self.threads.get(&parent).is_some_and(Vec::is_empty)
        {
            self.threads.remove(&parent);
            if let Ok(at) = self.messages.binary_search_by_key(&parent, |message| message.ts) {
                self.messages[at].parent = false;
            }
        }
        true
    }
}
