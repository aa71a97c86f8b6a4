//! Method `email/smtp`: sends mail.

use connector_sdk::{Context, Error, Factory, Manifest, contract::TypedFactory};

pub(crate) fn factory() -> impl Factory {
    TypedFactory::new(
        Manifest::new("email", "smtp", env!("CARGO_PKG_VERSION")),
        |_: serde_json::Value, _: &Context| -> connector_sdk::Result<crate::Imap> {
            Err(Error::bug("connect", "not built yet"))
        },
    )
}
