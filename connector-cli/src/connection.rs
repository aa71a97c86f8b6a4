//! From a template to what the commands work with: registry, context, connector, sink.

use std::sync::Arc;

use connector_bronze::BronzeConfig;
use connector_host::{
    Connectors, Registry,
    registry::{ConnectionRecord, Definition, Location},
    seal::{SealKey, SealedTokens},
    template::{Settings, Template, Variables},
};
use connector_sdk::{
    Clock, Connector, Context, Error, Manifest, Result, RunId, Secret, SystemClock, auth::AuthorizationCode,
};
use tokio_util::sync::CancellationToken;

use crate::args::FileArgs;

/// The key that seals rotated tokens, where it is not in a file beside the registry.
const SEAL_KEY: &str = "CONNECTOR_SEAL_KEY";

/// A connection as its template says, nothing opened yet.
pub(crate) struct Connection {
    pub(crate) template: Template,
    pub(crate) settings: Settings<BronzeConfig>,
    variables: Variables,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A connection that can be called.
pub(crate) struct Open {
    pub(crate) cx: Context,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) manifest: Manifest,
}

impl Connection {
    /// Reads the template, and all of it but the connector's own section.
    ///
    /// # Errors
    /// Config, naming file and line.
    pub(crate) async fn load(args: &FileArgs) -> Result<Self> {
        let template = Template::load(&args.file)?;
        let variables = variables(args);
        let settings = template.settings(&variables).await?;
        Ok(Self { template, settings, variables, clock: SystemClock::shared() })
    }

    /// The same, with this secret whatever the stores hold.
    pub(crate) fn with_secret(self, name: &str, secret: Secret) -> Self {
        Self { variables: self.variables.with_secret(name, secret), ..self }
    }

    /// Opens the registry.
    ///
    /// # Errors
    /// As [`Location::open`].
    pub(crate) async fn registry(&self) -> Result<Arc<dyn Registry>> {
        self.location()?.open(self.clock.clone()).await
    }

    fn location(&self) -> Result<Location> {
        Location::parse(self.settings.registry.expose(), self.template.folder())
    }

    /// A context; rotated tokens are kept in the registry, where there is one.
    ///
    /// # Errors
    /// As [`SealKey::find`].
    pub(crate) fn context(
        &self,
        registry: Option<&Arc<dyn Registry>>,
        run: Option<RunId>,
        stop: CancellationToken,
    ) -> Result<Context> {
        let Settings { tenant, connection, network, resilience, .. } = &self.settings;
        let mut builder = Context::builder(tenant.clone(), connection.clone())
            .clock(self.clock.clone())
            .network(network.clone())
            .folder(self.template.folder())
            .resilience(resilience.clone())
            .background(crate::BACKGROUND.clone())
            .stop(stop);
        if let Some(registry) = registry {
            let variable = self.variables.env(SEAL_KEY).map(Secret::new);
            let key = SealKey::find(variable.as_ref(), &self.location()?)?;
            let tokens = SealedTokens::new(registry.clone(), &key, tenant.clone(), connection.clone())?;
            builder = builder.tokens(Arc::new(tokens));
        }
        if let Some(run) = run {
            builder = builder.run(run);
        }
        Ok(builder.build())
    }

    /// Makes the connector.
    ///
    /// # Errors
    /// Config when there is no such connector, or its configuration does not fit.
    pub(crate) async fn open(&self, connectors: &Connectors, cx: Context) -> Result<Open> {
        let factory = connectors.get(self.settings.connector.as_str())?;
        let connector = self.template.connect(&**factory, &cx, &self.variables).await?;
        Ok(Open { cx, connector, manifest: factory.manifest().clone() })
    }

    /// How a person signs in to the connection.
    ///
    /// # Errors
    /// As [`Connection::open`]; Config when nobody has to sign in.
    pub(crate) async fn sign_in(&self, connectors: &Connectors, cx: &Context) -> Result<AuthorizationCode> {
        let factory = connectors.get(self.settings.connector.as_str())?;
        self.template.sign_in(&**factory, cx, &self.variables).await?.ok_or_else(|| {
            let message =
                "nobody has to sign in to this connection: its `auth` is complete as it is configured";
            Error::config("sign in", message)
        })
    }

    /// Where records go.
    ///
    /// # Errors
    /// Config when the template does not say.
    pub(crate) fn bronze(&self) -> Result<BronzeConfig> {
        let mut config = self.settings.bronze.clone().ok_or_else(|| {
            Error::config(
                "read template",
                "the template has no `bronze`: say where records go, `bronze: { path: ./bronze }`",
            )
        })?;
        // Without the dots in between: people read this path.
        config.path = self.template.folder().join(&config.path).components().collect();
        Ok(config)
    }

    /// Notes connector and connection in the registry: definitions, and the configuration without secrets.
    ///
    /// # Errors
    /// As [`Registry::define`].
    pub(crate) async fn remember(&self, connectors: &Connectors, registry: &dyn Registry) -> Result<()> {
        let factory = connectors.get(self.settings.connector.as_str())?;
        let now = self.clock.now();
        let manifest = factory.manifest();
        let unwritable = |error| Error::bug("define", "the manifest does not serialise").with_source(error);
        let definition = Definition {
            connector: manifest.id(),
            version: manifest.version.clone(),
            manifest: serde_json::to_value(manifest).map_err(unwritable)?,
            config_schema: factory.config_schema().to_value(),
            registered_at: now,
        };
        registry.define(&definition).await?;
        let connection = ConnectionRecord {
            tenant: self.settings.tenant.clone(),
            connection: self.settings.connection.clone(),
            connector: manifest.id(),
            config: self.template.config(factory.config_schema().as_value()),
            updated_at: now,
        };
        registry.put_connection(&connection).await
    }
}

/// What the variables of the template stand for.
pub(crate) fn variables(args: &FileArgs) -> Variables {
    let set = |variables: Variables, (name, value): &(String, String)| variables.with_var(name, value);
    args.vars.iter().fold(Variables::new(environment), set)
}

#[expect(clippy::disallowed_methods, reason = "this is the edge of the program")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
