use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn set(text: &str) -> UidSet {
    UidSet::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_set_is_written_as_servers_write_it() {
    assert_eq!(set("9,1:3,4,12:10").to_string(), "1:4,9:12");
    assert_eq!(set("5").to_string(), "5");
    assert_eq!(serde_json::to_string(&set("1:2,4")).unwrap(), "\"1:2,4\"");
    assert_eq!(serde_json::from_str::<UidSet>("\"\"").unwrap(), UidSet::new());
}

#[test]
fn what_is_no_set_of_uids_is_none() {
    for text in ["", "0", "1:0", "1:*", "1,", "a", "4294967296", "1:2:3", "-1", "+1", " 1"] {
        assert_eq!(UidSet::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn five_hundred_million_vanished_messages_cost_nothing() {
    let vanished = set("1:500000000");
    let known = set("3,500000001");
    assert_eq!(known.intersection(&vanished).to_string(), "3");
    assert_eq!(known.difference(&vanished).to_string(), "500000001");
    assert_eq!(vanished.ranges().len(), 1);
}

#[test]
fn the_ends_of_the_numbers_are_no_special_case() {
    let mut all = set("1:4294967294");
    all.insert(u32::MAX);
    assert_eq!(all.to_string(), "1:4294967295");
    assert_eq!(all.difference(&set("4294967295")).to_string(), "1:4294967294");
    all.insert(u32::MAX);
    assert_eq!(all.len(), u64::from(u32::MAX));
    let (first, last) = (5, 4);
    assert!(UidSet::range(first..=last).is_empty());
}

#[test]
fn too_many_ranges_are_made_fewer_and_nothing_is_lost() {
    let coarse = set("1,3,10,100,102").coarsened(2);
    assert_eq!(coarse.to_string(), "1:10,100:102");
    assert_eq!(set("1,3").coarsened(2).to_string(), "1,3");
}

fn naive(set: &UidSet) -> BTreeSet<u32> {
    set.iter().collect()
}

proptest! {
    #[test]
    fn the_operations_are_those_of_sets(
        left in prop::collection::vec(1_u32..60, 0..30), right in prop::collection::vec(1_u32..60, 0..30), uid in 1_u32..60,
    ) {
        let (a, b): (UidSet, UidSet) = (left.iter().copied().collect(), right.iter().copied().collect());
        let (x, y) = (naive(&a), naive(&b));
        prop_assert_eq!(naive(&a.union(&b)), &x | &y);
        prop_assert_eq!(naive(&a.intersection(&b)), &x & &y);
        prop_assert_eq!(naive(&a.difference(&b)), &x - &y);
        prop_assert_eq!(a.len(), x.len() as u64);
        prop_assert_eq!(a.contains(uid), x.contains(&uid));
        let mut inserted = UidSet::new();
        left.iter().for_each(|uid| inserted.insert(*uid));
        prop_assert_eq!(&inserted, &a);
        if !a.is_empty() {
            prop_assert_eq!(UidSet::parse(a.to_string().as_bytes()), Some(a.clone()));
        }
        let coarse = a.clone().coarsened(3);
        prop_assert!(coarse.ranges().len() <= 3 && naive(&coarse).is_superset(&x));
    }
}
