//! Standard Webhooks, signed.

use bytes::Bytes;
use connector_sdk::{Error, Result, Secret, Timestamp};

use super::{Family, Names, STANDARD, SVIX, is_signable};
use crate::scheme::{
    Signature, Signer,
    asymmetric::{PrivateKey, few},
    encoding::base64,
    keys::Keys,
    secret::{WebhookSecret, read},
    signer::{check_id, said, seconds},
};

/// Signs with each of the secrets: v1 with those that are shared (`whsec_…`), v1a with private keys (`whsk_…`).
#[derive(Debug)]
pub(in crate::scheme) struct StandardSigner {
    names: &'static Names,
    symmetric: Keys,
    private: Vec<PrivateKey>,
}

impl StandardSigner {
    /// Signs with these: `whsec_…` or `whsk_…`.
    pub(in crate::scheme) fn new(family: Family, secrets: &[Secret]) -> Result<Self> {
        let (mut symmetric, mut private) = (Vec::new(), Vec::new());
        for secret in secrets {
            match read(secret)? {
                WebhookSecret::Symmetric(bytes) => symmetric.push(bytes),
                WebhookSecret::Private(key) => private.push(key),
                WebhookSecret::Public(_) => {
                    let what = "one is a public key, whpk_: only the private one, whsk_, can sign";
                    return Err(Error::config("connect", what));
                }
            }
        }
        few(private.len())?;
        let symmetric = Keys::raw(symmetric.iter().map(|bytes| bytes.expose().as_slice()));
        let names = match family {
            Family::Standard => &STANDARD,
            Family::Svix => &SVIX,
        };
        Ok(Self { names, symmetric, private })
    }
}

impl Signer for StandardSigner {
    fn accepts(&self, id: &str) -> bool {
        is_signable(id)
    }

    fn sign(&self, id: &str, at: Timestamp, body: &Bytes) -> Result<Signature> {
        check_id(self, id)?;
        let sent = seconds(at).to_string();
        let parts = [id.as_bytes(), b".", sent.as_bytes(), b".", body];
        let mut tags: Vec<String> =
            self.symmetric.sign(&parts).iter().map(|tag| format!("v1,{}", base64(tag.as_ref()))).collect();
        for key in &self.private {
            tags.push(format!("v1a,{}", base64(&key.sign(&parts)?)));
        }
        let Names { id: id_name, timestamp, signature } = self.names;
        Ok(vec![said(id_name, id)?, said(timestamp, &sent)?, said(signature, &tags.join(" "))?])
    }
}
