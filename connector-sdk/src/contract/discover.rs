//! The second verb: what is there to read?

use async_trait::async_trait;

use crate::{Catalog, Context, Result, StreamId};

/// Says what can be read.
///
/// ```
/// use connector_sdk::{Catalog, Context, Discover, Result, StreamId, StreamSpec};
///
/// #[derive(Debug)]
/// struct Tickets;
///
/// #[async_trait::async_trait]
/// impl Discover for Tickets {
///     async fn discover(&self, _cx: &Context, _names: Option<&[StreamId]>) -> Result<Catalog> {
///         let schema = serde_json::json!({"type": "object", "properties": {"id": {"type": "integer"}}});
///         Ok(Catalog::new(vec![StreamSpec::new("tickets", schema).with_primary_key(["id"])]))
///     }
/// }
/// ```
#[async_trait]
pub trait Discover: Send + Sync {
    /// The streams with their schemas. With `names`, only these are looked at (a vendor may have a
    /// thousand); a name that does not exist, or may not be read, is left out, and the host says so.
    ///
    /// # Errors
    /// Auth, Transient, RateLimited and Permanent as the vendor answers. One stream that cannot be
    /// described must not fail the others.
    async fn discover(&self, cx: &Context, names: Option<&[StreamId]>) -> Result<Catalog>;
}
