//! What an `email/smtp` connection is set up with. Typed, checked, no I/O.

use connector_sdk::{ByteSize, Network, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    address::{Address, AddressText, Mailbox},
    dkim::{DkimConfig, Signer},
};
use crate::{
    auth::Vendor,
    config::{Auth, Profile, Tls, check_connections, check_server, wrong},
};

/// The largest mail that is composed, by default: what large vendors take from each other.
const MAX_MESSAGE: ByteSize = ByteSize::mib(50);
/// It stands in memory while it is sent.
const LARGEST_MESSAGE: ByteSize = ByteSize::mib(512);
/// Sessions at once, by default.
const CONNECTIONS: u32 = 4;

/// The `config:` of an `email/smtp` connection.
///
/// ```
/// use connector_email::{SmtpConfig, Tls};
/// let config: SmtpConfig = serde_json::from_str(r#"{
///     "host": "smtp.example.com",
///     "auth": { "password": { "username": "ada@example.com", "password": "…" } },
///     "from": "Ada <ada@example.com>"
/// }"#).unwrap();
/// assert_eq!((config.tls, config.port), (Tls::Implicit, None));
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SmtpConfig {
    /// The server: `smtp.gmail.com`, `smtp.office365.com`.
    pub host: String,
    /// The port. Default 465; 587 with `tls: starttls`, 25 with `none`.
    pub port: Option<u16>,
    /// How the connection is secured. Default `implicit`.
    #[serde(default)]
    pub tls: Tls,
    /// How to sign in. Without it nobody does, as with a server that knows its senders by their address.
    pub auth: Option<Auth>,
    /// Who mails are from when an action does not say so: `alerts@example.com`, `Alerts <alerts@example.com>`.
    pub from: AddressText,
    /// Who gets what cannot be delivered. Default: who the mail is from.
    pub return_path: Option<String>,
    /// Signs each mail with the domain's key. Default: the server does, or nobody.
    pub dkim: Option<DkimConfig>,
    /// What we call ourselves to the server. Default: the domain of `from`.
    pub helo: Option<String>,
    /// The largest mail, encoded. Default `50MiB`, at most `512MiB`; the server's own limit is asked for besides.
    #[serde(default = "default_max_message")]
    pub max_message: ByteSize,
    /// Sessions that are held at once, 1 to 32. Default 4.
    #[schemars(range(min = 1, max = 32))]
    pub connections: Option<u32>,
    /// Whose server it is. Default `auto`: by the host's name.
    #[serde(default)]
    pub profile: Profile,
}

fn default_max_message() -> ByteSize {
    MAX_MESSAGE
}

/// What sending needs of the configuration, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) from: Mailbox,
    pub(crate) return_path: Option<Address>,
    pub(crate) dkim: Option<Signer>,
    pub(crate) helo: String,
    pub(crate) max_message: usize,
    pub(crate) connections: usize,
    pub(crate) vendor: Option<Vendor>,
}

impl SmtpConfig {
    /// Checks every field against what the connection's network allows.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(crate) fn check(&self, network: &Network) -> Result<Settings> {
        let host = check_server(&self.host, self.port, self.tls, network)?;
        self.auth.as_ref().map_or(Ok(()), Auth::check)?;
        if self.max_message.0 == 0 || self.max_message > LARGEST_MESSAGE {
            let what = format!(
                "is {}; it must be more than nothing, and at most {LARGEST_MESSAGE}",
                self.max_message
            );
            return Err(wrong("max_message", what));
        }
        let named = |field: &'static str| {
            move |_| {
                wrong(field, "is no address such as `Ada <ada@example.com>`, or holds control characters")
            }
        };
        let from = self.from.check("from").map_err(named("from"))?;
        let return_path = self.return_path.as_ref().map(|text| Address::parse("return_path", text));
        let helo = match &self.helo {
            Some(helo) => helo.clone(),
            None => from.address.domain().to_owned(),
        };
        let is_helo = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
        if helo.is_empty() || helo.len() > 255 || !helo.bytes().all(is_helo) {
            return Err(wrong("helo", "is no name of a host, or address in brackets"));
        }
        let default_port = match self.tls {
            Tls::Implicit => 465,
            Tls::Starttls => 587,
            Tls::None => 25,
        };
        Ok(Settings {
            host,
            port: self.port.unwrap_or(default_port),
            tls: self.tls,
            return_path: return_path.transpose().map_err(named("return_path"))?,
            dkim: self.dkim.as_ref().map(DkimConfig::check).transpose()?,
            from,
            helo,
            max_message: self.max_message.as_usize(),
            connections: check_connections(self.connections.unwrap_or(CONNECTIONS))?,
            vendor: vendor(self.profile, &self.host),
        })
    }
}

/// Where tokens are given, with the scope for sending where it is one of its own.
fn vendor(profile: Profile, host: &str) -> Option<Vendor> {
    let vendor = profile.known(host).oauth()?;
    let is_microsoft = vendor.scopes.iter().any(|scope| scope.contains("outlook.office.com"));
    // Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth".
    let scopes: &[&str] = &["https://outlook.office.com/SMTP.Send", "offline_access"];
    Some(if is_microsoft { Vendor { scopes, ..vendor } } else { vendor })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(change: impl FnOnce(&mut Value)) -> Result<Settings> {
        let mut config = json!({ "host": "smtp.example.com", "from": "Ada <ada@bücher.example>" });
        change(&mut config);
        serde_json::from_value::<SmtpConfig>(config).expect("parses").check(&Network::default())
    }

    #[test]
    fn ports_follow_tls_and_the_greeting_follows_the_sender() {
        let settings = check(|_| {}).unwrap();
        assert_eq!((settings.port, settings.helo.as_str()), (465, "xn--bcher-kva.example"));
        assert_eq!(check(|config| config["tls"] = json!("starttls")).unwrap().port, 587);
        let microsoft = check(|config| config["host"] = json!("smtp.office365.com")).unwrap().vendor.unwrap();
        assert_eq!(microsoft.scopes[0], "https://outlook.office.com/SMTP.Send");
        let google = check(|config| config["host"] = json!("smtp.gmail.com")).unwrap().vendor.unwrap();
        assert_eq!(google.scopes, ["https://mail.google.com/"]);
    }

    #[test]
    fn each_value_that_does_not_fit_is_named() {
        for (field, value) in [
            ("host", json!("smtp.example.com:465")),
            ("port", json!(0)),
            ("tls", json!("none")),
            ("from", json!("nobody")),
            ("from", json!("a@b.example\r\nBcc: x@y.example")),
            ("return_path", json!("<a@b.example>\r\n")),
            ("helo", json!("a b")),
            ("helo", json!("a\r\nMAIL FROM:<x@y>")),
            ("max_message", json!(0)),
            ("max_message", json!("1GiB")),
            ("connections", json!(33)),
        ] {
            let error = check(|config| config[field] = value.clone()).unwrap_err();
            assert_eq!(error.class(), connector_sdk::Class::Config);
            assert!(error.message().contains(&format!("`{field}`")), "{value}: {error}");
        }
    }
}
