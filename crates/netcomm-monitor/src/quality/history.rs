//! The recent past of round trips, downlink, loss and failures: an hour in steps of 10 s, a day in steps of 5 min.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use super::milliseconds;
use super::samples::Ring;

/// Steps of 10 s that are kept: an hour.
const FINE_STEPS: usize = 360;

/// Steps of 5 min that are kept: a day.
const COARSE_STEPS: usize = 288;

const FINE_SECONDS: u64 = 10;

const COARSE_SECONDS: u64 = 300;

/// Values of a kind, each octave in four parts, so that a percentile is right within an eighth. Twenty octaves.
#[derive(Clone, Debug)]
struct Histogram {
    counts: [u16; BUCKETS],
    least: u64,
    greatest: u64,
}

const BUCKETS: usize = 80;

/// Round trips from 65 µs to 68 s, in nanoseconds.
const RTT_OCTAVE: u32 = 16;

/// Downlinks from 8 kbit/s to 8 Gbit/s, in bits per second.
const DOWNLINK_OCTAVE: u32 = 13;

impl Histogram {
    const fn new() -> Self {
        Self { counts: [0; BUCKETS], least: u64::MAX, greatest: 0 }
    }

    fn add(&mut self, octave: u32, value: u64) {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        let top = (value | 4).ilog2();
        let quarter = (value >> (top - 2)) & 3;
        let bucket = (u64::from(top) * 4 + quarter).saturating_sub(u64::from(octave) * 4);
        self.count(usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1)), 1);
    }

    fn count(&mut self, bucket: usize, by: u16) {
        match self.counts[bucket].checked_add(by) {
            Some(count) => self.counts[bucket] = count,
            // Full: halves keep their proportions, and leave none out.
            None => {
                for count in &mut self.counts {
                    *count = count.div_ceil(2);
                }
                self.counts[bucket] = self.counts[bucket].saturating_add(by.div_ceil(2));
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        for (bucket, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.count(bucket, *count);
        }
    }

    fn total(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    fn percentile(&self, octave: u32, share: f64) -> Option<u64> {
        let total = self.total();
        let wanted = ((total as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut sum = 0;
        let bucket = self.counts.iter().position(|count| {
            sum += u64::from(*count);
            sum >= wanted
        })?;
        let (top, quarter) = (bucket / 4, bucket as u64 % 4);
        let low = (4 + quarter) << (top + octave as usize - 2);
        let middle = low + (1 << (top + octave as usize - 3));
        Some(middle.clamp(self.least, self.greatest))
    }
}

#[derive(Clone, Debug)]
struct Step {
    /// Its first second since the first sample.
    second: u64,
    rtt: Histogram,
    http_rtt: Histogram,
    downlink: Histogram,
    segments: u64,
    again: u64,
    ended: u32,
    failed: u32,
}

impl Step {
    const fn new(second: u64) -> Self {
        Self {
            second,
            rtt: Histogram::new(),
            http_rtt: Histogram::new(),
            downlink: Histogram::new(),
            segments: 0,
            again: 0,
            ended: 0,
            failed: 0,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.rtt.merge(&other.rtt);
        self.http_rtt.merge(&other.http_rtt);
        self.downlink.merge(&other.downlink);
        self.segments = self.segments.saturating_add(other.segments);
        self.again = self.again.saturating_add(other.again);
        self.ended = self.ended.saturating_add(other.ended);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// The recent past of a network's quality, whatever the network was: an hour in steps of 10 s, a day in steps of 5 min.
///
/// Takes 400 kB at most, 650 steps of some 600 bytes; a step in which nothing was measured takes nothing. Percentiles
/// are right within an eighth.
#[derive(Debug)]
pub struct History {
    origin: Option<Instant>,
    /// When the current step ends: a comparison is all that most samples take.
    turns: Option<Instant>,
    fine: Ring<Step>,
    coarse: Ring<Step>,
    current: Step,
    /// The sum of the steps since the last one of 5 min, without the current one.
    gathered: Step,
}

/// A stretch of the recent past, as numbers. What was not measured is `None`.
///
/// Written down by serde, times are numbers of milliseconds, and their names end in `_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistoryPoint {
    /// How long ago it began.
    #[serde(rename = "ago_ms", serialize_with = "whole")]
    pub ago: Duration,
    /// How long it is.
    #[serde(rename = "length_ms", serialize_with = "whole")]
    pub length: Duration,
    /// How many round trips were measured; of very many some multiple less.
    pub samples: u64,
    /// The median round trip of transport and pings.
    #[serde(rename = "rtt_p50_ms", serialize_with = "milliseconds")]
    pub rtt_p50: Option<Duration>,
    /// Their 95th percentile.
    #[serde(rename = "rtt_p95_ms", serialize_with = "milliseconds")]
    pub rtt_p95: Option<Duration>,
    /// The median HTTP round trip.
    #[serde(rename = "http_rtt_p50_ms", serialize_with = "milliseconds")]
    pub http_rtt_p50: Option<Duration>,
    /// The 95th percentile of HTTP round trips.
    #[serde(rename = "http_rtt_p95_ms", serialize_with = "milliseconds")]
    pub http_rtt_p95: Option<Duration>,
    /// The median downlink.
    pub downlink_kbps: Option<f64>,
    /// The share of TCP's segments that was sent again, `0..=1`.
    pub loss: Option<f64>,
    /// The share of attempts that failed, `0..=1`.
    pub failures: Option<f64>,
}

fn whole<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    milliseconds(&Some(*duration), serializer)
}

/// A stretch of the recent past as a whole.
#[derive(Clone, Debug)]
pub struct HistorySpan {
    ago: Duration,
    length: Duration,
    step: Box<Step>,
}

impl HistorySpan {
    /// A percentile of the round trips of transport and pings; `share` is `0..=1`.
    #[must_use]
    pub fn rtt(&self, share: f64) -> Option<Duration> {
        self.step.rtt.percentile(RTT_OCTAVE, share).map(Duration::from_nanos)
    }

    /// A percentile of HTTP round trips; `share` is `0..=1`.
    #[must_use]
    pub fn http_rtt(&self, share: f64) -> Option<Duration> {
        self.step.http_rtt.percentile(RTT_OCTAVE, share).map(Duration::from_nanos)
    }

    /// A percentile of the downlink in kbit/s; `share` is `0..=1`.
    #[must_use]
    pub fn downlink_kbps(&self, share: f64) -> Option<f64> {
        self.step.downlink.percentile(DOWNLINK_OCTAVE, share).map(|bits| bits as f64 / 1000.0)
    }

    /// It as numbers.
    #[must_use]
    pub fn point(&self) -> HistoryPoint {
        let step = &self.step;
        let share = |part: u64, whole: u64| (whole > 0).then(|| (part as f64 / whole as f64).min(1.0));
        HistoryPoint {
            ago: self.ago,
            length: self.length,
            samples: step.rtt.total() + step.http_rtt.total(),
            rtt_p50: self.rtt(0.5),
            rtt_p95: self.rtt(0.95),
            http_rtt_p50: self.http_rtt(0.5),
            http_rtt_p95: self.http_rtt(0.95),
            downlink_kbps: self.downlink_kbps(0.5),
            loss: share(step.again, step.segments),
            failures: share(step.failed.into(), step.ended.into()),
        }
    }
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            origin: None,
            turns: None,
            fine: Ring::new(FINE_STEPS),
            coarse: Ring::new(COARSE_STEPS),
            current: Step::new(0),
            gathered: Step::new(0),
        }
    }

    /// All of the last `span` as one. Whole steps count: up to a step more may be in it. Beyond an hour it is made of steps of
    /// 5 min, and it reaches back a day.
    #[must_use]
    pub fn over(&self, at: Instant, span: Duration) -> HistorySpan {
        let mut sum = Step::new(0);
        let first = self.first(at, span);
        self.steps(span).filter(|step| step.second >= first).for_each(|step| sum.merge(step));
        HistorySpan { ago: span, length: span, step: Box::new(sum) }
    }

    /// The steps of the last `span` in which something was measured, the oldest first: of 10 s up to an hour, of 5 min beyond.
    #[must_use]
    pub fn points(&self, at: Instant, span: Duration) -> Vec<HistoryPoint> {
        let (first, now) = (self.first(at, span), self.second(at));
        let length = Duration::from_secs(if is_fine(span) { FINE_SECONDS } else { COARSE_SECONDS });
        let mut steps: Vec<Step> = Vec::new();
        for step in self.steps(span).filter(|step| step.second >= first && !step.is_empty()) {
            match steps.last_mut().filter(|last| step.second < last.second + length.as_secs()) {
                Some(last) => last.merge(step),
                None => steps.push(step.clone()),
            }
        }
        let point = |step: Step| {
            let ago = Duration::from_secs(now.saturating_sub(step.second));
            HistorySpan { ago, length, step: Box::new(step) }.point()
        };
        steps.into_iter().map(point).collect()
    }

    pub(super) fn rtt(&mut self, at: Instant, nanos: u64) {
        self.at(at).rtt.add(RTT_OCTAVE, nanos);
    }

    pub(super) fn http_rtt(&mut self, at: Instant, nanos: u64) {
        self.at(at).http_rtt.add(RTT_OCTAVE, nanos);
    }

    pub(super) fn downlink(&mut self, at: Instant, bits_per_second: u64) {
        self.at(at).downlink.add(DOWNLINK_OCTAVE, bits_per_second);
    }

    pub(super) fn segments(&mut self, at: Instant, segments: u64, again: u64) {
        let step = self.at(at);
        step.segments = step.segments.saturating_add(segments);
        step.again = step.again.saturating_add(again);
    }

    pub(super) fn outcome(&mut self, at: Instant, ok: bool) {
        let step = self.at(at);
        step.ended = step.ended.saturating_add(1);
        step.failed = step.failed.saturating_add(u32::from(!ok));
    }

    /// The step of that time; the current one for what comes late.
    fn at(&mut self, at: Instant) -> &mut Step {
        if self.turns.is_none_or(|turns| at >= turns) {
            self.turn(at);
        }
        &mut self.current
    }

    #[cold]
    fn turn(&mut self, at: Instant) {
        let origin = *self.origin.get_or_insert(at);
        let second = self.second(at);
        let begin = second - second % FINE_SECONDS;
        self.turns = origin.checked_add(Duration::from_secs(begin.saturating_add(FINE_SECONDS)));
        if begin <= self.current.second {
            return;
        }
        let next = Step::new(begin);
        let ended = std::mem::replace(&mut self.current, next);
        self.gathered.merge(&ended);
        if !ended.is_empty() {
            self.fine.push(ended);
        }
        if second >= self.gathered.second + COARSE_SECONDS {
            let next = Step::new(second - second % COARSE_SECONDS);
            let gathered = std::mem::replace(&mut self.gathered, next);
            if !gathered.is_empty() {
                self.coarse.push(gathered);
            }
        }
    }

    fn second(&self, at: Instant) -> u64 {
        self.origin.map_or(0, |origin| at.saturating_duration_since(origin).as_secs())
    }

    /// The second in which the first step of that span begins.
    fn first(&self, at: Instant, span: Duration) -> u64 {
        let step = if is_fine(span) { FINE_SECONDS } else { COARSE_SECONDS };
        let second = self.second(at).saturating_sub(span.as_secs());
        second - second % step
    }

    fn steps(&self, span: Duration) -> impl Iterator<Item = &Step> {
        let (ring, gathered) = if is_fine(span) { (&self.fine, None) } else { (&self.coarse, Some(&self.gathered)) };
        ring.iter().chain(gathered).chain([&self.current])
    }
}

impl Step {
    fn is_empty(&self) -> bool {
        self.rtt.greatest == 0
            && self.http_rtt.greatest == 0
            && self.downlink.greatest == 0
            && self.segments == 0
            && self.ended == 0
    }
}

const fn is_fine(span: Duration) -> bool {
    span.as_secs() <= FINE_SECONDS * FINE_STEPS as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn percentiles_are_right_within_an_eighth() {
        let mut histogram = Histogram::new();
        let values: Vec<u64> = (0..1000).map(|step| 100_000 + step * step * 2000).collect();
        for value in &values {
            histogram.add(RTT_OCTAVE, *value);
        }
        for share in [0.01, 0.1, 0.5, 0.9, 0.95, 0.999, 1.0] {
            let exact = values[((1000.0 * share) as usize).max(1) - 1] as f64;
            let found = histogram.percentile(RTT_OCTAVE, share).unwrap() as f64;
            assert!((found / exact - 1.0).abs() <= 0.125, "{share}: {found} {exact}");
        }
    }

    #[test]
    fn values_beyond_its_range_are_its_ends() {
        for value in [0, 1, 5, u64::MAX] {
            let mut histogram = Histogram::new();
            histogram.add(RTT_OCTAVE, value);
            assert_eq!(histogram.percentile(RTT_OCTAVE, 0.5), Some(value));
        }
        assert_eq!(Histogram::new().percentile(RTT_OCTAVE, 0.5), None);
    }

    #[test]
    fn a_full_histogram_keeps_its_proportions() {
        let mut histogram = Histogram::new();
        for _ in 0..100_000 {
            histogram.add(RTT_OCTAVE, 1_000_000);
            histogram.add(RTT_OCTAVE, 1_000_000);
            histogram.add(RTT_OCTAVE, 64_000_000);
        }
        let bound = |share: f64| histogram.percentile(RTT_OCTAVE, share).unwrap();
        assert!(bound(0.6) < 2_000_000 && bound(0.72) > 50_000_000, "{} {}", bound(0.6), bound(0.72));
    }

    #[test]
    fn an_hour_in_steps_of_ten_seconds_and_a_day_in_steps_of_five_minutes() {
        let start = Instant::now();
        let mut history = History::new();
        for second in 0..2 * 86_400 {
            history.rtt(start + seconds(second), 1_000_000 * (1 + second / 3600));
            history.outcome(start + seconds(second), second % 4 > 0);
        }
        let end = start + seconds(2 * 86_400 - 1);
        let hour = history.points(end, seconds(3600));
        assert_eq!(hour.len(), 361, "an hour, and the step in which it begins");
        assert!(hour.iter().all(|point| point.samples == 10 && point.length == seconds(10)));
        assert!(hour.windows(2).all(|pair| pair[0].ago == pair[1].ago + seconds(10)));
        let day = history.points(end, seconds(86_400));
        assert!((288..=289).contains(&day.len()), "{}", day.len());
        assert!(day.iter().all(|point| point.samples == 300 && point.failures == Some(0.25)), "{:?}", day.last());
        assert_eq!(history.points(end, seconds(60)).len(), 7);
        let over = history.over(end, seconds(86_400));
        assert!((300 * 288..=300 * 289).contains(&over.point().samples), "{:?}", over.point());
        let median = over.rtt(0.5).unwrap().as_secs_f64() * 1000.0;
        assert!((median / 36.0 - 1.0).abs() < 0.13, "{median}");
        assert_eq!(history.over(end, seconds(0)).point().rtt_p95, Some(Duration::from_millis(48)));
    }

    #[test]
    fn gaps_take_no_room() {
        let start = Instant::now();
        let mut history = History::new();
        history.downlink(start, 1_000_000);
        history.segments(start + seconds(100_000), 10, 1);
        history.http_rtt(start + seconds(100_000), 5_000_000);
        let now = start + seconds(100_005);
        let points = history.points(now, seconds(3600));
        assert_eq!((points.len(), points[0].loss), (1, Some(0.1)));
        assert_eq!((points[0].http_rtt_p50, points[0].rtt_p50), (Some(Duration::from_millis(5)), None));
        let all = history.points(now, seconds(200_000));
        assert_eq!((all.len(), all[0].downlink_kbps), (2, Some(1000.0)));
        assert!(history.points(start, seconds(10)).len() <= 2, "asked of the past");
    }
}
