//! The table of the vendor's codes: what each means, and what its reader should do.

use connector_sdk::Class::{self, Auth, Config, Permanent, RateLimited, Transient};

use super::{Said, Then};

/// One row. The first that fits is taken, so the more special ones stand first.
#[derive(Debug)]
pub(super) struct Rule {
    /// 0: any.
    status: u16,
    /// Empty: any.
    code: &'static str,
    /// What the message has to hold, in lower case; empty: any.
    text: &'static str,
    pub(super) class: Class,
    pub(super) pace: Pace,
    pub(super) then: Then,
    /// What happened and what to do.
    pub(super) advice: &'static str,
}

/// When to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As the class says.
    AsClass,
    /// A repetition cannot help, nor can a new token.
    Never,
    /// A daily quota is used up.
    NextDay,
}

/// The row that fits.
pub(super) fn find(status: u16, said: &Said) -> Option<&'static Rule> {
    RULES.iter().find(|rule| {
        (rule.status == 0 || rule.status == status)
            && (rule.code.is_empty() || rule.code.eq_ignore_ascii_case(&said.code))
            && said.mentions(rule.text)
    })
}

const fn rule(code: &'static str, text: &'static str, class: Class, advice: &'static str) -> Rule {
    Rule { status: 0, code, text, class, pace: Pace::AsClass, then: Then::Fail, advice }
}

impl Rule {
    const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
    const fn never(mut self) -> Self {
        self.pace = Pace::Never;
        self
    }
    const fn next_day(mut self) -> Self {
        self.pace = Pace::NextDay;
        self
    }
    const fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

#[rustfmt::skip] // One row a line: a table is read by its columns.
const RULES: &[Rule] = &[
    // Sessions. A 401 is renewed and replayed once, but for the kinds that a new token would meet again.
    rule("", "not attached to agent", Config, "the connected app is not attached to an agent: attach it in Setup, a new session does not help").status(401).never(),
    rule("", "not valid for use with the rest api", Config, "the session may not use the REST API: use an app whose scopes include `api`").status(401).never(),
    rule("INVALID_SESSION_ID", "", Auth, "the session has expired or was ended"),
    rule("InvalidSessionId", "", Auth, "the session has expired or was ended"),
    rule("INVALID_AUTH_HEADER", "", Auth, "the vendor does not accept the authorization header"),
    rule("INVALID_LOGIN", "", Auth, "user name, password or security token is wrong, or the user is locked").never(),
    rule("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "", Auth, "the user's password has expired: set a new one").never(),
    rule("LOGIN_MUST_USE_SECURITY_TOKEN", "", Auth, "the address is not trusted: sign in with OAuth").never(),
    rule("CLIENT_NOT_ACCESSIBLE_FOR_USER", "", Auth, "the user may not use this app: an admin has to approve it").never(),
    // OAuth.
    rule("invalid_grant", "expired access/refresh token", Auth, "the refresh token has expired, was revoked or was rotated elsewhere: authorise the app again").never(),
    rule("invalid_grant", "hasn't approved this consumer", Auth, "the user has not approved the app: an admin has to pre-approve the user in the app's policies").never(),
    rule("invalid_grant", "invalid password", Auth, "the vendor refuses user name or password").never(),
    rule("invalid_grant", "inactive user", Auth, "the user is not active: activate or replace the integration user").never(),
    rule("invalid_grant", "inactive organization", Auth, "the org is not active").never(),
    rule("invalid_grant", "audience", Auth, "the assertion is for another audience: set its `audience` under `auth` to the host that signs in").never(),
    rule("invalid_grant", "expired authorization code", Auth, "the assertion had expired when it arrived: is this machine's clock right?").never(),
    rule("invalid_grant", "invalid assertion", Auth, "the vendor refuses the assertion: does the private key fit the app's certificate, and is the clock right?").never(),
    rule("invalid_grant", "authentication failure", Auth, "the vendor refuses the credential: wrong user or secret, or an address the profile does not allow").never(),
    rule("invalid_grant", "", Auth, "the vendor refuses the credential: authorise the app again").never(),
    rule("inactive_user", "", Auth, "the user is not active: activate or replace the integration user").never(),
    rule("inactive_org", "", Auth, "the org is not active").never(),
    rule("invalid_client_id", "", Auth, "the vendor knows no app with this `client_id`").never(),
    rule("invalid_client", "", Auth, "the `client_secret` does not fit the `client_id`").never(),
    rule("invalid_app_access", "", Auth, "the user may not use this app: an admin has to approve it").never(),
    rule("unsupported_grant_type", "", Config, "the app does not allow this way to sign in: enable it in the app, or choose another `auth`").never(),
    rule("unauthorized_client", "", Config, "the app does not allow this way to sign in: enable it in the app, or choose another `auth`").never(),
    rule("invalid_request", "", Config, "the vendor does not accept the sign-in request; client credentials work at the org's My Domain only").never(),
    rule("rate_limit_exceeded", "", RateLimited, "too many sign-ins"),
    // Quotas. One code stands for both; only the text tells the day's from the moment's.
    rule("REQUEST_LIMIT_EXCEEDED", "totalrequests", RateLimited, "the org's API requests of the last 24 hours are used up; what is read is kept, run again later").next_day(),
    rule("REQUEST_LIMIT_EXCEEDED", "", RateLimited, "too many requests run at once in this org"),
    rule("", "max bulk v2 query jobs", RateLimited, "the org's Bulk query jobs of the last 24 hours are used up; use the REST door or run again later").next_day().then(Then::Elsewhere),
    rule("", "max bulk v2 query result size", RateLimited, "the org's Bulk result volume of the last 24 hours is used up; use the REST door or run again later").next_day().then(Then::Elsewhere),
    rule("TOO_MANY_APEX_REQUESTS", "", RateLimited, "too many requests run at once in this org"),
    // It may work in a moment.
    rule("UNABLE_TO_LOCK_ROW", "", Transient, "a row is locked by somebody else; nothing was written: do it again, records of one parent together"),
    rule("SERVER_UNAVAILABLE", "", Transient, "the vendor's server is too busy"),
    rule("API_CURRENTLY_DISABLED", "", Transient, "the vendor's API is out of order for now"),
    rule("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "", Transient, "the org is being maintained"),
    // Permanent for this query: to repeat it costs the vendor two minutes each time, and says nothing of its
    // health, which the breaker watches. What is left of it after all halving is told as Transient.
    rule("QUERY_TIMEOUT", "", Permanent, "the query took too long; if it stays so, read less at once: fewer `fields`, or a later `since`").then(Then::Shrink),
    rule("REQUEST_RUNNING_TOO_LONG", "", Permanent, "the request took too long; if it stays so, read less at once: fewer `fields`, or a later `since`").then(Then::Shrink),
    // Somebody has to act.
    rule("API_DISABLED_FOR_ORG", "", Config, "the API is disabled for this org or user: the edition needs API access, the user the permission `API Enabled`"),
    rule("TXN_SECURITY_METERING_ERROR", "", Config, "a transaction security policy stops the query: give the user the permission `Exempt from Transaction Security`"),
    rule("OPERATION_TOO_LARGE", "100000", Config, "the vendor stops a query over this many shared rows: give the user the permission `View All Data`"),
    rule("OPERATION_TOO_LARGE", "", Permanent, "the query is too large for the vendor: select fewer `fields`, or a later `since`").then(Then::Shrink),
    rule("API_ERROR", "implementation restriction", Config, "the vendor restricts this query: give the user the permission `View All Data`"),
    rule("FUNCTIONALITY_NOT_ENABLED", "", Config, "the org does not have the feature that this object belongs to").then(Then::Skip),
    rule("UNSUPPORTED_API_VERSION", "", Config, "the API version is not supported: set `api_version` to one that the org has, such as v66.0"),
    rule("InvalidVersion", "", Config, "the API version is not supported: set `api_version` to one that the org has, such as v66.0"),
    // This object may not be read, or not as a whole.
    rule("INSUFFICIENT_ACCESS", "", Config, "the user may not read this object: give it read access, or leave the stream out").then(Then::Skip),
    rule("INSUFFICIENT_ACCESS_OR_READONLY", "", Config, "the user may not read this object: give it read access, or leave the stream out").then(Then::Skip),
    rule("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "", Config, "the user may not read an object that this one refers to").then(Then::Skip),
    rule("INVALID_TYPE", "", Permanent, "there is no such object, or the user may not see it").then(Then::Skip),
    rule("INVALID_TYPE_FOR_OPERATION", "", Permanent, "the object does not support queries").then(Then::Skip),
    rule("MALFORMED_QUERY", "implementation restriction", Permanent, "the object can only be queried by an id or name of its own, not as a whole").then(Then::Skip),
    rule("EXTERNAL_OBJECT_UNSUPPORTED_EXCEPTION", "", Permanent, "the object can only be queried with a filter of its own").then(Then::Skip),
    // The query has to be put again, or otherwise.
    rule("INVALID_QUERY_LOCATOR", "", Permanent, "the query's cursor is gone: more than ten were open for this user, or two days have passed").then(Then::Restart),
    rule("INVALID_REPLICATION_DATE", "", Permanent, "the vendor keeps its log of deletions not that far back: read the stream in full again"),
    rule("EXCEEDED_ID_LIMIT", "", Permanent, "more than 600,000 ids in the time asked for: ask for a shorter time"),
    rule("QUERY_TOO_COMPLICATED", "", Permanent, "too many formula fields for one query: select fewer `fields` of this stream").then(Then::Split),
    rule("INVALIDENTITY", "not supported by the bulk api", Permanent, "the Bulk API does not serve this object: use the REST door").then(Then::Elsewhere),
    rule("", "selecting compound data not supported in bulk query", Permanent, "the Bulk API serves the parts of a compound field only: use the REST door").then(Then::Elsewhere),
    rule("FeatureNotEnabled", "", Config, "the Bulk API is not enabled for this user: use the REST door").then(Then::Elsewhere),
    // The caller's mistake.
    rule("MALFORMED_QUERY", "", Permanent, "the vendor cannot read the query"),
    rule("INVALID_FIELD", "", Permanent, "a field is not there, or the user may not see it").then(Then::Redescribe),
    rule("NOT_FOUND", "external id field", Permanent, "there is no such external id field: name one that the object has and the user may see"),
    rule("NOT_FOUND", "", Permanent, "the vendor knows no such resource"),
    rule("ENTITY_IS_DELETED", "", Permanent, "the record is in the recycle bin: take it out first, or leave it"),
    rule("INVALID_CROSS_REFERENCE_KEY", "", Permanent, "an id names no record that the user may see, or one of another kind"),
    rule("MALFORMED_ID", "", Permanent, "this is no id of a record of this object: it has 15 or 18 characters and begins as the object's ids do"),
    rule("REQUIRED_FIELD_MISSING", "", Permanent, "a required field is missing: give the fields named a value"),
    rule("DUPLICATES_DETECTED", "", Permanent, "a duplicate rule refuses the record: find the one that is there and change it, or let the rule allow it"),
    rule("DUPLICATE_VALUE", "", Permanent, "another record has this value in a unique field: change that record, or upsert by this field"),
    rule("DUPLICATE_EXTERNAL_ID", "", Permanent, "several records have this external id: make the field unique, or send each external id once"),
    rule("FIELD_CUSTOM_VALIDATION_EXCEPTION", "", Permanent, "a validation rule of the org refuses the record: correct what it says"),
    rule("PROCESSING_HALTED", "", Permanent, "another part of the request failed, and all were rolled back: correct the part that has an error of its own"),
    rule("JSON_PARSER_ERROR", "", Permanent, "the vendor cannot read the request's body: does each value fit its field's type?"),
    rule("ALL_OR_NONE_OPERATION_ROLLED_BACK", "", Permanent, "another record of the request failed, and all were rolled back: correct the one that has an error of its own"),
    rule("INVALID_TYPE_ON_FIELD_IN_RECORD", "", Permanent, "a value does not fit its field's type"),
    rule("INVALID_FIELD_FOR_INSERT_UPDATE", "", Permanent, "a field cannot be written: leave it out, or give the user the right to edit it"),
    rule("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "", Permanent, "a value is not in the field's restricted picklist: use one that is, or add it"),
    rule("STRING_TOO_LONG", "", Permanent, "a text is longer than its field: shorten it"),
    rule("MISSING_ARGUMENT", "", Permanent, "what names the record is missing: give it an id or an external id"),
    rule("STORAGE_LIMIT_EXCEEDED", "", Config, "the org has no storage left: free some or buy more"),
    rule("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "", Permanent, "a trigger or flow of the org has failed on the record: correct it there"),
];
