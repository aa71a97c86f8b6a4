//! What a body says of itself, read once its sender is proved.
//!
//! Only the fields that are asked for are read. The rest is skipped without recursion, in one pass and no memory but a
//! byte per level: a body is never more expensive than its size.

use serde_json::value::RawValue;

use super::head;

/// The text of a field; none: there is no such field, or it is no text.
pub(super) fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// What an event is told apart by; none: the body says nothing that could be.
pub(super) fn id(value: Option<&RawValue>) -> Option<String> {
    text(value).filter(|id| head::is_id(id))
}
