//! What a failure of reqwest means: its class, and whether the request may have arrived.

use std::{error::Error as StdError, io};

use url::Url;

use super::at;
use crate::{Delivery, Error, http::Call};

/// A failure before the answer began.
pub(super) fn before_the_answer(error: reqwest::Error, call: &Call, url: &Url) -> Error {
    let operation = call.request().operation();
    if !error.is_connect() {
        let message = "the connection ended before the answer began";
        return at(Error::transient(operation, message).with_delivery(Delivery::Unknown), url)
            .with_source(error.without_url());
    }
    call.counters().unreachable.increment();
    let failure = if error.is_dns() {
        Error::transient(operation, "the host's name cannot be resolved")
    } else if let Some(reason) = tls_failure(&error) {
        Error::config(operation, reason)
    } else if error.is_timeout() {
        Error::transient(operation, "no connection in time")
    } else {
        Error::transient(operation, "no connection")
    };
    at(failure, url).with_source(error.without_url())
}

/// What a person has to change, when TLS itself says no. A handshake that merely breaks off says nothing.
fn tls_failure(error: &reqwest::Error) -> Option<&'static str> {
    let mut cause = error.source()?;
    loop {
        // An I/O error that wraps another error skips it in `source`, and may be wrapped itself.
        while let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            cause = inner;
        }
        match cause.downcast_ref::<rustls::Error>() {
            Some(tls) => return to_change(tls),
            None => cause = cause.source()?,
        }
    }
}

fn to_change(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Some(
            "the server's certificate is not trusted: correct the host, or name its authority in `network.ca_file`",
        ),
        rustls::Error::InvalidMessage(_) => Some("the server does not speak TLS on this port"),
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_) => {
            Some("the server refuses our TLS handshake")
        }
        _ => None,
    }
}
