//! Who carries what, and what moves when a member goes.

use proptest::prelude::{any, proptest};
use proptest::{collection, prop_assert};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn members(count: u64) -> Vec<Candidate> {
    (0..count).map(|id| Candidate { id: 10 + id, ready: true, pending: 0, priority: 0, cooling_until: None }).collect()
}

/// Who carries that many messages, as places.
fn places(router: &mut Router, members: &[Candidate], count: usize) -> Vec<usize> {
    let now = Instant::now();
    (0..count).map(|_| router.pick(members, None, now).expect("one is ready")).collect()
}

fn shares(places: &[usize], count: usize) -> Vec<usize> {
    (0..count).map(|member| places.iter().filter(|place| **place == member).count()).collect()
}

#[test]
fn nobody_ready_is_nobody() {
    let now = Instant::now();
    let mut away = members(2);
    away.iter_mut().for_each(|member| member.ready = false);
    for strategy in [Strategy::RoundRobin, Strategy::LeastPending, Strategy::Sticky, Strategy::Failover] {
        let mut router = Router::new(strategy);
        for none in [&away[..], &[]] {
            assert_eq!(router.pick(none, None, now), None);
            assert_eq!(router.pick(none, Some(b"key"), now), None);
        }
    }
}

#[test]
fn each_in_turn() {
    let mut router = Router::new(Strategy::RoundRobin);
    assert_eq!(places(&mut router, &members(3), 7), [0, 1, 2, 0, 1, 2, 0]);
    assert_eq!(router.served.len(), 3);
    places(&mut router, &members(1), 1);
    assert_eq!(router.served.len(), 1, "those who left are forgotten");
}

#[test]
fn the_turn_of_a_dead_one_falls_to_all_others_alike() {
    let mut members = members(4);
    let mut router = Router::new(Strategy::RoundRobin);
    places(&mut router, &members, 2);
    members[1].ready = false;
    assert_eq!(shares(&places(&mut router, &members, 300), 4), [100, 0, 100, 100]);
    members[1].ready = true;
    let after = places(&mut router, &members, 400);
    assert_eq!(shares(&after, 4), [100; 4], "nothing to make up for");
    assert_eq!(after.iter().position(|place| *place == 1), Some(0), "and its turn is at once");
}

#[test]
fn one_that_comes_and_goes_does_not_double_the_share_of_the_next() {
    let mut members = members(3);
    let mut router = Router::new(Strategy::RoundRobin);
    let mut all = Vec::new();
    for turn in 0..600 {
        members[1].ready = turn % 2 == 0;
        all.extend(places(&mut router, &members, 1));
    }
    let shares = shares(&all, 3);
    assert!(shares[0].abs_diff(shares[2]) <= 2, "{shares:?}");
    assert!(shares[1] >= 140, "{shares:?}");
}

#[test]
fn the_one_with_the_least_to_do() {
    let mut members = members(4);
    for (member, pending) in members.iter_mut().zip([2, 1, 1, 0]) {
        member.pending = pending;
    }
    let mut router = Router::new(Strategy::LeastPending);
    assert_eq!(places(&mut router, &members, 2), [3, 3]);
    members[3].ready = false;
    assert_eq!(places(&mut router, &members, 4), [1, 2, 1, 2], "equals in turn");
    let members = self::members(3);
    assert_eq!(places(&mut Router::new(Strategy::LeastPending), &members, 4), [0, 1, 2, 0]);
}

#[test]
fn the_better_one_is_back_only_after_its_cool_down() {
    let start = Instant::now();
    let mut members = members(4);
    for (member, priority) in members.iter_mut().zip([2, 1, 1, 0]) {
        member.priority = priority;
    }
    let mut router = Router::new(Strategy::Failover);
    let mut pick = |members: &[Candidate], seconds| router.pick(members, None, start + seconds * SECOND);
    assert_eq!(pick(&members, 0), Some(3));
    members[3].ready = false;
    members[3].cooling_until = Some(start + 10 * SECOND);
    assert_eq!((pick(&members, 1), pick(&members, 1)), (Some(1), Some(1)), "of equals the same");
    members[3].ready = true;
    assert_eq!(pick(&members, 9), Some(1), "it is back, and cools");
    assert_eq!(pick(&members, 10), Some(3));
    members[1].ready = false;
    members[2].ready = false;
    assert_eq!(pick(&members, 9), Some(0));
    members[0].cooling_until = Some(start + 20 * SECOND);
    assert_eq!(pick(&members, 9), Some(3), "all cool: the best of them");
    members.reverse();
    assert_eq!(pick(&members, 9), Some(0), "whatever the order");
}

/// The published values of FNV-1a, and one of ours: who changes them moves everybody's keys.
#[test]
fn the_hash_is_a_promise() {
    for (text, hash) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)] {
        assert_eq!(stable_hash(text.as_bytes()), hash, "{text}");
    }
    assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf, "the first number of SplitMix64");
    let names = ["wss://a.example/", "wss://b.example/", "wss://c.example/"].map(|name| stable_hash(name.as_bytes()));
    let keepers: Vec<_> = spread(&["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan"], &names)
        .into_iter()
        .map(|keeper| names.iter().position(|name| Some(*name) == keeper).expect("one of them"))
        .collect();
    assert_eq!(keepers, [2, 2, 2, 2, 1, 1, 2, 2, 0]);
}

fn keys() -> Vec<String> {
    (0..100_000).map(|key| format!("user-{key}")).collect()
}

#[test]
fn keys_are_spread_evenly() {
    // Ids one after the other and hashed ones: neither may lean to one side.
    let named = |count: usize| (0..count).map(|name| stable_hash(format!("wss://host{name}/").as_bytes())).collect();
    let counted = |count: usize| (0..count as u64).collect();
    let kinds: [&dyn Fn(usize) -> Vec<u64>; 2] = [&named, &counted];
    let keys = keys();
    for (ids, count) in kinds.iter().flat_map(|ids| [2, 3, 7, 10].map(|count| (ids, count))) {
        let ids = ids(count);
        let keepers = spread(&keys, &ids);
        for id in ids {
            let share = keepers.iter().filter(|keeper| **keeper == Some(id)).count();
            let even = keys.len() / count;
            assert!(share.abs_diff(even) < even / 10, "{share} of {} for one of {count}", keys.len());
        }
    }
}

#[test]
fn only_the_keys_of_a_lost_member_move() {
    let keys = keys();
    let ids: Vec<u64> = (1..=7).collect();
    let before = spread(&keys, &ids);
    for lost in &ids {
        let left: Vec<_> = ids.iter().copied().filter(|id| id != lost).collect();
        let after = spread(&keys, &left);
        let mut moved_to = BTreeMap::<u64, usize>::new();
        for (before, after) in before.iter().zip(&after) {
            if *before == Some(*lost) {
                *moved_to.entry(after.expect("somebody")).or_default() += 1;
            } else {
                assert_eq!(before, after, "not one of {lost}");
            }
        }
        let all: usize = moved_to.values().sum();
        assert!(moved_to.values().all(|count| count.abs_diff(all / 6) < all / 30), "evenly: {moved_to:?}");
    }
}

#[test]
fn a_key_stays_where_it_is() {
    let now = Instant::now();
    let mut members = members(5);
    let mut router = Router::new(Strategy::Sticky);
    for key in 0..100_u32 {
        let key = key.to_be_bytes();
        let mut pick = |members: &[Candidate]| {
            router.pick(members, Some(&key), now).map(|at| members[at].id).expect("one is ready")
        };
        let home = pick(&members);
        assert_eq!(Some(home), spread(&[key], &members.iter().map(|member| member.id).collect::<Vec<_>>())[0]);
        members.reverse();
        assert_eq!(pick(&members), home, "whatever the order");
        let at = members.iter().position(|member| member.id == home).expect("a member");
        members[at].ready = false;
        let refuge = pick(&members);
        assert_ne!(refuge, home);
        members[at].ready = true;
        assert_eq!(pick(&members), home, "and back");
    }
    assert_eq!(shares(&places(&mut router, &members, 100), 5), [20; 5], "without a key in turn");
}

#[test]
fn nobody_keeps_topics_of_no_members() {
    assert_eq!(spread(&["a", "b"], &[]), [None, None]);
    assert_eq!(spread::<&str>(&[], &[1]), []);
}

#[test]
fn members_come_back_one_after_the_other() {
    let random = Random::seeded(2);
    let window = 10 * SECOND;
    for nth in 0..5_usize {
        let waits: Vec<_> = (0..500).map(|_| stagger(nth, 5, window, &random)).collect();
        let (from, to) = (2 * SECOND * u32::try_from(nth).expect("small"), SECOND / 10);
        let (least, most) = (waits.iter().min().expect("some"), waits.iter().max().expect("some"));
        assert!(*least >= from && *least < from + to, "{nth}: {least:?}");
        assert!(*most < from + 2 * SECOND && *most > from + 2 * SECOND - to, "{nth}: {most:?}");
    }
    assert!(stagger(7, 5, window, &random) < 6 * SECOND, "beyond the last one is the first one again");
    assert!(stagger(0, 0, window, &random) < window);
    assert_eq!(stagger(usize::MAX, usize::MAX, Duration::ZERO, &random), Duration::ZERO);
}

proptest! {
    /// Whoever comes and goes: nobody who is ready is passed over by another one twice in a row of its own waiting.
    #[test]
    fn no_ready_member_is_passed_over(seed in any::<u64>(), turns in collection::vec(0..5_usize, 1..300)) {
        let mut members = members(5);
        members[usize::try_from(seed % 5).expect("small")].ready = false;
        let mut router = Router::new(Strategy::RoundRobin);
        // Since a member waits: how often each other one was chosen.
        let mut passed = [[0_u32; 5]; 5];
        for flip in turns {
            members[flip].ready ^= true;
            passed[flip] = [0; 5];
            let Some(chosen) = router.pick(&members, None, Instant::now()) else { continue };
            prop_assert!(members[chosen].ready);
            passed[chosen] = [0; 5];
            for (waiting, passed) in passed.iter_mut().enumerate() {
                if waiting != chosen && members[waiting].ready {
                    passed[chosen] += 1;
                    prop_assert!(passed[chosen] <= 1, "{waiting} waits for {chosen} twice");
                }
            }
        }
    }
}
