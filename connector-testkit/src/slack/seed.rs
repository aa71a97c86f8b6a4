//! Drawing the workspace: people, conversations, when they spoke, and on what others replied.

use std::collections::HashMap;

use crate::random::Random;

use super::channel::{Channel, ChannelKind};
use super::message::{Body, Message};
use super::ts::Ts;

/// What is to be drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) channels: usize,
    pub(super) private: usize,
    pub(super) ims: usize,
    pub(super) mpims: usize,
    /// In each conversation.
    pub(super) messages: usize,
    /// Every so many messages one has replies; none has with 0.
    pub(super) thread_every: usize,
    /// Milliseconds: when the newest message was written, and how far back the first one lies.
    pub(super) newest: i64,
    pub(super) span: i64,
}

/// An id as the vendor writes them: a letter and ten of A–Z and 0–9.
pub(super) fn id(random: &mut Random, letter: char) -> String {
    const SIGNS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut id = String::from(letter);
    id.push('0');
    for _ in 0..9 {
        let at = usize::try_from(random.below(SIGNS.len() as u64)).unwrap_or_default();
        id.push(char::from(SIGNS[at]));
    }
    id
}

/// All conversations, ordered by id as lists show them.
pub(super) fn channels(plan: &Plan, users: &[String], bot_user: &str) -> Vec<Channel> {
    let mut random = Random::new(plan.seed ^ 0xc4a2);
    // Every channel has the same times: a `ts` is unique in its channel and nowhere else.
    let times = times(plan);
    let kinds = [
        (ChannelKind::Public, plan.channels),
        (ChannelKind::Private, plan.private),
        (ChannelKind::Im, plan.ims),
        (ChannelKind::Mpim, plan.mpims),
    ];
    let mut all = Vec::new();
    for (kind, count) in kinds {
        for index in 0..count {
            all.push(channel(plan, kind, index, &mut random, (users, bot_user), &times));
        }
    }
    all.sort_by(|one: &Channel, other| one.id.cmp(&other.id));
    all
}

fn channel(
    plan: &Plan,
    kind: ChannelKind,
    index: usize,
    random: &mut Random,
    (users, bot_user): (&[String], &str),
    times: &[Ts],
) -> Channel {
    let (letter, name) = match kind {
        ChannelKind::Public if index == 0 => ('C', "general".to_owned()),
        ChannelKind::Public => ('C', format!("channel-{index}")),
        // Private channels that were made in the last years have a C, too.
        ChannelKind::Private => ('C', format!("private-{index}")),
        ChannelKind::Im => ('D', String::new()),
        ChannelKind::Mpim => ('C', format!("mpdm-one--two--three-{}", index + 1)),
    };
    let most = match kind {
        ChannelKind::Im => 1,
        ChannelKind::Mpim => 3,
        _ => users.len(),
    };
    let start = usize::try_from(random.below(users.len().max(1) as u64)).unwrap_or_default();
    let mut members: Vec<String> =
        users.iter().cycle().skip(start).take(most.min(users.len())).cloned().collect();
    members.push(bot_user.to_owned());
    if kind != ChannelKind::Im {
        members.sort();
    }
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let mut messages: Vec<Message> = times
        .iter()
        .zip(0..count)
        .map(|(ts, number)| Message { ts: *ts, body: Body::Drawn(number), parent: false })
        .collect();
    let threads = threads(plan, random, &mut messages);
    let by = users.first().cloned().unwrap_or_default();
    let pinned = [messages.len() / 3, messages.len() / 2];
    let pinned = pinned.iter().filter_map(|at| messages.get(*at)).map(|message| message.ts);
    let mut pins: Vec<(Ts, i64, String)> = pinned.map(|ts| (ts, plan.newest / 1000, by.clone())).collect();
    pins.dedup();
    Channel {
        id: id(random, letter),
        name,
        kind,
        created: (plan.newest - plan.span) / 1000 - 86_400,
        creator: users.first().cloned().unwrap_or_default(),
        archived: false,
        bot_is_member: true,
        members,
        seed: random.next(),
        last: messages.last().map_or(Ts::default(), |message| message.ts),
        messages,
        threads,
        pins,
    }
}

/// When messages were written: with bursts inside one second, and with quiet times that last a hundred times as long
/// as usual.
fn times(plan: &Plan) -> Vec<Ts> {
    let mut random = Random::new(plan.seed ^ 0x71e5);
    let gaps: Vec<u64> = (0..plan.messages)
        .map(|_| match random.below(100) {
            0..25 => 0,
            25..97 => 1 + random.below(1000),
            _ => 20_000 + random.below(80_000),
        })
        .collect();
    let total: u128 = gaps.iter().skip(1).map(|gap| u128::from(*gap)).sum::<u128>().max(1);
    let (first, span) =
        (Ts::from_millis(plan.newest - plan.span).0, u128::try_from(plan.span).unwrap_or_default() * 1000);
    let mut passed = 0;
    let mut last = 0;
    let mut times = Vec::with_capacity(plan.messages);
    for (index, gap) in gaps.iter().enumerate() {
        passed += if index == 0 { 0 } else { u128::from(*gap) };
        let at = first + u64::try_from(span * passed / total).unwrap_or_default();
        // The fraction is more of a running number than a time.
        last = at.max(last + 1 + random.below(300));
        times.push(Ts(last));
    }
    // What a burst pushed past the end is moved back as a whole.
    let newest = Ts::from_millis(plan.newest).0;
    let over = last.saturating_sub(newest);
    times.iter().map(|ts| Ts(ts.0 - over)).collect()
}

/// Replies: some follow at once, some come days later, none after the newest message.
fn threads(plan: &Plan, random: &mut Random, messages: &mut [Message]) -> HashMap<Ts, Vec<Message>> {
    let mut threads = HashMap::new();
    let newest = messages.last().map_or(0, |message| message.ts.0);
    for at in (0..messages.len())
        .filter(|at| plan.thread_every > 0 && at % plan.thread_every == plan.thread_every / 2)
    {
        let parent = messages[at].ts;
        let mut last = parent.0;
        let mut replies = Vec::new();
        for number in 0..u32::try_from(1 + random.below(6)).unwrap_or(1) {
            let later = if random.percent(20) { random.below(5 * 86_400) } else { random.below(600) };
            last = (last + later * 1_000_000 + 1 + random.below(1_000_000)).min(newest.max(last + 1));
            replies.push(Message { ts: Ts(last), body: Body::Drawn(number), parent: false });
        }
        messages[at].parent = true;
        threads.insert(parent, replies);
    }
    threads
}
