//! TLS of the listener, by rustls: TLS 1.2 and 1.3, HTTP/1.1 only, no certificates of clients.

use std::{fmt, path::PathBuf, sync::Arc};

use connector_sdk::{Error, Result};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The `tls:` of a configuration. The files are read when the listener starts; a certificate that is changed is used from
/// the next start on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// A PEM file with the certificate, and after it those that lead to an authority. Relative to the template's folder.
    pub certificate: PathBuf,
    /// A PEM file with its private key: PKCS #8, PKCS #1 or SEC 1, not encrypted. Relative to the template's folder.
    pub key: PathBuf,
}

impl TlsConfig {
    /// The same with paths that begin in this folder.
    #[must_use]
    pub fn within(&self, folder: &std::path::Path) -> Self {
        Self { certificate: folder.join(&self.certificate), key: folder.join(&self.key) }
    }
}

/// A certificate with its key, ready to be used.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// Reads both files.
    ///
    /// # Errors
    /// Config, naming the field, when a file cannot be read, holds nothing of the kind, or the key is another
    /// certificate's.
    pub async fn read(config: TlsConfig) -> Result<Self> {
        let read = tokio::task::spawn_blocking(move || Self::load(&config)).await;
        read.map_err(|error| Error::bug("listen", "reading a certificate has panicked").with_source(error))?
    }

    fn load(config: &TlsConfig) -> Result<Self> {
        let wrong = |field: &str, path: &PathBuf, why: String| {
            Error::config("listen", format!("`tls.{field}`: {why}")).with_context("file", path.display())
        };
        let unreadable = |error: rustls::pki_types::pem::Error| error.to_string();
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&config.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| wrong("certificate", &config.certificate, unreadable(error)))?;
        if chain.is_empty() {
            return Err(wrong(
                "certificate",
                &config.certificate,
                "there is no certificate in it".to_owned(),
            ));
        }
        // What an error says of a key file is where it is wrong, never what is in it.
        let key = PrivateKeyDer::from_pem_file(&config.key)
            .map_err(|error| wrong("key", &config.key, unreadable(error)))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| wrong("key", &config.key, error.to_string()))?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(tls)))
    }

    pub(super) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.0))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
