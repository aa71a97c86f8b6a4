//! How a fault reaches the client: three moments in the life of an answer.

use axum::body::{Body, Bytes, to_bytes};
use axum::response::Response;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode};

use super::body::{Cut, Slow};
use super::{Connection, Fault, gzip, saying};

impl Fault {
    /// Before the vendor sees the request: the answer that replaces the vendor's, where there is one.
    /// [`Fault::Stall`] and [`Fault::ResetBefore`] never come back from here.
    pub(crate) async fn instead(&self, connection: &Connection) -> Option<Response> {
        match self {
            Self::Status { status, headers, body } => Some(canned(*status, headers, body)),
            Self::ResetBefore => {
                connection.reset();
                std::future::pending().await
            }
            Self::Stall => std::future::pending().await,
            _ => None,
        }
    }

    /// After the vendor answered, before the answer is encoded: faults of the content.
    pub(crate) async fn upon_content(&self, response: Response) -> Response {
        match self {
            Self::MalformedJson => {
                let (head, body) = whole(response).await;
                let half = body.len() / 2;
                Response::from_parts(head, Body::from(body.slice(..half)))
            }
            Self::EmptyBody => Response::from_parts(whole(response).await.0, Body::empty()),
            Self::ContentType(kind) => {
                let mut response = response;
                if let Ok(kind) = HeaderValue::try_from(kind) {
                    response.headers_mut().insert(CONTENT_TYPE, kind);
                }
                response
            }
            Self::GzipMembers { count } => packed(response, |body| gzip::members(body, *count)).await,
            Self::GzipBomb { bytes } => packed(response, |body| gzip::bomb(body, *bytes)).await,
            Self::GzipCut { missing } => packed(response, |body| gzip::cut(body, *missing)).await,
            _ => response,
        }
    }

    /// When the answer goes on the wire: faults of the transport.
    pub(crate) async fn upon_transport(&self, response: Response, connection: &Connection) -> Response {
        match *self {
            Self::TruncatedBody { after, chunked } => cut(response, connection, after, chunked, false).await,
            Self::ResetAfter { bytes } => cut(response, connection, bytes, false, true).await,
            Self::SlowBody { bytes, every } => {
                let (head, body) = whole(response).await;
                Response::from_parts(head, Body::new(Slow::new(body, bytes, every)))
            }
            Self::SlowHead { .. } | Self::WrongLength { .. } | Self::BrokenChunk | Self::Twice => {
                let (mut head, body) = whole(response).await;
                connection.say(saying::of(self, &head, &body));
                // What the server writes for this one is swallowed; what hangs on the answer lives on in it.
                let mut silent = Response::new(Body::empty());
                std::mem::swap(silent.extensions_mut(), &mut head.extensions);
                *silent.status_mut() = head.status;
                silent
            }
            _ => response,
        }
    }
}

/// The answer's head without its length, which the new body decides, and its whole body.
async fn whole(response: Response) -> (http::response::Parts, Bytes) {
    let (mut head, body) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    // A fake's own bodies are in memory and cannot fail; nothing is a fair answer if one ever does.
    (head, to_bytes(body, usize::MAX).await.unwrap_or_default())
}

/// The answer with its body packed so.
async fn packed(response: Response, pack: impl FnOnce(&[u8]) -> Vec<u8>) -> Response {
    let (mut head, body) = whole(response).await;
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(head, Body::from(pack(&body)))
}

async fn cut(
    response: Response,
    connection: &Connection,
    after: usize,
    chunked: bool,
    reset: bool,
) -> Response {
    let (mut head, body) = whole(response).await;
    if chunked {
        head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    } else {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let sent = body.slice(..after.min(body.len()));
    Response::from_parts(head, Body::new(Cut { head: Some(sent), connection: connection.clone(), reset }))
}

fn canned(status: u16, headers: &[(String, String)], body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if !response.headers().contains_key(CONTENT_TYPE) && body.trim_start().starts_with(['{', '[']) {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    }
    response
}
