//! The table of the rules, which the tests are made from.

use std::fmt;

use futures_util::future::BoxFuture;

use super::{Begin, Outcome, checks};

/// A rule of the contract, with the check of it.
pub struct Rule {
    /// The name of its test: `c_01_the_manifest_is_valid`.
    pub name: &'static str,
    /// Whether it holds.
    pub(super) check: fn(Begin, u64) -> BoxFuture<'static, Outcome>,
}

impl Rule {
    /// Its number in `docs/spec/connector.md`: `C-01`.
    #[must_use]
    pub fn number(&self) -> String {
        let mut parts = self.name.splitn(3, '_');
        let (letter, digits) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        format!("{}-{digits}", letter.to_uppercase())
    }

    /// What it says.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.name.splitn(3, '_').nth(2).unwrap_or_default().replace('_', " ")
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The table, and the macro that makes a test of each line of it.
macro_rules! rules {
    ($d:tt $($room:ident::$name:ident,)*) => {
        /// All rules, in the order of their numbers.
        pub const RULES: &[Rule] = &[
            $(Rule {
                name: stringify!($name),
                check: |begin, seed| {
                    Box::pin(async move { checks::$room::$name(begin, seed).await.map(Into::into) })
                },
            },)*
        ];

        /// Makes the tests; use [`conformance!`](crate::conformance!).
        #[doc(hidden)]
        #[macro_export]
        macro_rules! conformance_rules {
            ($d start:path) => {
                $(#[test]
                fn $name() {
                    fn begin(
                        world: $d crate::conformance::World,
                    ) -> ::std::pin::Pin<
                        ::std::boxed::Box<
                            dyn ::std::future::Future<
                                    Output = ::std::boxed::Box<dyn $d crate::conformance::Fixture>,
                                > + ::std::marker::Send,
                        >,
                    > {
                        ::std::boxed::Box::pin(async move {
                            ::std::boxed::Box::new($d start(world).await)
                                as ::std::boxed::Box<dyn $d crate::conformance::Fixture>
                        })
                    }
                    $d crate::conformance::test(stringify!($name), begin);
                })*
            };
        }
    };
}

rules! { $
    declared::c_01_the_manifest_is_valid_and_says_what_the_connector_is,
    declared::c_02_the_configuration_fits_its_schema,
    declared::c_03_an_unknown_key_of_the_configuration_is_refused_by_name,
    declared::c_04_a_required_key_that_is_missing_is_refused_by_name,
    declared::c_05_what_is_secret_in_the_configuration_is_marked_so,
    declared::c_06_connecting_asks_nobody,
    declared::c_07_the_catalog_names_each_stream_once_with_a_schema_that_holds_key_and_cursor,
    declared::c_08_the_catalog_is_the_same_each_time_and_can_be_narrowed,
    declared::c_09_modes_are_those_that_the_manifest_claims,
    declared::c_10_an_unknown_action_is_refused_and_known_ones_have_schemas,
    signing::c_11_it_says_who_it_is_signed_in_as,
    signing::c_12_a_credential_that_is_refused_is_of_class_auth,
    signing::c_13_health_is_what_is_so,
    signing::c_14_a_session_that_ends_in_the_middle_of_a_read_is_renewed_once,
    reading::c_15_every_row_arrives_once,
    reading::c_16_records_fit_the_schema_and_have_their_key,
    reading::c_17_states_count_what_they_cover_and_the_last_one_completes,
    reading::c_18_reading_does_nothing_before_it_is_polled_and_nothing_after_it_is_dropped,
    reading::c_19_partitions_read_at_once_give_what_they_give_one_after_the_other,
    reading::c_20_an_empty_stream_is_read_to_its_end,
    resuming::c_21_every_state_resumes_with_exactly_the_rest,
    resuming::c_22_a_crash_before_or_after_any_commit_loses_nothing_and_repeats_nothing,
    resuming::c_23_a_state_survives_being_written_down,
    resuming::c_24_a_state_of_a_newer_version_is_refused_and_nothing_is_read,
    resuming::c_25_a_page_that_keeps_failing_fails_the_read_and_no_state_covers_it,
    changing::c_26_a_second_read_brings_what_changed_and_little_more,
    changing::c_27_rows_that_share_a_cursor_all_arrive_when_they_change_together,
    changing::c_28_deletes_arrive_where_they_are_claimed_and_nowhere_else,
    trouble::c_29_a_wait_that_the_vendor_asks_for_is_kept,
    trouble::c_30_what_may_go_away_costs_a_retry_and_no_row,
    trouble::c_31_an_answer_that_is_no_page_is_an_error_and_no_end,
    hygiene::c_32_no_secret_is_seen_anywhere,
    hygiene::c_33_a_cost_is_estimated_where_it_is_claimed_and_is_about_right,
    resuming::c_34_a_full_read_is_resumed_where_it_is_claimed_and_has_no_state_in_the_middle_elsewhere,
    paging::c_35_pages_that_lead_in_a_circle_end_the_read,
    paging::c_36_a_short_page_and_an_empty_one_are_no_end,
    paging::c_37_a_field_that_appears_in_the_middle_of_a_read_is_not_dropped,
    trouble::c_38_a_stream_that_fails_does_not_hold_up_another,
    acknowledging::c_39_what_is_acknowledged_is_forgotten_where_it_is_claimed_and_nothing_else,
    acting::c_40_an_action_whose_answer_is_lost_is_not_done_twice,
    leaving::c_41_a_read_that_is_dropped_leaves_no_request_no_task_and_no_file,
    leaving::c_42_ten_times_the_rows_are_asked_for_no_further_ahead_and_need_no_larger_state,
    changing::c_43_a_vendors_clock_that_is_wrong_loses_nothing,
    compatible::c_44_what_fitted_the_last_release_fits_this_one,
}
