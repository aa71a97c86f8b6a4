//! Each rule finds the connectors that break it, and blames nobody else.

use std::collections::BTreeSet;

use connector_testkit::conformance::{Begin, RULES, verdict};

use super::{Desk, Flaw};

/// For each flaw a function that begins with it, and the numbers of the rules that it breaks.
macro_rules! doubles {
    ($($flaw:ident: $($rule:literal)+,)*) => {
        const DOUBLES: &[(&str, Begin, &[&str])] = &[
            $((
                stringify!($flaw),
                |world| Box::pin(async move { Box::new(Desk::start(world, Some(Flaw::$flaw)).await) as _ }),
                &[$($rule),+],
            ),)*
        ];
    };
}

doubles! {
    HasNoTitle: "C-01",
    RefusesItsOwnSchema: "C-02",
    IgnoresUnknownKeys: "C-03",
    DefaultsARequiredKey: "C-04",
    DoesNotMarkItsSecret: "C-05",
    AsksWhileConnecting: "C-06",
    NamesAKeyThatTheSchemaLacks: "C-07",
    IgnoresTheNamesItIsAskedFor: "C-08",
    ClaimsIncrementalAndIsNot: "C-09",
    TakesUnknownActionsForDone: "C-10",
    DoesNotAskWhoItIs: "C-11" "C-12",
    TakesARefusalForTransient: "C-12",
    IsAlwaysHealthy: "C-13",
    LosesTheLastRow: "C-15",
    SendsARowTwice: "C-15",
    LeavesTheKeyOutOfTheKey: "C-16",
    MiscountsItsStates: "C-17",
    ForgetsToComplete: "C-17",
    AsksBeforeItIsPolled: "C-18",
    GoesOnAfterItIsDropped: "C-18",
    FailsOnNothing: "C-20",
    ResumesOneRowLate: "C-21",
    ResumesFromTheStart: "C-21",
    KeepsItsPlaceInMemory: "C-21",
    TakesANewerStateForNone: "C-24",
    TakesAFailureForTheEnd: "C-25",
    ReadsEverythingEachTime: "C-26",
    TakesOnlyWhatIsLater: "C-27",
    DoesNotSeeDeletes: "C-28",
    DeletesWhatIsAlive: "C-28",
    NeverRetries: "C-30",
    TakesWhatIsNoPageForTheEnd: "C-31",
    TellsItsSecretInErrors: "C-32",
    PutsItsTokenIntoTheState: "C-32",
    InventsACost: "C-33",
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flaw_is_found_by_the_rule_that_it_breaks() {
    let mut wrong = Vec::new();
    for (name, begin, expected) in DOUBLES {
        let mut broken = BTreeSet::new();
        for rule in RULES {
            if let Err(failure) = verdict(rule, *begin, 1).await {
                broken.insert((rule.number(), failure.to_string()));
            }
        }
        let found: BTreeSet<&str> = broken.iter().map(|(number, _)| number.as_str()).collect();
        if found != expected.iter().copied().collect() {
            wrong.push(format!("{name}: expected {expected:?}, found {broken:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
