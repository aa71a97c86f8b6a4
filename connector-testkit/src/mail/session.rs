//! A plain IMAP session for tests: puts things into a mailbox, and looks at what is there.
//!
//! It is no client to learn from: it trusts its server.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// One untagged response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Its text without `* `; a literal stands in it as `{n}`.
    pub text: String,
    /// Its literals, in order.
    pub literals: Vec<Vec<u8>>,
}

/// A session of a user, signed in.
#[derive(Debug)]
pub struct Session {
    stream: BufReader<TcpStream>,
    tag: u64,
    /// The line that ended the last command, without its tag.
    ended: String,
    selected: Option<String>,
}

impl Session {
    pub(super) async fn begin(address: SocketAddr, user: &str, password: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        stream.read_line(&mut String::new()).await?;
        let mut session = Self { stream, tag: 0, ended: String::new(), selected: None };
        session.command(&format!("LOGIN {} {}", quoted(user), quoted(password))).await?;
        Ok(session)
    }

    /// Sends a command, and answers what came untagged.
    ///
    /// # Errors
    /// When the server says NO or BAD, or is gone.
    pub async fn command(&mut self, command: &str) -> io::Result<Vec<Reply>> {
        self.send(command.as_bytes()).await
    }

    /// What the server said at the end of the last command.
    #[must_use]
    pub fn ended(&self) -> &str {
        &self.ended
    }

    /// Appends a message, and answers its UID.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn append(&mut self, mailbox: &str, message: &[u8]) -> io::Result<u32> {
        self.append_with(mailbox, "()", message).await
    }

    /// Appends a message with flags and, where it is wanted, a date, such as `(\Seen) "01-Feb-2026 12:00:00 +0000"`.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn append_with(&mut self, mailbox: &str, with: &str, message: &[u8]) -> io::Result<u32> {
        let mut command =
            format!("APPEND {} {with} {{{}+}}\r\n", quoted(mailbox), message.len()).into_bytes();
        command.extend_from_slice(message);
        self.send(&command).await?;
        let uid = self.ended.split(']').next().and_then(|code| code.rsplit(' ').next());
        uid.and_then(|uid| uid.parse().ok()).ok_or_else(|| io::Error::other("no APPENDUID"))
    }

    /// Appends many messages at once.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn append_all(
        &mut self,
        mailbox: &str,
        messages: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> io::Result<()> {
        let mut command = format!("APPEND {}", quoted(mailbox)).into_bytes();
        for message in messages {
            let message = message.as_ref();
            command.extend_from_slice(format!(" {{{}+}}\r\n", message.len()).as_bytes());
            command.extend_from_slice(message);
        }
        self.send(&command).await.map(drop)
    }

    /// Sets, adds or takes away flags: `what` is `FLAGS (\Seen)`, `+FLAGS (\Deleted)` or the like.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn store(&mut self, mailbox: &str, uids: &str, what: &str) -> io::Result<()> {
        self.select(mailbox).await?;
        self.command(&format!("UID STORE {uids} {what}")).await.map(drop)
    }

    /// Removes messages for good.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn expunge(&mut self, mailbox: &str, uids: &str) -> io::Result<()> {
        self.store(mailbox, uids, "+FLAGS.SILENT (\\Deleted)").await?;
        self.command(&format!("UID EXPUNGE {uids}")).await.map(drop)
    }

    /// Makes a mailbox. The name stands as it goes over the wire, in modified UTF-7.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn create(&mut self, mailbox: &str) -> io::Result<()> {
        self.command(&format!("CREATE {}", quoted(mailbox))).await.map(drop)
    }

    /// Takes a mailbox away, with what is in it.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn delete(&mut self, mailbox: &str) -> io::Result<()> {
        self.leave(mailbox).await?;
        self.command(&format!("DELETE {}", quoted(mailbox))).await.map(drop)
    }

    /// Gives a mailbox another name.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn rename(&mut self, mailbox: &str, name: &str) -> io::Result<()> {
        self.leave(mailbox).await?;
        self.command(&format!("RENAME {} {}", quoted(mailbox), quoted(name))).await.map(drop)
    }

    /// All messages of a mailbox as they lie there, with their UIDs, oldest first.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn messages(&mut self, mailbox: &str) -> io::Result<Vec<(u32, Vec<u8>)>> {
        self.select(mailbox).await?;
        let replies = self.command("UID FETCH 1:* (BODY.PEEK[])").await?;
        let message = |reply: Reply| {
            let uid = reply.text.split("UID ").nth(1)?.split([' ', ')']).next()?.parse().ok()?;
            Some((uid, reply.literals.into_iter().next()?))
        };
        Ok(replies.into_iter().filter_map(message).collect())
    }

    /// The flags of all messages, with their UIDs, oldest first.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn flags(&mut self, mailbox: &str) -> io::Result<Vec<(u32, String)>> {
        self.select(mailbox).await?;
        let replies = self.command("UID FETCH 1:* (FLAGS)").await?;
        let flags = |reply: Reply| {
            let uid = reply.text.split("UID ").nth(1)?.split([' ', ')']).next()?.parse().ok()?;
            Some((uid, reply.text.split("FLAGS (").nth(1)?.split(')').next()?.to_owned()))
        };
        Ok(replies.into_iter().filter_map(flags).collect())
    }

    /// An item of STATUS, such as `UIDVALIDITY`.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn status(&mut self, mailbox: &str, item: &str) -> io::Result<u64> {
        self.leave(mailbox).await?;
        let replies = self.command(&format!("STATUS {} ({item})", quoted(mailbox))).await?;
        let value = replies.iter().find_map(|reply| {
            let reply = reply.text.rsplit_once(&format!("({item} "))?.1;
            reply.trim_end_matches(')').parse().ok()
        });
        value.ok_or_else(|| io::Error::other(format!("no {item} in {replies:?}")))
    }

    async fn select(&mut self, mailbox: &str) -> io::Result<()> {
        if self.selected.as_deref() != Some(mailbox) {
            self.command(&format!("SELECT {}", quoted(mailbox))).await?;
            self.selected = Some(mailbox.to_owned());
        } else {
            self.command("NOOP").await?;
        }
        Ok(())
    }

    async fn leave(&mut self, mailbox: &str) -> io::Result<()> {
        if self.selected.take_if(|selected| selected == mailbox).is_some() {
            self.command("UNSELECT").await?;
        }
        Ok(())
    }

    async fn send(&mut self, command: &[u8]) -> io::Result<Vec<Reply>> {
        self.tag += 1;
        let tag = format!("T{} ", self.tag);
        let stream = self.stream.get_mut();
        stream.write_all(&[tag.as_bytes(), command, b"\r\n"].concat()).await?;
        let mut replies = Vec::new();
        loop {
            let reply = self.reply().await?;
            if let Some(text) = reply.text.strip_prefix("* ") {
                replies.push(Reply { text: text.to_owned(), ..reply });
            } else if let Some(ended) = reply.text.strip_prefix(&tag) {
                ended.clone_into(&mut self.ended);
                let is_ok = ended.starts_with("OK");
                return if is_ok { Ok(replies) } else { Err(io::Error::other(self.ended.clone())) };
            }
        }
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        let (mut text, mut literals) = (String::new(), Vec::new());
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            text.push_str(&line);
            let size = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
            let Some(size) = size.and_then(|(_, size)| size.parse().ok()) else {
                return Ok(Reply { text, literals });
            };
            let mut literal = vec![0; size];
            self.stream.read_exact(&mut literal).await?;
            literals.push(literal);
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
