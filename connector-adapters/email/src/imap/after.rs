//! What is done with a message once it is durable: nothing, unless the configuration says so.
//!
//! Everything here may be done twice: a flag that is set, a message that is not there any more. Where the server can do
//! it only in steps that may not be repeated, it is refused.

use std::sync::Arc;

use connector_sdk::{Acknowledged, Context, Error, Result};

use super::{
    account::Account,
    catalog::Stream,
    command::Command,
    config::After,
    position::{Position, raw_name},
    retry::Retries,
    select::{Opened, select},
    session::Session,
    uids::UidSet,
    utf7,
};

/// Ranges of UIDs in a command.
const RANGES: usize = 200;

/// Does it, with what the state covers and the one before did not.
///
/// # Errors
/// Config when the server cannot do it as it has to be done; otherwise as the server says. The host comes again.
pub(crate) async fn acknowledge(account: &Arc<Account>, cx: &Context, done: &Acknowledged) -> Result<()> {
    let Some(after) = &account.settings.after else { return Ok(()) };
    if done.stream.as_str() != Stream::Messages.name() {
        return Ok(());
    }
    let now = Position::decode(&done.state)?;
    let before = done.previous.as_ref().map(Position::decode).transpose()?.unwrap_or_default();
    let uids = if before.uid_validity == now.uid_validity {
        now.known.difference(&before.known)
    } else {
        now.known.clone()
    };
    if uids.is_empty() {
        return Ok(());
    }
    let raw = raw_name(done.partition.as_str(), now.raw.as_deref());
    let mut retries = Retries::new(cx, account);
    loop {
        let mut was_fresh = true;
        let treated = async {
            let mut lent = account.lend(cx, Some(&raw)).await?;
            was_fresh = lent.is_fresh;
            treat(lent.session()?, after, &raw, now.uid_validity, uids.clone()).await
        };
        match treated.await {
            Ok(()) => return Ok(()),
            Err(error) => retries.wait(cx, account, error, was_fresh).await?,
        }
    }
}

async fn treat(session: &mut Session, after: &After, raw: &[u8], validity: u32, uids: UidSet) -> Result<()> {
    let (needs, what) = match after {
        After::MarkSeen(_) => (None, ""),
        After::Move(_) => (Some("MOVE"), "move"),
        After::Delete(_) => (Some("UIDPLUS"), "delete"),
    };
    if let Some(capability) = needs.filter(|capability| !session.capabilities.has(capability)) {
        let message = format!(
            "the server does not offer {capability}, without which `after.{what}` could take away what was not read"
        );
        return Err(Error::config("acknowledge", message));
    }
    match select(session, raw).await? {
        // UIDs of another validity are other messages.
        Opened::Yes(selected) if selected.uid_validity == validity => {}
        // There is nothing left of it.
        Opened::Yes(_) | Opened::No(_) => return Ok(()),
    }
    for some in uids.ranges().chunks(RANGES) {
        let set =
            some.iter().fold(UidSet::new(), |set, (first, last)| set.union(&UidSet::range(*first..=*last)));
        let store = |flag: &str| Command::new("UID STORE").raw(format!(" {set} +FLAGS.SILENT ({flag})"));
        let commands = match after {
            After::MarkSeen(_) => vec![store("\\Seen")],
            After::Move(name) => {
                let to = utf7::encode(name);
                vec![
                    Command::new("UID MOVE")
                        .raw(format!(" {set}"))
                        .string(to.as_bytes(), &session.capabilities),
                ]
            }
            After::Delete(_) => vec![store("\\Deleted"), Command::new("UID EXPUNGE").raw(format!(" {set}"))],
        };
        for command in commands {
            session.run(command, |_| Ok(())).await?.ok("acknowledge")?;
        }
    }
    Ok(())
}
