//! The connectors a host knows, registered by hand.

use std::{collections::BTreeMap, fmt, sync::Arc};

use connector_sdk::{ConnectorId, Error, Factory, Manifest, Result};

/// The connectors a host knows, by name.
///
/// Registration is explicit: there are no linker tricks that a static library or a plugin would miss.
#[derive(Default, Clone)]
pub struct Connectors(BTreeMap<ConnectorId, Arc<dyn Factory>>);

impl Connectors {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a connector, after checking its manifest against the manifest's schema.
    ///
    /// # Errors
    /// Config when the manifest does not fit its schema (naming the place), or the name is taken.
    pub fn register(&mut self, factory: impl Factory + 'static) -> Result<&mut Self> {
        check(factory.manifest())?;
        let id = factory.manifest().id();
        if self.0.contains_key(&id) {
            return Err(Error::config("register", format!("the connector `{id}` is registered already")));
        }
        self.0.insert(id, Arc::new(factory));
        Ok(self)
    }

    /// The connector of that name.
    ///
    /// # Errors
    /// Config when it is not registered; the text names those that are.
    pub fn get(&self, id: &str) -> Result<&Arc<dyn Factory>> {
        self.0.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(ConnectorId::as_str).collect();
            Error::config(
                "find connector",
                format!("there is no connector `{id}`; known are: {}", known.join(", ")),
            )
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Factory>> {
        self.0.values()
    }
}

impl fmt::Debug for Connectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn check(manifest: &Manifest) -> Result<()> {
    let schema = Manifest::schema().to_value();
    let document = serde_json::to_value(manifest)
        .map_err(|error| Error::bug("register", "the manifest does not serialise").with_source(error))?;
    let validator = jsonschema::validator_for(&schema)
        .map_err(|error| Error::bug("register", format!("the manifest's schema is no schema: {error}")))?;
    match validator.iter_errors(&document).next() {
        None => Ok(()),
        Some(error) => {
            Err(Error::config("register", format!("the manifest does not fit its schema: {error}"))
                .with_context("connector", manifest.id())
                .with_context("place", error.instance_path().as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_checked_against_its_schema() {
        assert!(check(&Manifest::new("desk", "rest", "0.1.0")).is_ok());
        let error = check(&Manifest::new("Desk!", "rest", "0.1")).unwrap_err();
        assert!(error.to_string().contains("/system") || error.to_string().contains("/version"), "{error}");
    }
}
