//! One attempt: signed anew, sent once, judged.

use std::{fmt, sync::Arc, time::Duration};

use connector_sdk::{
    Class, Context, Error, Result,
    http::{AttemptLayer, AttemptService, Call, Request, Response, Transport},
    resilience::{Breaker, Outcome, Pass},
};
use http::header;
use tower::{Layer as _, Service as _, ServiceExt as _};
use url::Url;

use super::{
    config::Settings,
    message::Message,
    progress::{Answer, Try},
    verdict::{self, Verdict},
};

const OPERATION: &str = "deliver";

/// The way to the endpoint.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    transport: AttemptService<Transport>,
    settings: Arc<Settings>,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Attempted {
    pub(super) verdict: Verdict,
    pub(super) entry: Try,
    pub(super) answer: Option<Answer>,
    /// The endpoint as a whole asks to be left alone for so long.
    pub(super) pause: Option<Duration>,
}

impl Endpoint {
    pub(super) fn new(transport: Transport, settings: Arc<Settings>) -> Self {
        let transport = AttemptLayer::new(settings.timeout).layer(transport);
        Self { transport, settings }
    }

    /// Sends a message once, and says what that means. It takes no longer than the settings allow, whatever is answered.
    pub(super) async fn attempt(&self, cx: &Context, message: &Message, admitted: Admitted) -> Attempted {
        let (at, since) = (cx.clock().now(), cx.clock().monotonic());
        let mut hidden = Vec::new();
        let sent = match self.request(cx, message, since, &mut hidden) {
            Ok(request) => self.send(cx, request).await,
            // An id that cannot be signed never can.
            Err(error) => Err(error),
        };
        let took = cx.clock().monotonic().saturating_sub(since);
        let mut entry = Try {
            at,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status: None,
            class: None,
            error: None,
        };
        match sent {
            Ok(response) => {
                admitted.report(cx, verdict::health_of_answer(response.status));
                let asked = verdict::asked(&response.headers, response.received_at);
                let verdict = verdict::of_answer(response.status, asked, self.settings.retry_4xx);
                entry.status = Some(response.status.as_u16());
                if verdict != Verdict::Delivered {
                    entry.class = Some(class(verdict));
                    entry.error = Some(format!("the endpoint answered {}", response.status.as_u16()));
                }
                let is_busy = matches!(response.status.as_u16(), 429 | 503);
                let pause =
                    asked.filter(|_| is_busy).map(|asked| asked.min(self.settings.schedule.retry_after_cap));
                let most = self.settings.max_response;
                let answer =
                    Answer::new(response.status, &response.headers, &response.body, most).hiding(&hidden);
                Attempted { verdict, entry, answer: Some(answer), pause }
            }
            Err(error) => {
                admitted.report(cx, verdict::health_of_failure(&error));
                entry.class = Some(error.class());
                entry.error = Some(error.message().to_owned());
                Attempted { verdict: verdict::of_failure(&error), entry, answer: None, pause: None }
            }
        }
    }

    async fn send(&self, cx: &Context, request: Request) -> Result<Response> {
        let mut transport = self.transport.clone();
        transport.ready().await?.call(Call::new(cx.clone(), request)).await
    }

    fn request(
        &self,
        cx: &Context,
        message: &Message,
        since: Duration,
        hidden: &mut Vec<String>,
    ) -> Result<Request> {
        let settings = &self.settings;
        let head = &message.head;
        let mut request =
            Request::post(OPERATION, settings.url.clone(), &head.content_type, message.body.clone())
                .header(header::ACCEPT_ENCODING.as_str(), "identity")
                .without_redirects()
                // One byte more tells whether there is more.
                .glance(settings.max_response.saturating_add(1), since.saturating_add(settings.timeout));
        hidden.extend(secrets_of(&settings.url));
        let signature = settings.signer.sign(&head.id, cx.clock().now(), &message.body)?;
        let own = settings.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        // What is signed comes last: nothing of the configuration may stand in its place.
        for (name, value) in own.chain(signature) {
            let is_secret = value.is_sensitive();
            let value = value.to_str().map_err(|_| Error::config(OPERATION, "a header cannot be sent"))?;
            if is_secret {
                // Also without the word before it: `Bearer …`.
                hidden.extend(value.split(' ').map(str::to_owned));
            }
            request = request.header(name.as_str(), value);
        }
        Ok(request)
    }
}

/// What of a URL may be a secret: it as a whole, the values of its query, and what in its path is no word.
fn secrets_of(url: &Url) -> Vec<String> {
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    let segments = url.path_segments().into_iter().flatten().filter(|segment| segment.len() >= 16);
    std::iter::once(url.to_string()).chain(values).chain(segments.map(str::to_owned)).collect()
}

fn class(verdict: Verdict) -> Class {
    match verdict {
        Verdict::Again(class, _) | Verdict::Dead(class) => class,
        Verdict::Delivered | Verdict::Gone => Class::Permanent,
    }
}

/// The breaker's permission for one attempt, which is given back when the attempt is dropped.
pub(super) struct Admitted {
    breaker: Arc<Breaker>,
    pass: Option<Pass>,
    since: Duration,
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admitted")
    }
}

impl Admitted {
    /// Asks for it.
    ///
    /// # Errors
    /// How long the endpoint is left alone.
    pub(super) fn by(breaker: &Arc<Breaker>, now: Duration) -> Result<Self, Duration> {
        let pass = breaker.admit(now).map_err(|refused| refused.retry_in)?;
        Ok(Self { breaker: Arc::clone(breaker), pass: Some(pass), since: now })
    }

    fn report(mut self, cx: &Context, outcome: Outcome) {
        if let Some(pass) = self.pass.take() {
            self.breaker.report(pass, outcome, cx.clock().monotonic());
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.breaker.release(pass, self.since);
        }
    }
}
