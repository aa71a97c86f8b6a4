//! The certificates that a proxy shows: the right one, and those that nobody should trust.

use std::{io, sync::Arc};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// It is for another host.
    OtherHost,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// It is of an authority that nobody knows.
    UnknownAuthority,
    /// It is its own authority.
    SelfSigned,
}

/// An authority of a server's own, for as long as the server lives.
pub(crate) struct Authority {
    trusted: Issuer<'static, KeyPair>,
    unknown: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> io::Result<Self> {
        let (trusted, pem) = authority("connector-testkit: trusted")?;
        let (unknown, _) = authority("connector-testkit: unknown")?;
        Ok(Self { trusted, unknown, pem })
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for `localhost`, with this flaw, and its key.
    pub(crate) fn issue(&self, flaw: Option<Flaw>) -> io::Result<(Certificate, KeyPair)> {
        let host = if flaw == Some(Flaw::OtherHost) { "elsewhere.example" } else { "localhost" };
        let mut params = CertificateParams::new([host.to_owned()]).map_err(io::Error::other)?;
        // Years ago, or years from now, so that no clock of a test meets it by chance.
        match flaw {
            Some(Flaw::Expired) => params.not_after = date_time_ymd(2020, 1, 1),
            Some(Flaw::NotYet) => params.not_before = date_time_ymd(2200, 1, 1),
            _ => {}
        }
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = match flaw {
            Some(Flaw::SelfSigned) => params.self_signed(&key),
            Some(Flaw::UnknownAuthority) => params.signed_by(&key, &self.unknown),
            _ => params.signed_by(&key, &self.trusted),
        };
        Ok((certificate.map_err(io::Error::other)?, key))
    }

    /// A server with a certificate for `localhost`, with this flaw.
    pub(crate) fn server(&self, flaw: Option<Flaw>) -> io::Result<Arc<ServerConfig>> {
        let (certificate, key) = self.issue(flaw)?;
        let certificate: CertificateDer<'static> = certificate.into();
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key))
            .map_err(io::Error::other)?;
        Ok(Arc::new(config))
    }
}

fn authority(name: &str) -> io::Result<(Issuer<'static, KeyPair>, String)> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
    Ok((Issuer::new(params, key), pem))
}
