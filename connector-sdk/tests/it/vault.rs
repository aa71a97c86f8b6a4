//! Secrets in Vault: a server that answers as its API documentation says.

use std::{sync::Arc, time::Duration};

use connector_sdk::{
    Class, Context, Network, Secret, SecretStore,
    resilience::Resilience,
    secret::{KubernetesJwt, VaultAuth, VaultConfig, VaultSecrets},
};

use crate::support::{
    Log,
    clock::ManualClock,
    server::{Reply, Server, json},
};

const LOGIN: &str = r#"{"request_id":"c","lease_id":"","auth":{"client_token":"canary-7f3a9c-t1","accessor":"a","policies":["default"],
    "token_policies":["default"],"metadata":null,"lease_duration":1200,"renewable":true}}"#;

/// The store, its server, and its clock.
struct Desk {
    store: VaultSecrets,
    server: Server,
    clock: Arc<ManualClock>,
}

impl Desk {
    async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let auth = VaultAuth::AppRole {
            mount: "approle".into(),
            role_id: "role".into(),
            secret_id: "canary-7f3a9c-id".into(),
        };
        Self::with(auth, replies).await
    }

    async fn with(auth: VaultAuth, replies: impl IntoIterator<Item = Reply>) -> Self {
        let server = Server::start(replies).await;
        let clock = ManualClock::new(Log::default());
        let mut resilience = Resilience::default();
        resilience.max_attempts = 1;
        let cx = Context::builder("acme", "vault").network(Network::loopback()).resilience(resilience);
        let mut config = VaultConfig::new(server.url.clone());
        config.prefix = "connectors/acme/".into();
        config.namespace = Some("team/a".into());
        let store = VaultSecrets::new(&cx.clock(clock.clone()).build(), config, auth).unwrap();
        Self { store, server, clock }
    }

    /// What was asked, without headers.
    fn asked(&self) -> Vec<String> {
        let line =
            |request: &String| request.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        self.server.requests().iter().map(line).collect()
    }

    fn body(&self, index: usize) -> serde_json::Value {
        let requests = self.server.requests();
        serde_json::from_str(requests[index].split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn found(data: &str, version: u64) -> Reply {
    json(
        "200 OK",
        &format!(
            r#"{{"data":{{"data":{data},"metadata":{{"created_time":"2018-03-22T02:24:06.945319214Z","custom_metadata":null,
               "deletion_time":"","destroyed":false,"version":{version}}}}}}}"#
        ),
    )
}

fn written(version: u64) -> Reply {
    json(
        "200 OK",
        &format!(
            r#"{{"data":{{"created_time":"t","deletion_time":"","destroyed":false,"version":{version}}}}}"#
        ),
    )
}

fn error(status: &str, text: &str) -> Reply {
    json(status, &format!(r#"{{"errors":["{text}"]}}"#))
}

#[tokio::test]
async fn a_secret_is_read_after_a_login_with_token_and_namespace() {
    let desk = Desk::new([
        json("200 OK", LOGIN),
        found(r#"{"value":"canary-7f3a9c-1","id":"canary-7f3a9c-2","number":5}"#, 3),
        found(r#"{"value":"canary-7f3a9c-1","id":"canary-7f3a9c-2","number":5}"#, 3),
        found(r#"{"value":"canary-7f3a9c-1","id":"canary-7f3a9c-2","number":5}"#, 3),
        found(r#"{"value":"canary-7f3a9c-1","id":"canary-7f3a9c-2","number":5}"#, 3),
    ]);
    let desk = desk.await;
    assert_eq!(desk.store.get("sf").await.unwrap().unwrap().expose(), "canary-7f3a9c-1");
    assert_eq!(desk.store.get("sf#id").await.unwrap().unwrap().expose(), "canary-7f3a9c-2");
    assert!(desk.store.get("sf#none").await.unwrap().is_none());
    let error = desk.store.get("sf#number").await.unwrap_err();
    assert!(error.class() == Class::Config && error.to_string().contains("is no text"), "{error}");
    assert!(desk.store.get("../sf").await.is_err());
    let path = "GET /v1/secret/data/connectors/acme/sf";
    assert_eq!(desk.asked(), ["POST /v1/auth/approle/login", path, path, path, path]);
    assert_eq!(desk.body(0), serde_json::json!({"role_id": "role", "secret_id": "canary-7f3a9c-id"}));
    for (index, request) in desk.server.requests().iter().enumerate() {
        let request = request.to_lowercase();
        assert!(request.contains("x-vault-namespace: team/a"), "{request}");
        assert_eq!(request.contains("x-vault-token: canary-7f3a9c-t1"), index > 0, "{request}");
    }
    assert!(!format!("{:?}", desk.store).contains("canary-7f3a9c"));
}

#[tokio::test]
async fn what_is_missing_or_deleted_is_not_there_and_what_is_mounted_wrong_is_a_mistake() {
    let deleted = r#"{"data":{"data":null,"metadata":{"created_time":"t","deletion_time":"2018-11-21T19:49:49Z","destroyed":false,"version":5}}}"#;
    for reply in [json("404 Not Found", r#"{"errors":[]}"#), json("404 Not Found", deleted)] {
        let desk = Desk::new([json("200 OK", LOGIN), reply]).await;
        assert!(desk.store.get("sf").await.unwrap().is_none());
    }
    let route = r#"no handler for route \"secret/data/connectors/acme/sf\". route entry not found."#;
    let first_version = r#"{"data":{"value":"canary-7f3a9c"},"lease_duration":2764800}"#;
    for reply in [
        error("404 Not Found", route),
        json("200 OK", first_version),
        json("404 Not Found", "<html>canary-7f3a9c</html>"),
    ] {
        let desk = Desk::new([json("200 OK", LOGIN), reply]).await;
        let error = desk.store.get("sf").await.unwrap_err();
        assert_eq!(error.class(), Class::Config, "{error:?}");
        assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
    }
}

#[tokio::test]
async fn each_status_has_its_class_and_no_answer_is_repeated() {
    for (status, class) in [
        ("400 Bad Request", Class::Permanent),
        ("412 Precondition Failed", Class::Transient),
        ("429 Too Many Requests", Class::RateLimited),
        ("472 Standby", Class::Transient),
        ("473 Performance Standby", Class::Transient),
        ("500 Internal Server Error", Class::Transient),
        ("503 Service Unavailable", Class::Transient),
        ("307 Temporary Redirect", Class::Permanent),
    ] {
        let desk = Desk::new([json("200 OK", LOGIN), error(status, "canary-7f3a9c")]).await;
        let error = desk.store.get("sf").await.unwrap_err();
        assert_eq!(error.class(), class, "{status}: {error:?}");
        assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
    }
    for status in ["400 Bad Request", "403 Forbidden"] {
        let desk = Desk::new([error(status, "invalid role or secret ID canary-7f3a9c")]).await;
        let error = desk.store.get("sf").await.unwrap_err();
        assert_eq!(error.class(), Class::Auth, "{error:?}");
        assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_followed_by_another_login_once() {
    let again = LOGIN.replace("canary-7f3a9c-t1", "canary-7f3a9c-t2");
    let forbidden = || error("403 Forbidden", "permission denied");
    let desk =
        Desk::new([json("200 OK", LOGIN), forbidden(), json("200 OK", &again), found(r#"{"value":"v"}"#, 1)])
            .await;
    assert_eq!(desk.store.get("sf").await.unwrap().unwrap().expose(), "v");
    assert!(desk.server.requests()[3].to_lowercase().contains("x-vault-token: canary-7f3a9c-t2"));
    let desk = Desk::new([json("200 OK", LOGIN), forbidden(), json("200 OK", &again), forbidden()]).await;
    assert_eq!(desk.store.get("sf").await.unwrap_err().class(), Class::Auth);
    assert_eq!(desk.asked().len(), 4);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_lease_ends_and_replaced_when_it_cannot_be() {
    let renewed = LOGIN.replace("1200", "1000");
    let short = LOGIN.replace("1200", "100");
    let value = || found(r#"{"value":"v"}"#, 1);
    let desk = Desk::new([
        json("200 OK", LOGIN),
        value(),
        value(),
        json("200 OK", &renewed),
        value(),
        json("200 OK", &short),
        value(),
        json("200 OK", LOGIN),
        value(),
        error("403 Forbidden", "permission denied"),
        json("200 OK", LOGIN),
        value(),
    ])
    .await;
    for seconds in [0, 1_100, 50, 950, 95, 1_150] {
        desk.clock.advance(Duration::from_secs(seconds));
        desk.store.get("sf").await.unwrap().unwrap();
    }
    let asked = desk.asked();
    let tokens: Vec<&str> = asked.iter().filter_map(|line| line.strip_prefix("POST /v1/auth/")).collect();
    let (login, renew) = ("approle/login", "token/renew-self");
    assert_eq!(tokens, [login, renew, renew, login, renew, login]);
}

#[tokio::test]
async fn a_given_token_is_looked_up_renewed_and_used_even_where_it_may_not_look_itself_up() {
    let given = || VaultAuth::Token("canary-7f3a9c-given".into());
    let looked_up =
        r#"{"data":{"ttl":3600,"renewable":true,"id":"canary-7f3a9c-given","policies":["default"]}}"#;
    let value = || found(r#"{"value":"v"}"#, 1);
    let desk =
        Desk::with(given(), [json("200 OK", looked_up), value(), json("200 OK", LOGIN), value()]).await;
    desk.store.get("sf").await.unwrap().unwrap();
    desk.clock.advance(Duration::from_secs(3_590));
    desk.store.get("sf").await.unwrap().unwrap();
    assert_eq!(desk.asked()[0], "GET /v1/auth/token/lookup-self");
    assert_eq!(desk.asked()[2], "POST /v1/auth/token/renew-self");
    let desk = Desk::with(
        given(),
        [error("403 Forbidden", "permission denied"), value(), error("403 Forbidden", "no")],
    )
    .await;
    desk.store.get("sf").await.unwrap().unwrap();
    let error = desk.store.get("sf").await.unwrap_err();
    assert!(error.class() == Class::Auth && error.to_string().contains("obtain another"), "{error:?}");
    assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
}

#[tokio::test]
async fn the_next_one_is_a_field_beside_it_and_writes_check_that_nobody_was_faster() {
    let lost = || error("400 Bad Request", "check-and-set parameter did not match the current version");
    let desk = Desk::new([
        json("200 OK", LOGIN),
        found(r#"{"value":"old","other":{"a":1}}"#, 3),
        lost(),
        found(r#"{"value":"old","other":{"a":2}}"#, 4),
        written(5),
        found(r#"{"value":"old","value_next":"new","other":{"a":2}}"#, 5),
        found(r#"{"value":"old","value_next":"new","other":{"a":2}}"#, 5),
        written(6),
        found(r#"{"value":"new","other":{"a":2}}"#, 6),
        found(r#"{"value":"new","value_next":"newer"}"#, 7),
        json("404 Not Found", r#"{"errors":[]}"#),
    ])
    .await;
    let new = Secret::from("new");
    desk.store.stage("sf", &new).await.unwrap();
    let options = |cas: u64| serde_json::json!({"cas": cas});
    assert_eq!(desk.body(2)["options"], options(3));
    assert_eq!(
        desk.body(4),
        serde_json::json!({"options": options(4), "data": {"value": "old", "value_next": "new", "other": {"a": 2}}})
    );
    assert_eq!(desk.store.next("sf").await.unwrap().unwrap().expose(), "new");
    desk.store.promote("sf", &new).await.unwrap();
    assert_eq!(
        desk.body(7),
        serde_json::json!({"options": options(5), "data": {"value": "new", "other": {"a": 2}}})
    );
    desk.store.promote("sf", &new).await.unwrap();
    assert_eq!(desk.store.promote("sf", &new).await.unwrap_err().class(), Class::Permanent);
    assert_eq!(desk.store.stage("sf", &new).await.unwrap_err().class(), Class::Config);
    assert_eq!(desk.asked().iter().filter(|line| line.starts_with("POST /v1/secret/data/")).count(), 3);
}

#[tokio::test]
async fn a_write_that_always_comes_too_late_ends() {
    let lost = || error("400 Bad Request", "check-and-set parameter did not match the current version");
    let replies = (0..5).flat_map(|version| [found(r#"{"value":"old"}"#, version), lost()]);
    let desk = Desk::new([json("200 OK", LOGIN)].into_iter().chain(replies)).await;
    assert_eq!(desk.store.stage("sf", &"new".into()).await.unwrap_err().class(), Class::Permanent);
    assert_eq!(desk.asked().len(), 1 + 2 * 3);
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_refused_and_a_pod_signs_in_with_its_token() {
    let cx = Context::builder("acme", "vault").network(Network::loopback()).build();
    let with = |mount: &str, prefix: &str| {
        let mut config = VaultConfig::new("http://127.0.0.1:8200".parse().unwrap());
        (config.mount, config.prefix) = (mount.to_owned(), prefix.to_owned());
        VaultSecrets::new(&cx, config, VaultAuth::Token("t".into()))
    };
    for (mount, prefix) in
        [("", ""), ("..", ""), ("secret", "a/../b"), ("secret", "a b"), ("se?cret", ""), ("secret", "a//b")]
    {
        assert_eq!(with(mount, prefix).unwrap_err().class(), Class::Config, "{mount} {prefix}");
    }
    assert!(with("/kv/team/", "a/b").is_ok());
}

#[tokio::test]
async fn a_pod_signs_in_with_the_token_that_its_file_holds_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let jwt = KubernetesJwt::File(file.clone());
    let auth = VaultAuth::Kubernetes { mount: "kubernetes".into(), role: "reader".into(), jwt };
    let refused = || error("403 Forbidden", "permission denied");
    let replies = [json("200 OK", LOGIN), refused(), json("200 OK", LOGIN), found(r#"{"value":"v"}"#, 1)];
    let desk = Desk::with(auth, replies).await;
    let missing = desk.store.get("sf").await.unwrap_err();
    assert!(missing.class() == Class::Config && missing.to_string().contains("no token"), "{missing}");
    std::fs::write(&file, "canary-7f3a9c-one\n").unwrap();
    let mut reading = Box::pin(desk.store.get("sf"));
    // An hour later Kubernetes has put another one there.
    while desk.server.requests().is_empty() {
        assert!(futures_util::poll!(&mut reading).is_pending());
        tokio::task::yield_now().await;
    }
    std::fs::write(&file, "canary-7f3a9c-two\n").unwrap();
    reading.await.unwrap().unwrap();
    assert_eq!(desk.asked()[0], "POST /v1/auth/kubernetes/login");
    assert_eq!(desk.body(0), serde_json::json!({"role": "reader", "jwt": "canary-7f3a9c-one"}));
    assert_eq!(desk.body(2), serde_json::json!({"role": "reader", "jwt": "canary-7f3a9c-two"}));
}

#[tokio::test]
async fn a_path_in_the_address_is_kept_and_what_is_no_address_refused() {
    let server = Server::start([
        json("200 OK", r#"{"data":{"ttl":0,"renewable":false}}"#),
        found(r#"{"value":"v"}"#, 1),
    ])
    .await;
    let cx = Context::builder("acme", "vault").network(Network::loopback()).build();
    let at = |address: &str| {
        let config = VaultConfig::new(server.url.join(address).unwrap());
        VaultSecrets::new(&cx, config, VaultAuth::Token("t".into()))
    };
    at("/in/vault/").unwrap().get("sf").await.unwrap().unwrap();
    let asked = server.requests();
    assert!(asked[0].starts_with("GET /in/vault/v1/auth/token/lookup-self "), "{asked:?}");
    assert!(asked[1].starts_with("GET /in/vault/v1/secret/data/sf "), "{asked:?}");
    for address in ["/?a=b", "/#a", "//me@vault.example/", "//me:p@vault.example/", "/a%20b", "/a//b"] {
        let error = at(address).unwrap_err();
        assert!(error.class() == Class::Config && error.to_string().contains("address"), "{address} {error}");
    }
}

#[tokio::test]
async fn a_lease_of_any_length_and_an_answer_of_any_size_break_nothing() {
    let endless = LOGIN.replace("1200", "18446744073709551615");
    let desk = Desk::new([
        json("200 OK", &LOGIN.replace("1200", "100")),
        found(r#"{"value":"v"}"#, 1),
        json("200 OK", &endless),
        found(r#"{"value":"v"}"#, 1),
        found(&format!(r#"{{"value":"{}"}}"#, "x".repeat(1 << 20)), 1),
    ])
    .await;
    desk.store.get("sf").await.unwrap().unwrap();
    desk.clock.advance(Duration::from_secs(95));
    desk.store.get("sf").await.unwrap().unwrap();
    assert!(desk.asked().iter().any(|line| line.ends_with("/renew-self")), "{:?}", desk.asked());
    let error = desk.store.get("sf").await.unwrap_err();
    assert!(error.to_string().contains("max_body"), "{error}");
}

#[tokio::test]
async fn an_empty_field_is_an_absent_one() {
    let replies = [json("200 OK", LOGIN)]
        .into_iter()
        .chain((0..4).map(|_| found(r#"{"value":"","value_next":"n","id":"i","id_next":""}"#, 1)));
    let desk = Desk::new(replies).await;
    assert!(desk.store.get("sf").await.unwrap().is_none());
    assert!(
        desk.store.next("sf").await.unwrap().is_none() && desk.store.next("sf#id").await.unwrap().is_none()
    );
    assert_eq!(desk.store.stage("sf", &"new".into()).await.unwrap_err().class(), Class::Config);
    assert_eq!(desk.store.stage("sf#id", &"".into()).await.unwrap_err().class(), Class::Config);
}
