use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn noon() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

fn parsed(headers: &[(&str, &str)]) -> Option<(u64, u64)> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let told = parse(&map, noon())?;
    Some((told.remaining, u64::try_from(told.resets_in.as_millis()).unwrap()))
}

#[test]
fn the_ietf_fields_in_every_form() {
    let table = [
        (r#""default";r=50;t=30"#, Some((50, 30_000))),
        (r#" "default" ; r=50 ; t=30 "#, Some((50, 30_000))),
        (r#"default;r=0;t=1"#, Some((0, 1_000))),
        (r#""a";r=50;t=30, "b";r=7;t=60, "c";r=7;t=10"#, Some((7, 60_000))),
        (r#""a, \"b;r=1";r=9;t=3;pk=:cGs=:"#, Some((9, 3_000))),
        (r#""a";t=30"#, None),
        (r#""a";r=-1;t=30"#, None),
        (r#""a";r=1.5;t=30"#, None),
        (r#""a";r=5;t=0"#, None),
        (r#""a";r=5"#, None),
        (r#""a";r=5;t=soon, "b";r=8;t=2"#, Some((8, 2_000))),
        (r#""a";r=1234567890123456;t=30"#, None),
        (r#""a";r=5;t=2678401"#, None),
        (r#""a;r=5;t=30"#, None),
        ("limit=100, remaining=50, reset=30", Some((50, 30_000))),
        ("limit=100,remaining=0,reset=5;w=60", Some((0, 5_000))),
        ("limit=100, remaining=50", None),
        ("remaining=, reset=", None),
        ("", None),
        (",;,=;", None),
    ];
    for (value, expected) in table {
        assert_eq!(parsed(&[("ratelimit", value)]), expected, "{value}");
    }
    let policy = ("ratelimit-policy", r#""burst";q=100;w=60, "day";q=1000;w=86400"#);
    assert_eq!(parsed(&[policy]), None, "a policy alone says nothing of what is left");
    assert_eq!(parsed(&[policy, ("ratelimit", r#""burst";r=3"#)]), Some((3, 60_000)));
    assert_eq!(parsed(&[policy, ("ratelimit", r#""other";r=3"#)]), None);
    let lines = [("ratelimit", r#""a";r=5;t=30"#), ("ratelimit", r#""b";r=2;t=9"#)];
    assert_eq!(parsed(&lines), Some((2, 9_000)));
}

#[test]
fn pairs_of_headers_and_the_rule_of_seconds_or_epoch() {
    // 2026-01-31T12:00:00Z is 1,769,860,800.
    let table = [
        ("4999", "1769860860", Some((4999, 60_000))),
        ("4999", "1769860860000", Some((4999, 60_000))),
        ("4999", "1769860799", None),
        ("0", "60", Some((0, 60_000))),
        ("598.0", "1.2", Some((598, 2_000))),
        ("1.9", "0.001", Some((1, 1_000))),
        (" 5 ", "\t7", Some((5, 7_000))),
        ("5", "0", None),
        ("5", "2678400", Some((5, 2_678_400_000))),
        ("5", "2678401", None),
        ("5", "999999999", None),
        ("5", "1000000000", None),
        ("5", "9999999999", None),
        ("5", "999999999999999", None),
        ("-1", "60", None),
        ("", "60", None),
        ("5", "", None),
        ("5", "60s", None),
        ("5", ".5", None),
        ("5.", "60", None),
        ("NaN", "60", None),
        ("1e3", "60", None),
        ("5", "Sat, 31 Jan 2026 12:01:00 GMT", None),
    ];
    for (remaining, reset, expected) in table {
        for (left, until) in
            [("X-RateLimit-Remaining", "X-RateLimit-Reset"), ("x-rate-limit-remaining", "x-rate-limit-reset")]
        {
            assert_eq!(parsed(&[(left, remaining), (until, reset)]), expected, "{remaining} {reset}");
        }
    }
    assert_eq!(parsed(&[("ratelimit-remaining", "5"), ("ratelimit-reset", "60")]), Some((5, 60_000)));
    assert_eq!(parsed(&[("ratelimit-remaining", "5"), ("ratelimit-reset", "1769860860")]), None);
    assert_eq!(parsed(&[("x-ratelimit-remaining", "5"), ("x-rate-limit-reset", "60")]), None);
    let both = [("ratelimit", "x;r=1;t=2"), ("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "60")];
    assert_eq!(parsed(&both), Some((1, 2_000)), "the standard wins");
}

proptest! {
    #[test]
    fn any_text_is_none_or_a_wait_of_at_most_31_days(
        value in r#"[ -~]{0,40}|("?[a-z]{1,3}"?;?[rt]?=?[0-9]{0,12}[,;]?){0,4}"#,
        other in "[0-9.]{0,14}|[ -~]{0,12}",
        now: i64,
    ) {
        for names in [["ratelimit", "ratelimit-policy"], ["x-ratelimit-remaining", "x-ratelimit-reset"]] {
            let mut headers = HeaderMap::new();
            for (name, value) in names.iter().zip([&value, &other]) {
                headers.insert(*name, HeaderValue::from_str(value).unwrap());
            }
            if let Some(told) = parse(&headers, Timestamp::from_millis(now)) {
                prop_assert!(told.resets_in > Duration::ZERO && told.resets_in <= LONGEST);
            }
        }
    }
}
