//! A Slack of the bench: ten channels, a message a second in each, newest first in pages by time.

use std::{
    fmt::Write as _,
    io::Write,
    net::TcpStream,
    sync::{Arc, OnceLock},
};

use crate::{Outcome, pages::WORDS};

const CHANNELS: u64 = 10;
/// The second of a channel's first message.
const FIRST: u64 = 1_700_000_000;
/// Messages that are made; a longer channel meets them again, with times of their own.
const DISTINCT: u64 = 2_000;

/// Answers one request of the Web API, whose arguments stand in the query or in a form.
pub(crate) fn answer(
    mut stream: &TcpStream,
    method: &str,
    arguments: &[(String, String)],
    messages: u64,
) -> Outcome<()> {
    let body = match method {
        "auth.test" => {
            r#"{"ok":true,"url":"https://bench.slack.com/","team":"Bench","user":"bot","team_id":"T0BENCH","user_id":"U0BOT","bot_id":"B0BOT"}"#.to_owned()
        }
        "conversations.list" => channels(),
        "conversations.history" => history(arguments, messages / CHANNELS)?,
        _ => r#"{"ok":false,"error":"unknown_method"}"#.to_owned(),
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\nx-oauth-scopes: channels:read,channels:history\r\n\
         date: Fri, 20 Nov 2026 12:00:00 GMT\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body.as_bytes())?;
    Ok(())
}

fn channels() -> String {
    let channel = |number| {
        format!(
            r#"{{"id":"C{number:010}","name":"channel-{number}","is_channel":true,"is_private":false,"is_archived":false,"is_member":true,"created":{FIRST},"num_members":9}}"#
        )
    };
    let channels: Vec<String> = (0..CHANNELS).map(channel).collect();
    format!(r#"{{"ok":true,"channels":[{}],"response_metadata":{{"next_cursor":""}}}}"#, channels.join(","))
}

/// The newest messages between two times, both left out unless they are to be included.
fn history(arguments: &[(String, String)], count: u64) -> Outcome<String> {
    let argument =
        |name: &str| arguments.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let inclusive = matches!(argument("inclusive"), Some("true" | "1"));
    let limit: u64 = argument("limit").unwrap_or("100").parse()?;
    // The first message at or after a time: each stands 100 microseconds behind its second.
    let index_at = |time: &str, behind: bool| -> Outcome<u64> {
        let (second, micros) = time.split_once('.').unwrap_or((time, "0"));
        let (second, micros): (u64, u64) = (second.parse()?, format!("{micros:0<6}").parse()?);
        Ok((second.saturating_sub(FIRST)
            + u64::from(second >= FIRST && (micros > 100 || behind && micros == 100)))
        .min(count))
    };
    let low = argument("oldest").map_or(Ok(0), |time| index_at(time, !inclusive))?;
    let high = argument("latest").map_or(Ok(count), |time| index_at(time, inclusive))?;
    let start = high.saturating_sub(limit).max(low);
    let texts = TEXTS.get_or_init(|| (0..DISTINCT).map(text_of).collect());
    let mut page = String::with_capacity(700 * limit as usize);
    page.push_str(r#"{"ok":true,"messages":["#);
    for index in (start..high).rev() {
        if index + 1 < high {
            page.push(',');
        }
        page.push_str(texts.get((index % DISTINCT) as usize).ok_or("no such message")?);
        let _ = write!(page, r#","ts":"{}.000100"}}"#, FIRST + index);
    }
    let more = start > low;
    let next = if more { format!("ts:{}", FIRST + start) } else { String::new() };
    let _ = write!(page, r#"],"has_more":{more},"response_metadata":{{"next_cursor":"{next}"}}}}"#);
    Ok(page)
}

static TEXTS: OnceLock<Vec<Arc<str>>> = OnceLock::new();

/// A message without its time: about 620 bytes, with blocks as a client sends them.
fn text_of(n: u64) -> Arc<str> {
    let mix = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let word = |shift: u32| WORDS.get((mix >> shift) as usize % WORDS.len()).copied().unwrap_or("x");
    let text =
        format!("{} {} {} and {} said: {} {}?", word(1), word(5), word(9), word(15), word(21), word(27));
    format!(
        r#"{{"user":"U{:010}","type":"message","client_msg_id":"{:08x}-6b8b-4cde-8a7f-{:012x}","text":"{text}","team":"T0BENCH","blocks":[{{"type":"rich_text","block_id":"{:x}","elements":[{{"type":"rich_text_section","elements":[{{"type":"text","text":"{text}"}}]}}]}}],"reactions":[{{"name":"thumbsup","users":["U{:010}"],"count":1}}],"edited":{{"user":"U{:010}","ts":"{}.000000"}}"#,
        mix % 1_000,
        mix >> 32,
        mix >> 16,
        mix >> 44,
        mix % 997,
        mix % 1_000,
        FIRST + n,
    )
    .into()
}
