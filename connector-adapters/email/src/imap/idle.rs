//! Waiting until a mailbox may have changed. A hint only: it can end in silence, so whoever waits looks besides.

use std::{sync::Arc, time::Duration};

use connector_sdk::{Context, Result};

use super::{
    account::Account,
    mailbox,
    select::{Opened, examine},
};

/// Servers end what is silent for half an hour (RFC 2177, 3), so that it is said again before.
const AGAIN: Duration = Duration::from_secs(28 * 60);

/// Ends when something has changed in the first mailbox that is read, INBOX where it is one of them. Without IDLE it
/// waits for ever.
///
/// # Errors
/// As the server says.
pub(crate) async fn changed(account: &Arc<Account>, cx: &Context) -> Result<()> {
    let mut lent = account.lend(cx, None).await?;
    let session = lent.session()?;
    if !session.capabilities.has("IDLE") {
        drop(lent);
        return std::future::pending().await;
    }
    let mailboxes = mailbox::list(session, &account.settings).await?;
    let wanted = mailbox::selected(&mailboxes, &account.settings);
    let first = wanted.iter().filter_map(|at| mailboxes.get(*at));
    let Some(first) = first.min_by_key(|mailbox| mailbox.name != "INBOX") else {
        drop(lent);
        return std::future::pending().await;
    };
    if let Opened::No(refusal) = examine(session, &first.raw, None).await? {
        return Err(refusal.into_error("idle", connector_sdk::Class::Permanent));
    }
    while !session.idle(AGAIN).await? {}
    Ok(())
}
