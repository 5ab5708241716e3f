//! From counters to plain data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::counter::Counter;
use super::counts::{Counts, DecisionCounts, MessageCounts, SocketCounts, StreamCounts};
use super::histogram::{ALL_STEPS, Steps};
use super::origins::Place;
use super::requests::Requests as Table;
use super::scale::Scale;
use super::snapshot::{
    Attempts, Calls, Closed, Connections, Decisions, Dns, Ended, Held, Histogram, Latency, Messages, Origin, Requests,
    Snapshot, Sockets, StreamEnds, Streams,
};
use super::words;

impl Counts {
    /// What was counted until now. Ends are read before beginnings, so that there are never more of them.
    pub(super) fn snapshot(&self) -> Snapshot {
        let calls = self.calls();
        let mut seen = Seen { origins: Vec::new(), steps: vec![0; ALL_STEPS], failed: BTreeMap::new() };
        self.origins.each(|name, place| seen.add(name, place));
        let Seen { origins, steps, failed } = seen;
        let attempts = self.attempts(&origins, steps);
        let (opened, closed) =
            origins.iter().fold((0, 0), |(opened, closed), it| (opened + it.opened, closed + it.closed));
        Snapshot {
            calls,
            origins,
            origins_left: self.origins.left(),
            attempts,
            decisions: decisions(&self.decisions),
            connections: Connections {
                opened,
                failed,
                closed,
                open: opened.saturating_sub(closed),
                connect: self.connections.connect.snapshot(Scale::Request),
                proxy: self.connections.proxy.snapshot(Scale::Request),
                tls: self.connections.tls.snapshot(Scale::Request),
            },
            dns: Dns { cached: self.dns.cached.get(), failed: self.dns.failed.get(), took: self.dns.took.snapshot() },
            sockets: sockets(&self.sockets),
            streams: streams(&self.streams),
            round_trips: self.round_trips.snapshot(),
        }
    }

    fn calls(&self) -> Calls {
        let calls = &self.calls;
        let ended: Vec<_> = calls
            .ended
            .iter()
            .map(|(labels, durations)| Ended {
                status: labels.status(),
                error: labels.error(),
                duration: durations.snapshot(Scale::Request),
            })
            .collect();
        let ends: u64 = ended.iter().map(|it| it.duration.count).sum();
        let started = calls.started.get();
        Calls {
            started,
            active: started.saturating_sub(ends),
            ended,
            took: latency(&calls.ended, &calls.steps),
            redirects: calls.redirects.get(),
            redirects_crossed: calls.redirects_crossed.get(),
            resumptions: calls.resumptions.get(),
            received: calls.received.snapshot(Scale::Bytes),
            received_bytes: calls.received_bytes.get(),
        }
    }

    fn attempts(&self, origins: &[Origin], steps: Vec<u64>) -> Attempts {
        let requests = || origins.iter().flat_map(|origin| &origin.requests);
        let all = origins.iter().fold(Histogram::default(), |sum, origin| sum.plus(&origin.took.histogram));
        Attempts {
            ended: all.count,
            failed: requests().filter(|it| it.error.is_some()).map(|it| it.duration.count).sum(),
            reused: self.attempts.reused.get(),
            took: Latency::new(all, steps),
            started: self.attempts.started.get(),
        }
    }
}

/// What all origins come to, and each of them.
struct Seen {
    origins: Vec<Origin>,
    steps: Vec<u64>,
    failed: BTreeMap<&'static str, u64>,
}

impl Seen {
    fn add(&mut self, name: Option<&Arc<str>>, place: &Place) {
        place.steps.add_to(&mut self.steps);
        let closed = place.disconnects.get();
        let [opened, failures @ ..] = &place.connects;
        let failures: BTreeMap<_, _> = by_word(failures, |at| words::error(at as u32 + 1).unwrap_or(words::OTHER));
        let failed = failures.values().sum();
        for (word, count) in failures {
            *self.failed.entry(word).or_default() += count;
        }
        let requests = place.requests.iter().map(|(labels, durations)| Requests {
            method: labels.method(),
            status: labels.status(),
            version: labels.version(),
            error: labels.error(),
            duration: durations.snapshot(Scale::Request),
        });
        self.origins.push(Origin {
            origin: name.map(|name| (**name).to_owned()),
            requests: requests.collect(),
            took: latency(&place.requests, &place.steps),
            opened: opened.get(),
            failed,
            closed,
            is_broken: place.is_broken.load(Ordering::Relaxed),
        });
    }
}

fn latency(table: &Table, steps: &Steps) -> Latency {
    let mut counts = vec![0; ALL_STEPS];
    steps.add_to(&mut counts);
    Latency::new(table.sum(), counts)
}

/// Those that were counted at all, by their words.
fn by_word(counters: &[Counter], word: impl Fn(usize) -> &'static str) -> BTreeMap<&'static str, u64> {
    let counted = counters.iter().map(Counter::get).enumerate().filter(|(_, count)| *count > 0);
    counted.map(|(at, count)| (word(at), count)).collect()
}

fn decisions(counts: &DecisionCounts) -> Decisions {
    let held = counts.held.iter().zip([false, true]).flat_map(|(stages, passed)| {
        stages.iter().enumerate().map(move |(at, waits)| Held {
            stage: words::stage(at),
            passed,
            duration: waits.snapshot(Scale::Request),
        })
    });
    Decisions {
        cache_hits: counts.cache_hits.get(),
        cache_misses: counts.cache_misses.get(),
        cache_stores: counts.cache_stores.get(),
        retries: counts.retries.snapshot(Scale::Request),
        gave_up: by_word(&counts.gave_up, words::reason),
        hedges: counts.hedges.get(),
        held: held.filter(|it| it.duration.count > 0).collect(),
        kept: counts.kept.get(),
        kept_maybe_sent: counts.kept_maybe_sent.get(),
        breaker_opened: counts.breaker_opened.get(),
        breaker_closed: counts.breaker_closed.get(),
        deferrals: counts.deferrals.get(),
        tokens: counts.tokens.get(),
        tokens_failed: counts.tokens_failed.get(),
        cookies_refused: counts.cookies_refused.get(),
    }
}

fn sockets(counts: &SocketCounts) -> Sockets {
    let closed = counts.closed.iter().map(Counter::get).enumerate();
    let closed = closed.map(|(at, count)| Closed { code: words::close_code(at), count });
    let closed: Vec<_> = closed.filter(|it| it.count > 0).collect();
    let ends: u64 = closed.iter().map(|it| it.count).sum();
    let opened = counts.opened.get();
    Sockets {
        opened,
        open: opened.saturating_sub(ends),
        closed,
        unclean: counts.unclean.get(),
        duration: counts.duration.snapshot(Scale::Life),
        sent: messages(&counts.sent),
        received: messages(&counts.received),
    }
}

fn messages(counts: &MessageCounts) -> Messages {
    Messages { text: counts.text.get(), binary: counts.binary.get(), bytes: counts.bytes.get() }
}

fn streams(counts: &StreamCounts) -> Streams {
    let ended = counts.ended.iter().map(Counter::get).enumerate();
    let ended = ended.map(|(at, count)| StreamEnds { error: words::error(at as u32), count });
    let ended: Vec<_> = ended.filter(|it| it.count > 0).collect();
    let ends: u64 = ended.iter().map(|it| it.count).sum();
    let opened = counts.opened.get();
    Streams {
        opened,
        resumed: counts.resumed.get(),
        open: opened.saturating_sub(ends),
        ended,
        duration: counts.duration.snapshot(Scale::Life),
        events: counts.events.get(),
        bytes: counts.bytes.get(),
    }
}
