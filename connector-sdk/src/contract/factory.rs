//! How a host makes a connector that it knows only by name.

use std::{fmt, marker::PhantomData, sync::Arc};

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Connector;
use crate::{Context, Error, Manifest, Result, auth::AuthorizationCode};

/// What a host registers: a manifest, a configuration's schema, and a way to connect.
pub trait Factory: Send + Sync {
    /// What the connector declares about itself.
    fn manifest(&self) -> &Manifest;

    /// JSON Schema of its configuration.
    fn config_schema(&self) -> Schema;

    /// Makes a connector from a configuration. No I/O: what can fail in the network fails in the first call.
    ///
    /// # Errors
    /// Config when the configuration does not fit, naming the field.
    fn connect(&self, config: &RawValue, cx: &Context) -> Result<Arc<dyn Connector>>;

    /// How a person signs in to this connection, where its configuration chooses a way that needs one.
    /// The default: nobody has to. No I/O.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    fn sign_in(&self, config: &RawValue, cx: &Context) -> Result<Option<AuthorizationCode>> {
        let _ = (config, cx);
        Ok(None)
    }
}

type SignIn<C> = Box<dyn Fn(C, &Context) -> Result<Option<AuthorizationCode>> + Send + Sync>;

/// Turns a typed `connect` function into a [`Factory`].
///
/// ```
/// use connector_sdk::{*, contract::*};
/// # use futures_util::{StreamExt, stream::{self, BoxStream}};
/// # #[derive(Debug)] struct Desk;
/// # #[async_trait::async_trait] impl Authenticate for Desk {
/// #     async fn authenticate(&self, _: &Context) -> Result<Identity> { Ok(Identity::new("nobody")) } }
/// # #[async_trait::async_trait] impl Discover for Desk {
/// #     async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> { Ok(Catalog::default()) } }
/// # #[async_trait::async_trait] impl Read for Desk {
/// #     async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> { Ok(Plan::nothing()) }
/// #     fn read(&self, _: ReadRequest) -> BoxStream<'static, Result<Message>> { stream::empty().boxed() } }
/// # impl Connector for Desk {}
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     /// Where the desk is.
///     base_url: String,
/// }
///
/// let factory = TypedFactory::new(Manifest::new("desk", "rest", "0.1.0"), |config: Config, _cx: &Context| {
///     if config.base_url.is_empty() {
///         return Err(Error::config("connect", "`base_url` is empty"));
///     }
///     Ok(Desk)
/// });
///
/// let config = serde_json::value::RawValue::from_string(r#"{"base_url": "http://x", "extra": 1}"#.into()).unwrap();
/// let error = factory.connect(&config, &Context::builder("t", "c").build()).err().unwrap();
/// assert!(error.to_string().contains("extra"));
/// ```
pub struct TypedFactory<C, F> {
    manifest: Manifest,
    connect: F,
    sign_in: Option<SignIn<C>>,
    config: PhantomData<fn(C)>,
}

impl<C, F, K> TypedFactory<C, F>
where
    C: DeserializeOwned + JsonSchema,
    F: Fn(C, &Context) -> Result<K> + Send + Sync,
    K: Connector + 'static,
{
    /// A factory with this manifest, which connects with this function.
    pub fn new(manifest: Manifest, connect: F) -> Self {
        Self { manifest, connect, sign_in: None, config: PhantomData }
    }

    /// Says how a person signs in; none where the configuration needs nobody.
    #[must_use]
    pub fn with_sign_in(
        mut self,
        sign_in: impl Fn(C, &Context) -> Result<Option<AuthorizationCode>> + Send + Sync + 'static,
    ) -> Self {
        self.sign_in = Some(Box::new(sign_in));
        self
    }

    fn typed(&self, config: &RawValue) -> Result<C> {
        let mut json = serde_json::Deserializer::from_str(config.get());
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let field = error.path().to_string();
            Error::config(
                "connect",
                format!("the configuration does not fit: {}", without_values(&error.inner().to_string())),
            )
            .with_context("field", field)
            .with_context("connector", self.manifest.id())
        })
    }
}

impl<C, F, K> Factory for TypedFactory<C, F>
where
    C: DeserializeOwned + JsonSchema,
    F: Fn(C, &Context) -> Result<K> + Send + Sync,
    K: Connector + 'static,
{
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn config_schema(&self) -> Schema {
        schemars::schema_for!(C)
    }

    fn connect(&self, config: &RawValue, cx: &Context) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new((self.connect)(self.typed(config)?, cx)?))
    }

    fn sign_in(&self, config: &RawValue, cx: &Context) -> Result<Option<AuthorizationCode>> {
        match &self.sign_in {
            Some(sign_in) => sign_in(self.typed(config)?, cx),
            None => Ok(None),
        }
    }
}

/// serde quotes the value that it did not expect, which may be a secret in the wrong place.
fn without_values(message: &str) -> String {
    let mut parts = message.split('"');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    if let (Some(_), Some(last)) = (parts.next(), parts.next_back()) {
        shown.push('…');
        shown.push_str(last);
    }
    shown
}

impl<C, F> fmt::Debug for TypedFactory<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedFactory").field("connector", &self.manifest.id()).finish_non_exhaustive()
    }
}
