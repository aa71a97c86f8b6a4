//! The vendor's own client: one POST over plain HTTP to a receiver on loopback.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// Bytes of an answer that are read.
const MAX_ANSWER: u64 = 1024 * 1024;

/// What a receiver answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// `X-Slack-No-Retry: 1`
    pub(super) no_retry: bool,
    pub(super) body: Vec<u8>,
}

/// Sends; none where no answer came, or none that can be read. Redirects are not followed.
pub(super) async fn send(url: &str, headers: &[(&str, String)], body: &[u8]) -> Option<Answered> {
    let url = Url::parse(url).ok()?;
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    let mut stream = TcpStream::connect((host, port)).await.ok()?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut head = format!(
        "POST {target} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: Slackbot 1.0 (+https://api.slack.com/robots)\r\n\
         Accept: */*\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body).await.ok()?;
    read(&mut stream).await
}

/// The answer: its head, and as much of a body as it announces, or all until the end.
async fn read(stream: &mut TcpStream) -> Option<Answered> {
    let mut text = Vec::new();
    let mut limited = stream.take(MAX_ANSWER);
    let (status, no_retry, length, start) = loop {
        if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            let (status, no_retry, length) = head(std::str::from_utf8(&text[..end]).ok()?)?;
            break (status, no_retry, length, end + 4);
        }
        if limited.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    };
    while length.is_none_or(|length| text.len() < start + length) {
        if limited.read_buf(&mut text).await.ok()? == 0 {
            break;
        }
    }
    Some(Answered { status, no_retry, body: text.split_off(start) })
}

fn head(text: &str) -> Option<(u16, bool, Option<usize>)> {
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let (mut no_retry, mut length) = (false, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "x-slack-no-retry" => no_retry = value.trim() == "1",
            "content-length" => length = value.trim().parse().ok(),
            _ => {}
        }
    }
    Some((status, no_retry, length))
}
