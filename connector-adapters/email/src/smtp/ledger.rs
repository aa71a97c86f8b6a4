//! What was sent under which idempotency key, in this process: the host remembers what was answered, and for longer.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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
    fates: BTreeMap<String, Fate>,
    /// Who is being sent to, and whether a mail has begun to go out: whoever is dropped in the middle leaves this behind.
    under_way: (Vec<String>, Arc<AtomicBool>),
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

    /// What is certain of each of these from before; none: he is to be sent to. From here on they are under way, until
    /// [`note`](Self::note) or [`take_back`](Self::take_back); the flag is to be set when the mail begins to go out.
    pub(super) fn begin(&mut self, addresses: &[String]) -> (Vec<Option<Fate>>, Arc<AtomicBool>) {
        let (before, was_begun) = std::mem::take(&mut self.under_way);
        if was_begun.load(Ordering::Relaxed) {
            let cut_off = || Fate::unknown("an earlier call with this key was cut off while it was sending");
            self.fates.extend(before.into_iter().map(|address| (address, cut_off())));
        }
        let is_settled = |fate: &&Fate| matches!(fate.kind, Kind::Accepted | Kind::Unknown | Kind::Refused);
        let known: Vec<Option<Fate>> =
            addresses.iter().map(|address| self.fates.get(address).filter(is_settled).cloned()).collect();
        let pending = addresses.iter().zip(&known).filter(|(_, fate)| fate.is_none());
        self.under_way = (pending.map(|(address, _)| address.clone()).collect(), Arc::default());
        (known, Arc::clone(&self.under_way.1))
    }

    /// Nothing was sent.
    pub(super) fn take_back(&mut self) {
        self.under_way = (Vec::new(), Arc::default());
    }

    /// What has become of them.
    pub(super) fn note(&mut self, fates: impl IntoIterator<Item = (String, Fate)>) {
        self.take_back();
        self.fates.extend(fates);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_cut_off_is_unknown_from_the_first_byte_of_the_mail_on_and_not_before() {
        let mut known = Known::default();
        let (a, b) = ("a@x.test".to_owned(), "b@x.test".to_owned());
        let (fates, _) = known.begin(&[a.clone(), b.clone()]);
        assert!(fates.iter().all(Option::is_none));
        // Dropped before anything went out.
        let (fates, begun) = known.begin(&[a.clone(), b.clone()]);
        assert!(fates.iter().all(Option::is_none));
        begun.store(true, Ordering::Relaxed);
        let (fates, _) = known.begin(&[a.clone(), b]);
        assert!(fates.iter().all(|fate| fate.as_ref().is_some_and(|fate| fate.kind == Kind::Unknown)));
        // Somebody else's address was not among them.
        let (fates, begun) = known.begin(&["c@x.test".to_owned()]);
        assert!(fates[0].is_none());
        begun.store(true, Ordering::Relaxed);
        known.take_back();
        assert!(known.begin(&["c@x.test".to_owned()]).0[0].is_none(), "nothing was sent");
    }

    #[test]
    fn a_key_stands_for_one_input() {
        let mut known = Known::default();
        let input = json!({ "to": "a@x.test" });
        known.claim("send", &input).unwrap();
        known.claim("send", &input).unwrap();
        assert_eq!(known.claim("alert", &input).unwrap_err().class(), connector_sdk::Class::Config);
        assert!(known.claim("send", &json!({ "to": "b@x.test" })).is_err());
    }
}
