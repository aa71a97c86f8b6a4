//! What is said with an access token, and what a server says of one that it refuses.

use connector_sdk::{Error, Result, secret::redacted};
use zeroize::Zeroizing;

use super::{OPERATION, Place, Words, joined};

/// How much of a refusal is kept, in bytes.
const LONGEST_REFUSAL: usize = 500;

/// Google, "The SASL XOAUTH2 Mechanism": `user=…^Aauth=Bearer …^A^A`.
pub(super) fn xoauth2(user: &str, token: &str) -> Result<Words> {
    check(token)?;
    Ok(joined(&["user=", user, "\x01auth=Bearer ", token, "\x01\x01"]))
}

/// RFC 7628, 3.1: `n,a=…,^Ahost=…^Aport=…^Aauth=Bearer …^A^A`.
pub(super) fn oauthbearer(user: &str, token: &str, place: Place<'_>) -> Result<Words> {
    check(token)?;
    let user = Zeroizing::new(escaped(user));
    let port = place.port.to_string();
    Ok(joined(&[
        "n,a=",
        &user,
        ",\x01host=",
        place.host,
        "\x01port=",
        &port,
        "\x01auth=Bearer ",
        token,
        "\x01\x01",
    ]))
}

/// What separates fields may not stand in one (RFC 6750, 2.1: a token is visible ASCII).
fn check(token: &str) -> Result<()> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::config(OPERATION, "the access token holds characters that no token has"));
    }
    Ok(())
}

/// A user name between commas (RFC 5801, 4).
pub(super) fn escaped(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}

/// The server's words about a refused token: JSON with a status and the scope it wants.
pub(super) fn refusal(challenge: &[u8]) -> String {
    let text = String::from_utf8_lossy(&challenge[..challenge.len().min(LONGEST_REFUSAL)]);
    redacted(&text.replace(char::is_control, " "))
}
