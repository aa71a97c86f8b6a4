//! A life: a connection that is run again and again, while its processes die where they are told to.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use connector_bronze::{Bronze, BronzeConfig, Format};
use connector_host::{
    Registry,
    registry::{MemoryRegistry, StreamKey},
    report::{RunReport, RunStatus},
    run::{self, Job, Quiet, RunOptions, StreamChoice},
};
use connector_sdk::{Context, Manifest, SyncMode, crash::Script};
use connector_testkit::{
    clock::ManualClock,
    disk::{Crash, MemoryDisk, Plan},
};
use futures_util::FutureExt;

use super::{truth, vendor::Vendor};

/// Runs that one act may need: those that die, those that a disk fault ends, those that the vendor fails.
const TRIES: usize = 12;

/// What is to happen.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) seed: u64,
    /// Long enough for the commit log to be folded; otherwise of all kinds of streams.
    pub(super) long: bool,
    /// The disk does what it should, as long as nobody dies.
    pub(super) calm: bool,
    /// Where the processes die, one after the other: the point, and at which of its passings, from 1.
    pub(super) deaths: Vec<(String, u64)>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// How often each point was passed since the last death.
    pub(super) passed: BTreeMap<&'static str, u64>,
    /// Deaths there were.
    pub(super) deaths: usize,
    /// Processes there were.
    pub(super) processes: usize,
    /// Runs that a fault of the disk has ended.
    pub(super) disk_faults: usize,
    /// One of the runs had a disk that fails.
    was_faulty: bool,
}

/// All that outlives a process.
pub(super) struct World {
    pub(super) vendor: Vendor,
    pub(super) disk: MemoryDisk,
    pub(super) registry: Arc<dyn Registry>,
    clock: ManualClock,
    /// For the keys of full reads, which the engine keeps in real files.
    work: tempfile::TempDir,
    format: Format,
}

impl World {
    fn new(life: &Life) -> Self {
        let clock = ManualClock::at("2026-01-31T12:00:00Z".parse().unwrap());
        let memory = std::path::Path::new("/dev/shm");
        let work = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let vendor = Vendor::default();
        {
            let mut books = vendor.books();
            if life.long {
                books.table = (0..135).map(|id| (id, 0)).collect();
                books.table_has_order = true;
            } else {
                books.queue = [("q0".into(), 0..7), ("q1".into(), 1_000..1_000 + 4 + life.seed % 5)].into();
                books.large = [3].into();
                books.table = (0..11 + life.seed % 3).map(|id| (id, 0)).collect();
                books.table_fails_after = Some(2 + life.seed % 2);
                books.windows = 10;
            }
        }
        Self {
            vendor,
            disk: MemoryDisk::default(),
            registry: Arc::new(MemoryRegistry::new(clock.shared())),
            clock,
            work: work.unwrap(),
            format: if life.draw(1).is_multiple_of(4) && !life.long {
                Format::Parquet
            } else {
                Format::Jsonl
            },
        }
    }

    pub(super) fn bronze(&self) -> Bronze {
        Bronze::with_disk(BronzeConfig::new("/bronze", self.format), Arc::new(self.disk.clone()))
    }

    fn job(&self, number: usize, long: bool) -> Job {
        let run = format!("run-{number}");
        let cx = Context::builder("acme", "crm").clock(self.clock.shared()).run(run.as_str().into()).build();
        let choice = |name: &str, mode| StreamChoice { name: name.into(), mode, ..StreamChoice::default() };
        let mut streams = vec![choice("table", Some(SyncMode::Full))];
        if !long {
            streams.extend([choice("queue", None), choice("windows", None)]);
        }
        let mut options = RunOptions::default();
        options.commit_bytes = if long { 1 } else { 600 };
        options.look_ahead = 1_500;
        options.max_record = super::vendor::TOO_LARGE;
        options.work = Some(self.work.path().to_owned());
        options.delete_cap = 1.0;
        Job {
            cx,
            connector: Arc::new(self.vendor.clone()),
            manifest: Manifest::new("sweep", "test", "0.1.0"),
            registry: self.registry.clone(),
            sink: Arc::new(self.bronze()),
            streams: Some(streams),
            options,
            progress: Arc::new(Quiet),
        }
    }

    /// One process: a runtime of its own, which takes its threads along when it ends. None when it dies.
    fn process(&self, script: &Script, number: usize, long: bool) -> Option<RunReport> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = script.enter();
        runtime.block_on(async {
            #[expect(clippy::disallowed_methods, reason = "a test that hangs must end")]
            let run = tokio::time::timeout(Duration::from_secs(60), run::run(self.job(number, long)));
            tokio::select! {
                biased;
                () = script.death() => None,
                report = AssertUnwindSafe(run).catch_unwind() => match report {
                    Ok(report) => Some(report.expect("the run hangs")),
                    Err(_) if script.has_died() => None,
                    Err(panic) => std::panic::resume_unwind(panic),
                },
            }
        })
    }
}

impl Life {
    /// Lives it, and compares what stands with the truth: after each death, and in the end.
    pub(super) fn live(&self) -> Story {
        let world = World::new(self);
        let mut story = Story::default();
        let acts = if self.long { 2 } else { 3 };
        let mut script = self.script(&world, 0);
        for act in 0..acts {
            self.change(&world, act);
            let ended =
                (0..TRIES).find_map(|attempt| self.run_once(&world, &mut story, &mut script, attempt));
            assert!(ended.is_some(), "no run succeeds any more: {self:?}");
            truth::table_is_whole(&world, self);
        }
        // What stands must stand through a power cut.
        world.disk.reboot(Crash::Lost);
        truth::whole(&world, self);
        story
    }

    /// What leads to the death of this number; behind the last one nobody dies.
    fn script(&self, world: &World, death: usize) -> Script {
        let killed = world.disk.clone();
        match self.deaths.get(death) {
            Some((point, number)) => Script::dying_at(point, *number).and_then(move || killed.kill()),
            None => Script::counting(),
        }
    }

    /// One process. Answers when its run has succeeded.
    fn run_once(&self, world: &World, story: &mut Story, script: &mut Script, attempt: usize) -> Option<()> {
        // The run after the last death has a disk that fails too; the one after that has not.
        let faulty = !self.calm && self.deaths.len() == story.deaths && attempt > 0 && !story.was_faulty;
        if faulty {
            story.was_faulty = true;
            world.disk.plan(self.disk_fault(world));
        }
        let report = world.process(script, story.processes, self.long);
        story.processes += 1;
        if script.has_died() {
            story.deaths += 1;
            *script = self.script(world, story.deaths);
            world.disk.reboot(self.crash(story.deaths));
            // The dead one's lease runs out.
            world.clock.advance(Duration::from_secs(31));
            truth::nothing_forgotten_is_lost(world, self);
            return None;
        }
        story.passed = script.passed();
        let report = report.expect("nobody has died");
        if faulty {
            world.disk.plan(Plan::default());
            story.disk_faults += usize::from(report.status != RunStatus::Succeeded);
            if self.draw(30).is_multiple_of(2) {
                world.disk.reboot(Crash::Lost);
            }
            truth::nothing_forgotten_is_lost(world, self);
        }
        (report.status == RunStatus::Succeeded).then_some(())
    }

    /// Something to be drawn for this life: each has its own number, so that any can meet any.
    fn draw(&self, what: u64) -> u64 {
        let mut mixed = (self.seed << 8 | what).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// What this death leaves. Whoever follows one that was killed builds on what is not synced, and the power may go
    /// then.
    fn crash(&self, death: usize) -> Crash {
        match self.draw(10 + death as u64) % 4 {
            0 => Crash::Lost,
            1 | 2 => Crash::Kept,
            _ => Crash::Some(self.draw(20 + death as u64)),
        }
    }

    /// Of all kinds, by the seed: a sync that fails, a disk that is full, writes that take little.
    fn disk_fault(&self, world: &World) -> Plan {
        let used = world.disk.used();
        let at = self.draw(41);
        match self.draw(40) % 5 {
            0 => Plan { fail_sync: Some(1 + at % 17), ..Plan::default() },
            1 => Plan { capacity: Some(used + 900), ..Plan::default() },
            2 => Plan { fail_at: Some((3 + at % 23, std::io::ErrorKind::Other)), ..Plan::default() },
            3 => Plan { write_at_most: Some(7), ..Plan::default() },
            _ => Plan { fail_sync: Some(2 + at % 29), write_at_most: Some(100), ..Plan::default() },
        }
    }

    /// What happens at the vendor, and to the connection, before an act.
    fn change(&self, world: &World, act: u64) {
        if act == 0 {
            return;
        }
        let mut books = world.vendor.books();
        books.table.retain(|id, _| id % 7 != (self.seed + act) % 7);
        for (id, version) in &mut books.table {
            *version += u64::from((id + act).is_multiple_of(3));
        }
        if self.long {
            return;
        }
        let first_new = books.queue["q1"].end;
        books.large.insert(first_new);
        for kept in books.queue.values_mut() {
            kept.end += 5 + self.seed % 3;
        }
        let next = books.table.keys().max().map_or(0, |id| id + 1);
        books.table.insert(next, act);
        books.windows_before_reset = books.windows;
        books.windows += 3 + self.draw(50) % 4;
        books.hides_window = act == 2;
        if act == 1 {
            books.tagged_from = Some(books.queue["q0"].end - 4);
        }
        drop(books);
        if act == 2 {
            self.reset(world);
        }
    }

    /// Somebody resets `windows`: all of it is read again, in another epoch.
    fn reset(&self, world: &World) {
        let key = StreamKey { tenant: "acme".into(), connection: "crm".into(), stream: "windows".into() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let claim = world.registry.claim(&key, "somebody", Duration::from_secs(30)).await.unwrap();
            world.registry.reset(&claim.lease).await.unwrap();
            world.registry.release(&claim.lease).await.unwrap();
        });
    }
}
