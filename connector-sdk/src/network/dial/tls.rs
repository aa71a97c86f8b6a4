//! Whom a connection trusts, and how it is secured.

use std::{
    fs, io,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, IpAddr, ServerName, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use url::Host;

use super::{OPERATION, Stream};
use crate::{Error, Network, Result, http::to_change};

/// The system's authorities, and those that the network section names.
pub(super) struct Trust {
    named: Vec<CertificateDer<'static>>,
    /// The system's are read when the first connection is secured: that takes a while.
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Trust {
    /// # Errors
    /// Config when the file of authorities cannot be read, or holds none.
    pub(super) fn new(network: &Network) -> Result<Self> {
        let mut named = Vec::new();
        if let Some(path) = &network.ca_file {
            let refused = |why: String| {
                Error::config(OPERATION, format!("`network.ca_file` {}: {why}", path.display()))
            };
            let pem = fs::read(path).map_err(|error| refused(error.to_string()))?;
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            named = found
                .ok()
                .filter(|found| !found.is_empty())
                .ok_or_else(|| refused("holds no certificates in PEM".to_owned()))?;
        }
        Ok(Self { named, config: Mutex::default() })
    }

    /// # Errors
    /// Config when the certificate is not trusted or there is no TLS; Transient when the handshake breaks off.
    pub(super) async fn secure(&self, stream: Stream, host: &Host) -> Result<Stream> {
        let name = match host {
            Host::Ipv4(address) => ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V4(*address))),
            Host::Ipv6(address) => ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V6(*address))),
            Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|_| Error::config(OPERATION, "the host's name cannot stand in a certificate"))?,
        };
        let connector = TlsConnector::from(self.config()?);
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(failed(error)),
        }
    }

    fn config(&self) -> Result<Arc<ClientConfig>> {
        let mut held = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*held {
            return Ok(Arc::clone(config));
        }
        let unusable = |error: rustls::Error| {
            Error::config(OPERATION, "there is nobody to trust: name an authority in `network.ca_file`")
                .with_source(error)
        };
        let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Verifier::new_with_extra_roots(self.named.iter().cloned(), Arc::clone(&provider))
            .map_err(unusable)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Arc::clone(held.insert(Arc::new(config))))
    }
}

fn failed(error: io::Error) -> Error {
    let reason = error.get_ref().and_then(|error| error.downcast_ref()).and_then(to_change);
    let failure = match reason {
        Some(reason) => Error::config(OPERATION, reason),
        None => Error::transient(OPERATION, "the TLS handshake was broken off"),
    };
    failure.with_source(error)
}
