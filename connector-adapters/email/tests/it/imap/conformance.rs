//! The connector against the rules that every connector keeps, in each of the three ways to follow a mailbox.

mod condstore;
mod door;
mod plain;
mod post;
mod qresync;

use connector_testkit::{
    conformance::{Begin, untested},
    mail::Capabilities,
};

/// What is not tested, so that no hook is lost unnoticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_the_rules_is_not_tested_is_known() {
    let begin: Begin =
        |world| Box::pin(async move { Box::new(post::Post::start(world, Capabilities::Qresync).await) as _ });
    let found = untested(begin, 1).await.unwrap();
    // These are counted where a process has one test, as under nextest.
    let kept: Vec<_> = found.iter().filter(|line| !line.contains("open files")).collect();
    let expected = [
        "C-14 not tested: no hook `expire_tokens`",
        "C-35 not tested: no hook `lead_in_a_circle`",
        "C-36 not tested: no hook `has_thin_pages`",
        "C-37 not tested: no hook `add_field`",
        "C-41 not tested: requests under way: no hook `in_flight`",
        "C-43 not tested: no hook `set_clock`",
    ];
    assert_eq!(kept, expected);
}
