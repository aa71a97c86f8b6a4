//! A connector to begin with: the files of `templates/rest`, under another name.
//!
//! The templates are a crate that compiles as it stands, so names in them are stand-ins, not markup:
//! `connector-example-desk` is the package, `example-desk` the vendor. A test writes the crate somewhere else and runs
//! its suite.

mod folder;
mod name;
mod sdk;
#[cfg(test)]
mod tests;

use std::path::Path;

use connector_sdk::Result;

use folder::Folder;
pub(crate) use name::Name;
pub(crate) use sdk::Sdk;

/// The ways to talk to a vendor that there is a template for.
pub(crate) const METHODS: [&str; 1] = ["rest"];

/// The template's own names.
const PACKAGE: &str = "connector-example-desk";
const LIBRARY: &str = "connector_example_desk";
const SYSTEM: &str = "example-desk";

/// Cargo takes each folder with a `Cargo.toml` for a package of its own, so here it has another name.
const MANIFEST: &str = include_str!("../../templates/rest/manifest.toml");

/// Where each file goes, and what is in it.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", MANIFEST),
    (".gitignore", include_str!("../../templates/rest/gitignore")),
    ("README.md", include_str!("../../templates/rest/README.md")),
    ("connection.yaml", include_str!("../../templates/rest/connection.yaml")),
    ("rustfmt.toml", include_str!("../../templates/rest/rustfmt.toml")),
    ("src/lib.rs", include_str!("../../templates/rest/src/lib.rs")),
    ("src/api.rs", include_str!("../../templates/rest/src/api.rs")),
    ("src/config.rs", include_str!("../../templates/rest/src/config.rs")),
    ("src/connector.rs", include_str!("../../templates/rest/src/connector.rs")),
    ("src/fault.rs", include_str!("../../templates/rest/src/fault.rs")),
    ("src/tickets.rs", include_str!("../../templates/rest/src/tickets.rs")),
    ("examples/connector.rs", include_str!("../../templates/rest/examples/connector.rs")),
    ("examples/vendor.rs", include_str!("../../templates/rest/examples/vendor.rs")),
    ("tests/conformance.rs", include_str!("../../templates/rest/tests/conformance.rs")),
];

/// Writes the crate: a new folder, or one that is empty so far. All of it is written, or nothing. Answers the files,
/// as paths in the folder.
///
/// # Errors
/// Config when there is something at the path already, or the SDK's `Cargo.lock` is none; Permanent when a file cannot
/// be read or written.
pub(crate) fn write(path: &Path, name: &Name, sdk: &Sdk) -> Result<Vec<&'static str>> {
    let lock = sdk.lock()?;
    let stand_ins = stand_ins(name, sdk);
    let folder = Folder::begin(path, name.package())?;
    let mut written = Vec::new();
    for (file, text) in FILES {
        folder.put(file, replaced(text, &stand_ins).as_bytes())?;
        written.push(*file);
    }
    if let Some(lock) = lock {
        folder.put("Cargo.lock", &lock)?;
        written.push("Cargo.lock");
    }
    folder.finish()?;
    Ok(written)
}

/// What stands in the template, and what comes in its place. The longer names first: they hold the shorter.
fn stand_ins(name: &Name, sdk: &Sdk) -> Vec<(String, String)> {
    let dependency = |krate: &&str| (format!("{krate} = \"0.0\""), sdk.dependency(krate));
    let names = [(PACKAGE, name.package()), (LIBRARY, &name.library()), (SYSTEM, name.system())];
    let names = names.map(|(stand_in, text)| (stand_in.to_owned(), text.to_owned()));
    sdk::CRATES.iter().map(dependency).chain(names).collect()
}

/// The text with everything replaced, once from left to right: what is put in may look like a stand-in, and stays.
fn replaced(text: &str, stand_ins: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let found =
            stand_ins.iter().find_map(|(stand_in, by)| Some((by, rest.strip_prefix(stand_in.as_str())?)));
        rest = if let Some((by, after)) = found {
            out.push_str(by);
            after
        } else {
            out.push(next);
            rest.get(next.len_utf8()..).unwrap_or_default()
        };
    }
    out
}
