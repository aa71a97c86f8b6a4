//! Templates: a connection written as YAML, with variables.
//!
//! Reading one has three steps. [`Template::load`] parses the file and needs nothing else.
//! [`Template::settings`] replaces the variables of our own sections and checks them: enough for
//! commands that look at the registry or at Bronze. [`Template::connect`] replaces the variables of the
//! connector's own section, checks it against the connector's schema and makes the connector.
//!
//! Every mistake is class Config and names file, line and column; an unknown key names the nearest known
//! one. No value that a variable brought is ever shown.
//!
//! ```
//! use connector_host::template::{Template, Variables};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> connector_sdk::Result<()> {
//! let text = "connector: desk/rest\ntenant: acme\nname: acme-desk\nconfig: { base_url: \"${env:DESK_URL}\" }\n";
//! let template = Template::parse("desk.yaml", text)?;
//! let variables = Variables::new(|name| (name == "DESK_URL").then(|| "https://desk.example".to_owned()));
//! let settings = template.settings::<serde_json::Value>(&variables).await?;
//! assert_eq!(settings.connection.as_str(), "acme-desk");
//! assert!(Template::parse("desk.yaml", "conector: desk/rest\n").unwrap_err().to_string().contains("desk.yaml:1:1"));
//! # Ok(()) }
//! ```

mod hiding;
mod nearest;
mod redact;
mod resilience;
mod schema;
mod secrets;
mod sections;
mod stores;
mod variables;
mod wiped;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use connector_sdk::{Connector, Context, Error, Factory, Result, Secret, auth::AuthorizationCode};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

pub use nearest::nearest;
pub(crate) use nearest::suggestion;
pub use secrets::TemplateSecrets;
pub use sections::Settings;
pub use variables::Variables;

use hiding::Brought;
use secrets::Ledger;
use sections::Sections;
use stores::Stores;
use variables::{Piece, Reference};
use wiped::Wiped;
use yaml::{Node, Place};

/// The connector's own section.
const CONFIG: &str = "config";

/// A template, parsed; its variables still stand in it.
#[derive(Debug, Clone)]
pub struct Template {
    file: PathBuf,
    tree: Node,
}

impl Template {
    /// Reads a template's file.
    ///
    /// # Errors
    /// Config when it cannot be read, is no YAML, or has keys that no template has.
    pub fn load(file: impl Into<PathBuf>) -> Result<Self> {
        let file = file.into();
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Error::config("read template", format!("cannot read the file `{}`: {error}", file.display()))
        })?;
        Self::parse(file, &text)
    }

    /// Takes the text of a template; `file` names it in errors, and paths are relative to its folder.
    ///
    /// # Errors
    /// As [`Template::load`].
    pub fn parse(file: impl Into<PathBuf>, text: &str) -> Result<Self> {
        let file = file.into();
        let template = Self { tree: yaml::parse(&file, text)?, file };
        // Structure is checked before variables are: a misspelled key is told even where nothing is set.
        let written = template.unresolved(&template.tree);
        let found = schema::check(&sections_schema::<Value>(), &template.tree, &written, "")?;
        let found: Vec<_> =
            found.into_iter().filter(|violation| !template.holds_a_variable(violation)).collect();
        schema::refuse(&template.file, &found)?;
        Ok(template)
    }

    /// The folder that paths are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// What the template says besides the connector's own section, with its variables replaced. `B` is what
    /// the sink understands of `bronze`; [`serde_json::Value`] takes anything.
    ///
    /// # Errors
    /// Config when a variable is not set or a value does not fit; as the secret stores answer.
    pub async fn settings<B: DeserializeOwned + JsonSchema>(
        &self,
        variables: &Variables,
    ) -> Result<Settings<B>> {
        let own = self.own_sections();
        let Resolved { value, brought, .. } = self.resolved(&own, variables).await?;
        let defaults = resilience::from_environment(variables)?;
        let settled =
            self.typed::<Sections<B>>(&sections_schema::<B>(), &own, &value, "").and_then(|sections| {
                sections
                    .settle(self.folder(), defaults)
                    .map_err(|(pointer, text)| self.mistake(self.tree.place(&pointer), &text))
            });
        settled.map_err(|error| brought.hidden_in(error))
    }

    /// The connector's own section as a registry keeps it: references as written, and `[secret]` for what
    /// the connector's schema marks as a secret (`writeOnly`, `format: password`) and the template writes out.
    #[must_use]
    pub fn config(&self, schema: &Value) -> Value {
        let mut config = self.config_tree().map_or_else(empty_map, |tree| self.unresolved(tree));
        redact::redact(schema, &mut config);
        config
    }

    /// The way to sign in that the configuration chooses: the only key of its `auth`, where it has one.
    #[must_use]
    pub fn auth_method(&self) -> Option<&str> {
        let auth = self.config_tree()?.get("auth")?;
        match &auth.value {
            yaml::Value::Map(entries) => match entries.as_slice() {
                [(method, ..)] => Some(method),
                _ => None,
            },
            _ => None,
        }
    }

    /// Replaces the variables of the connector's own section, checks it against the connector's schema,
    /// and makes the connector. No I/O but for files and secret stores. The connector gets a context that
    /// knows which secrets come after those in its configuration.
    ///
    /// # Errors
    /// Config when a variable is not set or the configuration does not fit; as the secret stores answer.
    pub async fn connect(
        &self,
        factory: &dyn Factory,
        cx: &Context,
        variables: &Variables,
    ) -> Result<Arc<dyn Connector>> {
        let (config, cx, brought) = self.connector_config(factory, cx, variables).await?;
        let made = factory.connect(raw(&config)?, &cx);
        made.map_err(|error| brought.hidden_in(self.with_place_of_field(error)))
    }

    /// How a person signs in to the connection, where its configuration needs one. Replaces and checks as
    /// [`Template::connect`] does.
    ///
    /// # Errors
    /// As [`Template::connect`].
    pub async fn sign_in(
        &self,
        factory: &dyn Factory,
        cx: &Context,
        variables: &Variables,
    ) -> Result<Option<AuthorizationCode>> {
        let (config, cx, brought) = self.connector_config(factory, cx, variables).await?;
        let made = factory.sign_in(raw(&config)?, &cx);
        made.map_err(|error| brought.hidden_in(self.with_place_of_field(error)))
    }

    /// The connector's own section as JSON, its variables replaced, checked against the connector's schema; the
    /// context with which secrets come after those in it; and what the variables brought.
    async fn connector_config(
        &self,
        factory: &dyn Factory,
        cx: &Context,
        variables: &Variables,
    ) -> Result<(Secret, Context, Brought)> {
        let nothing = nothing();
        let tree = self.config_tree().unwrap_or(&nothing);
        let Resolved { value, ledger, brought } = self.resolved(tree, variables).await?;
        let value = if value.is_null() { Wiped(empty_map()) } else { value };
        let found = schema::check(factory.config_schema().as_value(), tree, &value, CONFIG)?;
        schema::refuse(&self.file, &found)?;
        let cx = ledger.map_or_else(|| cx.clone(), |ledger| cx.with_successors(Arc::new(ledger)));
        Ok((Secret::new(value.to_string()), cx, brought))
    }

    /// The secrets that it names, and the stores they are in. Nothing is looked up yet.
    ///
    /// # Errors
    /// Config when a variable cannot be read, or `secrets` does not fit.
    pub async fn secrets(&self, variables: &Variables) -> Result<TemplateSecrets> {
        let names: BTreeSet<String> = self
            .wanted(&self.tree)?
            .into_iter()
            .filter_map(|(reference, _)| match reference {
                Reference::Secret(name) => Some(name.to_owned()),
                _ => None,
            })
            .collect();
        Ok(TemplateSecrets::new(names, self.secret_stores(variables).await?))
    }

    /// The tree without the connector's own section, whose variables may name what is not there yet.
    fn own_sections(&self) -> Node {
        let mut own = self.tree.clone();
        if let yaml::Value::Map(entries) = &mut own.value {
            entries.retain(|(key, ..)| key != CONFIG);
        }
        own
    }

    fn config_tree(&self) -> Option<&Node> {
        self.tree.get(CONFIG)
    }

    /// The tree as it is written.
    fn unresolved(&self, tree: &Node) -> Value {
        tree.to_json(&|text, _| Ok(text.to_owned())).unwrap_or_default()
    }

    fn holds_a_variable(&self, violation: &schema::Violation) -> bool {
        let mut holds = false;
        self.tree.texts(&mut |text, place| holds |= place == violation.place && text.contains("${"));
        holds
    }

    /// The tree with its variables replaced.
    async fn resolved(&self, tree: &Node, variables: &Variables) -> Result<Resolved> {
        let wanted = self.wanted(tree)?;
        if wanted.is_empty() {
            let value = self.filled(tree, &BTreeMap::new())?;
            return Ok(Resolved { value, ledger: None, brought: Brought::default() });
        }
        let stores = self.secret_stores(variables).await?;
        let values = self.looked_up(wanted, variables, Some(&stores)).await?;
        let value = self.filled(tree, &values)?;
        let ledger = Ledger::new(stores)?;
        for (reference, secret) in &values {
            if let Reference::Secret(name) = reference
                && variables.secret(name).is_none()
            {
                ledger.note(name, secret);
            }
        }
        Ok(Resolved { value, ledger: Some(ledger), brought: Brought::new(values.values()) })
    }

    /// The variables of the tree, in the order of the file, so that the first mistake told is the first one
    /// there.
    fn wanted<'a>(&self, tree: &'a Node) -> Result<Vec<(Reference<'a>, Place)>> {
        let mut wanted: BTreeMap<Reference<'_>, Place> = BTreeMap::new();
        let mut wrong = None;
        tree.texts(&mut |text, place| match variables::split(text) {
            Err(said) => wrong = wrong.take().or(Some(self.mistake(place, &said))),
            Ok(pieces) => {
                for piece in pieces {
                    if let Piece::Reference(reference) = piece {
                        wanted.entry(reference).or_insert(place);
                    }
                }
            }
        });
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let mut wanted: Vec<_> = wanted.into_iter().collect();
        wanted.sort_by_key(|(_, place)| (place.line, place.column));
        Ok(wanted)
    }

    async fn looked_up<'a>(
        &self,
        wanted: Vec<(Reference<'a>, Place)>,
        variables: &Variables,
        stores: Option<&Stores>,
    ) -> Result<BTreeMap<Reference<'a>, Secret>> {
        let mut values = BTreeMap::new();
        for (reference, place) in wanted {
            let value = variables::look_up(reference, variables, stores, self.folder()).await;
            values.insert(reference, value.map_err(|error| self.with_place(place, &error))?);
        }
        Ok(values)
    }

    fn filled(&self, tree: &Node, values: &BTreeMap<Reference<'_>, Secret>) -> Result<Wiped> {
        let filled = tree.to_json(&|text, place| {
            let pieces = variables::split(text).map_err(|said| self.mistake(place, &said))?;
            let pieces: Vec<&str> = pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text,
                    Piece::Reference(reference) => {
                        values.get(&reference).map_or("", |value| value.expose().as_str())
                    }
                })
                .collect();
            // In one allocation: one that grew would leave a copy behind.
            Ok(pieces.concat())
        })?;
        Ok(Wiped(filled))
    }

    /// The stores that `secrets:` names. What opens them comes from the environment or from files.
    async fn secret_stores(&self, variables: &Variables) -> Result<Stores> {
        let Some(tree) = self.tree.get("secrets") else {
            return Stores::new(None, self.folder(), variables);
        };
        let values = self.looked_up(self.wanted(tree)?, variables, None).await?;
        let opened = self.typed(&stores::schema(), tree, &*self.filled(tree, &values)?, "secrets").and_then(
            |section| {
                let stores = Stores::new(section, self.folder(), variables);
                stores.map_err(|error| self.with_place(tree.at, &error))
            },
        );
        opened.map_err(|error| Brought::new(values.values()).hidden_in(error))
    }

    /// What `value`, which was made from `tree`, says; `above` is the path of `tree` in the template. The schema
    /// finds most mistakes, and shows no value. What else a type has to say of a value is told only where the
    /// template itself holds that value.
    fn typed<T: DeserializeOwned>(
        &self,
        schema: &Value,
        tree: &Node,
        value: &Value,
        above: &str,
    ) -> Result<T> {
        schema::refuse(&self.file, &schema::check(schema, tree, value, above)?)?;
        serde_path_to_error::deserialize(value).map_err(|error| {
            let pointer =
                error.path().iter().fold(String::new(), |path, segment| format!("{path}/{segment}"));
            let pointer = pointer.replace(['[', ']'], "");
            let field = error.path().to_string();
            let said = if tree.at_pointer(&pointer).holds_variables() {
                "does not fit; what the variable brought is not shown".to_owned()
            } else {
                error.inner().to_string()
            };
            self.mistake(tree.place(&pointer), &format!("`{field}`: {said}"))
        })
    }

    fn mistake(&self, place: Place, text: &str) -> Error {
        Error::config("read template", format!("{}:{place}: {text}", self.file.display()))
    }

    /// The same error, with the place in front of its message.
    fn with_place(&self, place: Place, error: &Error) -> Error {
        let placed = Error::new(
            error.class(),
            "read template",
            format!("{}:{place}: {}", self.file.display(), error.message()),
        );
        error.context().fold(placed, |placed, (name, value)| placed.with_context(name, value))
    }

    /// A connector that refuses its configuration names the field; this adds the place.
    fn with_place_of_field(&self, error: Error) -> Error {
        let nothing = nothing();
        let tree = self.config_tree().unwrap_or(&nothing);
        let field = error.context().find(|(name, _)| *name == "field").map(|(_, field)| field.to_owned());
        match field {
            Some(field) => {
                let pointer: String = field
                    .split(['.', '[', ']'])
                    .filter(|part| !part.is_empty())
                    .fold(String::new(), |path, part| format!("{path}/{part}"));
                self.with_place(tree.place(&pointer), &error)
            }
            None => error.with_context("template", self.file.display()),
        }
    }
}

/// A part of a template whose variables are replaced.
struct Resolved {
    value: Wiped,
    /// Which secret gave what, where there are secrets in it.
    ledger: Option<Ledger>,
    brought: Brought,
}

/// Where a template has no section for the connector.
fn nothing() -> Node {
    Node { at: Place { line: 1, column: 1 }, value: yaml::Value::Map(Vec::new()) }
}

fn raw(config: &Secret) -> Result<&RawValue> {
    serde_json::from_str(config.expose())
        .map_err(|error| Error::bug("read template", "the configuration is no JSON").with_source(error))
}

fn empty_map() -> Value {
    Value::Object(serde_json::Map::new())
}

fn sections_schema<B: JsonSchema>() -> Value {
    schemars::schema_for!(Sections<B>).to_value()
}
