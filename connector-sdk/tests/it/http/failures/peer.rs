//! A peer that fails in one way, and the certificates of those that fail in TLS.

use std::{io::Write as _, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use futures_util::future::pending;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What the peer does with each connection.
#[derive(Clone)]
pub(super) enum Peer {
    /// Nobody listens.
    Absent,
    /// Hears something, says this, and closes. As the first words of TLS too.
    Says(Vec<u8>),
    /// The same, but resets the connection.
    Resets(Vec<u8>),
    /// The same, and then nothing more.
    Hangs(Vec<u8>),
    /// Accepts, and does not hear nor say anything.
    Mute,
    /// Closes when it is connected.
    Cuts,
    /// Speaks TLS so, and answers 200.
    Tls(Arc<ServerConfig>),
    /// Speaks HTTP/2 over TLS, and answers so.
    Http2(Arc<ServerConfig>, Http2),
}

#[derive(Clone, Copy)]
pub(super) enum Http2 {
    /// 200 with this many bytes of headers.
    Headers(usize),
    /// `RST_STREAM`.
    Reset(h2::Reason),
}

pub(super) fn answer(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body.as_ref()].concat()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Peer {
    /// The port, and what ends with the test.
    pub(super) async fn start(self) -> (u16, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        if matches!(self, Self::Absent) {
            return (port, tokio::spawn(async {}));
        }
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(self.clone().meet(socket));
            }
        });
        (port, task)
    }

    async fn meet(self, mut socket: TcpStream) {
        match self {
            Self::Absent | Self::Cuts => {}
            Self::Mute => pending().await,
            Self::Says(bytes) => {
                hear(&mut socket).await;
                let _ = socket.write_all(&bytes).await;
                let _ = socket.shutdown().await;
                // A connection closed with something unread in it is reset, and what was said is lost.
                while socket.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
            }
            Self::Resets(bytes) => {
                hear(&mut socket).await;
                let _ = socket.write_all(&bytes).await;
                socket.set_zero_linger().unwrap();
            }
            Self::Hangs(bytes) => {
                hear(&mut socket).await;
                let _ = socket.write_all(&bytes).await;
                pending().await
            }
            Self::Tls(config) => match TlsAcceptor::from(config).accept(socket).into_fallible().await {
                Ok(mut socket) => {
                    let _ = socket.read(&mut [0; 4096]).await;
                    let _ = socket.write_all(&answer("200 OK\r\ncontent-length: 0", "")).await;
                    let _ = socket.shutdown().await;
                }
                Err((_, mut socket)) => while socket.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {},
            },
            Self::Http2(config, how) => {
                if let Ok(socket) = TlsAcceptor::from(config).accept(socket).await {
                    let _ = http2(socket, how).await;
                }
            }
        }
    }
}

async fn hear(socket: &mut TcpStream) {
    let _ = socket.read(&mut [0; 4096]).await;
}

async fn http2(socket: tokio_rustls::server::TlsStream<TcpStream>, how: Http2) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(socket).await?;
    while let Some(request) = connection.accept().await {
        let (_request, mut respond) = request?;
        match how {
            Http2::Reset(reason) => respond.send_reset(reason),
            Http2::Headers(bytes) => {
                let mut response = http::Response::builder();
                for n in 0..bytes.div_ceil(1000) {
                    response = response.header(format!("x-{n}"), "x".repeat(1000));
                }
                respond.send_response(response.body(()).unwrap(), true)?;
            }
        }
    }
    Ok(())
}

/// An authority that is trusted, and one that is not.
pub(super) struct Authorities {
    trusted: Issuer<'static, KeyPair>,
    unknown: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// The certificate of the trusted one, in PEM.
    pub(super) file: NamedTempFile,
}

/// How the certificate of a server is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    SelfSigned,
    Unknown,
    Expired,
    NotYet,
    OtherHost,
    /// Nothing; but it demands one of ours.
    WantsOurs,
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, rcgen::Certificate) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    (Issuer::new(params, key), certificate)
}

impl Authorities {
    pub(super) fn new() -> Self {
        let (trusted, certificate) = authority("trusted");
        let (unknown, _) = authority("unknown");
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(certificate.pem().as_bytes()).unwrap();
        Self { trusted, unknown, certificate: certificate.der().clone(), file }
    }

    pub(super) fn server(&self, flaw: Flaw) -> Arc<ServerConfig> {
        let host = if flaw == Flaw::OtherHost { "other.example" } else { "localhost" };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        match flaw {
            Flaw::Expired => params.not_after = date_time_ymd(2001, 1, 1),
            Flaw::NotYet => params.not_before = date_time_ymd(2200, 1, 1),
            _ => {}
        }
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key),
            Flaw::Unknown => params.signed_by(&key, &self.unknown),
            _ => params.signed_by(&key, &self.trusted),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = if flaw == Flaw::WantsOurs {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        } else {
            config.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Arc::new(config.with_single_cert(vec![certificate.unwrap().der().clone()], key).unwrap())
    }

    pub(super) fn http2(&self) -> Arc<ServerConfig> {
        let mut config = self.server(Flaw::None);
        Arc::get_mut(&mut config).unwrap().alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}
