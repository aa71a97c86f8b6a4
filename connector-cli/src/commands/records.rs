//! `connector records`: what stands in Bronze.

use std::io::{self, BufWriter, Write};

use connector_bronze::Bronze;
use connector_sdk::{Error, Result, StreamId};

use crate::{
    args::FileArgs,
    connection::Connection,
    output::{Exit, Output, written},
};

/// Prints one envelope per line, with `--json` too: a line is a document, and there may be millions. What
/// cannot be read is said, and the rest is printed.
pub(crate) async fn records(
    args: &FileArgs,
    streams: &[String],
    limit: Option<usize>,
    output: &Output,
) -> Result<Exit> {
    let connection = Connection::load(args).await?;
    let bronze = Bronze::new(connection.bronze()?);
    let (tenant, name) = (connection.settings.tenant.clone(), connection.settings.connection.clone());
    let mut streams: Vec<Option<StreamId>> = streams.iter().map(|name| Some(name.as_str().into())).collect();
    if streams.is_empty() {
        streams.push(None);
    }
    let printing = tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::new(io::stdout().lock());
        let mut left = limit.map_or(u64::MAX, |limit| u64::try_from(limit).unwrap_or(u64::MAX));
        let mut damage = None;
        for stream in &streams {
            for line in bronze.records(&tenant, &name, stream.as_ref(), Some(left))? {
                match line {
                    Err(error) => {
                        tracing::error!(%error, "a file cannot be read whole");
                        damage.get_or_insert(error);
                    }
                    Ok(line) => {
                        left -= 1;
                        let line: &[u8] = line.as_ref();
                        if !written(out.write_all(line).and_then(|()| out.write_all(b"\n")))? {
                            return Ok(damage);
                        }
                    }
                }
            }
        }
        written(out.flush())?;
        Ok(damage)
    });
    let damage: Option<Error> = printing
        .await
        .map_err(|error| Error::bug("print records", "the work was cut off").with_source(error))??;
    match damage {
        None => Ok(Exit::Done),
        // The records are the result; an error document among them would be taken for one.
        Some(error) => {
            output.complain(&error);
            Ok(Exit::Failed)
        }
    }
}
