//! Words of somebody else, before they are shown.
//!
//! ```text
//!  text ─▶ units (encodings taken off) ─▶ name? ─▶ separator ─▶ value: in quotes, in brackets, or a word
//!                                          └▶ Bearer, Basic … ─▶ value        └▶ hidden, to its own end
//! ```
//!
//! It goes once from left to right, and looks ahead at what it then leaves out, or by a bounded length.

mod names;
mod units;

use names::{Hides, hides, is_word, looks_secret};
use units::{Unit, units};

/// What stands in the place of a secret.
const HIDDEN: &str = "[secret]";

/// How far is looked for what may not be there: the end of a tag, the `@` of a URL.
const AHEAD: usize = 256;

/// Schemes that a credential follows, in lower case.
const SCHEMES: [&str; 6] = ["bearer", "basic", "negotiate", "ntlm", "ssws", "apikey"];

/// The text without what is a secret by its place: user and password of a URL, and the values of names such
/// as `access_token`, `X-Api-Key`, `client-secret`, `sig`, wherever they stand (a query, a form, a header,
/// JSON, XML, an argument), what follows `Bearer` and the like, private keys in PEM, and tokens whose vendors
/// mark them. It sees through one another's encodings: `%3D`, `\"`, `&quot;`. Where it cannot tell where a
/// secret ends, it hides more. For a vendor's words in an error. It finds no secret that stands alone; where
/// nothing else is known about a text, do not show it.
///
/// It takes time in proportion to the length of the text.
///
/// ```
/// use connector_sdk::secret::redacted;
/// assert_eq!(
///     redacted("cannot fetch https://me:pw@files.example/a.csv?part=1&X-Amz-Signature=ab12"),
///     "cannot fetch https://[secret]@files.example/a.csv?part=1&X-Amz-Signature=[secret]",
/// );
/// ```
#[must_use]
pub fn redacted(text: &str) -> String {
    let units = units(text);
    let reader = Reader { text, units: &units };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < units.len() {
        let (next, hidden) = reader.step(at);
        let from = |unit: usize| reader.offset(unit);
        match hidden {
            Some((start, end)) => {
                out.push_str(text.get(from(at)..from(start)).unwrap_or_default());
                out.push_str(HIDDEN);
                debug_assert!(start >= at && end <= next);
                out.push_str(text.get(from(end)..from(next)).unwrap_or_default());
            }
            None => out.push_str(text.get(from(at)..from(next)).unwrap_or_default()),
        }
        at = next;
    }
    out
}

/// Places are numbers of units.
struct Reader<'a> {
    text: &'a str,
    units: &'a [Unit],
}

/// Where to go on, and what is hidden before that.
type Step = (usize, Option<(usize, usize)>);

impl Reader<'_> {
    fn step(&self, at: usize) -> Step {
        if self.starts(at, "://") {
            return self.authority(at + 3);
        }
        if self.starts(at, "-----BEGIN ") {
            return self.pem(at);
        }
        let end = self.while_(at, is_name);
        if end == at {
            return (at + 1, None);
        }
        self.named(at, end)
    }

    /// After `://`: everything before the last `@` of the authority.
    fn authority(&self, start: usize) -> Step {
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`');
        let near = self.units.len().min(start + AHEAD);
        let end = self.while_(start, |c| !ends(c) && !matches!(c, '/' | '?' | '#' | '\\'));
        let last = |end: usize| (start..end).rev().find(|place| self.char(*place) == Some('@'));
        let found = last(end).or_else(|| {
            // A password with a slash: what follows the colon is no port.
            let colon = (start..end).find(|place| self.char(*place) == Some(':'))?;
            let is_port = (colon + 1..end).all(|place| self.char(place).is_some_and(|c| c.is_ascii_digit()));
            let is_address = self.char(start) == Some('[');
            let wider = (start..near).find(|place| self.char(*place).is_none_or(ends)).unwrap_or(near);
            if is_port || is_address { None } else { last(wider) }
        });
        found.map_or((start, None), |at| (at, Some((start, at))))
    }

    /// A private key, whole.
    fn pem(&self, at: usize) -> Step {
        let label = self.while_(at + 11, |c| c != '-' && c != '\n');
        if !self.slice(at, label).contains("PRIVATE KEY") {
            return (label, None);
        }
        let end = (label..self.units.len()).find(|place| self.starts(*place, "-----END"));
        let end = end.map_or(self.units.len(), |end| self.while_(end + 8, |c| c != '\n' && c != '"'));
        (end, Some((at, end)))
    }

    /// A name from `at` to `end`, and what it hides.
    fn named(&self, at: usize, end: usize) -> Step {
        let name: String = (at..end).filter_map(|place| self.char(place)).collect();
        let session = name.starts_with("00D") && matches!(name.len(), 15 | 18) && self.char(end) == Some('!');
        if session {
            let end = self.while_(end + 1, is_name);
            return (end, Some((at, end)));
        }
        if looks_secret(&name) {
            return (end, Some((at, end)));
        }
        let flag = name.starts_with('-');
        let bare = name.trim_start_matches('-');
        if SCHEMES.contains(&bare.to_ascii_lowercase().as_str())
            && let Some(step) = self.scheme(end)
        {
            return step;
        }
        let before = at.checked_sub(1).and_then(|before| self.char(before));
        // A parser's complaint, which quotes what it has found.
        let complains =
            name == "token" && self.slice(at.saturating_sub(11), at).eq_ignore_ascii_case("unexpected ");
        let found = if complains {
            None
        } else if matches!(name.as_str(), "-u" | "--user") {
            self.user(end)
        } else {
            match hides(bare, matches!(before, Some('?' | '&'))) {
                Hides::Nothing => None,
                Hides::Value => self.of_field(end).or_else(|| self.value(end, before, flag)),
                Hides::Line => self.line(end, before).or_else(|| self.value(end, before, flag)),
                Hides::List => self.list(end),
            }
        };
        match found {
            Some((start, stop)) => (stop, Some((start, stop))),
            None => (end, None),
        }
    }

    /// After `Bearer`, `Basic`: what cannot be a word of prose.
    fn scheme(&self, end: usize) -> Option<Step> {
        let start = self.while_(end, |c| c == ' ' || c == '\t' || c == '+');
        let stop = self.while_(start, |c| is_name(c) || "~+/=:".contains(c));
        let mut chars = (start..stop).filter_map(|place| self.char(place));
        let is_prose = chars.next().is_none_or(|c| c.is_ascii_alphabetic())
            && chars.all(|c| c.is_ascii_lowercase() || matches!(c, '.' | ':'));
        (start > end && stop > start && !is_prose).then_some((stop, Some((start, stop))))
    }

    /// After `-u`: a user with a password.
    fn user(&self, end: usize) -> Option<(usize, usize)> {
        let (start, stop) = self.after_blanks(end)?;
        (start..stop).any(|place| self.char(place) == Some(':')).then_some((start, stop))
    }

    /// The separator after a name that ends at `end`: where what follows it begins, and how deep it lies.
    fn separator(&self, end: usize) -> Option<(usize, char, usize)> {
        let at = self.while_(end, |c| matches!(c, '"' | '\'' | '`' | ']' | ')') || c.is_whitespace());
        let unit = self.units.get(at)?;
        let mut next = at + 1;
        match (unit.char, self.char(next)) {
            // A path, as `secret::redacted`.
            (':', Some(':')) => return None,
            (':', Some('=')) | ('=', Some('>' | '=')) => next += 1,
            (':' | '=', _) => {}
            _ => return None,
        }
        Some((next, unit.char, unit.depth))
    }

    /// The rest of the line, or of the quotes around name and value.
    fn line(&self, end: usize, before: Option<char>) -> Option<(usize, usize)> {
        let (next, ..) = self.separator(end).filter(|_| {
            // In quotes of its own, a value ends with them.
            !matches!(self.char(end), Some('"' | '\'' | '`'))
        })?;
        let start = self.while_(next, |c| c == ' ' || c == '\t');
        if matches!(self.char(start), Some('"' | '\'' | '`')) {
            return None;
        }
        let quote = before.filter(|c| matches!(c, '"' | '\'' | '`'));
        let first = self.while_(start, |c| !c.is_whitespace());
        // Before the end of the line is looked for: it may be far, and is looked for again.
        self.unless_word(start, first)?;
        Some((start, self.while_(start, |c| c != '\n' && Some(c) != quote)))
    }

    /// The value of a name.
    fn value(&self, end: usize, before: Option<char>, flag: bool) -> Option<(usize, usize)> {
        if matches!(before, Some('<' | ':'))
            && let Some(found) = self.element(end)
        {
            return Some(found);
        }
        let Some((next, separator, depth)) = self.separator(end) else {
            return flag.then(|| self.after_blanks(end)).flatten();
        };
        let blanks = self.while_(next, char::is_whitespace);
        let open = self.units.get(blanks)?;
        match open.char {
            '"' | '\'' | '`' => {
                let closes = |unit: &Unit| unit.char == open.char && unit.depth <= open.depth;
                let stop = self.find(blanks + 1, closes);
                let is_text =
                    (blanks + 1..stop).any(|place| self.char(place).is_some_and(char::is_alphanumeric));
                is_text.then_some((blanks + 1, stop))
            }
            '[' | '{' => self.list(end),
            _ => {
                let start = self.while_(next, |c| c == ' ' || c == '\t');
                let ends = |unit: &Unit| {
                    let c = unit.char;
                    unit.depth <= depth
                        && (c.is_whitespace()
                            || matches!(c, '"' | '\'' | '`' | '<' | '>')
                            || c == '&' && separator == '=')
                };
                self.unless_word(start, self.find(start, ends))
            }
        }
    }

    /// A list or a map as the value of a name.
    fn list(&self, end: usize) -> Option<(usize, usize)> {
        let (next, ..) = self.separator(end)?;
        let start = self.while_(next, char::is_whitespace);
        let close = match self.char(start)? {
            '[' => ']',
            '{' => '}',
            _ => return None,
        };
        Some((start, (self.find(start, |unit| unit.char == close) + 1).min(self.units.len())))
    }

    /// `{"name": "password", "value": "…"}`, and a form's field.
    fn of_field(&self, end: usize) -> Option<(usize, usize)> {
        matches!(self.char(end), Some('"' | '\'')).then_some(())?;
        let at = self.while_(end + 1, |c| matches!(c, ',' | '"' | '\'') || c.is_whitespace());
        let stop = self.while_(at, is_name);
        if at == end + 1 || !self.slice(at, stop).eq_ignore_ascii_case("value") {
            return None;
        }
        self.value(stop, None, false)
    }

    /// `<password …>…<`.
    fn element(&self, end: usize) -> Option<(usize, usize)> {
        self.char(end).filter(|c| *c == '>' || c.is_whitespace())?;
        let near = self.units.len().min(end + AHEAD);
        let start = (end..near).find(|place| self.char(*place) == Some('>'))? + 1;
        let stop = self.find(start, |unit| unit.char == '<');
        (stop > start).then_some((start, stop))
    }

    /// The word after blanks, as after an option of a command.
    fn after_blanks(&self, end: usize) -> Option<(usize, usize)> {
        let start = self.while_(end, |c| c == ' ' || c == '\t');
        if start == end {
            return None;
        }
        let quote = self.units.get(start).filter(|unit| matches!(unit.char, '"' | '\''));
        let (start, stop) = match quote {
            Some(open) => (start + 1, self.find(start + 1, |unit| unit.char == open.char)),
            None => (start, self.while_(start, |c| !c.is_whitespace())),
        };
        self.unless_word(start, stop)
    }

    /// Nothing where this is a word of prose, or where no letter or digit is.
    fn unless_word(&self, start: usize, stop: usize) -> Option<(usize, usize)> {
        let is_text = (start..stop).any(|place| self.char(place).is_some_and(char::is_alphanumeric));
        (is_text && !is_word(self.slice(start, stop))).then_some((start, stop))
    }

    fn char(&self, at: usize) -> Option<char> {
        self.units.get(at).map(|unit| unit.char)
    }

    fn offset(&self, at: usize) -> usize {
        self.units.get(at).map_or(self.text.len(), |unit| unit.start)
    }

    fn slice(&self, start: usize, end: usize) -> &str {
        self.text.get(self.offset(start)..self.offset(end)).unwrap_or_default()
    }

    fn starts(&self, at: usize, with: &str) -> bool {
        with.chars().enumerate().all(|(index, c)| self.char(at + index) == Some(c))
    }

    fn while_(&self, at: usize, fits: impl Fn(char) -> bool) -> usize {
        self.find(at, |unit| !fits(unit.char))
    }

    fn find(&self, at: usize, found: impl Fn(&Unit) -> bool) -> usize {
        let rest = self.units.get(at..).unwrap_or_default();
        rest.iter().position(found).map_or(self.units.len(), |index| at + index)
    }
}

/// Whether a name, or a token, may have it.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests;
