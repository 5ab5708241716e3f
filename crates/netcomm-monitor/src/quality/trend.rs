//! What changed lately: the last minute and a half in slots of a second, and the signs in them that a network is about to go.

use std::time::Instant;

use super::samples::Ring;

/// Slots that are kept, besides the current one.
const SLOTS: usize = 90;

/// What counts as now, in seconds.
const SHORT: u64 = 5;

/// What it is compared with: that many seconds before.
const LONG: u64 = 60;

/// Where a round trip was measured. Each is compared with its like alone.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Http,
    Transport,
    Ping,
}

/// Round trips of a source, as sixteenths of octaves.
#[derive(Clone, Copy, Debug, Default)]
struct Logs {
    count: u32,
    sum: u32,
    moves: u32,
}

impl Logs {
    fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            sum: self.sum.saturating_add(other.sum),
            moves: self.moves.saturating_add(other.moves),
        }
    }

    fn mean(self) -> f64 {
        f64::from(self.sum) / 16.0 / f64::from(self.count.max(1))
    }

    fn mean_move(self) -> f64 {
        f64::from(self.moves) / 16.0 / f64::from(self.count.max(1))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    logs: [Logs; 3],
    segments: u64,
    again: u64,
    ended: u32,
    failed: u32,
}

impl Slot {
    fn add(&mut self, other: &Self) {
        for (sum, logs) in self.logs.iter_mut().zip(other.logs) {
            *sum = sum.plus(logs);
        }
        self.segments = self.segments.saturating_add(other.segments);
        self.again = self.again.saturating_add(other.again);
        self.ended = self.ended.saturating_add(other.ended);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

#[derive(Debug)]
pub(super) struct Trend {
    origin: Option<Instant>,
    slots: Ring<Slot>,
    current: Slot,
    last: [Option<u32>; 3],
    /// Failures since the last success.
    in_a_row: u32,
}

/// The signs, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Signs {
    /// By how many octaves round trips are longer than they were in the minute before.
    pub(super) rtt_rise: f64,
    /// By how many octaves more they vary.
    pub(super) jitter_rise: f64,
    /// The share of segments sent again, lately.
    pub(super) loss: f64,
    /// The share of attempts that failed, lately.
    pub(super) failures: f64,
    /// Failures since the last success.
    pub(super) in_a_row: u32,
    /// Round trips and outcomes it rests on.
    pub(super) samples: u32,
}

impl Trend {
    pub(super) fn new() -> Self {
        Self { origin: None, slots: Ring::new(SLOTS), current: Slot::default(), last: [None; 3], in_a_row: 0 }
    }

    /// Another network: what was has nothing to do with what comes.
    pub(super) fn clear(&mut self) {
        let second = self.current.second;
        self.slots.clear();
        self.current = Slot { second, ..Slot::default() };
        self.last = [None; 3];
        self.in_a_row = 0;
    }

    pub(super) fn rtt(&mut self, at: Instant, source: Source, nanos: u64) {
        let log = log2(nanos);
        let last = self.last[source as usize].replace(log);
        let logs = &mut self.at(at).logs[source as usize];
        *logs = logs.plus(Logs { count: 1, sum: log, moves: last.map_or(0, |last| log.abs_diff(last)) });
    }

    pub(super) fn segments(&mut self, at: Instant, segments: u64, again: u64) {
        let slot = self.at(at);
        slot.segments = slot.segments.saturating_add(segments);
        slot.again = slot.again.saturating_add(again);
    }

    pub(super) fn outcome(&mut self, at: Instant, ok: bool) {
        self.in_a_row = if ok { 0 } else { self.in_a_row.saturating_add(1) };
        let slot = self.at(at);
        slot.ended = slot.ended.saturating_add(1);
        slot.failed = slot.failed.saturating_add(u32::from(!ok));
    }

    pub(super) fn signs(&self, at: Instant) -> Signs {
        let now = self.second(at);
        let (mut short, mut recent, mut long) = (Slot::default(), Slot::default(), Slot::default());
        for slot in self.slots.iter().chain([&self.current]) {
            match now.saturating_sub(slot.second) {
                age if age < SHORT => {
                    short.add(slot);
                    recent.add(slot);
                }
                age => {
                    if age < SHORT * 2 {
                        recent.add(slot);
                    }
                    if age < SHORT + LONG {
                        long.add(slot);
                    }
                }
            }
        }
        let (mut rise, mut jitter, mut weight) = (0.0, 0.0, 0.0);
        for (short, long) in short.logs.iter().zip(long.logs).filter(|(short, long)| short.count > 0 && long.count > 1)
        {
            // A few samples say little, more than a few hardly more.
            let counts = f64::from(short.count.min(8));
            rise += counts * (short.mean() - long.mean());
            jitter += counts * (short.mean_move() - long.mean_move());
            weight += counts;
        }
        let weight = f64::max(weight, 1.0);
        // As if some segments and attempts more had gone well, so that a single one is no catastrophe.
        let share = |part: f64, whole: f64, well: f64| (part / (whole + well)).min(1.0);
        let samples = |slot: &Slot| slot.logs.iter().fold(slot.ended, |sum, logs| sum.saturating_add(logs.count));
        Signs {
            rtt_rise: rise / weight,
            jitter_rise: jitter / weight,
            loss: share(recent.again as f64, recent.segments as f64, 20.0),
            failures: share(recent.failed.into(), recent.ended.into(), 1.0),
            in_a_row: if recent.failed > 0 { self.in_a_row } else { 0 },
            samples: samples(&short).saturating_add(samples(&long)),
        }
    }

    fn second(&self, at: Instant) -> u64 {
        self.origin.map_or(0, |origin| at.saturating_duration_since(origin).as_secs())
    }

    /// The slot of that time; the current one for what comes late.
    fn at(&mut self, at: Instant) -> &mut Slot {
        self.origin.get_or_insert(at);
        let second = self.second(at);
        if second > self.current.second {
            let ended = std::mem::replace(&mut self.current, Slot { second, ..Slot::default() });
            self.slots.push(ended);
        }
        &mut self.current
    }
}

/// Sixteenths of octaves, in between by the straight line.
fn log2(nanos: u64) -> u32 {
    let top = (nanos | 16).ilog2();
    let sixteenth = (nanos >> (top - 4)) & 15;
    top * 16 + sixteenth as u32
}
