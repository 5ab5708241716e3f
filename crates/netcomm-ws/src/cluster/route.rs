//! Which member of a cluster carries a message, who keeps which subscription, and how members do not come back all at once.
//! Pure.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use netcomm_core::Random;

/// Which member of a cluster carries a message. Only members that are ready do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// The one that carried none for the longest time: each in turn. The turn of one that is away falls to all others alike, and
    /// one that comes back has nothing to make up for.
    #[default]
    RoundRobin,
    /// The one with the fewest messages that were not written yet; among equals each in turn.
    LeastPending,
    /// The same one for the same key, in each process that names the members alike (rendezvous hashing): when a member goes, only
    /// its keys move, evenly to all others, and they move back when it returns. Messages without a key go as with
    /// [`RoundRobin`](Self::RoundRobin). Who chooses keys can choose their member: no protection against a flood.
    Sticky,
    /// The one with the lowest priority number that did not fail just now; of equals always the same. If all that are ready
    /// have failed just now, the lowest of them.
    Failover,
}

/// A member as the choice sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// The same for the same member in each process: a [`stable_hash`] of its name.
    pub(crate) id: u64,
    pub(crate) ready: bool,
    /// Messages that are not written yet.
    pub(crate) pending: usize,
    /// The lower the better.
    pub(crate) priority: u32,
    /// It has failed, and is not preferred again before.
    pub(crate) cooling_until: Option<Instant>,
}

/// The choice, with its memory of whose turn it is.
#[derive(Debug)]
pub(crate) struct Router {
    strategy: Strategy,
    turn: u64,
    /// When each one had its last turn.
    served: BTreeMap<u64, u64>,
}

impl Router {
    pub(crate) const fn new(strategy: Strategy) -> Self {
        Self { strategy, turn: 0, served: BTreeMap::new() }
    }

    /// The place of the chosen one in `members`; `None` if none is ready. Costs a look at each member.
    pub(crate) fn pick(&mut self, members: &[Candidate], key: Option<&[u8]>, now: Instant) -> Option<usize> {
        let ready = || members.iter().enumerate().filter(|(_, member)| member.ready);
        let chosen = match (self.strategy, key) {
            (Strategy::Sticky, Some(key)) => {
                let key = stable_hash(key);
                return ready().max_by_key(|(_, member)| (score(key, member.id), member.id)).map(|(at, _)| at);
            }
            (Strategy::Failover, _) => {
                let is_cooling = |member: &Candidate| member.cooling_until.is_some_and(|until| now < until);
                return ready()
                    .min_by_key(|(_, member)| (is_cooling(member), member.priority, member.id))
                    .map(|(at, _)| at);
            }
            (Strategy::LeastPending, _) => {
                ready().min_by_key(|(_, member)| (member.pending, self.last_turn(member.id), member.id))
            }
            (Strategy::RoundRobin | Strategy::Sticky, _) => {
                ready().min_by_key(|(_, member)| (self.last_turn(member.id), member.id))
            }
        };
        let (at, member) = chosen?;
        self.turn += 1;
        self.served.insert(member.id, self.turn);
        if self.served.len() > members.len() {
            self.served.retain(|id, _| members.iter().any(|member| member.id == *id));
        }
        Some(at)
    }

    fn last_turn(&self, id: u64) -> u64 {
        self.served.get(&id).copied().unwrap_or(0)
    }
}

/// Who keeps each of `topics`: one of the members with these ids each, by rendezvous hashing; `None` if there are none. When a
/// member goes, only its topics move, when one comes, only those that become its own.
pub(crate) fn spread<T: AsRef<[u8]>>(topics: &[T], members: &[u64]) -> Vec<Option<u64>> {
    let keeper = |topic: &T| {
        let key = stable_hash(topic.as_ref());
        members.iter().copied().max_by_key(|id| (score(key, *id), *id))
    };
    topics.iter().map(keeper).collect()
}

/// How long the `nth` of `total` members waits before it comes back, counted from 0: anywhere in its own part of `window`, so
/// that members of one cluster keep apart, and clusters that failed together do as well.
pub(crate) fn stagger(nth: usize, total: usize, window: Duration, random: &Random) -> Duration {
    let total = u32::try_from(total.max(1)).unwrap_or(u32::MAX);
    let nth = u32::try_from(nth).unwrap_or(u32::MAX) % total;
    window.mul_f64((f64::from(nth) + random.fraction()) / f64::from(total))
}

/// 64-bit FNV-1a (Fowler, Noll, Vo): the same in each process, version and system. Its values are a promise: two
/// releases of one application side by side must agree on who has a key.
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// How much a member wants a key: the highest one has it. Mixed twice, since FNV leaves names alike that differ at their end.
const fn score(key: u64, member: u64) -> u64 {
    mix(key ^ mix(member))
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
