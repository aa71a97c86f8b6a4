//! What was sent under which idempotency key, in this process: the host remembers what was answered, and for longer.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};
use connector_sdk::{Context, Error, Result};
use serde_json::{Value, json};

use super::transaction::{Fate, Kind};

/// How many keys are remembered.
const KEYS: usize = 10_000;

/// Tells keys apart without showing them: two connections with one key mean two mails.
pub(super) type Mark = [u8; 16];

/// The mark of a key.
pub(super) fn mark(cx: &Context, key: &str) -> Mark {
    hash(&json!([cx.tenant().as_str(), cx.connection().as_str(), key]))
}

fn hash(value: &Value) -> Mark {
    let hash = digest(&SHA256, value.to_string().as_bytes());
    let mut mark = Mark::default();
    mark.iter_mut().zip(hash.as_ref()).for_each(|(mark, byte)| *mark = *byte);
    mark
}

/// What is known of one key. Who holds it is alone with the key.
pub(super) type Page = Arc<tokio::sync::Mutex<Known>>;

/// What was sent under a key.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// A hash of the action and its input; none before the first call.
    input: Option<Mark>,
    /// What has become of the recipients, by address.
    pub(super) fates: BTreeMap<String, Fate>,
}

impl Known {
    /// Takes note of what the key stands for.
    ///
    /// # Errors
    /// Config when it stands for another mail.
    pub(super) fn claim(&mut self, name: &str, input: &Value) -> Result<()> {
        let mark = hash(&json!([name, input]));
        if *self.input.get_or_insert(mark) == mark {
            return Ok(());
        }
        let what = "the idempotency key was used for another input: one key stands for one mail";
        Err(Error::config("act", what).with_context("field", "idempotency_key"))
    }

    /// What is certain of a recipient from before; none: he is to be sent to.
    pub(super) fn settled(&self, address: &str) -> Option<Fate> {
        let is_settled = |fate: &&Fate| matches!(fate.kind, Kind::Accepted | Kind::Unknown | Kind::Refused);
        self.fates.get(address).filter(is_settled).cloned()
    }
}

/// All keys, the oldest of which are forgotten.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    pages: HashMap<Mark, Page>,
    order: VecDeque<Mark>,
}

impl Ledger {
    /// The page of a key.
    pub(super) fn page(&self, mark: Mark) -> Page {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = all.pages.get(&mark) {
            return Arc::clone(page);
        }
        all.order.push_back(mark);
        if all.order.len() > KEYS
            && let Some(oldest) = all.order.pop_front()
        {
            all.pages.remove(&oldest);
        }
        Arc::clone(all.pages.entry(mark).or_default())
    }
}
