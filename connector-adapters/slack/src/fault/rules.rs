//! What the vendor's codes mean: the error tables of its method pages (docs.slack.dev/reference/methods), grouped by what
//! is to be done.

use connector_sdk::Class;

use super::Then;

/// What to do about some codes.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) class: Class,
    pub(super) advice: &'static str,
    pub(super) then: Then,
    codes: &'static [&'static str],
}

const fn rule(class: Class, then: Then, advice: &'static str, codes: &'static [&'static str]) -> Rule {
    Rule { class, advice, then, codes }
}

const RULES: &[Rule] = &[
    rule(
        Class::RateLimited,
        Then::Fail,
        "the vendor asks to slow down",
        &["ratelimited", "rate_limited", "message_limit_exceeded"],
    ),
    // Nobody knows then whether a write was done; a read is asked for again.
    rule(
        Class::Transient,
        Then::Fail,
        "the vendor has failed",
        &["fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org"],
    ),
    // A token that is renewed, or a successor of a secret, may be accepted.
    rule(
        Class::Auth,
        Then::Fail,
        "the vendor does not accept the token",
        &["account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"],
    ),
    rule(
        Class::Config,
        Then::Fail,
        "the token may not do this: change the app, its scopes or who installed it",
        &[
            "access_denied",
            "accesslimited",
            "ekm_access_denied",
            "enterprise_is_restricted",
            "missing_scope",
            "no_permission",
            "not_allowed_token_type",
            "org_login_required",
            "team_access_not_granted",
            "two_factor_setup_required",
        ],
    ),
    rule(
        Class::Config,
        Then::Fail,
        "the vendor does not know this workspace: set `team_id` to one that the app is installed in",
        &["invalid_team_id", "team_not_found"],
    ),
    rule(
        Class::Permanent,
        Then::Skip,
        "this channel may not be read",
        &[
            "channel_is_limited_access",
            "channel_not_found",
            "is_archived",
            "method_not_supported_for_channel_type",
            "not_in_channel",
        ],
    ),
    rule(Class::Permanent, Then::Fail, "the thread is not there", &["thread_not_found"]),
    rule(Class::Permanent, Then::Restart, "the page token is no good any more", &["invalid_cursor"]),
    rule(
        Class::Permanent,
        Then::Fail,
        "the vendor does not accept what is asked",
        &[
            "invalid_arguments",
            "invalid_blocks",
            "invalid_limit",
            "invalid_ts_latest",
            "invalid_ts_oldest",
            "limit_required",
            "missing_argument",
            "msg_blocks_too_long",
            "msg_too_long",
        ],
    ),
];

/// The rule for a code, where there is one.
pub(super) fn find(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once() {
        let mut codes: Vec<_> = RULES.iter().flat_map(|rule| rule.codes).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
        assert!(find("").is_none() && find("a_code_of_tomorrow").is_none());
    }
}
