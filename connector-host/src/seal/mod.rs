//! Rotated credentials, kept in the registry so that nobody who reads its file can use them.
//!
//! A sealed token is `version (1 byte) | key id (8) | nonce (12) | AES-256-GCM ciphertext and tag`. The key is
//! derived (HKDF-SHA256) from the [`SealKey`] for one tenant's connection; tenant, connection and name are
//! authenticated along with the header. So a row that was moved to another tenant, connection or name does
//! not open there. The key id says which key sealed it, which makes a wrong key another error than a damaged
//! row. Nonces are random: a key would have to seal 2³² tokens of one connection before that matters.

mod key;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use connector_sdk::{
    ConnectionName, Error, Result, Secret, TenantId,
    secret::{TokenLock, TokenStore},
};
use zeroize::{Zeroize, Zeroizing};

pub use key::SealKey;
use key::framed;

use crate::Registry;

const VERSION: u8 = 1;
const ID_BYTES: usize = 8;
const HEADER_BYTES: usize = 1 + ID_BYTES;
const TAG_BYTES: usize = 16;

const SEAL: &str = "keep token";
const OPEN: &str = "read token";

/// The [`TokenStore`] of one tenant's connection: what it puts, only it can get.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> connector_sdk::Result<()> {
/// use connector_host::{registry::MemoryRegistry, seal::{SealKey, SealedTokens}};
/// use connector_sdk::{Context, Secret, SystemClock, secret::TokenStore};
/// use std::sync::Arc;
///
/// let registry = Arc::new(MemoryRegistry::new(SystemClock::shared()));
/// let tokens = SealedTokens::new(registry, &SealKey::random()?, "acme".into(), "acme-crm".into())?;
/// tokens.put("refresh_token", Secret::from("hunter2")).await?;
/// assert_eq!(tokens.get("refresh_token").await?.unwrap().expose(), "hunter2");
/// let cx = Context::builder("acme", "acme-crm").tokens(Arc::new(tokens)).build();
/// # Ok(()) }
/// ```
pub struct SealedTokens {
    registry: Arc<dyn Registry>,
    tenant: TenantId,
    connection: ConnectionName,
    key: RandomizedNonceKey,
    key_id: [u8; ID_BYTES],
}

impl SealedTokens {
    /// The tokens of this connection, sealed with a key derived from `key`.
    ///
    /// # Errors
    /// Bug when the key cannot be derived.
    pub fn new(
        registry: Arc<dyn Registry>,
        key: &SealKey,
        tenant: TenantId,
        connection: ConnectionName,
    ) -> Result<Self> {
        let derived = key.derive(&["token", tenant.as_str(), connection.as_str()])?;
        let sealer = RandomizedNonceKey::new(&AES_256_GCM, &*derived).map_err(|error| {
            Error::bug("derive key", "the key does not fit the cipher").with_source(error)
        })?;
        let mut key_id = [0; ID_BYTES];
        key_id.copy_from_slice(&key.derive(&["id"])?[..ID_BYTES]);
        Ok(Self { registry, tenant, connection, key: sealer, key_id })
    }

    fn seal(&self, name: &str, value: &Secret) -> Result<Vec<u8>> {
        let header: Vec<u8> = std::iter::once(VERSION).chain(self.key_id).collect();
        // Room for the tag, so that no copy of the clear text stays behind in memory that was outgrown.
        let mut body = Zeroizing::new(Vec::with_capacity(value.expose().len() + TAG_BYTES));
        body.extend_from_slice(value.expose().as_bytes());
        let nonce = self
            .key
            .seal_in_place_append_tag(self.bound_to(name, &header), &mut *body)
            .map_err(|error| Error::bug(SEAL, "the token cannot be sealed").with_source(error))?;
        Ok([&header, &nonce.as_ref()[..], &body].concat())
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<Secret> {
        let (Some((header, rest)), Some(&version)) = (sealed.split_at_checked(HEADER_BYTES), sealed.first())
        else {
            return Err(self.damaged(name));
        };
        if version != VERSION {
            let message = format!(
                "the token is sealed in format {version}, this program knows {VERSION}: use the newer program"
            );
            return Err(self.about(name, message));
        }
        if header[1..] != self.key_id {
            return Err(self.about(
                name,
                "the token is sealed with another key: give the key that sealed it, or authorise the connection again",
            ));
        }
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or_else(|| self.damaged(name))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| self.damaged(name))?;
        let mut body = Zeroizing::new(body.to_vec());
        let opened = self.key.open_in_place(nonce, self.bound_to(name, header), &mut body);
        let length = opened.map_err(|_| self.damaged(name))?.len();
        body.truncate(length);
        match String::from_utf8(std::mem::take(&mut *body)) {
            Ok(text) => Ok(Secret::new(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(self.damaged(name))
            }
        }
    }

    fn bound_to(&self, name: &str, header: &[u8]) -> Aad<Vec<u8>> {
        Aad::from([header, &framed(&[self.tenant.as_str(), self.connection.as_str(), name])].concat())
    }

    fn damaged(&self, name: &str) -> Error {
        self.about(
            name,
            "the sealed token is damaged, or was moved here from elsewhere: authorise the connection again",
        )
    }

    fn about(&self, name: &str, message: impl Into<String>) -> Error {
        Error::config(OPEN, message).with_context("connection", &self.connection).with_context("token", name)
    }
}

#[async_trait]
impl TokenStore for SealedTokens {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        let sealed = self.registry.token(&self.tenant, &self.connection, name).await?;
        sealed.map(|sealed| self.open(name, &sealed)).transpose()
    }

    async fn put(&self, name: &str, value: Secret) -> Result<()> {
        let sealed = self.seal(name, &value)?;
        self.registry.put_token(&self.tenant, &self.connection, name, &sealed).await
    }

    async fn try_lock(&self, name: &str) -> Result<TokenLock> {
        self.registry.try_lock_token(&self.tenant, &self.connection, name).await
    }
}

impl fmt::Debug for SealedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedTokens")
            .field("tenant", &self.tenant)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
