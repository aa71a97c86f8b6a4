//! What a connector declares about itself, known before it is built.
//!
//! A host checks a manifest against [`Manifest::schema`], shows it to people, and lets policy decide by
//! it: what it may reach, which scopes it asks for, what data it handles.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::ConnectorId;

/// The declaration of a connector.
///
/// ```
/// use connector_sdk::manifest::{Capability, Manifest};
/// let manifest = Manifest::new("salesforce", "rest", "0.1.0")
///     .with_title("Salesforce")
///     .with_capabilities([Capability::Incremental, Capability::Deletes])
///     .with_network(["*.my.salesforce.com"]);
/// assert_eq!(manifest.id().as_str(), "salesforce/rest");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// The outside system, in lower case: `salesforce`.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_-]*$"))]
    pub system: String,
    /// The method of reaching it: `rest`.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_-]*$"))]
    pub method: String,
    /// The connector's version, by semantic versioning.
    #[schemars(regex(pattern = r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?$"))]
    pub version: String,
    /// The name people know it by.
    pub title: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Where it belongs.
    pub taxonomy: Taxonomy,
    /// What it can do; each claim, and each non-claim, is tested by the conformance suite.
    pub capabilities: Vec<Capability>,
    /// Where it can run.
    pub runners: Vec<Runner>,
    /// The hosts it reaches, as names or patterns with a leading `*.`.
    pub network: Vec<String>,
    /// Streams that are always there; more may be discovered.
    pub streams: Vec<DeclaredStream>,
    /// The ways to sign in.
    pub auth: Vec<AuthMethod>,
    /// What a security admin wants to know.
    pub compliance: Compliance,
}

impl Manifest {
    /// A manifest that declares nothing yet but its identity.
    pub fn new(system: impl Into<String>, method: impl Into<String>, version: impl Into<String>) -> Self {
        let system = system.into();
        Self {
            title: system.clone(),
            system,
            method: method.into(),
            version: version.into(),
            description: String::new(),
            taxonomy: Taxonomy::default(),
            capabilities: Vec::new(),
            runners: vec![Runner::Embedded, Runner::CommandLine],
            network: Vec::new(),
            streams: Vec::new(),
            auth: Vec::new(),
            compliance: Compliance::default(),
        }
    }

    /// The name a template uses: `system/method`.
    #[must_use]
    pub fn id(&self) -> ConnectorId {
        ConnectorId::from(format!("{}/{}", self.system, self.method))
    }

    /// JSON Schema of a manifest.
    #[must_use]
    pub fn schema() -> Schema {
        schemars::schema_for!(Manifest)
    }

    /// Whether it claims the capability.
    #[must_use]
    pub fn claims(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// The way to sign in of that name.
    #[must_use]
    pub fn auth_method(&self, name: &str) -> Option<&AuthMethod> {
        self.auth.iter().find(|method| method.name == name)
    }

    /// Sets the name people know it by.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Says what it is, in a sentence.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Says where it belongs.
    #[must_use]
    pub fn with_taxonomy(mut self, category: Category, entities: &[&str]) -> Self {
        self.taxonomy = Taxonomy { category, entities: entities.iter().map(|e| (*e).to_owned()).collect() };
        self
    }

    /// Claims capabilities.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: impl IntoIterator<Item = Capability>) -> Self {
        self.capabilities = capabilities.into_iter().collect();
        self
    }

    /// Names the hosts it reaches.
    #[must_use]
    pub fn with_network<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.network = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Names the ways to sign in.
    #[must_use]
    pub fn with_auth(mut self, methods: impl IntoIterator<Item = AuthMethod>) -> Self {
        self.auth = methods.into_iter().collect();
        self
    }

    /// Names streams that are always there.
    #[must_use]
    pub fn with_streams(mut self, streams: impl IntoIterator<Item = DeclaredStream>) -> Self {
        self.streams = streams.into_iter().collect();
        self
    }

    /// Says what a security admin wants to know.
    #[must_use]
    pub fn with_compliance(mut self, compliance: Compliance) -> Self {
        self.compliance = compliance;
        self
    }
}

/// Where a connector belongs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Taxonomy {
    /// The kind of system.
    pub category: Category,
    /// What its records are about: `person`, `company`, `message` …
    pub entities: Vec<String>,
}

/// The kind of an outside system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Customer relations.
    Crm,
    /// Chat and channels.
    Messaging,
    /// Mail.
    Email,
    /// Calls from outside.
    Webhook,
    /// Anything else.
    #[default]
    Other,
}

/// What a connector can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Reads only what changed.
    Incremental,
    /// Reads everything, and can be resumed in the middle of it.
    ResumableFull,
    /// Sees deleted records.
    Deletes,
    /// Has several partitions that can be read at once.
    Partitions,
    /// Forgets at the source what was acknowledged.
    Acknowledges,
    /// Is called by the source instead of asking it.
    Push,
    /// Writes back.
    Actions,
    /// Knows what a read will cost.
    CostEstimate,
}

/// Where a connector can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Runner {
    /// Inside a service that embeds the host library.
    Embedded,
    /// From the command line.
    CommandLine,
}

/// A stream that is always there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclaredStream {
    /// Its name.
    pub name: String,
    /// What it holds, in a sentence.
    pub description: String,
}

/// A way to sign in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthMethod {
    /// Its key in the configuration: `client_credentials`.
    pub name: String,
    /// The scopes it needs; exactly these are asked for.
    pub scopes: Vec<String>,
    /// The vendor may answer with a new credential, which must be kept.
    pub rotates: bool,
}

impl AuthMethod {
    /// A way to sign in that needs these scopes.
    #[must_use]
    pub fn new(name: &str, scopes: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
            rotates: false,
        }
    }

    /// Says that the vendor may answer with a new credential.
    #[must_use]
    pub fn rotating(mut self) -> Self {
        self.rotates = true;
        self
    }
}

/// What a security admin wants to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Compliance {
    /// Records hold personal data.
    pub personal_data: bool,
    /// The connector can change data at the vendor.
    pub writes: bool,
    /// Where the vendor keeps data, as far as it says.
    pub residency: Option<String>,
    /// The vendor's terms that bind the use of the interface.
    pub terms_url: Option<String>,
}

impl Compliance {
    /// A connector whose records hold personal data, and which only reads.
    #[must_use]
    pub fn personal_data() -> Self {
        Self { personal_data: true, ..Self::default() }
    }
}
