//! A secret that is sent itself, in `Authorization`: `Bearer` (RFC 6750, section 2.1) and `Basic` (RFC 7617).
//!
//! Nothing of the request is signed: who hears it can send another. They are for connections that nobody hears.

mod known;

use bytes::Bytes;
use connector_sdk::{Error, Result, Secret, Timestamp};
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use self::known::Known;
use super::{
    Proof, Refused, Scheme, Signature, Signer, encoding, head,
    signer::{check_id, said, said_secretly},
};

/// `Authorization: Bearer {secret}`.
#[derive(Debug)]
pub(super) struct Bearer {
    known: Known,
    id: Option<HeaderName>,
}

/// `Authorization: Basic {base64 of name:password}`.
#[derive(Debug)]
pub(super) struct Basic {
    known: Known,
    id: Option<HeaderName>,
}

impl Bearer {
    pub(super) fn new(secrets: &[Secret], id: Option<HeaderName>) -> Result<Self> {
        if !secrets.iter().all(|secret| is_token(secret.expose())) {
            return Err(Error::config(
                "connect",
                "one is empty, or holds what is no visible character of ASCII",
            ));
        }
        Ok(Self { known: Known::new(secrets), id })
    }
}

impl Basic {
    pub(super) fn new(secrets: &[Secret], id: Option<HeaderName>) -> Result<Self> {
        for secret in secrets {
            match secret.expose().split_once(':') {
                None => return Err(Error::config("connect", "one has no colon: it is name:password")),
                Some((_, "")) => return Err(Error::config("connect", "one has no password after the colon")),
                // RFC 7617, section 2: no control characters.
                Some(_) if secret.expose().contains(char::is_control) => {
                    return Err(Error::config("connect", "one holds a control character"));
                }
                Some(_) => {}
            }
        }
        Ok(Self { known: Known::new(secrets), id })
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What stands after the name of the scheme, in any case, and one space.
fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Result<&'a str, Refused> {
    let header = head::only(headers, &AUTHORIZATION)?;
    let (name, rest) = header.split_once(' ').ok_or(Refused::malformed("the authorization is none"))?;
    if !is_token(name) || !is_token(rest) {
        return Err(Refused::malformed("the authorization is none"));
    }
    match name.eq_ignore_ascii_case(scheme) {
        true => Ok(rest),
        false => Err(Refused::unauthorized("the authorization is of another kind")),
    }
}

/// The proof, where what was sent is known.
fn prove(known: &Known, said: &[u8], headers: &HeaderMap, id: Option<&HeaderName>) -> Result<Proof, Refused> {
    if !known.holds(said) {
        return Err(Refused::unauthorized("the authorization is wrong"));
    }
    let id = id.map(|name| head::id(headers, name)).transpose()?.flatten();
    Ok(Proof { id, id_is_signed: true, ..Proof::default() })
}

impl Scheme for Bearer {
    fn name(&self) -> &'static str {
        "bearer"
    }

    fn verify(&self, headers: &HeaderMap, _: &Bytes, _: Timestamp) -> Result<Proof, Refused> {
        let token = credentials(headers, "bearer")?;
        prove(&self.known, token.as_bytes(), headers, self.id.as_ref())
    }
}

impl Scheme for Basic {
    fn name(&self) -> &'static str {
        "basic"
    }

    fn verify(&self, headers: &HeaderMap, _: &Bytes, _: Timestamp) -> Result<Proof, Refused> {
        let said = encoding::decoded(credentials(headers, "basic")?);
        let said = said.filter(|said| said.contains(&b':'));
        let said = said.ok_or(Refused::malformed("the authorization is no name and password"))?;
        prove(&self.known, &said, headers, self.id.as_ref())
    }
}

fn authorized(value: &str, id: &str, name: Option<&HeaderName>) -> Result<Signature> {
    let mut headers = vec![said_secretly(&AUTHORIZATION, value)?];
    if let Some(name) = name {
        headers.push(said(name, id)?);
    }
    Ok(headers)
}

impl Signer for Bearer {
    fn sign(&self, id: &str, _: Timestamp, _: &Bytes) -> Result<Signature> {
        check_id(self, id)?;
        authorized(&format!("Bearer {}", self.known.first()), id, self.id.as_ref())
    }
}

impl Signer for Basic {
    fn sign(&self, id: &str, _: Timestamp, _: &Bytes) -> Result<Signature> {
        check_id(self, id)?;
        let encoded = encoding::base64(self.known.first().as_bytes());
        authorized(&format!("Basic {encoded}"), id, self.id.as_ref())
    }
}
