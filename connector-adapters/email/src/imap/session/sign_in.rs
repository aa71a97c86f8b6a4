//! Signing in: the mechanism that the server and the credential have in common, said as SASL has it.

use connector_sdk::{Class, Context, Delivery, Error, Result};
use zeroize::Zeroizing;

use super::{Done, Event, Session, open::capability};
use crate::{
    auth::{Credential, Kind, Login},
    imap::{
        command::Command,
        config::Settings,
        fault::shown,
        wire::{self, Status},
    },
    sasl::{self, Exchange, Mechanism, Place},
};

/// Signs in. A credential that is refused is renewed once.
///
/// # Errors
/// Auth when the credential is refused and there is no other; otherwise as the server says.
pub(super) async fn sign_in(
    session: &mut Session,
    cx: &Context,
    settings: &Settings,
    login: &Login,
) -> Result<()> {
    if session.capabilities.is_empty() {
        capability(session).await?;
    }
    let mut credential = login.credential(cx).await?;
    let mut is_renewed = false;
    loop {
        session.is_told = false;
        (session.told, session.is_signing_in) = (Some(credential.clone()), true);
        let attempted = attempt(session, settings, &credential).await;
        session.is_signing_in = false;
        let refused = match attempted {
            Ok(()) => {
                login.accepted(cx, &credential).await;
                // What was offered before is not what is offered now; many tell it with their OK.
                return if session.is_told { Ok(()) } else { capability(session).await };
            }
            Err(error) => error,
        };
        if is_renewed || refused.class() != Class::Auth || !session.is_idle() {
            return Err(refused);
        }
        is_renewed = true;
        credential = login.renew(cx, &credential).await.map_err(|error| match error.class() {
            // Nobody comes after it: what the server said is what there is to say.
            Class::Auth => refused,
            _ => error,
        })?;
    }
}

async fn attempt(session: &mut Session, settings: &Settings, credential: &Credential) -> Result<()> {
    let Some(mechanism) = Mechanism::choose(session.capabilities.mechanisms(), credential) else {
        // Servers of old offer no SASL (RFC 3501, 6.2.3).
        if credential.kind == Kind::Password && !session.capabilities.has("LOGINDISABLED") {
            return plain_login(session, credential).await;
        }
        let offered = shown(session.capabilities.mechanisms().join(" ").as_bytes());
        let message = "the server offers no way to sign in with this kind of credential";
        return Err(Error::config("sign in", message).with_context("offered", offered));
    };
    let place = Place { host: &settings.host, port: settings.port };
    let exchange = || Exchange::new(mechanism, credential, place);
    let has_ir = settings.sasl_ir && session.capabilities.has("SASL-IR");
    match authenticate(session, mechanism, exchange()?, has_ir).await? {
        // Some offer it and do not take it (himalaya#729).
        Done::Refused(refusal, _) if has_ir && refusal.status == Status::Bad => {
            authenticate(session, mechanism, exchange()?, false).await?.ok("sign in").map(drop)
        }
        done => done.ok("sign in").map(drop),
    }
}

async fn authenticate(
    session: &mut Session,
    mechanism: Mechanism,
    mut exchange: Exchange,
    has_ir: bool,
) -> Result<Done> {
    let mut command = Command::new("AUTHENTICATE").raw(format!(" {}", mechanism.name()));
    if has_ir && let Some(first) = exchange.initial() {
        let encoded = sasl::encode(&first);
        command = command.raw(" ").raw(if encoded.is_empty() { "=" } else { encoded.as_str() });
    }
    let tag = session.begin(command).await?;
    let mut failure = None;
    loop {
        match session.event().await? {
            Event::Done(done, how) if done == tag => {
                return match (how, failure) {
                    (Done::Ok(code), _) => exchange.finish().map(|()| Done::Ok(code)),
                    // We gave up, and why tells more than that the server took note of it.
                    (_, Some(error)) => Err(error),
                    (Done::Refused(refusal, class), None) => {
                        let said = exchange.refusal().zip(session.told.as_ref());
                        let said = said.map(|(said, credential)| sasl::without_secret(said, credential));
                        Ok(Done::Refused(refusal.because(said.as_deref()), class))
                    }
                };
            }
            Event::Data(_) | Event::Done(..) => {}
            Event::Continue(response) => {
                let challenge = match response.kind() {
                    wire::Kind::Continue(text) => String::from_utf8_lossy(text).into_owned(),
                    _ => String::new(),
                };
                let answer = sasl::decode(&challenge).and_then(|challenge| exchange.step(&challenge));
                // `*` takes the attempt back (RFC 9051, 6.2.2).
                let line = match answer {
                    Ok(words) => Zeroizing::new(format!("{}\r\n", *sasl::encode(&words))),
                    Err(error) if failure.is_none() => {
                        failure = Some(error);
                        Zeroizing::new("*\r\n".to_owned())
                    }
                    Err(error) => return Err(error.with_delivery(Delivery::Answered)),
                };
                let sent = session.wire.send(line.as_bytes()).await;
                session.alive(sent)?;
            }
        }
    }
}

async fn plain_login(session: &mut Session, credential: &Credential) -> Result<()> {
    let command = Command::new("LOGIN")
        .string(credential.username.as_bytes(), &session.capabilities)
        .string(credential.secret().expose().as_bytes(), &session.capabilities);
    session.run(command, |_| Ok(())).await?.ok("sign in").map(drop)
}
