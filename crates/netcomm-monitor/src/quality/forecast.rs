//! How likely the network is to be gone soon.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::trend::Signs;

/// How likely the network is to be gone soon, and what that rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Forecast {
    /// Within the shorter horizon; 10 s by default.
    pub soon: Outlook,
    /// Within the longer horizon; 60 s by default.
    pub later: Outlook,
    /// By how many octaves round trips of the last 5 s are longer than those of the minute before: 1 is twice as long.
    pub rtt_rise_octaves: f64,
    /// By how many octaves more they vary from one to the next.
    pub jitter_rise_octaves: f64,
    /// The share of TCP's segments that was sent again in the last 10 s, as if 20 more had gone well.
    pub loss: f64,
    /// The share of attempts that failed in the last 10 s, as if one more had gone well.
    pub failures: f64,
    /// How many attempts failed since one succeeded; 0 if none failed in the last 10 s.
    pub failures_in_a_row: u32,
    /// How many measurements of the last 65 s it rests on; with 0 it is what networks do in general.
    pub samples: u32,
}

/// How likely something is within a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outlook {
    /// The time.
    #[serde(rename = "horizon_seconds", serialize_with = "seconds")]
    pub horizon: Duration,
    /// `0..=1`.
    pub probability: f64,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// The weights of the signs for one horizon.
struct Model {
    horizon: f64,
    base: f64,
    rtt_rise: f64,
    jitter_rise: f64,
    loss: f64,
    failures: f64,
    in_a_row: f64,
}

const SOON: Model =
    Model { horizon: 10.0, base: -5.0, rtt_rise: 1.0, jitter_rise: 1.0, loss: 8.0, failures: 4.0, in_a_row: 1.0 };

const LATER: Model =
    Model { horizon: 60.0, base: -4.0, rtt_rise: 1.0, jitter_rise: 1.0, loss: 8.0, failures: 3.0, in_a_row: 1.0 };

impl Model {
    /// The expected number of ends within the horizon.
    fn hazard(&self, signs: &Signs) -> f64 {
        let sum = self.base
            + self.rtt_rise * signs.rtt_rise.clamp(0.0, 4.0)
            + self.jitter_rise * signs.jitter_rise.clamp(0.0, 2.0)
            + self.loss * signs.loss
            + self.failures * signs.failures
            + self.in_a_row * f64::from(signs.in_a_row.min(5));
        // -ln(1 - p) of p = 1 / (1 + e^-sum), without its loss of digits.
        sum.exp().ln_1p()
    }
}

impl Forecast {
    pub(super) fn of(signs: &Signs, horizons: [Duration; 2]) -> Self {
        let (soon, later) = (SOON.hazard(signs), LATER.hazard(signs));
        let later = later.max(soon);
        // Between and beyond the two horizons for which there are weights: a straight line of logarithms.
        let power = (later / soon).ln() / (LATER.horizon / SOON.horizon).ln();
        let power = if power.is_finite() { power.clamp(0.0, 1.0) } else { 1.0 };
        let outlook = |horizon: Duration| Outlook {
            horizon,
            probability: (-(-soon * (horizon.as_secs_f64() / SOON.horizon).powf(power)).exp_m1()).clamp(0.0, 1.0),
        };
        Self {
            soon: outlook(horizons[0]),
            later: outlook(horizons[1]),
            rtt_rise_octaves: signs.rtt_rise,
            jitter_rise_octaves: signs.jitter_rise,
            loss: signs.loss,
            failures: signs.failures,
            failures_in_a_row: signs.in_a_row,
            samples: signs.samples,
        }
    }
}
