//! A client of a vendor's own: one POST over plain HTTP to a receiver on loopback.

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// Bytes of an answer that are read.
const MAX_ANSWER: u64 = 1024 * 1024;

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Status.
    pub status: u16,
    /// Headers, with their names in lower case.
    pub headers: Vec<(String, String)>,
    /// As much of the body as came.
    pub body: Bytes,
}

impl Answered {
    /// The first value of a header, its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Sends; none where no answer came, or none that can be read. Redirects are not followed.
pub(crate) async fn send(url: &str, headers: &[(&str, String)], body: &[u8]) -> Option<Answered> {
    let url = Url::parse(url).ok()?;
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    let mut stream = TcpStream::connect((host, port)).await.ok()?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut head = format!(
        "POST {target} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let (mut reading, mut writing) = stream.split();
    // A receiver may refuse a body before it has read all of it; then what it says counts, not what it left.
    let said = async {
        writing.write_all(head.as_bytes()).await?;
        writing.write_all(body).await
    };
    let mut answer = std::pin::pin!(read(&mut reading));
    tokio::select! {
        answer = &mut answer => return answer,
        _ = said => {}
    }
    answer.await
}

/// The answer: its head, and as much of a body as it announces, or all until the end.
async fn read(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<Answered> {
    let mut text = Vec::new();
    let mut limited = stream.take(MAX_ANSWER);
    let (status, headers, start) = loop {
        if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            let (status, headers) = head(std::str::from_utf8(&text[..end]).ok()?)?;
            break (status, headers, end + 4);
        }
        if limited.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    };
    let mut answered = Answered { status, headers, body: Bytes::new() };
    let length: Option<usize> = answered.header("content-length").and_then(|length| length.parse().ok());
    while length.is_none_or(|length| text.len() < start + length) {
        if limited.read_buf(&mut text).await.ok()? == 0 {
            break;
        }
    }
    answered.body = text.split_off(start).into();
    Some(answered)
}

fn head(text: &str) -> Option<(u16, Vec<(String, String)>)> {
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let field = |(name, value): (&str, &str)| (name.to_ascii_lowercase(), value.trim().to_owned());
    Some((status, lines.filter_map(|line| line.split_once(':')).map(field).collect()))
}
