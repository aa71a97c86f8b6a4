//! TLS, with certificates that are made here.

use std::{path::Path, sync::Arc};

use connector_host::report::RunStatus;
use connector_sdk::Class;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{SECRET, World, bounded, github, hub};

/// A certificate for `localhost` and its key, in the folder; answers the certificate.
fn certificate(folder: &Path) -> String {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_come_in_by_tls_and_plain_text_gets_no_answer() {
    let mut world = World::new();
    let pem = certificate(world.folder.path());
    let ca = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    world.http = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    let tls = json!({ "certificate": "cert.pem", "key": "key.pem" });
    let mut running = world.run(&github(json!({ "tls": tls })));
    let address = running.address().await;
    let url = format!("https://localhost:{}/in", address.port());
    for number in 0..5 {
        assert_eq!(world.push(&url, &number.to_string(), b"{}").await, 200);
    }
    let mut plain = tokio::net::TcpStream::connect(address).await.unwrap();
    plain.write_all(b"POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = bounded(plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let report = running.stop().await;
    assert_eq!(report.status, RunStatus::Stopped, "{:?}", report.error);
    assert_eq!(world.ids().len(), 5);
}

/// A request that comes in the same flight as the end of the handshake has already been read when it is looked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_with_the_handshake_is_answered() {
    let world = World::new();
    let pem = certificate(world.folder.path());
    let mut roots = rustls::RootCertStore::empty();
    let der = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
    roots.add(der).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = json!({ "certificate": "cert.pem", "key": "key.pem" });
    let mut running = world.run(&github(json!({ "tls": tls })));
    let address = running.address().await;
    for number in 0..20 {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut stream = bounded(connector.connect(name, stream)).await.unwrap();
        let head = format!(
            "POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\nx-github-delivery: {number}\r\n\
             x-hub-signature-256: {}\r\n\r\n{{}}",
            hub(SECRET, b"{}")
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        let _ = bounded(stream.read_to_end(&mut answer)).await;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{number}: {}", String::from_utf8_lossy(&answer));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_do_not_fit_are_named_and_nothing_of_a_key_is_said() {
    let world = World::new();
    let folder = world.folder.path();
    certificate(folder);
    std::fs::write(folder.join("empty.pem"), "").unwrap();
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(folder.join("other.pem"), &other).unwrap();
    std::fs::write(folder.join("torn.pem"), &other[..other.len() / 2]).unwrap();
    for (certificate, key, field) in [
        ("missing.pem", "key.pem", "tls.certificate"),
        ("empty.pem", "key.pem", "tls.certificate"),
        ("cert.pem", "missing.pem", "tls.key"),
        ("cert.pem", "empty.pem", "tls.key"),
        ("cert.pem", "torn.pem", "tls.key"),
        ("cert.pem", "other.pem", "tls.key"),
    ] {
        let tls = json!({ "certificate": certificate, "key": key });
        let report = world.run(&github(json!({ "tls": tls }))).end().await;
        let error = report.error.unwrap();
        assert_eq!(error.class(), Class::Config, "{error}");
        assert!(error.message().contains(field), "{certificate} {key}: {error}");
        let secret = other.lines().nth(1).unwrap();
        assert!(!format!("{error:?}").contains(secret));
    }
}
