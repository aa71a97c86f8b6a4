use std::{path::PathBuf, sync::Arc};

use connector_sdk::{
    Class, Context, Delivery, Network,
    http::{HttpClient, Request, Url},
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

use crate::support::server::{Reply, Server, ok};

fn key_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/keys").join(name)
}

/// Shows a certificate for `localhost`, from an authority that no system trusts.
async fn server(replies: impl IntoIterator<Item = Reply>) -> Server {
    let certificate = CertificateDer::from_pem_file(key_file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(key_file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start_with(
        replies,
        move |socket| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(socket).await.ok() }
        },
        "https",
    )
    .await
}

fn named(url: &Url, host: &str) -> Url {
    let mut url = url.clone();
    url.set_host(Some(host)).unwrap();
    url
}

/// TLS only.
fn local() -> Network {
    let mut network = Network::loopback();
    network.allow_http = false;
    network
}

fn trusting() -> Network {
    let mut network = local();
    network.ca_file = Some(key_file("ca.pem"));
    network
}

async fn send(network: Network, url: Url) -> connector_sdk::Result<String> {
    let cx = Context::builder("acme", "desk").network(network).build();
    let client = HttpClient::builder(&cx).base_url(url).build()?;
    let response = client.send(&cx, Request::get("query", "/?secret=canary-7f3a9c")).await?;
    assert_eq!(client.counters().retries.get(), 0);
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}

#[tokio::test]
async fn an_authority_that_is_named_is_trusted() {
    let server = server([ok("over TLS")]).await;
    assert_eq!(send(trusting(), named(&server.url, "localhost")).await.unwrap(), "over TLS");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_a_mistake_of_the_configuration() {
    let server = server([ok("never")]).await;
    let cases = [(local(), "localhost", "an unknown authority"), (trusting(), "127.0.0.1", "another name")];
    for (network, host, case) in cases {
        let error = send(network, named(&server.url, host)).await.unwrap_err();
        assert_eq!(
            (error.class(), error.delivery()),
            (Class::Config, Delivery::NotSent),
            "{case}: {error:?}"
        );
        assert!(error.to_string().contains("certificate is not trusted"), "{case}: {error}");
        assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{case}: {error:?}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_is_a_mistake_of_the_configuration() {
    // It answers a handshake as it would answer anything: in plain text.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ =
                tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = send(trusting(), url).await.unwrap_err();
    task.abort();
    assert_eq!((error.class(), error.delivery()), (Class::Config, Delivery::NotSent), "{error:?}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn a_file_of_authorities_that_is_none_is_named() {
    for path in [key_file("no-such.pem"), key_file("client.pub.pem"), key_file("")] {
        let mut network = Network::default();
        network.ca_file = Some(path.clone());
        let cx = Context::builder("acme", "desk").network(network).build();
        let error = HttpClient::builder(&cx).build().unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}
