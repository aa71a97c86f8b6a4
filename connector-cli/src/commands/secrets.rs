//! `connector secrets`: which secrets a template names, and one put in the place of another.

use connector_host::{
    Connectors,
    template::{Template, TemplateSecrets, nearest},
};
use connector_sdk::{
    Error, Result, Secret,
    secret::{pair::present, read_secret},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{FileArgs, RotateArgs},
    connection::{Connection, variables},
    output::{Exit, Output},
    render,
};

/// Lists names and places. What is in no store is listed too, and then the exit status is that of a
/// configuration that does not fit.
pub(crate) async fn list(args: &FileArgs, output: &Output) -> Result<Exit> {
    let secrets = Template::load(&args.file)?.secrets(&variables(args)).await?;
    let mut rows = Vec::new();
    for name in secrets.names() {
        let next = secrets.store().next(name).await?.is_some();
        rows.push((name.to_owned(), secrets.place(name).await?, next));
    }
    let documents: Vec<_> = rows
        .iter()
        .map(|(name, place, next)| json!({ "name": name, "store": place, "next": next }))
        .collect();
    output.result(&json!({ "secrets": documents }), || {
        let rows: Vec<[String; 3]> = rows
            .iter()
            .map(|(name, place, next)| {
                let place = place.clone().unwrap_or_else(|| "in no store".to_owned());
                [name.clone(), if *next { "yes" } else { "no" }.to_owned(), place]
            })
            .collect();
        render::table(["SECRET", "NEXT", "STORE"], &rows)
    })?;
    Ok(if rows.iter().all(|(_, place, _)| place.is_some()) { Exit::Done } else { Exit::Misused })
}

/// Puts another secret in the place of one, where the template finds that one.
pub(crate) async fn rotate(connectors: &Connectors, args: &RotateArgs, output: &Output) -> Result<Exit> {
    let secrets = Template::load(&args.file.file)?.secrets(&variables(&args.file)).await?;
    let (name, store) = (args.name.as_str(), secrets.store());
    let place = known(&secrets, name).await?;
    // Before anything is asked or changed: what ends with this process is no rotation.
    store.writable(name).await?;
    let next = match &args.value_from {
        Some(from) => read(from)?,
        None => store.next(name).await?.ok_or_else(|| {
            Error::config(
                "rotate secret",
                "no next one is there: say where it is, `--value-from @FILE` or `-`",
            )
        })?,
    };
    let signs_in_as = if args.check { Some(check(connectors, args, &next).await?) } else { None };
    if args.value_from.is_some() {
        store.stage(name, &next).await?;
    }
    if !args.stage {
        store.promote(name, &next).await?;
    }
    let outcome = if args.stage { "staged" } else { "promoted" };
    let document = json!({ "name": name, "store": place, "outcome": outcome, "signs_in_as": signs_in_as });
    output.result(&document, || {
        let checked = signs_in_as.as_ref().map(|who| format!("it signs in as {who}\n")).unwrap_or_default();
        let done = if args.stage {
            "it is the next one, and takes the place of the other when the vendor refuses that"
        } else {
            "it has taken the place of the other"
        };
        format!("{checked}{place}: {done}\n")
    })?;
    Ok(Exit::Done)
}

/// Where the secret of that name is.
async fn known(secrets: &TemplateSecrets, name: &str) -> Result<String> {
    let refused = |what: String| Error::config("rotate secret", what);
    if !secrets.names().any(|known| known == name) {
        let near = nearest(name, secrets.names());
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(refused(format!("the template names no secret `{name}`{hint}")));
    }
    let missing = || refused(format!("no store holds `{name}`: put the first one there yourself"));
    secrets.place(name).await?.ok_or_else(missing)
}

/// Signs in with it, and says as whom.
///
/// What the vendor gives for it is kept, as always. A refresh token that changes with each use has a row of
/// its own: that of the token in use stays as it is, and this one's waits until the secret is promoted, so that
/// a refused check costs neither, and one that is only staged is not spent.
async fn check(connectors: &Connectors, args: &RotateArgs, next: &Secret) -> Result<String> {
    let connection = Connection::load(&args.file).await?.with_secret(&args.name, next.clone());
    let registry = connection.registry().await?;
    let cx = connection.context(Some(&registry), None, CancellationToken::new())?;
    let open = connection.open(connectors, cx).await?;
    Ok(open.connector.authenticate(&open.cx).await?.subject)
}

/// A secret from a file or standard input, less one line break at its end.
fn read(from: &str) -> Result<Secret> {
    let refused = |what| Error::config("rotate secret", what);
    let read = match from.strip_prefix('@') {
        // Other users see the arguments of a process. Who put the secret there finds it in no message.
        None if from != "-" => {
            return Err(refused("`--value-from` takes `@FILE`, or `-` for standard input".to_owned()));
        }
        // A pipe too, as a shell makes it of `<(…)`.
        Some(path) => std::fs::File::open(path).and_then(|file| read_secret(file, None)),
        None => read_secret(std::io::stdin().lock(), None),
    };
    let secret = read.map_err(|error| refused(format!("cannot read `{from}`: {error}")))?;
    present(Some(secret)).ok_or_else(|| refused(format!("`{from}` is empty")))
}
