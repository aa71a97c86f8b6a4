//! Users and their groups (`spec_users.info.json`).

use serde_json::{Value, json};

use crate::random::Random;

use super::seed::id;

/// One user, as users.list shows it; `email` is shown only to those who may see it.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) email: Option<String>,
    pub(super) shown: Value,
}

impl User {
    /// It as a caller with or without `users:read.email` sees it.
    pub(super) fn view(&self, with_email: bool) -> Value {
        let mut shown = self.shown.clone();
        if let (true, Some(email)) = (with_email, &self.email) {
            shown["profile"]["email"] = json!(email);
        }
        shown
    }
}

/// People, among them some that have left and some bots, and the app's own bot. Ordered by id.
pub(super) fn users(seed: u64, count: usize, team: &str, now: i64, bot_user: &str) -> Vec<User> {
    let mut random = Random::new(seed ^ 0x05e7);
    let mut all = vec![user(bot_user.to_owned(), 0, team, now, true, false)];
    for index in 1..=count {
        // Some of the older ids begin with W.
        let letter = if index % 11 == 0 { 'W' } else { 'U' };
        all.push(user(id(&mut random, letter), index, team, now, index % 13 == 0, index % 9 == 0));
    }
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all
}

fn user(id: String, index: usize, team: &str, now: i64, bot: bool, deleted: bool) -> User {
    let name = if index == 0 { "connector".to_owned() } else { format!("user{index}") };
    let real = format!("Üser Nümber {index}");
    let mut shown = json!({
        "id": id, "team_id": team, "name": name, "deleted": deleted, "color": "9f69e7", "real_name": real,
        "tz": "America/Los_Angeles", "tz_label": "Pacific Daylight Time", "tz_offset": -25200,
        "profile": {
            "avatar_hash": "ge3b51ca72de", "status_text": "", "status_emoji": "",
            "real_name": real, "real_name_normalized": format!("User Number {index}"), "display_name": name,
            "display_name_normalized": name, "image_24": "https://example.invalid/24.jpg",
            "image_32": "https://example.invalid/32.jpg", "image_48": "https://example.invalid/48.jpg",
            "image_72": "https://example.invalid/72.jpg", "image_192": "https://example.invalid/192.jpg",
            "image_512": "https://example.invalid/512.jpg",
            "image_original": "https://example.invalid/original.jpg", "team": team,
        },
        "is_admin": index == 1, "is_owner": false, "is_primary_owner": false, "is_restricted": false,
        "is_ultra_restricted": false, "is_bot": bot, "is_app_user": false, "updated": now / 1000 - 60 * i64::try_from(index).unwrap_or_default(),
        "has_2fa": false,
    });
    if deleted {
        // Those who have left keep little of themselves.
        for field in ["color", "real_name", "tz", "tz_label", "tz_offset", "has_2fa"] {
            shown.as_object_mut().map(|fields| fields.remove(field));
        }
    }
    let email = (!bot && !deleted).then(|| format!("user{index}@acme.example"));
    User { id, email, shown }
}

/// One user group. No example is among the fixtures; the fields are those that the method documents.
pub(super) fn usergroup(random: &mut Random, index: usize, team: &str, now: i64, users: &[String]) -> Value {
    json!({
        "id": id(random, 'S'), "team_id": team, "is_usergroup": true, "name": format!("Group {index}"),
        "description": "", "handle": format!("group-{index}"), "is_external": false,
        "date_create": now / 1000 - 86_400, "date_update": now / 1000 - 3600, "date_delete": 0, "auto_type": null,
        "created_by": users.first(), "updated_by": users.first(), "deleted_by": null,
        "prefs": { "channels": [], "groups": [] }, "users": users, "user_count": users.len(),
    })
}
