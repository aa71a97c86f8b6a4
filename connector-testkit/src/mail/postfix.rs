//! Postfix, on loopback, before a Dovecot.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use connector_sdk::{Clock as _, clock::SystemClock};

use super::{Asked, Dovecot, account, is_there, policy::Policy, port, process};
use crate::fault::{Authority, Flaw};

const MASTER: &str = "/usr/lib/postfix/sbin/master";
const NEEDS: &str = "apt-get install postfix";

/// Mail that has not arrived after so long is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Folders of the queue that belong to Postfix's own user.
const QUEUES: [&str; 10] =
    ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved"];

/// How a [`Postfix`] is to be.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct PostfixBuilder {
    without: Vec<String>,
    extra: Vec<String>,
    size: Option<u64>,
    flaw: Option<Flaw>,
}

impl PostfixBuilder {
    /// EHLO does not name this extension: `PIPELINING`, `SMTPUTF8`, `8BITMIME`, `DSN`, `SIZE` or another.
    pub fn without(mut self, extension: impl Into<String>) -> Self {
        self.without.push(extension.into());
        self
    }

    /// The largest message it takes, in bytes; default 5 MiB. A larger one is answered `552 5.3.4`.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Its certificate has this flaw.
    pub fn certificate(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// A line of its `main.cf`.
    pub fn setting(mut self, line: impl Into<String>) -> Self {
        self.extra.push(line.into());
        self
    }

    /// Starts it before this Dovecot, which signs its users in and keeps their mail. None, and said, where it is not
    /// installed or this process is not root, without which it does not run.
    ///
    /// # Errors
    /// When it does not start, and where everything has to be tested when it cannot.
    pub async fn start(self, dovecot: &Dovecot) -> io::Result<Option<Postfix>> {
        let needed = if account::is_root() { MASTER } else { "/of/root" };
        if !is_there(needed, &format!("{NEEDS}, and be root"))? {
            return Ok(None);
        }
        for _ in 0..port::TRIES {
            let postfix = self.begin(dovecot)?;
            if postfix.process.greets(postfix.address(), &postfix.name).await? {
                return Ok(Some(postfix));
            }
            let said = postfix.process.output();
            if !said.contains("in use") {
                return Err(io::Error::other(said));
            }
        }
        Err(io::Error::other("its ports are taken again and again"))
    }

    fn begin(&self, dovecot: &Dovecot) -> io::Result<Postfix> {
        let folder = process::folder("postfix-")?;
        let files = account::Account::of(&folder)?;
        let (postfix, postdrop) = (account::user("postfix")?, account::group("postdrop")?);
        let authority = Authority::new()?;
        let (certificate, key) = authority.issue(self.flaw)?;
        let [smtp, submission, smtps] = port::free()?;
        let policy = Policy::begin()?;
        let name = format!("testkit at {smtp}");
        let fill = [
            ("FOLDER", folder.to_string_lossy().into_owned()),
            ("DOVECOT", dovecot.folder().to_string_lossy().into_owned()),
            ("NAME", name.clone()),
            ("UID", files.uid.to_string()),
            ("GID", files.gid.to_string()),
            ("SIZE", self.size.unwrap_or(5 << 20).to_string()),
            ("POLICY", policy.port().to_string()),
            ("WITHOUT", self.without.join(", ").to_lowercase()),
            ("SMTPS", smtps.to_string()),
            ("SUBMISSION", submission.to_string()),
            ("SMTP", smtp.to_string()),
        ];
        let filled = |text: &str| {
            let fold =
                |text: String, (word, value): &(&str, String)| text.replace(&format!("@{word}@"), value);
            fill.iter().fold(text.to_owned(), fold)
        };
        let make = |part: &str, mode: u32, owner: u32, group: Option<u32>| -> io::Result<()> {
            let path = folder.join(part);
            fs::create_dir(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            chown(&path, Some(owner), group)
        };
        make("etc", 0o755, 0, None)?;
        make("maildir", 0o755, files.uid, Some(files.gid))?;
        make("data", 0o755, postfix, None)?;
        make("queue", 0o755, 0, None)?;
        make("queue/pid", 0o755, 0, None)?;
        for queue in QUEUES {
            make(&format!("queue/{queue}"), 0o700, postfix, None)?;
        }
        make("queue/trace", 0o700, postfix, None)?;
        make("queue/maildrop", 0o730, postfix, Some(postdrop))?;
        make("queue/public", 0o710, postfix, Some(postdrop))?;
        let main = format!("{}{}\n", filled(include_str!("postfix/main.cf")), self.extra.join("\n"));
        for (file, text) in [
            ("etc/main.cf", main),
            ("etc/master.cf", filled(include_str!("postfix/master.cf"))),
            ("certificate.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
            ("authority.pem", authority.pem().to_owned()),
            ("log", String::new()),
        ] {
            fs::write(folder.join(file), text)?;
        }
        chown(folder.join("log"), Some(postfix), None)?;
        let config = folder.join("etc").to_string_lossy().into_owned();
        let process = process::Process::begin(folder, &[MASTER, "-c", &config, "-d"], None)?;
        let authority = authority.pem().to_owned();
        Ok(Postfix { process, policy, authority, name, smtp, submission, smtps })
    }
}

/// A mail server that takes mail for `example.test`, whose mailboxes are those of a [`Dovecot`], and for `maildir.test`
/// and `bücher.test`, which it lays down in [files](Self::maildir). Who has signed in may send anywhere, where it bounces.
///
/// What recipients and messages are answered is said with [`answers`](Self::answers) and its like.
#[derive(Debug)]
pub struct Postfix {
    process: process::Process,
    policy: Policy,
    authority: String,
    name: String,
    smtp: u16,
    submission: u16,
    smtps: u16,
}

impl Postfix {
    /// How it is to be.
    pub fn builder() -> PostfixBuilder {
        PostfixBuilder::default()
    }

    /// Where it takes mail in the clear, from anybody, for its own domains.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.smtp).into()
    }

    /// Where STARTTLS and then signing in are required.
    #[must_use]
    pub fn submission_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.submission).into()
    }

    /// Where it speaks TLS from the first byte. Its certificate is for `localhost`.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.smtps).into()
    }

    /// The certificate of the authority to trust, in PEM.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// The same, as a file: for `network.ca_file`.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.process.folder().join("authority.pem")
    }

    /// This recipient is answered these, once each, and then taken: `["451 4.7.1 Greylisted"]`. After a `421` the server
    /// hangs up.
    pub fn answers(&self, recipient: &str, answers: &[&str]) {
        answers.iter().for_each(|answer| self.policy.on_recipient(recipient, answer, false));
    }

    /// This recipient is always answered so: `550 5.1.1 No such user`.
    pub fn always_answers(&self, recipient: &str, answer: &str) {
        self.policy.on_recipient(recipient, answer, true);
    }

    /// The next messages of this sender are answered so when they have been sent whole.
    pub fn answers_message(&self, sender: &str, answers: &[&str]) {
        answers.iter().for_each(|answer| self.policy.on_message(sender, answer, false));
    }

    /// The recipients and messages so far, oldest first.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.policy.asked()
    }

    /// How often this recipient was named so far.
    #[must_use]
    pub fn named(&self, recipient: &str) -> usize {
        self.asked().iter().filter(|asked| !asked.is_message && asked.recipient == recipient).count()
    }

    /// What lies in the files of `maildir.test`, each message as it was delivered: after `Return-Path`, `X-Original-To`,
    /// `Delivered-To` and `Received` comes what was sent. In files a line ends with LF.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn maildir(&self) -> io::Result<Vec<Vec<u8>>> {
        let Ok(files) = fs::read_dir(self.process.folder().join("maildir/all/new")) else {
            return Ok(Vec::new());
        };
        let mut paths: Vec<_> = files.map(|file| file.map(|file| file.path())).collect::<io::Result<_>>()?;
        paths.sort();
        paths.iter().map(fs::read).collect()
    }

    /// The same, once there are so many.
    ///
    /// # Errors
    /// When there are not soon, with the log.
    pub async fn maildir_of(&self, count: usize) -> io::Result<Vec<Vec<u8>>> {
        self.until(async || Ok(Some(self.maildir()?).filter(|found| found.len() >= count))).await
    }

    /// The messages in the INBOX of a user of that Dovecot, once there are so many.
    ///
    /// # Errors
    /// When there are not soon, with the log.
    pub async fn inbox_of(&self, dovecot: &Dovecot, user: &str, count: usize) -> io::Result<Vec<Vec<u8>>> {
        let mut session = dovecot.session(user).await?;
        let messages = self.until(async move || {
            let messages = session.messages("INBOX").await?;
            Ok(Some(messages).filter(|messages| messages.len() >= count))
        });
        Ok(messages.await?.into_iter().map(|(_, message)| message).collect())
    }

    /// Waits until nothing is on its way any more: everything has been delivered, or has bounced.
    ///
    /// # Errors
    /// When that takes too long, with the log.
    pub async fn settled(&self) -> io::Result<()> {
        let queue = self.process.folder().join("queue");
        let is_empty =
            |name: &str| fs::read_dir(queue.join(name)).is_ok_and(|mut files| files.next().is_none());
        self.until(async || {
            let settled = ["incoming", "active", "maildrop"].into_iter().all(is_empty);
            Ok(settled.then_some(()))
        })
        .await
    }

    async fn until<T>(&self, mut look: impl AsyncFnMut() -> io::Result<Option<T>>) -> io::Result<T> {
        let clock = SystemClock::new();
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if clock.monotonic() > PATIENCE {
                return Err(io::Error::other(format!("it does not come: {}", self.log())));
            }
            clock.sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.process.folder()
    }

    /// Ends it, and waits until it has ended.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn stop(self) -> io::Result<()> {
        self.process.end()
    }
}
