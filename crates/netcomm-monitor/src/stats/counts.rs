//! All counters, and which of them an observation raises.

use std::array;
use std::sync::atomic::Ordering;
use std::time::Duration;

use netcomm_core::{Event, Steps as DialSteps};

use super::counter::Counter;
use super::histogram::{Buckets, Steps, Timing};
use super::origins::Origins;
use super::requests::{Labels, Requests};
use super::scale::{Scale, nanos};
use super::words::{self, CLOSE_NUMBERS, ERROR_NUMBERS, REASON_NUMBERS, STAGE_NUMBERS};

/// Counters alone: no lock, but where an origin is met for the first time.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) origins: Origins,
    pub(super) calls: CallCounts,
    pub(super) attempts: AttemptCounts,
    pub(super) decisions: DecisionCounts,
    pub(super) connections: ConnectionCounts,
    pub(super) dns: DnsCounts,
    pub(super) sockets: SocketCounts,
    pub(super) streams: StreamCounts,
    pub(super) round_trips: Timing,
}

#[derive(Debug, Default)]
pub(super) struct CallCounts {
    pub(super) started: Counter,
    pub(super) ended: Requests,
    pub(super) steps: Steps,
    pub(super) redirects: Counter,
    pub(super) redirects_crossed: Counter,
    pub(super) resumptions: Counter,
    pub(super) received: Buckets,
    pub(super) received_bytes: Counter,
}

#[derive(Debug, Default)]
pub(super) struct AttemptCounts {
    pub(super) started: Counter,
    pub(super) reused: Counter,
}

#[derive(Debug)]
pub(super) struct DecisionCounts {
    pub(super) cache_hits: Counter,
    pub(super) cache_misses: Counter,
    pub(super) cache_stores: Counter,
    pub(super) retries: Buckets,
    pub(super) gave_up: [Counter; REASON_NUMBERS],
    pub(super) hedges: Counter,
    /// Those that did not go on, and those that did.
    pub(super) held: [[Buckets; STAGE_NUMBERS]; 2],
    pub(super) kept: Counter,
    pub(super) kept_maybe_sent: Counter,
    pub(super) breaker_opened: Counter,
    pub(super) breaker_closed: Counter,
    pub(super) deferrals: Counter,
    pub(super) tokens: Counter,
    pub(super) tokens_failed: Counter,
    pub(super) cookies_refused: Counter,
}

#[derive(Debug, Default)]
pub(super) struct ConnectionCounts {
    pub(super) connect: Buckets,
    pub(super) proxy: Buckets,
    pub(super) tls: Buckets,
}

#[derive(Debug, Default)]
pub(super) struct DnsCounts {
    pub(super) cached: Counter,
    pub(super) failed: Counter,
    pub(super) took: Timing,
}

#[derive(Debug)]
pub(super) struct SocketCounts {
    pub(super) opened: Counter,
    pub(super) closed: [Counter; CLOSE_NUMBERS],
    pub(super) unclean: Counter,
    pub(super) duration: Buckets,
    pub(super) sent: MessageCounts,
    pub(super) received: MessageCounts,
}

#[derive(Debug, Default)]
pub(super) struct MessageCounts {
    pub(super) text: Counter,
    pub(super) binary: Counter,
    pub(super) bytes: Counter,
}

impl MessageCounts {
    #[inline]
    fn take(&self, is_text: bool, bytes: usize) {
        if is_text { &self.text } else { &self.binary }.one();
        self.bytes.add(bytes as u64);
    }
}

#[derive(Debug)]
pub(super) struct StreamCounts {
    pub(super) opened: Counter,
    pub(super) resumed: Counter,
    pub(super) ended: [Counter; ERROR_NUMBERS],
    pub(super) duration: Buckets,
    pub(super) events: Counter,
    pub(super) bytes: Counter,
}

fn counters<const N: usize>() -> [Counter; N] {
    array::from_fn(|_| Counter::default())
}

impl Counts {
    pub(super) fn new(origins: usize) -> Self {
        Self {
            origins: Origins::new(origins),
            calls: CallCounts::default(),
            attempts: AttemptCounts::default(),
            decisions: DecisionCounts {
                cache_hits: Counter::default(),
                cache_misses: Counter::default(),
                cache_stores: Counter::default(),
                retries: Buckets::default(),
                gave_up: counters(),
                hedges: Counter::default(),
                held: array::from_fn(|_| array::from_fn(|_| Buckets::default())),
                kept: Counter::default(),
                kept_maybe_sent: Counter::default(),
                breaker_opened: Counter::default(),
                breaker_closed: Counter::default(),
                deferrals: Counter::default(),
                tokens: Counter::default(),
                tokens_failed: Counter::default(),
                cookies_refused: Counter::default(),
            },
            connections: ConnectionCounts::default(),
            dns: DnsCounts::default(),
            sockets: SocketCounts {
                opened: Counter::default(),
                closed: counters(),
                unclean: Counter::default(),
                duration: Buckets::default(),
                sent: MessageCounts::default(),
                received: MessageCounts::default(),
            },
            streams: StreamCounts {
                opened: Counter::default(),
                resumed: Counter::default(),
                ended: counters(),
                duration: Buckets::default(),
                events: Counter::default(),
                bytes: Counter::default(),
            },
            round_trips: Timing::default(),
        }
    }

    /// Counts one observation. What happens often stands first and is dealt with here.
    #[inline]
    pub(super) fn take(&self, event: &Event) {
        match event {
            Event::BodyReceived { bytes } => self.calls.received_bytes.add(*bytes),
            Event::MessageSent { is_text, bytes } => self.sockets.sent.take(*is_text, *bytes),
            Event::MessageReceived { is_text, bytes } => self.sockets.received.take(*is_text, *bytes),
            Event::EventReceived { bytes } => {
                self.streams.events.one();
                self.streams.bytes.add(*bytes as u64);
            }
            Event::AttemptStarted { .. } => self.attempts.started.one(),
            Event::AttemptEnded { origin, method, version, status, error, reused, took, .. } => {
                let place = self.origins.of(origin, self.now());
                place.requests.record(Labels::new(method, *version, *status, *error), *took);
                place.steps.record(nanos(*took));
                if *reused {
                    self.attempts.reused.one();
                }
            }
            Event::CallStarted { .. } => self.calls.started.one(),
            Event::CallEnded { status, error, received_bytes, took } => {
                self.calls.ended.record(Labels::of_call(*status, *error), *took);
                self.calls.steps.record(nanos(*took));
                self.calls.received.record(Scale::Bytes, *received_bytes);
            }
            Event::RoundTrip { took } => self.round_trips.record(*took),
            _ => self.take_decision(event),
        }
    }

    /// The time by which origins leave.
    #[inline]
    fn now(&self) -> u64 {
        self.attempts.started.get()
    }

    fn take_decision(&self, event: &Event) {
        let decisions = &self.decisions;
        match event {
            Event::Redirected { crossed_origin, .. } => {
                self.calls.redirects.one();
                self.calls.redirects_crossed.add(u64::from(*crossed_origin));
            }
            Event::Resumed { .. } => self.calls.resumptions.one(),
            Event::CacheAsked { hit, stored, .. } => {
                if *hit { &decisions.cache_hits } else { &decisions.cache_misses }.one();
                decisions.cache_stores.add(u64::from(*stored));
            }
            Event::Retrying { wait, .. } => record(&decisions.retries, *wait),
            Event::GaveUp { why } => decisions.gave_up[words::reason_number(*why)].one(),
            Event::Hedged { .. } => decisions.hedges.one(),
            Event::Held { stage, took, passed } => {
                record(&decisions.held[usize::from(*passed)][words::stage_number(*stage)], *took);
            }
            Event::Kept { maybe_sent, .. } => {
                decisions.kept.one();
                decisions.kept_maybe_sent.add(u64::from(*maybe_sent));
            }
            Event::BreakerTurned { origin, until } => {
                let is_broken = until.is_some();
                if is_broken { &decisions.breaker_opened } else { &decisions.breaker_closed }.one();
                // Of one that has no place of its own it cannot be told.
                if let Some(place) = self.origins.own(origin, self.now()) {
                    place.is_broken.store(is_broken, Ordering::Relaxed);
                }
            }
            Event::Deferred { .. } => decisions.deferrals.one(),
            Event::TokenRefreshed { ok } => if *ok { &decisions.tokens } else { &decisions.tokens_failed }.one(),
            Event::CookieRefused { .. } => decisions.cookies_refused.one(),
            _ => self.take_connection(event),
        }
    }

    fn take_connection(&self, event: &Event) {
        match event {
            Event::Resolved { cached: true, .. } => self.dns.cached.one(),
            Event::Resolved { addresses, took, .. } => {
                self.dns.failed.add(u64::from(*addresses == 0));
                self.dns.took.record(*took);
            }
            Event::Connected { origin, steps, .. } => {
                self.origins.of(origin, self.now()).connects[0].one();
                self.connections.take(steps);
            }
            Event::ConnectFailed { origin, error } => {
                let number = words::error_number(Some(*error)) as usize;
                self.origins.of(origin, self.now()).connects[number].one();
            }
            Event::Disconnected { origin, .. } => self.origins.known(origin, self.now()).disconnects.one(),
            Event::SocketOpened { .. } => self.sockets.opened.one(),
            Event::SocketClosed { code, clean, took, .. } => {
                self.sockets.closed[words::close_number(*code)].one();
                self.sockets.unclean.add(u64::from(!*clean));
                self.sockets.duration.record(Scale::Life, nanos(*took));
            }
            Event::StreamOpened { resumed, .. } => {
                self.streams.opened.one();
                self.streams.resumed.add(u64::from(*resumed));
            }
            Event::StreamEnded { error, took, .. } => {
                self.streams.ended[words::error_number(*error) as usize].one();
                self.streams.duration.record(Scale::Life, nanos(*took));
            }
            // Contents are not asked for, and what later versions of core add is not known here.
            _ => {}
        }
    }
}

impl ConnectionCounts {
    fn take(&self, steps: &DialSteps) {
        for (step, took) in [(&self.connect, steps.connect), (&self.proxy, steps.proxy), (&self.tls, steps.tls)] {
            if let Some(took) = took {
                record(step, took);
            }
        }
    }
}

fn record(buckets: &Buckets, took: Duration) {
    buckets.record(Scale::Request, nanos(took));
}
