//! What the doors declare about themselves.

use connector_sdk::manifest::{AuthMethod, Capability, Category, Compliance, Manifest};

use crate::hosts::VENDOR_HOSTS;

/// `salesforce/rest`.
pub(crate) fn rest() -> Manifest {
    let mut compliance = Compliance::personal_data();
    compliance.residency = Some("where the org's instance is".to_owned());
    compliance.terms_url = Some("https://www.salesforce.com/company/legal/agreements/".to_owned());
    Manifest::new("salesforce", "rest", env!("CARGO_PKG_VERSION"))
        .with_title("Salesforce")
        .with_description("Objects of a Salesforce org, read by SOQL queries over REST.")
        .with_taxonomy(Category::Crm, &["person", "company", "deal", "case", "activity"])
        .with_capabilities([
            Capability::Incremental,
            Capability::ResumableFull,
            Capability::Deletes,
            Capability::Partitions,
            Capability::CostEstimate,
        ])
        .with_network(VENDOR_HOSTS)
        .with_auth([
            AuthMethod::new("client_credentials", &["api"]),
            AuthMethod::new("refresh_token", &["api", "refresh_token"]).rotating(),
            AuthMethod::new("jwt_bearer", &["api"]),
            AuthMethod::new("saml_bearer", &["api"]),
            AuthMethod::new("session", &["api"]),
        ])
        .with_compliance(compliance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_it_is_and_where_it_goes() {
        let manifest = rest();
        assert_eq!(manifest.id().as_str(), "salesforce/rest");
        assert!(manifest.claims(Capability::Incremental) && !manifest.claims(Capability::Actions));
        assert!(!manifest.compliance.writes && manifest.compliance.personal_data);
    }
}
