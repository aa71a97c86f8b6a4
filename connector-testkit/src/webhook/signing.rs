//! How each vendor signs what it sends, written from its own pages.

use aws_lc_rs::{hmac, signature::Ed25519KeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Kind;

/// Headers of a request.
pub(super) type Headers = Vec<(&'static str, String)>;

fn mac(secret: &[u8], signed: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One entry of Standard Webhooks; none where the secret is none of theirs.
fn entry(secret: &str, signed: &[u8]) -> Option<String> {
    if let Some(shared) = secret.strip_prefix("whsec_") {
        return Some(format!("v1,{}", STANDARD.encode(mac(&STANDARD.decode(shared).ok()?, signed))));
    }
    let private = STANDARD.decode(secret.strip_prefix("whsk_")?).ok()?;
    let pair = Ed25519KeyPair::from_seed_unchecked(private.get(..32)?).ok()?;
    Some(format!("v1a,{}", STANDARD.encode(pair.try_sign(signed).ok()?.as_ref())))
}

/// What a request of this vendor says, beside its body, at so many seconds since 1970.
pub(super) fn sign(kind: Kind, secrets: &[String], id: &str, seconds: i64, body: &[u8]) -> Headers {
    let secret = secrets.first().map(String::as_str).unwrap_or_default();
    let sent = seconds.to_string();
    let before = |before: String| [before.as_bytes(), body].concat();
    let own_id = || ("X-Event-Id", id.to_owned());
    match kind {
        Kind::StandardWebhooks | Kind::Svix => {
            let signed = before(format!("{id}.{sent}."));
            let entries: Vec<String> = secrets.iter().filter_map(|secret| entry(secret, &signed)).collect();
            let names = match kind {
                Kind::Svix => ["svix-id", "svix-timestamp", "svix-signature"],
                _ => ["webhook-id", "webhook-timestamp", "webhook-signature"],
            };
            names.into_iter().zip([id.to_owned(), sent, entries.join(" ")]).collect()
        }
        Kind::Github => vec![
            ("X-Hub-Signature-256", format!("sha256={}", hex(&mac(secret.as_bytes(), body)))),
            ("X-GitHub-Delivery", id.to_owned()),
            ("X-GitHub-Hook-ID", "292430182".to_owned()),
        ],
        Kind::Slack => {
            let tag = mac(secret.as_bytes(), &before(format!("v0:{sent}:")));
            vec![("X-Slack-Request-Timestamp", sent), ("X-Slack-Signature", format!("v0={}", hex(&tag)))]
        }
        Kind::Stripe => {
            let signed = before(format!("{sent}."));
            let mut header = format!("t={sent}");
            for secret in secrets {
                header.push_str(&format!(",v1={}", hex(&mac(secret.as_bytes(), &signed))));
            }
            vec![("Stripe-Signature", header)]
        }
        Kind::Shopify => vec![
            ("X-Shopify-Hmac-SHA256", STANDARD.encode(mac(secret.as_bytes(), body))),
            ("X-Shopify-Webhook-Id", id.to_owned()),
            ("X-Shopify-Shop-Domain", "acme.myshopify.com".to_owned()),
            ("X-Shopify-API-Version", "2026-10".to_owned()),
        ],
        Kind::Hmac => {
            let tag = mac(secret.as_bytes(), &before(format!("{id}:{sent}:")));
            vec![("X-Signature", format!("sha256={}", hex(&tag))), ("X-Timestamp", sent), own_id()]
        }
        Kind::Bearer => vec![("Authorization", format!("Bearer {secret}")), own_id()],
        Kind::Basic => vec![("Authorization", format!("Basic {}", STANDARD.encode(secret))), own_id()],
        Kind::None => vec![own_id()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(kind: Kind, id: &str, seconds: i64, body: &str) -> Headers {
        sign(kind, &[kind.secret().to_owned()], id, seconds, body.as_bytes())
    }

    /// The published examples; their sources stand with the fixtures of webhooks.
    #[test]
    fn it_signs_as_the_vendors_pages_show() {
        let standard = signed(
            Kind::StandardWebhooks,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(standard[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let github = signed(Kind::Github, "x", 0, "Hello, World!");
        let tag = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(github[0].1, tag);
        let private =
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let both = [Kind::StandardWebhooks.secret().to_owned(), private.to_owned()];
        let headers = sign(Kind::StandardWebhooks, &both, id, 1_614_265_330, body);
        let asymmetric =
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
        assert_eq!(headers[2].1, format!("{} {asymmetric}", standard[2].1));
    }
}
