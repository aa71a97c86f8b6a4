//! What a connection is set up with. Typed, checked, no I/O.

use std::{collections::BTreeSet, fmt::Display, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use connector_ingress::{
    JournalConfig, ListenerConfig, Scheme,
    journal::{Limits, Remember},
    listener::{BodyLimits, TlsConfig},
    scheme::{HmacConfig, SchemeConfig, SchemeName},
};
use connector_sdk::{ByteSize, Context, Error, Period, Result, Secret};
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::keep::Headers;

/// The `config:` of a `webhook/receiver` connection.
///
/// ```
/// use connector_webhook::ReceiverConfig;
/// let config: ReceiverConfig = serde_json::from_str(r#"{
///     "listen": "0.0.0.0:8080", "journal": { "path": "./journal" },
///     "endpoints": [{ "path": "/github", "scheme": "github", "secrets": ["…"] }]
/// }"#).unwrap();
/// assert_eq!(config.endpoints.len(), 1);
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReceiverConfig {
    /// The address to listen at, such as `0.0.0.0:8080`; port 0: any that is free. Without it the connection is served by
    /// the host's gate, at `/{tenant}/{connection}` and the endpoint's path.
    pub listen: Option<String>,
    /// Speaks TLS with this certificate. Without it TLS is the affair of what stands in front.
    pub tls: Option<TlsConfig>,
    /// Where senders send to.
    pub endpoints: Vec<EndpointConfig>,
    /// The largest body, in bytes. Default `1MiB`.
    #[serde(default = "default_max_body")]
    pub max_body: ByteSize,
    /// How long a connection may take for its handshake, for the head of a request, and may be idle. Default `10s`.
    #[serde(default = "default_timeout")]
    pub header_timeout: Period,
    /// How long a body may take. Default `10s`.
    #[serde(default = "default_timeout")]
    pub body_timeout: Period,
    /// What has to come of a body each second, after the first five. Default `1KiB`.
    #[serde(default = "default_min_rate")]
    pub min_rate: ByteSize,
    /// Connections at once, 1 to 100,000; default 1,024. When there are more, those go that are waited for longest.
    #[serde(default = "default_max_connections")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_connections: usize,
    /// Bytes of bodies in memory at once, of all connections together; beyond that 503. Default `64MiB`.
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: ByteSize,
    /// Takes bodies that are compressed with gzip too; what they unfold to is no larger than `max_body`. Default false:
    /// they are answered 415.
    #[serde(default)]
    pub gzip: bool,
    /// How many events are taken; beyond that 429. Default: as many as come.
    pub rate: Option<RateConfig>,
    /// Where events are kept until they are in Bronze.
    pub journal: JournalConfig,
    /// How long ids of events are remembered, so that one that comes again is known.
    #[serde(default)]
    pub remember: RememberConfig,
}

/// One place that a sender sends to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Its path, such as `/github`.
    pub path: String,
    /// How the sender proves itself. `none`, which lets everybody in, has to be said too.
    pub scheme: Option<SchemeName>,
    /// What the sender signs with: the secret in use, and others while it is changed; 16 at most.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// How far the sender's clock may be from ours, either way, for schemes that sign a time: 1 s to 1 day, default `5m`.
    pub tolerance: Option<Period>,
    /// How `scheme: hmac` signs.
    pub hmac: Option<HmacConfig>,
    /// The header that holds the id of an event, for `hmac`, `bearer`, `basic` and `none`.
    pub id_header: Option<String>,
    /// The headers that are kept. Default: all but those that prove the sender or carry its credentials.
    pub headers: Option<Vec<String>>,
    /// It is not taken from any more: its sender is answered 410, and Bronze is told so once.
    #[serde(default)]
    pub removed: bool,
}

/// How many events of a tenant are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RateConfig {
    /// Events a second, in the long run.
    #[schemars(range(min = 1))]
    pub per_second: u32,
    /// Events at once, after a rest. Default: those of a second.
    #[schemars(range(min = 1))]
    pub burst: Option<u32>,
}

/// How long, and how many, ids are remembered: whichever ends first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RememberConfig {
    /// How long: longer than any sender sends again. At least `3d`, the default.
    #[serde(default = "default_remember")]
    pub time: Period,
    /// How many at most: 1,000 to 100,000,000. One takes about 90 bytes of memory. Default 1,000,000.
    #[serde(default = "default_remembered")]
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub count: usize,
}

impl Default for RememberConfig {
    fn default() -> Self {
        Self { time: default_remember(), count: default_remembered() }
    }
}

fn default_max_body() -> ByteSize {
    ByteSize::mib(1)
}
fn default_timeout() -> Period {
    Period::secs(10)
}
fn default_min_rate() -> ByteSize {
    ByteSize(1024)
}
fn default_max_connections() -> usize {
    1024
}
fn default_max_in_flight() -> ByteSize {
    ByteSize::mib(64)
}
fn default_remember() -> Period {
    Period::secs(3 * 86_400)
}
fn default_remembered() -> usize {
    1_000_000
}

/// What is needed of the configuration, checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// None: the host's gate.
    pub(super) listen: Option<ListenerConfig>,
    pub(super) tls: Option<TlsConfig>,
    pub(super) endpoints: Vec<Live>,
    /// Paths that nobody takes from any more.
    pub(super) removed: BTreeSet<String>,
    pub(super) body: BodyLimits,
    pub(super) gzip: bool,
    /// Events a second, and at once.
    pub(super) rate: Option<(u32, u32)>,
    pub(super) journal: PathBuf,
    pub(super) limits: Limits,
}

/// An endpoint that is taken from.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) path: String,
    pub(super) scheme: Arc<dyn Scheme>,
    pub(super) headers: Headers,
    /// Two events with the same body are one.
    pub(super) is_told_by_body: bool,
}

impl ReceiverConfig {
    /// Checks every field.
    pub(super) fn check(&self, cx: &Context) -> Result<Settings> {
        let (endpoints, removed) = self.endpoints()?;
        if self.journal.path.as_os_str().is_empty() {
            return Err(wrong("journal.path", "is empty"));
        }
        if self.journal.max_size < ByteSize::mib(1) {
            return Err(wrong("journal.max_size", "is less than 1MiB"));
        }
        if self.max_body.0 == 0 || self.max_body.0 > self.journal.max_size.0 / 4 {
            return Err(wrong("max_body", "is 0, or more than a fourth of `journal.max_size`"));
        }
        if self.max_in_flight < self.max_body {
            return Err(wrong("max_in_flight", "is less than `max_body`"));
        }
        let mut limits = Limits::of_size(self.journal.max_size.0);
        limits.remember = self.remember.check()?;
        let mut body = BodyLimits::default();
        body.max_body = self.max_body.as_usize();
        body.timeout = period("body_timeout", self.body_timeout)?;
        body.min_rate = u32::try_from(self.min_rate.0).unwrap_or(u32::MAX);
        Ok(Settings {
            listen: self.listener()?,
            tls: self.tls.as_ref().map(|tls| tls.within(cx.folder())),
            endpoints,
            removed,
            body,
            gzip: self.gzip,
            rate: self.rate.map(RateConfig::check).transpose()?,
            journal: cx.folder().join(&self.journal.path),
            limits,
        })
    }

    fn listener(&self) -> Result<Option<ListenerConfig>> {
        let header_timeout = period("header_timeout", self.header_timeout)?;
        if !(1..=100_000).contains(&self.max_connections) {
            return Err(wrong("max_connections", "is not between 1 and 100,000"));
        }
        let Some(listen) = &self.listen else {
            return match self.tls {
                Some(_) => Err(wrong("tls", "needs `listen`: without it the host speaks with senders")),
                None => Ok(None),
            };
        };
        let listen: SocketAddr = listen
            .trim()
            .parse()
            .map_err(|_| wrong("listen", "is no address such as 127.0.0.1:8080 or [::]:8080"))?;
        let mut config = ListenerConfig::new(listen);
        config.header_timeout = header_timeout;
        config.max_connections = self.max_connections;
        config.max_in_flight = self.max_in_flight.as_usize();
        Ok(Some(config))
    }

    fn endpoints(&self) -> Result<(Vec<Live>, BTreeSet<String>)> {
        if self.endpoints.is_empty() {
            return Err(wrong("endpoints", "is empty: name at least one"));
        }
        let (mut live, mut removed) = (Vec::new(), BTreeSet::new());
        let mut paths = BTreeSet::new();
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let field = |name: &str| format!("endpoints[{index}].{name}");
            check_path(&endpoint.path).map_err(|why| wrong(&field("path"), why))?;
            if !paths.insert(&endpoint.path) {
                return Err(wrong(&field("path"), "is another endpoint's too"));
            }
            if endpoint.removed {
                removed.insert(endpoint.path.clone());
                continue;
            }
            let scheme = endpoint.scheme.ok_or_else(|| {
                wrong(&field("scheme"), "is missing: `none`, which lets everybody in, has to be said")
            })?;
            let scheme = endpoint.proof(scheme).map_err(|error| at(&field(""), &error))?;
            let headers = endpoint.kept().map_err(|why| wrong(&field("headers"), why))?;
            let is_told_by_body = endpoint.is_told_by_body();
            live.push(Live { path: endpoint.path.clone(), scheme, headers, is_told_by_body });
        }
        Ok((live, removed))
    }
}

impl EndpointConfig {
    fn proof(&self, scheme: SchemeName) -> Result<Arc<dyn Scheme>> {
        let mut config = SchemeConfig::new(scheme, self.secrets.clone());
        config.tolerance = self.tolerance;
        config.hmac = self.hmac.clone();
        config.id_header = self.id_header.clone();
        config.verifier()
    }

    /// Whether there is neither an id nor a time in what its sender proves.
    fn is_told_by_body(&self) -> bool {
        let signs_time = self.hmac.as_ref().is_some_and(|hmac| hmac.timestamp_header.is_some());
        let has_own = !matches!(
            self.scheme,
            Some(SchemeName::Hmac | SchemeName::Bearer | SchemeName::Basic | SchemeName::None)
        );
        !has_own && !signs_time && self.id_header.is_none()
    }

    fn kept(&self) -> Result<Headers, String> {
        let proof = self.hmac.as_ref().and_then(|hmac| HeaderName::try_from(hmac.header.as_str()).ok());
        let Some(names) = &self.headers else { return Ok(Headers::all_but_secrets(proof)) };
        let named: Result<Vec<_>, _> = names.iter().map(HeaderName::try_from).collect();
        named
            .map(|names| Headers::only(names, proof))
            .map_err(|_| "names what is no name of a header".to_owned())
    }
}

impl RateConfig {
    fn check(self) -> Result<(u32, u32)> {
        let burst = self.burst.unwrap_or(self.per_second);
        match (self.per_second, burst) {
            (0, _) => Err(wrong("rate.per_second", "is 0")),
            (_, 0) => Err(wrong("rate.burst", "is 0")),
            rate => Ok(rate),
        }
    }
}

impl RememberConfig {
    fn check(self) -> Result<Remember> {
        if self.time < default_remember() {
            return Err(wrong("remember.time", "is less than 3d: senders send again for so long"));
        }
        if !(1_000..=100_000_000).contains(&self.count) {
            return Err(wrong("remember.count", "is not between 1,000 and 100,000,000"));
        }
        Ok(Remember { time: self.time.0, count: self.count })
    }
}

/// What a request's path can be: compared byte for byte, so it must be written as it is sent.
fn check_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("does not begin with a slash");
    }
    if path.len() > 512 {
        return Err("is longer than 512 characters");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte);
    if !path.bytes().all(allowed) {
        return Err("has something in it that no path is sent with; write it percent-encoded");
    }
    if path.split('/').any(|part| part == "." || part == "..") {
        return Err("has `.` or `..` in it, which senders resolve");
    }
    Ok(())
}

fn period(field: &str, period: Period) -> Result<Duration> {
    match period.0 {
        time if time < Duration::from_millis(100) || time > Duration::from_secs(600) => {
            Err(wrong(field, "is not between 100ms and 10m"))
        }
        time => Ok(time),
    }
}

/// What is wrong with a field.
pub(super) fn wrong(field: &str, what: impl Display) -> Error {
    Error::config("connect", format!("`{field}` {what}")).with_context("field", field)
}

/// What a scheme says of its fields, with the place of the endpoint before them.
fn at(place: &str, error: &Error) -> Error {
    Error::config("connect", format!("{}: {}", place.trim_end_matches('.'), error.message()))
}
