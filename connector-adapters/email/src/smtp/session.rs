//! A session: greeted, in TLS where it was wanted, signed in.
//!
//! ```text
//!  connect ─ (TLS) ─ 220 ─ EHLO ─ (STARTTLS ─ TLS ─ EHLO) ─ (AUTH) ─▶ ready for mail
//! ```
//!
//! STARTTLS is never a wish: where it was chosen and is not offered, nothing is said any more. What the server said
//! before TLS is forgotten, and where it has said more than was asked for before TLS begins, somebody else may have
//! said it (RFC 3207, 5; CVE-2011-0411).

use std::time::Duration;

use connector_sdk::{Class, Context, Counters, Delivery, Error, Result, network::Dial};

use super::{
    config::Settings,
    ehlo::Extensions,
    fault,
    reply::Reply,
    wire::{Limits, Wire},
};
use crate::{
    auth::{Credential, Login},
    config::Tls,
    sasl::{self, Exchange, Mechanism, Place, without_secret},
};

/// What a server may ask at most while it signs us in.
const MOST_ROUNDS: usize = 8;
/// What a server has to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// Who opens sessions.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) settings: Settings,
    pub(super) dial: Dial,
    pub(super) login: Option<Login>,
}

/// A session that mail can be sent in.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) extensions: Extensions,
    /// Whose secret the server knows, and may say back.
    credential: Option<Credential>,
}

impl Server {
    /// Opens a session. A credential that the server refuses is renewed once, where it can be.
    ///
    /// # Errors
    /// Auth when the server refuses the credential; Config where TLS or signing in cannot be as they are configured;
    /// Permanent for an address that is refused and a server that wants nothing of us; Transient and RateLimited
    /// where it may work later.
    pub(super) async fn open(&self, cx: &Context, limits: &Limits) -> Result<Session> {
        let Some(login) = &self.login else { return self.greeted(cx, limits).await };
        let credential = limits.within("authenticate", limits.left(), login.credential(cx)).await??;
        let refused = match self.signed_in(cx, limits, credential.clone()).await {
            Ok(session) => {
                login.accepted(cx, &credential).await;
                return Ok(session);
            }
            Err(error) if error.class() == Class::Auth => error,
            Err(error) => return Err(error),
        };
        let renewed = limits.within("authenticate", limits.left(), login.renew(cx, &credential)).await?;
        let renewed = match renewed {
            Ok(renewed) => renewed,
            // There is no other: the server's own words say more.
            Err(error) if error.class() == Class::Auth => return Err(refused.with_source(error)),
            Err(error) => return Err(error),
        };
        // Many servers hang up on who was refused.
        let session = self.signed_in(cx, limits, renewed.clone()).await?;
        login.accepted(cx, &renewed).await;
        Ok(session)
    }

    async fn signed_in(&self, cx: &Context, limits: &Limits, credential: Credential) -> Result<Session> {
        let mut session = self.greeted(cx, limits).await?;
        session.sign_in(&self.settings, credential).await?;
        Ok(session)
    }

    /// Connected, greeted, and in TLS where that was wanted.
    async fn greeted(&self, cx: &Context, limits: &Limits) -> Result<Session> {
        Counters::add(&cx.counters().requests, 1);
        let Settings { host, port, tls, helo, .. } = &self.settings;
        let connecting = async {
            let stream = self.dial.tcp(host, *port).await?;
            if *tls == Tls::Implicit { self.dial.tls(stream, host).await } else { Ok(stream) }
        };
        let stream = limits.within("connect", limits.left(), connecting).await??;
        let mut wire = Wire::new(stream, limits.clone());
        let greeting = wire.hear("connect").await?;
        expect("connect", &greeting, 220)?;
        let mut extensions = ehlo(&mut wire, helo).await?;
        if *tls == Tls::Starttls {
            if !extensions.starttls {
                return Err(Error::config(
                    "starttls",
                    "the server does not offer STARTTLS: nothing was sent",
                )
                .with_delivery(Delivery::Answered));
            }
            expect("starttls", &wire.ask("starttls", "STARTTLS").await?, 220)?;
            if wire.has_more() {
                return Err(Error::config(
                    "starttls",
                    "the server has said more before TLS than it was asked: somebody may stand between",
                )
                .with_delivery(Delivery::Answered));
            }
            let securing = self.dial.tls(wire.into_stream(), host);
            let stream = limits.within("starttls", limits.left(), securing).await??;
            wire = Wire::new(stream, limits.clone());
            extensions = ehlo(&mut wire, helo).await?;
        }
        Ok(Session { wire, extensions, credential: None })
    }
}

async fn ehlo(wire: &mut Wire, helo: &str) -> Result<Extensions> {
    let reply = wire.ask("ehlo", &format!("EHLO {helo}")).await?;
    expect("ehlo", &reply, 250)?;
    Ok(Extensions::of(&reply))
}

fn expect(operation: &'static str, reply: &Reply, code: u16) -> Result<()> {
    if reply.code == code {
        return Ok(());
    }
    if reply.is_done() || reply.code / 100 == 3 {
        let error = Error::permanent(operation, "the server answers what nobody asked");
        return Err(error.with_delivery(Delivery::Answered).with_context("code", reply.code));
    }
    Err(fault::error(operation, reply, &connector_sdk::secret::redacted(&reply.text())))
}

impl Session {
    async fn sign_in(&mut self, settings: &Settings, credential: Credential) -> Result<()> {
        const OPERATION: &str = "authenticate";
        let offered = self.extensions.mechanisms.iter().map(String::as_str);
        let mechanism = Mechanism::choose(offered, &credential).ok_or_else(|| {
            let offered = self.extensions.mechanisms.join(" ");
            let error = Error::config(OPERATION, "the server offers no way to sign in that fits `auth`");
            let error = error.with_delivery(Delivery::Answered).with_context("offered", offered);
            error.with_context("to_mend", "is `tls` right? Some servers let nobody sign in without it")
        })?;
        let place = Place { host: &settings.host, port: settings.port };
        let mut exchange = Exchange::new(mechanism, &credential, place)?;
        let command = match exchange.initial() {
            // An empty first message is written `=` (RFC 4954, 4).
            Some(first) if first.is_empty() => {
                zeroize::Zeroizing::new(format!("AUTH {} =", mechanism.name()))
            }
            Some(first) => {
                zeroize::Zeroizing::new(format!("AUTH {} {}", mechanism.name(), *sasl::encode(&first)))
            }
            None => zeroize::Zeroizing::new(format!("AUTH {}", mechanism.name())),
        };
        let mut reply = self.secretly(&command).await?;
        for _ in 0..MOST_ROUNDS {
            if reply.code != 334 {
                break;
            }
            let challenge = reply.lines.first().map(String::as_str).unwrap_or_default();
            let answer = sasl::decode(challenge).and_then(|challenge| exchange.step(&challenge));
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    // The server is told, so that it does not wait (RFC 4954, 4).
                    let _ = self.wire.ask(OPERATION, "*").await;
                    return Err(error);
                }
            };
            reply = self.secretly(&sasl::encode(&answer)).await?;
        }
        if reply.code == 235 {
            exchange.finish()?;
            self.credential = Some(credential);
            return Ok(());
        }
        if reply.is_done() || reply.code / 100 == 3 {
            return Err(Error::permanent(OPERATION, "the server does not keep to the mechanism")
                .with_delivery(Delivery::Answered)
                .with_context("code", reply.code));
        }
        let error = fault::error(OPERATION, &reply, &without_secret(&reply.text(), &credential));
        let error = error.with_context("mechanism", mechanism.name());
        Err(match exchange.refusal() {
            Some(refusal) => error.with_context("token_refused", without_secret(refusal, &credential)),
            None => error,
        })
    }

    /// Says a line that holds a secret.
    async fn secretly(&mut self, line: &str) -> Result<Reply> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(line.len() + 2));
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        self.wire.say("authenticate", &bytes).await?;
        self.wire.hear("authenticate").await
    }

    /// A server's words as they may be shown: without what we have told it in confidence, and not too long.
    pub(super) fn shown(&self, reply: &Reply) -> String {
        const LONGEST: usize = 1_000;
        // Cut afterwards: half of a secret would not be known for one.
        let text = match &self.credential {
            Some(credential) => without_secret(&reply.text(), credential),
            None => connector_sdk::secret::redacted(&reply.text()),
        };
        text.chars().take(LONGEST).collect()
    }

    /// Says goodbye. Whatever becomes of that, everything is done.
    pub(super) async fn quit(mut self, limits: &Limits) {
        if !self.wire.is_over() {
            let _ = limits.within("quit", GOODBYE, self.wire.ask("quit", "QUIT")).await;
        }
    }
}
