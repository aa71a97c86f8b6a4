//! The streams: what a record of each looks like, by what it is known, and which scopes reading it takes.

use connector_sdk::StreamSpec;
use serde_json::{Map, Value, json};

use crate::config::{ChannelType, Settings};

/// A stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Users,
    Usergroups,
    Channels,
    Members,
    Messages,
    Replies,
    Files,
    Reactions,
    Pins,
}

impl Stream {
    pub(crate) const ALL: [Self; 9] = [
        Self::Users,
        Self::Usergroups,
        Self::Channels,
        Self::Members,
        Self::Messages,
        Self::Replies,
        Self::Files,
        Self::Reactions,
        Self::Pins,
    ];

    /// The stream of that name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Usergroups => "usergroups",
            Self::Channels => "channels",
            Self::Members => "members",
            Self::Messages => "messages",
            Self::Replies => "replies",
            Self::Files => "files",
            Self::Reactions => "reactions",
            Self::Pins => "pins",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Users => "Everybody in the workspace, bots and those who have left among them.",
            Self::Usergroups => "Groups of users that can be mentioned.",
            Self::Channels => {
                "Conversations of the kinds that `channel_types` names, archived ones among them."
            }
            Self::Members => "Who is in which channel.",
            Self::Messages => "Messages of each channel, without those in threads.",
            Self::Replies => "Messages in threads of each channel.",
            Self::Files => "Files of the workspace, without their contents.",
            Self::Reactions => "Reactions to the messages of each channel.",
            Self::Pins => "What is pinned in each channel.",
        }
    }

    /// Whether each channel is a partition of it.
    pub(crate) fn is_by_channel(self) -> bool {
        matches!(self, Self::Members | Self::Messages | Self::Replies | Self::Reactions | Self::Pins)
    }

    /// The scopes that reading it takes (the method pages of docs.slack.dev, "Required scopes").
    pub(crate) fn scopes(self, settings: &Settings) -> Vec<String> {
        let mut scopes = Vec::new();
        let of_kinds = |right: &'static str| {
            settings.channel_types.iter().map(move |kind: &ChannelType| format!("{}:{right}", kind.scope()))
        };
        if self.is_by_channel() || self == Self::Channels {
            scopes.extend(of_kinds("read"));
        }
        match self {
            Self::Messages | Self::Replies => scopes.extend(of_kinds("history")),
            Self::Reactions => {
                scopes.extend(of_kinds("history"));
                scopes.push("reactions:read".to_owned());
            }
            Self::Users => scopes.push("users:read".to_owned()),
            Self::Usergroups => scopes.push("usergroups:read".to_owned()),
            Self::Files => scopes.push("files:read".to_owned()),
            Self::Pins => scopes.push("pins:read".to_owned()),
            Self::Channels | Self::Members => {}
        }
        if settings.join
            && self.is_by_channel()
            && settings.channel_types.contains(&ChannelType::PublicChannel)
        {
            scopes.push("channels:join".to_owned());
        }
        scopes
    }

    /// What a catalog says of it. A record has more fields than are named: what the vendor sends is kept as it is.
    pub(crate) fn spec(self) -> StreamSpec {
        let (key, fields): (&[&str], &[(&str, &str)]) = match self {
            Self::Users => (&["id"], USER),
            Self::Usergroups => (&["id"], USERGROUP),
            Self::Channels => (&["id"], CHANNEL),
            Self::Members => (&["channel", "user"], &[("channel", "string"), ("user", "string")]),
            Self::Messages | Self::Replies => (&["channel", "ts"], MESSAGE),
            Self::Files => (&["id"], FILE),
            Self::Reactions => (&["channel", "ts", "name"], REACTION),
            Self::Pins => (&["channel", "item"], PIN),
        };
        let spec = StreamSpec::new(self.name(), schema(key, fields)).with_primary_key(key.iter().copied());
        match self {
            Self::Messages | Self::Replies => spec.with_cursor("ts"),
            _ => spec,
        }
    }
}

/// Every field may be missing, and null: the vendor documents neither.
fn schema(key: &[&str], fields: &[(&str, &str)]) -> Value {
    let mut properties = Map::new();
    // A key field that no record has stands in the key only: the channel, which the partition is.
    for name in key {
        properties.insert((*name).to_owned(), json!({ "type": ["string", "null"] }));
    }
    for (name, kind) in fields {
        properties.insert((*name).to_owned(), json!({ "type": [kind, "null"] }));
    }
    json!({ "type": "object", "properties": properties })
}

const USER: &[(&str, &str)] = &[
    ("id", "string"),
    ("team_id", "string"),
    ("name", "string"),
    ("deleted", "boolean"),
    ("color", "string"),
    ("real_name", "string"),
    ("tz", "string"),
    ("tz_label", "string"),
    ("tz_offset", "integer"),
    ("profile", "object"),
    ("is_admin", "boolean"),
    ("is_owner", "boolean"),
    ("is_primary_owner", "boolean"),
    ("is_restricted", "boolean"),
    ("is_ultra_restricted", "boolean"),
    ("is_bot", "boolean"),
    ("is_app_user", "boolean"),
    ("is_email_confirmed", "boolean"),
    ("has_2fa", "boolean"),
    ("locale", "string"),
    ("updated", "integer"),
];

const USERGROUP: &[(&str, &str)] = &[
    ("id", "string"),
    ("team_id", "string"),
    ("is_usergroup", "boolean"),
    ("name", "string"),
    ("description", "string"),
    ("handle", "string"),
    ("is_external", "boolean"),
    ("date_create", "integer"),
    ("date_update", "integer"),
    ("date_delete", "integer"),
    ("auto_type", "string"),
    ("created_by", "string"),
    ("updated_by", "string"),
    ("deleted_by", "string"),
    ("prefs", "object"),
    ("users", "array"),
    ("user_count", "integer"),
];

const CHANNEL: &[(&str, &str)] = &[
    ("id", "string"),
    ("name", "string"),
    ("is_channel", "boolean"),
    ("is_group", "boolean"),
    ("is_im", "boolean"),
    ("is_mpim", "boolean"),
    ("is_private", "boolean"),
    ("created", "integer"),
    ("creator", "string"),
    ("is_archived", "boolean"),
    ("is_general", "boolean"),
    ("unlinked", "integer"),
    ("name_normalized", "string"),
    ("is_shared", "boolean"),
    ("is_ext_shared", "boolean"),
    ("is_org_shared", "boolean"),
    ("is_member", "boolean"),
    ("user", "string"),
    ("topic", "object"),
    ("purpose", "object"),
    ("previous_names", "array"),
    ("num_members", "integer"),
    ("updated", "integer"),
];

const MESSAGE: &[(&str, &str)] = &[
    ("type", "string"),
    ("subtype", "string"),
    ("ts", "string"),
    ("user", "string"),
    ("bot_id", "string"),
    ("app_id", "string"),
    ("username", "string"),
    ("team", "string"),
    ("text", "string"),
    ("blocks", "array"),
    ("attachments", "array"),
    ("files", "array"),
    ("edited", "object"),
    ("thread_ts", "string"),
    ("parent_user_id", "string"),
    ("reply_count", "integer"),
    ("reply_users_count", "integer"),
    ("reply_users", "array"),
    ("latest_reply", "string"),
    ("subscribed", "boolean"),
    ("is_locked", "boolean"),
    ("reactions", "array"),
    ("pinned_to", "array"),
    ("metadata", "object"),
    ("client_msg_id", "string"),
];

const FILE: &[(&str, &str)] = &[
    ("id", "string"),
    ("created", "integer"),
    ("timestamp", "integer"),
    ("name", "string"),
    ("title", "string"),
    ("mimetype", "string"),
    ("filetype", "string"),
    ("pretty_type", "string"),
    ("user", "string"),
    ("editable", "boolean"),
    ("size", "integer"),
    ("mode", "string"),
    ("is_external", "boolean"),
    ("external_type", "string"),
    ("is_public", "boolean"),
    ("public_url_shared", "boolean"),
    ("url_private", "string"),
    ("url_private_download", "string"),
    ("permalink", "string"),
    ("channels", "array"),
    ("groups", "array"),
    ("ims", "array"),
    ("comments_count", "integer"),
];

const REACTION: &[(&str, &str)] = &[("name", "string"), ("users", "array"), ("count", "integer")];

const PIN: &[(&str, &str)] = &[
    ("type", "string"),
    ("channel", "string"),
    ("created", "integer"),
    ("created_by", "string"),
    ("message", "object"),
    ("file", "object"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SlackConfig;

    fn settings(change: &str) -> Settings {
        let text = format!(r#"{{"auth": {{"bot_token": {{"token": "xoxb-1"}}}}{change}}}"#);
        let config: SlackConfig = serde_json::from_str(&text).unwrap();
        config.check(&connector_sdk::Network::default()).unwrap()
    }

    #[test]
    fn each_stream_is_found_by_its_name_and_its_schema_holds_its_key_and_cursor() {
        for stream in Stream::ALL {
            assert_eq!(Stream::find(stream.name()), Some(stream));
            let spec = stream.spec();
            let fields: Vec<_> = spec.fields().collect();
            for name in spec.primary_key.iter().chain(&spec.cursor_field) {
                assert!(fields.contains(&name.as_str()), "{} {name}", stream.name());
            }
        }
        assert_eq!(Stream::find("Users"), None);
    }

    #[test]
    fn the_scopes_are_those_of_the_kinds_of_channels_that_are_read() {
        let default = settings("");
        assert_eq!(Stream::Messages.scopes(&default), ["channels:read", "channels:history"]);
        assert_eq!(Stream::Users.scopes(&default), ["users:read"]);
        let more = settings(r#","channel_types":["private_channel","im"],"join":true"#);
        assert_eq!(Stream::Pins.scopes(&more), ["groups:read", "im:read", "pins:read"]);
        let joins = settings(r#","join":true"#);
        assert_eq!(Stream::Members.scopes(&joins), ["channels:read", "channels:join"]);
    }
}
