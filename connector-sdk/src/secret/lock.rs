//! The right to exchange a credential, which one process at a time has.

use std::fmt;

/// What [`TokenStore::try_lock`](super::TokenStore::try_lock) came to.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> connector_sdk::Result<()> {
/// use connector_sdk::secret::{MemoryTokens, TokenLock, TokenStore};
/// assert!(matches!(MemoryTokens::default().try_lock("refresh_token").await?, TokenLock::None));
/// # Ok(()) }
/// ```
pub enum TokenLock {
    /// The store has no locks: two who exchange at once are told apart only by the vendor.
    None,
    /// Somebody else has it.
    Busy,
    /// It is ours until the value is dropped. It must end with the process, however that ends.
    Held(Box<dyn Send + Sync>),
}

impl fmt::Debug for TokenLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Busy => "Busy",
            Self::Held(_) => "Held",
        })
    }
}
