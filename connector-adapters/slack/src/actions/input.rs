//! What actions take and give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Input of `send`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Send {
    /// The channel's id, or a user's for a direct message.
    pub(crate) channel: String,
    /// The text, in the vendor's markup; beside blocks it is what notifications show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// Block Kit blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blocks: Option<Vec<Value>>,
    /// The beginning of the thread to answer in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thread_ts: Option<String>,
}

/// Input of `update`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    /// The channel's id.
    pub(crate) channel: String,
    /// The message.
    pub(crate) ts: String,
    /// Its new text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// Its new blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blocks: Option<Vec<Value>>,
}

/// Input of `delete`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    /// The channel's id.
    pub(crate) channel: String,
    /// The message.
    pub(crate) ts: String,
}

/// Input of `react`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct React {
    /// The channel's id.
    pub(crate) channel: String,
    /// The message.
    pub(crate) ts: String,
    /// The reaction, such as `thumbsup`.
    pub(crate) name: String,
}

/// Input of `upload`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    /// The id of the channel that the file is shared in.
    pub(crate) channel: String,
    /// The file's name.
    pub(crate) filename: String,
    /// What is in it, in base64.
    pub(crate) content_base64: String,
    /// Its title; default: its name.
    pub(crate) title: Option<String>,
    /// What is said with it.
    pub(crate) initial_comment: Option<String>,
    /// The beginning of the thread that it is shared in.
    pub(crate) thread_ts: Option<String>,
}

/// Input of `find_user`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindUser {
    /// The user's address.
    pub(crate) email: String,
}

/// A message that was touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Touched {
    /// The channel's id.
    pub(crate) channel: String,
    /// The message.
    pub(crate) ts: String,
}

/// A file that was uploaded.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Uploaded {
    /// The file's id.
    pub(crate) id: String,
    /// The id of the channel that it is shared in.
    pub(crate) channel: String,
}

/// A user that was found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Found {
    /// The user's id.
    pub(crate) id: String,
    /// The user as the vendor describes them.
    pub(crate) user: Value,
}
