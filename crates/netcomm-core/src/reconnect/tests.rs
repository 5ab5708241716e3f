//! Verdicts and schedules, told by hours made up.

use http::StatusCode;
use proptest::prelude::{any, proptest};
use proptest::{collection, prop_assert};

use super::*;
use crate::error::Phase;

const SECOND: Duration = Duration::from_secs(1);

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "x")
}

fn status(code: u16) -> Error {
    error(ErrorKind::Status).with_status(StatusCode::from_u16(code).expect("a status"))
}

fn lost() -> Error {
    error(ErrorKind::Closed)
}

fn refused() -> Error {
    error(ErrorKind::Connect)
}

#[test]
fn kinds() {
    use ErrorKind::*;
    let now = Instant::now();
    for kind in [Offline, Dns, Connect, Timeout, Closed, Incomplete, Busy, Unavailable, Io] {
        assert_eq!(Verdict::of(&error(kind), now), Verdict::Retry, "{kind:?}");
    }
    for kind in
        [Invalid, Denied, Proxy, Tls, Protocol, TooLarge, Decode, Redirect, Status, Auth, Canceled, Unsupported, User]
    {
        assert_eq!(Verdict::of(&error(kind), now), Verdict::Fatal, "{kind:?}");
    }
    for kind in [Tls, Proxy, Auth] {
        assert_eq!(Verdict::of(&error(kind).with_unsent(), now), Verdict::Retry, "{kind:?} that passes");
    }
    for kind in [Invalid, Denied, Canceled, User, Protocol] {
        assert_eq!(Verdict::of(&error(kind).with_unsent(), now), Verdict::Fatal, "{kind:?}, though unsent");
    }
    for phase in [Phase::Dns, Phase::Connect, Phase::Tls, Phase::Wait] {
        assert_eq!(Verdict::of(&Error::timeout("x", phase), now), Verdict::Retry);
    }
}

#[test]
fn statuses() {
    let now = Instant::now();
    for code in [408, 425, 429, 500, 502, 503, 504] {
        assert_eq!(Verdict::of(&status(code), now), Verdict::Retry, "{code}");
    }
    for code in [401, 403] {
        assert_eq!(Verdict::of(&status(code), now), Verdict::RefreshCredentials, "{code}");
    }
    for code in [200, 204, 301, 302, 307, 308, 400, 402, 404, 405, 407, 410, 421, 426, 451, 501, 505] {
        assert_eq!(Verdict::of(&status(code), now), Verdict::Fatal, "{code}");
    }
    let proxy = |code| error(ErrorKind::Proxy).with_status(StatusCode::from_u16(code).expect("a status"));
    assert_eq!(Verdict::of(&proxy(403), now), Verdict::Fatal, "no matter of our credentials");
    assert_eq!(Verdict::of(&proxy(503).with_unsent(), now), Verdict::Retry);
}

#[test]
fn retry_after_counts_where_another_try_helps() {
    let now = Instant::now();
    let later = |error: Error| error.with_retry_at(now + 7 * SECOND);
    for (error, expected) in [
        (later(status(503)), Verdict::RetryAfter(7 * SECOND)),
        (later(status(429)), Verdict::RetryAfter(7 * SECOND)),
        (later(error(ErrorKind::Unavailable)), Verdict::RetryAfter(7 * SECOND)),
        (later(status(404)), Verdict::Fatal),
        (later(status(401)), Verdict::RefreshCredentials),
        (status(503).with_retry_at(now), Verdict::Retry),
        (status(503).with_retry_at(now - SECOND), Verdict::Retry),
    ] {
        assert_eq!(Verdict::of(&error, now), expected, "{error:?}");
    }
}

/// A schedule, the hour, and the waits it gives.
struct Story {
    schedule: Schedule,
    random: Random,
    now: Instant,
}

impl Story {
    fn new(settings: Reconnect) -> Self {
        Self { schedule: Schedule::new(settings), random: Random::seeded(1), now: Instant::now() }
    }

    /// The bounds themselves are the waits.
    fn without_jitter(settings: Reconnect) -> Self {
        let backoff = settings.backoff.with_jitter(Jitter::None);
        Self::new(settings.backoff(backoff).first(Duration::ZERO))
    }

    fn fail(&mut self, error: &Error) -> Next {
        let verdict = self.schedule.settings.verdict(error, |error| Verdict::of(error, self.now));
        self.schedule.failed(self.now, verdict, &self.random)
    }

    /// Fails, and waits for the next try: how long.
    fn wait(&mut self, error: &Error) -> Duration {
        let Next::At(at) = self.fail(error) else { panic!("no further try") };
        self.go(at)
    }

    fn go(&mut self, at: Instant) -> Duration {
        let wait = at - self.now;
        self.now = at;
        self.schedule.trying();
        wait
    }

    fn connect(&mut self, ready_for: Duration) {
        self.schedule.opened();
        self.schedule.ready(self.now);
        self.now += ready_for;
    }

    fn waits(&mut self, count: usize) -> Vec<u128> {
        (0..count).map(|_| self.wait(&refused()).as_millis()).collect()
    }
}

#[test]
fn bounds_double_from_one_second_to_twenty() {
    let mut story = Story::without_jitter(Reconnect::default());
    assert_eq!(story.waits(8), [0, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);
    assert_eq!(story.schedule.attempt(), 9);
}

#[test]
fn waits_are_spread_between_floor_and_bound() {
    let random = Random::seeded(9);
    let settings = Reconnect::default();
    for (nth, low, high) in [(1, 0, 500), (2, 500, 1000), (3, 500, 2000), (6, 500, 16_000), (99, 500, 20_000)] {
        let waits: Vec<_> = (0..1000).map(|_| settings.wait(nth, None, &random).as_millis()).collect();
        let (least, most) = (waits.iter().min().expect("some"), waits.iter().max().expect("some"));
        let near = (high - low) / 50;
        assert!((low..=low + near).contains(least), "{nth}: {least}");
        assert!((high - near..=high).contains(most), "{nth}: {most}");
        let lower = waits.iter().filter(|wait| **wait < low.midpoint(high)).count();
        assert!((400..600).contains(&lower), "{nth}: {lower} in the lower half");
    }
    let steep = Reconnect::default().floor(30 * SECOND);
    assert_eq!(steep.wait(5, None, &random), 30 * SECOND, "the floor goes first");
}

#[test]
fn the_peers_wish_is_the_least_wait_and_waits_grow_from_it() {
    let random = Random::seeded(5);
    let settings = Reconnect::default();
    for (base, nth, low, high) in [
        (3000, 1, 3000, 3300),
        (3000, 2, 3000, 6000),
        (3000, 9, 3000, 20_000),
        (0, 1, 500, 550),
        (0, 3, 500, 2000),
        (60_000, 4, 60_000, 66_000),
        (u64::MAX, 1, 300_000, 330_000),
    ] {
        let base = Some(Duration::from_millis(base));
        let waits: Vec<_> = (0..1000).map(|_| settings.wait(nth, base, &random).as_millis()).collect();
        let (least, most) = (*waits.iter().min().expect("some"), *waits.iter().max().expect("some"));
        let near = (high - low) / 50;
        assert!((low..=low + near).contains(&least), "{base:?}, {nth}: {least}");
        assert!((high - near..=high).contains(&most), "{base:?}, {nth}: {most}");
    }
    let mut story = Story::without_jitter(Reconnect::default());
    story.schedule.set_base(Some(3 * SECOND));
    assert_eq!(story.waits(4), [3000, 6000, 12_000, 20_000]);
    story.connect(9 * SECOND);
    assert_eq!(story.waits(1), [3000]);
    story.connect(9 * SECOND);
    story.schedule.set_base(None);
    assert_eq!(story.waits(2), [0, 1000]);
}

#[test]
fn settings_beyond_reason_do_not_panic() {
    let most = Duration::MAX;
    let settings = Reconnect::default().first(most).floor(most).stable(most).max_elapsed(most).retry_after_max(most);
    for settings in [settings.clone(), settings.floor(Duration::ZERO).backoff(Backoff::new(most, most))] {
        let mut story = Story::new(settings);
        let error = status(503).with_retry_at(story.now + FAR);
        for _ in 0..3 {
            assert!(matches!(story.fail(&error), Next::At(_)));
        }
    }
}

#[test]
fn only_what_was_ready_and_stable_begins_anew() {
    for (is_ready, lasted, expected) in [
        (true, 5 * SECOND, 0),
        (true, 3600 * SECOND, 0),
        (true, 5 * SECOND - Duration::from_millis(1), 4000),
        (false, 3600 * SECOND, 4000),
    ] {
        let mut story = Story::without_jitter(Reconnect::default());
        story.waits(3);
        story.schedule.opened();
        if is_ready {
            story.schedule.ready(story.now);
        }
        story.now += lasted;
        let wait = story.wait(&error(ErrorKind::Closed)).as_millis();
        assert_eq!(wait, expected, "ready: {is_ready}, for {lasted:?}");
        assert_eq!(story.schedule.attempt(), if expected == 0 { 1 } else { 5 });
    }
}

#[test]
fn uptime_counts_from_ready_on() {
    let mut story = Story::without_jitter(Reconnect::default());
    story.waits(2);
    story.schedule.opened();
    story.now += 100 * SECOND;
    story.schedule.ready(story.now);
    story.now += SECOND;
    assert_eq!(story.wait(&error(ErrorKind::Closed)), 2 * SECOND);
}

#[test]
fn a_loss_without_an_error_is_told_by_hand() {
    let mut story = Story::without_jitter(Reconnect::default());
    story.waits(3);
    story.connect(9 * SECOND);
    story.schedule.lost(story.now);
    story.schedule.lost(story.now);
    assert_eq!(story.schedule.attempt(), 1);
    assert_eq!(story.waits(2), [0, 1000]);
}

#[test]
fn tries_are_counted_since_the_last_stable_connection() {
    let mut story = Story::new(Reconnect::default().max_attempts(3));
    story.waits(2);
    assert_eq!(story.fail(&refused()), Next::GiveUp(GaveUp::Attempts), "the third one was the last");
    let mut story = Story::new(Reconnect::default().max_attempts(3));
    story.waits(2);
    story.connect(9 * SECOND);
    story.wait(&lost());
    story.waits(2);
    assert_eq!(story.fail(&refused()), Next::GiveUp(GaveUp::Attempts), "three again; the loss is no try");
    let mut story = Story::new(Reconnect::default().max_attempts(2));
    story.connect(SECOND);
    story.wait(&lost());
    story.connect(SECOND);
    assert_eq!(story.fail(&lost()), Next::GiveUp(GaveUp::Attempts), "connections that do not last");
    let mut story = Story::new(Reconnect::never());
    story.connect(9 * SECOND);
    assert_eq!(story.fail(&lost()), Next::GiveUp(GaveUp::Attempts));
}

#[test]
fn time_is_counted_since_the_first_failure() {
    let mut story = Story::without_jitter(Reconnect::default().max_elapsed(3 * SECOND));
    story.now += 100 * SECOND;
    assert_eq!(story.waits(3), [0, 1000, 2000], "the last one begins just in time");
    assert_eq!(story.fail(&refused()), Next::GiveUp(GaveUp::Elapsed));
    let mut story = Story::without_jitter(Reconnect::default().max_elapsed(3 * SECOND));
    story.waits(3);
    story.connect(9 * SECOND);
    assert_eq!(story.waits(3), [0, 1000, 2000], "anew");
}

#[test]
fn credentials_are_refreshed_once_until_a_connection_is_ready() {
    let mut story = Story::new(Reconnect::default());
    let Next::RefreshThenAt(at) = story.fail(&status(401)) else { panic!("no refresh") };
    assert!(story.go(at) <= Duration::from_millis(500));
    story.waits(1);
    assert_eq!(story.fail(&status(403)), Next::GiveUp(GaveUp::Final));
    for (is_ready, expected) in [(true, true), (false, false)] {
        let mut story = Story::new(Reconnect::default());
        assert!(matches!(story.fail(&status(401)), Next::RefreshThenAt(_)));
        story.schedule.opened();
        if is_ready {
            story.schedule.ready(story.now);
        }
        story.wait(&error(ErrorKind::Closed));
        let next = story.fail(&status(401));
        assert_eq!(matches!(next, Next::RefreshThenAt(_)), expected, "{next:?}");
    }
}

#[test]
fn what_helps_nothing_is_the_end() {
    let mut story = Story::new(Reconnect::default());
    assert_eq!(story.fail(&status(404)), Next::GiveUp(GaveUp::Final));
    assert_eq!(story.schedule.network_changed(story.now, &story.random), None);
}

#[test]
fn the_peer_is_left_alone_as_long_as_it_asks() {
    for (asked, least) in [(30, 30), (3600, 300)] {
        let mut story = Story::new(Reconnect::default());
        let error = status(503).with_retry_at(story.now + asked * SECOND);
        let wait = story.wait(&error);
        assert!(wait > least * SECOND && wait < least * SECOND + SECOND / 2, "asked for {asked} s: {wait:?}");
    }
    let mut story = Story::without_jitter(Reconnect::default().retry_after_max(SECOND));
    story.waits(2);
    let error = status(503).with_retry_at(story.now + 3600 * SECOND);
    assert_eq!(story.wait(&error), 3 * SECOND, "the backoff on top");
}

#[test]
fn the_user_knows_better() {
    let settings = Reconnect::default().classify(|error| match error.kind() {
        ErrorKind::Tls => Some(Verdict::Retry),
        ErrorKind::Dns => Some(Verdict::Fatal),
        ErrorKind::Closed => Some(Verdict::RetryAfter(3600 * SECOND)),
        ErrorKind::Busy => Some(Verdict::RetryAfter(Duration::MAX)),
        ErrorKind::Denied => Some(Verdict::RefreshCredentials),
        _ => None,
    });
    let mut story = Story::without_jitter(settings);
    assert_eq!(story.wait(&error(ErrorKind::Tls)), Duration::ZERO);
    assert_eq!(story.wait(&error(ErrorKind::Closed)), 3601 * SECOND, "not cut down");
    assert_eq!(story.wait(&refused()), 2 * SECOND, "the rules");
    assert!(matches!(story.fail(&error(ErrorKind::Busy)), Next::At(_)), "no clock goes so far");
    assert!(matches!(story.fail(&error(ErrorKind::Denied)), Next::RefreshThenAt(_)));
    assert_eq!(story.fail(&error(ErrorKind::Denied)), Next::GiveUp(GaveUp::Final));
    assert_eq!(Story::new(story.schedule.settings.clone()).fail(&error(ErrorKind::Dns)), Next::GiveUp(GaveUp::Final));
    assert!(format!("{:?}", story.schedule.settings).contains("classify: true"));
}

#[test]
fn a_change_of_the_network_shortens_the_wait() {
    let mut story = Story::without_jitter(Reconnect::default());
    assert_eq!(story.schedule.network_changed(story.now, &story.random), None, "a try is being made");
    story.waits(4);
    let Next::At(at) = story.fail(&refused()) else { panic!("no further try") };
    assert_eq!(at - story.now, 8 * SECOND);
    let soon = story.schedule.network_changed(story.now, &story.random).expect("waiting");
    assert!(soon - story.now < CROWD);
    assert!(story.schedule.network_changed(story.now, &story.random) <= Some(soon), "never later");
    story.go(soon);
    assert_eq!(story.schedule.network_changed(story.now, &story.random), None);
    assert_eq!(story.wait(&refused()), 16 * SECOND, "it counts");
    story.connect(SECOND);
    assert_eq!(story.schedule.network_changed(story.now, &story.random), None, "connected");
}

#[test]
fn a_crowd_whose_network_changed_does_not_come_at_once() {
    let random = Random::seeded(4);
    let now = Instant::now();
    let mut soon: Vec<_> = (0..100)
        .map(|_| {
            let mut schedule = Schedule::new(Reconnect::default().first(100 * SECOND));
            assert!(matches!(schedule.failed(now, Verdict::Retry, &random), Next::At(_)));
            schedule.network_changed(now, &random).expect("waiting")
        })
        .collect();
    soon.sort_unstable();
    assert!(soon[0] - now < CROWD / 10 && soon[99] - now > CROWD * 8 / 10);
}

#[test]
fn a_change_of_the_network_does_not_overrule_the_peer() {
    let mut story = Story::new(Reconnect::default());
    let error = status(503).with_retry_at(story.now + 30 * SECOND);
    let Next::At(at) = story.fail(&error) else { panic!("no further try") };
    assert_eq!(story.schedule.network_changed(story.now, &story.random), Some(at));
}

proptest! {
    /// Whatever comes: a wait is never longer than the bound, never shorter than the floor after the first, and a fatal
    /// error ends it.
    #[test]
    fn waits_stay_within_their_bounds(errors in collection::vec(0..4_u32, 1..40), seed in any::<u64>()) {
        let mut story = Story::new(Reconnect::default());
        story.random = Random::seeded(seed);
        let mut is_first = true;
        for error in errors {
            let next = match error {
                0 => story.fail(&refused()),
                1 => story.fail(&status(502)),
                2 => {
                    story.connect(9 * SECOND);
                    is_first = true;
                    story.fail(&lost())
                }
                _ => {
                    story.connect(SECOND);
                    story.fail(&lost())
                }
            };
            let Next::At(at) = next else { panic!("{next:?}") };
            let wait = story.go(at);
            let bounds = if is_first { (Duration::ZERO, SECOND / 2) } else { (SECOND / 2, 20 * SECOND) };
            prop_assert!(bounds.0 <= wait && wait <= bounds.1, "{:?}", wait);
            is_first = false;
        }
    }
}
