//! The flaws of the doubles, and the kinds of connector that have them.

use connector_sdk::manifest::Capability;

/// What is wrong with a double. Each is named for what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Flaw {
    HasNoTitle,
    RefusesItsOwnSchema,
    IgnoresUnknownKeys,
    DefaultsARequiredKey,
    DoesNotMarkItsSecret,
    AsksWhileConnecting,
    NamesAKeyThatTheSchemaLacks,
    IgnoresTheNamesItIsAskedFor,
    ClaimsIncrementalAndIsNot,
    ClaimsToBeCalledAndIsNot,
    IsCalledUnclaimed,
    TakesUnknownActionsForDone,
    DoesNotAskWhoItIs,
    TakesARefusalForTransient,
    IsAlwaysHealthy,
    LosesTheLastRow,
    SendsARowTwice,
    LeavesTheKeyOutOfTheKey,
    MiscountsItsStates,
    ForgetsToComplete,
    AsksBeforeItIsPolled,
    GoesOnAfterItIsDropped,
    FailsOnNothing,
    ResumesOneRowLate,
    ResumesFromTheStart,
    KeepsItsPlaceInMemory,
    TakesANewerStateForNone,
    TakesAFailureForTheEnd,
    ReadsEverythingEachTime,
    TakesOnlyWhatIsLater,
    DoesNotSeeDeletes,
    DeletesWhatIsAlive,
    NeverRetries,
    TakesWhatIsNoPageForTheEnd,
    TellsItsSecretInErrors,
    PutsItsTokenIntoTheState,
    InventsACost,
    StartsAFullReadAnew,
    ResumesAFullReadUnclaimed,
    GoesInCircles,
    RemembersOnlyTheLastPage,
    TakesAShortPageForTheEnd,
    TakesAnEmptyPageForTheEnd,
    DropsFieldsThatItDoesNotKnow,
    AnnouncesANewFieldTooLate,
    FailsAllItsStreamsAtOnce,
    ForgetsUnclaimed,
    ForgetsNothing,
    ForgetsWhileItReads,
    ForgetsAllWhenToldLate,
    RefusesToBeToldTwice,
    DropsTheKeyOfAnAction,
    SendsAnActionAgain,
    TakesALostAnswerForAFailure,
    AsksInATaskOfItsOwn,
    LeavesATaskBehind,
    LeavesAFileOpen,
    LooksThroughAllPagesFirst,
    KeepsEachNumberInItsState,
    ReadsUpToItsOwnClock,
    LeavesAFieldOutOfItsCatalog,
    SendsInAnotherOrderBesideOthers,
    HasOnePartitionOfMany,
    TellsItsSecretInLogs,
    LabelsItsMetricsWithItsSecret,
    ShiftsItsCatalog,
    HasAnActionWithoutASchema,
    SignsInForEachRequest,
    RenewsTwice,
    ReadsItsStateAsText,
    RetriesAtOnce,
    ComesBackTooEarly,
    CompletesBeforeItFails,
    EstimatesHalf,
    GivesUpAStreamForGood,
    NamesNoSecrets,
}

/// What an honest connector can be; together they claim each capability that the desk can serve, and do not claim it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Reads all tickets, deleted ones too, in one partition, and knows what that will cost.
    Plain,
    /// Reads each queue by itself, tells the desk what it may forget, and opens tickets.
    Rich,
}

impl Kind {
    pub(super) fn claims(self) -> Vec<Capability> {
        match self {
            Self::Plain => vec![
                Capability::Incremental,
                Capability::ResumableFull,
                Capability::Deletes,
                Capability::CostEstimate,
            ],
            Self::Rich => vec![
                Capability::Incremental,
                Capability::Partitions,
                Capability::Acknowledges,
                Capability::Actions,
            ],
        }
    }
}

impl Flaw {
    /// The kind of connector that has it.
    pub(in super::super) fn kind(self) -> Kind {
        match self {
            Self::ResumesAFullReadUnclaimed
            | Self::AnnouncesANewFieldTooLate
            | Self::ForgetsNothing
            | Self::ForgetsWhileItReads
            | Self::ForgetsAllWhenToldLate
            | Self::RefusesToBeToldTwice
            | Self::DropsTheKeyOfAnAction
            | Self::SendsAnActionAgain
            | Self::TakesALostAnswerForAFailure
            | Self::SendsInAnotherOrderBesideOthers
            | Self::HasOnePartitionOfMany
            | Self::HasAnActionWithoutASchema => Kind::Rich,
            _ => Kind::Plain,
        }
    }
}
