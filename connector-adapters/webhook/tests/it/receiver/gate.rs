//! The receiver inside a server that the host has: an axum application.

use std::{net::SocketAddr, sync::Arc};

use connector_host::report::RunStatus;
use connector_sdk::{Class, SystemClock, TenantId};
use connector_webhook::Gate;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{World, bounded, github, until};

/// The host's server, which has other pages too.
async fn serve(gate: Gate) -> (SocketAddr, JoinHandle<()>) {
    let app = axum::Router::new()
        .route("/health", axum::routing::get(|| async { "well" }))
        .nest_service("/hooks", gate);
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(socket, app).await.unwrap() }))
}

fn config() -> Value {
    let mut config = github(json!({}));
    config.as_object_mut().unwrap().remove("listen");
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_come_and_go_behind_one_server_and_never_meet() {
    let clock = SystemClock::shared();
    let gate = Gate::new(Arc::clone(&clock));
    let (address, server) = serve(gate.clone()).await;
    let acme = World::of("acme", "hooks", Arc::clone(&clock));
    let zeta = World::of("zeta", "hooks", Arc::clone(&clock));
    let url = |world: &World| format!("http://{address}/hooks/{}/{}/in", world.tenant, world.name);
    assert_eq!(acme.push(&url(&acme), "1", b"{}").await, 404, "nobody has heard of it");
    let running = acme.run_at(&gate, &config());
    let other = zeta.run_at(&gate, &config());
    let is_there = async |world: &World, id: &str| {
        // It is served from when its run listens.
        for _ in 0..1_000 {
            if world.push(&url(world), id, b"{}").await == 200 {
                return;
            }
            clock.sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("it is not served");
    };
    is_there(&acme, "1").await;
    is_there(&zeta, "2").await;
    assert_eq!(acme.push(&format!("http://{address}/hooks/acme/hooks/other"), "1", b"{}").await, 404);
    assert_eq!(
        acme.http.get(format!("http://{address}/health")).send().await.unwrap().status().as_u16(),
        200
    );
    let report = running.stop().await;
    assert_eq!(report.status, RunStatus::Stopped, "{:?}", report.error);
    let resting = acme.send(&url(&acme), &[], b"{}").await;
    assert_eq!(resting.status().as_u16(), 503, "between two runs it is not gone");
    assert!(resting.headers().contains_key("retry-after"));
    is_there(&zeta, "3").await;
    let again = acme.run_at(&gate, &config());
    is_there(&acme, "4").await;
    again.stop().await;
    other.stop().await;
    gate.forget(&TenantId::from("acme"), &"hooks".into());
    assert_eq!(acme.push(&url(&acme), "5", b"{}").await, 404);
    assert_eq!(zeta.push(&url(&zeta), "5", b"{}").await, 503, "the other tenant's is there still");
    assert_eq!(acme.ids(), ["1", "4"]);
    assert_eq!(zeta.ids(), ["2", "3"]);
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_of_a_tenant_share_its_rate() {
    let clock = SystemClock::shared();
    let gate = Gate::new(Arc::clone(&clock));
    gate.limit(&TenantId::from("acme"), 1, 2);
    let (address, server) = serve(gate.clone()).await;
    let worlds = [World::of("acme", "one", Arc::clone(&clock)), World::of("acme", "two", Arc::clone(&clock))];
    let running = worlds.each_ref().map(|world| world.run_at(&gate, &config()));
    let mut statuses = Vec::new();
    for (number, world) in worlds.iter().cycle().take(6).enumerate() {
        let url = format!("http://{address}/hooks/{}/{}/in", world.tenant, world.name);
        let mut status = 404;
        while status == 404 {
            status = world.push(&url, &number.to_string(), b"{}").await;
        }
        statuses.push(status);
    }
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses.iter().filter(|status| **status == 429).count() >= 3, "{statuses:?}");
    for running in running {
        running.stop().await;
    }
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_have_their_limits_here_too() {
    let clock = SystemClock::shared();
    let gate = Gate::new(Arc::clone(&clock));
    let (address, server) = serve(gate.clone()).await;
    let world = World::of("acme", "hooks", clock);
    let mut limited = config();
    limited["max_body"] = json!(1000);
    let running = world.run_at(&gate, &limited);
    let url = format!("http://{address}/hooks/acme/hooks/in");
    bounded(async { while world.push(&url, "1", b"{}").await == 404 {} }).await;
    assert_eq!(world.push(&url, "2", &[b'x'; 1000]).await, 200);
    assert_eq!(world.push(&url, "3", &[b'x'; 1001]).await, 413);
    let odd = world.send(&url, &[("Content-Encoding", "gzip")], b"{}").await;
    assert_eq!(odd.status().as_u16(), 415);
    until("both are in Bronze", || world.bronze().len() == 2).await;
    running.stop().await;
    server.abort();
}

#[tokio::test]
async fn without_an_address_and_without_a_gate_nobody_can_call() {
    let world = World::new();
    let error = world.start(&connector_webhook::receiver(), &config()).err().unwrap();
    assert_eq!(error.class(), Class::Config);
    assert!(error.message().contains("`listen`"), "{error}");
}
