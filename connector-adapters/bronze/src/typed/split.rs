//! Where the values of a JSON object begin and end.
//!
//! For JSON that is known to be right. Anything else ends in "no object", or in values that do not fit;
//! never in a panic or an endless loop.

use std::borrow::Cow;

use memchr::memchr2;

/// The names of a record's fields, in the order of the record before: the next one has them in the same
/// order, nearly always, and comparing is cheaper than reading and looking up.
#[derive(Debug)]
pub(super) struct KnownKeys<T> {
    /// As they stand behind their opening quote, the closing one included.
    keys: Vec<(Box<str>, T)>,
}

impl<T> Default for KnownKeys<T> {
    fn default() -> Self {
        Self { keys: Vec::new() }
    }
}

impl<T: Copy> KnownKeys<T> {
    /// The end of key number `index`, whose opening quote is at `open`, and what `look_up` says of its name.
    fn read(
        &mut self,
        json: &str,
        open: usize,
        index: usize,
        look_up: impl Fn(&str) -> T,
    ) -> Option<(usize, T)> {
        let rest = json.as_bytes().get(open + 1..)?;
        if let Some((known, meaning)) = self.keys.get(index)
            && rest.starts_with(known.as_bytes())
        {
            return Some((open + 1 + known.len(), *meaning));
        }
        let (end, escaped) = string(json.as_bytes(), open)?;
        let key = json.get(open + 1..end)?;
        let name = key.strip_suffix('"')?;
        let meaning = if escaped { look_up(&unescape(name)) } else { look_up(name) };
        match self.keys.get_mut(index) {
            Some(known) => *known = (key.into(), meaning),
            None => self.keys.push((key.into(), meaning)),
        }
        Some((end, meaning))
    }
}

/// A value's JSON text, and whether there is a backslash in it, if it is a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value<'a> {
    pub(super) json: &'a str,
    pub(super) escaped: bool,
}

/// Calls `each` with what `look_up` says of each name, and with the value. False when the text is no object.
pub(super) fn object<'a, T: Copy>(
    json: &'a str,
    keys: &mut KnownKeys<T>,
    look_up: impl Fn(&str) -> T,
    each: impl FnMut(T, Value<'a>),
) -> bool {
    read_object(json, keys, look_up, each).is_some()
}

fn read_object<'a, T: Copy>(
    json: &'a str,
    keys: &mut KnownKeys<T>,
    look_up: impl Fn(&str) -> T,
    mut each: impl FnMut(T, Value<'a>),
) -> Option<()> {
    let bytes = json.as_bytes();
    let mut at = blank(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    at = blank(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return Some(());
    }
    for index in 0.. {
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        let (end, meaning) = keys.read(json, at, index, &look_up)?;
        at = blank(bytes, end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at = blank(bytes, at + 1);
        let (end, escaped) = value(bytes, at)?;
        each(meaning, Value { json: json.get(at..end)?, escaped });
        at = blank(bytes, end);
        match bytes.get(at)? {
            b',' => at = blank(bytes, at + 1),
            b'}' => return Some(()),
            _ => return None,
        }
    }
    None
}

/// The end of the value that begins at `at`, and whether it is a string with a backslash.
fn value(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    match bytes.get(at)? {
        b'"' => string(bytes, at),
        b'{' | b'[' => Some((nested(bytes, at)?, false)),
        _ => {
            let rest = bytes.get(at..)?;
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            let length = rest.iter().position(ends)?;
            (length > 0).then_some((at + length, false))
        }
    }
}

/// The end of the string whose opening quote is at `at`, and whether there is a backslash in it.
fn string(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (at + 1, false);
    loop {
        let stop = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(stop) == Some(&b'"') {
            return Some((stop + 1, escaped));
        }
        (at, escaped) = (stop + 2, true);
    }
}

/// The end of the object or array that begins at `at`. Brackets of both kinds count alike.
fn nested(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = at;
    loop {
        match bytes.get(at)? {
            b'"' => {
                (at, _) = string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// What stands between the quotes of a JSON string, without escapes. As it stands where they are wrong.
pub(super) fn unescape(inner: &str) -> Cow<'_, str> {
    match serde_json::from_str::<String>(&format!("\"{inner}\"")) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(inner),
    }
}
