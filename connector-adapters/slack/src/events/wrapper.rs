//! What is known of an event, whatever it is: its type, its id, its time. The rest goes through unseen.

use bytes::Bytes;
use connector_ingress::scheme::{Proof, Refused, Verified};
use http::request::Parts;
use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

/// The fields of a wrapper that something here rests on; each may be missing, or be of another type than documented.
#[derive(Debug, Default, Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    event_time: Option<&'a RawValue>,
    #[serde(borrow)]
    minute_rate_limited: Option<&'a RawValue>,
    #[serde(borrow)]
    team_id: Option<&'a RawValue>,
    #[serde(borrow)]
    api_app_id: Option<&'a RawValue>,
}

fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// A number of seconds, as the vendor wrote it.
fn seconds(value: Option<&RawValue>) -> Option<&str> {
    value.map(RawValue::get).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What an event is told apart by. One that has no id of its own is told apart by what it says.
///
/// `app_rate_limited` has none, and no inner event (docs.slack.dev/reference/events/app_rate_limited).
fn id(wrapper: &Wrapper<'_>, body: &[u8]) -> String {
    if let Some(id) = text(wrapper.event_id).filter(|id| !id.is_empty()) {
        return id;
    }
    match (text(wrapper.kind).as_deref(), seconds(wrapper.minute_rate_limited)) {
        (Some(kind @ "app_rate_limited"), Some(minute)) => {
            let part = |value| text(value).unwrap_or_default();
            format!("{kind}:{}:{}:{minute}", part(wrapper.api_app_id), part(wrapper.team_id))
        }
        _ => format!("body:{:032x}", xxh3_128(body)),
    }
}

/// The id of a payload, which is one JSON value; none: it is no JSON.
pub(super) fn id_of(body: &str) -> Option<String> {
    // Not an object: it has no fields, and is kept all the same.
    let wrapper: Wrapper<'_> = match serde_json::from_str(body) {
        Ok(wrapper) => wrapper,
        Err(_) => serde_json::from_str::<&RawValue>(body).ok().map(|_| Wrapper::default())?,
    };
    Some(id(&wrapper, body.as_bytes()))
}

/// What is kept of a request that Slack has signed.
pub(super) fn keep(head: &Parts, body: &Bytes, _: Proof) -> Result<Verified, Refused> {
    let no_json = Refused::malformed("the body is no JSON: only events are taken here");
    let body = std::str::from_utf8(body).map_err(|_| no_json.clone())?;
    let wrapper: Wrapper<'_> = serde_json::from_str(body).map_err(|_| no_json)?;
    if let Some(retry) = head.headers.get("x-slack-retry-num").and_then(|value| value.to_str().ok()) {
        let reason = head.headers.get("x-slack-retry-reason").and_then(|value| value.to_str().ok());
        tracing::debug!(retry, reason, "the vendor sends an event again");
    }
    Ok(Verified { id: id(&wrapper, body.as_bytes()), head: Bytes::new() })
}

/// When it happened: seconds since 1970, as the vendor wrote them; none where it does not say.
pub(super) fn time_of(body: &[u8]) -> Option<&str> {
    let wrapper: Wrapper<'_> = serde_json::from_slice(body).ok()?;
    seconds(wrapper.event_time).or(seconds(wrapper.minute_rate_limited))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_apart_by_its_id_or_by_what_it_says() {
        assert_eq!(id_of(r#"{"event_id":"Ev1","event":{"event_id":"other"}}"#).unwrap(), "Ev1");
        let limited = r#"{"type":"app_rate_limited","team_id":"T1","minute_rate_limited":1518467820,"api_app_id":"A1"}"#;
        assert_eq!(id_of(limited).unwrap(), "app_rate_limited:A1:T1:1518467820");
        for odd in [r#"{"event_id":7}"#, r#"{"event_id":""}"#, "{}", "[1]", "7", r#"{"type":"new"}"#] {
            assert!(id_of(odd).unwrap().starts_with("body:"), "{odd}");
        }
        assert_ne!(id_of("[1]"), id_of("[2]"));
        assert_eq!(id_of("nonsense"), None);
    }

    #[test]
    fn its_time_is_the_vendors_and_none_is_made_up() {
        assert_eq!(time_of(br#"{"event_time":1234567890}"#), Some("1234567890"));
        assert_eq!(time_of(br#"{"minute_rate_limited":1518467820}"#), Some("1518467820"));
        for none in [&br#"{"event_time":"soon"}"#[..], br#"{"event_time":1.5}"#, b"{}", b"7"] {
            assert_eq!(time_of(none), None);
        }
    }
}
