//! Whether the peer is still there: when to ping, how long to wait for life, how long a round trip takes. Pure.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use netcomm_core::Random;

/// A ping goes out after so many periods without a frame.
const QUIET_PERIODS: u32 = 2;

/// No timer runs faster than this, whatever is set.
const MIN_PERIOD: Duration = Duration::from_millis(1);

/// How long a connection has to show life after the machine was asleep: a radio needs a second or two to come back.
const WAKING: Duration = Duration::from_secs(5);

/// With more bytes on their way than this a ping may stand behind them for long: what 512 kbit/s carry in one second.
const BULK_BYTES: usize = 64 * 1024;

/// When a connection is asked whether it lives, and when it is held to be dead.
///
/// Any frame is a sign of life. A ping is sent only when there was none for at least `interval` and at most one and a half
/// times as long (late timers come on top); with the 20 s of the default, after 20 to 30 s. From the moment the ping
/// is written the peer has `smoothed + 4 × variation` of the round trips seen so far, at least `floor` and at most `timeout`, to
/// send anything at all. `timeout` in full counts while no round trip was measured, while more than 64 KiB were sent of
/// which nothing was heard since, and for the wire to take the ping.
///
/// If timers show that the machine was asleep, a ping goes out at once and decides within 5 s, or `timeout` if that is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    floor: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { interval: Duration::from_secs(20), timeout: Duration::from_secs(20), floor: Duration::from_secs(1) }
    }
}

impl Heartbeat {
    /// No ping on account of silence. Changes of the network are looked into all the same.
    pub const OFF: Self =
        Self { interval: Duration::ZERO, timeout: Duration::from_secs(20), floor: Duration::from_secs(1) };

    /// The silence before a ping. Default 20 s; zero is none, as [`OFF`](Self::OFF).
    pub const fn interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// The longest wait for a sign of life after a ping. Default 20 s.
    pub const fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The shortest wait for a sign of life after a ping, however fast the path. Default 1 s; `timeout` goes first.
    pub const fn floor(self, floor: Duration) -> Self {
        Self { floor, ..self }
    }

    /// How often is looked whether something was heard; `None` if never.
    fn period(self) -> Option<Duration> {
        (!self.interval.is_zero()).then(|| (self.interval / QUIET_PERIODS).max(MIN_PERIOD))
    }

    /// By how much a timer has to be late to tell that the machine was asleep.
    fn asleep(self) -> Duration {
        let usual = if self.interval.is_zero() { self.timeout } else { self.interval };
        usual.max(MIN_PERIOD).saturating_mul(2)
    }
}

/// How long round trips take, measured with pings and their pongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rtt {
    /// The one measured last.
    pub last: Duration,
    /// The shortest of this connection.
    pub min: Duration,
    /// Their moving average: each new one counts an eighth (RFC 6298 §2).
    pub smoothed: Duration,
    /// The moving average of their distance to it: each new one counts a quarter (RFC 6298 §2).
    pub variation: Duration,
    /// How many were measured.
    pub samples: u64,
}

impl Rtt {
    fn first(sample: Duration) -> Self {
        Self { last: sample, min: sample, smoothed: sample, variation: sample / 2, samples: 1 }
    }

    /// The variation first: it is the distance to the average as it was (RFC 6298 §2.3).
    fn next(self, sample: Duration) -> Self {
        Self {
            last: sample,
            min: self.min.min(sample),
            smoothed: self.smoothed.saturating_mul(7).saturating_add(sample) / 8,
            variation: self.variation.saturating_mul(3).saturating_add(self.smoothed.abs_diff(sample)) / 4,
            samples: self.samples.saturating_add(1),
        }
    }
}

/// What is to be done at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing.
    Nothing,
    /// Write a ping with that payload, ahead of what waits, and say [`Pulse::ping_written`].
    Ping([u8; 8]),
    /// Nobody is there: drop the connection without a close handshake.
    Dead,
}

/// The heartbeat of one connection.
///
/// Frames only set a flag; the clock is asked at ticks alone. `period` being half the interval, a ping is due at the second
/// tick in a row without a frame: a frame just before the tick that notices it is followed by two whole periods, one just after a
/// tick by a little less than three.
#[derive(Debug)]
pub(crate) struct Pulse {
    settings: Heartbeat,
    /// Something was heard since the last tick.
    heard: bool,
    /// Periods in a row without a frame.
    quiet: u32,
    /// When the flag is looked at next.
    due: Option<Instant>,
    watch: Watch,
    /// The last ping, until its pong comes.
    ping: Option<Ping>,
    next_payload: u64,
    /// Bytes sent of which nothing was heard since.
    unheard_bytes: usize,
    rtt: Option<Rtt>,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    payload: [u8; 8],
    /// When the wire took it.
    sent: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Watch {
    /// Nobody is waited for.
    Idle,
    /// A ping waits for the wire, until `give_up`; then the peer has `allowed`, or what the round trips say.
    Unwritten {
        give_up: Option<Instant>,
        allowed: Option<Duration>,
    },
    /// Life is due. A probe wants it twice, or its pong: what is read first may have come before the network changed.
    Waiting {
        deadline: Option<Instant>,
        again: Option<Duration>,
    },
    Dead,
}

impl Pulse {
    /// The heartbeat of a connection that was opened just now. Payloads begin anywhere, so that pongs of another
    /// connection mean nothing here.
    pub(crate) fn new(settings: Heartbeat, random: &Random, now: Instant) -> Self {
        Self {
            settings,
            heard: false,
            quiet: 0,
            due: settings.period().and_then(|period| now.checked_add(period)),
            watch: Watch::Idle,
            ping: None,
            next_payload: random.next_u64(),
            unheard_bytes: 0,
            rtt: None,
        }
    }

    /// Any frame came.
    #[inline]
    pub(crate) const fn heard(&mut self) {
        self.heard = true;
    }

    /// So many bytes were handed to the wire: a ping may stand behind them for a while.
    #[inline]
    pub(crate) const fn wrote(&mut self, bytes: usize) {
        self.unheard_bytes = self.unheard_bytes.saturating_add(bytes);
    }

    /// How long round trips take; `None` until one was measured.
    pub(crate) const fn rtt(&self) -> Option<Rtt> {
        self.rtt
    }

    /// When the next tick is due; `None` if there is nothing to wait for.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let (due, limit) = match self.watch {
            Watch::Idle => (self.due, None),
            Watch::Unwritten { give_up: limit, .. } | Watch::Waiting { deadline: limit, .. } => (self.due, limit),
            Watch::Dead => (None, None),
        };
        due.into_iter().chain(limit).min()
    }

    /// What is to be done now. Too early it is nothing, and changes nothing. Read first what the wire has: a pong that lies
    /// there unread is not heard.
    pub(crate) fn tick(&mut self, now: Instant) -> Beat {
        if matches!(self.watch, Watch::Dead) {
            return Beat::Dead;
        }
        let Some(at) = self.next_at().filter(|at| *at <= now) else {
            return Beat::Nothing;
        };
        if now.duration_since(at) > self.settings.asleep() {
            return self.woke(now);
        }
        if self.heard {
            self.forget_silence(now);
            self.alive(now);
            return Beat::Nothing;
        }
        if self.due.is_some_and(|due| due <= now) {
            self.quiet = self.quiet.saturating_add(1);
            self.due = self.period_after(now);
        }
        match self.watch {
            Watch::Unwritten { give_up: Some(limit), .. } | Watch::Waiting { deadline: Some(limit), .. }
                if limit <= now =>
            {
                self.watch = Watch::Dead;
                Beat::Dead
            }
            Watch::Idle if self.quiet >= QUIET_PERIODS => self.ping(now, None),
            _ => Beat::Nothing,
        }
    }

    /// Asks at once, on word that the network changed: life is due within `deadline` from the moment the ping is written, or
    /// sooner if it was due sooner. What was heard before counts no more.
    pub(crate) fn probe(&mut self, now: Instant, deadline: Duration) -> Beat {
        let was_heard = self.heard;
        match &mut self.watch {
            Watch::Dead => return Beat::Dead,
            // The ping that waits for the wire serves both.
            Watch::Unwritten { allowed, .. } => {
                *allowed = Some(allowed.map_or(deadline, |before| before.min(deadline)));
                self.forget_silence(now);
                return Beat::Nothing;
            }
            Watch::Waiting { deadline: before, again } if !was_heard => {
                let probe = now.checked_add(deadline);
                *before = (*before).into_iter().chain(probe).min();
                *again = Some(deadline);
                let is_written = self.ping.is_none_or(|ping| ping.sent.is_some());
                return if is_written { Beat::Ping(self.fresh_ping()) } else { Beat::Nothing };
            }
            Watch::Waiting { .. } | Watch::Idle => {}
        }
        self.forget_silence(now);
        self.ping(now, Some(deadline))
    }

    /// The wire took the ping that was asked for last.
    pub(crate) fn ping_written(&mut self, now: Instant) {
        if let Some(ping) = self.ping.as_mut().filter(|ping| ping.sent.is_none()) {
            ping.sent = Some(now);
        }
        if let Watch::Unwritten { allowed, .. } = self.watch {
            let wait = allowed.unwrap_or_else(|| self.patience());
            self.watch = Watch::Waiting { deadline: now.checked_add(wait), again: allowed };
        }
    }

    /// A pong came. Gives the round trip if it answers the last ping; any other one is a sign of life like any frame.
    pub(crate) fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        self.heard();
        let sent = self.ping.filter(|ping| payload == ping.payload)?.sent?;
        self.ping = None;
        if matches!(self.watch, Watch::Waiting { .. }) {
            self.watch = Watch::Idle;
        }
        let sample = now.saturating_duration_since(sent);
        self.rtt = Some(self.rtt.map_or_else(|| Rtt::first(sample), |rtt| rtt.next(sample)));
        Some(sample)
    }

    /// The machine was asleep: nobody was there to hear, so that silence means nothing, and neither does what had come before.
    fn woke(&mut self, now: Instant) -> Beat {
        self.forget_silence(now);
        let allowed = WAKING.min(self.settings.timeout);
        if let Watch::Unwritten { .. } = self.watch {
            // A ping is on its way to the wire already.
            self.watch = Watch::Unwritten { give_up: now.checked_add(self.settings.timeout), allowed: Some(allowed) };
            return Beat::Nothing;
        }
        self.ping(now, Some(allowed))
    }

    fn alive(&mut self, now: Instant) {
        self.watch = match self.watch {
            Watch::Waiting { again: Some(wait), .. } => Watch::Waiting { deadline: now.checked_add(wait), again: None },
            // It will be written all the same; that the wire is slow says nothing while the peer speaks.
            Watch::Unwritten { allowed, .. } => {
                Watch::Unwritten { give_up: now.checked_add(self.settings.timeout), allowed }
            }
            Watch::Waiting { again: None, .. } | Watch::Idle => Watch::Idle,
            Watch::Dead => Watch::Dead,
        };
    }

    fn ping(&mut self, now: Instant, allowed: Option<Duration>) -> Beat {
        self.watch = Watch::Unwritten { give_up: now.checked_add(self.settings.timeout), allowed };
        Beat::Ping(self.fresh_ping())
    }

    fn fresh_ping(&mut self) -> [u8; 8] {
        let payload = self.next_payload.to_be_bytes();
        self.next_payload = self.next_payload.wrapping_add(1);
        self.ping = Some(Ping { payload, sent: None });
        payload
    }

    fn forget_silence(&mut self, now: Instant) {
        self.heard = false;
        self.quiet = 0;
        self.unheard_bytes = 0;
        self.due = self.period_after(now);
    }

    fn period_after(&self, now: Instant) -> Option<Instant> {
        self.settings.period().and_then(|period| now.checked_add(period))
    }

    /// How long life may take after a ping.
    fn patience(&self) -> Duration {
        let Heartbeat { timeout, floor, .. } = self.settings;
        match self.rtt {
            Some(rtt) if self.unheard_bytes <= BULK_BYTES => {
                rtt.smoothed.saturating_add(rtt.variation.saturating_mul(4)).max(floor).min(timeout)
            }
            _ => timeout,
        }
    }
}
