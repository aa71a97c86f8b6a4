//! Doors for the fuzz targets, and for nobody else: each takes what a server might say, and holds what has to be true.

use connector_sdk::Secret;

use crate::{
    auth::{Credential, Kind},
    sasl::{Exchange, Mechanism, Place},
};

/// What an IMAP server says: it is cut into responses alike however it arrives, and all that is read of a response is
/// read without a panic.
pub fn imap(said: &[u8]) {
    crate::imap::fuzz(said);
}

/// What an SMTP server says, alike however it arrives.
pub fn smtp(said: &[u8]) {
    crate::smtp::fuzz::fuzz(said);
}

/// Challenges, one per line, of the mechanism that the first byte chooses. A server that does not know the password is not
/// believed to have proven it.
pub fn sasl(said: &[u8]) {
    let Some((first, challenges)) = said.split_first() else { return };
    let (mechanism, kind) = match first % 5 {
        0 => (Mechanism::ScramSha256, Kind::Password),
        1 => (Mechanism::Plain, Kind::Password),
        2 => (Mechanism::Login, Kind::Password),
        3 => (Mechanism::XOAuth2, Kind::XOAuth2),
        _ => (Mechanism::OAuthBearer, Kind::OAuthBearer),
    };
    let credential = Credential::new("user,=", kind, Secret::from("of the fuzz target"));
    let place = Place { host: "mail.example", port: 993 };
    let Ok(mut exchange) = Exchange::new(mechanism, &credential, place) else { return };
    drop(exchange.initial());
    for challenge in challenges.split(|byte| *byte == b'\n') {
        if exchange.step(challenge).is_err() {
            break;
        }
    }
    let _ = exchange.refusal().map(str::len);
    if mechanism == Mechanism::ScramSha256 {
        assert!(exchange.finish().is_err(), "nobody has proven anything");
    }
}
