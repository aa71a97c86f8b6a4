//! Dovecot, on loopback.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::{Clock as _, clock::SystemClock};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tokio::process::Command;

use super::{Session, account, is_there, port, process};
use crate::fault::{Authority, Flaw};

/// What doveadm may take at most.
const PATIENCE: Duration = Duration::from_secs(30);

const PROGRAM: &str = "/usr/sbin/dovecot";
const NEEDS: &str = "apt-get install dovecot-imapd dovecot-lmtpd";

/// The password of every user who was given no other.
pub const PASSWORD: &str = "pass";

/// What its tokens are signed with.
const TOKEN_KEY: &[u8] = b"of the testkit, for the testkit and for nobody else";

/// How much a server says it can do, after signing in: three ways to follow a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Capabilities {
    /// All that Dovecot can, QRESYNC and CONDSTORE with it.
    #[default]
    Qresync,
    /// CONDSTORE and not QRESYNC, as Gmail.
    Condstore,
    /// Neither, and no ESEARCH, LIST-STATUS or UIDPLUS, as many others.
    Plain,
}

impl Capabilities {
    /// The line of the configuration. Dovecot takes away what is not named, and obeys all the same when it is asked.
    fn line(self) -> &'static str {
        match self {
            Self::Qresync => "",
            Self::Condstore => {
                "imap_capability = IMAP4rev1 SASL-IR ID ENABLE IDLE CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED \
                 CONDSTORE ESEARCH LIST-STATUS MOVE LITERAL+ SPECIAL-USE"
            }
            Self::Plain => "imap_capability = IMAP4rev1 CHILDREN NAMESPACE UNSELECT",
        }
    }
}

/// How a [`Dovecot`] is to be.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct DovecotBuilder {
    capabilities: Capabilities,
    extra: Vec<String>,
    users: Vec<(String, String, Option<u64>)>,
    flaw: Option<Flaw>,
    connections: Option<u32>,
    idle: Option<Duration>,
}

impl DovecotBuilder {
    /// It says that it can do this, and no more.
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// A line of its configuration, such as `imap_id_send = name *`.
    pub fn setting(mut self, line: impl Into<String>) -> Self {
        self.extra.push(line.into());
        self
    }

    /// A user with a password of his own. Neither may hold a colon.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), password.into(), None));
        self
    }

    /// A user whose mail may have so many bytes: APPEND answers `NO [OVERQUOTA]` beyond, and LMTP `552`.
    pub fn quota(mut self, name: impl Into<String>, bytes: u64) -> Self {
        self.users.push((name.into(), PASSWORD.to_owned(), Some(bytes)));
        self
    }

    /// Its certificate has this flaw.
    pub fn certificate(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// So many connections a user may have; default 100.
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = Some(connections);
        self
    }

    /// How often it says `* OK Still here` to who idles; default two minutes.
    pub fn idle(mut self, interval: Duration) -> Self {
        self.idle = Some(interval);
        self
    }

    /// Starts it; none, and said, where it is not installed. It takes a tenth of a second.
    ///
    /// # Errors
    /// When it does not start, and where everything has to be tested when it is not installed.
    pub async fn start(self) -> io::Result<Option<Dovecot>> {
        if !is_there(PROGRAM, NEEDS)? {
            return Ok(None);
        }
        for _ in 0..port::TRIES {
            let dovecot = self.begin()?;
            if dovecot.process.greets(dovecot.address(), &dovecot.name).await? {
                return Ok(Some(dovecot));
            }
            let said = dovecot.process.output();
            if !said.contains("in use") {
                return Err(io::Error::other(said));
            }
        }
        Err(io::Error::other("its ports are taken again and again"))
    }

    fn begin(&self) -> io::Result<Dovecot> {
        let folder = process::folder("dovecot-")?;
        let account = account::Account::of(&folder)?;
        let authority = Authority::new()?;
        let (certificate, key) = authority.issue(self.flaw)?;
        let [imap, imaps] = port::free()?;
        let path = folder.to_string_lossy().into_owned();
        let name = format!("testkit at {imap}");
        let idle = self.idle.unwrap_or(Duration::from_secs(120)).as_secs();
        let fill = [
            ("FOLDER", path.as_str()),
            ("NAME", &name),
            ("USER", &account.user),
            ("GROUP", &account.group),
            ("CAPABILITY", self.capabilities.line()),
            ("IMAPS", &imaps.to_string()),
            ("IMAP", &imap.to_string()),
            ("CONNECTIONS", &self.connections.unwrap_or(100).to_string()),
            ("IDLE", &format!("{idle} secs")),
        ];
        let config =
            fill.iter().fold(include_str!("dovecot/dovecot.conf").to_owned(), |text, (word, value)| {
                text.replace(&format!("@{word}@"), value)
            });
        let oauth = format!(
            "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={path}/keys/\nusername_attribute = sub\n"
        );
        let user = |(name, password, quota): &(String, String, Option<u64>)| {
            let rule = quota.map(|bytes| format!("userdb_quota_rule=*:bytes={bytes}")).unwrap_or_default();
            format!("{name}:{{PLAIN}}{password}::::::{rule}\n")
        };
        for part in ["mail", "state", "base", "keys", "keys/default", "keys/default/HS256"] {
            fs::create_dir(folder.join(part))?;
            chown(folder.join(part), Some(account.uid), Some(account.gid))?;
        }
        for (file, text) in [
            ("authority.pem", authority.pem().to_owned()),
            ("certificate.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
            ("dovecot.conf", format!("{config}\n{}\n", self.extra.join("\n"))),
            ("oauth2.conf", oauth),
            ("users", self.users.iter().map(user).collect()),
            ("keys/default/HS256/default", STANDARD.encode(TOKEN_KEY)),
        ] {
            fs::write(folder.join(file), text)?;
            chown(folder.join(file), Some(account.uid), Some(account.gid))?;
        }
        chown(&folder, Some(account.uid), Some(account.gid))?;
        let config = folder.join("dovecot.conf");
        let command = [PROGRAM, "-F", "-c", &config.to_string_lossy()];
        let account = account::is_root().then_some(account);
        let process = process::Process::begin(folder, &command, account.as_ref())?;
        let authority = authority.pem().to_owned();
        Ok(Dovecot { process, account, authority, name, imap, imaps })
    }
}

/// An IMAP server with mailboxes, a password for everybody, and tokens.
///
/// Every user name is taken, and has an empty INBOX at first. Names such as `anna@example.test` are also addresses that
/// a [`Postfix`](super::Postfix) delivers to.
#[derive(Debug)]
pub struct Dovecot {
    process: process::Process,
    /// Whom doveadm has to be, where we are root.
    account: Option<account::Account>,
    authority: String,
    name: String,
    imap: u16,
    imaps: u16,
}

impl Dovecot {
    /// How it is to be.
    pub fn builder() -> DovecotBuilder {
        DovecotBuilder::default()
    }

    /// Where it speaks in the clear, and changes to TLS when it is asked to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.imap).into()
    }

    /// Where it speaks TLS from the first byte. Its certificate is for `localhost`.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.imaps).into()
    }

    /// The certificate of the authority to trust, in PEM.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// The same, as a file: for `network.ca_file`.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.folder().join("authority.pem")
    }

    /// An access token of that user, which ends after this time by the machine's clock.
    ///
    /// # Errors
    /// None in practice: when it cannot be signed.
    pub fn token(&self, user: &str, good_for: Duration) -> io::Result<String> {
        let now = SystemClock::new().now().as_millis() / 1_000;
        self.signed(user, now, now + i64::try_from(good_for.as_secs()).unwrap_or(i64::MAX / 2))
    }

    /// An access token of that user that has ended.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub fn expired_token(&self, user: &str) -> io::Result<String> {
        let now = SystemClock::new().now().as_millis() / 1_000;
        self.signed(user, now - 7_200, now - 3_600)
    }

    /// Dovecot refuses a token that was issued in the future, so that it is issued a little in the past.
    fn signed(&self, user: &str, from: i64, to: i64) -> io::Result<String> {
        let claims = json!({ "sub": user, "iat": from - 5, "nbf": from - 5, "exp": to });
        let key = EncodingKey::from_secret(TOKEN_KEY);
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(io::Error::other)
    }

    /// A session of that user, who has the common password.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn session(&self, user: &str) -> io::Result<Session> {
        self.session_with(user, PASSWORD).await
    }

    /// A session of a user with another password.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn session_with(&self, user: &str, password: &str) -> io::Result<Session> {
        Session::begin(self.address(), user, password).await
    }

    /// Gives a mailbox another UIDVALIDITY, as a server does that has lost its index.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub async fn set_uid_validity(&self, user: &str, mailbox: &str, validity: u32) -> io::Result<()> {
        let validity = validity.to_string();
        self.admin(&["mailbox", "update", "-u", user, "--uid-validity", &validity, mailbox]).await.map(drop)
    }

    /// The next message of a mailbox has at least this UID.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub async fn set_next_uid(&self, user: &str, mailbox: &str, uid: u32) -> io::Result<()> {
        let uid = uid.to_string();
        self.admin(&["mailbox", "update", "-u", user, "--min-next-uid", &uid, mailbox]).await.map(drop)
    }

    /// Asks the server to do something with `doveadm`, and answers what it printed. `["kick", USER]` ends sessions.
    ///
    /// # Errors
    /// When it does not do it, with its words.
    pub async fn admin(&self, arguments: &[&str]) -> io::Result<String> {
        let mut command = Command::new("/usr/bin/doveadm");
        command.arg("-c").arg(self.folder().join("dovecot.conf")).args(arguments);
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command.current_dir(self.folder()).kill_on_drop(true);
        let done = connector_sdk::clock::timeout(&SystemClock::new(), PATIENCE, command.output())
            .await
            .map_err(|_| io::Error::other(format!("doveadm does not end: {}", arguments.join(" "))))??;
        if !done.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
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
