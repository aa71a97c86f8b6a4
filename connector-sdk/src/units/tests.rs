use super::*;

#[test]
fn sizes_are_read_with_every_unit_and_as_bare_numbers() {
    for (text, bytes) in [
        ("0", 0),
        ("0B", 0),
        ("17", 17),
        ("1B", 1),
        ("2KiB", 2048),
        (" 64 MiB ", 64 << 20),
        ("3GiB", 3 << 30),
        ("1TiB", 1 << 40),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(text.parse::<ByteSize>().unwrap(), ByteSize(bytes), "{text}");
    }
}

#[test]
fn what_is_no_size_is_an_error_that_shows_how_to_write_one() {
    for text in
        ["", "MiB", "64MB", "64mib", "-1", "1.5MiB", "1MiB2", "99999999999TiB", "18446744073709551616"]
    {
        let error = text.parse::<ByteSize>().unwrap_err().to_string();
        assert!(error.contains("64MiB"), "{text}: {error}");
    }
    let error = serde_json::from_str::<ByteSize>("-5").unwrap_err().to_string();
    assert!(error.contains("-5") && error.contains("64MiB"), "{error}");
    assert!(serde_json::from_str::<ByteSize>("true").is_err());
}

#[test]
fn periods_are_read_with_every_unit_and_never_without() {
    for (text, millis) in [
        ("0s", 0),
        ("250ms", 250),
        ("10s", 10_000),
        ("10 m", 600_000),
        ("12h", 43_200_000),
        ("7d", 604_800_000),
    ] {
        assert_eq!(text.parse::<Period>().unwrap(), Period(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "10", "s", "10S", "-1s", "1.5s", "1m30s", "99999999999999999999d"] {
        let error = text.parse::<Period>().unwrap_err().to_string();
        assert!(error.contains("250ms"), "{text}: {error}");
    }
    let error = serde_json::from_str::<Period>("10").unwrap_err().to_string();
    assert!(error.contains("10") && error.contains("250ms"), "{error}");
}

#[test]
fn what_is_written_is_read_back() {
    for bytes in [0, 1, 1023, 1024, 1536, 64 << 20, (64 << 20) + 1, u64::MAX] {
        let size = ByteSize(bytes);
        assert_eq!(serde_json::from_str::<ByteSize>(&serde_json::to_string(&size).unwrap()).unwrap(), size);
    }
    for millis in [0, 1, 999, 1000, 90_000, 3_600_000, 86_400_000, 86_400_001] {
        let period = Period(Duration::from_millis(millis));
        assert_eq!(serde_json::from_str::<Period>(&serde_json::to_string(&period).unwrap()).unwrap(), period);
    }
}
