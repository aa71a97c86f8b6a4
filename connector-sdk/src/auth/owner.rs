//! Whose a source of tokens is.

use std::sync::OnceLock;

use crate::{ConnectionName, Context, Error, Result, TenantId};

/// The first tenant's connection that asks. It costs those who come after a comparison of two texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Owner(OnceLock<(TenantId, ConnectionName)>);

impl Owner {
    /// Whether this is the connection that asked first.
    pub(super) fn is(&self, cx: &Context) -> bool {
        self.0
            .get()
            .is_some_and(|(tenant, connection)| tenant == cx.tenant() && connection == cx.connection())
    }

    /// Binds the source to this connection if it is the first that asks; answers whether the source is its.
    pub(super) fn admits(&self, cx: &Context) -> bool {
        let (tenant, connection) = self.0.get_or_init(|| (cx.tenant().clone(), cx.connection().clone()));
        tenant == cx.tenant() && connection == cx.connection()
    }

    /// The same.
    ///
    /// # Errors
    /// Bug when somebody else asked before. It names the one who asks now only.
    pub(super) fn admit(&self, cx: &Context) -> Result<()> {
        if self.admits(cx) {
            return Ok(());
        }
        let message = "a token source is used for two connections: each connection needs one of its own";
        Err(Error::bug("token", message)
            .with_context("tenant", cx.tenant())
            .with_context("connection", cx.connection()))
    }
}
