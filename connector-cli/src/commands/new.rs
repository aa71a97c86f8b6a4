//! `connector new`: begins a connector.

use std::path::PathBuf;

use connector_sdk::{Error, Result};
use serde_json::json;

use crate::{
    args::NewArgs,
    output::{Exit, Output, harmless},
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
        (None, Some(address)) => Sdk::repository(address)?,
        (None, None) => {
            let message = "the SDK is not published yet, so that its names in a registry may be anybody's: give \
                           `--sdk DIR`, a checkout of it, or `--sdk-git URL`, a repository";
            return Err(Error::config("new", message));
        }
    };
    let folder = args.path.clone().unwrap_or_else(|| PathBuf::from(name.package()));
    let Some(shown) = folder.to_str() else {
        return Err(Error::config("new", format!("`--path`: `{}` is not UTF-8", folder.display())));
    };
    let files = scaffold::write(&folder, &name, &sdk)?;
    let id = format!("{}/{}", name.system(), args.method);
    let document = json!({ "name": name.package(), "connector": id, "path": shown, "files": files });
    output.result(&document, || {
        // A line break in it would make another command of it.
        let folder = harmless(shown).replace('\n', " ");
        format!(
            "{} is in {folder}: {} files, the connector `{id}`\n\n  cd {folder}\n  cargo test\n\nREADME.md says \
             what to change.\n",
            name.package(),
            files.len(),
        )
    })?;
    Ok(Exit::Done)
}
