//! What a failure of reqwest means: its class, and whether the request may have arrived.

use std::{error::Error as StdError, io};

use rustls::{AlertDescription, CertificateError};
use url::Url;

use super::{at, guard::Refused, head};
use crate::{Delivery, Error, http::Call};

/// A failure before the answer began.
pub(super) fn before_the_answer(error: reqwest::Error, call: &Call, url: &Url) -> Error {
    let operation = call.request().operation();
    if let Some(refused) = cause::<Refused>(&error) {
        return refused.clone().into_error(operation);
    }
    if head::was_refused(&error) {
        return at(head::too_large(operation), url).with_source(error.without_url());
    }
    let failure = if error.is_builder() {
        Error::config(operation, "the request cannot be sent as it is: its URL is too long, or malformed")
    } else if error.is_connect() {
        call.counters().unreachable.increment();
        connecting(&error, operation)
    } else if let Some(reason) = cause(&error).and_then(refused_late) {
        Error::config(operation, reason)
    } else if cause(&error).is_some_and(was_not_processed) {
        call.turned_away();
        Error::transient(operation, "the request has not been processed, the server says")
    } else {
        Error::transient(operation, "the connection ended before the answer began")
            .with_delivery(Delivery::Unknown)
    };
    at(failure, url).with_source(error.without_url())
}

/// A failure before a connection has changed its protocol.
pub(super) fn of_upgrade(error: reqwest::Error, operation: &'static str, url: &Url) -> Error {
    if let Some(refused) = cause::<Refused>(&error) {
        return refused.clone().into_error(operation);
    }
    let failure = if error.is_connect() {
        connecting(&error, operation)
    } else if let Some(reason) = cause(&error).and_then(refused_late) {
        Error::config(operation, reason)
    } else {
        Error::transient(operation, "the connection ended before it changed its protocol")
            .with_delivery(Delivery::Unknown)
    };
    at(failure, url).with_source(error.without_url())
}

/// HTTP/2 has a word for it (RFC 9113, 8.7).
fn was_not_processed(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
}

fn connecting(error: &reqwest::Error, operation: &'static str) -> Error {
    if error.is_dns() {
        Error::transient(operation, "the host's name cannot be resolved")
    } else if let Some(reason) = cause(error).and_then(to_change) {
        Error::config(operation, reason)
    } else if error.is_timeout() {
        Error::transient(operation, "no connection in time")
    } else {
        Error::transient(operation, "no connection")
    }
}

/// The error of this type that is behind another one.
pub(super) fn cause<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error that wraps another error skips it in `source`, and may be wrapped itself.
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// What a person has to change, when TLS itself says no. A handshake that merely breaks off says nothing.
pub(crate) fn to_change(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => Some("the server's certificate has expired: tell who runs it, or set this machine's clock"),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Some("the server's certificate is not valid yet: set this machine's clock, or tell who runs it"),
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Some(
            "the server's certificate is not trusted: correct the host, or name its authority in `network.ca_file`",
        ),
        rustls::Error::InvalidMessage(_) => Some("the server does not speak TLS on this port"),
        // The server's own trouble may pass.
        rustls::Error::AlertReceived(AlertDescription::InternalError) => None,
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_) => Some(HANDSHAKE),
        _ => None,
    }
}

const HANDSHAKE: &str = "the server refuses our TLS handshake";

/// With TLS 1.3 the server judges our certificate, or that we have none, after our side of the handshake
/// is done (RFC 8446, 4.4.2.4). It has then read nothing of the request.
fn refused_late(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure,
        ) => Some(HANDSHAKE),
        _ => None,
    }
}
