//! What must be so, whatever has died: Bronze, the registry and the vendor against each other.

use std::collections::{BTreeMap, BTreeSet};

use connector_sdk::StreamState;
use serde_json::Value;

use super::{
    life::{Life, World},
    vendor::TOO_LARGE,
};

/// What stands in Bronze of a record.
#[derive(Debug)]
struct Line {
    partition: String,
    epoch: u64,
    generation: u64,
    sequence: u64,
    operation: String,
    id: u64,
    record: Value,
}

fn lines(world: &World, stream: &str, life: &Life) -> Vec<Line> {
    let records = world.bronze().records(&"acme".into(), &"crm".into(), Some(&stream.into()), None).unwrap();
    records
        .map(|line| {
            let line = line.unwrap_or_else(|error| panic!("{stream} cannot be read: {error}; {life:?}"));
            let mut value: Value = serde_json::from_str(&line).unwrap();
            let text = |name: &str| value[name].as_str().unwrap().to_owned();
            let number = |name: &str| value[name].as_u64().unwrap();
            Line {
                partition: text("partition"),
                epoch: number("epoch"),
                generation: number("generation"),
                sequence: number("sequence"),
                operation: text("operation"),
                id: value["key"]["id"].as_u64().unwrap_or(u64::MAX),
                record: value["record"].take(),
            }
        })
        .collect()
}

/// What the vendor was told to forget stands in Bronze, at any moment.
pub(super) fn nothing_forgotten_is_lost(world: &World, life: &Life) {
    let standing: BTreeSet<u64> = lines(world, "queue", life).into_iter().map(|line| line.id).collect();
    let books = world.vendor.books();
    for (partition, kept) in &books.queue {
        let first = if partition.as_str() == "q0" { 0 } else { 1_000 };
        for id in (first..kept.start).filter(|id| !books.large.contains(id)) {
            assert!(
                standing.contains(&id),
                "the vendor has forgotten {id}, and Bronze has not got it: {life:?}"
            );
        }
    }
}

/// In the end everything stands once, numbered without a gap; registry and Bronze agree; nothing is left over.
pub(super) fn whole(world: &World, life: &Life) {
    let streams: &[&str] = if life.long { &["table"] } else { &["queue", "table", "windows"] };
    for stream in streams {
        let lines = lines(world, stream, life);
        let last = gapless(stream, &lines, life);
        agrees_with_registry(world, stream, &last, life);
        match *stream {
            "queue" => queue(world, &lines, life),
            "windows" => windows(world, &lines, life),
            _ => table(world, &lines, life),
        }
    }
    let left: Vec<_> = world.disk.files().into_iter().filter(|file| file.contains("/_pending/")).collect();
    assert!(left.is_empty(), "left over: {left:?}; {life:?}");
}

/// After each act: what the next full read would heal is no excuse.
pub(super) fn table_is_whole(world: &World, life: &Life) {
    table(world, &lines(world, "table", life), life);
}

/// Rule D-06: in each partition and epoch the numbers follow each other. A new epoch goes on with the numbers, or begins
/// anew where the partition had been folded. Answers the last number of each partition.
fn gapless(stream: &str, lines: &[Line], life: &Life) -> BTreeMap<String, u64> {
    let mut numbers: BTreeMap<(&str, u64), Vec<u64>> = BTreeMap::new();
    for line in lines {
        numbers.entry((&line.partition, line.epoch)).or_default().push(line.sequence);
    }
    let mut last = BTreeMap::new();
    for ((partition, epoch), mut found) in numbers {
        found.sort_unstable();
        let before = last.get(partition).copied().unwrap_or(0);
        let first = if found.first() == Some(&1) { 1 } else { before + 1 };
        let expected: Vec<u64> = (first..first + found.len() as u64).collect();
        assert_eq!(found, expected, "{stream}/{partition} of epoch {epoch}: a gap or a repeat; {life:?}");
        last.insert(partition.to_owned(), first + found.len() as u64 - 1);
    }
    last
}

fn agrees_with_registry(world: &World, stream: &str, last: &BTreeMap<String, u64>, life: &Life) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let load = async { world.registry.load(&"acme".into(), &"crm".into(), &stream.into()).await };
    let state: StreamState = runtime.block_on(load).unwrap();
    for (partition, known) in &state.partitions {
        let in_bronze = last.get(partition.as_str()).copied().unwrap_or(0);
        assert_eq!(known.sequence, in_bronze, "{stream}/{partition}: registry and Bronze differ; {life:?}");
    }
}

fn ids_once<'a>(what: &str, lines: impl Iterator<Item = &'a Line>, life: &Life) -> BTreeSet<u64> {
    let mut ids = BTreeSet::new();
    for line in lines {
        assert!(ids.insert(line.id), "{what}: {} stands twice; {life:?}", line.id);
    }
    ids
}

fn queue(world: &World, lines: &[Line], life: &Life) {
    let books = world.vendor.books();
    let ids = ids_once("queue", lines.iter(), life);
    let mut expected = BTreeSet::new();
    for (partition, kept) in &books.queue {
        expected.extend(if partition.as_str() == "q0" { 0..kept.end } else { 1_000..kept.end });
        assert_eq!(
            kept.start, kept.end,
            "the vendor was not told of all that is durable: {partition}; {life:?}"
        );
    }
    let large: BTreeSet<u64> = expected.intersection(&books.large).copied().collect();
    assert_eq!(ids, &expected - &large, "queue; {life:?}");
    for line in lines {
        assert_eq!(
            line.record.get("tag").is_some(),
            books.tagged(line.id),
            "a field was lost or invented; {life:?}"
        );
    }
    assert_eq!(letters(world), large.len(), "dead letters; {life:?}");
}

/// Records of the queue among the dead letters.
fn letters(world: &World) -> usize {
    let files = world.disk.files();
    let letters = files.iter().filter(|file| file.contains("/queue/") && file.contains("_dead_letters"));
    let mut found = 0;
    for file in letters {
        for line in world.disk.read_text(file).unwrap().lines() {
            assert!(line.len() > TOO_LARGE);
            found += 1;
        }
    }
    found
}

fn windows(world: &World, lines: &[Line], life: &Life) {
    let all: BTreeSet<u64> = (0..world.vendor.books().windows).collect();
    let now = lines.iter().filter(|line| line.epoch == 1 && line.operation != "reset");
    assert_eq!(ids_once("windows, after the reset", now, life), all, "windows; {life:?}");
    let before = ids_once("windows, before the reset", lines.iter().filter(|line| line.epoch == 0), life);
    let then: BTreeSet<u64> = (0..world.vendor.books().windows_before_reset).collect();
    assert_eq!(before, then, "windows before the reset; {life:?}");
    // Each partition that was read again says first, once, that what was read before is void.
    for partition in
        lines.iter().filter(|line| line.epoch == 1).map(|line| &line.partition).collect::<BTreeSet<_>>()
    {
        let mut of = lines.iter().filter(|line| line.epoch == 1 && line.partition == *partition);
        let first = of.clone().min_by_key(|line| line.sequence);
        assert_eq!(first.map(|line| line.operation.as_str()), Some("reset"), "{partition}; {life:?}");
        assert_eq!(of.by_ref().filter(|line| line.operation == "reset").count(), 1, "{partition}; {life:?}");
    }
}

fn table(world: &World, lines: &[Line], life: &Life) {
    let mut seen = BTreeSet::new();
    let mut newest: BTreeMap<u64, &Line> = BTreeMap::new();
    for line in lines {
        let place = (line.generation, line.operation == "delete", line.id);
        assert!(seen.insert(place), "table: {place:?} stands twice; {life:?}");
        let rank = |line: &Line| (line.generation, line.operation == "delete");
        let entry = newest.entry(line.id).or_insert(line);
        if rank(line) > rank(entry) {
            *entry = line;
        }
    }
    let alive: BTreeMap<u64, u64> = newest
        .into_iter()
        .filter(|(_, line)| line.operation != "delete")
        .map(|(id, line)| {
            let body = line.record["body"].as_str().unwrap();
            (id, body.split(' ').nth(1).unwrap().parse().unwrap())
        })
        .collect();
    assert_eq!(alive, world.vendor.books().table, "table; {life:?}");
}
