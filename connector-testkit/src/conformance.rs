//! Proves a connector right: one line, one test for each rule of the contract.
//!
//! ```ignore
//! // tests/conformance.rs
//! connector_testkit::conformance!(start);
//!
//! async fn start(world: World) -> MyFixture { MyFixture::start(world).await }
//! ```
//!
//! The rules are those of `docs/spec/connector.md`, by number: C for what the contract asks of a connector, D
//! for what delivery promises and a connector can break. What a connector claims in its manifest is tested, and
//! what it does not claim, too. A test that fails says the rule, what was expected, what came, and how to see it
//! again.
//!
//! A [`Fixture`] is the connector with a fake vendor of its own. The checks run it under the real run engine, over a
//! registry and a Bronze in memory, on a clock that is twenty times as fast as the wall's, and no check is right
//! because it was fast. Some rules want more of the vendor than each has; their hooks in the fixture have defaults.
//!
//! Without its hook a rule cannot be tested, or not whole. Its test passes, and says so on standard error:
//! `C-35 not tested: no hook lead_in_a_circle`. [`untested`] gives these lines to a test, which holds them against those
//! that are known, so that no hook is lost unnoticed.
//!
//! With `CONNECTOR_SNAPSHOT=update` the rule of compatibility (C-44) writes what there is, for the next release to be held
//! to. Its test fails all the same: it has written what it is to compare. Where `CI` says `true` nothing is written.

mod bench;
mod checks;
mod disguise;
mod failure;
mod fixture;
mod heard;
mod rule;
mod snapshot;

use std::{fmt::Write as _, future::Future, io, time::Duration};

use futures_util::future::BoxFuture;

pub use bench::Bench;
pub use failure::{Failure, Held, Outcome, Verdict};
pub use fixture::{Doing, Fixture, Other, Row, World};
pub use rule::{RULES, Rule};

/// Begins a fixture in a world; what [`conformance!`](crate::conformance!) makes of a function's name.
pub type Begin = fn(World) -> BoxFuture<'static, Box<dyn Fixture>>;

/// Rules that rest on being the one who asks, by number, each with the reason why who is called has nothing of it.
const ASKED_ONLY: &[(&str, &str)] = &[
    ("C-14", "there is no session to a read"),
    ("C-25", "no page is asked for that could fail; what is not taken comes again"),
    ("C-29", "nobody is asked who could ask for a wait while a page is read"),
    ("C-30", "no page is asked for that could fail"),
    ("C-31", "no page is asked for that could be none"),
    ("C-35", "there are no pages that lead on"),
    ("C-36", "there are no pages that lead on"),
    ("C-37", "there are no pages that lead on"),
    ("C-38", "no page is asked for that could fail"),
    ("C-41", "no page is asked for that could be dropped"),
    ("C-42", "nothing is asked for ahead"),
    ("C-43", "no bound is drawn from a vendor's clock"),
];

/// No check takes as long, by the wall's clock.
const PATIENCE: Duration = Duration::from_secs(60);

/// The variable that repeats a failure.
const SEED: &str = "CONNECTOR_CONFORMANCE_SEED";

/// The variable that, set to `update`, writes the snapshot that a release is held to.
const SNAPSHOT: &str = "CONNECTOR_SNAPSHOT";

/// Tests the rule of that name, and fails the test where it does not hold. What could not be tested is said on standard
/// error, past what a runner of tests withholds of those that pass.
///
/// # Panics
/// When the rule does not hold. That is how a test fails.
#[allow(clippy::panic, reason = "how a test fails")]
#[allow(
    clippy::disallowed_methods,
    reason = "seed and snapshot are given from outside, and a test is the edge of a program"
)]
pub fn test(name: &str, begin: Begin) {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
        panic!("there is no rule `{name}`: the macro and the table differ");
    };
    let updates = std::env::var(SNAPSHOT).is_ok_and(|wish| wish == "update");
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let outcome = run(async {
        if updates && rule.number() == "C-44" {
            update(begin, seed, in_ci).await?;
        }
        verdict(rule, begin, seed).await
    });
    let failure = match outcome {
        Ok(held) => {
            use io::Write as _;
            for line in lines(rule, &held) {
                // Who closed standard error does not want to know.
                let _ = writeln!(io::stderr(), "{line}");
            }
            return;
        }
        Err(failure) => failure,
    };
    let mut text = String::new();
    let _ = writeln!(text, "{} {}", rule.number(), rule.sentence());
    let _ = writeln!(text, "  expected: {}", failure.expected);
    let _ = writeln!(text, "  came:     {}", failure.came);
    let _ = write!(text, "  seed:     {seed} (again: {SEED}={seed} cargo test {name})");
    panic!("{text}");
}

/// Whether the rule holds in a world of this seed. A rule that is about a claim which is not made holds.
///
/// # Errors
/// [`Failure`] when it does not.
#[allow(clippy::disallowed_methods, reason = "what hangs is ended by the wall's clock")]
pub async fn verdict(rule: &Rule, begin: Begin, seed: u64) -> Outcome {
    if let Some((_, why)) = ASKED_ONLY.iter().find(|(number, _)| *number == rule.number())
        && begin(World::new(seed)).await.is_pushed()
    {
        return Ok(Held::but(format!("the source calls us: {why}")));
    }
    let check = (rule.check)(begin, seed);
    tokio::time::timeout(PATIENCE, check)
        .await
        .unwrap_or_else(|_| Err(Failure::new("an end", format!("none within {PATIENCE:?}"))))
}

/// What of the rules is not tested with this fixture, in the order of the rules, each a line: `C-35 not tested: …`. For a
/// test that holds them against those that its author knows.
///
/// # Errors
/// [`Failure`] when a rule does not hold; its own test says more.
pub async fn untested(begin: Begin, seed: u64) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for rule in RULES {
        let held = verdict(rule, begin, seed).await;
        let held = held.map_err(|failure| Failure::new(rule.number(), failure.to_string()))?;
        found.extend(lines(rule, &held));
    }
    Ok(found)
}

fn lines(rule: &Rule, held: &Held) -> Vec<String> {
    held.untested.iter().map(|what| format!("{} not tested: {what}", rule.number())).collect()
}

/// Writes the snapshot that C-44 compares with, and fails: what was just written is true of itself.
///
/// # Errors
/// [`Failure`] always: in CI nothing is written, elsewhere the next run compares. None where there is no snapshot to write.
pub async fn update(begin: Begin, seed: u64, in_ci: bool) -> Verdict {
    if in_ci {
        return Err(Failure::new(
            format!("no {SNAPSHOT}=update in CI"),
            "CI=true: a snapshot is written by hand and committed",
        ));
    }
    match checks::compatible::write_snapshot(begin, seed).await? {
        true => Err(Failure::new("a run that compares with the snapshot", "written; run again")),
        false => Ok(()),
    }
}

fn run<F: Future>(future: F) -> F::Output {
    #[allow(clippy::expect_used, reason = "without a runtime there is no test")]
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

/// One test for each rule. Takes an `async fn(World) -> impl Fixture`.
#[macro_export]
macro_rules! conformance {
    ($start:path) => {
        $crate::conformance_rules!($start);
    };
}
