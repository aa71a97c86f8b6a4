//! What an authorisation server sends back through the user's browser (RFC 6749, 4.1.2).

use std::{collections::BTreeMap, fmt};

use url::form_urlencoded;

use crate::{Class, Error, Result, Secret};

/// The parameters of a redirect. Anybody who can make the user's browser open an address can make one up,
/// so nothing of it is shown or believed before its `state` has been compared.
pub struct Callback(BTreeMap<String, Secret>);

impl Callback {
    /// Reads the query of the address that the browser opened, without the question mark.
    ///
    /// # Errors
    /// Auth when a parameter stands there twice (RFC 6749, 3.1).
    pub fn from_query(query: &str) -> Result<Self> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name.into_owned(), Secret::new(value.into_owned())).is_some() {
                return Err(Error::new(Class::Auth, "sign in", "the redirect holds a parameter twice"));
            }
        }
        Ok(Self(parameters))
    }

    /// Whether it says that the user, or the server, has refused.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.0.contains_key("error")
    }

    pub(super) fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|value| !value.expose().is_empty())
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("is_refusal", &self.is_refusal()).finish_non_exhaustive()
    }
}
