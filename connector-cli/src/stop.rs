//! SIGINT and SIGTERM: the first asks the run to stop, the second ends the process.

use connector_sdk::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first signal cancels. A second one ends the process at once: what was committed stays,
/// and the next run goes on from there (rule D-17).
///
/// # Errors
/// Bug when the system takes no handler.
pub(crate) fn on_signals() -> Result<CancellationToken> {
    let listen = |kind| {
        signal(kind).map_err(|error| Error::bug("start", "signals cannot be listened to").with_source(error))
    };
    let mut interrupted = listen(SignalKind::interrupt())?;
    let mut terminated = listen(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        either(&mut interrupted, &mut terminated).await;
        tracing::warn!("stopping: what is in hand is made durable first; a second signal ends at once");
        token.cancel();
        either(&mut interrupted, &mut terminated).await;
        std::process::exit(1);
    });
    Ok(stop)
}

async fn either(interrupted: &mut Signal, terminated: &mut Signal) {
    tokio::select! {
        _ = interrupted.recv() => (),
        _ = terminated.recv() => (),
    }
}
