//! Which of the vendor's APIs rows are read by.

use connector_sdk::StreamSpec;

use crate::{config::Settings, objects};

/// What a job costs besides its pages of results: made, looked at, listed, deleted.
const REQUESTS_OF_A_JOB: u64 = 12;
/// Rows that a page of results is taken to have.
const ROWS_OF_A_PAGE: u64 = 10_000;

/// A way into the org, as its method says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// `salesforce/rest`: queries, page by page.
    Rest,
    /// `salesforce/bulk`: jobs, and nothing else.
    Bulk,
    /// `salesforce/auto`: a job where there is much to read, and REST where there is little, or where the Bulk API does not
    /// serve the object.
    Auto,
}

impl Door {
    /// Whether so many rows of the object are read by a job; none: nobody could count them.
    pub(crate) fn takes_job(settings: &Settings, object: &StreamSpec, rows: Option<u64>) -> bool {
        match settings.door {
            Self::Rest => false,
            Self::Bulk => true,
            Self::Auto => {
                let is_much = rows.is_none_or(|rows| rows >= settings.bulk_from);
                is_much && !objects::is_not_in_bulk(object.name.as_str())
            }
        }
    }

    /// Whether records have only the fields that the Bulk API serves. With a choice of APIs too: the fields of a record
    /// must not depend on how many there are.
    pub(crate) fn is_narrow(self) -> bool {
        self != Self::Rest
    }

    /// The requests that reading so many rows takes.
    pub(crate) fn requests(settings: &Settings, object: &StreamSpec, rows: u64) -> u64 {
        if Self::takes_job(settings, object, Some(rows)) {
            REQUESTS_OF_A_JOB + rows.div_ceil(ROWS_OF_A_PAGE)
        } else {
            rows.div_ceil(u64::from(settings.page_size)).max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(door: Door) -> Settings {
        let config = json!({
            "instance_url": "https://acme.my.salesforce.com",
            "auth": { "session": { "access_token": "00D" } },
        });
        let config: crate::SalesforceConfig = serde_json::from_value(config).unwrap();
        config.check(&connector_sdk::Network::default(), door).unwrap()
    }

    fn spec(name: &str) -> StreamSpec {
        StreamSpec::new(name, json!({ "type": "object" }))
    }

    #[test]
    fn a_job_is_made_where_it_is_worth_it_and_served() {
        let takes = |door, name: &str, rows| Door::takes_job(&settings(door), &spec(name), rows);
        assert!(takes(Door::Auto, "Contact", Some(50_000)) && !takes(Door::Auto, "Contact", Some(49_999)));
        assert!(takes(Door::Auto, "Contact", None), "what takes too long to count is large");
        assert!(!takes(Door::Auto, "TaskStatus", Some(1_000_000)));
        assert!(takes(Door::Bulk, "Contact", Some(0)) && !takes(Door::Rest, "Contact", None));
    }

    #[test]
    fn what_a_read_costs_is_told_by_the_way_it_takes() {
        let requests = |door, rows| Door::requests(&settings(door), &spec("Contact"), rows);
        assert_eq!(requests(Door::Rest, 1_000_000), 500);
        assert_eq!(requests(Door::Auto, 1_000_000), 112);
        assert_eq!(requests(Door::Auto, 0), 1);
    }
}
