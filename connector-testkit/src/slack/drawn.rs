//! Messages that the seed makes: nothing is kept of them but their time, so a million costs little.

use serde_json::{Map, Value};

use crate::random::Random;

use super::message::SHOWN;
use super::ts::{Ts, number};

/// Texts that break careless code: quotes, line ends, control characters, all of Unicode's planes, markup.
const TEXTS: &[&str] = &[
    "good morning",
    "deployed to production, all green",
    "did anybody see the error in the nightly run? it says \\\"connection reset\\\" twice",
    "line one\\nline two\\n\\ttabbed",
    "naïve façade – “quoted” ¿qué? 日本語のテキスト",
    "😀 👩‍👩‍👧‍👦 🏳️‍🌈 :tada:",
    "<@U0000000001> please look at <https://example.com/a?b=c&amp;d=e|the page>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "```\\nfn main() {}\\n```",
    "null",
    "\\u0001\\u001f control",
    "שלום עולם مرحبا بالعالم",
    "the quick brown fox jumps over the lazy dog, and then it does so again, because one line is rarely as long as \
     what people write when they explain why something took longer than they said it would",
];

/// Names of reactions.
const REACTIONS: &[&str] = &["thumbsup", "eyes", "tada", "white_check_mark", "heart::skin-tone-3"];

/// The series of one channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawn<'a> {
    pub(super) seed: u64,
    pub(super) team: &'a str,
    /// Ids of all users; never empty.
    pub(super) users: &'a [String],
    /// The app's bot: it wrote some of them.
    pub(super) bot: &'a str,
    /// The message that all of these hang on, where they are replies.
    pub(super) thread: Option<Ts>,
}

impl Drawn<'_> {
    /// Appends message `number` as JSON, each reaction with as many users as are shown.
    pub(super) fn write(&self, number: u32, ts: Ts, to: &mut Vec<u8>) {
        self.render(number, ts, SHOWN, to);
    }

    /// Message `number` with everything that is known of it.
    pub(super) fn fields(&self, number: u32, ts: Ts) -> Map<String, Value> {
        let mut text = Vec::new();
        self.render(number, ts, usize::MAX, &mut text);
        // What is rendered here is JSON: a test reads all kinds of it.
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Who wrote message `number`.
    pub(super) fn author(&self, number: u32) -> &str {
        let mut random = self.random(number);
        self.user(random.next())
    }

    fn random(&self, number: u32) -> Random {
        let thread = self.thread.map_or(0, |thread| thread.0.rotate_left(17));
        Random::new(self.seed ^ thread ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn user(&self, drawn: u64) -> &str {
        let index = usize::try_from(drawn % (self.users.len().max(1) as u64)).unwrap_or_default();
        self.users.get(index).map_or("USLACKBOT", String::as_str)
    }

    fn render(&self, index: u32, ts: Ts, shown: usize, to: &mut Vec<u8>) {
        let mut random = self.random(index);
        let author = random.next();
        let kind = random.below(100);
        to.extend_from_slice(b"{\"type\":\"message\"");
        if kind < 4 && self.thread.is_none() {
            field(to, "subtype", "bot_message");
            field(to, "bot_id", self.bot);
            field(to, "username", "ecto1");
        } else {
            if kind == 4 && self.thread.is_none() {
                field(to, "subtype", "channel_topic");
            }
            field(to, "user", self.user(author));
            field(to, "team", self.team);
        }
        to.extend_from_slice(b",\"text\":\"");
        to.extend_from_slice(random.pick(TEXTS).as_bytes());
        to.extend_from_slice(b" #");
        number(u64::from(index), 1, to);
        to.extend_from_slice(b"\",\"ts\":\"");
        ts.write(to);
        to.push(b'"');
        if let Some(thread) = self.thread {
            to.extend_from_slice(b",\"thread_ts\":\"");
            thread.write(to);
            to.push(b'"');
        }
        if kind % 20 == 7 {
            self.reactions(&mut random, shown, to);
        }
        to.push(b'}');
    }

    fn reactions(&self, random: &mut Random, shown: usize, to: &mut Vec<u8>) {
        to.extend_from_slice(b",\"reactions\":[");
        let first = random.below(REACTIONS.len() as u64);
        for which in 0..1 + random.below(3) {
            let name =
                REACTIONS[usize::try_from((first + which) % REACTIONS.len() as u64).unwrap_or_default()];
            // Nobody reacts twice with one name.
            let count = (1 + random.below(12)).min(self.users.len() as u64);
            let start = random.next();
            to.extend_from_slice(if which == 0 { b"{\"name\":\"" } else { b",{\"name\":\"" });
            to.extend_from_slice(name.as_bytes());
            to.extend_from_slice(b"\",\"users\":[");
            for user in 0..count.min(shown as u64) {
                to.extend_from_slice(if user == 0 { b"\"" } else { b",\"" });
                to.extend_from_slice(self.user(start.wrapping_add(user)).as_bytes());
                to.push(b'"');
            }
            to.extend_from_slice(b"],\"count\":");
            number(count, 1, to);
            to.push(b'}');
        }
        to.push(b']');
    }
}

/// Appends `,"name":"value"`; neither needs escapes.
fn field(to: &mut Vec<u8>, name: &str, value: &str) {
    to.extend_from_slice(b",\"");
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(b"\":\"");
    to.extend_from_slice(value.as_bytes());
    to.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drawn_message_is_json_and_shows_what_it_keeps() {
        let users: Vec<String> = (0..30).map(|user| format!("U{user:09}")).collect();
        for thread in [None, Some(Ts(1_700_000_000_000_001))] {
            let drawn = Drawn { seed: 3, team: "T1", users: &users, bot: "B1", thread };
            let mut cut = 0;
            for index in 0..2_000 {
                let ts = Ts(1_700_000_000_000_000 + u64::from(index));
                let mut text = Vec::new();
                drawn.write(index, ts, &mut text);
                let served: Value = serde_json::from_slice(&text).unwrap();
                let full = drawn.fields(index, ts);
                assert_eq!(served["ts"], ts.to_string());
                assert_eq!(served["text"], full["text"]);
                for (shown, kept) in served["reactions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .zip(full.get("reactions").and_then(Value::as_array).into_iter().flatten())
                {
                    assert_eq!(kept["count"], kept["users"].as_array().unwrap().len());
                    cut += usize::from(
                        shown["users"].as_array().unwrap().len() < kept["count"].as_u64().unwrap() as usize,
                    );
                }
            }
            assert!(cut > 10, "some reactions are cut");
        }
    }
}
