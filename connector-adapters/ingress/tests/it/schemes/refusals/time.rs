//! When it was signed.

use connector_testkit::webhook::Kind;

use super::{Table, headers};
use crate::schemes::{SENT, Sent};

#[test]
fn case_83_an_old_signature_and_one_from_the_future_prove_nothing() {
    let mut table = Table::default();
    for kind in [Kind::StandardWebhooks, Kind::Svix, Kind::Slack, Kind::Stripe, Kind::Hmac] {
        let sent = Sent::new(kind);
        for late in [300_001, -300_001, 86_400_000, -86_400_000, i64::MAX / 2, -SENT * 1000] {
            table.add(&sent, format!("{kind:?} {late} ms late"), 401, move |sent| sent.late = late);
        }
        // To the millisecond, and as the endpoint has it.
        for (tolerance, late, status) in [
            (None, 300_000, 200),
            (None, -300_000, 200),
            (Some("10s"), 10_000, 200),
            (Some("10s"), 10_001, 401),
        ] {
            let mut sent = sent.clone();
            sent.config.tolerance = tolerance.map(|tolerance| tolerance.parse().unwrap());
            sent.late = late;
            assert_eq!(sent.status(), status, "{kind:?} {tolerance:?} {late}");
        }
        // A wrong signature that is old is old.
        let mut old = sent.clone();
        (old.late, old.body) = (300_001, Vec::new());
        let now = connector_sdk::Timestamp::from_millis(SENT * 1000 + old.late);
        let refused = old.verifier().verify(&old.headers, &bytes::Bytes::new(), now).unwrap_err();
        assert!(refused.why.contains("too old"), "{refused:?}");
    }
    table.check();
}

#[test]
fn a_time_that_is_none_is_malformed() {
    let mut table = Table::default();
    let bad = [
        "-1",
        "+1614265330",
        "1614265330.0",
        "1614265330.",
        "1.614265330e9",
        "01614265330",
        "0x60383832",
        "1614265330 1614265330",
        "1614265330,1614265330",
        "１６１４２６５３３０",
        "NaN",
        "99999999999999999999",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "2021-02-25T15:02:10Z",
    ];
    for kind in [Kind::StandardWebhooks, Kind::Svix, Kind::Slack, Kind::Hmac] {
        let (_, time) = headers(kind);
        for bad in bad {
            table.value(&Sent::new(kind), time.unwrap(), bad, 400, |_| bad.as_bytes().to_vec());
        }
        // A number all the same, of another age.
        for (far, value) in [("0", "0"), ("milliseconds", "1614265330000"), ("the end", "9223372036854775")] {
            table.value(&Sent::new(kind), time.unwrap(), far, 401, |_| value.as_bytes().to_vec());
        }
    }
    for bad in bad.into_iter().filter(|bad| !bad.contains(',')) {
        let time = move |value: &str| value.replacen("t=1614265330", &format!("t={bad}"), 1).into_bytes();
        table.value(&Sent::new(Kind::Stripe), "stripe-signature", bad, 400, time);
    }
    table.check();
}
