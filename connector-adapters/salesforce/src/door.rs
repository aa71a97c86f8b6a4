//! Which of the vendor's APIs rows are read by.

use connector_sdk::StreamSpec;

use crate::objects;

/// Fewer rows than this are read by REST where there is a choice: 25 pages, about as many requests as a job takes, and no
/// wait for it.
const WORTH_A_JOB: u64 = 50_000;
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
    pub(crate) fn takes_job(self, object: &StreamSpec, rows: Option<u64>) -> bool {
        match self {
            Self::Rest => false,
            Self::Bulk => true,
            Self::Auto => {
                !objects::is_not_in_bulk(object.name.as_str()) && rows.is_none_or(|rows| rows >= WORTH_A_JOB)
            }
        }
    }

    /// Whether records have only the fields that the Bulk API serves. With a choice of APIs too: the fields of a record
    /// must not depend on how many there are.
    pub(crate) fn is_narrow(self) -> bool {
        self != Self::Rest
    }

    /// The requests that reading so many rows takes, in pages of `page_size` by REST.
    pub(crate) fn requests(self, object: &StreamSpec, rows: u64, page_size: u32) -> u64 {
        if self.takes_job(object, Some(rows)) {
            REQUESTS_OF_A_JOB + rows.div_ceil(ROWS_OF_A_PAGE)
        } else {
            rows.div_ceil(u64::from(page_size)).max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_is_made_where_it_is_worth_it_and_served() {
        let spec = |name: &str| StreamSpec::new(name, json!({ "type": "object" }));
        let contact = spec("Contact");
        assert!(
            Door::Auto.takes_job(&contact, Some(50_000)) && !Door::Auto.takes_job(&contact, Some(49_999))
        );
        assert!(Door::Auto.takes_job(&contact, None), "what takes too long to count is large");
        assert!(!Door::Auto.takes_job(&spec("TaskStatus"), Some(1_000_000)));
        assert!(Door::Bulk.takes_job(&contact, Some(0)) && !Door::Rest.takes_job(&contact, None));
    }

    #[test]
    fn what_a_read_costs_is_told_by_the_way_it_takes() {
        let spec = StreamSpec::new("Contact", json!({ "type": "object" }));
        assert_eq!(Door::Rest.requests(&spec, 1_000_000, 2_000), 500);
        assert_eq!(Door::Auto.requests(&spec, 1_000_000, 2_000), 112);
        assert_eq!(Door::Auto.requests(&spec, 0, 2_000), 1);
    }
}
