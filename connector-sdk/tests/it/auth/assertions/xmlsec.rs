//! xmlsec1, which nobody here wrote: it verifies signatures, and signs what we would not.

use std::{fs, path::Path, process::Command};

use super::super::key_file;

/// Where an id stands in an assertion, which XML without a schema does not say.
const ID: [&str; 2] = ["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"];

/// What it calls itself, where it is installed (Debian: xmlsec1).
fn version() -> Option<String> {
    let done = Command::new("xmlsec1").arg("--version").output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Whether it is installed. Where everything has to be checked, it has to be.
#[allow(clippy::print_stdout, reason = "a test that does nothing has to say so")]
pub(super) fn is_there() -> bool {
    let found = version().is_some();
    #[allow(clippy::disallowed_methods, reason = "a test's own environment")]
    let must_be = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found || !must_be, "xmlsec1 is missing: apt-get install xmlsec1");
    if !found {
        println!("skipped: xmlsec1 is missing");
    }
    found
}

fn run(arguments: &[&str], document: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.xml"), folder.path().join("out.xml"));
    fs::write(&input, document).unwrap();
    // From 1.3 on it uses a key that the document does not name only when told so.
    let is_old = version().is_some_and(|version| version.contains(" 1.2."));
    let search: &[&str] = if is_old { &[] } else { &["--lax-key-search"] };
    let done = Command::new("xmlsec1")
        .args([arguments, search, &ID].concat())
        .arg("--output")
        .arg(&output)
        .arg(&input)
        .output()
        .unwrap();
    done.status.success().then(|| fs::read_to_string(&output).unwrap_or_default())
}

fn path(name: &str) -> String {
    Path::to_str(&key_file(name)).unwrap().to_owned()
}

/// Whether the signature is that of this public key.
pub(super) fn verifies(document: &str, public_key: &str) -> bool {
    run(&["--verify", "--enabled-key-data", "rsa", "--pubkey-pem", &path(public_key)], document).is_some()
}

/// Whether the signature is that of the certificate in the document, which this authority vouches for.
pub(super) fn verifies_by_certificate(document: &str, authority: &str) -> bool {
    run(&["--verify", "--enabled-key-data", "x509", "--trusted-pem", &path(authority)], document).is_some()
}

/// The document with digest and signature made anew by our own key.
pub(super) fn signed(document: &str) -> String {
    let signed = run(&["--sign", "--privkey-pem", &path("client.pem")], document).unwrap();
    let root = signed.strip_prefix("<?xml version=\"1.0\"?>\n").unwrap_or(&signed);
    root.trim_end().to_owned()
}
