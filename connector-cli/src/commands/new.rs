//! `connector new`: begins a connector.

use std::path::PathBuf;

use connector_sdk::{Error, Result};
use serde_json::json;

use crate::{
    args::NewArgs,
    output::{Exit, Output},
    scaffold::{self, METHODS, Name, Sdk},
};

/// Writes the crate and says what to do with it.
pub(crate) fn new(args: &NewArgs, output: &Output) -> Result<Exit> {
    let name = Name::parse(&args.name)?;
    if !METHODS.contains(&args.method.as_str()) {
        let known = METHODS.map(|method| format!("`{method}`")).join(", ");
        let message = format!("`--method`: there is no method `{}`; known: {known}", args.method);
        return Err(Error::config("new", message));
    }
    let sdk = match (&args.sdk, &args.sdk_git) {
        (Some(folder), _) => Sdk::checkout(folder)?,
        (None, Some(url)) => Sdk::Git(url.clone()),
        (None, None) => Sdk::Published,
    };
    let folder = args.path.clone().unwrap_or_else(|| PathBuf::from(name.package()));
    let files = scaffold::write(&folder, &name, &sdk)?;
    let id = format!("{}/{}", name.system(), args.method);
    let document = json!({ "name": name.package(), "connector": id, "path": folder, "files": files });
    output.result(&document, || {
        let folder = folder.display();
        format!(
            "{} is in {folder}: {} files, the connector `{id}`\n\n  cd {folder}\n  cargo test\n\nREADME.md says \
             what to change.\n",
            name.package(),
            files.len(),
        )
    })?;
    Ok(Exit::Done)
}
