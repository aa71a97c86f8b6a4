//! The head of a request, as far as a redirect needs it (RFC 9112, 2 and 3). A body is not read.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Codes are long with some vendors; browsers send at most 8 KiB of cookies for a name.
pub(super) const MAX_HEAD: usize = 32 * 1024;

/// What was asked for.
#[derive(PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// Path and query. It holds the code.
    pub(super) target: String,
    pub(super) host: Option<String>,
}

impl Head {
    /// Reads it; none when it is no request, has no end, or the connection ends.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::with_capacity(1024);
        let mut limited = stream.take(MAX_HEAD as u64);
        while !bytes.windows(4).rev().any(|end| end == b"\r\n\r\n") {
            if limited.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        Self::parse(std::str::from_utf8(&bytes).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let head = text.split_once("\r\n\r\n")?.0;
        let mut lines = head.split("\r\n");
        let mut line = lines.next()?.split(' ');
        let (method, target, version) = (line.next()?, line.next()?, line.next()?);
        if line.next().is_some() || !version.starts_with("HTTP/1.") || !target.starts_with('/') {
            return None;
        }
        let mut host = None;
        for line in lines {
            let (name, value) = line.split_once(':')?;
            if name.eq_ignore_ascii_case("host") && host.replace(value.trim().to_owned()).is_some() {
                return None; // two hosts are none (RFC 9112, 3.2)
            }
        }
        Some(Self { method: method.to_owned(), target: target.to_owned(), host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_head_that_comes_in_pieces_is_put_together() {
        let (mut browser, mut ours) = tokio::io::duplex(8);
        let text = "GET /callback?code=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nCookie: a=b\r\n\r\nbody";
        let (head, _) = tokio::join!(Head::read(&mut ours), async {
            tokio::io::AsyncWriteExt::write_all(&mut browser, text.as_bytes()).await
        });
        let head = head.unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str()), ("GET", "/callback?code=1"));
        assert_eq!(head.host.as_deref(), Some("127.0.0.1:1"));
    }

    #[tokio::test]
    async fn what_is_no_request_or_has_no_end_is_none() {
        let long = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", "a".repeat(MAX_HEAD));
        for text in [
            "",
            "\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.1 x\r\n\r\n",
            "GET http://127.0.0.1/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            &long,
        ] {
            let mut bytes = text.as_bytes();
            assert!(Head::read(&mut bytes).await.is_none(), "{}", &text[..text.len().min(60)]);
        }
        let mut bytes: &[u8] = b"GET /\xff HTTP/1.1\r\n\r\n";
        assert!(Head::read(&mut bytes).await.is_none());
    }
}
