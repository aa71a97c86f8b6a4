//! One message: drawn from the seed when it is served, or kept whole once somebody wrote or touched it.

use serde_json::{Map, Value, json};

use super::drawn::Drawn;
use super::ts::Ts;

/// Users that a reaction shows at most: `count` is right, `users` may be shorter. Where Slack cuts is not recorded;
/// `full` of reactions.get lifts it.
pub(super) const SHOWN: usize = 5;

/// A message in its place.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) ts: Ts,
    pub(super) body: Body,
    /// Whether replies hang on it: the channel knows them by this `ts`.
    pub(super) parent: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Number of the message in the seed's series; see [`Drawn`].
    Drawn(u32),
    /// All fields, `ts` too, with all users of each reaction; those of a parent are added when it is served.
    Own(Box<Map<String, Value>>),
}

/// How messages are to be served.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct View {
    /// `metadata` is shown. What is shown without asking for it is not recorded; nothing, here.
    pub(super) metadata: bool,
    /// All users of a reaction.
    pub(super) all_users: bool,
    /// Fields, subtypes and values that nobody knows are added.
    pub(super) unknown: bool,
}

/// What a parent says of its replies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ThreadFields {
    pub(super) replies: usize,
    pub(super) users: Vec<String>,
    /// Left out where the workspace was told so: no recorded answer shows it.
    pub(super) latest: Option<Ts>,
}

impl Message {
    /// Appends it as JSON.
    pub(super) fn write(
        &self,
        drawn: &Drawn<'_>,
        thread: Option<&ThreadFields>,
        view: View,
        to: &mut Vec<u8>,
    ) {
        match (&self.body, thread) {
            (Body::Drawn(number), None) if !view.unknown && !view.all_users => {
                drawn.write(*number, self.ts, to)
            }
            _ => {
                // A value of ours always can be written.
                let _ = serde_json::to_writer(to, &self.value(drawn, thread, view));
            }
        }
    }

    /// It as it is served under this view.
    pub(super) fn value(&self, drawn: &Drawn<'_>, thread: Option<&ThreadFields>, view: View) -> Value {
        let mut fields = self.fields(drawn);
        if !view.metadata {
            fields.remove("metadata");
        }
        if let Some(thread) = thread {
            fields.insert("thread_ts".to_owned(), json!(self.ts.to_string()));
            fields.insert("reply_count".to_owned(), json!(thread.replies));
            fields.insert("reply_users_count".to_owned(), json!(thread.users.len()));
            if let Some(latest) = thread.latest {
                fields.insert("latest_reply".to_owned(), json!(latest.to_string()));
            }
            let shown = &thread.users[..thread.users.len().min(SHOWN)];
            fields.insert("reply_users".to_owned(), json!(shown));
            fields.insert("is_locked".to_owned(), json!(false));
            fields.insert("subscribed".to_owned(), json!(false));
        }
        if !view.all_users {
            for reaction in fields.get_mut("reactions").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(users) = reaction["users"].as_array_mut() {
                    users.truncate(SHOWN);
                }
            }
        }
        if view.unknown {
            add_unknown(&mut fields, self.ts);
        }
        Value::Object(fields)
    }

    /// All that is kept of it.
    pub(super) fn fields(&self, drawn: &Drawn<'_>) -> Map<String, Value> {
        match &self.body {
            Body::Own(fields) => (**fields).clone(),
            Body::Drawn(number) => drawn.fields(*number, self.ts),
        }
    }

    /// Its fields, to be changed.
    pub(super) fn own(&mut self, drawn: &Drawn<'_>) -> &mut Map<String, Value> {
        if let Body::Drawn(_) = self.body {
            self.body = Body::Own(Box::new(self.fields(drawn)));
        }
        match &mut self.body {
            Body::Own(fields) => fields,
            Body::Drawn(_) => unreachable!("it was made its own just now"),
        }
    }
}

/// What a vendor adds one day without a word: a subtype, a field of a new shape, a new value of an old enum, a number
/// that no double holds. The same for the same message.
fn add_unknown(fields: &mut Map<String, Value>, ts: Ts) {
    fields.insert(
        "x_field_of_tomorrow".to_owned(),
        json!({ "depth": { "list": [1, null, "äöü"] }, "on": true }),
    );
    fields.insert("x_large_number".to_owned(), json!(9_007_199_254_740_993_u64));
    match ts.0 % 3 {
        0 => drop(fields.insert("subtype".to_owned(), json!("quantum_message"))),
        1 => {
            drop(fields.insert(
                "blocks".to_owned(),
                json!([{ "type": "hologram", "block_id": "b1", "mode": "spin" }]),
            ))
        }
        _ => drop(fields.insert("user".to_owned(), Value::Null)),
    }
}
