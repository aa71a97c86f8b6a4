//! The crash sweep: processes die at each named point, on a disk that forgets, tears, fails and runs full, and nothing
//! is lost, nothing stands twice (rules D-01, D-02, D-06, D-21, D-22).
//!
//! `SWEEP_SEEDS=1000 cargo nextest run -p connector-testkit --run-ignored all -E 'test(the_crash_sweep_at_length)'` sweeps
//! as long as one likes.

mod life;
mod truth;
mod vendor;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use life::{Life, Story};

/// What only a recovery passes is reached by a death at one of these before.
const FIRST_DEATHS: [&str; 5] =
    ["writer.committed", "bronze.logged", "bronze.published_one", "bronze.drafted", "bronze.file_synced"];

/// The deaths that come before the point can be passed, and how often it is passed then.
struct Way {
    life: Life,
    times: u64,
}

/// How often the ways are looked for. Threads take turns as they like: one look in a hundred misses a point.
const LOOKS: usize = 4;

/// For each point that this seed can reach, a way to it; the shortest one wins.
fn ways(seed: u64, named: &BTreeSet<String>) -> BTreeMap<String, Way> {
    let mut ways = BTreeMap::new();
    for _ in 0..LOOKS {
        look(seed, &mut ways);
        if named.iter().all(|point| ways.contains_key(point)) {
            break;
        }
    }
    ways
}

fn look(seed: u64, ways: &mut BTreeMap<String, Way>) {
    let mut explore = |life: Life| {
        let Story { passed, deaths, .. } = life.live();
        assert_eq!(deaths, life.deaths.len(), "a death did not come: {life:?}");
        for (point, times) in passed {
            ways.entry(point.to_owned()).or_insert_with(|| Way { life: life.clone(), times });
        }
    };
    explore(Life { seed, long: false, calm: true, deaths: Vec::new() });
    for point in FIRST_DEATHS {
        explore(Life { seed, long: false, calm: true, deaths: vec![(point.to_owned(), 1 + seed % 3)] });
    }
    explore(Life { seed, long: true, calm: true, deaths: Vec::new() });
}

/// All names of points in the product's source.
fn named() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut names = BTreeSet::new();
    let mut folders = vec![root.join("connector-host/src"), root.join("connector-adapters/bronze/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for rest in text.split("crash::point(\"").skip(1) {
                let name = rest.split('"').next().unwrap().to_owned();
                assert!(names.insert(name.clone()), "{name} is the name of two points");
            }
        }
    }
    names
}

/// Dies at each point, once in each seed.
fn sweep(seeds: std::ops::Range<u64>) {
    let named = named();
    assert!(named.len() >= 60, "{} points", named.len());
    let (mut lives, mut deaths, mut processes, mut faults, mut missed) = (0, 0, 0, 0, 0);
    for seed in seeds.clone() {
        let ways = ways(seed, &named);
        let reached: BTreeSet<String> = ways.keys().cloned().collect();
        let unreached: Vec<_> = named.difference(&reached).collect();
        assert!(unreached.is_empty(), "no life of seed {seed} passes {unreached:?}");
        for (point, Way { mut life, times }) in ways {
            // One of its passings, by the seed.
            let mixed =
                seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (point.len() as u64).wrapping_mul(0xbf58_476d);
            life.deaths.push((point, 1 + mixed % times));
            life.calm = false;
            let story = life.live();
            lives += 1;
            processes += story.processes;
            deaths += story.deaths;
            faults += story.disk_faults;
            // Threads take turns as they like: the last passing may not come the second time.
            missed += life.deaths.len() - story.deaths;
        }
    }
    println!(
        "crash sweep: {} points x {} seeds: {lives} lives, {processes} processes, {deaths} deaths, {faults} runs \
         ended by the disk, {missed} deaths that did not come",
        named.len(),
        seeds.end - seeds.start
    );
    assert!(missed * 20 <= lives, "{missed} of {lives} deaths did not come");
    // How many a seed has is drawn, and two seeds are few.
    let fewest = if seeds.end - seeds.start < 5 { 1 } else { lives / 10 };
    assert!(faults >= fewest, "only {faults} runs were ended by the disk");
}

// Twenty seeds in ten tests, which a runner can share out.

#[test]
fn d_02_the_crash_sweep_01_of_10() {
    sweep(0..2);
}

#[test]
fn d_02_the_crash_sweep_02_of_10() {
    sweep(2..4);
}

#[test]
fn d_02_the_crash_sweep_03_of_10() {
    sweep(4..6);
}

#[test]
fn d_02_the_crash_sweep_04_of_10() {
    sweep(6..8);
}

#[test]
fn d_02_the_crash_sweep_05_of_10() {
    sweep(8..10);
}

#[test]
fn d_02_the_crash_sweep_06_of_10() {
    sweep(10..12);
}

#[test]
fn d_02_the_crash_sweep_07_of_10() {
    sweep(12..14);
}

#[test]
fn d_02_the_crash_sweep_08_of_10() {
    sweep(14..16);
}

#[test]
fn d_02_the_crash_sweep_09_of_10() {
    sweep(16..18);
}

#[test]
fn d_02_the_crash_sweep_10_of_10() {
    sweep(18..20);
}

#[test]
#[ignore = "as long as one likes: SWEEP_SEEDS"]
fn d_02_the_crash_sweep_at_length() {
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    let seeds = std::env::var("SWEEP_SEEDS").map_or(1_000, |seeds| seeds.parse().unwrap());
    sweep(20..20 + seeds);
}
