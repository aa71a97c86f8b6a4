//! Files that records name: attachments, too large or too foreign for a record.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// Keeps files beside the records that name them. A sink offers it ([`Emit::files`](super::Emit::files)), the host lends it
/// to the connector ([`Context::files`](crate::Context::files)).
///
/// A file is named by what is in it, so keeping it again is keeping it once, also after a crash. A connector keeps a file
/// before it sends the record: a record in Bronze never names a file that is not there. A file whose record was never
/// committed stays, and is the same when it is read again.
#[async_trait]
pub trait Files: Send + Sync + fmt::Debug {
    /// Keeps these bytes, whose SHA-256 this is. They are durable when it returns; the answer is the file's path, relative
    /// to the connection's folder, as a record may name it.
    ///
    /// # Errors
    /// Transient, Permanent or Config as the disk fails.
    async fn keep(&self, sha256: [u8; 32], bytes: Bytes) -> Result<String>;
}
