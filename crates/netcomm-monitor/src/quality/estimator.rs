//! Takes samples and tells the quality: what is kept, and how its parts bound each other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::forecast::Forecast;
use super::history::History;
use super::samples::{Ring, Sample, Samples, Weigh, Weighted, nanos};
use super::throughput::Throughput;
use super::trend::{Source, Trend};
use super::{Quality, QualityConfig, TransportSample};
use crate::path::{InterfaceKind, NetworkKey};

/// Tells how good the network is from samples of traffic that there is anyway. Pure: it reads no clock and sends nothing.
///
/// A sample takes constant time and no memory: all room is taken at the beginning, and touched as it is needed. With the
/// defaults that is 75 kB for 300 samples of each of seven kinds, 400 kB for the [`History`], 10 kB for the forecast, and
/// some 200 bytes for each of 10 networks that were left. Whatever the times of samples are, nothing panics: one from before
/// the first counts as new, one from the future too until it is there.
#[derive(Debug)]
pub struct Estimator {
    config: QualityConfig,
    http: Samples,
    transport: Samples,
    ping: Samples,
    rtt_var: Samples,
    downlink: Samples,
    losses: Ring<Loss>,
    outcomes: Ring<Outcome>,
    min_rtt: Option<u64>,
    http_jitter: Jitter,
    ping_jitter: Jitter,
    throughput: Throughput,
    /// Requests that hang, one after the other.
    hanging: u32,
    signal: Option<u8>,
    network: Option<Option<NetworkKey>>,
    /// The one left last is last.
    left: VecDeque<(NetworkKey, Kept)>,
    history: History,
    trend: Trend,
}

#[derive(Clone, Copy, Debug)]
struct Loss {
    at: Instant,
    segments: u64,
    again: u64,
}

#[derive(Clone, Copy, Debug)]
struct Outcome {
    at: Instant,
    ok: bool,
}

/// What is kept of a network that was left.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    http: Option<u64>,
    transport: Option<u64>,
    ping: Option<u64>,
    rtt_var: Option<u64>,
    downlink: Option<u64>,
    min_rtt: Option<u64>,
}

/// RFC 3550 §6.4.1, with round trips for transit times.
#[derive(Clone, Copy, Debug, Default)]
struct Jitter {
    last: Option<u64>,
    smooth: Option<f64>,
}

impl Jitter {
    fn add(&mut self, value: u64) {
        if let Some(last) = self.last.replace(value) {
            let smooth = self.smooth.unwrap_or(0.0);
            self.smooth = Some(smooth + (value.abs_diff(last) as f64 - smooth) / 16.0);
        }
    }

    fn nanos(self) -> Option<u64> {
        self.smooth.map(|smooth| smooth as u64)
    }
}

/// Both directions of time and load; what is typical of networks of that kind, in nanoseconds and bits per second.
fn typical(kind: InterfaceKind) -> Kept {
    let (http, transport, kbps) = match kind {
        InterfaceKind::Wired => (90, 33, 1456),
        InterfaceKind::Wifi => (116, 66, 2658),
        InterfaceKind::Cellular => (137, 80, 1708),
        InterfaceKind::Bluetooth => (385, 318, 476),
        _ => (115, 55, 1961),
    };
    Kept {
        http: Some(http * 1_000_000),
        transport: Some(transport * 1_000_000),
        downlink: Some(kbps * 1000),
        ..Kept::default()
    }
}

impl Estimator {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(config: QualityConfig) -> Self {
        let ring = || Ring::new(config.samples);
        Self {
            http: ring(),
            transport: ring(),
            ping: ring(),
            rtt_var: ring(),
            downlink: ring(),
            losses: Ring::new(config.samples),
            outcomes: Ring::new(config.samples),
            min_rtt: None,
            http_jitter: Jitter::default(),
            ping_jitter: Jitter::default(),
            throughput: Throughput::default(),
            hanging: 0,
            signal: None,
            network: None,
            left: VecDeque::with_capacity(config.networks),
            history: History::new(),
            trend: Trend::new(),
            config,
        }
    }

    /// A request was answered: from when it was sent on a connection that was there to the head of its answer. One that took so
    /// long that a server rather than the network kept it back is left out.
    pub fn http_rtt(&mut self, at: Instant, took: Duration) {
        if took > self.config.hanging_floor && self.is_hanging(at, took) {
            self.hanging = self.hanging.saturating_add(1);
            if self.hanging < self.config.hanging_in_a_row {
                return;
            }
        } else {
            self.hanging = 0;
        }
        let nanos = nanos(took);
        self.http.push(Sample { at, value: nanos, signal: self.signal });
        self.http_jitter.add(nanos);
        self.history.http_rtt(at, nanos);
        self.trend.rtt(at, Source::Http, nanos);
    }

    /// A ping was answered, of a WebSocket or of HTTP/2: end to end, with nothing to think about in between.
    pub fn ping_rtt(&mut self, at: Instant, took: Duration) {
        let nanos = nanos(took);
        self.ping.push(Sample { at, value: nanos, signal: self.signal });
        self.ping_jitter.add(nanos);
        self.history.rtt(at, nanos);
        self.trend.rtt(at, Source::Ping, nanos);
    }

    /// What TCP knows of a connection. At most once a second for each is enough.
    pub fn transport(&mut self, at: Instant, sample: TransportSample) {
        let rtt = nanos(sample.rtt);
        self.transport.push(Sample { at, value: rtt, signal: self.signal });
        if let Some(rtt_var) = sample.rtt_var {
            self.rtt_var.push(Sample { at, value: nanos(rtt_var), signal: self.signal });
        }
        if let Some(min_rtt) = sample.min_rtt.map(nanos) {
            self.min_rtt = Some(self.min_rtt.map_or(min_rtt, |least| least.min(min_rtt)));
        }
        if sample.segments_out > 0 || sample.retransmits > 0 {
            self.losses.push(Loss { at, segments: sample.segments_out, again: sample.retransmits });
            self.history.segments(at, sample.segments_out, sample.retransmits);
            self.trend.segments(at, sample.segments_out, sample.retransmits);
        }
        self.history.rtt(at, rtt);
        self.trend.rtt(at, Source::Transport, rtt);
    }

    /// An attempt ended: whether the network let it through. An answer that says no is one.
    pub fn outcome(&mut self, at: Instant, ok: bool) {
        self.outcomes.push(Outcome { at, ok });
        self.history.outcome(at, ok);
        self.trend.outcome(at, ok);
    }

    /// A body begins to come in.
    pub fn transfer_began(&mut self, at: Instant) {
        self.throughput.began(&self.config, at);
    }

    /// It ended, well or not; once for each that began.
    pub fn transfer_ended(&mut self, at: Instant) {
        self.throughput.ended(&self.config, at);
    }

    /// Bytes came in, of whichever transfer.
    pub fn received(&mut self, at: Instant, bytes: u64) {
        let (config, http, signal) = (&self.config, &self.http, self.signal);
        let http_rtt = || Weighted::of(http, Weigh::new(config, at, signal)).median().map(Duration::from_nanos);
        if let Some(value) = self.throughput.received(config, at, bytes, http_rtt) {
            self.downlink.push(Sample { at, value, signal });
            self.history.downlink(at, value);
        }
    }

    /// How many transfers are under way.
    #[must_use]
    pub fn transfers(&self) -> u32 {
        self.throughput.in_flight()
    }

    /// How strong the signal is now, `0..=4`; `None` where there is none, or nobody knows. Samples under another signal count
    /// less.
    pub fn signal(&mut self, level: Option<u8>) {
        self.signal = level.map(|level| level.min(4));
    }

    /// Traffic goes over that network now; `None` over none. What is known of the one before is kept under its name, and what
    /// is known of this one from before comes back as one sample of each kind. The first word only names the network.
    pub fn network(&mut self, at: Instant, key: Option<NetworkKey>) {
        let before = self.network.replace(key.clone());
        let Some(before) = before else {
            return;
        };
        if before == key {
            return;
        }
        if let Some(before) = before {
            let kept = self.kept(at);
            self.remember(before, kept);
        }
        self.forget();
        let known = key.and_then(|key| self.left.iter().position(|(left, _)| *left == key));
        if let Some((_, kept)) = known.and_then(|index| self.left.remove(index)) {
            self.recall(at, kept);
        }
    }

    /// What is known now. Sorts what is kept: meant for a few times a second.
    #[must_use]
    pub fn quality(&self, at: Instant) -> Quality {
        let config = &self.config;
        let weigh = self.weigh(at);
        let http = Weighted::of(&self.http, weigh);
        let transport = Weighted::of(&self.transport, weigh);
        let ping = Weighted::of(&self.ping, weigh);
        let start = self.start_values();
        let http_rtt = self.bounded(http.median(), transport.median(), ping.median()).or(start.http);
        let transport_rtt = transport.median().or(start.transport);
        let worth = [&ping, &transport, &http].into_iter().find(|samples| samples.total() >= 1.0);
        let best = worth.unwrap_or_else(|| most([&ping, &transport, &http]));
        let rtt = best.median().or(start.transport);
        let known = duration(http_rtt.or(rtt));
        let downlink = Weighted::of(&self.downlink, weigh).median().or(start.downlink);
        let downlink_kbps = downlink.map(|bits| config.clamp_downlink(bits as f64 / 1000.0, known));
        let worth = ping.total() + transport.total() + http.total();
        let samples = self.ping.len() + self.transport.len() + self.http.len();
        let unscored = Quality {
            effective: config.classify(known, downlink_kbps),
            http_rtt: duration(http_rtt),
            transport_rtt: duration(transport_rtt),
            ping_rtt: duration(ping.median()),
            min_rtt: duration(self.min_rtt),
            rtt: duration(rtt),
            rtt_p50: duration(best.median()),
            rtt_p95: duration(best.percentile(0.95)),
            jitter: duration(self.jitter(weigh)),
            loss: self.loss(weigh),
            failures: self.failures(weigh),
            downlink_kbps,
            score: 0,
            confidence: 1.0 - (-worth / 3.0).exp2(),
            samples: u32::try_from(samples).unwrap_or(u32::MAX),
        };
        unscored.scored()
    }

    /// The recent past.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How likely the network is to be gone soon.
    #[must_use]
    pub fn forecast(&self, at: Instant) -> Forecast {
        Forecast::of(&self.trend.signs(at), self.config.horizons)
    }

    fn weigh(&self, at: Instant) -> Weigh {
        Weigh::new(&self.config, at, self.signal)
    }

    /// Whether a request took so long that it is not the network's doing.
    fn is_hanging(&self, at: Instant, took: Duration) -> bool {
        let config = &self.config;
        let weigh = self.weigh(at);
        let took = took.as_secs_f64() * 1e9;
        let mut weighted = Weighted::default();
        let mut is_below = |samples: &Samples, min_samples: usize, factor: f64| {
            if samples.len() < min_samples.max(1) {
                return false;
            }
            weighted.fill(samples, weigh);
            weighted.median().is_some_and(|median| took < median as f64 * factor)
        };
        // Without any estimate there is nothing that it could be too long for.
        let is_first = self.http.len() == 0 && self.transport.len().max(self.ping.len()) < config.min_samples.max(1);
        !(is_first
            || is_below(&self.ping, config.min_samples, config.hanging_transport)
            || is_below(&self.transport, config.min_samples, config.hanging_transport)
            || is_below(&self.http, 1, config.hanging_http))
    }

    /// The HTTP round trip within what transport and pings make possible.
    fn bounded(&self, http: Option<u64>, transport: Option<u64>, ping: Option<u64>) -> Option<u64> {
        let config = &self.config;
        let times = |value: u64, factor: f64| (value as f64 * factor) as u64;
        let mut http = http?;
        let transport = transport.filter(|_| self.transport.len() >= config.min_samples);
        let ping = ping.filter(|_| self.ping.len() >= config.min_samples);
        for bound in [transport, ping].into_iter().flatten() {
            http = http.max(times(bound, config.lower_bound));
        }
        if let Some(ping) = ping.filter(|_| config.upper_bound > 0.0) {
            http = http.min(times(ping, config.upper_bound));
        }
        Some(http)
    }

    fn jitter(&self, weigh: Weigh) -> Option<u64> {
        let rtt_var = Weighted::of(&self.rtt_var, weigh).median();
        rtt_var.or_else(|| self.ping_jitter.nanos()).or_else(|| self.http_jitter.nanos())
    }

    fn loss(&self, weigh: Weigh) -> Option<f64> {
        let (mut all, mut again) = (0.0, 0.0);
        for loss in self.losses.iter() {
            let weight = weigh.age(loss.at);
            all += weight * loss.segments as f64;
            again += weight * loss.again as f64;
        }
        (self.losses.len() > 0).then(|| if again < all { again / all } else { 1.0 })
    }

    fn failures(&self, weigh: Weigh) -> Option<f64> {
        let (mut all, mut failed) = (0.0, 0.0);
        for outcome in self.outcomes.iter() {
            let weight = weigh.age(outcome.at);
            all += weight;
            failed += if outcome.ok { 0.0 } else { weight };
        }
        (self.outcomes.len() > 0).then(|| f64::min(failed / all, 1.0))
    }

    fn start_values(&self) -> Kept {
        let is_known = self.http.len() + self.transport.len() + self.ping.len() > 0;
        if !self.config.start_values || is_known {
            return Kept::default();
        }
        let key = self.network.as_ref().and_then(Option::as_ref);
        typical(key.map_or(InterfaceKind::Unknown, NetworkKey::kind))
    }

    fn kept(&self, at: Instant) -> Kept {
        let weigh = self.weigh(at);
        let median = |samples: &Samples| Weighted::of(samples, weigh).median();
        Kept {
            http: median(&self.http),
            transport: median(&self.transport),
            ping: median(&self.ping),
            rtt_var: median(&self.rtt_var),
            downlink: median(&self.downlink),
            min_rtt: self.min_rtt,
        }
    }

    fn remember(&mut self, key: NetworkKey, kept: Kept) {
        self.left.retain(|(left, _)| *left != key);
        if self.left.len() >= self.config.networks {
            self.left.pop_front();
        }
        if self.config.networks > 0 {
            self.left.push_back((key, kept));
        }
    }

    fn recall(&mut self, at: Instant, kept: Kept) {
        let kinds = [
            (&mut self.http, kept.http),
            (&mut self.transport, kept.transport),
            (&mut self.ping, kept.ping),
            (&mut self.rtt_var, kept.rtt_var),
            (&mut self.downlink, kept.downlink),
        ];
        for (samples, value) in kinds {
            if let Some(value) = value {
                samples.push(Sample { at, value, signal: None });
            }
        }
        self.min_rtt = kept.min_rtt;
    }

    fn forget(&mut self) {
        for samples in [&mut self.http, &mut self.transport, &mut self.ping, &mut self.rtt_var, &mut self.downlink] {
            samples.clear();
        }
        self.losses.clear();
        self.outcomes.clear();
        self.min_rtt = None;
        self.http_jitter = Jitter::default();
        self.ping_jitter = Jitter::default();
        self.throughput.moved();
        self.hanging = 0;
        self.signal = None;
        self.trend.clear();
    }
}

fn duration(nanos: Option<u64>) -> Option<Duration> {
    nanos.map(Duration::from_nanos)
}

fn most(samples: [&Weighted; 3]) -> &Weighted {
    let [first, rest @ ..] = samples;
    rest.into_iter().fold(first, |most, other| if other.total() > most.total() { other } else { most })
}
