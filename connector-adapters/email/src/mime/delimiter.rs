//! Lines between parts (RFC 2046 §5.1.1).

use memchr::memmem;

/// A delimiter that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiter {
    /// Where its line begins.
    pub(super) line: usize,
    /// Where the next line begins.
    pub(super) after: usize,
    /// Which of the open boundaries it is.
    pub(super) level: usize,
    /// `--boundary--`
    pub(super) closing: bool,
}

impl Delimiter {
    /// Where the body before it ends: the line break in front of a delimiter belongs to the delimiter.
    pub(super) fn body_end(&self, data: &[u8], start: usize) -> usize {
        let before = &data[start.min(self.line)..self.line];
        let before = before.strip_suffix(b"\n").unwrap_or(before);
        let before = before.strip_suffix(b"\r").unwrap_or(before);
        start.min(self.line) + before.len()
    }
}

/// What the line at `at`, which begins with `--`, delimits, the innermost boundary first. A line that is nothing but a
/// boundary goes before one that goes on after white space, which RFC 2046 §5.1.1 lets pass too: a boundary may be the
/// beginning of another.
pub(super) fn at<'b>(
    data: &[u8],
    at: usize,
    boundaries: impl DoubleEndedIterator<Item = (usize, Option<&'b [u8]>)>,
) -> Option<Delimiter> {
    let rest = data.get(at..)?.strip_prefix(b"--")?;
    let mut padded = None;
    for (level, boundary) in boundaries.rev() {
        let Some(tail) = boundary.and_then(|boundary| rest.strip_prefix(boundary)) else { continue };
        let (closing, tail) = match tail.strip_prefix(b"--") {
            Some(tail) => (true, tail),
            None => (false, tail),
        };
        let start = data.len() - tail.len();
        let padding =
            tail.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).unwrap_or(tail.len());
        match tail.get(padding) {
            Some(b'\n') => return Some(Delimiter { line: at, after: start + padding + 1, level, closing }),
            None => return Some(Delimiter { line: at, after: data.len(), level, closing }),
            Some(_) if padding > 0 && padded.is_none() => {
                let after = memchr::memchr(b'\n', tail).map_or(data.len(), |end| start + end + 1);
                padded = Some(Delimiter { line: at, after, level, closing });
            }
            Some(_) => {}
        }
    }
    padded
}

/// The next line from `from` on, itself the beginning of a line, for which `check` finds a delimiter.
pub(super) fn next(
    data: &[u8],
    from: usize,
    check: impl Fn(usize) -> Option<Delimiter>,
) -> Option<Delimiter> {
    let rest = data.get(from..)?;
    if rest.starts_with(b"--")
        && let Some(found) = check(from)
    {
        return Some(found);
    }
    memmem::find_iter(rest, b"\n--").find_map(|at| check(from + at + 1))
}
