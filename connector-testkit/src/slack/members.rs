//! Users and user groups, as methods show them.

use serde_json::{Value, json};

use super::gate::Call;
use super::reply::{Outcome, Refusal, ok};

/// users.list. Without `limit` it answers all, as long as they are few: B3 tells of `limit_required` else.
pub(super) fn list(call: &Call<'_>) -> Outcome {
    /// Users that are still answered without `limit`. The number is ours.
    const WITHOUT_LIMIT: usize = 1_000;
    let mut data = call.workspace.data();
    let data = &mut *data;
    let paged = call.arguments.text("limit").is_some() || call.arguments.text("cursor").is_some();
    if !paged && data.users.len() > WITHOUT_LIMIT {
        return Err(Refusal::new("limit_required"));
    }
    let page =
        data.pages.slice(&data.users, |user| &user.id, (call.arguments, "user"), (WITHOUT_LIMIT, 1000));
    let (users, metadata) = page?;
    let with_email = call.has("users:read.email");
    let members: Vec<Value> = users.iter().map(|user| user.view(with_email)).collect();
    ok(json!({ "members": members, "cache_ts": call.now / 1000, "response_metadata": metadata }))
}

pub(super) fn info(call: &Call<'_>) -> Outcome {
    let data = call.workspace.data();
    let id = call.arguments.text("user").ok_or_else(|| Refusal::new("user_not_found"))?;
    let user = data.users.iter().find(|user| user.id == id).ok_or_else(|| Refusal::new("user_not_found"))?;
    ok(json!({ "user": user.view(call.has("users:read.email")) }))
}

pub(super) fn by_email(call: &Call<'_>) -> Outcome {
    let data = call.workspace.data();
    let email = call.arguments.text("email").ok_or_else(|| Refusal::new("users_not_found"))?;
    let user = data
        .users
        .iter()
        .find(|user| user.email.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(email)))
        .ok_or_else(|| Refusal::new("users_not_found"))?;
    ok(json!({ "user": user.view(true) }))
}

/// usergroups.list: one answer, no pages.
pub(super) fn groups(call: &Call<'_>) -> Outcome {
    let (users, count, disabled) = (
        call.arguments.flag("include_users"),
        call.arguments.flag("include_count"),
        call.arguments.flag("include_disabled"),
    );
    let mut groups = call.workspace.data().usergroups.clone();
    groups.retain(|group| disabled || group["date_delete"] == 0);
    for group in groups.iter_mut().filter_map(Value::as_object_mut) {
        if !users {
            group.remove("users");
        }
        if !count {
            group.remove("user_count");
        }
    }
    ok(json!({ "usergroups": groups }))
}
