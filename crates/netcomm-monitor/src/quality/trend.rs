//! What changed lately: the last minute and a half in slots of a second, and the signs in them that a network is about to go.

use std::time::{Duration, Instant};

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
    /// When the current slot ends: a comparison is all that most samples take.
    turns: Option<Instant>,
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
    /// The same in the minute before.
    pub(super) loss_before: f64,
    /// The share of attempts that failed, lately.
    pub(super) failures: f64,
    /// The same in the minute before.
    pub(super) failures_before: f64,
    /// Failures since the last success.
    pub(super) in_a_row: u32,
    /// Round trips and outcomes it rests on.
    pub(super) samples: u32,
}

impl Trend {
    pub(super) fn new() -> Self {
        Self {
            origin: None,
            turns: None,
            slots: Ring::new(SLOTS),
            current: Slot::default(),
            last: [None; 3],
            in_a_row: 0,
        }
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
        // Round trips are many, and tell after 5 s; losses are few, and take 10 s.
        let sum = |from: u64, to: u64| {
            let mut sum = Slot::default();
            let slots = self.slots.iter().chain([&self.current]);
            slots.filter(|slot| (from..to).contains(&now.saturating_sub(slot.second))).for_each(|slot| sum.add(slot));
            sum
        };
        let (short, long) = (sum(0, SHORT), sum(SHORT, SHORT + LONG));
        let (recent, before) = (sum(0, SHORT * 2), sum(SHORT * 2, SHORT * 2 + LONG));
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
            loss_before: share(before.again as f64, before.segments as f64, 20.0),
            failures: share(recent.failed.into(), recent.ended.into(), 1.0),
            failures_before: share(before.failed.into(), before.ended.into(), 1.0),
            in_a_row: if recent.failed > 0 { self.in_a_row } else { 0 },
            samples: samples(&short).saturating_add(samples(&long)),
        }
    }

    fn second(&self, at: Instant) -> u64 {
        self.origin.map_or(0, |origin| at.saturating_duration_since(origin).as_secs())
    }

    /// The slot of that time; the current one for what comes late.
    fn at(&mut self, at: Instant) -> &mut Slot {
        if self.turns.is_none_or(|turns| at >= turns) {
            self.turn(at);
        }
        &mut self.current
    }

    #[cold]
    fn turn(&mut self, at: Instant) {
        let origin = *self.origin.get_or_insert(at);
        let second = self.second(at);
        self.turns = origin.checked_add(Duration::from_secs(second.saturating_add(1)));
        if second > self.current.second {
            let ended = std::mem::replace(&mut self.current, Slot { second, ..Slot::default() });
            self.slots.push(ended);
        }
    }
}

/// Sixteenths of octaves, in between by the straight line.
fn log2(nanos: u64) -> u32 {
    let top = (nanos | 16).ilog2();
    let sixteenth = (nanos >> (top - 4)) & 15;
    top * 16 + sixteenth as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn sixteenths_of_octaves() {
        for (nanos, expected) in [(0, 64), (16, 64), (32, 80), (24, 72), (1 << 30, 480), (u64::MAX, 63 * 16 + 15)] {
            assert_eq!(log2(nanos), expected, "{nanos}");
        }
    }

    #[test]
    fn round_trips_that_double() {
        let (start, mut trend) = (Instant::now(), Trend::new());
        for second in 0..65 {
            let nanos = if second < 60 { 64 * MS } else { 128 * MS };
            trend.rtt(start + seconds(second), Source::Ping, nanos);
            // Of another source, and as it always was.
            trend.rtt(start + seconds(second), Source::Http, 500 * MS);
        }
        let signs = trend.signs(start + seconds(64));
        assert!((signs.rtt_rise - 0.5).abs() < 0.01, "{signs:?}");
        assert!((signs.jitter_rise - 0.1).abs() < 0.02, "{signs:?}");
        assert_eq!(signs.samples, 130);
    }

    #[test]
    fn losses_and_failures_lately_and_before() {
        let (start, mut trend) = (Instant::now(), Trend::new());
        for second in 0..70 {
            let at = start + seconds(second);
            trend.segments(at, 10, u64::from(second >= 60) * 3);
            trend.outcome(at, second < 60 || second % 2 == 0);
        }
        let signs = trend.signs(start + seconds(69));
        assert_eq!((signs.loss, signs.loss_before), (0.25, 0.0));
        assert!((signs.failures - 5.0 / 11.0).abs() < 1e-9, "{signs:?}");
        assert_eq!((signs.failures_before, signs.in_a_row), (0.0, 1));
        let later = trend.signs(start + seconds(300));
        assert_eq!(later, Signs::default(), "long ago");
    }

    #[test]
    fn another_network_begins_anew() {
        let (start, mut trend) = (Instant::now(), Trend::new());
        trend.rtt(start + seconds(5), Source::Ping, MS);
        trend.outcome(start + seconds(6), false);
        trend.clear();
        assert_eq!(trend.signs(start + seconds(6)), Signs::default());
        trend.outcome(start, false);
        assert_eq!(trend.signs(start + seconds(6)).in_a_row, 1, "what comes late counts now");
    }
}
