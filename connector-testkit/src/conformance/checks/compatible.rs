//! That a release keeps what the last one promised.

use std::path::Path;

use connector_sdk::{Catalog, StreamId};

use super::super::{
    Begin, Bench, Failure, Held, Outcome, World,
    failure::ensure,
    snapshot::{Snapshot, broken_catalog, broken_config},
};

/// How to take what is there for what is promised.
const UPDATE: &str = "CONNECTOR_SNAPSHOT=update writes it anew";

pub(crate) async fn c_44_what_fitted_the_last_release_fits_this_one(begin: Begin, seed: u64) -> Outcome {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let Some(folder) = bench.fixture.snapshot() else { return Ok(Held::but("no hook `snapshot`")) };
    let old = Snapshot::read(&folder).map_err(|came| unreadable(&folder, came))?;
    let names: Vec<StreamId> = old.catalog.streams.iter().map(|stream| stream.name.clone()).collect();
    let mut broken = broken_config(&old.config, bench.fixture.factory().config_schema().as_value());
    broken.extend(broken_catalog(&old.catalog, &catalog(&bench, &names).await?));
    let expected = format!("what fits {} fits still ({UPDATE})", folder.display());
    ensure(broken.is_empty(), expected, || broken.join("; "))?;
    Ok(Held::default())
}

/// Writes what there is now, for the next release to keep. Answers whether there is a folder for it.
pub(in super::super) async fn write_snapshot(begin: Begin, seed: u64) -> Result<bool, Failure> {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let Some(folder) = bench.fixture.snapshot() else { return Ok(false) };
    let mut names = vec![StreamId::from(bench.fixture.stream())];
    names.extend(bench.fixture.other().map(|other| StreamId::from(other.stream)));
    let config = bench.fixture.factory().config_schema().as_value().clone();
    let snapshot = Snapshot { config, catalog: catalog(&bench, &names).await? };
    snapshot.write(&folder).map_err(|came| unreadable(&folder, came))?;
    Ok(true)
}

async fn catalog(bench: &Bench, names: &[StreamId]) -> Result<Catalog, Failure> {
    let catalog = bench.connector.discover(&bench.cx, Some(names)).await;
    catalog.map_err(|error| Failure::new("discover answers", error.to_string()))
}

fn unreadable(folder: &Path, came: String) -> Failure {
    Failure::new(format!("a snapshot in {} ({UPDATE})", folder.display()), came)
}
