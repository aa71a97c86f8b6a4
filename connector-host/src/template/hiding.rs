//! Errors without what variables brought.

use connector_sdk::{Error, Secret};

/// What stands in the place of a value.
const HIDDEN: &str = "[hidden]";

/// Shorter ones are parts of other words, and no secrets.
const SHORTEST: usize = 4;

/// The values that variables brought to a part of a template.
#[derive(Debug, Clone, Default)]
pub(super) struct Brought(Vec<Secret>);

impl Brought {
    pub(super) fn new<'a>(values: impl Iterator<Item = &'a Secret>) -> Self {
        let mut values: Vec<Secret> =
            values.filter(|value| value.expose().len() >= SHORTEST).cloned().collect();
        // One may be a part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.expose().len()));
        Self(values)
    }

    /// The same error without them. Whoever made it knew the values and not where they came from: a connector,
    /// or a parser that says what it has found. Its sources, which show them too, are left out then.
    pub(super) fn hidden_in(&self, error: Error) -> Error {
        let mut said = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            said.push_str(&cause.to_string());
            source = cause.source();
        }
        if self.hide(&said) == said {
            return error;
        }
        let hidden = Error::new(error.class(), error.operation().to_owned(), self.hide(error.message()));
        let hidden = hidden.with_delivery(error.delivery());
        error.context().fold(hidden, |hidden, (name, value)| hidden.with_context(name, self.hide(value)))
    }

    fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, value| {
            let value = value.expose();
            // As Debug writes it, too.
            let escaped = Secret::new(value.escape_debug().to_string());
            text.replace(value.as_str(), HIDDEN).replace(escaped.expose().as_str(), HIDDEN)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_shown_without_the_values_and_one_that_has_none_as_it_is() {
        let values = ["hunter2", "hunter2-longer", "line\nbreak", "eu"].map(Secret::from);
        let brought = Brought::new(values.iter());
        let error = Error::config("connect", "`hunter2-longer` and hunter2 in eu")
            .with_context("found", format!("{:?}", "line\nbreak"))
            .with_source(Error::bug("x", "hunter2"));
        let shown = brought.hidden_in(error);
        assert_eq!(shown.to_string(), "connect: `[hidden]` and [hidden] in eu (found: \"[hidden]\")");
        assert!(std::error::Error::source(&shown).is_none());
        let by_source = brought.hidden_in(Error::config("a", "b").with_source(Error::bug("x", "hunter2")));
        assert!(std::error::Error::source(&by_source).is_none());
        let other = brought.hidden_in(Error::config("a", "in eu").with_source(Error::bug("x", "y")));
        assert!(std::error::Error::source(&other).is_some() && other.message() == "in eu");
    }
}
