//! What an `email/imap` connection is set up with. Typed, checked, no I/O.

use connector_sdk::{ByteSize, Network, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{Auth, Known, Profile, Tls, check_connections, check_server, wrong};

/// The largest message that is fetched whole, by default: what Gmail takes in is 50 MiB, Microsoft 365 150 MiB.
const MAX_MESSAGE: ByteSize = ByteSize::mib(50);
/// Memory is bounded by it, as the host holds some messages at once.
const LARGEST_MESSAGE: ByteSize = ByteSize::mib(512);
/// A limit smaller than that would cut every header.
const SMALLEST_MESSAGE: ByteSize = ByteSize(1 << 10);
/// Each pattern is held against each mailbox that the server names.
const MOST_PATTERNS: usize = 100;
const LONGEST_PATTERN: usize = 1_000;
/// Longer sets of UIDs make longer commands than some servers take (RFC 7162, 4: 8,192 bytes).
const LARGEST_PAGE: u32 = 500;

/// The `config:` of an `email/imap` connection.
///
/// ```
/// use connector_email::{ImapConfig, Tls};
/// let config: ImapConfig = serde_json::from_str(r#"{
///     "host": "imap.example.com",
///     "auth": { "password": { "username": "ada@example.com", "password": "…" } }
/// }"#).unwrap();
/// assert_eq!((config.tls, config.port), (Tls::Implicit, None));
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImapConfig {
    /// The server: `imap.gmail.com`, `outlook.office365.com`.
    pub host: String,
    /// The port. Default 993, and 143 with `tls: starttls` or `none`.
    pub port: Option<u16>,
    /// How the connection is secured. Default `implicit`.
    #[serde(default)]
    pub tls: Tls,
    /// How to sign in.
    pub auth: Auth,
    /// The mailboxes to read, as patterns: `*` stands for anything, `%` for anything within a level, and one that
    /// begins with `!` leaves out what it matches. Default: all that can be selected, and with profile `gmail` what is
    /// in `All Mail`, Spam and Trash, because there a mailbox is a label.
    #[serde(default)]
    pub mailboxes: Vec<String>,
    /// The largest message that is fetched whole. Of a larger one the beginning is, and `defects` say so. Default
    /// `50MiB`, at most `512MiB`.
    #[serde(default = "default_max_message")]
    pub max_message: ByteSize,
    /// What is kept of attachments: what they are (`metadata`, the default), or their bytes as files beside the records
    /// too (`files`).
    #[serde(default)]
    pub attachments: Attachments,
    /// Keeps the message as it came in the field `raw` (base64). Default false.
    #[serde(default)]
    pub raw: bool,
    /// Whose server it is. Default `auto`: by the host's name, and by what the server says of itself.
    #[serde(default)]
    pub profile: Profile,
    /// Messages that are asked for at once, 1 to 500; fewer where they are large. Default 500.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 500))]
    pub page_size: u32,
    /// Connections that are held at once, 1 to 32. Default 4.
    #[schemars(range(min = 1, max = 32))]
    pub connections: Option<u32>,
    /// Sends the credential with the command that signs in, where the server offers that. Default true; some servers
    /// offer it and refuse it.
    pub sasl_ir: Option<bool>,
    /// What is done with a message once it is durable. Default: nothing.
    pub after: Option<After>,
}

/// What is kept of attachments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attachments {
    /// Name, type, size and hash.
    #[default]
    Metadata,
    /// Their bytes too, as files.
    Files,
}

/// What is done with a message of stream `messages` once it is durable; exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum After {
    /// It is marked as seen.
    MarkSeen(bool),
    /// It is moved into this mailbox, which is not read then.
    Move(String),
    /// It is deleted for ever.
    Delete(bool),
}

fn default_max_message() -> ByteSize {
    MAX_MESSAGE
}
fn default_page_size() -> u32 {
    LARGEST_PAGE
}

/// What reading needs of the configuration, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) mailboxes: Vec<String>,
    pub(crate) max_message: usize,
    pub(crate) attachments: Attachments,
    pub(crate) raw: bool,
    pub(crate) vendor: Known,
    pub(crate) page_size: usize,
    pub(crate) connections: usize,
    pub(crate) sasl_ir: bool,
    pub(crate) after: Option<After>,
}

impl Settings {
    /// Whether messages that were read are taken out of their mailbox by us.
    pub(crate) fn takes_away(&self) -> bool {
        matches!(self.after, Some(After::Move(_) | After::Delete(_)))
    }
}

impl ImapConfig {
    /// Checks every field against what the connection's network allows.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(crate) fn check(&self, network: &Network) -> Result<Settings> {
        let host = check_server(&self.host, self.port, self.tls, network)?;
        self.auth.check()?;
        if !(SMALLEST_MESSAGE..=LARGEST_MESSAGE).contains(&self.max_message) {
            let what = format!("is {}; it must be {SMALLEST_MESSAGE} to {LARGEST_MESSAGE}", self.max_message);
            return Err(wrong("max_message", what));
        }
        if !(1..=LARGEST_PAGE).contains(&self.page_size) {
            return Err(wrong("page_size", format!("is {}; it must be 1 to {LARGEST_PAGE}", self.page_size)));
        }
        let vendor = self.profile.known(&self.host);
        let connections = check_connections(self.connections.unwrap_or(vendor.connections()))?;
        let acts = !matches!(self.after, None | Some(After::MarkSeen(false) | After::Delete(false)));
        if acts && connections < 2 {
            return Err(wrong(
                "connections",
                "is 1; with `after` one is kept for that, and one more is needed to read",
            ));
        }
        let broken = |name: &String| name.is_empty() || name == "!" || name.chars().any(char::is_control);
        if self.mailboxes.len() > MOST_PATTERNS
            || self.mailboxes.iter().any(|name| name.len() > LONGEST_PATTERN)
        {
            return Err(wrong(
                "mailboxes",
                format!(
                    "holds more than {MOST_PATTERNS} patterns, or one of more than {LONGEST_PATTERN} bytes"
                ),
            ));
        }
        if self.mailboxes.iter().any(broken) {
            return Err(wrong("mailboxes", "holds a name that is empty, or has control characters"));
        }
        let after = match &self.after {
            Some(After::MarkSeen(false) | After::Delete(false)) | None => None,
            Some(After::Move(name)) if broken(name) => {
                return Err(wrong("after.move", "is empty, or has control characters"));
            }
            Some(after) => Some(after.clone()),
        };
        Ok(Settings {
            host,
            port: self.port.unwrap_or(if self.tls == Tls::Implicit { 993 } else { 143 }),
            tls: self.tls,
            mailboxes: self.mailboxes.clone(),
            max_message: self.max_message.as_usize(),
            attachments: self.attachments,
            raw: self.raw,
            vendor,
            page_size: self.page_size as usize,
            connections,
            sasl_ir: self.sasl_ir.unwrap_or_else(|| vendor.has_sasl_ir()),
            after,
        })
    }
}
