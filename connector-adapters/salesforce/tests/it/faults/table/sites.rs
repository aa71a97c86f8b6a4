//! The places where requests are sent, by scenario, and where one differs from the catalogue.

use connector_sdk::Class;
use connector_testkit::fault::{Kind, Matcher, Outcome};

/// A place where a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::faults) struct Site {
    pub(super) scenario: Scenario,
    pub(super) name: &'static str,
    /// Empty: any.
    method: &'static str,
    /// Which requests are meant: text of their path, and of their query.
    path: &'static str,
    query: &'static str,
    /// How many of these come before it.
    pub(super) before: u64,
}

/// What is done, in which the requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    Pages,
    Jobs,
    /// Jobs whose pages name the next one (version 57 and before).
    Locators,
    /// Rows that are deleted for good.
    Deletions,
    /// A job that runs when what it reads is no longer what is wanted: it is stopped.
    Abandoned,
    /// An object with more fields than a request can name.
    Wide,
}

impl Scenario {
    pub(super) fn door(self) -> &'static str {
        if matches!(self, Self::Jobs | Self::Locators | Self::Abandoned) { "bulk" } else { "rest" }
    }

    pub(super) fn object(self) -> &'static str {
        if self == Self::Wide { "Wide__c" } else { "Contact" }
    }

    pub(super) fn rows(self) -> usize {
        if self == Self::Wide { 60 } else { 450 }
    }
}

const fn site(name: &'static str, path: &'static str, query: &'static str, before: u64) -> Site {
    Site { scenario: Scenario::Pages, name, method: "", path, query, before }
}

const fn job_site(name: &'static str, method: &'static str, path: &'static str, before: u64) -> Site {
    Site { scenario: Scenario::Jobs, name, method, path, query: "", before }
}

/// A place where something is written.
pub(in crate::faults) const fn site_of(name: &'static str, method: &'static str, path: &'static str) -> Site {
    Site { scenario: Scenario::Pages, name, method, path, query: "", before: 0 }
}

/// In the order in which the scenario meets them.
pub(super) const SITES: &[Site] = &[
    site("token", "/oauth2/token", "", 0),
    site("resources", "/services/data/v66.0", "", 0),
    site("userinfo", "/oauth2/userinfo", "", 0),
    site("describe object", "/sobjects/Contact/describe", "", 0),
    site("oldest row", "/queryAll", "ASC LIMIT 1", 0),
    site("count", "/queryAll", "COUNT()", 0),
    site("first page", "/queryAll", "Id ASC", 0),
    site("look before a resumed read", "/queryAll", "FROM Contact LIMIT 1", 0),
    site("first page of a resumed read", "/queryAll", "Id > ", 0),
    // One was asked for before the crash.
    site("next page", "-200", "", 1),
    site("count of changes", "/queryAll", "COUNT()", 1),
    site("estimate", "/queryAll", "COUNT()", 2),
    site("page of changes", "/queryAll", "Id ASC", 2),
    site("describe global", "/sobjects", "", 1),
];

/// What the Bulk door sends besides.
pub(super) const JOB_SITES: &[Site] = &[
    job_site("make job", "POST", "/jobs/query", 0),
    job_site("poll job", "GET", "/jobs/query/", 0),
    job_site("list pages", "GET", "/resultPages", 0),
    job_site("page of results", "GET", "/results", 0),
    job_site("next page of results", "GET", "/results", 1),
    job_site("delete job", "DELETE", "/jobs/query/", 0),
];

/// What else is sent, each in a scenario of its own.
pub(super) const OTHER_SITES: &[Site] = &[
    Site { scenario: Scenario::Deletions, ..site("log of deletions", "/deleted", "", 0) },
    Site { scenario: Scenario::Deletions, ..site("look-up of deleted rows", "/queryAll", "Id IN", 0) },
    Site { scenario: Scenario::Deletions, ..site("limits", "/limits", "", 0) },
    Site { scenario: Scenario::Wide, ..site("first part of a wide object", "/queryAll", "Field_000__c", 0) },
    Site { scenario: Scenario::Wide, ..site("last part of a wide object", "/queryAll", "Field_799__c", 0) },
    Site {
        scenario: Scenario::Locators,
        ..job_site("page of results that names the next", "GET", "/results", 0)
    },
    Site { scenario: Scenario::Locators, ..job_site("page of results by its locator", "GET", "/results", 1) },
    Site { scenario: Scenario::Abandoned, ..job_site("abort job", "PATCH", "/jobs/query/", 0) },
    Site { scenario: Scenario::Abandoned, ..job_site("delete aborted job", "DELETE", "/jobs/query/", 1) },
];

/// Where trouble that lasts is tried: once all attempts are used up it is the same everywhere.
pub(super) const LASTING: &[Site] = &[SITES[0], SITES[3], SITES[9]];

/// Where what is there from the beginning is met.
pub(super) const FIRST: &[Site] = &[SITES[0]];

impl Site {
    pub(super) fn matcher(self) -> Matcher {
        let matcher = Matcher::path(self.path).query(self.query);
        if self.method.is_empty() { matcher } else { matcher.method(self.method) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::faults) enum Times {
    Once,
    Lasting,
}

/// Where an outcome differs from the catalogue's, and why.
pub(super) fn exception(kind: &Kind, site: Site, times: Times) -> Option<Outcome> {
    use {Class::*, Outcome::*, Times::*};
    match (kind.name, site.name, times) {
        // A refused credential is not sent again: only a person can give another.
        ("unauthorized", "token", Once) => Some(Fails(Auth)),
        // What came whole would come again: a credential is not sent once more for it.
        ("html_200" | "html_as_json", "token", Once) => Some(Fails(Transient)),
        // The SDK reads token answers by what they hold, not by what they are called.
        ("json_as_html", "token", _) => Some(Recovers),
        // What cannot be counted is read all the same.
        ("gzip_bomb", "count" | "count of changes", Once) => Some(Recovers),
        // A page is so large itself that the blanks are no bomb beside it: they are what they are, blanks.
        ("gzip_bomb", "first page" | "first page of a resumed read", Once) => Some(Recovers),
        ("gzip_bomb", "first part of a wide object" | "last part of a wide object", Once) => Some(Recovers),
        // Who may not see the limits reads all the same.
        ("gzip_bomb", "limits", Once) => Some(Recovers),
        // What is too large is asked for in smaller pages.
        ("gzip_bomb", name, Once) if name.contains("page") && site.scenario.door() == "bulk" => {
            Some(Recovers)
        }
        // The smaller ones are CSV with blanks behind it, which was cut.
        ("gzip_bomb", "page of results" | "next page of results", Lasting) => Some(Fails(Transient)),
        // Where pages are not listed each names the next one.
        ("gzip_bomb", "list pages", Lasting) => Some(Recovers),
        // A job that is not deleted now is deleted by the next run, or by the vendor: no run fails for it. But what
        // closes the way to the vendor closes it for the requests that follow, too.
        (
            "wait_hours" | "refused" | "connections_wait",
            "delete job" | "delete aborted job" | "abort job",
            _,
        ) => None,
        (_, "delete job" | "delete aborted job" | "abort job", _) => Some(Recovers),
        _ => None,
    }
}
