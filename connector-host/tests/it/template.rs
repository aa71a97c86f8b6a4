//! Templates, from the file to the connector.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod hiding;
mod limits;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Mutex, time::Duration};

use async_trait::async_trait;
use connector_host::{
    run::DriftPolicy,
    template::{Settings, Template, Variables},
};
use connector_sdk::{
    Authenticate, ByteSize, Catalog, Class, Connector, Context, Discover, Error, Factory, Identity, Manifest,
    Message, Period, Read, ReadRequest, Result, Secret, StreamId, StreamSelection, StreamState, SyncMode,
    contract::{Plan, TypedFactory},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

const TEMPLATE: &str = r#"
connector: desk/rest
tenant: acme
name: "acme-${var:region}"
config:
  base_url: "${env:DESK_URL:-https://desk.example}"
  auth: { session: { access_token: "${secret:desk-token}" } }
streams:
  - { name: tickets, mode: incremental, fields: [id, text], since: 2026-01-31T00:00:00Z, on_drift: freeze }
  - name: agents
bronze: { path: ./bronze, commit: { bytes: 8MiB, interval: 250ms } }
network: { allow: [10.0.0.0/8], allow_http: true, ca_file: ca.pem }
resilience: { max_attempts: 7, base_delay: 5ms, timeout: 2s, deadline: 10m, max_body: 1024, rate: off }
"#;

/// What this test's sink understands of `bronze`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sink {
    path: String,
    #[serde(default)]
    commit: Option<Commit>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Commit {
    bytes: ByteSize,
    interval: Period,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where the desk is.
    base_url: String,
    /// How to sign in.
    auth: Auth,
    /// Records a page has.
    #[serde(default)]
    page_size: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Auth {
    Session(Session),
    Basic(Basic),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Session {
    access_token: Secret,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Basic {
    username: String,
    password: Secret,
}

/// A connector that nobody calls.
struct Nothing;

#[async_trait]
impl Authenticate for Nothing {
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        Ok(Identity::new("nobody"))
    }
}

#[async_trait]
impl Discover for Nothing {
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        Ok(Catalog::default())
    }
}

#[async_trait]
impl Read for Nothing {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Ok(Plan::nothing())
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'static, Result<Message>> {
        stream::empty().boxed()
    }
}

impl Connector for Nothing {}

fn factory() -> impl Factory {
    TypedFactory::new(Manifest::new("desk", "rest", "0.1.0"), |config: Config, _: &Context| {
        if config.base_url.starts_with("ftp:") {
            let message = format!("the desk speaks http only, and not {}", config.base_url);
            return Err(Error::config("connect", message).with_context("field", "base_url"));
        }
        let token = match &config.auth {
            Auth::Session(session) => session.access_token.expose().clone(),
            Auth::Basic(basic) => format!("{}:{}", basic.username, basic.password.expose()),
        };
        SEEN.lock().unwrap().push((config.base_url, token, config.page_size));
        Ok(Nothing)
    })
}

/// What connectors were made with; tests look for their own URL.
static SEEN: Mutex<Vec<(String, String, Option<u32>)>> = Mutex::new(Vec::new());

fn variables() -> Variables {
    environment(&[("CONNECTOR_SECRET_DESK_TOKEN", "hunter2")]).with_var("region", "eu")
}

fn environment(set: &'static [(&'static str, &'static str)]) -> Variables {
    Variables::new(move |name| {
        set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

async fn settings(text: &str, variables: &Variables) -> Result<Settings<Sink>> {
    Template::parse("t.yaml", text)?.settings(variables).await
}

async fn connect(text: &str, variables: &Variables) -> Result<()> {
    let cx = Context::builder("acme", "acme-desk").build();
    Template::parse("t.yaml", text)?.connect(&factory(), &cx, variables).await.map(|_| ())
}

fn with(config: &str) -> String {
    format!("connector: desk/rest\ntenant: acme\nname: n\nconfig:\n{config}")
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T>, expected: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.class(), Class::Config, "{error}");
    for part in expected {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn all_that_a_template_says_is_in_its_settings() {
    let settings = settings(TEMPLATE, &variables()).await.unwrap();
    assert_eq!(settings.connector.as_str(), "desk/rest");
    assert_eq!((settings.tenant.as_str(), settings.connection.as_str()), ("acme", "acme-eu"));
    let streams = settings.streams.unwrap();
    assert_eq!(streams[0].mode, Some(SyncMode::Incremental));
    assert_eq!(streams[0].fields.as_deref(), Some(["id".to_owned(), "text".to_owned()].as_slice()));
    assert_eq!(streams[0].since.unwrap().to_string(), "2026-01-31T00:00:00.000Z");
    assert_eq!((streams[0].on_drift, streams[1].on_drift), (DriftPolicy::Freeze, DriftPolicy::Evolve));
    let commit = Commit { bytes: ByteSize::mib(8), interval: Period(Duration::from_millis(250)) };
    assert_eq!(settings.bronze.unwrap(), Sink { path: "./bronze".to_owned(), commit: Some(commit) });
    assert!(settings.network.allow_http && settings.network.allows([10, 1, 2, 3].into()));
    assert_eq!(settings.network.ca_file.as_deref(), Some(Path::new("./ca.pem")));
    assert_eq!(settings.registry.expose(), "sqlite://./connector.db");
    let resilience = settings.resilience;
    assert_eq!((resilience.max_attempts, resilience.max_body), (7, 1024));
    assert_eq!(resilience.base_delay, Duration::from_millis(5));
    assert_eq!(resilience.attempt_timeout, Duration::from_secs(2));
    assert_eq!(resilience.deadline, Duration::from_secs(600));
}

#[tokio::test]
async fn the_connector_gets_its_section_with_variables_replaced() {
    connect(TEMPLATE, &variables()).await.unwrap();
    let seen = SEEN.lock().unwrap();
    assert!(seen.contains(&("https://desk.example".to_owned(), "hunter2".to_owned(), None)), "{seen:?}");
}

#[tokio::test]
async fn what_a_registry_keeps_of_the_configuration_has_references_and_no_secrets() {
    let template = Template::parse("t.yaml", TEMPLATE).unwrap();
    let schema = schemars::schema_for!(Config).to_value();
    assert_eq!(template.config(&schema)["auth"]["session"]["access_token"], "${secret:desk-token}");
    assert_eq!(template.auth_method(), Some("session"));
    assert_eq!(
        Template::parse("t.yaml", "connector: a/b\ntenant: t\nname: n\n").unwrap().config(&schema),
        serde_json::json!({})
    );
    let written =
        with("  base_url: x\n  auth: { basic: { username: me, password: \"${env:X:-hunter2}\" } }\n");
    assert_eq!(
        Template::parse("t.yaml", &written).unwrap().config(&schema),
        serde_json::json!({ "base_url": "x", "auth": { "basic": { "username": "me", "password": "[secret]" } } })
    );
}

#[tokio::test]
async fn an_unknown_key_names_file_line_and_the_nearest_known_key() {
    for (text, expected) in [
        (
            "connector: a/b\ntenant: t\nname: n\nstrems: []\n",
            ["t.yaml:4:1", "`strems`", "did you mean `streams`?"],
        ),
        (
            "connector: a/b\ntenant: t\nname: n\nnetwork:\n  alow_http: true\n",
            ["t.yaml:5:3", "`network`", "`allow_http`"],
        ),
        (
            "connector: a/b\ntenant: t\nname: n\nresilience: { max_attempt: 3 }\n",
            ["t.yaml:4:15", "`resilience`", "`max_attempts`"],
        ),
        (
            "connector: a/b\ntenant: t\nname: n\nstreams:\n- name: x\n  mod: full\n",
            ["t.yaml:6:3", "streams.0", "`mode`"],
        ),
        (
            "connector: a/b\ntenant: t\nname: n\nsecrets: [{ env: { prefx: X } }]\n",
            ["t.yaml:4:20", "secrets.0.env", "`prefix`"],
        ),
        (
            "connector: a/b\ntenant: t\nname: n\nsecrets: [{ valt: {} }]\n",
            ["t.yaml:4:13", "`valt`", "`vault`"],
        ),
        (
            "connector: a/b\ntenant: t\nname: n\nsecrets: [{ vault: { adress: x, auth: { token: t } } }]\n",
            ["t.yaml:4:22", "secrets.0.vault", "`address`"],
        ),
        (
            "connector: a/b\ntenant: t\nname: n\nsecrets: [{ vault: { address: x, auth: { aprole: {} } } }]\n",
            ["t.yaml:4:42", "secrets.0.vault.auth", "`approle`"],
        ),
    ] {
        assert_refused(Template::parse("t.yaml", text), &expected);
    }
    let bronze = "connector: a/b\ntenant: t\nname: n\nbronze: { path: x, fromat: jsonl }\n";
    assert_refused(settings(bronze, &variables()).await, &["t.yaml:4:20", "`fromat`"]);
    let config = with("  base_url: x\n  auth: { session: { access_token: hunter2 } }\n  page_sizes: 3\n");
    assert_refused(connect(&config, &variables()).await, &["t.yaml:7:3", "`config`", "`page_size`"]);
}

#[tokio::test]
async fn a_wrong_type_names_file_line_and_field() {
    for (text, expected) in [
        (
            "connector: a/b\ntenant: t\nname: n\nstreams: tickets\n",
            ["t.yaml:4:10", "`streams` must be a list", "a text"],
        ),
        ("connector: a/b\ntenant: 5\nname: n\n", ["t.yaml:2:9", "`tenant` must be a text", "a number"]),
        (
            "connector: a/b\ntenant: t\nname: n\nnetwork: { allow_http: 1 }\n",
            ["t.yaml:4:24", "`network.allow_http`", "true or false"],
        ),
        (
            "connector: a/b\ntenant: t\nname: n\nstreams: [{ name: x, mode: all }]\n",
            ["t.yaml:4:28", "`streams.0.mode`", "`full`, `incremental`"],
        ),
        ("connector: a/b\ntenant: t\n", ["t.yaml:1:1", "`name` is missing", "the template"]),
        ("just a text\n", ["t.yaml:1:1", "the template must be a map", "a text"]),
    ] {
        assert_refused(Template::parse("t.yaml", text), &expected);
    }
    for (line, expected) in [
        ("resilience: { deadline: 10 }", "`resilience.deadline`"),
        ("resilience: { deadline: 10 parsecs }", "`resilience.deadline`"),
        ("resilience: { timeout: 0s }", "longer than nothing"),
        ("resilience: { max_attempts: 0 }", "`resilience.max_attempts`"),
        ("resilience: { max_body: 64MB }", "`resilience.max_body`"),
        ("network: { allow: [10.0.0.0/99] }", "no address range"),
        ("streams: [{ name: x, since: yesterday }]", "RFC 3339"),
        ("streams: [{ name: x }, { name: x }]", "the stream `x` is there twice"),
        ("streams: []", "`streams` is empty"),
        ("bronze: { path: x, commit: { bytes: 1, interval: 3 } }", "`bronze.commit.interval`"),
    ] {
        let text = format!("connector: a/b\ntenant: t\nname: n\n{line}\n");
        assert_refused(settings(&text, &variables()).await, &["t.yaml:4:", expected]);
    }
}

#[tokio::test]
async fn an_unset_variable_names_its_line_and_what_to_do() {
    let unset = |text: &str| text.to_owned();
    for (text, expected) in [
        (
            unset("connector: a/b\ntenant: ${env:TENANT}\nname: n\n"),
            ["t.yaml:2:9", "`TENANT` is not set", "${env:TENANT:-default}"],
        ),
        (
            unset("connector: a/b\ntenant: t\nname: ${var:name}\n"),
            ["t.yaml:3:7", "`name` is not set", "--var name=VALUE"],
        ),
        (
            unset("connector: a/b\ntenant: t\nname: n\nregistry: ${secret:db}\n"),
            ["t.yaml:4:11", "the variable CONNECTOR_SECRET_DB", "./secrets/db"],
        ),
        (
            unset("connector: a/b\ntenant: t\nname: ${file:none.txt}\n"),
            ["t.yaml:3:7", "cannot read", "none.txt"],
        ),
        (
            unset("connector: a/b\ntenant: t\nname: ${nme}\n"),
            ["t.yaml:3:7", "`${nme}` is no variable", "$${"],
        ),
    ] {
        assert_refused(settings(&text, &environment(&[])).await, &expected);
    }
    let config = with("  base_url: x\n  auth: { session: { access_token: \"${secret:desk-token}\" } }\n");
    assert_refused(connect(&config, &environment(&[])).await, &["t.yaml:6:36", "desk-token"]);
    settings(&config, &environment(&[])).await.unwrap();
}

#[tokio::test]
async fn a_value_cannot_bring_yaml_of_its_own() {
    let text = "connector: a/b\ntenant: t\nname: ${env:NAME}\n";
    let settings = settings(text, &environment(&[("NAME", "x, extra: {y: 1}")])).await.unwrap();
    assert_eq!(settings.connection.as_str(), "x, extra: {y: 1}");
    let number =
        with("  base_url: x\n  auth: { session: { access_token: hunter2 } }\n  page_size: \"${env:SIZE}\"\n");
    let refused = connect(&number, &environment(&[("SIZE", "5")])).await;
    assert_refused(refused, &["t.yaml:7:14", "must be a whole number, and is a text"]);
}

#[tokio::test]
async fn defaults_and_escapes_are_as_a_shell_has_them() {
    let text = "connector: a/b\ntenant: ${env:EMPTY:-t}\nname: \"$${env:X}-${env:SET:-no}${env:UNSET:-}\"\n";
    let settings = settings(text, &environment(&[("EMPTY", ""), ("SET", "yes")])).await.unwrap();
    assert_eq!((settings.tenant.as_str(), settings.connection.as_str()), ("t", "${env:X}-yes"));
}

#[tokio::test]
async fn secrets_come_from_the_stores_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("keys")).unwrap();
    let write = |mode: u32| {
        let path = folder.path().join("keys/desk-token");
        fs::write(&path, "from-file\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write(0o600);
    let template = |secrets: &str| {
        let text =
            format!("connector: a/b\ntenant: \"${{secret:desk-token}}\"\nname: n\nsecrets: {secrets}\n");
        Template::parse(folder.path().join("t.yaml"), &text).unwrap()
    };
    let env = environment(&[("CONNECTOR_SECRET_DESK_TOKEN", "from-env"), ("MY_DESK_TOKEN", "from-mine")]);
    for (secrets, expected) in [
        ("[{ file: { path: keys } }, { env: {} }]", "from-file"),
        ("[{ env: {} }, { file: { path: keys } }]", "from-env"),
        ("[{ env: { prefix: MY_ } }]", "from-mine"),
        ("[{ env: { prefix: NONE_ } }, { file: { path: keys } }]", "from-file"),
    ] {
        let settings = template(secrets).settings::<Value>(&env).await.unwrap();
        assert_eq!(settings.tenant.as_str(), expected, "{secrets}");
    }
    write(0o644);
    let refused = template("[{ file: { path: keys } }]").settings::<Value>(&env).await;
    assert_refused(refused, &["t.yaml:2:9", "chmod 600", "keys/desk-token"]);
}

#[tokio::test]
async fn what_opens_a_store_comes_from_the_environment_or_a_file_and_never_from_a_store() {
    let env = environment(&[("VAULT_TOKEN", "hunter2"), ("CONNECTOR_SECRET_X", "x"), ("ADDRESS", "hunter2")]);
    let text =
        |secrets: &str| format!("connector: a/b\ntenant: \"${{secret:x}}\"\nname: n\nsecrets: {secrets}\n");
    let vault = |address: &str, token: &str| {
        text(&format!(
            "[{{ env: {{}} }}, {{ vault: {{ address: \"{address}\", auth: {{ token: \"{token}\" }} }} }}]"
        ))
    };
    let good = vault("https://vault.example", "${env:VAULT_TOKEN}");
    assert_eq!(settings(&good, &env).await.unwrap().tenant.as_str(), "x");
    for (text, expected) in [
        (vault("https://vault.example", "${secret:x}"), "says where secrets are"),
        (vault("https://vault.example", "${env:NONE}"), "`NONE` is not set"),
        (vault("${env:ADDRESS}", "t"), "`address` of Vault is no URL"),
        (vault("https://vault.example", "t").replace("auth:", "mount: ../sys, auth:"), "mount of Vault"),
    ] {
        assert_refused(settings(&text, &env).await, &["t.yaml:4:", expected]);
    }
    #[cfg(not(feature = "keyring"))]
    assert_refused(
        settings(&text("[{ keyring: { service: acme } }]"), &env).await,
        &["t.yaml:4:10", "built without"],
    );
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
    assert!(made.success());
    for path in ["pipe", "/dev/zero"] {
        let text = format!("connector: a/b\ntenant: \"${{file:{path}}}\"\nname: n\n");
        let template = Template::parse(folder.path().join("t.yaml"), &text).unwrap();
        assert_refused(template.settings::<Value>(&variables()).await, &["t.yaml:2:9", "not a regular file"]);
    }
}

#[tokio::test]
async fn the_secrets_of_a_template_are_named_with_their_store() {
    let folder = tempfile::tempdir().unwrap();
    let text = "connector: a/b\ntenant: \"${secret:one}\"\nname: n\nconfig: { a: [\"x-${secret:two}${secret:one}\", \"$${secret:no}\"] }\n";
    let template = Template::parse(folder.path().join("t.yaml"), text).unwrap();
    let env = environment(&[("CONNECTOR_SECRET_ONE", "hunter2")]);
    let secrets = template.secrets(&env).await.unwrap();
    assert_eq!(secrets.names().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(secrets.place("one").await.unwrap().unwrap(), "the variable CONNECTOR_SECRET_ONE");
    assert!(secrets.place("two").await.unwrap().is_none());
    let tried = env.with_secret("one", Secret::from("tried"));
    assert_eq!(template.settings::<Value>(&tried).await.unwrap().tenant.as_str(), "tried");
    assert!(!format!("{tried:?}{secrets:?}").contains("tried"));
}

#[tokio::test]
async fn mistakes_in_the_configuration_show_the_place_and_never_the_value() {
    let misplaced = with("  base_url: x\n  auth:\n    session: hunter2\n");
    assert_refused(
        connect(&misplaced, &variables()).await,
        &["t.yaml:7:14", "`config.auth.session` must be a map"],
    );
    let misnamed = with("  base_url: x\n  auth:\n    session:\n      acces_token: hunter2\n");
    assert_refused(
        connect(&misnamed, &variables()).await,
        &["t.yaml:8:7", "did you mean `access_token`?", "is missing"],
    );
    let neither = with("  base_url: x\n  auth:\n    sesion: { access_token: hunter2 }\n");
    assert_refused(connect(&neither, &variables()).await, &["t.yaml:7:5", "did you mean `session`?"]);
    let by_connector = with("  base_url: ftp://x\n  auth: { session: { access_token: hunter2 } }\n");
    assert_refused(connect(&by_connector, &variables()).await, &["t.yaml:5:13", "the desk speaks http only"]);
    let missing = "connector: desk/rest\ntenant: t\nname: n\n";
    assert_refused(connect(missing, &variables()).await, &["t.yaml:1:1", "`base_url` is missing"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    assert_refused(Template::load("/nowhere/t.yaml"), &["/nowhere/t.yaml"]);
}
