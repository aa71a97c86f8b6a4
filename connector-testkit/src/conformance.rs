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
//! With `CONNECTOR_SNAPSHOT=update` the rule of compatibility (C-44) first writes what there is, for the next release to
//! be held to.

mod bench;
mod checks;
mod failure;
mod fixture;
mod heard;
mod rule;
mod snapshot;

use std::{fmt::Write as _, future::Future, time::Duration};

use futures_util::future::BoxFuture;

pub use bench::Bench;
pub use failure::{Failure, Verdict};
pub use fixture::{Doing, Fixture, Other, Row, World};
pub use rule::{RULES, Rule};

/// Begins a fixture in a world; what [`conformance!`](crate::conformance!) makes of a function's name.
pub type Begin = fn(World) -> BoxFuture<'static, Box<dyn Fixture>>;

/// No check takes as long, by the wall's clock.
const PATIENCE: Duration = Duration::from_secs(60);

/// The variable that repeats a failure.
const SEED: &str = "CONNECTOR_CONFORMANCE_SEED";

/// The variable that, set to `update`, writes the snapshot that a release is held to.
const SNAPSHOT: &str = "CONNECTOR_SNAPSHOT";

/// Tests the rule of that name, and fails the test where it does not hold.
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
    let outcome = run(async {
        if updates && rule.number() == "C-44" {
            checks::compatible::write_snapshot(begin, seed).await?;
        }
        verdict(rule, begin, seed).await
    });
    let Err(failure) = outcome else { return };
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
pub async fn verdict(rule: &Rule, begin: Begin, seed: u64) -> Verdict {
    let check = (rule.check)(begin, seed);
    tokio::time::timeout(PATIENCE, check)
        .await
        .unwrap_or_else(|_| Err(Failure::new("an end", format!("none within {PATIENCE:?}"))))
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
