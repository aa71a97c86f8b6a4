//! The key that seals, and where it comes from.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::hkdf;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use connector_sdk::{Class, Error, Result, Secret};
use zeroize::Zeroizing;

use crate::registry::Location;

const BYTES: usize = 32;
const FIND: &str = "find seal key";
const VARIABLE: &str = "CONNECTOR_SEAL_KEY";

/// The key that seals the tokens of all tenants; each connection's own key is derived from it.
///
/// ```
/// use connector_host::seal::SealKey;
/// let key = SealKey::parse("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")?;
/// assert_eq!(format!("{key:?}"), "SealKey([secret])");
/// assert!(SealKey::parse("too short").is_err());
/// # Ok::<(), connector_sdk::Error>(())
/// ```
pub struct SealKey(Zeroizing<[u8; BYTES]>);

impl SealKey {
    /// A key of 32 bytes, which must be random.
    #[must_use]
    pub fn new(bytes: [u8; BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A key that nobody knows and that ends with the process: for a registry in memory.
    ///
    /// # Errors
    /// Permanent when the system has no random numbers.
    pub fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        fill_random(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// Reads 32 bytes written as base64 or as 64 hexadecimal digits.
    ///
    /// # Errors
    /// Config when it is neither, or another number of bytes. The text does not repeat the key.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let bytes = if text.len() == 2 * BYTES { unhex(text) } else { unbase64(text) };
        let bytes = Zeroizing::new(bytes.ok_or_else(|| malformed("it is neither"))?);
        let key = <[u8; BYTES]>::try_from(bytes.as_slice());
        key.map(Self::new).map_err(|_| malformed(&format!("it has {} bytes", bytes.len())))
    }

    /// The key for the registry at `location`: the value of the environment variable CONNECTOR_SEAL_KEY if
    /// it is set, else the key file beside the registry, which is made when it is missing.
    ///
    /// # Errors
    /// As [`SealKey::parse`] (the text names the variable) and [`SealKey::load_or_create`].
    pub fn find(variable: Option<&Secret>, location: &Location) -> Result<Self> {
        if let Some(text) = variable {
            return Self::parse(text.expose()).map_err(|error| error.with_context("variable", VARIABLE));
        }
        location.key_file().map_or_else(Self::random, |path| Self::load_or_create(&path))
    }

    /// The key in this file; a new one is made when it is missing, durably and for this user's eyes only.
    /// Processes that do so at once agree on one key.
    ///
    /// # Errors
    /// Config with the context `path` when the file can be read by others, cannot be read by us, or holds no
    /// key; Permanent when a new one cannot be made durable.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        let path = &std::path::absolute(path)
            .map_err(|error| Error::config(FIND, "the path of the key file is empty").with_source(error))?;
        let made = || {
            create(path).map_err(|error| {
                let message =
                    format!("the key file cannot be made: make its folder writable, or set {VARIABLE}");
                Error::new(Class::Permanent, FIND, message).with_source(error)
            })?;
            Self::load(path)?.ok_or_else(|| Error::config(FIND, "the key file has been removed again"))
        };
        let found = Self::load(path).and_then(|key| key.map_or_else(made, Ok));
        found.map_err(|error| error.with_context("path", path.display()))
    }

    fn load(path: &Path) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::config(FIND, "the key file cannot be read").with_source(error)),
        };
        check_mode(&file, path)?;
        let mut text = Zeroizing::new(String::new());
        // A key is a line; what is longer is something else, whatever its size.
        file.take(1024)
            .read_to_string(&mut text)
            .map_err(|error| Error::config(FIND, "the key file cannot be read").with_source(error))?;
        Self::parse(&text).map(Some)
    }

    /// A key for one purpose; parts of different lengths never mean the same.
    pub(super) fn derive(&self, purpose: &[&str]) -> Result<Zeroizing<[u8; BYTES]>> {
        let info: Vec<u8> = framed(purpose);
        let mut key = Zeroizing::new([0; BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"connector seal 1")
            .extract(&*self.0)
            .expand(&[&info], hkdf::HKDF_SHA256)
            .and_then(|material| material.fill(&mut *key))
            .map_err(|error| Error::bug("derive key", "the key cannot be derived").with_source(error))?;
        Ok(key)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey([secret])")
    }
}

/// The parts, each behind its length.
pub(super) fn framed(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.bytes())).collect()
}

fn fill_random(bytes: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(bytes)
        .map_err(|error| Error::permanent(FIND, "the system has no random numbers").with_source(error))
}

fn malformed(found: &str) -> Error {
    let message =
        format!("the key must be 32 bytes, as base64 (44 characters) or as 64 hexadecimal digits: {found}");
    Error::config(FIND, message)
}

/// In either alphabet, with and without padding.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let plain = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    STANDARD_NO_PAD.decode(&*Zeroizing::new(plain)).ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    digits?
        .chunks(2)
        .map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte * 16 + digit)).ok())
        .collect()
}

/// Written whole under another name, then linked: whoever sees the name sees the key, and the first one wins.
fn create(path: &Path) -> std::io::Result<()> {
    let mut random = Zeroizing::new([0; BYTES + 8]);
    aws_lc_rs::rand::fill(&mut *random).map_err(std::io::Error::other)?;
    let (key, name) = random.split_at(BYTES);
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:02x}.tmp", name.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte))));
    let draft = PathBuf::from(draft);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    let line = Zeroizing::new(format!("{}\n", &*Zeroizing::new(STANDARD.encode(key))));
    let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    std::fs::remove_file(&draft)?;
    linked?;
    match path.parent().filter(|_| cfg!(unix)) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file
        .metadata()
        .map_err(|error| Error::config(FIND, "the key file cannot be read").with_source(error))?;
    if mode.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let message = format!("others may read the key file: run `chmod 600 {}`", path.display());
    Err(Error::config(FIND, message))
}

#[cfg(not(unix))]
fn check_mode(_: &File, _: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &SealKey, two: &SealKey) -> bool {
        *one.0 == *two.0
    }

    #[test]
    fn a_key_is_read_as_base64_and_as_hexadecimal() {
        let key = SealKey::new(std::array::from_fn(|n| 255 - n as u8));
        let base64 = STANDARD.encode(*key.0);
        let hex: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let url = base64.replace('+', "-").replace('/', "_");
        for text in
            [&base64, &hex, &hex.to_uppercase(), &url, base64.trim_end_matches('='), &format!(" {base64}\n")]
        {
            assert!(same(&SealKey::parse(text).unwrap(), &key), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let long = "A".repeat(88);
        for text in
            ["", "hunter2", "g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef!", &long, "äöü"]
        {
            let error = SealKey::parse(text).unwrap_err();
            assert_eq!(error.class(), Class::Config);
            assert!(text.is_empty() || !format!("{error:?}").contains(text), "{error:?}");
            assert!(error.to_string().contains("32 bytes"), "{error}");
        }
    }

    #[test]
    fn the_variable_wins_over_the_file_and_its_name_is_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("r.db"));
        let key = SealKey::find(Some(&Secret::from("00".repeat(32).as_str())), &location).unwrap();
        assert!(same(&key, &SealKey::new([0; 32])));
        assert!(!folder.path().join("r.db.key").exists());
        let error = SealKey::find(Some(&Secret::from("")), &location).unwrap_err();
        assert!(error.to_string().contains("CONNECTOR_SEAL_KEY"), "{error}");
    }

    #[test]
    fn a_key_file_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("r.db"));
        let keys: Vec<SealKey> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| SealKey::find(None, &location).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| same(key, &keys[0])));
        assert!(!same(&keys[0], &SealKey::new([0; 32])));
        let files: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, ["r.db.key"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_may_read_is_refused_with_the_command_that_helps() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db.key");
        SealKey::load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = SealKey::load_or_create(&path).unwrap_err();
            assert_eq!(error.class(), Class::Config);
            assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
    }

    #[test]
    fn a_key_file_that_holds_no_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db.key");
        SealKey::load_or_create(&path).unwrap();
        for content in [&b""[..], b"not a key", &[0xff; 40]] {
            std::fs::write(&path, content).unwrap();
            let error = SealKey::load_or_create(&path).unwrap_err();
            assert_eq!(error.class(), Class::Config);
            assert!(error.to_string().contains("r.db.key"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = SealKey::load_or_create(Path::new("/nowhere/at/all/r.db.key")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all/r.db.key"), "{error}");
    }
}
