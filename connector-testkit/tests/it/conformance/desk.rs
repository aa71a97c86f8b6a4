//! A connector for the fake desk as an author would write it, and with one flaw each that a check has to find.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_stream::try_stream;
use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Class, Connector, Context, Discover, Error, Factory, Identity, Manifest, Message,
    Partition, Plan, Read, ReadRequest, Result, Secret, State, StreamId, StreamSelection, StreamSpec,
    StreamState, SyncMode,
    auth::{ClientCredentials, TokenEndpoint},
    contract::{CostEstimate, Health, HealthStatus, TypedFactory},
    http::{HttpClient, Request},
    manifest::{AuthMethod, Capability},
    record::BatchBuilder,
};
use futures_util::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

/// What is wrong with a double. Each is named for what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    HasNoTitle,
    RefusesItsOwnSchema,
    IgnoresUnknownKeys,
    DefaultsARequiredKey,
    DoesNotMarkItsSecret,
    AsksWhileConnecting,
    NamesAKeyThatTheSchemaLacks,
    IgnoresTheNamesItIsAskedFor,
    ClaimsIncrementalAndIsNot,
    TakesUnknownActionsForDone,
    DoesNotAskWhoItIs,
    TakesARefusalForTransient,
    IsAlwaysHealthy,
    LosesTheLastRow,
    SendsARowTwice,
    LeavesTheKeyOutOfTheKey,
    MiscountsItsStates,
    ForgetsToComplete,
    AsksBeforeItIsPolled,
    GoesOnAfterItIsDropped,
    FailsOnNothing,
    ResumesOneRowLate,
    ResumesFromTheStart,
    KeepsItsPlaceInMemory,
    TakesANewerStateForNone,
    TakesAFailureForTheEnd,
    ReadsEverythingEachTime,
    TakesOnlyWhatIsLater,
    DoesNotSeeDeletes,
    DeletesWhatIsAlive,
    NeverRetries,
    TakesWhatIsNoPageForTheEnd,
    TellsItsSecretInErrors,
    PutsItsTokenIntoTheState,
    InventsACost,
}

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

struct Desk {
    http: HttpClient,
    page_size: u32,
    flaw: Option<Flaw>,
    secret: Secret,
    place: Arc<AtomicU64>,
}

/// Where a read stands: the last ticket that was sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Cursor {
    changed_from: Option<String>,
    after: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// The one that is handed to the suite: the typed factory, with what a flaw changes of it.
struct Made {
    manifest: Manifest,
    schema: Option<schemars::Schema>,
    lenient: bool,
    inner: Arc<dyn Factory>,
}

impl Factory for Made {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn config_schema(&self) -> schemars::Schema {
        self.schema.clone().unwrap_or_else(|| self.inner.config_schema())
    }

    fn connect(&self, config: &serde_json::value::RawValue, cx: &Context) -> Result<Arc<dyn Connector>> {
        if !self.lenient {
            return self.inner.connect(config, cx);
        }
        let mut config: Value = serde_json::from_str(config.get()).unwrap();
        let known = |map: &mut serde_json::Map<String, Value>, keys: &[&str]| {
            map.retain(|key, _| keys.contains(&key.as_str()))
        };
        known(config.as_object_mut().unwrap(), &["base_url", "auth", "page_size"]);
        if let Some(Value::Object(auth)) = config.get_mut("auth") {
            known(auth, &["client_id", "client_secret"]);
        }
        self.inner.connect(&serde_json::value::RawValue::from_string(config.to_string()).unwrap(), cx)
    }
}

pub(super) fn factory(flaw: Option<Flaw>) -> Arc<dyn Factory> {
    let mut claims = vec![Capability::Incremental, Capability::Deletes, Capability::CostEstimate];
    match flaw {
        Some(Flaw::DeletesWhatIsAlive) => claims.retain(|claim| *claim != Capability::Deletes),
        Some(Flaw::InventsACost) => claims.retain(|claim| *claim != Capability::CostEstimate),
        _ => {}
    }
    let title = if flaw == Some(Flaw::HasNoTitle) { "" } else { "Help desk" };
    let manifest = Manifest::new("desk", "rest", "0.1.0")
        .with_title(title)
        .with_description("Tickets of a help desk.")
        .with_capabilities(claims)
        .with_auth([AuthMethod::new("client_credentials", &[])]);
    let typed = TypedFactory::new(manifest.clone(), move |config: Config, cx: &Context| {
        Desk::connect(config, cx, flaw)
    });
    let inner: Arc<dyn Factory> = Arc::new(typed);
    let mut schema = inner.config_schema().to_value();
    let schema = match flaw {
        Some(Flaw::RefusesItsOwnSchema) => {
            schema["properties"]["base_url"] = json!({"type": "integer"});
            Some(schema)
        }
        Some(Flaw::DoesNotMarkItsSecret) => {
            let plain = schema.to_string().replace("\"writeOnly\":true", "\"writeOnly\":false");
            Some(serde_json::from_str(&plain.replace("\"format\":\"password\",", "")).unwrap())
        }
        Some(Flaw::DefaultsARequiredKey) => {
            schema["required"].as_array_mut().unwrap().push(json!("page_size"));
            Some(schema)
        }
        _ => None,
    };
    Arc::new(Made {
        manifest,
        schema: schema.map(|schema| schemars::Schema::try_from(schema).unwrap()),
        lenient: flaw == Some(Flaw::IgnoresUnknownKeys),
        inner,
    })
}

impl Desk {
    fn connect(config: Config, cx: &Context, flaw: Option<Flaw>) -> Result<Self> {
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
        let tokens = ClientCredentials::new(endpoint, config.auth.client_id, secret.clone());
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
            _ => cx.clone(),
        };
        let http = HttpClient::builder(&cx).base_url(url).tokens(Arc::new(tokens)).build()?;
        Ok(Self { http, page_size: config.page_size, flaw, secret, place: Arc::default() })
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn path(&self, cursor: &Cursor) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &self.page_size.to_string());
        if let Some(from) = &cursor.changed_from {
            query.append_pair("changed_from", from).append_pair("after", &cursor.after.to_string());
        }
        if !self.has(Flaw::DoesNotSeeDeletes) {
            query.append_pair("deleted", "true");
        }
        format!("/v1/tickets?{}", query.finish())
    }

    /// The rows of a page.
    fn rows(&self, body: &[u8]) -> Result<Vec<Value>> {
        let page: Value = match serde_json::from_slice(body) {
            Ok(page) => page,
            Err(_) if self.has(Flaw::TakesWhatIsNoPageForTheEnd) => return Ok(Vec::new()),
            Err(error) => {
                return Err(Error::transient("list tickets", "the page is no JSON").with_source(error));
            }
        };
        match page.get("tickets") {
            Some(Value::Array(rows)) => Ok(rows.clone()),
            _ if self.has(Flaw::TakesWhatIsNoPageForTheEnd) => Ok(Vec::new()),
            _ => Err(Error::new(Class::Schema, "list tickets", "the page has no `tickets`")),
        }
    }

    fn batch(&self, rows: &[Value], first_read: bool) -> (BatchBuilder, u64) {
        let mut batch = BatchBuilder::new("tickets".into());
        let mut sent = 0;
        for row in rows {
            let id = &row["id"];
            let key = match self.flaw {
                Some(Flaw::LeavesTheKeyOutOfTheKey) => json!({"id": null}),
                _ => json!({"id": id}),
            };
            let (key, cursor) = (key.to_string(), row["changed_at"].to_string());
            if row["deleted"] == json!(true) {
                if !first_read || self.has(Flaw::DeletesWhatIsAlive) {
                    batch.delete(key.as_bytes(), Some(cursor.as_bytes()));
                    sent += 1;
                }
                continue;
            }
            batch.upsert(key.as_bytes(), row.to_string().as_bytes(), Some(cursor.as_bytes()));
            sent += 1;
            if self.has(Flaw::SendsARowTwice) && *id == json!(7) {
                batch.upsert(key.as_bytes(), row.to_string().as_bytes(), Some(cursor.as_bytes()));
                sent += 1;
            }
        }
        (batch, sent)
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
        let schema = json!({
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
        let key = if self.has(Flaw::NamesAKeyThatTheSchemaLacks) { "number" } else { "id" };
        let mut spec = StreamSpec::new("tickets", schema).with_primary_key([key]);
        if !self.has(Flaw::ClaimsIncrementalAndIsNot) {
            spec = spec.with_cursor("changed_at");
        }
        let name: StreamId = "tickets".into();
        let wanted =
            self.has(Flaw::IgnoresTheNamesItIsAskedFor) || names.is_none_or(|names| names.contains(&name));
        let mut streams = if wanted { vec![spec] } else { Vec::new() };
        if self.has(Flaw::IgnoresTheNamesItIsAskedFor) {
            streams.push(StreamSpec::new("agents", json!({"type": "object"})));
        }
        Ok(Catalog::new(streams))
    }
}

#[async_trait]
impl Read for Desk {
    async fn partitions(&self, _cx: &Context, stream: &StreamSelection, state: &StreamState) -> Result<Plan> {
        let done = state.partitions.values().any(|part| part.state.as_ref().is_some_and(State::is_complete));
        if stream.mode == SyncMode::Full && done && !self.has(Flaw::ClaimsIncrementalAndIsNot) {
            return Ok(Plan::nothing());
        }
        Ok(Plan::read([Partition::new("all")]))
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let desk = Self {
            http: self.http.clone(),
            page_size: self.page_size,
            flaw: self.flaw,
            secret: self.secret.clone(),
            place: Arc::clone(&self.place),
        };
        if self.has(Flaw::AsksBeforeItIsPolled) && request.state.is_none() {
            let (http, cx) = (self.http.clone(), request.cx.clone());
            tokio::spawn(async move { http.send(&cx, Request::get("who am I", "/v1/me")).await });
        }
        Box::pin(try_stream! {
            let started = match &request.state {
                Some(state) if desk.has(Flaw::TakesANewerStateForNone) => state.decode(1).unwrap_or_default(),
                Some(state) => state.decode::<Cursor>(1)?,
                None => Cursor::default(),
            };
            let first_read = request.state.is_none();
            let read_before = request.state.as_ref().is_some_and(State::is_complete);
            let mut cursor = match desk.flaw {
                Some(Flaw::ResumesFromTheStart) => Cursor::default(),
                Some(Flaw::ReadsEverythingEachTime) if read_before => Cursor::default(),
                Some(Flaw::KeepsItsPlaceInMemory) => Cursor { after: desk.place.load(Ordering::SeqCst), ..started },
                Some(Flaw::ResumesOneRowLate) if !first_read => Cursor { after: started.after + 1, ..started },
                _ => started,
            };
            loop {
                let asked = desk.http.send(&request.cx, Request::get("list tickets", desk.path(&cursor))).await;
                let asked = match asked {
                    Err(error) if desk.has(Flaw::TellsItsSecretInErrors) => {
                        Err(error.with_context("secret", desk.secret.expose()))
                    }
                    asked => asked,
                };
                let answer = match asked {
                    Err(_) if desk.has(Flaw::TakesAFailureForTheEnd) => {
                        yield Message::State(State::encode(1, &cursor)?.completing());
                        return;
                    }
                    answer => answer?,
                };
                if desk.has(Flaw::GoesOnAfterItIsDropped) {
                    let (http, cx) = (desk.http.clone(), request.cx.clone());
                    tokio::spawn(async move {
                        for _ in 0..400 {
                            let _ = http.send(&cx, Request::get("who am I", "/v1/me")).await;
                            #[allow(clippy::disallowed_methods)]
                            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                        }
                    });
                }
                let mut rows = desk.rows(&answer.body)?;
                let is_last = rows.len() < desk.page_size as usize;
                if desk.has(Flaw::FailsOnNothing) && rows.is_empty() && first_read {
                    Err(Error::permanent("list tickets", "there is nothing"))?;
                }
                if let Some(last) = rows.last() {
                    cursor.changed_from = last["changed_at"].as_str().map(str::to_owned);
                    cursor.after = last["id"].as_u64().unwrap_or_default();
                    if desk.has(Flaw::TakesOnlyWhatIsLater) && read_before && !is_last {
                        cursor.after = u64::MAX;
                    }
                    desk.place.store(cursor.after, Ordering::SeqCst);
                }
                if desk.has(Flaw::PutsItsTokenIntoTheState) {
                    cursor.token = Some(desk.secret.expose().clone());
                }
                if desk.has(Flaw::LosesTheLastRow) && is_last {
                    rows.pop();
                }
                let (batch, sent) = desk.batch(&rows, first_read);
                if sent > 0 {
                    yield Message::Batch(batch.build());
                }
                let counted = if desk.has(Flaw::MiscountsItsStates) { sent.saturating_sub(1) } else { sent };
                let state = State::encode(1, &cursor)?.covering(counted);
                if is_last {
                    yield Message::State(if desk.has(Flaw::ForgetsToComplete) { state } else { state.completing() });
                    return;
                }
                yield Message::State(state);
            }
        })
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

    async fn estimate_cost(&self, cx: &Context, _stream: &StreamSelection) -> Result<CostEstimate> {
        let answer = self.http.send(cx, Request::get("count tickets", "/v1/tickets?limit=1")).await?;
        let page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(CostEstimate::new(None, page["count"].as_u64()))
    }

    async fn act(
        &self,
        _cx: &Context,
        request: connector_sdk::contract::ActionRequest,
    ) -> Result<connector_sdk::contract::ActionOutcome> {
        if self.has(Flaw::TakesUnknownActionsForDone) {
            return Ok(connector_sdk::contract::ActionOutcome::succeeded(Value::Null));
        }
        Err(Error::config("act", format!("this connector has no action `{}`", request.name)))
    }
}
