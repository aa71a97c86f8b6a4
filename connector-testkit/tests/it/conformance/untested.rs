//! What is not tested is said, and is what we know of.

use connector_testkit::conformance::{Begin, untested, update};

use super::*;
use doubles::is_alone;

/// Open files are counted where a process has one test.
fn files() -> Vec<String> {
    let line = "C-41 not tested: open files, which are counted under nextest on Linux".to_owned();
    if is_alone() { Vec::new() } else { vec![line] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_desks_connectors_all_rules_are_tested() {
    let plain: Begin =
        |world| Box::pin(async move { Box::new(Desk::start(world, Kind::Plain, None).await) as _ });
    let rich: Begin =
        |world| Box::pin(async move { Box::new(Desk::start(world, Kind::Rich, None).await) as _ });
    assert_eq!(untested(plain, 1).await, Ok(files()));
    assert_eq!(untested(rich, 1).await, Ok(files()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixture_without_hooks_says_what_is_not_tested() {
    let bare: Begin =
        |world| Box::pin(async move { Box::new(Bare(Desk::start(world, Kind::Plain, None).await)) as _ });
    let mut expected: Vec<String> = [
        "C-14 not tested: no hook `expire_tokens`",
        "C-35 not tested: no hook `lead_in_a_circle`",
        "C-36 not tested: no hook `has_thin_pages`",
        "C-37 not tested: no hook `add_field`",
        "C-38 not tested: no hook `other`",
        "C-41 not tested: requests under way: no hook `in_flight`",
    ]
    .map(str::to_owned)
    .into();
    expected.extend(files());
    expected.extend(
        ["C-43 not tested: no hook `set_clock`", "C-44 not tested: no hook `snapshot`"].map(str::to_owned),
    );
    assert_eq!(untested(bare, 1).await, Ok(expected));
}

/// Nothing is written where there is no folder, and in CI in none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_not_updated_in_ci() {
    let plain: Begin =
        |world| Box::pin(async move { Box::new(Desk::start(world, Kind::Plain, None).await) as _ });
    let bare: Begin =
        |world| Box::pin(async move { Box::new(Bare(Desk::start(world, Kind::Plain, None).await)) as _ });
    let refused = update(plain, 1, true).await.unwrap_err();
    assert!(refused.came.contains("CI"), "{refused}");
    assert_eq!(update(bare, 1, false).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_updates_a_snapshot_writes_it_and_fails() {
    let begin: Begin = |world| {
        Box::pin(async move {
            let desk = Desk::start(world, Kind::Plain, None).await;
            Box::new(Released(desk, std::env::temp_dir().join(format!("snapshot-{}", std::process::id()))))
                as _
        })
    };
    let folder = begin(World::new(1)).await.snapshot().unwrap();
    let written = update(begin, 1, false).await.unwrap_err();
    assert_eq!(written.came, "written; run again");
    assert!(folder.join("catalog.json").is_file());
    std::fs::remove_dir_all(folder).unwrap();
}

/// The desk with what has no default, and no more.
struct Bare(Desk);

/// The same with a snapshot in a folder.
struct Released(Desk, PathBuf);

macro_rules! without_hooks {
    ($fixture:ident $($more:item)*) => {
        #[async_trait]
        impl Fixture for $fixture {
            fn factory(&self) -> Arc<dyn Factory> {
                self.0.factory()
            }
            fn config(&self) -> Value {
                self.0.config()
            }
            fn stream(&self) -> &str {
                self.0.stream()
            }
            fn page(&self) -> usize {
                self.0.page()
            }
            fn rows(&self) -> Vec<Row> {
                self.0.rows()
            }
            async fn insert(&self, count: usize) {
                self.0.insert(count).await;
            }
            async fn update(&self, count: usize) {
                self.0.update(count).await;
            }
            async fn delete(&self, count: usize) {
                self.0.delete(count).await;
            }
            fn requests(&self) -> u64 {
                self.0.requests()
            }
            fn faults(&self) -> &Faults {
                self.0.faults()
            }
            fn pages(&self) -> Matcher {
                self.0.pages()
            }
            fn whoami(&self) -> Matcher {
                self.0.whoami()
            }
            fn secrets(&self) -> Vec<String> {
                self.0.secrets()
            }
            $($more)*
        }
    };
}

without_hooks!(Bare);
without_hooks!(Released fn snapshot(&self) -> Option<PathBuf> {
    Some(self.1.clone())
});
