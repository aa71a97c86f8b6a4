//! SASL without I/O: which mechanism to use, and what to say in it. Shared by IMAP and SMTP.
//!
//! ```text
//!  AUTHENTICATE/AUTH ─ initial ─▶ challenge ─ step ─▶ … ─▶ the server lets us in ─ finish ─▶ it is who it says
//! ```
//!
//! The caller puts base64 around what is said ([`encode`], [`decode`]), and knows how its protocol carries the first
//! message. SCRAM proves the server to us as well, so that being let in is not the end: [`Exchange::finish`] is.

mod bearer;
mod hide;
mod scram;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::{Class, Delivery, Error, Result};
use zeroize::Zeroizing;

use crate::auth::{Credential, Kind};

pub(crate) use self::hide::without_secret;
use self::scram::Scram;

/// What is being done, in errors.
const OPERATION: &str = "authenticate";

/// Bytes to be sent that may hold a secret.
pub(crate) type Words = Zeroizing<Vec<u8>>;

/// A way to prove who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// RFC 7677: neither side shows the password, and the server proves that it knows it.
    ScramSha256,
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login: two questions, two answers.
    Login,
    /// Google, "OAuth 2.0 Mechanism"; Microsoft the same.
    XOAuth2,
    /// RFC 7628.
    OAuthBearer,
}

impl Mechanism {
    /// As servers offer it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// The best of those that are offered; none where none will do.
    ///
    /// A password that is not all ASCII is rather shown than proven, because what SCRAM makes of it depends on how each
    /// side normalises text (RFC 4013), and servers do not agree.
    pub(crate) fn choose<'a>(
        offered: impl IntoIterator<Item = &'a str>,
        credential: &Credential,
    ) -> Option<Self> {
        let offered: Vec<&str> = offered.into_iter().collect();
        let is_offered =
            |mechanism: &Self| offered.iter().any(|name| name.eq_ignore_ascii_case(mechanism.name()));
        let is_ascii = credential.username.is_ascii() && credential.secret().expose().is_ascii();
        let wanted: &[Self] = match credential.kind {
            Kind::Password if is_ascii => &[Self::ScramSha256, Self::Plain, Self::Login],
            Kind::Password => &[Self::Plain, Self::Login, Self::ScramSha256],
            Kind::XOAuth2 => &[Self::XOAuth2],
            Kind::OAuthBearer => &[Self::OAuthBearer],
        };
        wanted.iter().copied().find(is_offered)
    }
}

/// Where the server is, as OAUTHBEARER names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

/// One conversation in one mechanism.
pub(crate) struct Exchange {
    state: State,
    /// What the server said of a token that it refused.
    refusal: Option<String>,
}

enum State {
    /// One message, and then whatever the server says.
    Once {
        first: Option<Words>,
        of_bearer: bool,
    },
    /// User and password, in this order.
    Login {
        answers: std::vec::IntoIter<Words>,
    },
    Scram(Box<Scram>),
}

impl Exchange {
    /// Begins one.
    ///
    /// # Errors
    /// Config when the credential cannot be said in this mechanism; Bug when there is no randomness.
    pub(crate) fn new(mechanism: Mechanism, credential: &Credential, place: Place<'_>) -> Result<Self> {
        let (user, secret) = (&*credential.username, credential.secret().expose());
        if [user, secret].iter().any(|text| text.contains('\0')) {
            return Err(Error::config(OPERATION, "user and secret may not hold NUL"));
        }
        let state = match mechanism {
            Mechanism::Plain => {
                State::Once { first: Some(joined(&["\0", user, "\0", secret])), of_bearer: false }
            }
            Mechanism::Login => {
                let answers = [joined(&[user]), joined(&[secret])];
                State::Login { answers: Vec::from(answers).into_iter() }
            }
            Mechanism::XOAuth2 => {
                State::Once { first: Some(bearer::xoauth2(user, secret)?), of_bearer: false }
            }
            Mechanism::OAuthBearer => {
                State::Once { first: Some(bearer::oauthbearer(user, secret, place)?), of_bearer: true }
            }
            Mechanism::ScramSha256 => State::Scram(Box::new(Scram::new(credential, &scram::nonce()?))),
        };
        Ok(Self { state, refusal: None })
    }

    /// What we say first; none where the server begins. Say it with the command, or as the answer to an empty challenge,
    /// for which [`step`](Self::step) answers it.
    pub(crate) fn initial(&mut self) -> Option<Words> {
        match &mut self.state {
            State::Once { first, .. } => first.take(),
            State::Login { .. } => None,
            State::Scram(scram) => scram.first(),
        }
    }

    /// The answer to a challenge.
    ///
    /// # Errors
    /// Permanent when the server does not keep to the mechanism, or cannot prove that it knows the password.
    pub(crate) fn step(&mut self, challenge: &[u8]) -> Result<Words> {
        if let Some(first) = self.initial() {
            return Ok(first);
        }
        match &mut self.state {
            // The server has refused, says why, and waits for a word before it ends (RFC 7628, 3.2.3).
            State::Once { of_bearer, .. } => {
                self.refusal = Some(bearer::refusal(challenge));
                Ok(Words::new(if *of_bearer { vec![1] } else { Vec::new() }))
            }
            State::Login { answers } => answers.next().ok_or_else(|| broken("the server asks a third time")),
            State::Scram(scram) => scram.step(challenge),
        }
    }

    /// The server has let us in.
    ///
    /// # Errors
    /// Permanent when it has not proven that it knows the password, where the mechanism asks for that.
    pub(crate) fn finish(&self) -> Result<()> {
        match &self.state {
            State::Scram(scram) => scram.finish(),
            State::Once { first: Some(_), .. } => {
                Err(broken("the server lets us in before we have said anything"))
            }
            _ => Ok(()),
        }
    }

    /// What the server said of the token that it refused, without anything secret.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchange")
    }
}

/// What is said, as both protocols carry it.
pub(crate) fn encode(words: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(words))
}

/// What was said.
///
/// # Errors
/// Permanent when it is no base64.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text.trim()).map_err(|_| broken("the server's challenge is no base64"))
}

fn joined(parts: &[&str]) -> Words {
    // Reserved at once: a vector that grows leaves copies behind.
    let mut words = Words::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| words.extend_from_slice(part.as_bytes()));
    words
}

/// The server does not keep to the mechanism.
fn broken(what: &str) -> Error {
    Error::new(Class::Permanent, OPERATION, what).with_delivery(Delivery::Answered)
}

#[cfg(test)]
mod tests;
