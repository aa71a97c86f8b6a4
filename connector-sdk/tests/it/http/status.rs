use connector_sdk::{
    Class, Delivery, Timestamp,
    http::{Faults, HeaderMap, Request, Response, StatusCode, StatusFaults},
};

use super::{Bench, get};
use crate::support::script::status;

fn class_of(status: u16) -> Option<Class> {
    let url = "https://vendor.example/".parse().unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    let response = Response::new(status, HeaderMap::new(), "", url, Timestamp::from_millis(0));
    StatusFaults.fault(&Request::get("query", "/"), &response).map(|error| error.class())
}

#[test]
fn every_status_has_its_class() {
    for status in 200..600 {
        let expected = match status {
            200..=299 | 304 => None,
            401 => Some(Class::Auth),
            429 => Some(Class::RateLimited),
            408 | 425 => Some(Class::Transient),
            501 | 505 => Some(Class::Permanent),
            500..=599 => Some(Class::Transient),
            _ => Some(Class::Permanent),
        };
        assert_eq!(class_of(status), expected, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_is_a_failure_says_that_the_vendor_answered() {
    for code in (300..600).filter(|code| *code != 304) {
        let bench = Bench::new([status(code), status(code), status(code)]);
        assert_eq!(bench.send(get()).await.unwrap_err().delivery(), Delivery::Answered, "{code}");
    }
}
