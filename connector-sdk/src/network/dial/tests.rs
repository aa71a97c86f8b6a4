use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{Class, Secret, SystemClock, Timestamp};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Answers what it is told to.
#[derive(Debug)]
struct Names(Vec<IpAddr>);

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.0.clone())
    }
}

/// A clock on which every wait is over when it begins.
#[derive(Debug)]
struct Hasty;

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        futures_util::future::ready(()).boxed()
    }
}

fn dial(network: &Network, addresses: &[IpAddr]) -> Dial {
    let names = Arc::new(Names(addresses.to_vec()));
    Dial::with_resolver(network, &Resilience::default(), SystemClock::shared(), names).unwrap()
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// What is wrong with a result that has no Debug.
fn refused<T>(result: Result<T>) -> Error {
    result.err().expect("it is refused")
}

#[tokio::test]
async fn only_addresses_that_the_network_lets_through_are_connected() {
    let (_listener, port) = listener().await;
    let public = Network::default();
    for host in
        ["127.0.0.1", "2130706433", "0x7f.1", "::1", "[::1]", "::ffff:127.0.0.1", "localhost", "mail.example"]
    {
        let error = refused(dial(&public, &[LOOPBACK]).tcp(host, port).await);
        assert_eq!(error.class(), Class::Permanent, "{host}: {error}");
        assert!(
            error.context().any(|(name, value)| name == "range" && value.starts_with("loopback")),
            "{error}"
        );
    }
    let metadata = refused(dial(&Network::loopback(), &[]).tcp("metadata.google.internal", port).await);
    assert_eq!(metadata.class(), Class::Permanent);
}

#[tokio::test]
async fn of_several_addresses_the_one_that_is_allowed_is_used() {
    let (listener, port) = listener().await;
    let private: IpAddr = "10.0.0.1".parse().unwrap();
    let stream = dial(&Network::loopback(), &[private, LOOPBACK]).tcp("mail.example", port).await;
    assert!(stream.is_ok());
    assert!(listener.accept().await.is_ok());
}

#[tokio::test]
async fn an_address_that_does_not_answer_does_not_hold_up_the_next_one() {
    let (listener, port) = listener().await;
    let network: Network = serde_json::from_str(r#"{"allow": ["127.0.0.0/8"]}"#).unwrap();
    let other: IpAddr = "127.0.0.2".parse().unwrap();
    assert!(
        dial(&network, &[other, LOOPBACK]).tcp("mail.example", port).await.is_ok(),
        "nobody is at the first"
    );
    drop(listener);
    let error = refused(dial(&network, &[other, LOOPBACK]).tcp("mail.example", port).await);
    assert_eq!((error.class(), error.message()), (Class::Transient, "no connection"));
    assert!(
        error.to_string().contains("host: mail.example") && error.to_string().contains("port: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_nobody_knows_and_what_is_no_name_are_told_apart() {
    let error = refused(dial(&Network::default(), &[]).tcp("nowhere.example", 993).await);
    assert_eq!((error.class(), error.message()), (Class::Transient, "the host's name cannot be resolved"));
    for host in ["", "a b", "imaps://x", "a:993"] {
        assert_eq!(
            refused(dial(&Network::default(), &[]).tcp(host, 993).await).class(),
            Class::Config,
            "{host}"
        );
    }
}

#[test]
fn a_proxy_is_refused_because_nothing_would_go_through_it() {
    let network =
        Network { proxy: Some(Secret::from("http://me:canary@proxy.example:3128")), ..Network::default() };
    let error = Dial::new(&network, &Resilience::default(), SystemClock::shared()).unwrap_err();
    assert_eq!(error.class(), Class::Config);
    assert!(error.message().contains("network.proxy") && !format!("{error:?}").contains("canary"));
}

/// A server with a certificate for this name, and the network that trusts who signed it.
async fn secured(name: &str, not_after: Option<i32>) -> (u16, Network, tempfile::TempDir) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if let Some(year) = not_after {
        server.not_after = rcgen::date_time_ymd(year, 1, 1);
    }
    let certificate = server.signed_by(&key, &authority).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(b"* OK").await;
            }
        }
    });
    (port, Network { ca_file: Some(ca_file), ..Network::loopback() }, folder)
}

async fn greeting(dial: &Dial, host: &str, port: u16) -> Result<Vec<u8>> {
    let stream = dial.tcp(host, port).await?;
    let mut stream = dial.tls(stream, host).await?;
    let mut greeting = vec![0; 4];
    stream.read_exact(&mut greeting).await.unwrap();
    Ok(greeting)
}

#[tokio::test]
async fn a_server_is_trusted_that_an_authority_of_the_network_section_vouches_for() {
    let (port, network, _folder) = secured("mail.example", None).await;
    let trusting = dial(&network, &[LOOPBACK]);
    assert_eq!(greeting(&trusting, "mail.example", port).await.unwrap(), b"* OK");
    assert_eq!(greeting(&trusting, "MAIL.example.", port).await.unwrap(), b"* OK");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_is_for_a_person_to_mend() {
    let (port, network, _folder) = secured("mail.example", None).await;
    let other_host = refused(greeting(&dial(&network, &[LOOPBACK]), "other.example", port).await);
    let unknown = refused(greeting(&dial(&Network::loopback(), &[LOOPBACK]), "mail.example", port).await);
    for error in [&other_host, &unknown] {
        assert_eq!(error.class(), Class::Config, "{error:?}");
        assert!(error.message().contains("certificate is not trusted"), "{error}");
    }
    let (port, network, _folder) = secured("mail.example", Some(2001)).await;
    let expired = refused(greeting(&dial(&network, &[LOOPBACK]), "mail.example", port).await);
    assert!(expired.class() == Class::Config && expired.message().contains("expired"), "{expired:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_says_nothing() {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"* OK IMAP4rev1 ready\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let error = refused(greeting(&dial(&Network::loopback(), &[]), "127.0.0.1", port).await);
    assert_eq!(
        (error.class(), error.message()),
        (Class::Config, "the server does not speak TLS on this port")
    );
    let hasty = Dial { clock: Arc::new(Hasty), ..dial(&Network::loopback(), &[]) };
    let (silent, port) = self::listener().await;
    let stream = dial(&Network::loopback(), &[]).tcp("127.0.0.1", port).await.unwrap();
    let error = refused(hasty.tls(stream, "127.0.0.1").await);
    assert_eq!((error.class(), error.message()), (Class::Transient, "the TLS handshake is not done in time"));
    drop(silent);
}

#[test]
fn a_file_without_certificates_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "nothing").unwrap();
    let network = Network { ca_file: Some(path), ..Network::default() };
    let error = Dial::new(&network, &Resilience::default(), SystemClock::shared()).unwrap_err();
    assert!(error.class() == Class::Config && error.message().contains("ca.pem"), "{error}");
}
