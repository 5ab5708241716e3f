//! Stories of networks that come and go, and what holds in all of them.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A machine and a clock.
struct Stage {
    machine: Reachability,
    start: Instant,
    now: Instant,
}

impl Stage {
    fn new(has_probe: bool) -> Self {
        let now = Instant::now();
        Self { machine: Reachability::new(ReachConfig::default(), has_probe, now), start: now, now }
    }

    fn with_path(has_probe: bool) -> Self {
        let mut stage = Self::new(has_probe);
        stage.path(true);
        stage
    }

    fn after(&mut self, wait: Duration) -> &mut Self {
        self.now += wait;
        self
    }

    fn take(&mut self, fact: Fact) -> (Reach, Reason) {
        let before = self.machine.standing();
        let changed = self.machine.take(self.now, fact);
        let after = self.machine.standing();
        assert_eq!(changed, before != after);
        (after.reach, after.reason)
    }

    fn path(&mut self, connected: bool) -> (Reach, Reason) {
        self.take(Fact::Path { connected: Some(connected), broke: false })
    }

    /// Something that took a tenth of a second.
    fn success(&mut self, is_public: bool, is_secure: bool) -> (Reach, Reason) {
        let began = self.now;
        self.after(SECOND / 10).take(Fact::Success(Success { began, is_public, is_secure }))
    }

    fn failure(&mut self, host: u64) -> (Reach, Reason) {
        let began = self.now;
        self.after(SECOND / 10).take(Fact::Failure { host, began })
    }

    fn probe(&mut self, found: Found) -> (Reach, Reason) {
        self.take(Fact::ProbeBegan);
        self.after(SECOND / 10).take(Fact::ProbeEnded(found))
    }

    fn probe_in(&self) -> Option<Duration> {
        self.machine.probe_at().map(|at| at.saturating_duration_since(self.now))
    }
}

#[test]
fn without_a_probe_a_path_is_enough() {
    let mut stage = Stage::new(false);
    assert_eq!(stage.machine.standing(), standing(Reach::Online, Reason::Presumed));
    assert_eq!(stage.path(true), (Reach::Online, Reason::Path));
    assert_eq!(stage.path(false), (Reach::Offline, Reason::NoPath));
    assert_eq!(stage.path(true), (Reach::Online, Reason::Path));
    assert_eq!(stage.success(true, true), (Reach::Online, Reason::Traffic));
    assert_eq!(stage.probe_in(), None);
}

#[test]
fn with_a_probe_a_path_is_tried_first() {
    let mut stage = Stage::with_path(true);
    assert_eq!(stage.machine.standing(), standing(Reach::Limited, Reason::Unverified));
    assert_eq!(stage.probe_in(), Some(Duration::ZERO));
    assert_eq!(stage.probe(Found::Good), (Reach::Online, Reason::Probe));
    assert_eq!(stage.path(false), (Reach::Offline, Reason::NoPath));
    assert_eq!(stage.probe_in(), None, "there is nothing to probe without a path");
    assert_eq!(stage.path(true), (Reach::Limited, Reason::Unverified));
    assert_eq!(stage.success(true, false), (Reach::Online, Reason::Traffic), "a real response is as good");
}

#[test]
fn one_host_that_fails_is_that_hosts_trouble() {
    let mut stage = Stage::with_path(false);
    for _ in 0..100 {
        assert_eq!(stage.failure(1), (Reach::Online, Reason::Path));
    }
    assert_eq!(stage.failure(2), (Reach::Online, Reason::Path));
    assert_eq!(stage.failure(3), (Reach::Offline, Reason::TrafficFailed));
    assert_eq!(stage.success(true, false), (Reach::Online, Reason::Traffic));
}

#[test]
fn a_success_between_failures_forgives_them() {
    let mut stage = Stage::with_path(false);
    for host in 0..50 {
        stage.failure(2 * host);
        stage.failure(2 * host + 1);
        assert_eq!(stage.success(true, true).0, Reach::Online);
    }
    // It began before the success and ended after it.
    let began = stage.now - SECOND;
    for host in 0..10 {
        assert_eq!(stage.take(Fact::Failure { host, began }).0, Reach::Online);
    }
}

#[test]
fn failures_are_forgotten() {
    let mut stage = Stage::with_path(false);
    for host in 0..20 {
        assert_eq!(stage.failure(host).0, Reach::Online);
        stage.after(40 * SECOND);
    }
}

#[test]
fn what_a_dead_network_still_delivers_is_no_evidence() {
    let mut stage = Stage::with_path(false);
    let began = stage.now;
    stage.after(SECOND).path(false);
    let late = Success { began, is_public: true, is_secure: true };
    assert_eq!(stage.take(Fact::Success(late)), (Reach::Offline, Reason::NoPath));
    assert_eq!(stage.success(true, true), (Reach::Online, Reason::Traffic), "a way that the routes do not show");
    assert_eq!(stage.failure(1), (Reach::Offline, Reason::NoPath), "and its word is taken back at once");
}

#[test]
fn a_failure_asks_for_a_probe_and_the_probe_decides() {
    let mut stage = Stage::with_path(true);
    stage.probe(Found::Good);
    stage.after(10 * SECOND);
    assert_eq!(stage.probe_in(), Some(50 * SECOND));
    assert_eq!(stage.failure(1).0, Reach::Online);
    assert_eq!(stage.probe_in(), Some(Duration::ZERO));
    assert_eq!(stage.probe(Found::Nothing), (Reach::Offline, Reason::ProbeFailed));
    assert_eq!(stage.probe_in(), Some(5 * SECOND), "and asks again before long");
    assert_eq!(stage.after(5 * SECOND).probe(Found::Good), (Reach::Online, Reason::Probe));
}

#[test]
fn success_spares_a_probe_and_outdoes_one() {
    let mut stage = Stage::with_path(true);
    stage.probe(Found::Good);
    for _ in 0..10 {
        stage.after(50 * SECOND).success(true, false);
        assert_eq!(stage.probe_in(), Some(60 * SECOND));
    }
    stage.take(Fact::ProbeBegan);
    stage.success(true, false);
    assert_eq!(stage.take(Fact::ProbeEnded(Found::Nothing)).0, Reach::Online);
    stage.after(SECOND).take(Fact::ProbeBegan);
    stage.success(true, false);
    assert_eq!(stage.take(Fact::ProbeEnded(Found::Portal)).0, Reach::Captive, "a portal can feign that success");
    stage.take(Fact::ProbeBegan);
    stage.success(true, true);
    assert_eq!(stage.take(Fact::ProbeEnded(Found::Portal)).0, Reach::Online, "but not that one");
}

#[test]
fn a_portal_is_left_by_who_shows_himself() {
    let mut stage = Stage::with_path(true);
    assert_eq!(stage.probe(Found::Portal), (Reach::Captive, Reason::Portal));
    assert_eq!(stage.success(true, false), (Reach::Captive, Reason::Portal));
    assert_eq!(stage.success(false, true), (Reach::Captive, Reason::Portal));
    assert_eq!(stage.success(true, true), (Reach::Online, Reason::Traffic));
    stage.probe(Found::Portal);
    assert_eq!(stage.probe_in(), Some(5 * SECOND));
    assert_eq!(stage.probe(Found::Good), (Reach::Online, Reason::Probe));
}

#[test]
fn parts_of_a_network() {
    let mut stage = Stage::with_path(true);
    assert_eq!(stage.probe(Found::NoNames), (Reach::Limited, Reason::NoNames));
    assert_eq!(stage.probe(Found::NoIpv4), (Reach::Limited, Reason::NoIpv4));
    assert_eq!(stage.probe(Found::Nothing), (Reach::Offline, Reason::ProbeFailed));
    assert_eq!(stage.success(false, false), (Reach::Limited, Reason::PrivateOnly));
    assert_eq!(stage.probe(Found::Nothing), (Reach::Offline, Reason::ProbeFailed));
    assert_eq!(stage.probe(Found::Unclear), (Reach::Limited, Reason::Retrying));
    let mut stage = Stage::with_path(true);
    assert_eq!(stage.probe(Found::Unclear), (Reach::Online, Reason::Path));
}

#[test]
fn who_is_away_may_try_again_and_waits_longer_each_time() {
    let mut stage = Stage::with_path(false);
    for host in 0..3 {
        stage.failure(host);
    }
    let mut waits = Vec::new();
    for _ in 0..7 {
        let at = stage.machine.tick_at().expect("it is not for ever");
        waits.push(at.saturating_duration_since(stage.now).as_secs());
        // What had begun while it was away says nothing of the trial.
        let old = stage.now;
        stage.now = at;
        assert_eq!(stage.take(Fact::Tick), (Reach::Limited, Reason::Retrying));
        assert_eq!(stage.take(Fact::Failure { host: 7, began: old }), (Reach::Limited, Reason::Retrying));
        assert_eq!(stage.failure(7), (Reach::Offline, Reason::TrafficFailed), "a trial ends with its first failure");
    }
    assert_eq!(waits, [15, 30, 60, 120, 240, 300, 300]);
    stage.now = stage.machine.tick_at().expect("it is not for ever");
    stage.take(Fact::Tick);
    stage.success(true, true);
    for host in 0..3 {
        stage.failure(host);
    }
    assert_eq!(stage.machine.tick_at(), Some(stage.now + 15 * SECOND), "all is forgiven");
}

#[test]
fn a_probes_host_that_is_gone_holds_nothing_up() {
    let mut stage = Stage::with_path(true);
    stage.probe(Found::Nothing);
    for _ in 0..3 {
        stage.after(5 * SECOND).probe(Found::Nothing);
    }
    stage.now = stage.machine.tick_at().expect("it is not for ever");
    assert_eq!(stage.take(Fact::Tick), (Reach::Limited, Reason::Retrying));
    assert_eq!(stage.success(true, true), (Reach::Online, Reason::Traffic));
    assert_eq!(stage.probe_in(), Some(60 * SECOND));
}

#[test]
fn another_network_is_no_break_and_is_tried() {
    let mut stage = Stage::with_path(true);
    stage.probe(Found::Good);
    stage.after(10 * SECOND);
    assert_eq!(stage.take(Fact::Path { connected: Some(true), broke: true }), (Reach::Online, Reason::Path));
    assert_eq!(stage.probe_in(), Some(Duration::ZERO));
    assert_eq!(stage.probe(Found::Portal).0, Reach::Captive);
    assert_eq!(stage.take(Fact::Path { connected: Some(true), broke: true }), (Reach::Limited, Reason::Unverified));
    // A probe of the old network says nothing of the new one.
    stage.take(Fact::ProbeBegan);
    stage.after(SECOND).take(Fact::Path { connected: Some(true), broke: true });
    assert_eq!(stage.take(Fact::ProbeEnded(Found::Nothing)), (Reach::Limited, Reason::Unverified));
    assert_eq!(stage.probe_in(), Some(Duration::ZERO));
}

#[test]
fn sleep_makes_everything_old() {
    let mut stage = Stage::with_path(false);
    for host in 0..3 {
        stage.failure(host);
    }
    assert_eq!(stage.after(SECOND).take(Fact::Slept), (Reach::Online, Reason::Path));
    let mut stage = Stage::with_path(true);
    stage.probe(Found::Good);
    stage.after(10 * SECOND);
    assert_eq!(stage.take(Fact::Slept).0, Reach::Online);
    assert_eq!(stage.probe_in(), Some(Duration::ZERO));
    stage.path(false);
    assert_eq!(stage.take(Fact::Slept), (Reach::Offline, Reason::NoPath));
}

#[test]
fn probes_keep_their_distance() {
    let mut stage = Stage::with_path(true);
    stage.probe(Found::Good);
    stage.take(Fact::ProbeWanted);
    assert_eq!(stage.probe_in(), Some(SECOND - SECOND / 10));
    stage.take(Fact::ProbeBegan);
    assert_eq!(stage.probe_in(), None, "one at a time");
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u32),
    Path(Option<bool>, bool),
    Slept,
    Success { took: u32, is_public: bool, is_secure: bool },
    Failure { host: u64, took: u32 },
    Probe(Found),
    ProbeWanted,
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let found = prop::sample::select(vec![
        Found::Good,
        Found::NoNames,
        Found::NoIpv4,
        Found::Portal,
        Found::Nothing,
        Found::Unclear,
    ]);
    prop_oneof![
        4 => (0_u32..100_000).prop_map(Step::Wait),
        2 => (any::<Option<bool>>(), any::<bool>()).prop_map(|(connected, broke)| Step::Path(connected, broke)),
        1 => Just(Step::Slept),
        3 => (0_u32..5_000, any::<bool>(), any::<bool>())
            .prop_map(|(took, is_public, is_secure)| Step::Success { took, is_public, is_secure }),
        6 => (0_u64..5, 0_u32..5_000).prop_map(|(host, took)| Step::Failure { host, took }),
        3 => found.prop_map(Step::Probe),
        1 => Just(Step::ProbeWanted),
        2 => Just(Step::Tick),
    ]
}

proptest! {
    #[test]
    fn whatever_happens(has_probe: bool, steps in prop::collection::vec(step(), 0..200)) {
        let mut stage = Stage::new(has_probe);
        // When the last path went, and whether something succeeded since.
        let (mut lost, mut succeeded_since) = (None, false);
        for step in steps {
            let before = stage.machine.standing();
            match step {
                Step::Wait(millis) => stage.now += Duration::from_millis(millis.into()),
                Step::Path(connected, broke) => {
                    let was = stage.machine.connected;
                    stage.take(Fact::Path { connected, broke });
                    if connected == Some(false) {
                        if was != Some(false) {
                            (lost, succeeded_since) = (Some(stage.now), false);
                            prop_assert_eq!(stage.machine.standing(), standing(Reach::Offline, Reason::NoPath));
                        }
                    } else {
                        lost = None;
                    }
                }
                Step::Slept => {
                    stage.take(Fact::Slept);
                }
                Step::Success { took, is_public, is_secure } => {
                    let began = stage.now.checked_sub(Duration::from_millis(took.into())).unwrap_or(stage.start);
                    stage.take(Fact::Success(Success { began, is_public, is_secure }));
                    if is_public && is_secure && began >= stage.machine.epoch {
                        succeeded_since = true;
                        prop_assert_eq!(stage.machine.standing().reach, Reach::Online);
                    }
                    succeeded_since |= is_public && lost.is_some_and(|lost| began >= lost);
                }
                Step::Failure { host, took } => {
                    let began = stage.now.checked_sub(Duration::from_millis(took.into())).unwrap_or(stage.start);
                    stage.take(Fact::Failure { host, began });
                    prop_assert!(
                        stage.machine.standing() == before || stage.machine.standing().reach == Reach::Offline,
                        "a failure can only lead away"
                    );
                }
                Step::Probe(found) => {
                    stage.probe(found);
                    if found == Found::Good {
                        succeeded_since = true;
                        prop_assert_eq!(stage.machine.standing().reach, Reach::Online);
                    }
                    succeeded_since |= matches!(found, Found::NoNames | Found::NoIpv4);
                }
                Step::ProbeWanted => {
                    stage.take(Fact::ProbeWanted);
                }
                Step::Tick => {
                    if let Some(at) = stage.machine.tick_at() {
                        stage.now = stage.now.max(at);
                    }
                    stage.take(Fact::Tick);
                }
            }
            let Standing { reach, .. } = stage.machine.standing();
            prop_assert!(reach != Reach::Online || lost.is_none() || succeeded_since, "online without path or success");
            prop_assert!(stage.machine.suspects.len() <= MAX_SUSPECTS);
            let is_stuck = reach == Reach::Offline && stage.machine.connected != Some(false) && stage.machine.tick_at().is_none();
            prop_assert!(!is_stuck, "away for ever: {:?}", stage.machine);
            if has_probe && reach != Reach::Online && stage.machine.connected != Some(false) {
                let in_time = stage.probe_in().is_some_and(|wait| wait <= 5 * SECOND);
                prop_assert!(in_time, "nobody looks whether it is back: {:?}", stage.machine);
            }
        }
    }
}

/// One packet in five is lost: requests take longer, some fail, and the network is there all the time. The same losses in
/// every run: once in a hundred thousand, all tries of a probe are lost, and then it is right to go offline.
#[test]
fn a_lossy_network_does_not_flap() {
    for seed in 1..=256_u64 {
        let mut stage = Stage::with_path(true);
        stage.probe(Found::Good);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut lost = || {
            // Marsaglia's xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % 5 == 0
        };
        for request in 0..1_000_u64 {
            // Three packets in a row lost: the request runs into its timeout.
            let failed = lost() && lost() && lost();
            if failed {
                stage.failure(request % 4)
            } else {
                stage.success(true, false)
            };
            assert_eq!(stage.machine.standing().reach, Reach::Online, "seed {seed}");
            if stage.probe_in() == Some(Duration::ZERO) {
                // Eleven tries of a probe, each with two packets that must come through.
                let fails = (0..11).all(|_| lost() || lost());
                stage.probe(if fails { Found::Nothing } else { Found::Good });
                assert_eq!(stage.machine.standing().reach, Reach::Online, "seed {seed}");
            }
            stage.after(SECOND / 5);
        }
    }
}
