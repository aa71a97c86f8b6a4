//! The `resilience:` section and the variables of the environment beneath it.

use super::*;

#[tokio::test]
async fn the_environment_sets_the_defaults_of_resilience() {
    let text = |section: &str| format!("connector: a/b\ntenant: t\nname: n\nresilience: {{ {section} }}\n");
    let env = environment(&[
        ("CONNECTOR_RETRY_MAX_ATTEMPTS", "9"),
        ("CONNECTOR_RETRY_BASE_DELAY_MS", "17"),
        ("CONNECTOR_TIMEOUT_MS", "23456"),
        ("CONNECTOR_CIRCUIT_BREAKER_THRESHOLD", "41"),
    ]);
    let by_environment = settings(&text(""), &env).await.unwrap().resilience;
    assert_eq!(by_environment.max_attempts, 9);
    assert_eq!(by_environment.base_delay, Duration::from_millis(17));
    assert_eq!(by_environment.attempt_timeout, Duration::from_millis(23_456));
    assert_eq!(by_environment.breaker.connect_failures, 41);
    let section = "max_attempts: 2, base_delay: 3s, timeout: 9s, breaker_threshold: 4";
    let above = settings(&text(section), &env).await.unwrap().resilience;
    assert_eq!((above.max_attempts, above.base_delay), (2, Duration::from_secs(3)));
    assert_eq!(above.attempt_timeout, Duration::from_secs(9), "the template is above the environment");
    assert_eq!(above.breaker.connect_failures, 4);
    for (name, zero_fits) in [
        ("CONNECTOR_RETRY_MAX_ATTEMPTS", false),
        ("CONNECTOR_RETRY_BASE_DELAY_MS", true),
        ("CONNECTOR_TIMEOUT_MS", false),
        ("CONNECTOR_CIRCUIT_BREAKER_THRESHOLD", false),
    ] {
        for value in ["0", "-1", "1.5", "many", "", "4294967296", "18446744073709551616"] {
            let env = Variables::new(move |asked| (asked == name).then(|| value.to_owned()));
            let settings = settings(&text(""), &env).await;
            if value == "0" && zero_fits {
                assert_eq!(
                    settings.unwrap().resilience.base_delay,
                    Duration::ZERO,
                    "waiting for no time is a choice"
                );
            } else {
                assert_refused(settings, &[name, "whole number"]);
            }
        }
    }
}

#[tokio::test]
async fn the_limits_of_resilience_lie_within_one_another() {
    let text = |section: &str| format!("connector: a/b\ntenant: t\nname: n\nresilience: {{ {section} }}\n");
    for (section, said) in [
        ("timeout: 10m", "`resilience.timeout` must not be longer than `resilience.deadline`, which is 300s"),
        ("timeout: 10s, deadline: 9s", "`resilience.timeout` must not be longer"),
        (
            "connect_timeout: 31s",
            "`resilience.connect_timeout` must not be longer than `resilience.timeout`, which is 30s",
        ),
        ("connect_timeout: 3s, timeout: 2s", "`resilience.connect_timeout` must not be longer"),
        ("max_body: 0", "`resilience.max_body` must be larger than nothing"),
        ("max_decompressed_body: 0", "`resilience.max_decompressed_body` must be larger than nothing"),
    ] {
        assert_refused(settings(&text(section), &variables()).await, &["t.yaml:4:", said]);
    }
    // What the template leaves out gives way.
    let short = settings(&text("deadline: 2s"), &variables()).await.unwrap().resilience;
    let two = Duration::from_secs(2);
    assert_eq!((short.deadline, short.attempt_timeout, short.connect_timeout), (two, two, two));
    // A probe is an attempt: one that is still under way is not given up.
    let long = settings(&text("timeout: 2m"), &variables()).await.unwrap().resilience;
    assert_eq!(long.breaker.probe_timeout, Duration::from_secs(120));
    let usual = settings(&text(""), &variables()).await.unwrap().resilience;
    assert_eq!(usual.breaker.probe_timeout, Duration::from_secs(60));
    let env = environment(&[("CONNECTOR_TIMEOUT_MS", "400000")]);
    assert_refused(
        settings(&text(""), &env).await,
        &["CONNECTOR_TIMEOUT_MS", "`resilience.deadline`", "300s"],
    );
    assert!(settings(&text("deadline: 10m"), &env).await.is_ok());
    let env = environment(&[("CONNECTOR_TIMEOUT_MS", "1000")]);
    assert_eq!(settings(&text(""), &env).await.unwrap().resilience.connect_timeout, Duration::from_secs(1));
}
