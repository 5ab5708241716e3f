//! How good the network is, told from what traffic showed anyway: no packet is sent for it, and no clock is read.

mod config;
mod estimator;
mod forecast;
mod history;
mod medians;
mod samples;
mod throughput;
#[cfg(test)]
mod traces;
mod trend;

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use config::{QualityConfig, Thresholds};
pub use estimator::Estimator;
pub use forecast::{Forecast, Outlook};
pub use history::{History, HistoryPoint, HistorySpan};

/// What TCP knows of a connection (`TCP_INFO` on Linux), since it was last asked about that connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportSample {
    /// The smoothed round trip.
    pub rtt: Duration,
    /// How much round trips vary: TCP's smoothed mean deviation.
    pub rtt_var: Option<Duration>,
    /// The shortest round trip yet.
    pub min_rtt: Option<Duration>,
    /// Segments sent since the last sample of that connection.
    pub segments_out: u64,
    /// Segments among them that were sent again.
    pub retransmits: u64,
}

impl TransportSample {
    /// A round trip, and nothing else known.
    #[must_use]
    pub const fn new(rtt: Duration) -> Self {
        Self { rtt, rtt_var: None, min_rtt: None, segments_out: 0, retransmits: 0 }
    }

    /// The same with how much round trips vary.
    #[must_use]
    pub const fn with_rtt_var(self, rtt_var: Duration) -> Self {
        Self { rtt_var: Some(rtt_var), ..self }
    }

    /// The same with the shortest round trip yet.
    #[must_use]
    pub const fn with_min_rtt(self, min_rtt: Duration) -> Self {
        Self { min_rtt: Some(min_rtt), ..self }
    }

    /// The same with what was sent since the last sample, and how much of that was sent again.
    #[must_use]
    pub const fn with_segments(self, segments_out: u64, retransmits: u64) -> Self {
        Self { segments_out, retransmits, ..self }
    }
}

/// What a network is good for, in the words of W3C's Network Information: the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EffectiveType {
    /// Text alone.
    Slow2g,
    /// Small images.
    TwoG,
    /// Large images, sound.
    ThreeG,
    /// Anything.
    FourG,
}

impl EffectiveType {
    /// `slow-2g`, `2g`, `3g`, `4g`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slow2g => "slow-2g",
            Self::TwoG => "2g",
            Self::ThreeG => "3g",
            Self::FourG => "4g",
        }
    }
}

impl fmt::Display for EffectiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EffectiveType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How good the network is at one moment. What is not known is `None`.
///
/// Written down by serde, times are numbers of milliseconds, and their names end in `_ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Quality {
    /// The class by round trip and downlink, see [`Thresholds`].
    pub effective: Option<EffectiveType>,
    /// From a request to the head of its answer on a connection that was there: the weighted median, not below the transport's
    /// and the ping's and not above three pings.
    #[serde(rename = "http_rtt_ms", serialize_with = "milliseconds")]
    pub http_rtt: Option<Duration>,
    /// TCP's own round trip: the weighted median. A proxy's, where there is one.
    #[serde(rename = "transport_rtt_ms", serialize_with = "milliseconds")]
    pub transport_rtt: Option<Duration>,
    /// A ping of a WebSocket or of HTTP/2, end to end: the weighted median.
    #[serde(rename = "ping_rtt_ms", serialize_with = "milliseconds")]
    pub ping_rtt: Option<Duration>,
    /// The shortest round trip that TCP saw on this network: what is above it waits in queues.
    #[serde(rename = "min_rtt_ms", serialize_with = "milliseconds")]
    pub min_rtt: Option<Duration>,
    /// The best single figure: of ping, transport and HTTP in that order the first with samples that are together worth one
    /// fresh one, else whichever has the most.
    #[serde(rename = "rtt_ms", serialize_with = "milliseconds")]
    pub rtt: Option<Duration>,
    /// The weighted median of the samples behind [`rtt`](Self::rtt).
    #[serde(rename = "rtt_p50_ms", serialize_with = "milliseconds")]
    pub rtt_p50: Option<Duration>,
    /// Their weighted 95th percentile.
    #[serde(rename = "rtt_p95_ms", serialize_with = "milliseconds")]
    pub rtt_p95: Option<Duration>,
    /// How much round trips vary: the weighted median of TCP's mean deviation where that is known; else as RFC 3550 §6.4.1
    /// smooths it (by 1/16 of each difference between two that follow each other), from pings, else from HTTP.
    #[serde(rename = "jitter_ms", serialize_with = "milliseconds")]
    pub jitter: Option<Duration>,
    /// The share of TCP's segments that was sent again, `0..=1`, weighted by age.
    pub loss: Option<f64>,
    /// The share of attempts that failed, `0..=1`, weighted by age.
    pub failures: Option<f64>,
    /// What comes in when enough is asked for, in kbit/s: the weighted median.
    pub downlink_kbps: Option<f64>,
    /// All in one number, `0..=100`; 0 also where nothing is known. It is
    /// `100 / (1 + rtt / 1 s) / (1 + jitter / 500 ms) × (1 - loss)^10 × d / (d + 200 kbit/s) × (1 - failures)`, and what is not
    /// known is left out: 20 ms, 2 ms of jitter and 50 Mbit/s are 97; 270 ms and 700 kbit/s are 61; 2 s and 50 kbit/s are 7.
    pub score: u8,
    /// How much is known, `0..=1`: `1 - 0.5^(n / 3)`, where n is what all samples of round trips are worth, a fresh one 1 and
    /// one that is a minute old 0.5. Five fresh ones make 0.69.
    pub confidence: f64,
    /// How many samples of round trips it rests on.
    pub samples: u32,
}

/// The smallest step of a round trip that is reported.
const RTT_STEP_MS: u64 = 25;

/// The smallest step of a downlink that is reported, in kbit/s.
const DOWNLINK_STEP: f64 = 25.0;

/// Changes below that share of what was reported are not reported.
const NOTABLE: f64 = 0.1;

impl Quality {
    /// The round trip as W3C's Network Information reports it, so that it does not tell users apart: rounded to 25 ms. It is
    /// [`http_rtt`](Self::http_rtt), else [`rtt`](Self::rtt).
    #[must_use]
    pub fn reported_rtt(&self) -> Option<Duration> {
        let rtt = self.application_rtt()?;
        let steps = (rtt.as_secs_f64() * 1000.0 / RTT_STEP_MS as f64).round() as u64;
        Some(Duration::from_millis(steps.saturating_mul(RTT_STEP_MS)))
    }

    /// The downlink in kbit/s as W3C's Network Information reports it: rounded to 25 kbit/s.
    #[must_use]
    pub fn reported_downlink_kbps(&self) -> Option<f64> {
        self.downlink_kbps.map(|kbps| (kbps / DOWNLINK_STEP).round() * DOWNLINK_STEP)
    }

    /// Whether whoever was told `reported` should be told this: another effective type, something known that was not, or a
    /// round trip or downlink that changed by a tenth at least and by a step of its rounding.
    #[must_use]
    pub fn differs(&self, reported: &Self) -> bool {
        let ms = |rtt: Option<Duration>| rtt.map(|rtt| rtt.as_secs_f64() * 1000.0);
        self.effective != reported.effective
            || (notable(ms(self.application_rtt()), ms(reported.application_rtt()))
                && self.reported_rtt() != reported.reported_rtt())
            || (notable(self.downlink_kbps, reported.downlink_kbps)
                && self.reported_downlink_kbps() != reported.reported_downlink_kbps())
    }

    fn application_rtt(&self) -> Option<Duration> {
        self.http_rtt.or(self.rtt)
    }

    fn scored(self) -> Self {
        let Some(rtt) = self.rtt else {
            return self;
        };
        let seconds = |duration: Duration| duration.as_secs_f64();
        let delay = 1.0 / (1.0 + seconds(rtt));
        let jitter = self.jitter.map_or(1.0, |jitter| 1.0 / (1.0 + seconds(jitter) / 0.5));
        let loss = self.loss.map_or(1.0, |loss| (1.0 - loss).powi(10));
        let downlink = self.downlink_kbps.map_or(1.0, |kbps| kbps / (kbps + 200.0));
        let failures = self.failures.map_or(1.0, |failures| 1.0 - failures);
        let score = 100.0 * delay * jitter * loss * downlink * failures;
        Self { score: score.clamp(0.0, 100.0).round() as u8, ..self }
    }
}

fn notable(now: Option<f64>, reported: Option<f64>) -> bool {
    match (now, reported) {
        (Some(now), Some(reported)) => (now - reported).abs() >= reported * NOTABLE,
        (now, reported) => now.is_some() != reported.is_some(),
    }
}

fn milliseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64() * 1000.0).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(rtt_ms: u64, kbps: f64) -> Quality {
        let rtt = Some(Duration::from_millis(rtt_ms));
        Quality { rtt, downlink_kbps: Some(kbps), ..Quality::default() }
    }

    #[test]
    fn what_is_reported_is_rounded() {
        for (rtt, expected) in [(0, 0), (12, 0), (13, 25), (37, 25), (38, 50), (3600, 3600)] {
            assert_eq!(quality(rtt, 0.0).reported_rtt(), Some(Duration::from_millis(expected)), "{rtt}");
        }
        for (kbps, expected) in [(12.0, 0.0), (13.0, 25.0), (1961.0, 1950.0)] {
            assert_eq!(quality(0, kbps).reported_downlink_kbps(), Some(expected), "{kbps}");
        }
        assert_eq!(Quality::default().reported_rtt(), None);
    }

    #[test]
    fn changes_below_a_tenth_are_not_reported() {
        let reported = quality(400, 1000.0);
        for (now, expected) in [
            (quality(400, 1000.0), false),
            (quality(439, 1000.0), false),
            (quality(440, 1000.0), true),
            (quality(361, 1000.0), false),
            (quality(360, 1000.0), true),
            (quality(400, 1099.0), false),
            (quality(400, 1101.0), true),
            (Quality { downlink_kbps: None, ..reported }, true),
            (Quality { effective: Some(EffectiveType::ThreeG), ..reported }, true),
        ] {
            assert_eq!(now.differs(&reported), expected, "{now:?}");
        }
        assert!(!quality(16, 1000.0).differs(&quality(20, 1000.0)), "a fifth, and the same when rounded");
    }

    #[test]
    fn scores_as_documented() {
        let wire = Quality { jitter: Some(Duration::from_millis(2)), ..quality(20, 50_000.0) };
        for (quality, expected) in
            [(Quality::default(), 0), (wire, 97), (quality(270, 700.0), 61), (quality(2000, 50.0), 7)]
        {
            assert_eq!(quality.scored().score, expected, "{quality:?}");
        }
        assert_eq!(Quality { loss: Some(0.05), ..wire }.scored().score, 58);
        assert_eq!(Quality { failures: Some(1.0), ..wire }.scored().score, 0);
    }
}
