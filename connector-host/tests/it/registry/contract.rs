//! Leases and states: the part of the contract on which no record may be lost.

use connector_host::registry::{Fold, SchemaVersion};
use connector_sdk::{Class, State, StreamState, contract::Lease};

use super::{Bench, LEASE, commit, context, cursor, key, on_both, standing};

on_both!(
    a_stream_that_was_never_read_has_the_default_state,
    a_second_run_is_told_who_holds_the_stream_and_until_when,
    a_released_stream_is_claimed_without_a_takeover,
    d_16_a_paused_worker_that_wakes_up_cannot_write,
    a_lease_that_expired_unnoticed_is_still_ours,
    a_renewed_lease_lasts_from_now,
    a_write_after_the_release_is_refused,
    of_many_runs_that_claim_at_once_one_wins,
    a_checkpoint_sets_every_partition,
    a_checkpoint_is_all_or_nothing,
    a_checkpoint_of_many_partitions_writes_each,
    of_two_commits_of_a_partition_the_later_stands,
    a_sequence_never_goes_backwards,
    a_state_may_advance_without_records,
    a_cursor_is_kept_to_the_letter,
    d_15_a_cursor_above_the_cap_is_refused,
    a_fold_is_all_or_nothing,
    a_fold_that_restarts_empties_the_cursors_and_keeps_the_sequences,
    a_generation_never_goes_backwards,
    a_reset_begins_an_epoch_and_keeps_the_sequences,
    a_commit_from_before_a_reset_brings_its_sequence_only,
    bronze_ahead_by_a_reset_is_a_matter_of_configuration,
    a_partition_that_a_reset_voided_can_be_folded,
    streams_do_not_touch_each_other,
    checkpoints_at_once_all_stand,
);

async fn a_stream_that_was_never_read_has_the_default_state(bench: Bench) {
    assert_eq!(bench.load("Contact").await, StreamState::default());
    bench.claim("Contact").await;
    assert_eq!(bench.load("Contact").await, StreamState::default());
}

async fn a_second_run_is_told_who_holds_the_stream_and_until_when(bench: Bench) {
    bench.claim("Contact").await;
    let error = bench.registry.claim(&key("Contact"), "the second run", LEASE).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
    assert_eq!(
        error.message(),
        "the stream `Contact` is being run by the first run until 1970-01-01T00:17:10.000Z"
    );
    assert_eq!(context(&error, "owner").unwrap(), "the first run");
    assert_eq!(context(&error, "expires_at").unwrap(), "1970-01-01T00:17:10.000Z");
    bench.registry.claim(&key("Account"), "the second run", LEASE).await.expect("another stream is free");
}

async fn a_released_stream_is_claimed_without_a_takeover(bench: Bench) {
    let first = bench.claim("Contact").await;
    bench.registry.release(&first).await.unwrap();
    let second = bench.registry.claim(&key("Contact"), "the second run", LEASE).await.unwrap();
    assert!(!second.takeover);
    assert_eq!((first.fence, second.lease.fence), (1, 2));
}

async fn d_16_a_paused_worker_that_wakes_up_cannot_write(bench: Bench) {
    let paused = bench.claim("Contact").await;
    bench.registry.checkpoint(&paused, &[commit("p", 3)]).await.unwrap();
    bench.clock.advance(LEASE);
    let claim = bench.registry.claim(&key("Contact"), "the second run", LEASE).await.unwrap();
    assert!(claim.takeover);
    bench.registry.checkpoint(&claim.lease, &[commit("p", 5)]).await.unwrap();
    let before = bench.load("Contact").await;

    let schema = SchemaVersion {
        version: 1,
        fingerprint: "f".into(),
        spec: serde_json::json!({}),
        seen_at: claim_time(&bench),
    };
    let refused = [
        bench.registry.checkpoint(&paused, &[commit("p", 9)]).await,
        bench.registry.fold(&paused, &Fold { generation: 9, ..Fold::default() }).await,
        bench.registry.reset(&paused).await,
        bench.registry.add_schema(&paused, &schema).await,
        bench.registry.renew(&paused, LEASE).await,
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.class(), Class::Permanent, "{error}");
        assert_eq!(context(&error, "fence").unwrap(), "1");
        assert_eq!(context(&error, "current").unwrap(), "2");
    }
    bench.registry.release(&paused).await.expect("it gives back what it does not have");
    assert_eq!(bench.load("Contact").await, before);
    assert!(bench.registry.schema(&key("Contact")).await.unwrap().is_none());
    bench.registry.renew(&claim.lease, LEASE).await.expect("the second run goes on");
}

fn claim_time(bench: &Bench) -> connector_sdk::Timestamp {
    use connector_sdk::Clock;
    bench.clock.now()
}

async fn a_lease_that_expired_unnoticed_is_still_ours(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.clock.advance(LEASE * 2);
    bench.registry.checkpoint(&lease, &[commit("p", 1)]).await.unwrap();
    bench.registry.renew(&lease, LEASE).await.unwrap();
    bench.registry.claim(&key("Contact"), "the second run", LEASE).await.unwrap_err();
}

async fn a_renewed_lease_lasts_from_now(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.clock.advance(LEASE / 2);
    bench.registry.renew(&lease, LEASE).await.unwrap();
    bench.clock.advance(LEASE / 2);
    bench.registry.claim(&key("Contact"), "the second run", LEASE).await.unwrap_err();
    bench.clock.advance(LEASE / 2);
    assert!(bench.registry.claim(&key("Contact"), "the second run", LEASE).await.unwrap().takeover);
}

async fn a_write_after_the_release_is_refused(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.release(&lease).await.unwrap();
    let error = bench.registry.checkpoint(&lease, &[commit("p", 1)]).await.unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert_eq!(bench.load("Contact").await, StreamState::default());
    let stranger = Lease { stream: "never claimed".into(), ..lease };
    let error = bench.registry.checkpoint(&stranger, &[commit("p", 1)]).await.unwrap_err();
    assert_eq!((error.class(), context(&error, "current").as_deref()), (Class::Permanent, Some("0")));
}

async fn of_many_runs_that_claim_at_once_one_wins(bench: Bench) {
    let runs = (0..8).map(|run| {
        let registry = bench.registry.clone();
        tokio::spawn(async move { registry.claim(&key("Contact"), &format!("run {run}"), LEASE).await })
    });
    let mut won = 0;
    for run in runs.collect::<Vec<_>>() {
        match run.await.unwrap() {
            Ok(claim) => won += claim.lease.fence,
            Err(error) => assert_eq!(error.class(), Class::Transient),
        }
    }
    assert_eq!(won, 1);
}

async fn a_checkpoint_sets_every_partition(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("a", 3), commit("b", 0)]).await.unwrap();
    bench.registry.checkpoint(&lease, &[commit("b", 7), commit("c", 1)]).await.unwrap();
    let state = bench.load("Contact").await;
    let expected = [("a", 3), ("b", 7), ("c", 1)];
    assert_eq!(standing(&state), expected.map(|(id, n)| (id.into(), 0, n, Some(n.to_string()))));
    bench.registry.checkpoint(&lease, &[]).await.unwrap();
    assert_eq!(bench.load("Contact").await, state);
}

async fn a_checkpoint_is_all_or_nothing(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("a", 3), commit("b", 3)]).await.unwrap();
    let before = bench.load("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("a", 4), commit("new", 1), commit("b", 2)]).await.unwrap_err();
    assert_eq!(bench.load("Contact").await, before);
}

async fn a_checkpoint_of_many_partitions_writes_each(bench: Bench) {
    let lease = bench.claim("Contact").await;
    for (n, partitions) in [(1, 100), (2, 1), (3, 16), (4, 17), (5, 100)] {
        let commits: Vec<_> =
            (0..partitions).rev().map(|id| commit(&format!("{id:03}"), n * 1000 + id)).collect();
        bench.registry.checkpoint(&lease, &commits).await.unwrap();
        let state = bench.load("Contact").await;
        assert_eq!(state.partitions.len(), 100);
        for id in 0..partitions {
            let known = &state.partitions[format!("{id:03}").as_str()];
            assert_eq!((known.sequence, &known.state), (n * 1000 + id, &Some(cursor(n * 1000 + id))));
        }
    }
    let before = bench.load("Contact").await;
    let mut commits: Vec<_> = (0..100).map(|id| commit(&format!("{id:03}"), 9000 + id)).collect();
    commits[50].sequence = 1;
    let error = bench.registry.checkpoint(&lease, &commits).await.unwrap_err();
    assert_eq!(context(&error, "partition").unwrap(), "050");
    assert_eq!(context(&error, "known_sequence").unwrap(), "5050");
    assert_eq!(bench.load("Contact").await, before);
}

async fn of_two_commits_of_a_partition_the_later_stands(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("p", 1), commit("q", 1), commit("p", 2)]).await.unwrap();
    let expected = [("p".into(), 0, 2, Some("2".into())), ("q".into(), 0, 1, Some("1".into()))];
    assert_eq!(standing(&bench.load("Contact").await), expected);
    let error = bench.registry.checkpoint(&lease, &[commit("p", 4), commit("p", 3)]).await.unwrap_err();
    assert_eq!(context(&error, "known_sequence").unwrap(), "4");
}

async fn a_sequence_never_goes_backwards(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("p", 3)]).await.unwrap();
    let error = bench.registry.checkpoint(&lease, &[commit("p", 2)]).await.unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert_eq!(context(&error, "partition").unwrap(), "p");
    assert_eq!(context(&error, "known_sequence").unwrap(), "3");
    // Nor does a reset give numbers back.
    bench.registry.reset(&lease).await.unwrap();
    let mut after = commit("p", 2);
    after.epoch = 1;
    bench.registry.checkpoint(&lease, &[after]).await.unwrap_err();
}

async fn a_state_may_advance_without_records(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("p", 3)]).await.unwrap();
    let mut next = commit("p", 3);
    next.state = cursor(99).completing();
    bench.registry.checkpoint(&lease, &[next]).await.unwrap();
    let state = bench.load("Contact").await;
    let known = &state.partitions["p"];
    assert_eq!((known.sequence, known.state.clone()), (3, Some(cursor(99).completing())));
}

async fn a_cursor_is_kept_to_the_letter(bench: Bench) {
    let text = r#"{"n":123456789012345678901234567890,"d":1.10,"s":"a\u0000\u00e4","a":1,"a":2}"#;
    let state: State =
        serde_json::from_str(&format!(r#"{{"version":7,"cursor":{text},"complete":true}}"#)).unwrap();
    let lease = bench.claim("Contact").await;
    let mut next = commit("p", 1);
    next.state = state.clone();
    bench.registry.checkpoint(&lease, &[next]).await.unwrap();
    let fold = Fold { state: Some(state.clone()), ..Fold::default() };
    bench.registry.fold(&lease, &fold).await.unwrap();
    let loaded = bench.load("Contact").await;
    for kept in [loaded.state.unwrap(), loaded.partitions["p"].state.clone().unwrap()] {
        assert_eq!(kept.cursor().get(), text);
        assert_eq!((kept.version(), kept.is_complete()), (7, true));
    }
}

async fn d_15_a_cursor_above_the_cap_is_refused(bench: Bench) {
    let lease = bench.claim("Contact").await;
    let cursor = "x".repeat(connector_sdk::state::MAX_CURSOR_BYTES);
    let large: State = serde_json::from_str(&format!(r#"{{"version":1,"cursor":"{cursor}"}}"#)).unwrap();
    let mut next = commit("p", 1);
    next.state = large.clone();
    let checkpoint = bench.registry.checkpoint(&lease, &[next]).await.unwrap_err();
    let fold = Fold { state: Some(large), ..Fold::default() };
    let fold = bench.registry.fold(&lease, &fold).await.unwrap_err();
    for error in [checkpoint, fold] {
        assert_eq!(error.class(), Class::Bug);
        assert_eq!(context(&error, "limit").unwrap(), connector_sdk::state::MAX_CURSOR_BYTES.to_string());
    }
    assert_eq!(bench.load("Contact").await, StreamState::default());
}

async fn a_fold_is_all_or_nothing(bench: Bench) {
    let lease = bench.claim("Contact").await;
    let (mut done, open) = (commit("january", 3), commit("february", 4));
    done.state = done.state.completing();
    bench.registry.checkpoint(&lease, &[done, open]).await.unwrap();
    let before = bench.load("Contact").await;
    let mut fold = Fold {
        state: Some(cursor(31)),
        forget: vec!["january".into(), "february".into()],
        generation: 1,
        restart: false,
    };
    let error = bench.registry.fold(&lease, &fold).await.unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert_eq!(context(&error, "partition").unwrap(), "february");
    assert_eq!(bench.load("Contact").await, before);

    fold.forget = vec!["january".into(), "never seen".into()];
    bench.registry.fold(&lease, &fold).await.unwrap();
    let after = bench.load("Contact").await;
    assert_eq!((after.generation, after.state), (1, Some(cursor(31))));
    assert_eq!(after.partitions.keys().map(|id| id.as_str()).collect::<Vec<_>>(), ["february"]);

    // Without a state of its own a fold leaves the one that stands.
    bench.registry.fold(&lease, &Fold { generation: 2, ..Fold::default() }).await.unwrap();
    assert_eq!(bench.load("Contact").await.state, Some(cursor(31)));
}

async fn a_fold_that_restarts_empties_the_cursors_and_keeps_the_sequences(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("a", 3), commit("b", 4)]).await.unwrap();
    let fold = Fold { generation: 1, restart: true, ..Fold::default() };
    bench.registry.fold(&lease, &fold).await.unwrap();
    let state = bench.load("Contact").await;
    assert_eq!((state.epoch, state.generation), (0, 1));
    assert_eq!(standing(&state), [("a".into(), 0, 3, None), ("b".into(), 0, 4, None)]);
}

async fn a_generation_never_goes_backwards(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.fold(&lease, &Fold { generation: 5, ..Fold::default() }).await.unwrap();
    let error = bench.registry.fold(&lease, &Fold { generation: 4, ..Fold::default() }).await.unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert_eq!(bench.load("Contact").await.generation, 5);
}

async fn a_reset_begins_an_epoch_and_keeps_the_sequences(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("p", 3)]).await.unwrap();
    let fold = Fold { state: Some(cursor(1)), generation: 2, ..Fold::default() };
    bench.registry.fold(&lease, &fold).await.unwrap();
    bench.registry.reset(&lease).await.unwrap();
    let state = bench.load("Contact").await;
    assert_eq!((state.epoch, state.generation, &state.state), (1, 2, &None));
    assert_eq!(standing(&state), [("p".into(), 0, 3, None)]);
    // The first commit of the new epoch goes on counting.
    let mut next = commit("p", 4);
    next.epoch = 1;
    bench.registry.checkpoint(&lease, &[next]).await.unwrap();
    assert_eq!(standing(&bench.load("Contact").await), [("p".into(), 1, 4, Some("4".into()))]);
}

async fn a_commit_from_before_a_reset_brings_its_sequence_only(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("p", 10)]).await.unwrap();
    bench.registry.reset(&lease).await.unwrap();
    // It stood in Bronze when the stream was reset: its numbers are used, what it covers is void.
    bench.registry.checkpoint(&lease, &[commit("p", 12), commit("unknown", 2)]).await.unwrap();
    let expected = [("p".into(), 0, 12, None), ("unknown".into(), 0, 2, None)];
    assert_eq!(standing(&bench.load("Contact").await), expected);
}

async fn bronze_ahead_by_a_reset_is_a_matter_of_configuration(bench: Bench) {
    let lease = bench.claim("Contact").await;
    let mut later = commit("p", 1);
    later.epoch = 1;
    let error = bench.registry.checkpoint(&lease, &[later]).await.unwrap_err();
    assert_eq!(error.class(), Class::Config);
    assert!(error.to_string().contains("older copy"), "{error}");
}

async fn a_partition_that_a_reset_voided_can_be_folded(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.checkpoint(&lease, &[commit("p", 10)]).await.unwrap();
    let fold = Fold { forget: vec!["p".into()], ..Fold::default() };
    // A restart keeps the epoch: its numbers would be used twice.
    bench.registry.fold(&lease, &Fold { restart: true, ..Fold::default() }).await.unwrap();
    bench.registry.fold(&lease, &fold).await.unwrap_err();
    bench.registry.reset(&lease).await.unwrap();
    bench.registry.fold(&lease, &fold).await.unwrap();
    assert!(bench.load("Contact").await.partitions.is_empty());
}

async fn streams_do_not_touch_each_other(bench: Bench) {
    let (contact, account) = (bench.claim("Contact").await, bench.claim("Account").await);
    bench.registry.checkpoint(&contact, &[commit("p", 3)]).await.unwrap();
    bench.registry.checkpoint(&account, &[commit("p", 8)]).await.unwrap();
    bench.registry.reset(&account).await.unwrap();
    assert_eq!(standing(&bench.load("Contact").await), [("p".into(), 0, 3, Some("3".into()))]);

    bench.clock.advance(LEASE);
    let fold = Fold { state: Some(cursor(5)), generation: 1, ..Fold::default() };
    bench.registry.fold(&contact, &fold).await.unwrap();
    let key = key("Contact");
    let states = bench.registry.states(&key.tenant, &key.connection).await.unwrap();
    let names: Vec<_> = states.iter().map(|stored| stored.stream.as_str()).collect();
    assert_eq!(names, ["Account", "Contact"]);
    for stored in &states {
        assert_eq!(stored.state, bench.load(stored.stream.as_str()).await);
    }
    let moved: Vec<_> = states[1].updated_at.iter().map(|(id, at)| (id.clone(), at.as_millis())).collect();
    assert_eq!(moved, [(None, 1_030_000), (Some("p".into()), 1_000_000)]);
}

async fn checkpoints_at_once_all_stand(bench: Bench) {
    let mut runs = Vec::new();
    for stream in ["a", "b", "c", "d"] {
        let lease = bench.claim(stream).await;
        let registry = bench.registry.clone();
        runs.push(tokio::spawn(async move {
            for n in 1..=10 {
                registry.checkpoint(&lease, &[commit("p", n), commit("q", n * 2)]).await.unwrap();
                registry.load(&lease.tenant, &lease.connection, &lease.stream).await.unwrap();
            }
        }));
    }
    for run in runs {
        run.await.unwrap();
    }
    for stream in ["a", "b", "c", "d"] {
        let state = bench.load(stream).await;
        assert_eq!(state.partitions.values().map(|known| known.sequence).collect::<Vec<_>>(), [10, 20]);
    }
}
