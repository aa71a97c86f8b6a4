//! Each rule finds the connectors that break it, and blames nobody else.

use std::collections::{BTreeMap, BTreeSet};

use connector_testkit::conformance::{Begin, RULES, verdict};

use super::{Desk, Flaw};

/// A test for each flaw, named for it. It is made for the one rule, breaks it, and with it those that cannot hold then;
/// no others.
macro_rules! doubles {
    ($($name:ident $flaw:ident: $made_for:literal $(with $($beside:literal)+)?,)*) => {
        /// The rule that each double is made for.
        const MADE_FOR: &[&str] = &[$($made_for,)*];

        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let begin: Begin = |world| {
                Box::pin(async move { Box::new(Desk::start(world, Flaw::$flaw.kind(), Some(Flaw::$flaw)).await) as _ })
            };
            if Flaw::$flaw == Flaw::LeavesAFileOpen && !is_alone() {
                println!("not tested: open files are counted where a process has one test, as under nextest");
                return;
            }
            breaks(begin, &[$made_for $($(, $beside)+)?]).await;
        })*
    };
}

/// All rules that some double is made for.
pub(super) fn rules_with_a_double() -> BTreeSet<&'static str> {
    MADE_FOR.iter().copied().collect()
}

/// Whether this process has one test.
pub(super) fn is_alone() -> bool {
    #[expect(clippy::disallowed_methods, reason = "how the tests are run is known to the environment alone")]
    let mode = std::env::var("NEXTEST_EXECUTION_MODE");
    mode.is_ok_and(|mode| mode == "process-per-test")
}

async fn breaks(begin: Begin, expected: &[&str]) {
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    let mut broken = BTreeMap::new();
    for rule in RULES {
        if let Err(failure) = verdict(rule, begin, 1).await {
            broken.insert(rule.number(), failure.to_string());
        }
    }
    let found: BTreeSet<&str> = broken.keys().map(String::as_str).collect();
    assert_eq!(found, expected, "{broken:#?}");
}

doubles! {
    one_that_has_no_title HasNoTitle: "C-01",
    one_that_refuses_its_own_schema RefusesItsOwnSchema: "C-02" with "C-44",
    one_that_ignores_unknown_keys IgnoresUnknownKeys: "C-03",
    one_that_defaults_a_required_key DefaultsARequiredKey: "C-04" with "C-44",
    one_that_does_not_mark_its_secret DoesNotMarkItsSecret: "C-05",
    one_that_asks_while_connecting AsksWhileConnecting: "C-06",
    one_that_names_a_key_that_the_schema_lacks NamesAKeyThatTheSchemaLacks: "C-07" with "C-16" "C-44",
    one_that_ignores_the_names_it_is_asked_for IgnoresTheNamesItIsAskedFor: "C-08",
    one_that_claims_incremental_and_is_not ClaimsIncrementalAndIsNot: "C-09" with "C-22" "C-26" "C-28" "C-44",
    one_that_claims_to_be_called_and_is_not ClaimsToBeCalledAndIsNot: "C-09",
    one_that_is_called_unclaimed IsCalledUnclaimed: "C-09",
    one_that_takes_unknown_actions_for_done TakesUnknownActionsForDone: "C-10",
    one_that_does_not_ask_who_it_is DoesNotAskWhoItIs: "C-11" with "C-12" "C-13",
    one_that_takes_a_refusal_for_transient TakesARefusalForTransient: "C-12",
    one_that_is_always_healthy IsAlwaysHealthy: "C-13",
    one_that_loses_the_last_row LosesTheLastRow: "C-15" with "C-14" "C-17" "C-20" "C-22" "C-25" "C-26" "C-27" "C-28" "C-29" "C-30" "C-31" "C-36" "C-37" "C-38" "C-43",
    one_that_sends_a_row_twice SendsARowTwice: "C-15" with "C-14" "C-22" "C-25" "C-30" "C-36",
    one_that_leaves_the_key_out_of_the_key LeavesTheKeyOutOfTheKey: "C-16" with "C-14" "C-15" "C-20" "C-22" "C-25" "C-26" "C-27" "C-28" "C-29" "C-30" "C-31" "C-36" "C-38" "C-43",
    one_that_miscounts_its_states MiscountsItsStates: "C-17" with "C-14" "C-15" "C-16" "C-20" "C-22" "C-25" "C-26" "C-27" "C-28" "C-29" "C-30" "C-31" "C-36" "C-37" "C-38" "C-41" "C-43",
    one_that_forgets_to_complete ForgetsToComplete: "C-17",
    one_that_asks_before_it_is_polled AsksBeforeItIsPolled: "C-18",
    one_that_goes_on_after_it_is_dropped GoesOnAfterItIsDropped: "C-18",
    one_that_fails_on_nothing FailsOnNothing: "C-20" with "C-36",
    one_that_resumes_one_row_late ResumesOneRowLate: "C-21" with "C-22" "C-23" "C-25" "C-31" "C-34",
    one_that_resumes_from_the_start ResumesFromTheStart: "C-22" with "C-21" "C-23" "C-25" "C-26" "C-28" "C-34" "C-39",
    one_that_keeps_its_place_in_memory KeepsItsPlaceInMemory: "C-21" with "C-22" "C-23" "C-25" "C-26" "C-28" "C-34" "C-39",
    one_that_takes_a_newer_state_for_none TakesANewerStateForNone: "C-24",
    one_that_takes_a_failure_for_the_end TakesAFailureForTheEnd: "C-25" with "C-12",
    one_that_reads_everything_each_time ReadsEverythingEachTime: "C-26" with "C-22" "C-28",
    one_that_takes_only_what_is_later TakesOnlyWhatIsLater: "C-27",
    one_that_does_not_see_deletes DoesNotSeeDeletes: "C-28",
    one_that_deletes_what_is_alive DeletesWhatIsAlive: "C-28",
    one_that_never_retries NeverRetries: "C-30",
    one_that_takes_what_is_no_page_for_the_end TakesWhatIsNoPageForTheEnd: "C-31",
    one_that_tells_its_secret_in_errors TellsItsSecretInErrors: "C-32",
    one_that_puts_its_token_into_the_state PutsItsTokenIntoTheState: "C-32",
    one_that_invents_a_cost InventsACost: "C-33",
    one_that_starts_a_full_read_anew StartsAFullReadAnew: "C-34",
    one_that_resumes_a_full_read_unclaimed ResumesAFullReadUnclaimed: "C-34",
    one_that_goes_in_circles GoesInCircles: "C-35",
    one_that_remembers_only_the_last_page RemembersOnlyTheLastPage: "C-35",
    one_that_takes_a_short_page_for_the_end TakesAShortPageForTheEnd: "C-36",
    one_that_takes_an_empty_page_for_the_end TakesAnEmptyPageForTheEnd: "C-36",
    one_that_drops_fields_that_it_does_not_know DropsFieldsThatItDoesNotKnow: "C-37",
    one_that_announces_a_new_field_too_late AnnouncesANewFieldTooLate: "C-37",
    one_that_fails_all_its_streams_at_once FailsAllItsStreamsAtOnce: "C-38",
    one_that_forgets_unclaimed ForgetsUnclaimed: "C-39",
    one_that_forgets_nothing ForgetsNothing: "C-39",
    one_that_forgets_while_it_reads ForgetsWhileItReads: "C-39" with "C-19" "C-21" "C-22" "C-23",
    one_that_forgets_all_when_told_late ForgetsAllWhenToldLate: "C-39",
    one_that_refuses_to_be_told_twice RefusesToBeToldTwice: "C-39",
    one_that_drops_the_key_of_an_action DropsTheKeyOfAnAction: "C-40",
    one_that_sends_an_action_again SendsAnActionAgain: "C-40",
    one_that_takes_a_lost_answer_for_a_failure TakesALostAnswerForAFailure: "C-40",
    one_that_asks_in_a_task_of_its_own AsksInATaskOfItsOwn: "C-41",
    one_that_leaves_a_task_behind LeavesATaskBehind: "C-41",
    one_that_leaves_a_file_open LeavesAFileOpen: "C-41",
    one_that_looks_through_all_pages_first LooksThroughAllPagesFirst: "C-42" with "C-35",
    one_that_keeps_each_number_in_its_state KeepsEachNumberInItsState: "C-42",
    one_that_reads_up_to_its_own_clock ReadsUpToItsOwnClock: "C-43",
    one_that_leaves_a_field_out_of_its_catalog LeavesAFieldOutOfItsCatalog: "C-44",
    one_that_sends_in_another_order_beside_others SendsInAnotherOrderBesideOthers: "C-19",
    one_that_has_one_partition_of_many HasOnePartitionOfMany: "C-19",
    one_that_tells_its_secret_in_logs TellsItsSecretInLogs: "C-32",
    one_that_labels_its_metrics_with_its_secret LabelsItsMetricsWithItsSecret: "C-32",
    one_that_shifts_its_catalog ShiftsItsCatalog: "C-08",
    one_that_has_an_action_without_a_schema HasAnActionWithoutASchema: "C-10",
    one_that_signs_in_for_each_request SignsInForEachRequest: "C-14",
    one_that_renews_twice RenewsTwice: "C-14",
    one_that_reads_its_state_as_text ReadsItsStateAsText: "C-23",
    one_that_retries_at_once RetriesAtOnce: "C-29",
    one_that_comes_back_too_early ComesBackTooEarly: "C-29",
    one_that_completes_before_it_fails CompletesBeforeItFails: "C-31",
    one_that_estimates_half EstimatesHalf: "C-33",
    one_that_gives_up_a_stream_for_good GivesUpAStreamForGood: "C-38",
    one_whose_fixture_names_no_secrets NamesNoSecrets: "C-32",
}
