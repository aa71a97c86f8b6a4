//! The one place that takes a secret in from a file or a pipe.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind, Read},
    path::Path,
};

use zeroize::Zeroizing;

use super::Secret;
use crate::{Error, Result};

/// No secret is this long; what is, is not the file that was meant.
const LARGEST: usize = 1 << 20;

/// Where nobody knows how long it will be.
const EXPECTED: usize = 4 << 10;

/// The text that this gives, less one line break at its end (`\n` or `\r\n`): editors and `echo` put one
/// there, and who means one writes two. It may be empty.
///
/// It is read into one allocation where it has the expected length, and what has to be left behind is wiped.
///
/// ```
/// use connector_sdk::secret::read_secret;
/// assert_eq!(read_secret(&b"hunter2\n"[..], None).unwrap().expose(), "hunter2");
/// ```
///
/// # Errors
/// [`ErrorKind::FileTooLarge`] beyond 1 MiB; [`ErrorKind::InvalidData`] when it is no UTF-8; as reading.
pub fn read_secret(mut from: impl Read, expected: Option<u64>) -> io::Result<Secret> {
    let expected = expected.and_then(|length| usize::try_from(length).ok()).unwrap_or(EXPECTED);
    // One more, so that the end is seen without another allocation.
    let mut text = Zeroizing::new(vec![0; expected.min(LARGEST) + 1]);
    let mut length = 0;
    loop {
        if length > LARGEST {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than any secret (1 MiB)"));
        }
        if length == text.len() {
            let mut larger = Zeroizing::new(vec![0; (2 * length).min(LARGEST + 1)]);
            for (to, from) in larger.iter_mut().zip(text.iter()) {
                *to = *from;
            }
            text = larger;
        }
        match from.read(text.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    text.truncate(length);
    for end in [b'\n', b'\r'] {
        if text.last() != Some(&end) {
            break;
        }
        text.pop();
    }
    String::from_utf8(std::mem::take(&mut *text)).map(Secret::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        io::Error::new(ErrorKind::InvalidData, "it is no text in UTF-8")
    })
}

/// The text of a file, as [`read_secret`]; none where there is no such file. One that others than its owner
/// may read is refused when `is_private` says that its text is nobody else's affair: whoever has read it has
/// the secret. A pipe or a device is refused without being opened, because opening may wait for ever.
///
/// # Errors
/// Config when it is no regular file, cannot be read, is larger than 1 MiB, is no UTF-8, or may be read by
/// others. It names the file.
pub fn read_secret_file(path: &Path, is_private: impl FnOnce(&Secret) -> bool) -> Result<Option<Secret>> {
    let refused = |why: &str| Error::config("secret", format!("{}: {why}", path.display()));
    let failed = |error: io::Error| refused(&format!("cannot be read: {error}"));
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(refused("is not a regular file")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Of the open file, not of the path, which may name another by now.
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(refused("is not a regular file"));
    }
    let secret = read_secret(file, Some(metadata.len())).map_err(failed)?;
    if is_open_to_others(&metadata) && is_private(&secret) {
        return Err(refused(&format!("group or others may read it: run `chmod 600 {}`", quoted(path))));
    }
    Ok(Some(secret))
}

#[cfg(unix)]
fn is_open_to_others(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

/// Elsewhere the rights of a file are no bits; the folder's own have to do.
#[cfg(not(unix))]
fn is_open_to_others(_: &Metadata) -> bool {
    false
}

/// As a shell reads it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, and after each a signal.
    struct Slow<'a>(&'a [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            self.0.read(to.get_mut(..1).unwrap())
        }
    }

    #[test]
    fn one_line_break_is_taken_off_and_no_more() {
        for (text, expected) in [
            ("", ""),
            ("\n", ""),
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\r", "a\r"),
            ("a\n\n", "a\n"),
            ("a\n\r\n", "a\n"),
            (" a \n", " a "),
        ] {
            for expected_length in [None, Some(0), Some(1), Some(u64::MAX)] {
                let secret = read_secret(Slow(text.as_bytes(), false), expected_length).unwrap();
                assert_eq!(secret.expose(), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn a_text_of_any_length_up_to_the_largest_is_whole_and_a_longer_one_is_refused() {
        for length in [4095, 4096, 4097, 10_000, LARGEST] {
            let text = vec![b'x'; length];
            for expected in [None, Some(0), Some(length as u64)] {
                assert_eq!(read_secret(&text[..], expected).unwrap().expose().len(), length);
            }
        }
        let text = vec![b'x'; LARGEST + 1];
        for expected in [None, Some(u64::MAX)] {
            let error = read_secret(&text[..], expected).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        }
        assert_eq!(read_secret(io::repeat(b'x'), None).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read_secret(&b"\xff"[..], None).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
