//! How an HMAC is described.

use connector_sdk::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::scheme::{Refused, encoding::Encoding, head, signer::seconds};

/// An HMAC in a header of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HmacConfig {
    /// The header with the signature, such as `X-Signature`.
    pub header: String,
    /// What stands before the signature there, such as `sha256=`. Default: nothing.
    #[serde(default)]
    pub prefix: String,
    /// The hash: `sha256` (default) or `sha512`. There is no `sha1`: nobody who has a choice should take it.
    #[serde(default)]
    pub hash: Hash,
    /// How the signature is written: `hex` (default, in lower case) or `base64`.
    #[serde(default)]
    pub encoding: Encoding,
    /// What is signed, such as `v0:{timestamp}:{body}`; `{timestamp}` and `{id}` are the texts of their headers. Default
    /// `{body}`.
    #[serde(default = "body")]
    pub signed: String,
    /// The header with the time of sending; it has to be signed. Default: no time is looked at.
    pub timestamp_header: Option<String>,
    /// How the time is written: `seconds` (default), `milliseconds`, or `rfc3339`.
    #[serde(default)]
    pub timestamp_format: TimestampFormat,
}

fn body() -> String {
    "{body}".to_owned()
}

/// A hash to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Hash {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TimestampFormat {
    /// Seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// RFC 3339 in UTC, with a `Z` at its end.
    Rfc3339,
}

impl TimestampFormat {
    pub(super) fn read(self, text: &str) -> Result<Timestamp, Refused> {
        match self {
            Self::Seconds => head::seconds(text),
            Self::Milliseconds => head::milliseconds(text),
            Self::Rfc3339 => head::rfc3339(text),
        }
    }

    pub(super) fn write(self, at: Timestamp) -> String {
        match self {
            Self::Seconds => seconds(at).to_string(),
            Self::Milliseconds => at.as_millis().to_string(),
            Self::Rfc3339 => at.to_string(),
        }
    }
}
