//! Did we get through to the vendor? A host has no connection of its own to try: it reads the answer off
//! the first call that the connector makes, by what the error says about delivery.

use connector_sdk::{Class, Context, Counters, Delivery, Error, Identity, Result};

use super::{Probe, ProbeName};

/// Requests sent so far.
pub(super) fn sent(cx: &Context) -> u64 {
    Counters::get(&cx.counters().requests)
}

/// How far a failed call came.
enum Reached {
    /// It has nothing to do with the network: no request was made.
    Nothing,
    /// The host was not found or did not take the connection, or we refused to go there.
    NotTheHost,
    /// The host took the connection, and TLS failed.
    TheHost,
    /// No answer came, and nobody knows how far the request did.
    Unclear,
    /// The vendor was there.
    TheVendor,
}

fn reached(error: &Error, requests: u64) -> Reached {
    let has = |wanted| error.context().any(|(name, _)| name == wanted);
    // Where no token was to be had, the call itself was not sent; the vendor answered all the same.
    if has("status") || matches!(error.class(), Class::Auth | Class::RateLimited) {
        return if requests > 0 { Reached::TheVendor } else { Reached::Nothing };
    }
    // The transport names the host in each of its failures.
    let of_transport = has("host");
    match (error.delivery(), of_transport) {
        (Delivery::Answered, _) => Reached::TheVendor,
        (Delivery::Unknown, _) => Reached::Unclear,
        (Delivery::NotSent, false) if requests == 0 => Reached::Nothing,
        (Delivery::NotSent, false) => Reached::TheVendor,
        // Refused by our own rules, nothing was sent; or sent, and a person has to change the trust.
        (Delivery::NotSent, true) if error.class() == Class::Config && requests > 0 => Reached::TheHost,
        (Delivery::NotSent, true) => Reached::NotTheHost,
    }
}

/// The verdicts on network, TLS and, where it failed, authentication.
pub(super) fn verdicts(cx: &Context, before: u64, signed_in: &Result<Identity>) -> Vec<Probe> {
    let requests = sent(cx).saturating_sub(before);
    let there = || Probe::pass(ProbeName::Network, "the vendor answers");
    let secured = || {
        if cx.network().allow_http {
            Probe::skip(
                ProbeName::Tls,
                "the template allows plain http; whether TLS was used is not known here",
            )
        } else {
            Probe::pass(ProbeName::Tls, "the certificate is trusted")
        }
    };
    let unclear = |name| Probe::skip(name, "not known: no answer came");
    let nothing_sent = |name| Probe::skip(name, "signing in sent no request");
    match signed_in {
        Ok(_) if requests == 0 => vec![nothing_sent(ProbeName::Network), nothing_sent(ProbeName::Tls)],
        Ok(_) => vec![there(), secured()],
        Err(error) => {
            let failed = |name| Probe::fail(name, error);
            match reached(error, requests) {
                Reached::Nothing => vec![
                    nothing_sent(ProbeName::Network),
                    nothing_sent(ProbeName::Tls),
                    failed(ProbeName::Authenticate),
                ],
                Reached::NotTheHost => vec![failed(ProbeName::Network)],
                Reached::TheHost => {
                    vec![
                        Probe::pass(ProbeName::Network, "the host takes connections"),
                        failed(ProbeName::Tls),
                    ]
                }
                Reached::Unclear => {
                    vec![
                        unclear(ProbeName::Network),
                        unclear(ProbeName::Tls),
                        failed(ProbeName::Authenticate),
                    ]
                }
                Reached::TheVendor => vec![there(), secured(), failed(ProbeName::Authenticate)],
            }
        }
    }
}
