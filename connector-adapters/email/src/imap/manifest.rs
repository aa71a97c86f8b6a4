//! What the method declares about itself.

use connector_sdk::manifest::{AuthMethod, Capability, Category, Compliance, DeclaredStream, Manifest};

use super::catalog::Stream;

/// `email/imap`. The host is the configuration's, so that none is named here.
pub(crate) fn manifest() -> Manifest {
    let streams = Stream::ALL.map(|stream| DeclaredStream {
        name: stream.name().to_owned(),
        description: stream.description().to_owned(),
    });
    let mut compliance = Compliance::personal_data();
    // Only what `after` asks for, which nothing does by default.
    compliance.writes = true;
    Manifest::new("email", "imap", env!("CARGO_PKG_VERSION"))
        .with_title("Email (IMAP)")
        .with_description("The mailboxes of an account, read by IMAP: Gmail, Microsoft 365, iCloud, Yahoo, Dovecot and others.")
        .with_taxonomy(Category::Email, &["message", "person", "file"])
        .with_network(["*"])
        .with_compliance(compliance)
        .with_capabilities([
            Capability::Incremental,
            Capability::ResumableFull,
            Capability::Deletes,
            Capability::Partitions,
            Capability::CostEstimate,
        ])
        .with_streams(streams)
        .with_auth([
            AuthMethod::new("password", &[]),
            AuthMethod::new("xoauth2", &[]).rotating(),
            AuthMethod::new("oauthbearer", &[]).rotating(),
        ])
}
