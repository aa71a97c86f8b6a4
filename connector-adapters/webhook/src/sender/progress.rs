//! How far a message has come: its attempts, and its end.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::{Class, Timestamp};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

/// An attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Try {
    /// When it began.
    pub(super) at: Timestamp,
    pub(super) took_ms: u64,
    /// What was answered, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    /// Why it has failed; none: it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<Class>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// What an endpoint has answered, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retry_after: Option<String>,
    /// The beginning of its body, where that is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    /// The same where it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body_base64: Option<String>,
    /// There was more of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) cut: bool,
}

impl Answer {
    /// Keeps this of an answer; `body` may have one byte more than is kept, which says that there was more.
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8], most: usize) -> Self {
        // Both are the endpoint's words: text, and not much of it.
        let field = |name| {
            let text = headers.get(name).and_then(|value| value.to_str().ok());
            text.map(|text| text.chars().take(255).collect::<String>())
        };
        let kept = body.get(..most).unwrap_or(body);
        let text = as_text(kept, body.len() > kept.len());
        let base64 = text.is_none().then(|| STANDARD.encode(kept));
        Self {
            status: status.as_u16(),
            content_type: field(header::CONTENT_TYPE),
            retry_after: field(header::RETRY_AFTER),
            body: text.filter(|text| !text.is_empty()),
            body_base64: base64,
            cut: body.len() > kept.len(),
        }
    }
}

impl Answer {
    /// The same without what was sent in confidence, which an endpoint that echoes requests would have us keep.
    pub(super) fn hiding(mut self, hidden: &[String]) -> Self {
        // A short one says little, and stands in many a text by chance.
        for secret in hidden.iter().filter(|secret| secret.len() >= 6) {
            let bytes =
                self.body_base64.as_ref().and_then(|base64| STANDARD.decode(base64).ok()).unwrap_or_default();
            if bytes.windows(secret.len()).any(|window| window == secret.as_bytes()) {
                (self.body_base64, self.cut) = (None, true);
            }
            for text in [&mut self.body, &mut self.content_type, &mut self.retry_after].into_iter().flatten()
            {
                *text = text.replace(secret.as_str(), "[secret]");
            }
        }
        self
    }
}

/// Text, whose last character may have been cut in two.
fn as_text(bytes: &[u8], is_cut: bool) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if is_cut && error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to())?;
            std::str::from_utf8(whole).ok().map(str::to_owned)
        }
        Err(_) => None,
    }
}

/// Where a message stands that has been tried, or is to be tried anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Counts from 0 how often it was taken from the dead letters.
    #[serde(default)]
    pub(super) round: u32,
    /// Attempts of this round that count.
    #[serde(default)]
    pub(super) spent: usize,
    /// When it may be tried next; none: as a message that is new.
    #[serde(default)]
    pub(super) due: Option<Timestamp>,
    /// The attempts of this round, oldest first.
    #[serde(default)]
    pub(super) tries: Vec<Try>,
    /// What was answered last.
    #[serde(default)]
    pub(super) answer: Option<Answer>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// The endpoint has answered 2xx.
    Delivered,
    /// It is not tried any more, and kept as a dead letter.
    Dead,
}

/// The end of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) id: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    pub(super) fate: Fate,
    pub(super) accepted_at: Timestamp,
    pub(super) ended_at: Timestamp,
    /// Tells its message from another one with this id.
    pub(super) print: String,
    /// Bytes of the message's file.
    pub(super) bytes: u64,
    /// Why it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) progress: Progress,
}

impl Ended {
    /// About how many bytes its file has.
    pub(super) fn size(&self) -> u64 {
        let body = |answer: &Answer| {
            let parts = [&answer.body, &answer.body_base64, &answer.content_type, &answer.retry_after];
            parts.into_iter().flatten().map(String::len).sum::<usize>()
        };
        let answer = self.progress.answer.as_ref().map_or(0, body);
        (512 + answer + self.progress.tries.len() * 160) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &[u8], most: usize) -> Answer {
        Answer::new(StatusCode::OK, &HeaderMap::new(), body, most)
    }

    #[test]
    fn what_an_endpoint_echoes_of_our_secrets_is_not_kept() {
        let hidden = ["Bearer", "canary-1"].map(str::to_owned);
        let kept = answer(b"authorization: Bearer canary-1", 100).hiding(&hidden);
        assert!(!format!("{kept:?}").contains("canary"), "{kept:?}");
        assert_eq!(answer(b"\xff canary-1", 100).hiding(&hidden).body_base64, None);
        assert!(answer(b"\xff canary-2", 100).hiding(&hidden).body_base64.is_some());
    }

    #[test]
    fn of_an_answer_no_more_is_kept_than_its_cap_and_never_half_a_character() {
        let kept = answer(b"hello", 5);
        assert_eq!((kept.body.as_deref(), kept.cut), (Some("hello"), false));
        let kept = answer(b"hello!", 5);
        assert_eq!((kept.body.as_deref(), kept.cut), (Some("hello"), true));
        let kept = answer("aé!".as_bytes(), 2);
        assert_eq!((kept.body.as_deref(), kept.cut), (Some("a"), true));
        let kept = answer(b"\xff\x00", 5);
        assert_eq!((kept.body, kept.body_base64.as_deref()), (None, Some("/wA=")));
        assert_eq!(answer(b"", 5).body, None);
    }
}
