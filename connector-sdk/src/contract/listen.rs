//! For a source that calls us instead of being asked.

use std::{fmt, net::SocketAddr};

use async_trait::async_trait;

use crate::{Context, Result};

/// The half of a push source that faces the sender; the other half is [`Read`](super::Read).
///
/// [`Connector::listen`](super::Connector::listen) makes one. The host starts it before it claims a stream, and stops it
/// before it stops the reads:
///
/// ```text
/// sender ──▶ Listener ──▶ journal ──▶ Read ──▶ Bronze ──▶ acknowledge: the journal forgets
///  stop:        1. ends, journal closed   2. reads what is left, and ends   3. commit, checkpoint, acknowledge, release
/// ```
///
/// What an implementation must do:
/// - A sender is answered that its event was taken only when that is durable, and within the sender's time, whatever
///   becomes of Bronze.
/// - While it serves, a read waits for more; when it has ended, a read gives what is left, and ends by itself. A read
///   without a listener gives what is left.
/// - Dropping it leaves nothing running, and what it has taken stays.
#[async_trait]
pub trait Listener: Send + fmt::Debug {
    /// Where it is called, with the ports that it was given; none for one that calls the vendor, and is told over that
    /// connection.
    fn addresses(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    /// Takes what comes until [`Context::stop`], then answers who has begun, and ends. Nothing is taken any more then.
    ///
    /// # Errors
    /// As the reason says why nothing can be taken any more: Config when the vendor has switched it off, Auth when it
    /// does not accept us, Transient when the disk fails. What can go away is waited for.
    async fn serve(self: Box<Self>, cx: Context) -> Result<()>;
}
