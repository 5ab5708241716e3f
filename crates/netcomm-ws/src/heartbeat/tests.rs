//! What the heartbeat does, told by hours made up.

use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::{collection, prop_assert, prop_assert_eq};

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A pulse and the hour.
struct Day {
    pulse: Pulse,
    start: Instant,
    now: Instant,
}

impl Day {
    fn new(settings: Heartbeat) -> Self {
        let start = Instant::now();
        Self { pulse: Pulse::new(settings, &Random::seeded(1), start), start, now: start }
    }

    /// Goes to the next tick: when it was, since the start, and what it said.
    fn tick(&mut self) -> (Duration, Beat) {
        self.now = self.pulse.next_at().expect("a tick is due");
        (self.now - self.start, self.pulse.tick(self.now))
    }

    fn next(&self) -> Option<Duration> {
        self.pulse.next_at().map(|at| at - self.start)
    }

    fn at(&self, since: Duration) -> Instant {
        self.start + since
    }

    /// Ticks on time until there is a ping, and has it written at once.
    fn ping(&mut self) -> [u8; 8] {
        for _ in 0..4 {
            if let (_, Beat::Ping(payload)) = self.tick() {
                self.pulse.ping_written(self.now);
                return payload;
            }
        }
        panic!("no ping");
    }

    /// A ping whose pong takes so long.
    fn round_trip(&mut self, rtt: Duration) {
        let payload = self.ping();
        self.now += rtt;
        assert_eq!(self.pulse.pong(&payload, self.now), Some(rtt));
    }
}

#[test]
fn silence_is_followed_by_a_ping_and_then_by_the_end() {
    let mut day = Day::new(Heartbeat::default());
    assert_eq!(day.pulse.tick(day.at(ms(9_999))), Beat::Nothing);
    assert_eq!(day.tick(), (secs(10), Beat::Nothing));
    let (at, beat) = day.tick();
    assert_eq!(at, secs(20));
    assert!(matches!(beat, Beat::Ping(_)), "{beat:?}");
    day.pulse.ping_written(day.at(ms(20_500)));
    assert_eq!(day.tick(), (secs(30), Beat::Nothing), "no second ping");
    assert_eq!(day.tick(), (secs(40), Beat::Nothing));
    assert_eq!(day.tick(), (ms(40_500), Beat::Dead), "the timeout in full from the writing on: nothing was measured");
    assert_eq!((day.next(), day.pulse.tick(day.at(secs(50)))), (None, Beat::Dead), "for good");
}

#[test]
fn silence_before_a_ping_is_one_to_one_and_a_half_intervals() {
    for (heard_at, ping_at) in [(0, 30), (1, 30), (9_999, 30), (10_000, 40), (10_001, 40), (19_999, 40)] {
        let mut day = Day::new(Heartbeat::default());
        let heard_at = ms(heard_at);
        let mut is_heard = false;
        let at = loop {
            if !is_heard && day.next() > Some(heard_at) {
                day.pulse.heard();
                is_heard = true;
            }
            if let (at, Beat::Ping(_)) = day.tick() {
                break at;
            }
        };
        assert_eq!(at, secs(ping_at), "heard at {heard_at:?}");
        assert!((secs(20)..=secs(30)).contains(&(at - heard_at)));
    }
}

#[test]
fn any_frame_saves() {
    let mut day = Day::new(Heartbeat::default());
    let payload = day.ping();
    day.pulse.heard();
    assert_eq!(day.tick(), (secs(30), Beat::Nothing));
    assert!(matches!(day.pulse.watch, Watch::Idle));
    let late = day.pulse.pong(&payload, day.at(secs(35)));
    assert_eq!(late, Some(secs(15)), "its pong is a measurement all the same");
    assert_eq!(day.tick(), (secs(40), Beat::Nothing));
    assert_eq!(day.tick(), (secs(50), Beat::Nothing));
    assert!(matches!(day.tick(), (at, Beat::Ping(_)) if at == secs(60)));
}

#[test]
fn only_the_pong_of_the_last_ping_measures() {
    let mut day = Day::new(Heartbeat::default());
    let first = day.ping();
    for payload in [&b""[..], b"12345678", b"longer than eight", &first[..7]] {
        assert_eq!(day.pulse.pong(payload, day.now), None, "{payload:?}");
    }
    assert!(day.pulse.heard, "a sign of life nevertheless");
    day.tick();
    let second = day.ping();
    assert_ne!(first, second);
    assert_eq!(day.pulse.pong(&first, day.now), None, "an old one");
    assert_eq!(day.pulse.pong(&second, day.now + ms(7)), Some(ms(7)));
    assert_eq!(day.pulse.pong(&second, day.now + ms(8)), None, "once");
    assert_eq!(day.pulse.rtt().map(|rtt| rtt.samples), Some(1));
}

#[test]
fn a_pong_before_its_ping_is_no_measurement() {
    let mut day = Day::new(Heartbeat::default());
    day.tick();
    let (_, Beat::Ping(payload)) = day.tick() else { panic!("no ping") };
    assert_eq!(day.pulse.pong(&payload, day.now), None);
}

/// The figures of RFC 6298 §2.2 and §2.3, reckoned by hand.
#[test]
fn round_trips_are_averaged() {
    let mut day = Day::new(Heartbeat::default());
    assert_eq!(day.pulse.rtt(), None);
    for (sample, min, smoothed, variation) in
        [(800, 800, 800_000, 400_000), (1600, 800, 900_000, 500_000), (100, 100, 800_000, 575_000)]
    {
        day.round_trip(ms(sample));
        let rtt = day.pulse.rtt().expect("measured");
        assert_eq!((rtt.last, rtt.min), (ms(sample), ms(min)));
        assert_eq!((rtt.smoothed.as_micros(), rtt.variation.as_micros()), (smoothed, variation));
    }
}

#[test]
fn life_is_due_when_round_trips_say() {
    let standard = Heartbeat::default();
    for (settings, sample, sent, expected) in [
        (standard, None, 0, secs(20)),
        // Smoothed and variation of one sample: 1 + 4 × ½.
        (standard, Some(ms(1000)), 0, secs(3)),
        (standard, Some(ms(5)), 0, secs(1)),
        (standard, Some(ms(9000)), 0, secs(20)),
        (standard, Some(ms(5)), BULK_BYTES, secs(1)),
        (standard, Some(ms(5)), BULK_BYTES + 1, secs(20)),
        (standard.floor(secs(3)), Some(ms(5)), 0, secs(3)),
        (standard.floor(secs(30)), Some(ms(5)), 0, secs(20)),
        (standard.timeout(ms(400)), Some(ms(50)), 0, ms(400)),
        (standard.floor(Duration::ZERO), Some(ms(10)), 0, ms(30)),
    ] {
        let mut day = Day::new(settings);
        if let Some(sample) = sample {
            day.round_trip(sample);
            day.tick();
        }
        day.pulse.wrote(sent);
        day.ping();
        let written = day.now;
        while day.tick().1 != Beat::Dead {}
        assert_eq!(day.now - written, expected, "{settings:?} {sample:?} {sent}");
    }
}

#[test]
fn bytes_that_were_heard_of_do_not_count() {
    let mut day = Day::new(Heartbeat::default());
    day.round_trip(ms(5));
    day.pulse.wrote(usize::MAX);
    day.pulse.wrote(1);
    day.tick();
    day.ping();
    assert_eq!(day.pulse.next_at(), Some(day.now + secs(1)));
}

#[test]
fn a_wire_that_takes_no_ping_is_dead_too() {
    let mut day = Day::new(Heartbeat::default());
    day.round_trip(ms(5));
    day.tick();
    day.tick();
    assert!(matches!(day.tick().1, Beat::Ping(_)));
    let asked = day.now;
    assert_eq!((day.tick().1, day.now - asked), (Beat::Nothing, secs(10)));
    assert_eq!((day.tick().1, day.now - asked), (Beat::Dead, secs(20)), "the timeout, not the floor");
}

#[test]
fn a_wire_may_be_slow_while_the_peer_speaks() {
    let mut day = Day::new(Heartbeat::default());
    day.tick();
    assert!(matches!(day.tick().1, Beat::Ping(_)));
    for _ in 0..9 {
        day.pulse.heard();
        assert_eq!(day.tick().1, Beat::Nothing);
    }
    day.pulse.ping_written(day.now);
    assert_eq!(day.tick().1, Beat::Nothing);
    assert_eq!(day.tick().1, Beat::Dead, "twenty seconds from the writing on");
}

#[test]
fn sleep_is_no_silence() {
    type Prepare = fn(&mut Day);
    let cases: [(&str, Prepare); 3] = [
        ("idle", |_| {}),
        ("heard something", |day| day.pulse.heard()),
        ("waiting for life", |day| {
            day.ping();
        }),
    ];
    for (state, prepare) in cases {
        let mut day = Day::new(Heartbeat::default());
        prepare(&mut day);
        let due = day.pulse.next_at().expect("due");
        let woken = due + secs(40) + ms(1);
        let beat = day.pulse.tick(woken);
        assert!(matches!(beat, Beat::Ping(_)), "{state}: {beat:?}");
        day.pulse.ping_written(woken);
        assert_eq!(day.pulse.next_at(), Some(woken + secs(5)), "{state}");
        assert_eq!(day.pulse.tick(woken + secs(5)), Beat::Dead, "{state}");
    }
}

#[test]
fn sleep_gives_no_more_time_than_silence() {
    let mut day = Day::new(Heartbeat::default().timeout(secs(2)));
    let woken = day.at(secs(100));
    assert!(matches!(day.pulse.tick(woken), Beat::Ping(_)));
    day.pulse.ping_written(woken);
    assert_eq!(day.pulse.next_at(), Some(woken + secs(2)));
}

#[test]
fn a_timer_that_is_a_little_late_is_no_sleep() {
    let mut day = Day::new(Heartbeat::default());
    day.ping();
    let late = day.pulse.next_at().expect("due") + secs(40);
    assert_eq!(day.pulse.tick(late), Beat::Dead);
}

#[test]
fn a_ping_that_waits_for_the_wire_is_not_doubled_by_sleep_or_probe() {
    let mut day = Day::new(Heartbeat::default());
    day.tick();
    assert!(matches!(day.tick().1, Beat::Ping(_)));
    let woken = day.now + secs(3600);
    assert_eq!(day.pulse.tick(woken), Beat::Nothing);
    assert_eq!(day.pulse.probe(woken, secs(2)), Beat::Nothing);
    assert_eq!(day.pulse.probe(woken, secs(3)), Beat::Nothing);
    day.pulse.ping_written(woken + secs(1));
    assert_eq!(day.pulse.next_at(), Some(woken + secs(3)), "the shortest of all");
}

#[test]
fn a_probe_asks_at_once() {
    let mut day = Day::new(Heartbeat::default());
    day.pulse.heard();
    let now = day.at(secs(3));
    let Beat::Ping(payload) = day.pulse.probe(now, secs(2)) else { panic!("no ping") };
    day.pulse.ping_written(now + ms(100));
    assert_eq!(day.next(), Some(ms(5_100)));
    assert_eq!(day.pulse.pong(&payload, now + ms(150)), Some(ms(50)), "its pong ends it");
    assert_eq!(day.next(), Some(secs(13)));
    assert_eq!(day.tick(), (secs(13), Beat::Nothing));
}

#[test]
fn a_probe_is_not_believed_at_the_first_frame() {
    let probed = |heard: u32| {
        let mut day = Day::new(Heartbeat::default());
        assert!(matches!(day.pulse.probe(day.now, secs(2)), Beat::Ping(_)));
        day.pulse.ping_written(day.now);
        for second in 1..=heard {
            day.pulse.heard();
            assert_eq!(day.tick(), (secs(2) * second, Beat::Nothing));
        }
        day.tick()
    };
    assert_eq!(probed(0), (secs(2), Beat::Dead));
    assert_eq!(probed(1), (secs(4), Beat::Dead), "it may have lain there since before the change");
    assert_eq!(probed(2), (secs(14), Beat::Nothing), "who goes on speaking is alive");
}

#[test]
fn what_was_heard_before_a_probe_counts_no_more() {
    let mut day = Day::new(Heartbeat::default());
    day.tick();
    assert!(matches!(day.tick().1, Beat::Ping(_)), "at 20 s");
    day.pulse.heard();
    day.pulse.probe(day.at(secs(25)), secs(2));
    assert_eq!(day.tick(), (secs(35), Beat::Nothing));
    assert_eq!(day.tick(), (secs(40), Beat::Dead), "the wire took nothing");

    let mut day = Day::new(Heartbeat::default());
    day.ping();
    day.pulse.probe(day.at(secs(21)), secs(3));
    day.pulse.heard();
    assert_eq!(day.tick(), (secs(24), Beat::Nothing));
    assert_eq!(day.tick(), (secs(27), Beat::Dead), "also while a ping is out: once is not enough");
}

#[test]
fn a_probe_of_a_peer_that_was_just_heard_has_its_own_time() {
    let mut day = Day::new(Heartbeat::default().timeout(secs(5)));
    day.ping();
    day.pulse.heard();
    assert!(matches!(day.pulse.probe(day.at(secs(24)), secs(3)), Beat::Ping(_)));
    day.pulse.ping_written(day.at(secs(24)));
    assert_eq!(day.tick(), (secs(27), Beat::Dead), "not at 25 s, when the ping before it was due");
}

#[test]
fn probes_do_not_put_off_the_end() {
    let mut day = Day::new(Heartbeat::default());
    day.ping();
    for second in 21..40 {
        let beat = day.pulse.probe(day.at(secs(second)), secs(30));
        assert_eq!(matches!(beat, Beat::Ping(_)), second == 21 || second == 26, "{second}: {beat:?}");
        if second == 25 {
            day.pulse.ping_written(day.at(secs(second)));
        }
    }
    while day.tick().1 != Beat::Dead {}
    assert_eq!(day.now, day.at(secs(40)));
}

#[test]
fn a_probe_is_sooner_than_a_ping() {
    let mut day = Day::new(Heartbeat::default());
    day.ping();
    day.pulse.probe(day.at(secs(21)), secs(3));
    assert_eq!(day.next(), Some(secs(24)));
    assert_eq!(day.tick().1, Beat::Dead);
    assert_eq!(day.pulse.probe(day.now, secs(1)), Beat::Dead);
}

#[test]
fn off_is_silent_but_can_be_asked() {
    let mut day = Day::new(Heartbeat::OFF);
    assert_eq!((day.next(), day.pulse.tick(day.at(secs(9999)))), (None, Beat::Nothing));
    assert!(matches!(day.pulse.probe(day.now, secs(2)), Beat::Ping(_)));
    day.pulse.ping_written(day.now);
    assert!(matches!(day.pulse.tick(day.at(secs(43))), Beat::Ping(_)), "asleep since");
    assert_eq!(Heartbeat::default().interval(Duration::ZERO), Heartbeat::OFF);
}

#[test]
fn settings_beyond_reason_do_not_panic() {
    for settings in [
        Heartbeat::default().interval(Duration::MAX).timeout(Duration::MAX).floor(Duration::MAX),
        Heartbeat::default().interval(Duration::from_nanos(1)).timeout(Duration::ZERO),
    ] {
        let mut day = Day::new(settings);
        day.pulse.probe(day.now, Duration::MAX);
        day.pulse.ping_written(day.now);
        day.pulse.tick(day.now + secs(1));
    }
    let mut day = Day::new(Heartbeat::default().interval(Duration::from_nanos(1)));
    assert_eq!(day.tick().0, MIN_PERIOD);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Heard,
    Tick,
    Written,
    Pong,
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        3 => proptest::strategy::Just(Step::Heard),
        10 => proptest::strategy::Just(Step::Tick),
        3 => proptest::strategy::Just(Step::Written),
        2 => proptest::strategy::Just(Step::Pong),
    ];
    collection::vec((0..15_000_u64, step), 1..200)
}

proptest! {
    /// With ticks on time: no ping without silence of an interval, no silence of one and a half without a ping, no death of
    /// whoever was heard within the time it had.
    #[test]
    fn silence_and_life_are_told_apart(steps in steps(), seed in any::<u64>()) {
        let start = Instant::now();
        let mut pulse = Pulse::new(Heartbeat::default(), &Random::seeded(seed), start);
        let (mut now, mut heard_at, mut asked) = (start, start, None);
        'steps: for (gap, step) in steps {
            let to = now + ms(gap);
            // What is due in between is done on time.
            while let Some(at) = pulse.next_at().filter(|at| *at <= to) {
                now = at;
                match pulse.tick(at) {
                    Beat::Ping(payload) => {
                        prop_assert!(now - heard_at >= secs(20), "too early");
                        asked = Some((now, payload));
                    }
                    Beat::Dead => {
                        let (asked_at, _) = asked.expect("nobody dies unasked");
                        prop_assert!(now - heard_at.max(asked_at) >= secs(1));
                        break 'steps;
                    }
                    Beat::Nothing => {}
                }
                let is_asked = !matches!(pulse.watch, Watch::Idle);
                prop_assert!(is_asked || now - heard_at <= secs(30), "too late");
            }
            now = to;
            match (step, asked) {
                (Step::Heard, _) => {
                    pulse.heard();
                    heard_at = now;
                }
                (Step::Tick, _) => prop_assert_eq!(pulse.tick(now), Beat::Nothing, "too early for anything"),
                (Step::Written, Some(_)) => pulse.ping_written(now),
                (Step::Pong, Some((_, payload))) => {
                    pulse.pong(&payload, now);
                    heard_at = now;
                }
                (Step::Written | Step::Pong, None) => {}
            }
        }
    }
}
