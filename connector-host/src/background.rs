//! Waiting for what must not be left half done.

use connector_sdk::{Context, context::Background};

/// Waits for what runs in the context's background: an exchange of a token that has begun has to be answered
/// and kept, though the run that wanted it was stopped, or has failed. Runs, checks and actions do so before
/// they end. A host that drops one of them does it before its runtime ends.
///
/// It waits for two minutes at most, longer than an exchange takes by itself. What is not done by then goes on
/// as long as the runtime does, and a warning says so.
pub async fn settled(cx: &Context) {
    if let Err(elapsed) = cx.background().settled(&**cx.clock(), Background::PATIENCE).await {
        tracing::warn!(%elapsed, "something still runs in the background; a rotated token may be lost with it");
    }
}
