//! Names from outside, on the real file system: they stay below the folder, and apart from each other.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use connector_bronze::{Bronze, BronzeConfig, Format};
use connector_sdk::{Context, Emit};

use crate::support::*;

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder_or_into_another_stream() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("bronze");
    let bronze = Bronze::new(BronzeConfig::new(&root, Format::Jsonl));
    let long = "n".repeat(400);
    let names = [
        "..",
        ".",
        "",
        "../../x",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "C:\\x",
        "_commits",
        "_pending",
        ".hidden",
        "x.tmp",
        "CON",
        "nul.txt",
        "ends.",
        "ends ",
        "Ünï 日本",
        "line\nbreak",
        "nul\0byte",
        "%2E%2E",
        "a=b",
        "*?\"<>|",
        &long,
    ];
    for name in names {
        let cx = Context::builder(name, name).clock(clock()).build();
        let mut opening = opening(1);
        (opening.lease.tenant, opening.header.tenant) = (name.into(), name.into());
        (opening.lease.connection, opening.header.connection) = (name.into(), name.into());
        (opening.lease.stream, opening.header.stream) = (name.into(), name.into());
        let lease = opening.lease.clone();
        bronze.open(&cx, opening).await.unwrap();
        let mut builder = connector_sdk::record::BatchBuilder::new(name.into());
        builder.upsert(b"{\"Id\":1}", b"{\"Id\":1}", None);
        let batch = sequenced(builder, name, 1);
        bronze.emit(&cx, batch.clone()).await.unwrap();
        bronze.commit(&cx, &lease, &[commit(&[&batch])]).await.unwrap();
        bronze.close(&cx, &name.into()).await.unwrap();
        for stream in [None, Some(name.into())] {
            let lines: Vec<String> = bronze
                .records(&name.into(), &name.into(), stream.as_ref(), None)
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert_eq!(lines.len(), 1, "{name:?}");
            let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
            assert_eq!((&line["stream"], &line["partition"]), (&name.into(), &name.into()));
        }
    }
    let outside: Vec<_> =
        std::fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(outside, ["bronze"]);
    let data: BTreeSet<PathBuf> = files_below(&root)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    assert_eq!(data.len(), names.len());
    for path in data {
        let depth = path.strip_prefix(&root).unwrap().components().count();
        assert_eq!(depth, 5, "tenant, connection, stream, day, file: {}", path.display());
    }
}
