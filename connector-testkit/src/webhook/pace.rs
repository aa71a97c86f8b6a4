//! How long a vendor waits for an answer, and when it sends again.

use std::time::Duration;

use super::Kind;

/// The patience of a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How long it waits for an answer.
    pub patience: Duration,
    /// How long it waits before each attempt, the first one too: as many attempts as there are waits.
    pub waits: Vec<Duration>,
    /// A `Retry-After` longer than the next wait is waited for.
    pub heeds_retry_after: bool,
    /// 410, or the end of the attempts, ends the subscription: nothing is sent any more.
    pub gives_up_for_good: bool,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

fn waits(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().copied().map(Duration::from_secs).collect()
}

impl Pace {
    /// Of this vendor, as its pages have it.
    ///
    /// - Slack: 3 s; at once, after 1 minute, after 5 (docs.slack.dev, "The Events API", "Retries").
    /// - GitHub: 10 s; never by itself (docs.github.com, "Handling failed webhook deliveries").
    /// - Shopify: 5 s; 8 times over 4 hours, then the subscription is removed (shopify.dev, "Troubleshooting
    ///   webhooks"). How they are spread is not said: here each wait is twice the one before.
    /// - Stripe: for up to 3 days (docs.stripe.com/webhooks, "Automatic retries"). Neither patience nor waits are said: here
    ///   20 s, and each wait three times the one before.
    /// - Standard Webhooks: the specification's example schedule; of 15 to 30 s of patience, 20. All others have it too.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Slack => Self {
                patience: Duration::from_secs(3),
                waits: waits(&[0, 0, MINUTE, 5 * MINUTE]),
                heeds_retry_after: false,
                gives_up_for_good: false,
            },
            Kind::Github => Self {
                patience: Duration::from_secs(10),
                waits: waits(&[0]),
                heeds_retry_after: false,
                gives_up_for_good: false,
            },
            Kind::Shopify => Self {
                patience: Duration::from_secs(5),
                waits: [Duration::ZERO]
                    .into_iter()
                    .chain((0..8).map(|n| Duration::from_secs(56 << n)))
                    .collect(),
                heeds_retry_after: false,
                gives_up_for_good: true,
            },
            Kind::Stripe => Self {
                patience: Duration::from_secs(20),
                waits: waits(&[
                    0,
                    5 * MINUTE,
                    15 * MINUTE,
                    45 * MINUTE,
                    2 * HOUR,
                    6 * HOUR,
                    18 * HOUR,
                    42 * HOUR,
                ]),
                heeds_retry_after: false,
                gives_up_for_good: false,
            },
            _ => Self {
                patience: Duration::from_secs(20),
                waits: waits(&[
                    0,
                    5,
                    5 * MINUTE,
                    30 * MINUTE,
                    2 * HOUR,
                    5 * HOUR,
                    10 * HOUR,
                    14 * HOUR,
                    20 * HOUR,
                    24 * HOUR,
                ]),
                heeds_retry_after: true,
                gives_up_for_good: true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_gives_up_when_its_pages_say() {
        let total = |kind| Pace::of(kind).waits.iter().sum::<Duration>();
        assert_eq!(total(Kind::Slack), Duration::from_secs(6 * MINUTE));
        assert_eq!(Pace::of(Kind::Github).waits.len(), 1);
        let shopify = Pace::of(Kind::Shopify);
        assert_eq!(shopify.waits.len(), 9);
        assert!(total(Kind::Shopify) <= Duration::from_secs(4 * HOUR));
        assert!(total(Kind::Stripe) <= Duration::from_secs(72 * HOUR));
        assert_eq!(total(Kind::Svix), Duration::from_secs(75 * HOUR + 35 * MINUTE + 5));
    }
}
