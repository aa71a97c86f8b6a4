//! What the doors declare about themselves.

use connector_sdk::manifest::{AuthMethod, Capability, Category, Compliance, Manifest};

use crate::{door::Door, hosts::VENDOR_HOSTS};

/// `salesforce/rest`, `salesforce/bulk`, `salesforce/auto`.
pub(crate) fn of(door: Door) -> Manifest {
    let (method, description) = match door {
        Door::Rest => ("rest", "Objects of a Salesforce org, read by SOQL queries over REST."),
        Door::Bulk => ("bulk", "Objects of a Salesforce org, read by Bulk API 2.0 query jobs."),
        Door::Auto => (
            "auto",
            "Objects of a Salesforce org, read by Bulk API 2.0 where there is much, by REST where there is little.",
        ),
    };
    let mut compliance = Compliance::personal_data();
    compliance.writes = true;
    compliance.residency = Some("where the org's instance is".to_owned());
    compliance.terms_url = Some("https://www.salesforce.com/company/legal/agreements/".to_owned());
    Manifest::new("salesforce", method, env!("CARGO_PKG_VERSION"))
        .with_title("Salesforce")
        .with_description(description)
        .with_taxonomy(Category::Crm, &["person", "company", "deal", "case", "activity"])
        .with_capabilities([
            Capability::Incremental,
            Capability::ResumableFull,
            Capability::Deletes,
            Capability::Partitions,
            Capability::Actions,
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
        for (door, id) in [
            (Door::Rest, "salesforce/rest"),
            (Door::Bulk, "salesforce/bulk"),
            (Door::Auto, "salesforce/auto"),
        ] {
            assert_eq!(of(door).id().as_str(), id);
        }
        let manifest = of(Door::Rest);
        assert!(manifest.claims(Capability::Incremental) && manifest.claims(Capability::Actions));
        assert!(manifest.compliance.writes && manifest.compliance.personal_data);
    }
}
