//! Networks as they are told of: what traffic shows on them second by second, and when they go. The same for the same seed.

use std::time::{Duration, Instant};

use super::{Estimator, TransportSample};

/// How a network fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Story {
    /// Short round trips, hardly a loss.
    SteadyGood,
    /// Long ones, losses, a failure now and then.
    SteadyPoor,
    /// Short ones, with bursts of some seconds in which all is bad.
    NoisyWifi,
    /// It becomes bad and good again.
    Recovering,
    /// It becomes worse and worse, and is gone.
    Fading,
    /// It is gone at once.
    Sudden,
}

impl Story {
    pub(super) const ALL: [Self; 6] =
        [Self::SteadyGood, Self::SteadyPoor, Self::NoisyWifi, Self::Recovering, Self::Fading, Self::Sudden];
}

/// How long a trace is.
pub(super) const SECONDS: u64 = 180;

/// Chance: splitmix64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// The bell curve, of variance 1.
    fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// The network in one second.
#[derive(Clone, Copy)]
struct Weather {
    rtt_ms: f64,
    spread: f64,
    loss: f64,
    failures: f64,
}

impl Weather {
    /// The same in so bad a moment, from 0 to 1.
    fn worse(self, by: f64, rtt_octaves: f64, loss: f64, failures: f64) -> Self {
        Self {
            rtt_ms: self.rtt_ms * (by * rtt_octaves).exp2(),
            spread: self.spread + 0.5 * by,
            loss: (self.loss + loss * by * by).min(0.9),
            failures: (self.failures + failures * by * by * by).min(0.9),
        }
    }
}

/// A story told once.
pub(super) struct Trace {
    weather: Vec<Weather>,
    per_second: f64,
    /// The second in which the network is gone.
    pub(super) gone: Option<u64>,
    dice: Dice,
}

impl Trace {
    pub(super) fn new(story: Story, seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x1234_5678_9abc_def1) ^ story as u64);
        let good = Weather { rtt_ms: dice.between(10.0, 90.0), spread: 0.15, loss: 0.002, failures: 0.001 };
        let poor = Weather { rtt_ms: dice.between(300.0, 1500.0), spread: 0.3, loss: 0.05, failures: 0.02 };
        let base = match story {
            Story::SteadyPoor => poor,
            Story::NoisyWifi => Weather { spread: 0.4, loss: 0.01, ..good },
            _ if dice.chance(0.2) => poor,
            _ => good,
        };
        let gone = matches!(story, Story::Fading | Story::Sudden).then(|| dice.between(60.0, 175.0) as u64);
        let fade = dice.between(10.0, 40.0);
        let (octaves, loss, failures) = (dice.between(1.0, 4.0), dice.between(0.15, 0.5), dice.between(0.3, 0.8));
        let middle = dice.between(60.0, 140.0);
        let depth = dice.between(0.3, 0.9);
        let mut burst = dice.between(10.0, 40.0);
        let mut weather = Vec::new();
        for second in 0..gone.unwrap_or(SECONDS) {
            let now = second as f64;
            weather.push(match story {
                Story::SteadyGood | Story::SteadyPoor | Story::Sudden => base,
                Story::NoisyWifi => {
                    if now > burst + 5.0 {
                        burst = now + dice.between(10.0, 50.0);
                    }
                    let by = if now >= burst { dice.between(0.2, 0.7) } else { 0.0 };
                    base.worse(by, 3.0, 0.15, 0.1)
                }
                Story::Recovering => {
                    let by = depth * (1.0 - (now - middle).abs() / fade).max(0.0);
                    base.worse(by, octaves, loss, failures)
                }
                Story::Fading => {
                    let left = gone.unwrap_or(SECONDS) as f64 - now;
                    base.worse((1.0 - left / fade).max(0.0), octaves, loss, failures)
                }
            });
        }
        Self { weather, per_second: dice.between(0.5, 5.0), gone, dice }
    }

    /// Seconds until it ends, well or not.
    pub(super) fn seconds(&self) -> u64 {
        self.weather.len() as u64
    }

    /// Tells an estimator what traffic shows in that second.
    pub(super) fn play(&mut self, second: u64, start: Instant, estimator: &mut Estimator) {
        let weather = self.weather[second as usize];
        let begin = start + Duration::from_secs(second);
        let calls = self.per_second.floor() as u64 + u64::from(self.dice.chance(self.per_second.fract()));
        let dice = &mut self.dice;
        let rtt = |dice: &mut Dice| {
            let again = if dice.chance(weather.loss) { 200.0 } else { 0.0 };
            Duration::from_secs_f64((weather.rtt_ms * (dice.bell() * weather.spread).exp() + again) / 1000.0)
        };
        for call in 0..calls {
            let at = begin + Duration::from_millis(call * 900 / calls);
            let ok = !dice.chance(weather.failures);
            estimator.outcome(at, ok);
            if ok {
                let server = Duration::from_secs_f64(dice.between(0.001, 0.02));
                let took = rtt(dice) + server;
                estimator.http_rtt(at, took);
            }
        }
        let at = begin + Duration::from_millis(950);
        let segments = 2 + calls * 3;
        let again = (0..segments).filter(|_| dice.chance(weather.loss)).count();
        let sample = TransportSample::new(rtt(dice)).with_segments(segments, again as u64);
        estimator.transport(at, sample.with_rtt_var(Duration::from_secs_f64(weather.rtt_ms * weather.spread / 1000.0)));
        if second.is_multiple_of(5) && !dice.chance(weather.loss) {
            let took = rtt(dice);
            estimator.ping_rtt(at, took);
        }
    }
}
