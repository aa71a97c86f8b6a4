//! The vendors.

/// Whose ways a fake has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Standard Webhooks; v1 where the secret is `whsec_…`, v1a where it is `whsk_…`.
    StandardWebhooks,
    /// The same under the names of Svix.
    Svix,
    /// GitHub.
    Github,
    /// Slack's Events API.
    Slack,
    /// Stripe.
    Stripe,
    /// Shopify.
    Shopify,
    /// Nobody's: `X-Signature` is `sha256=` and the hexadecimal HMAC-SHA256 of `{id}:{time}:{body}`, `X-Timestamp` the
    /// seconds, `X-Event-Id` the id.
    Hmac,
    /// The secret itself, as a bearer token; `X-Event-Id` is the id.
    Bearer,
    /// The secret itself, `name:password`, as RFC 7617 has it; `X-Event-Id` is the id.
    Basic,
    /// No proof; `X-Event-Id` is the id.
    None,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::StandardWebhooks,
        Self::Svix,
        Self::Github,
        Self::Slack,
        Self::Stripe,
        Self::Shopify,
        Self::Hmac,
        Self::Bearer,
        Self::Basic,
        Self::None,
    ];

    /// What a configuration calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StandardWebhooks => "standard-webhooks",
            Self::Svix => "svix",
            Self::Github => "github",
            Self::Slack => "slack",
            Self::Stripe => "stripe",
            Self::Shopify => "shopify",
            Self::Hmac => "hmac",
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::None => "none",
        }
    }

    /// A secret as this vendor has them.
    #[must_use]
    pub fn secret(self) -> &'static str {
        match self {
            // The example of the specification's libraries.
            Self::StandardWebhooks | Self::Svix => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            Self::Github => "It's a Secret to Everybody",
            Self::Slack => "8f742231b10e8888abcd99yyyzzz85a5",
            Self::Stripe => "whsec_test_secret",
            Self::Shopify => "shpss_0123456789abcdef0123456789abcdef",
            Self::Hmac => "a secret of nobody's",
            Self::Bearer => "b34r3r-t0k3n",
            Self::Basic => "hook:pässword",
            Self::None => "",
        }
    }

    /// The settings of an endpoint that takes what this vendor sends, without its path: `scheme`, `secrets`, and what
    /// else the scheme needs. As JSON.
    #[must_use]
    pub fn settings(self, secrets: &[&str]) -> serde_json::Value {
        let mut settings = serde_json::json!({ "scheme": self.name() });
        if self != Self::None {
            settings["secrets"] = secrets.into();
        }
        if matches!(self, Self::Hmac | Self::Bearer | Self::Basic | Self::None) {
            settings["id_header"] = "X-Event-Id".into();
        }
        if self == Self::Hmac {
            settings["hmac"] = serde_json::json!({
                "header": "X-Signature", "prefix": "sha256=", "signed": "{id}:{timestamp}:{body}",
                "timestamp_header": "X-Timestamp",
            });
        }
        settings
    }
}
