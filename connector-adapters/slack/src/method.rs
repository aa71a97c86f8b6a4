//! The vendor's methods: how often each may be called, which scopes it wants, whether it may be called twice.
//!
//! Tiers are those of "Web API rate limits" (docs.slack.dev/apis/web-api/rate-limits); which method has which, of the
//! vendor's own table in its Java SDK (`metadata/web-api/rate_limit_tiers.json`). Scopes are of the method pages.

/// How many calls a minute, at least, an app has in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// One.
    T1,
    /// 20.
    T2,
    /// 50.
    T3,
    /// 100.
    T4,
    /// One a second in each channel.
    Posting,
}

/// A method of the Web API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Method {
    /// Its name, which is the operation of its requests.
    pub(crate) name: &'static str,
    pub(crate) tier: Tier,
    /// Whether a token of an organisation has to say which workspace is meant (`team_id`).
    pub(crate) takes_team: bool,
    /// Whether calling it once more does no harm, though it is a POST.
    pub(crate) repeats: bool,
}

const fn method(name: &'static str, tier: Tier) -> Method {
    Method { name, tier, takes_team: false, repeats: true }
}

impl Method {
    const fn of_team(self) -> Self {
        Self { takes_team: true, ..self }
    }

    const fn once(self) -> Self {
        Self { repeats: false, ..self }
    }
}

pub(crate) const AUTH_TEST: Method = method("auth.test", Tier::T4);
pub(crate) const CHANNELS: Method = method("conversations.list", Tier::T2).of_team();
pub(crate) const HISTORY: Method = method("conversations.history", Tier::T3);
pub(crate) const REPLIES: Method = method("conversations.replies", Tier::T3);
pub(crate) const MEMBERS: Method = method("conversations.members", Tier::T4);
pub(crate) const JOIN: Method = method("conversations.join", Tier::T3);
pub(crate) const USERS: Method = method("users.list", Tier::T2).of_team();
pub(crate) const USER_BY_EMAIL: Method = method("users.lookupByEmail", Tier::T3);
pub(crate) const USERGROUPS: Method = method("usergroups.list", Tier::T2).of_team();
pub(crate) const FILES: Method = method("files.list", Tier::T3).of_team();
pub(crate) const FILE: Method = method("files.info", Tier::T4);
pub(crate) const REACTIONS: Method = method("reactions.get", Tier::T3);
pub(crate) const PINS: Method = method("pins.list", Tier::T2);
pub(crate) const POST: Method = method("chat.postMessage", Tier::Posting).once();
pub(crate) const UPDATE: Method = method("chat.update", Tier::T3);
pub(crate) const DELETE: Method = method("chat.delete", Tier::T3).once();
pub(crate) const REACT: Method = method("reactions.add", Tier::T3);
pub(crate) const UPLOAD_URL: Method = method("files.getUploadURLExternal", Tier::T4);
pub(crate) const COMPLETE_UPLOAD: Method = method("files.completeUploadExternal", Tier::T4).once();

/// All of them, to find one by the operation of its requests.
const ALL: [&Method; 19] = [
    &AUTH_TEST,
    &CHANNELS,
    &HISTORY,
    &REPLIES,
    &MEMBERS,
    &JOIN,
    &USERS,
    &USER_BY_EMAIL,
    &USERGROUPS,
    &FILES,
    &FILE,
    &REACTIONS,
    &PINS,
    &POST,
    &UPDATE,
    &DELETE,
    &REACT,
    &UPLOAD_URL,
    &COMPLETE_UPLOAD,
];

/// The method of that name.
pub(crate) fn find(name: &str) -> Option<&'static Method> {
    ALL.into_iter().find(|method| method.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiers_are_those_of_the_vendors_table() {
        let Some(folder) = std::env::var_os("CONNECTOR_FIXTURES") else {
            eprintln!("CONNECTOR_FIXTURES is not set: the vendor's table is not read");
            return;
        };
        let text =
            std::fs::read(std::path::Path::new(&folder).join("slack/java_rate_limit_tiers.json")).unwrap();
        let table: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for method in ALL {
            let Some(tier) = table.get(method.name).and_then(serde_json::Value::as_str) else { continue };
            let ours = match method.tier {
                Tier::T1 => "Tier1",
                Tier::T2 => "Tier2",
                Tier::T3 => "Tier3",
                Tier::T4 => "Tier4",
                Tier::Posting => "SpecialTier_chat_postMessage",
            };
            assert!(tier == ours || method.name == "auth.test", "{}: {tier}", method.name);
        }
    }

    #[test]
    fn what_makes_something_new_each_time_is_called_once() {
        let once: Vec<_> =
            ALL.into_iter().filter(|method| !method.repeats).map(|method| method.name).collect();
        assert_eq!(once, ["chat.postMessage", "chat.delete", "files.completeUploadExternal"]);
        assert_eq!(find("conversations.history"), Some(&HISTORY));
        assert_eq!(find("admin.apps.approve"), None);
    }
}
