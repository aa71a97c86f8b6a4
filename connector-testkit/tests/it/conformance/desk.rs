//! A connector for the fake desk as an author would write it, and with one flaw each that a check has to find.

mod flaw;
mod hasty;
mod made;
mod reading;
mod tokens;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Class, Connector, Context, Discover, Error, Identity, Result, Secret, StreamId,
    StreamSelection, StreamSpec,
    auth::{ClientCredentials, TokenEndpoint, TokenSource},
    contract::{ActionOutcome, ActionRequest, ActionSpec, CostEstimate, Health, HealthStatus, Listener},
    http::{HttpClient, Request},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

pub(super) use flaw::{Flaw, Kind};
pub(super) use made::factory;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where the desk is.
    base_url: String,
    /// How to sign in.
    auth: Credentials,
    /// Tickets in a page.
    #[serde(default = "hundred")]
    page_size: u32,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    client_id: String,
    client_secret: Secret,
}

fn hundred() -> u32 {
    100
}

#[derive(Clone)]
struct Desk {
    http: HttpClient,
    page_size: u32,
    kind: Kind,
    flaw: Option<Flaw>,
    secret: Secret,
    place: Arc<AtomicU64>,
    /// Reads that have begun and not ended.
    reading: Arc<AtomicU64>,
    /// A stream has failed.
    broken: Arc<AtomicBool>,
    /// Queue, time and ticket of what it told the desk to forget.
    told: Arc<Mutex<BTreeSet<(u64, String, u64)>>>,
    /// How often its catalog was asked for.
    catalogs: Arc<AtomicU64>,
    url: Url,
}

/// Desks whose agents were given up, as a file beside the process would have it: another process knows.
static GIVEN_UP: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Where a read stands: the last ticket that was sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Cursor {
    changed_from: Option<String>,
    after: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<u64>,
}

/// The fields that a ticket has had from the beginning.
const FIELDS: [&str; 8] =
    ["id", "subject", "status", "external_id", "requester", "revision", "changed_at", "deleted"];

/// What the catalog says of tickets, with these fields more.
fn tickets(more: &[&str]) -> StreamSpec {
    let mut schema = json!({
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "subject": {"type": "string"},
            "status": {"enum": ["open", "pending", "closed"]},
            "external_id": {"type": "integer"},
            "requester": {"type": ["string", "null"]},
            "revision": {"type": "integer"},
            "changed_at": {"type": "string"},
            "deleted": {"type": "boolean"}
        }
    });
    for name in more {
        schema["properties"][name] = json!({"type": "integer"});
    }
    StreamSpec::new("tickets", schema).with_primary_key(["id"]).with_cursor("changed_at")
}

/// The context of one who does not wait.
fn hasty(cx: &Context, share: u32) -> Context {
    let clock = hasty::Hasty { clock: Arc::clone(cx.clock()), share, ahead: AtomicU64::new(0) };
    Context::builder(cx.tenant().clone(), cx.connection().clone())
        .network(cx.network().clone())
        .clock(Arc::new(clock))
        .resilience(cx.resilience().clone())
        .build()
}

impl Desk {
    fn connect(config: Config, cx: &Context, kind: Kind, flaw: Option<Flaw>) -> Result<Self> {
        let url: Url =
            config.base_url.parse().map_err(|_| Error::config("connect", "`base_url` is no URL"))?;
        if flaw == Some(Flaw::AsksWhileConnecting) {
            let address = url.socket_addrs(|| None).unwrap()[0];
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            std::io::Write::write_all(&mut socket, b"GET / HTTP/1.0\r\n\r\n").unwrap();
            let _ = std::io::Read::read(&mut socket, &mut [0; 64]);
        }
        let endpoint = TokenEndpoint::new(cx, url.join("/oauth/token").unwrap())?;
        let secret = config.auth.client_secret;
        let client_id = config.auth.client_id;
        let tokens = ClientCredentials::new(endpoint.clone(), &client_id, secret.clone());
        let tokens: Arc<dyn TokenSource> = match flaw {
            Some(Flaw::SignsInForEachRequest) => {
                Arc::new(tokens::ForEachRequest { endpoint, client_id, secret: secret.clone() })
            }
            Some(Flaw::RenewsTwice) => Arc::new(tokens::TwiceAtOnce(tokens)),
            _ => Arc::new(tokens),
        };
        let cx = match flaw {
            Some(Flaw::NeverRetries) => {
                let mut settings = cx.resilience().clone();
                settings.max_attempts = 1;
                Context::builder(cx.tenant().clone(), cx.connection().clone())
                    .network(cx.network().clone())
                    .clock(Arc::clone(cx.clock()))
                    .resilience(settings)
                    .build()
            }
            Some(Flaw::RetriesAtOnce) => hasty(cx, 0),
            Some(Flaw::ComesBackTooEarly) => hasty(cx, 50),
            _ => cx.clone(),
        };
        let http = HttpClient::builder(&cx).base_url(url.clone()).tokens(tokens).build()?;
        Ok(Self {
            http,
            page_size: config.page_size,
            kind,
            flaw,
            secret,
            place: Arc::default(),
            reading: Arc::default(),
            broken: Arc::default(),
            told: Arc::default(),
            catalogs: Arc::default(),
            url,
        })
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn path(&self, cursor: &Cursor, queue: Option<u64>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &self.page_size.to_string());
        if let Some(from) = &cursor.changed_from {
            query.append_pair("changed_from", from).append_pair("after", &cursor.after.to_string());
        }
        if let Some(queue) = queue {
            query.append_pair("queue", &queue.to_string());
        }
        if self.kind == Kind::Plain && !self.has(Flaw::DoesNotSeeDeletes) {
            query.append_pair("deleted", "true");
        }
        format!("/v1/tickets?{}", query.finish())
    }
}

#[async_trait]
impl Authenticate for Desk {
    async fn authenticate(&self, cx: &Context) -> Result<Identity> {
        if self.has(Flaw::DoesNotAskWhoItIs) {
            return Ok(Identity::new("somebody"));
        }
        let answer = self.http.send(cx, Request::get("who am I", "/v1/me")).await;
        let answer = match answer {
            Err(error) if self.has(Flaw::TakesARefusalForTransient) => {
                return Err(error.with_class(Class::Transient));
            }
            answer => answer?,
        };
        let me: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| Error::transient("who am I", "the answer is no JSON").with_source(error))?;
        Ok(Identity::new(me["id"].as_str().unwrap_or_default()))
    }
}

#[async_trait]
impl Discover for Desk {
    async fn discover(&self, _cx: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        let mut spec = tickets(&[]);
        if self.has(Flaw::LeavesAFieldOutOfItsCatalog)
            && let Some(fields) = spec.json_schema["properties"].as_object_mut()
        {
            fields.remove("external_id");
        }
        if self.has(Flaw::NamesAKeyThatTheSchemaLacks) {
            spec.primary_key = vec!["number".to_owned()];
        }
        if self.has(Flaw::ClaimsIncrementalAndIsNot) {
            spec = StreamSpec::new("tickets", spec.json_schema).with_primary_key(["id"]);
        }
        let agents =
            json!({"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}});
        let mut streams = vec![spec, StreamSpec::new("agents", agents).with_primary_key(["id"])];
        if self.catalogs.fetch_add(1, Ordering::SeqCst) % 2 == 1 && self.has(Flaw::ShiftsItsCatalog) {
            streams.reverse();
        }
        if !self.has(Flaw::IgnoresTheNamesItIsAskedFor) {
            streams.retain(|stream| names.is_none_or(|names| names.contains(&stream.name)));
        }
        Ok(Catalog::new(streams))
    }
}

/// Listens to nobody.
#[derive(Debug)]
struct Deaf;

#[async_trait]
impl Listener for Deaf {
    async fn serve(self: Box<Self>, cx: Context) -> Result<()> {
        cx.stop().cancelled().await;
        Ok(())
    }
}

#[async_trait]
impl Connector for Desk {
    async fn health(&self, cx: &Context) -> Result<Health> {
        if self.has(Flaw::IsAlwaysHealthy) {
            return Ok(Health { status: HealthStatus::Pass, message: "fine".to_owned() });
        }
        Ok(match self.authenticate(cx).await {
            Ok(identity) => Health { status: HealthStatus::Pass, message: identity.subject },
            Err(error) => Health { status: HealthStatus::Fail, message: error.to_string() },
        })
    }

    async fn listen(&self, _cx: &Context) -> Result<Option<Box<dyn Listener>>> {
        Ok(self.has(Flaw::IsCalledUnclaimed).then(|| Box::new(Deaf) as _))
    }

    async fn estimate_cost(&self, cx: &Context, _stream: &StreamSelection) -> Result<CostEstimate> {
        if self.kind == Kind::Rich {
            return Ok(CostEstimate::default());
        }
        let answer = self.http.send(cx, Request::get("count tickets", "/v1/tickets?limit=1")).await?;
        let page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let share = if self.has(Flaw::EstimatesHalf) { 2 } else { 1 };
        Ok(CostEstimate::new(None, page["count"].as_u64().map(|count| count / share)))
    }

    fn actions(&self) -> Vec<ActionSpec> {
        let open = || {
            ActionSpec::new(
                "open",
                schemars::schema_for!(Opening),
                match self.has(Flaw::HasAnActionWithoutASchema) {
                    true => schemars::json_schema!({"type": "a ticket"}),
                    false => schemars::json_schema!({"type": "object"}),
                },
            )
        };
        if self.kind == Kind::Rich { vec![open()] } else { Vec::new() }
    }

    async fn act(&self, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        if self.has(Flaw::TakesUnknownActionsForDone) {
            return Ok(ActionOutcome::succeeded(Value::Null));
        }
        if self.kind == Kind::Plain || request.name != "open" {
            return Err(Error::config("act", format!("this connector has no action `{}`", request.name)));
        }
        let mut post =
            Request::post("open a ticket", "/v1/tickets", "application/json", request.input.to_string());
        if let Some(key) = request.idempotency_key.filter(|_| !self.has(Flaw::DropsTheKeyOfAnAction)) {
            post = post.header("Idempotency-Key", &key).idempotent();
        }
        if self.has(Flaw::SendsAnActionAgain) {
            post = post.idempotent();
        }
        let answer = match self.http.send(cx, post).await {
            Err(error) if self.has(Flaw::TakesALostAnswerForAFailure) => {
                return Err(error.with_class(Class::Transient));
            }
            answer => answer?,
        };
        let made = serde_json::from_slice(&answer.body).map_err(|error| {
            Error::new(Class::Ambiguous, "open a ticket", "the answer is no JSON").with_source(error)
        })?;
        Ok(ActionOutcome::succeeded(made))
    }
}

/// What a new ticket is about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the desk reads it")]
struct Opening {
    subject: String,
}
