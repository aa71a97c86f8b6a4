use super::*;

#[test]
fn display_is_one_line_without_the_source() {
    let error = Error::transient("query", "the connection was reset")
        .with_context("stream", "Contact")
        .with_context("page", 3)
        .with_source(std::io::Error::other("low level detail"));
    assert_eq!(error.to_string(), "query: the connection was reset (stream: Contact, page: 3)");
    assert!(format!("{error:?}").contains("because: low level detail"));
}

#[test]
fn the_json_form_has_the_seven_names_of_the_interface() {
    let error = Error::new(Class::RateLimited, "query", "slow down")
        .with_delivery(Delivery::Answered)
        .with_retry_after(Duration::from_millis(1500))
        .with_resume_at(Timestamp::from_millis(0))
        .with_context("quota", "daily");
    assert_eq!(
        serde_json::to_value(&error).unwrap(),
        serde_json::json!({
            "class": "RateLimited", "delivery": "Answered", "operation": "query", "message": "slow down",
            "context": {"quota": "daily"}, "retry_after_ms": 1500, "resume_at": "1970-01-01T00:00:00.000Z"
        })
    );
}

#[test]
fn an_error_is_one_word_wide() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
}
