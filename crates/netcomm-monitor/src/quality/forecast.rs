//! How likely the network is to be gone soon, from the signs of it.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::trend::Signs;

/// How likely the network is to be gone soon, and what that rests on: round trips that grow and vary more than in the minute
/// before, segments that are lost and attempts that fail more than then.
///
/// The weights come from logistic regression over made-up networks of six kinds, of which steady ones are told most often,
/// since most networks are steady most of the time; no real ones were recorded for it. On fifty others of each kind, which no
/// weight has seen, asked each second, an alarm being a probability of at least a half:
///
/// | a network that | gone within 10 s | Brier score | of the base rate | warned of | false alarms |
/// |---|---|---|---|---|---|
/// | is good | never | 0.0000 | 0.0000 | | 0.0 % |
/// | is poor | never | 0.0000 | 0.0000 | | 0.0 % |
/// | has bad moments | never | 0.0005 | 0.0000 | | 0.05 % |
/// | becomes bad and good again | never | 0.0037 | 0.0000 | | 0.5 % |
/// | fades away in 10 to 40 s | 10.5 % | 0.0525 | 0.1045 | 78 % | 0.3 % |
/// | is gone at once | 10.6 % | 0.1059 | 0.1053 | 0 % | 0.0 % |
/// | all, as often as they were told | 0.35 % | 0.0023 | 0.0034 | | |
///
/// Within 60 s it is 0.0184 against 0.0198 for all, and 0.5313 against 0.5904 for those that fade, of whose ends it warns in
/// 82 % with no false alarm. So it sees a fading network, and nothing sees a cable that is cut.
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
    /// The same share of the minute before.
    pub loss_before: f64,
    /// The share of attempts that failed in the last 10 s, as if one more had gone well.
    pub failures: f64,
    /// The same share of the minute before.
    pub failures_before: f64,
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

/// The weights of the signs for one horizon, by logistic regression; see [`Forecast`] for what they were fitted to.
struct Model {
    horizon: f64,
    base: f64,
    rtt_rise: f64,
    jitter_rise: f64,
    loss_rise: f64,
    failures_rise: f64,
    failures: f64,
    in_a_row: f64,
}

const SOON: Model = Model {
    horizon: 10.0,
    base: -7.4,
    rtt_rise: 2.8,
    jitter_rise: 0.6,
    loss_rise: 8.0,
    failures_rise: 5.0,
    failures: 5.0,
    in_a_row: 0.6,
};

/// How much varies, and how much failed before, says nothing of a whole minute.
const LATER: Model = Model {
    horizon: 60.0,
    base: -4.25,
    rtt_rise: 1.6,
    jitter_rise: 0.0,
    loss_rise: 9.0,
    failures_rise: 5.0,
    failures: 0.0,
    in_a_row: 0.4,
};

impl Model {
    /// The expected number of ends within the horizon.
    fn hazard(&self, signs: &Signs) -> f64 {
        let sum = self.base
            + self.rtt_rise * signs.rtt_rise.clamp(0.0, 4.0)
            + self.jitter_rise * signs.jitter_rise.clamp(0.0, 2.0)
            + self.loss_rise * (signs.loss - signs.loss_before).max(0.0)
            + self.failures_rise * (signs.failures - signs.failures_before).max(0.0)
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
        // Below the shorter horizon in proportion to the time; above it on a straight line of logarithms.
        let power = ((later / soon).ln() / (LATER.horizon / SOON.horizon).ln()).clamp(0.0, 1.0);
        let outlook = |horizon: Duration| {
            let times = horizon.as_secs_f64() / SOON.horizon;
            let hazard = soon * if times < 1.0 { times } else { times.powf(power) };
            Outlook { horizon, probability: (-(-hazard).exp_m1()).clamp(0.0, 1.0) }
        };
        Self {
            soon: outlook(horizons[0]),
            later: outlook(horizons[1]),
            rtt_rise_octaves: signs.rtt_rise,
            jitter_rise_octaves: signs.jitter_rise,
            loss: signs.loss,
            loss_before: signs.loss_before,
            failures: signs.failures,
            failures_before: signs.failures_before,
            failures_in_a_row: signs.in_a_row,
            samples: signs.samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::traces::{Story, Trace};
    use super::super::{Estimator, QualityConfig};
    use super::*;

    /// Seeds that were not among those that the weights were fitted to.
    const SEEDS: u64 = 50;

    /// From which probability on somebody is warned.
    const ALARM: f64 = 0.5;

    /// How often a story is told for one time that networks fade.
    fn weight(story: Story) -> f64 {
        match story {
            Story::SteadyGood => 10.0,
            Story::SteadyPoor | Story::NoisyWifi => 5.0,
            Story::Recovering | Story::Fading => 1.0,
            Story::Sudden => 0.2,
        }
    }

    /// What became of the forecasts of a story.
    #[derive(Default)]
    struct Tally {
        forecasts: f64,
        gone: f64,
        squares: f64,
        false_alarms: f64,
        ends: f64,
        hits: f64,
    }

    impl Tally {
        fn base_rate(&self) -> f64 {
            self.gone / self.forecasts
        }

        fn brier(&self) -> f64 {
            self.squares / self.forecasts
        }

        /// The Brier score of whoever always says the same.
        fn brier_of(&self, rate: f64) -> f64 {
            self.base_rate() * (1.0 - rate).powi(2) + (1.0 - self.base_rate()) * rate.powi(2)
        }

        fn false_alarms(&self) -> f64 {
            self.false_alarms / (self.forecasts - self.gone)
        }

        fn hits(&self) -> f64 {
            self.hits / self.ends
        }
    }

    /// The tallies of both horizons.
    fn tell(story: Story) -> [Tally; 2] {
        let mut tallies = [Tally::default(), Tally::default()];
        for seed in 0..SEEDS {
            let (start, mut trace) = (Instant::now(), Trace::new(story, seed));
            let mut estimator = Estimator::new(QualityConfig::new());
            let mut is_warned = [false; 2];
            for second in 0..trace.seconds() {
                trace.play(second, start, &mut estimator);
                if second < 20 {
                    continue;
                }
                let forecast = estimator.forecast(start + Duration::from_secs(second + 1));
                for (index, outlook) in [forecast.soon, forecast.later].into_iter().enumerate() {
                    let tally = &mut tallies[index];
                    let is_gone = trace.gone.is_some_and(|gone| gone - second - 1 < outlook.horizon.as_secs());
                    let is_alarm = outlook.probability >= ALARM;
                    tally.forecasts += 1.0;
                    tally.gone += f64::from(u8::from(is_gone));
                    tally.squares += (outlook.probability - f64::from(u8::from(is_gone))).powi(2);
                    tally.false_alarms += f64::from(u8::from(is_alarm && !is_gone));
                    is_warned[index] |= is_alarm && is_gone;
                }
            }
            for (tally, is_warned) in tallies.iter_mut().zip(is_warned).filter(|_| trace.gone.is_some()) {
                tally.ends += 1.0;
                tally.hits += f64::from(u8::from(is_warned));
            }
        }
        tallies
    }

    #[test]
    fn better_than_the_base_rate_and_no_false_alarms() {
        let told = Story::ALL.map(|story| (story, tell(story)));
        for (index, horizon) in [10, 60].into_iter().enumerate() {
            let tallies: Vec<_> = told.iter().map(|(story, tallies)| (*story, &tallies[index])).collect();
            let mix = |of: &dyn Fn(&Tally) -> f64| -> f64 {
                tallies.iter().map(|(story, tally)| weight(*story) * of(tally)).sum()
            };
            let rate = mix(&|tally| tally.gone) / mix(&|tally| tally.forecasts);
            let brier = mix(&|tally| tally.squares) / mix(&|tally| tally.forecasts);
            println!("{horizon} s: base rate {rate:.4}, Brier {brier:.4}, of the base rate {:.4}", rate * (1.0 - rate));
            assert!(brier < rate * (1.0 - rate), "all stories together");
            for (story, tally) in tallies {
                println!(
                    "  {:<12} gone {:.3}  Brier {:.4}  of the base rate {:.4}  hits {:.2}  false alarms {:.4}",
                    format!("{story:?}"),
                    tally.base_rate(),
                    tally.brier(),
                    tally.brier_of(rate),
                    tally.hits(),
                    tally.false_alarms(),
                );
                match story {
                    Story::Fading => {
                        assert!(tally.brier() < tally.brier_of(rate), "{story:?}");
                        assert!(tally.hits() > 0.75, "{story:?}: {}", tally.hits());
                    }
                    Story::SteadyGood | Story::SteadyPoor => assert!(tally.false_alarms() < 0.001, "{story:?}"),
                    Story::NoisyWifi | Story::Recovering => assert!(tally.false_alarms() < 0.05, "{story:?}"),
                    Story::Sudden => assert!(tally.false_alarms() < 0.001, "{story:?}"),
                }
            }
        }
    }

    #[test]
    fn nothing_known_is_no_alarm() {
        let forecast = Forecast::of(&Signs::default(), [Duration::from_secs(10), Duration::from_secs(60)]);
        assert!(forecast.soon.probability < 0.001, "{forecast:?}");
        assert!(forecast.later.probability < 0.02, "{forecast:?}");
        assert_eq!(forecast.samples, 0);
    }

    #[test]
    fn longer_horizons_are_more_dangerous() {
        let signs = Signs { rtt_rise: 1.5, failures: 0.3, in_a_row: 2, ..Signs::default() };
        let horizons = [0, 1, 10, 30, 60, 600, u64::MAX];
        let at = |seconds: u64| Forecast::of(&signs, [Duration::from_secs(seconds); 2]).soon.probability;
        for pair in horizons.windows(2) {
            assert!(at(pair[0]) <= at(pair[1]), "{pair:?}");
        }
        assert_eq!(at(0), 0.0);
        assert!(at(u64::MAX) <= 1.0);
        let exactly = 1.0 - (-SOON.hazard(&signs)).exp();
        assert!((at(10) - exactly).abs() < 1e-9);
    }

    #[test]
    fn signs_of_what_cannot_be_are_probabilities_too() {
        let wild = Signs {
            rtt_rise: 1e9,
            jitter_rise: -1e9,
            loss: 1.0,
            failures: 1.0,
            in_a_row: u32::MAX,
            ..Signs::default()
        };
        let forecast = Forecast::of(&wild, [Duration::MAX, Duration::ZERO]);
        assert!((0.99..=1.0).contains(&forecast.soon.probability), "{forecast:?}");
        assert_eq!(forecast.later.probability, 0.0);
    }
}
