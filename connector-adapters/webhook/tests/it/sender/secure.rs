//! Over TLS: who the endpoint is, is proved; where it is not, nothing is sent, and the message waits for who puts it right.

use std::sync::Arc;

use connector_sdk::{Authenticate as _, Class, SystemClock, contract::ActionStatus};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::support::{World, until};

/// An authority, in PEM, and a server on loopback with a certificate of it for this name. It answers 204.
async fn secure(name: &str) -> (String, u16) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut socket) = acceptor.accept(socket).await else { return };
                let _ = socket.read(&mut [0; 8192]).await;
                let _ = socket.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
                let _ = socket.shutdown().await;
            });
        }
    });
    (authority.pem(), port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_trusted_is_class_config_and_the_message_waits_until_it_is() {
    let (authority, port) = secure("127.0.0.1").await;
    let world = World::new(SystemClock::shared(), &format!("https://127.0.0.1:{port}/hooks?token=canary-9f"));
    let mut world =
        world.with("schedule", json!(["0s", "200ms", "200ms", "200ms", "200ms", "200ms", "200ms"]));
    world.network.allow_http = false;
    world.send("m").await;
    let process = world.sender();
    let error = process.sender.authenticate(&process.cx).await.unwrap_err();
    assert_eq!(error.class(), Class::Config, "{error}");
    let running = process.run().await;
    let tries = world.outbox().join("tries");
    until("it has failed", || std::fs::read_dir(&tries).unwrap().next().is_some()).await;
    assert_eq!(running.process.send("m").await.output["state"], "waiting");
    running.stop().await.unwrap();
    let file = world.folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();
    world.network.ca_file = Some(file);
    let process = world.sender();
    process.sender.authenticate(&process.cx).await.unwrap();
    let running = process.run().await;
    running.drained().await;
    assert_eq!(running.process.send("m").await.status, ActionStatus::Succeeded);
    running.stop().await.unwrap();
    let told = world.deliveries().await;
    assert_eq!(told[0]["tries"][0]["class"], "Config", "{}", told[0]);
    assert!(!told[0].to_string().contains("canary"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_another_host_is_none() {
    let (authority, port) = secure("elsewhere.example").await;
    let mut world = World::new(SystemClock::shared(), &format!("https://127.0.0.1:{port}/"));
    let file = world.folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();
    world.network.ca_file = Some(file);
    let world = world.with("schedule", json!(["0s"]));
    world.send("m").await;
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    let told = world.deliveries().await;
    assert_eq!((&told[0]["status"], &told[0]["tries"][0]["class"]), (&json!("dead"), &json!("Config")));
}
