//! Objects that need to be treated by name. The lists are short and change: where the vendor's answer says
//! the same, the answer is followed (see `fault`), so an object that is missing here is skipped, not lost.

/// Objects that answer a query only when it filters by an id or a name of theirs: they cannot be read as a
/// whole (Object Reference, "Special Access Rules" and "Usage" of each).
const NEED_A_FILTER: [&str; 32] = [
    "ActivityMetric",
    "Announcement",
    "AppTabMember",
    "CollaborationGroupRecord",
    "ColorDefinition",
    "ContentDocumentLink",
    "ContentFolderItem",
    "ContentFolderMember",
    "DataStatistics",
    "DatacloudAddress",
    "DatacloudDandBCompany",
    "EntityParticle",
    "FieldDefinition",
    "FieldHistoryArchive",
    "FlexQueueItem",
    "FlowVariableView",
    "FlowVersionView",
    "IconDefinition",
    "IdeaComment",
    "NetworkUserHistoryRecent",
    "OwnerChangeOptionInfo",
    "PicklistValueInfo",
    "PlatformAction",
    "RelationshipDomain",
    "RelationshipInfo",
    "SearchLayout",
    "SiteDetail",
    "UserEntityAccess",
    "UserFieldAccess",
    "UserPermissionAccess",
    "UserRecordAccess",
    "Vote",
];

/// Objects that are described as queryable and are not: parents of polymorphic fields, lists that exist only
/// as a subquery of a record, events that are only streamed.
const NOT_QUERYABLE: [&str; 29] = [
    "AIPredictionEvent",
    "ActivityHistory",
    "AggregateResult",
    "AsyncOperationEvent",
    "AsyncOperationStatus",
    "AttachedContentDocument",
    "AttachedContentNote",
    "BatchApexErrorEvent",
    "CombinedAttachment",
    "ConcurLongRunApexErrEvent",
    "ContentBody",
    "DataType",
    "EmailStatus",
    "FeedLike",
    "FeedSignal",
    "FeedTrackedChange",
    "FlowExecutionErrorEvent",
    "FolderedContentDocument",
    "LookedUpFromActivity",
    "Name",
    "NoteAndAttachment",
    "OpenActivity",
    "OutgoingEmail",
    "OutgoingEmailRelation",
    "OwnedContentDocument",
    "PlatformStatusAlertEvent",
    "ProcessExceptionEvent",
    "ProcessInstanceHistory",
    "QuoteTemplateRichTextData",
];

/// Objects that are queryable, but not with a filter or an order of our choice, though their fields may be
/// described otherwise. They are read in one pass.
const UNORDERED: [&str; 19] = [
    "ApiEvent",
    "BulkApiResultEventStore",
    "EmbeddedServiceDetail",
    "EmbeddedServiceLabel",
    "FormulaFunction",
    "FormulaFunctionAllowedType",
    "FormulaFunctionCategory",
    "IdentityProviderEventStore",
    "IdentityVerificationEvent",
    "LightningUriEvent",
    "ListViewEvent",
    "LoginAsEvent",
    "LoginEvent",
    "LogoutEvent",
    "Publisher",
    "RecordActionHistory",
    "ReportEvent",
    "TabDefinition",
    "UriEvent",
];

/// Objects that the Bulk API does not serve: lists of states and roles, articles, relations of events. Where there is a
/// choice, no job is tried for them.
const NOT_IN_BULK: [&str; 26] = [
    "AcceptedEventRelation",
    "AssetTokenEvent",
    "Attachment",
    "CaseStatus",
    "ContractStatus",
    "DeclinedEventRelation",
    "EventWhoRelation",
    "FieldSecurityClassification",
    "KnowledgeArticle",
    "KnowledgeArticleVersion",
    "KnowledgeArticleVersionHistory",
    "KnowledgeArticleViewStat",
    "KnowledgeArticleVoteStat",
    "OrderStatus",
    "PartnerRole",
    "RecentlyViewed",
    "ServiceAppointmentStatus",
    "ShiftStatus",
    "SolutionStatus",
    "TaskPriority",
    "TaskStatus",
    "TaskWhoRelation",
    "UndecidedEventRelation",
    "WorkOrderLineItemStatus",
    "WorkOrderStatus",
    "WorkStepStatus",
];

/// Whether the Bulk API is known not to serve the object.
pub(crate) fn is_not_in_bulk(object: &str) -> bool {
    NOT_IN_BULK.binary_search(&object).is_ok()
}

/// Whether the object can be read as a whole, as far as its name tells.
pub(crate) fn is_readable(object: &str) -> bool {
    !object.ends_with("ChangeEvent")
        && !object.ends_with("EventStream")
        && NEED_A_FILTER.binary_search(&object).is_err()
        && NOT_QUERYABLE.binary_search(&object).is_err()
}

/// Whether the object refuses a filter and an order.
pub(crate) fn is_unordered(object: &str) -> bool {
    UNORDERED.binary_search(&object).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_apart() {
        assert!(NEED_A_FILTER.is_sorted() && NOT_QUERYABLE.is_sorted() && UNORDERED.is_sorted());
        assert!(NOT_IN_BULK.is_sorted());
        assert!(UNORDERED.iter().all(|name| is_readable(name)));
    }

    #[test]
    fn what_cannot_be_queried_as_a_whole_is_known_by_name() {
        for bad in [
            "AccountChangeEvent",
            "Thing__ChangeEvent",
            "UriEventStream",
            "Vote",
            "ContentDocumentLink",
            "Name",
        ] {
            assert!(!is_readable(bad), "{bad}");
        }
        for good in ["Account", "Event", "EventRelation", "Thing__c", "LoginEvent", "NameSpace__c"] {
            assert!(is_readable(good), "{good}");
        }
        assert!(is_unordered("TabDefinition") && !is_unordered("Account"));
    }
}
