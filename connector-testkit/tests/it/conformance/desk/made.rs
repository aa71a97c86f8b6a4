//! The factory that is handed to the suite.

use std::sync::Arc;

use connector_sdk::{
    Connector, Context, Factory, Manifest, Result,
    contract::TypedFactory,
    manifest::{AuthMethod, Capability},
};
use serde_json::{Value, json};

use super::{Config, Desk, Flaw, Kind};

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

pub(in super::super) fn factory(kind: Kind, flaw: Option<Flaw>) -> Arc<dyn Factory> {
    let mut claims = kind.claims();
    match flaw {
        Some(Flaw::DeletesWhatIsAlive) => claims.retain(|claim| *claim != Capability::Deletes),
        Some(Flaw::ClaimsToBeCalledAndIsNot) => claims.push(Capability::Push),
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
        Desk::connect(config, cx, kind, flaw)
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
