//! Whatever is fed to an estimator, it stays within its samples, within its memory, and on its feet.

use std::hint::black_box;
use std::time::{Duration, Instant};

use netcomm_monitor::{Estimator, Quality, QualityConfig, TransportSample};
use proptest::collection::vec;
use proptest::prelude::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One thing that an estimator is told.
#[derive(Clone, Debug)]
enum Word {
    Http(Duration),
    Ping(Duration),
    Transport(Duration, Option<Duration>, u64, u64),
    Outcome(bool),
    Began,
    Ended,
    Received(u64),
    Signal(Option<u8>),
    Left,
}

impl Word {
    fn tell(&self, estimator: &mut Estimator, at: Instant) {
        match *self {
            Self::Http(took) => estimator.http_rtt(at, took),
            Self::Ping(took) => estimator.ping_rtt(at, took),
            Self::Transport(rtt, rtt_var, segments, again) => {
                let sample = TransportSample::new(rtt).with_min_rtt(rtt).with_segments(segments, again);
                estimator.transport(at, rtt_var.map_or(sample, |rtt_var| sample.with_rtt_var(rtt_var)));
            }
            Self::Outcome(ok) => estimator.outcome(at, ok),
            Self::Began => estimator.transfer_began(at),
            Self::Ended => estimator.transfer_ended(at),
            Self::Received(bytes) => estimator.received(at, bytes),
            Self::Signal(level) => estimator.signal(level),
            Self::Left => estimator.network(at, None),
        }
    }

    fn rtt(&self) -> Option<Duration> {
        match self {
            Self::Http(rtt) | Self::Ping(rtt) | Self::Transport(rtt, ..) => Some(*rtt),
            _ => None,
        }
    }
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0_u64..5_000_000_000).prop_map(Duration::from_nanos),
        1 => Just(Duration::ZERO),
        1 => Just(Duration::MAX),
        1 => any::<u64>().prop_map(Duration::from_nanos),
    ]
}

fn any_word() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => any_duration().prop_map(Word::Http),
        2 => any_duration().prop_map(Word::Ping),
        2 => (any_duration(), any::<Option<u64>>(), any::<u64>(), any::<u64>()).prop_map(|(rtt, var, segments, again)| {
            Word::Transport(rtt, var.map(Duration::from_nanos), segments, again)
        }),
        1 => any::<bool>().prop_map(Word::Outcome),
        2 => Just(Word::Began),
        1 => Just(Word::Ended),
        2 => any::<u64>().prop_map(Word::Received),
        1 => any::<Option<u8>>().prop_map(Word::Signal),
        1 => Just(Word::Left),
    ]
}

/// Round trips as there are, none so long that it is taken for a server's doing.
fn plain_word() -> impl Strategy<Value = Word> {
    let rtt = (1_u64..500_000_000).prop_map(Duration::from_nanos);
    (rtt, 0..3).prop_map(|(rtt, kind)| match kind {
        0 => Word::Http(rtt),
        1 => Word::Ping(rtt),
        _ => Word::Transport(rtt, Some(rtt / 4), 10, 1),
    })
}

fn is_sane(quality: &Quality) -> bool {
    let is_share = |share: Option<f64>| share.is_none_or(|share| (0.0..=1.0).contains(&share));
    quality.score <= 100
        && (0.0..=1.0).contains(&quality.confidence)
        && is_share(quality.loss)
        && is_share(quality.failures)
        && quality.downlink_kbps.is_none_or(|kbps| kbps >= 0.0 && kbps.is_finite())
        && quality.rtt_p50 <= quality.rtt_p95
}

proptest! {
    #[test]
    fn nothing_panics(words in vec((any_word(), 0_u64..4_000_000), 0..700)) {
        let start = Instant::now() + seconds(4_000_000);
        let mut estimator = Estimator::new(QualityConfig::new());
        let mut at = start;
        for (index, (word, offset)) in words.iter().enumerate() {
            // Mostly forward, now and then far ahead or far back.
            at = match offset % 7 {
                0 => start + seconds(*offset),
                1 => start - seconds(*offset),
                _ => at + Duration::from_micros(*offset),
            };
            word.tell(&mut estimator, at);
            if index % 50 == 0 {
                let quality = estimator.quality(at);
                prop_assert!(is_sane(&quality), "{quality:?}");
            }
        }
        for at in [at, start, start + seconds(u64::from(u32::MAX)), start - seconds(4_000_000)] {
            let (quality, forecast) = (estimator.quality(at), estimator.forecast(at));
            prop_assert!(is_sane(&quality), "{quality:?}");
            for probability in [forecast.soon.probability, forecast.later.probability] {
                prop_assert!((0.0..=1.0).contains(&probability), "{forecast:?}");
            }
            for span in [Duration::ZERO, seconds(60), seconds(86_400), Duration::MAX] {
                let span = estimator.history().over(at, span).point();
                prop_assert!(span.rtt_p50 <= span.rtt_p95, "{span:?}");
                black_box(estimator.history().points(at, seconds(600)));
            }
        }
    }

    #[test]
    fn the_estimate_lies_within_its_samples(words in vec((plain_word(), 0_u64..300), 1..400)) {
        let start = Instant::now();
        let mut estimator = Estimator::new(QualityConfig::new());
        let rtts = words.iter().filter_map(|(word, _)| word.rtt());
        let (least, greatest) = (rtts.clone().min().unwrap(), rtts.max().unwrap());
        for (word, second) in &words {
            word.tell(&mut estimator, start + seconds(*second));
        }
        let quality = estimator.quality(start + seconds(300));
        let all = [quality.rtt, quality.rtt_p50, quality.rtt_p95, quality.http_rtt, quality.transport_rtt, quality.ping_rtt];
        for rtt in all.into_iter().flatten() {
            prop_assert!((least..=greatest).contains(&rtt), "{quality:?}");
        }
        prop_assert!(quality.rtt.is_some());
    }

    #[test]
    fn the_order_of_what_came_at_one_time_does_not_matter(
        (words, shuffled) in vec((plain_word(), 0_u64..4), 1..100).prop_flat_map(|words| {
            (Just(words.clone()), Just(words).prop_shuffle())
        })
    ) {
        let start = Instant::now();
        let told = |words: &[(Word, u64)]| {
            let mut words = words.to_vec();
            // Stable: only those of one time change places.
            words.sort_by_key(|(_, second)| *second);
            let mut estimator = Estimator::new(QualityConfig::new());
            for (word, second) in &words {
                word.tell(&mut estimator, start + seconds(*second * 20));
            }
            // Jitter is of one after the other, and the score has it in it.
            let quality = estimator.quality(start + seconds(90));
            let span = estimator.history().over(start + seconds(90), seconds(3600)).point();
            (quality.effective, quality.http_rtt, quality.rtt, quality.rtt_p95, quality.transport_rtt, quality.loss, span)
        };
        prop_assert_eq!(told(&words), told(&shuffled));
    }
}

/// Tells the same estimator what a busy second shows: twenty samples, and a second's worth of transfers.
fn busy_second(estimator: &mut Estimator, at: Instant, second: u64) {
    for sample in 0..5 {
        let (at, jitter) = (at + Duration::from_millis(sample * 200), Duration::from_micros(second % 977));
        estimator.http_rtt(at, Duration::from_millis(80) + jitter);
        estimator.ping_rtt(at, Duration::from_millis(50) + jitter);
        let transport = TransportSample::new(Duration::from_millis(45) + jitter);
        estimator.transport(at, transport.with_rtt_var(jitter).with_segments(20, second % 3));
        estimator.outcome(at, !second.is_multiple_of(50));
    }
    // What is weighed against what is known, now and then.
    if second.is_multiple_of(20) {
        estimator.received(at, 400_000);
        estimator.http_rtt(at, Duration::from_millis(550));
    }
}

#[test]
fn memory_is_flat_over_a_day() {
    let start = Instant::now();
    let mut estimator = Estimator::new(QualityConfig::new());
    for _ in 0..5 {
        estimator.transfer_began(start);
    }
    let day = allocation_counter::measure(|| {
        for second in 0..86_400 {
            busy_second(&mut estimator, start + seconds(second), second);
        }
    });
    assert_eq!(day.count_total, 0, "{day:?}");
    assert_eq!(estimator.history().points(start + seconds(86_400), seconds(86_400)).len(), 288);
    let made = allocation_counter::measure(|| drop(black_box(Estimator::new(QualityConfig::new()))));
    assert!(made.bytes_max < 500_000, "{made:?}");
}

#[test]
fn a_sample_allocates_nothing() {
    let start = Instant::now();
    let mut estimator = Estimator::new(QualityConfig::new());
    for _ in 0..5 {
        estimator.transfer_began(start);
    }
    let told = allocation_counter::measure(|| {
        for sample in 0..10_000 {
            let at = start + Duration::from_millis(sample * 50);
            estimator.http_rtt(at, Duration::from_millis(80));
            estimator.ping_rtt(at, Duration::from_millis(50));
            estimator.transport(at, TransportSample::new(Duration::from_millis(45)).with_segments(20, 1));
            estimator.outcome(at, true);
            estimator.transfer_began(at);
            estimator.transfer_ended(at);
        }
    });
    assert_eq!(told.count_total, 0);
    let asked = allocation_counter::measure(|| {
        black_box(estimator.quality(start + seconds(500)));
    });
    assert!(asked.count_total <= 8, "{asked:?}");
    let told = allocation_counter::measure(|| {
        black_box(estimator.forecast(start + seconds(500)));
    });
    assert_eq!(told.count_total, 0);
}
