//! The connector against the rules that every connector keeps, in each of the three ways to follow a mailbox.

mod condstore;
mod door;
mod plain;
mod post;
mod qresync;

use connector_testkit::{conformance::{Begin, untested}, mail::Capabilities};

/// What is not tested, so that no hook is lost unnoticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_the_rules_is_not_tested_is_known() {
    let begin: Begin = |world| Box::pin(async move { Box::new(post::Post::start(world, Capabilities::Qresync).await) as _ });
    let found = untested(begin, 1).await.unwrap();
    // These are counted where a process has one test, as under nextest.
    let kept: Vec<_> = found.iter().filter(|line| !line.contains("open files")).collect();
    assert_eq!(kept, [""; 0]);
}
