//! Both registries are asked the same things at random, and must answer the same.

use std::{collections::BTreeMap, time::Duration};

use connector_host::registry::Fold;
use connector_sdk::contract::Lease;

use super::{Bench, LEASE, commit, cursor, in_time, key};

/// Repeats with its seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

#[derive(Debug)]
enum Step {
    Wait(Duration),
    Claim(&'static str),
    Renew(Lease),
    Release(Lease),
    Checkpoint(Lease, Vec<connector_sdk::contract::Commit>),
    Fold(Lease, Fold),
    Reset(Lease),
}

#[tokio::test]
async fn both_registries_answer_the_same_whatever_they_are_asked() {
    in_time(async {
        for seed in [1, 0xBEEF, 0xC0FF_EE00] {
            compare(Dice(seed)).await;
        }
    })
    .await;
}

async fn compare(mut dice: Dice) {
    let (memory, sqlite) = (Bench::memory(), Bench::sqlite().await);
    let mut leases: BTreeMap<&str, Vec<Lease>> = BTreeMap::new();
    let mut refused = 0;
    for n in 0..150 {
        let step = choose(&mut dice, &leases);
        let (one, two) = (perform(&memory, &step).await, perform(&sqlite, &step).await);
        match (&one, &two) {
            (Ok(one), Ok(two)) => assert_eq!(one, two, "step {n}: {step:?}"),
            (Err(one), Err(two)) => assert_eq!(one.to_string(), two.to_string(), "step {n}: {step:?}"),
            _ => panic!("step {n}: {step:?}: {one:?} against {two:?}"),
        }
        match (step, one) {
            (Step::Claim(stream), Ok(Some((lease, _)))) => leases.entry(stream).or_default().push(lease),
            (_, Err(_)) => refused += 1,
            _ => {}
        }
        let key = key("s");
        let one = memory.registry.states(&key.tenant, &key.connection).await.unwrap();
        let two = sqlite.registry.states(&key.tenant, &key.connection).await.unwrap();
        assert_eq!(one, two, "after step {n}");
    }
    assert!((10..140).contains(&refused), "{refused} of 150 were refused: that proves little");
}

fn choose(dice: &mut Dice, leases: &BTreeMap<&str, Vec<Lease>>) -> Step {
    let stream = ["s", "t"][dice.below(2) as usize];
    // Mostly the newest lease, sometimes one that was fenced off.
    let known = leases.get(stream).map_or(&[][..], Vec::as_slice);
    let old = usize::from(dice.below(8) == 0);
    let Some(lease) = known.iter().rev().nth(old).or(known.last()).cloned() else {
        return Step::Claim(stream);
    };
    match dice.below(16) {
        0 => Step::Wait(LEASE),
        1 => Step::Wait(LEASE / 3),
        2 | 3 => Step::Claim(stream),
        4 => Step::Renew(lease),
        5 => Step::Release(lease),
        6 => Step::Reset(lease),
        7 | 8 => {
            let forget = if dice.below(2) == 0 {
                vec![]
            } else {
                vec![["a", "b", "c"][dice.below(3) as usize].into()]
            };
            let state = (dice.below(2) == 0).then(|| cursor(dice.below(100)));
            Step::Fold(lease, Fold { state, forget, generation: dice.below(3), restart: dice.below(3) == 0 })
        }
        _ => {
            let commits = (0..=dice.below(2)).map(|_| {
                let mut next = commit(["a", "b", "c"][dice.below(3) as usize], dice.below(6));
                next.epoch = dice.below(3);
                if dice.below(2) == 0 {
                    next.state = next.state.completing();
                }
                next
            });
            Step::Checkpoint(lease, commits.collect())
        }
    }
}

async fn perform(bench: &Bench, step: &Step) -> connector_sdk::Result<Option<(Lease, bool)>> {
    match step {
        Step::Wait(duration) => bench.clock.advance(*duration),
        Step::Claim(stream) => {
            let claim = bench.registry.claim(&key(stream), "a run", LEASE).await?;
            return Ok(Some((claim.lease, claim.takeover)));
        }
        Step::Renew(lease) => bench.registry.renew(lease, LEASE).await?,
        Step::Release(lease) => bench.registry.release(lease).await?,
        Step::Checkpoint(lease, commits) => bench.registry.checkpoint(lease, commits).await?,
        Step::Fold(lease, fold) => bench.registry.fold(lease, fold).await?,
        Step::Reset(lease) => bench.registry.reset(lease).await?,
    }
    Ok(None)
}
