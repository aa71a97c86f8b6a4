//! The way of a request through the org, from its head to the wire, and which room answers which path.

use std::io::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use crate::fault::{Connection, Fault, Seen, decoded};

use super::gate::{Held, Pass};
use super::log::LoggedRequest;
use super::org::Org;
use super::{
    authorize, bulk, collections, composite, describe, gate, ingest, oauth, query, replication, reply,
    resources, soap, sobjects,
};

/// Bytes of address and headers that the front end reads (limits of the REST API).
const MAX_HEAD: usize = 16_384;
/// Bytes of a request's body that are read: sign-ins are small.
const MAX_BODY: usize = 1024 * 1024;
/// Bytes of records that one call writes.
const MAX_WRITE: usize = 32 * 1024 * 1024;
/// Bytes that a job takes: 150 MB (bulk_api_2_limits).
const MAX_UPLOAD: usize = 150 * 1024 * 1024;
/// Answers smaller than this are not worth compressing.
const MIN_GZIP: usize = 512;

pub(super) fn router(org: Arc<Org>) -> Router {
    Router::new().fallback(answer).with_state(org)
}

/// The steps of every request, in order.
async fn answer(
    State(org): State<Arc<Org>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let query = decoded(head.uri.query().unwrap_or_default());
    let number = org.log.open(LoggedRequest {
        number: 0,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: query.clone(),
        head_bytes: head_bytes(&head),
        status: None,
        at: org.clock.now(),
        authorised: false,
        fault: None,
    });
    let fault =
        org.faults.decide(&Seen { method: head.method.as_str(), path: head.uri.path(), query: &query });
    org.log.update(number, |request| request.fault = fault.as_ref().map(Fault::name));

    let instead = match &fault {
        Some(fault) => fault.instead(&connection).await,
        None => None,
    };
    let response = match instead {
        Some(response) => response,
        None => match too_long(&head) {
            Some(response) => response,
            None => route(&org, &head, body, number, fault.as_ref() == Some(&Fault::Unauthorized)).await,
        },
    };
    let response = match &fault {
        Some(fault) => fault.upon_content(response).await,
        None => response,
    };
    let response = match (is_csv(&response), org.settings.wire.gzip) {
        (true, _) => gzip(&head.headers, response, 0).await,
        (false, true) => gzip(&head.headers, response, MIN_GZIP).await,
        (false, false) => response,
    };
    let response = dated(&org, response);
    org.log.update(number, |request| request.status = Some(response.status().as_u16()));
    let mut response = match &fault {
        Some(fault) => fault.upon_transport(response, &connection).await,
        None => response,
    };
    match response.extensions_mut().remove::<Pass>() {
        Some(pass) => response.map(|body| Body::new(Held { body, pass: Some(pass) })),
        None => response,
    }
}

/// Which room answers. A slash at the end changes nothing.
async fn route(org: &Org, head: &Parts, body: Body, number: u64, refused: bool) -> Response {
    let segments: Vec<&str> = head.uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
    let query = head.uri.query().unwrap_or_default();
    match (&head.method, segments.as_slice()) {
        (&Method::POST, ["services", "oauth2", "token"]) if refused => oauth::refused(),
        (&Method::POST, ["services", "Soap", "u", ..]) if refused => soap::refused(),
        (&Method::POST, ["services", "oauth2", "token"]) => match whole(body, MAX_BODY).await {
            Ok(body) => oauth::token(org, &head.headers, query, &body),
            Err(_) => reply::oauth_error("invalid_request", "the request body cannot be read"),
        },
        (&Method::POST, ["services", "Soap", "u", version, ..]) => match to_bytes(body, MAX_BODY).await {
            Ok(body) => soap::login(org, version, &body),
            Err(_) => reply::body(StatusCode::BAD_REQUEST, "text/plain", "the request body cannot be read"),
        },
        (method, ["services", "oauth2", "token"] | ["services", "Soap", "u", ..]) => {
            reply::not_allowed(method, "POST")
        }
        (&Method::GET, ["services", "oauth2", "authorize"]) => authorize::authorize(org, query),
        (_, ["services", "oauth2", "userinfo"]) => match gate::admit(org, &head.headers, refused) {
            Ok(_pass) => oauth::userinfo(org),
            Err(stop) => stop.response(),
        },
        (&Method::GET | &Method::HEAD, ["services", "data"]) => resources::versions(),
        (method, ["services", "data"]) => reply::not_allowed(method, "HEAD,GET"),
        (_, ["services", "data", version, rest @ ..]) => {
            let pass = gate::check_version(version).and_then(|()| gate::admit(org, &head.headers, refused));
            let (known, mut response) = match pass {
                Ok(pass) => {
                    org.log.update(number, |request| request.authorised = true);
                    let mut response = resource(org, head, version, rest, query, body).await;
                    response.extensions_mut().insert(pass);
                    (true, response)
                }
                Err(stop) => (stop.knows_the_caller(), stop.response()),
            };
            if known {
                gate::mark(org, version, &mut response);
            }
            response
        }
        _ => reply::not_found(),
    }
}

/// The resources of one API version. The ones to come (collections, composite, bulk jobs) have their place
/// here; a body is read only by those that take one.
async fn resource(
    org: &Org,
    head: &Parts,
    version: &str,
    rest: &[&str],
    query: &str,
    body: Body,
) -> Response {
    let read = matches!(head.method, Method::GET | Method::HEAD);
    match rest {
        [] if read => resources::resources(version),
        ["limits"] if read => resources::limits(org),
        ["sobjects"] if read => describe::global(org, version),
        ["sobjects", name, "describe"] if read => describe::object(org, version, name),
        ["query"] if read => query::run(org, version, &head.headers, query, false),
        ["queryAll"] if read => query::run(org, version, &head.headers, query, true),
        ["composite"] if head.method == Method::POST => match whole(body, MAX_WRITE).await {
            Ok(body) => composite::answer(org, version, &body).await.response(),
            Err(response) => response,
        },
        ["composite", "sobjects", rest @ ..] => match whole(body, MAX_WRITE).await {
            Ok(body) => {
                collections::answer(org, &mut org.data(), &head.method, rest, query, &body).response()
            }
            Err(response) => response,
        },
        ["jobs", "ingest", rest @ ..] => match whole(body, MAX_UPLOAD).await {
            Ok(body) => ingest::answer(org, &mut org.data(), &head.method, version, rest, &body),
            Err(response) => response,
        },
        ["query" | "queryAll", locator] if read => query::more(org, version, locator),
        ["sobjects", name, "deleted"] if read => replication::deleted(org, name, query),
        ["sobjects", name, "updated"] if read => replication::updated(org, name, query),
        ["jobs", "query", rest @ ..] => bulk::answer(org, head, version, rest, query, body).await,
        []
        | ["limits" | "sobjects" | "query" | "queryAll"]
        | ["sobjects", _, "describe" | "deleted" | "updated"]
        | ["query", _] => reply::not_allowed(&head.method, "HEAD,GET"),
        ["sobjects", rest @ ..] if matches!(rest.len(), 1..=3) => match whole(body, MAX_WRITE).await {
            Ok(body) => {
                let data = &mut org.data();
                sobjects::answer(org, data, &head.method, version, rest, query, &body).response()
            }
            Err(response) => response,
        },
        _ => reply::not_found(),
    }
}

/// The whole body of a request, or the answer to one that cannot be read or is longer than `most` bytes.
pub(super) async fn whole(body: Body, most: usize) -> Result<Bytes, Response> {
    to_bytes(body, most).await.map_err(|_| {
        reply::error(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", "The request body cannot be read")
    })
}

/// The front end counts the address as it came, percent-encoded, together with the headers.
fn head_bytes(head: &Parts) -> usize {
    uri_bytes(head) + header_bytes(head)
}

fn uri_bytes(head: &Parts) -> usize {
    head.uri.path_and_query().map_or(0, |target| target.as_str().len())
}

fn header_bytes(head: &Parts) -> usize {
    head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn too_long(head: &Parts) -> Option<Response> {
    if head_bytes(head) <= MAX_HEAD {
        None
    } else if uri_bytes(head) >= header_bytes(head) {
        Some(reply::bad_message(StatusCode::URI_TOO_LONG, "URI Too Long"))
    } else {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Some(reply::bad_message(status, "Request Header Fields Too Large"))
    }
}

/// The results of Bulk jobs are compressed for everybody who takes it (guide, query_get_job_results).
fn is_csv(response: &Response) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/csv"))
}

/// Packs an answer of at least this many bytes, where the client takes it.
async fn gzip(request: &HeaderMap, response: Response, least: usize) -> Response {
    let wanted = request
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            coding.split(';').next().is_some_and(|coding| coding.trim().eq_ignore_ascii_case("gzip"))
        });
    // A fault has packed it in a way of its own.
    if !wanted || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if body.len() < least {
        return Response::from_parts(head, Body::from(body));
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(&body);
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(head, Body::from(encoder.finish().unwrap_or_default()))
}

/// `Date` by the org's clock: what a client may take for the vendor's time.
fn dated(org: &Org, mut response: Response) -> Response {
    let seconds = u64::try_from(org.clock.now().div_euclid(1000)).unwrap_or_default();
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(at)) {
        response.headers_mut().insert(DATE, date);
    }
    response
}
