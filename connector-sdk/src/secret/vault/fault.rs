//! What Vault's answers mean.

use ::http::StatusCode;

use crate::{
    Class, Error,
    http::{Faults, Request, Response, StatusFaults},
};

/// What a write is called that found another version than it had read.
const CHANGED: &str = "somebody else has changed the secret in the meantime";

/// Vault's statuses ("HTTP status codes" of its API documentation), by class:
///
/// | status | class | because |
/// |---|---|---|
/// | 404 | no fault | there is no such secret, or it is deleted: the body tells |
/// | 400 with check-and-set | Permanent | somebody else has written; who wrote reads again |
/// | 400 of a login | Auth | role or secret id are wrong |
/// | 401, 403 | Auth | the token has ended, or may not do this: another is tried once |
/// | 412, 472, 473 | Transient | a node that is not up to date, or a standby |
/// | 429 | RateLimited | a quota (of `sys/health`: a standby, which is never asked here) |
/// | 503 | Transient | sealed, or down for maintenance |
///
/// No text of an answer is repeated.
#[derive(Debug, Clone, Copy)]
pub(super) struct VaultFaults;

impl Faults for VaultFaults {
    fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
        let failed = |class, what: &str| {
            let error = Error::new(class, request.operation(), format!("Vault {what}"));
            Some(error.with_context("status", response.status.as_u16()))
        };
        match response.status.as_u16() {
            404 => None,
            400 if request.operation() == super::token::LOGIN => {
                failed(Class::Auth, "does not accept the login: check the role and its secret")
            }
            400 if holds(response, b"check-and-set") => Some(Error::permanent(request.operation(), CHANGED)),
            401 | 403 => {
                failed(Class::Auth, "refuses its token: it has ended, or its policy does not allow this path")
            }
            412 => failed(Class::Transient, "has asked a node that is not up to date"),
            472 | 473 => failed(Class::Transient, "has answered from a standby"),
            503 => failed(Class::Transient, "is sealed or down for maintenance"),
            _ => StatusFaults.fault(request, response),
        }
    }
}

/// Whether a write found another version than it had read.
pub(super) fn changed(error: &Error) -> bool {
    error.class() == Class::Permanent && error.message() == CHANGED
}

fn holds(response: &Response, text: &[u8]) -> bool {
    debug_assert_eq!(response.status, StatusCode::BAD_REQUEST);
    response.body.windows(text.len()).any(|window| window == text)
}
