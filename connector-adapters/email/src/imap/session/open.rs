//! How a conversation begins: greeting, TLS, signing in, what the server can do, who we are.

use std::sync::Arc;

use connector_sdk::{Context, Delivery, Error, Result, network::Dial};

use super::{Done, Event, Session, sign_in::sign_in};
use crate::{
    auth::Login,
    config::Tls,
    imap::{
        capability::Changes,
        command::Command,
        config::Settings,
        fault::Refusal,
        wire::{Kind, Limits, Status, Wire},
    },
};

/// What the server is told that we are (RFC 2971); some let nobody in who does not say (pimalaya/core#51).
const NAME: &str = "connector-sdk";

/// Connects and signs in.
///
/// # Errors
/// Config for TLS that cannot be, Permanent for an address that is refused, Auth for a credential that is refused,
/// Transient and RateLimited as the server says.
pub(crate) async fn open(cx: &Context, dial: &Dial, settings: &Settings, login: &Login) -> Result<Session> {
    let (mut session, is_in) = greet(cx, dial, settings).await?;
    if !is_in {
        sign_in(&mut session, cx, settings, login).await?;
    }
    introduce(&mut session).await?;
    Ok(session)
}

/// Up to where a credential may be sent, and whether none is needed.
async fn greet(cx: &Context, dial: &Dial, settings: &Settings) -> Result<(Session, bool)> {
    let limits = Limits::for_messages_of(settings.max_message);
    let wire = |stream| {
        let idle = cx.resilience().idle_timeout;
        Wire::new(stream, limits, Arc::clone(cx.clock()), Arc::clone(cx.counters()), idle)
    };
    let mut stream = dial.tcp(&settings.host, settings.port).await?;
    if settings.tls == Tls::Implicit {
        stream = dial.tls(stream, &settings.host).await?;
    }
    let mut session = Session::new(wire(stream), cx);
    let is_in = greeting(&mut session, cx).await?;
    if settings.tls == Tls::Starttls {
        if is_in {
            let message = "the server has let us in before TLS began: somebody may stand in between";
            return Err(Error::config("connect", message).with_delivery(Delivery::Answered));
        }
        if session.capabilities.is_empty() {
            capability(&mut session).await?;
        }
        if !session.capabilities.has("STARTTLS") {
            let message = "the server offers no STARTTLS: use `tls: implicit` and its port";
            return Err(Error::config("connect", message).with_delivery(Delivery::Answered));
        }
        session.run(Command::new("STARTTLS"), |_| Ok(())).await?.ok("connect")?;
        let stream = dial.tls(session.wire.into_stream()?, &settings.host).await?;
        // What was said in the clear may be somebody else's.
        session = Session::new(wire(stream), cx);
    }
    Ok((session, is_in))
}

/// Whether the server has let us in already.
async fn greeting(session: &mut Session, cx: &Context) -> Result<bool> {
    let until = cx.clock().monotonic().saturating_add(cx.resilience().deadline);
    let response = session.wire.next(until).await?;
    match response.kind() {
        Kind::Status(condition) => match condition.status {
            Status::Ok | Status::Preauth => {
                session.learn(condition.code);
                Ok(condition.status == Status::Preauth)
            }
            _ => {
                let (refusal, class) = Refusal::classified(&condition, None, false);
                Err(refusal.into_error("connect", class))
            }
        },
        _ => Err(Error::config("connect", "what answers on this port is no IMAP server")
            .with_delivery(Delivery::Answered)),
    }
}

/// Asks what the server can do.
pub(super) async fn capability(session: &mut Session) -> Result<()> {
    session.run(Command::new("CAPABILITY"), |_| Ok(())).await?.ok("connect").map(drop)
}

/// Says who we are, and which of the server's ways we know.
async fn introduce(session: &mut Session) -> Result<()> {
    if session.capabilities.is_empty() {
        capability(session).await?;
    }
    let mut under_way = Vec::new();
    if session.capabilities.has("ID") {
        let id = format!(" (\"name\" \"{NAME}\" \"version\" \"{}\")", env!("CARGO_PKG_VERSION"));
        under_way.push((session.begin(Command::new("ID").raw(id)).await?, false));
    }
    if session.capabilities.has("ENABLE") {
        // iCloud shows no HIGHESTMODSEQ unless CONDSTORE was enabled before a mailbox is opened (lswith/imap-mcp#8).
        let word = match session.capabilities.changes() {
            Changes::Qresync => Some((" QRESYNC", true)),
            Changes::Condstore => Some((" CONDSTORE", false)),
            Changes::Compare => None,
        };
        if let Some((word, is_qresync)) = word {
            under_way.push((session.begin(Command::new("ENABLE").raw(word)).await?, is_qresync));
        }
    }
    while !under_way.is_empty() {
        if let Event::Done(tag, how) = session.event().await? {
            // A server that cannot be told who we are, or that enables nothing, can be read all the same.
            let is_qresync = under_way.iter().any(|(known, is_qresync)| *known == tag && *is_qresync);
            session.has_qresync |= is_qresync && matches!(how, Done::Ok(_));
            under_way.retain(|(known, _)| *known != tag);
        }
    }
    Ok(())
}
