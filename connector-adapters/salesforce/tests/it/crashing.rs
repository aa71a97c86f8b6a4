//! Dying at every message in turn: resuming gives the same rows as not dying, each once (rule D-02).

use connector_testkit::salesforce::{FakeOrg, Wire};

use super::host::{Host, MINUTE, config, start, within};

#[test]
fn d_02_a_crash_at_any_message_of_a_first_load_loses_and_repeats_nothing() {
    within(async {
        // The newest rows lie inside the look-back, so that what is remembered is put to the test too.
        let builder = || FakeOrg::builder().contacts(900).deleted_contacts(20).newest_age(MINUTE);
        let org = start(builder()).await;
        let config = config(&org);
        let mut whole = Host::new(&config, "Contact").await;
        let messages = whole.run().await.clean().messages;
        assert!(messages >= 10, "{messages}");
        for crash in 0..messages {
            let mut host = Host::new(&config, "Contact").await;
            assert!(host.run_until(crash).await.crashed);
            host.restart(&config);
            host.run().await.clean();
            host.assert_holds(&org);
        }
    });
}

#[test]
fn d_02_crash_after_crash_with_changes_in_between_loses_and_repeats_nothing() {
    within(async {
        for seed in 1..=4 {
            let wire = Wire { ragged_pages: true, ..Wire::default() };
            let org = start(FakeOrg::builder().seed(seed).contacts(600).newest_age(MINUTE).wire(wire)).await;
            let config = config(&org);
            let mut host = Host::new(&config, "Contact").await;
            for step in 0..25_usize {
                let outcome = host.run_until(1 + (step * 7 + usize::try_from(seed).unwrap()) % 5).await;
                assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
                host.assert_nothing_twice();
                org.touch("Contact", 9).unwrap();
                org.advance(MINUTE / 3);
                host.restart(&config);
            }
            host.run().await.clean();
            host.assert_holds(&org);
        }
    });
}

#[test]
fn d_07_rows_that_change_while_they_are_read_are_neither_lost_nor_repeated() {
    within(async {
        let org = start(FakeOrg::builder().contacts(1_200).newest_age(MINUTE)).await;
        let config = config(&org);
        for crash in [2, 3, 5, 8] {
            let mut host = Host::new(&config, "Contact").await;
            host.run_until(crash).await;
            // Rows that were read, and rows that were not, move to the end of the order.
            org.touch("Contact", 300).unwrap();
            host.restart(&config);
            host.run().await.clean();
            org.advance(MINUTE);
            host.run().await.clean();
            host.assert_holds(&org);
        }
    });
}

#[test]
fn d_06_a_resumed_run_has_the_very_same_windows() {
    within(async {
        let org = start(FakeOrg::builder().contacts(500)).await;
        let config = config(&org);
        let mut host = Host::new(&config, "Contact").await;
        host.run_until(3).await;
        let before: Vec<_> = host.state.partitions.keys().cloned().collect();
        assert_eq!(before.len(), 1);
        org.advance(MINUTE * 60 * 24);
        host.restart(&config);
        let plan = host.connector.partitions(&host.cx, &host.stream, &host.state).await.unwrap();
        assert_eq!(plan.partitions.iter().map(|partition| partition.id.clone()).collect::<Vec<_>>(), before);
        assert!(plan.again && plan.state.is_none() && plan.folded.is_empty());
        host.run().await.clean();
        host.assert_holds(&org);
    });
}
