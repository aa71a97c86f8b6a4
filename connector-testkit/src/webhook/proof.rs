//! What a receiver that was written by somebody else finds of a request.

use http::HeaderMap;

use super::{Kind, signing};

/// How far apart clocks may be, in seconds.
const TOLERANCE: i64 = 300;

fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(format!("{name} is missing"))?;
    match (values.next(), value.to_str()) {
        (None, Ok(value)) => Ok(value),
        _ => Err(format!("{name} comes twice, or is no text")),
    }
}

/// The id of the message and its proof, at so many seconds since 1970. It signs the request itself, as its sender should
/// have, and compares: Ed25519, too, has one signature for one message and key.
pub(super) fn prove(
    kind: Kind,
    secrets: &[String],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<String, String> {
    let in_body = |field: &str| {
        let value: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        value[field].as_str().map(str::to_owned).ok_or(format!("there is no {field} in the body"))
    };
    let id = match kind {
        Kind::StandardWebhooks => one(headers, "webhook-id")?.to_owned(),
        Kind::Svix => one(headers, "svix-id")?.to_owned(),
        Kind::Github => one(headers, "x-github-delivery")?.to_owned(),
        Kind::Shopify => one(headers, "x-shopify-webhook-id")?.to_owned(),
        Kind::Slack => in_body("event_id")?,
        Kind::Stripe => in_body("id")?,
        _ => one(headers, "x-event-id")?.to_owned(),
    };
    let sent = match kind {
        Kind::StandardWebhooks => one(headers, "webhook-timestamp")?,
        Kind::Svix => one(headers, "svix-timestamp")?,
        Kind::Slack => one(headers, "x-slack-request-timestamp")?,
        Kind::Hmac => one(headers, "x-timestamp")?,
        Kind::Stripe => {
            let first = one(headers, "stripe-signature")?.split(',').next().unwrap_or_default();
            first.strip_prefix("t=").ok_or("it does not begin with a time")?
        }
        _ => &now.to_string(),
    };
    let sent: i64 = sent.parse().map_err(|_| format!("{sent:?} is no time"))?;
    if (now - sent).abs() > TOLERANCE {
        return Err(format!("it was sent {} s ago", now - sent));
    }
    let (name, between) = match kind {
        Kind::StandardWebhooks => ("webhook-signature", ' '),
        Kind::Svix => ("svix-signature", ' '),
        Kind::Stripe => ("stripe-signature", ','),
        Kind::Github => ("x-hub-signature-256", '\n'),
        Kind::Slack => ("x-slack-signature", '\n'),
        Kind::Shopify => ("x-shopify-hmac-sha256", '\n'),
        Kind::Hmac => ("x-signature", '\n'),
        Kind::Bearer | Kind::Basic => ("authorization", '\n'),
        Kind::None => return Ok(id),
    };
    let said: Vec<&str> = one(headers, name)?.split(between).collect();
    for secret in secrets {
        let own = signing::sign(kind, std::slice::from_ref(secret), &id, sent, body);
        let own = own.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let tag = own.and_then(|own| own.split(between).next_back()).unwrap_or_default();
        if said.contains(&tag) {
            return Ok(id);
        }
    }
    Err(format!("{name} is not by any of the secrets"))
}
