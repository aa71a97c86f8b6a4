//! What the method declares about itself.

use connector_sdk::manifest::{AuthMethod, Capability, Category, Compliance, Manifest};

/// `email/smtp`.
pub(super) fn smtp() -> Manifest {
    let mut compliance = Compliance::personal_data();
    compliance.writes = true;
    Manifest::new("email", "smtp", env!("CARGO_PKG_VERSION"))
        .with_title("Email")
        .with_description("A server that mail is sent by, over SMTP.")
        .with_taxonomy(Category::Email, &["message", "file"])
        .with_capabilities([Capability::Actions])
        .with_auth([
            AuthMethod::new("password", &[]),
            AuthMethod::new("xoauth2", &[]).rotating(),
            AuthMethod::new("oauthbearer", &[]).rotating(),
        ])
        .with_compliance(compliance)
}
