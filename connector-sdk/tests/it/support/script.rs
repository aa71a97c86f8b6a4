//! A service that answers as a script says, and insists on being asked when it is ready.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
    task::{self, Poll},
    time::Duration,
};

use connector_sdk::{
    Class, Delivery, Error, Result, Timestamp,
    http::{Call, HeaderMap, HeaderName, HeaderValue, Response, StatusCode},
};
use futures_util::future::BoxFuture;
use tower::Service;

use super::Log;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Answer(u16, Vec<(&'static str, String)>),
    Fail(Class, Delivery),
    /// The vendor is there and does not take it.
    TurnAway,
    Hang,
    /// By the clock of the call.
    After(Duration, Box<Step>),
}

/// The step, so much later.
pub(crate) fn after(wait: Duration, step: Step) -> Step {
    Step::After(wait, Box::new(step))
}

pub(crate) fn status(status: u16) -> Step {
    Step::Answer(status, Vec::new())
}

pub(crate) fn with_header(status: u16, name: &'static str, value: impl Into<String>) -> Step {
    Step::Answer(status, vec![(name, value.into())])
}

pub(crate) fn lost() -> Step {
    Step::Fail(Class::Transient, Delivery::Unknown)
}

/// Stands in for the transport. A clone is not ready, whatever the original is; a call unready panics.
#[derive(Debug)]
pub(crate) struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    pub(crate) log: Log,
    ready: bool,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>, log: Log) -> Self {
        Self { steps: Arc::new(Mutex::new(steps.into_iter().collect())), log, ready: false }
    }

    /// Steps that were not reached.
    pub(crate) fn left(&self) -> usize {
        self.steps.lock().unwrap().len()
    }
}

impl Clone for Script {
    fn clone(&self) -> Self {
        Self { steps: Arc::clone(&self.steps), log: self.log.clone(), ready: false }
    }
}

impl Service<Call> for Script {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called when it was not ready");
        // As a transport does: address and credential, or the reason why there are none.
        let (url, headers) = match call.outgoing() {
            Ok(outgoing) => (outgoing.url, outgoing.headers),
            Err(error) => return Box::pin(async { Err(error) }),
        };
        let token = headers.get("authorization").map_or("nobody", |value| value.to_str().unwrap());
        self.log.push(format!("sent to {} by {token}", url.host_str().unwrap()));
        let step = self.steps.lock().unwrap().pop_front().expect("one request more than the script foresees");
        Box::pin(async move {
            let step = match step {
                Step::After(wait, step) => {
                    call.context().clock().sleep(wait).await;
                    *step
                }
                step => step,
            };
            match step {
                Step::Hang | Step::After(..) => pending().await,
                Step::TurnAway => {
                    call.turned_away();
                    Err(Error::transient(call.request().operation(), "as the script says"))
                }
                Step::Fail(class, delivery) => {
                    Err(Error::new(class, call.request().operation(), "as the script says")
                        .with_delivery(delivery))
                }
                Step::Answer(status, headers) => {
                    Ok(response(status, headers, url, call.context().clock().now()))
                }
            }
        })
    }
}

fn response(
    status: u16,
    headers: Vec<(&'static str, String)>,
    url: connector_sdk::http::Url,
    now: Timestamp,
) -> Response {
    let headers: HeaderMap = headers
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::try_from(value).unwrap()))
        .collect();
    Response::new(StatusCode::from_u16(status).unwrap(), headers, "", url, now)
}
