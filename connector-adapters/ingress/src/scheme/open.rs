//! No scheme at all.

use bytes::Bytes;
use connector_sdk::{Result, Timestamp};
use http::{HeaderMap, HeaderName};

use super::{
    Proof, Refused, Scheme, Signature, Signer, head,
    signer::{check_id, said},
};

/// Lets everybody in, and proves nothing.
#[derive(Debug)]
pub(super) struct Open {
    id: Option<HeaderName>,
}

impl Open {
    pub(super) fn new(id: Option<HeaderName>) -> Self {
        Self { id }
    }
}

impl Scheme for Open {
    fn name(&self) -> &'static str {
        "none"
    }

    fn verify(&self, headers: &HeaderMap, _: &Bytes, _: Timestamp) -> Result<Proof, Refused> {
        let id = self.id.as_ref().map(|name| head::id(headers, name)).transpose()?.flatten();
        Ok(Proof { id, id_is_signed: true, ..Proof::default() })
    }
}

impl Signer for Open {
    fn sign(&self, id: &str, _: Timestamp, _: &Bytes) -> Result<Signature> {
        check_id(self, id)?;
        self.id.as_ref().map(|name| said(name, id)).into_iter().collect()
    }
}
