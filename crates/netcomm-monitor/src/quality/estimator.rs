//! Takes samples and tells the quality: what is kept, and how its parts bound each other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::forecast::Forecast;
use super::history::History;
use super::medians::Medians;
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
    medians: Medians,
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

/// What Chromium takes networks of that kind for until it knows better, in nanoseconds and bits per second.
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
            medians: Medians::new(config.samples),
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
        let weigh = self.weigh(at);
        let (medians, kinds) = (&mut self.medians, [&self.http, &self.transport, &self.ping]);
        let http_rtt = || medians.of(at, weigh, kinds)[0].map(Duration::from_nanos);
        if let Some(value) = self.throughput.received(&self.config, at, bytes, http_rtt) {
            self.downlink.push(Sample { at, value, signal: self.signal });
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
    fn is_hanging(&mut self, at: Instant, took: Duration) -> bool {
        let weigh = self.weigh(at);
        let [http, transport, ping] = self.medians.of(at, weigh, [&self.http, &self.transport, &self.ping]);
        let config = &self.config;
        let transport = transport.filter(|_| self.transport.len() >= config.min_samples);
        let ping = ping.filter(|_| self.ping.len() >= config.min_samples);
        let took = took.as_secs_f64() * 1e9;
        let is_below = |median: Option<u64>, factor: f64| median.is_some_and(|median| took < median as f64 * factor);
        // Without any estimate there is nothing that it could be too long for.
        http.or(transport).or(ping).is_some()
            && !is_below(ping, config.hanging_transport)
            && !is_below(transport, config.hanging_transport)
            && !is_below(http, config.hanging_http)
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
        self.medians.clear();
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

#[cfg(test)]
mod tests {
    use super::super::EffectiveType;
    use super::*;
    use crate::path::{DefaultRoute, Interface, PathState};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn key(name: &str, kind: InterfaceKind) -> Option<NetworkKey> {
        let route = DefaultRoute::new(2, None);
        let state = PathState::none().with_interface(Interface::new(2, name, kind));
        state.with_default(netcomm_core::AddressFamily::V4, Some(route)).network_key()
    }

    fn fresh() -> (Instant, Estimator) {
        (Instant::now(), Estimator::new(QualityConfig::new()))
    }

    #[test]
    fn nothing_is_said_of_what_nobody_measured() {
        let (at, estimator) = fresh();
        assert_eq!(estimator.quality(at), Quality::default());
        assert!(estimator.history().points(at, ms(60_000)).is_empty());
    }

    #[test]
    fn http_lies_between_what_transport_and_pings_make_possible() {
        for (http, transport, ping, expected) in [
            (100, 40, 50, 100),
            (100, 120, 50, 120),
            (100, 40, 130, 130),
            (400, 40, 50, 150),
            // More than three pings: the upper bound has the last word.
            (100, 400, 50, 150),
        ] {
            let (at, mut estimator) = fresh();
            for sample in 0..5 {
                assert_eq!(estimator.quality(at).http_rtt, (sample > 0).then_some(ms(http)), "too few to bound it");
                estimator.http_rtt(at, ms(http));
                estimator.transport(at, TransportSample::new(ms(transport)));
                estimator.ping_rtt(at, ms(ping));
            }
            assert_eq!(estimator.quality(at).http_rtt, Some(ms(expected)), "{http} {transport} {ping}");
        }
    }

    #[test]
    fn no_bounds_where_none_are_wanted() {
        let at = Instant::now();
        let mut estimator = Estimator::new(QualityConfig::new().with_lower_bound(0.0).with_upper_bound(0.0));
        for _ in 0..5 {
            estimator.http_rtt(at, ms(400));
            estimator.transport(at, TransportSample::new(ms(900)));
            estimator.ping_rtt(at, ms(50));
        }
        assert_eq!(estimator.quality(at).http_rtt, Some(ms(400)));
    }

    #[test]
    fn a_server_that_keeps_its_answer_back_says_nothing_of_the_network() {
        let (at, mut estimator) = fresh();
        estimator.http_rtt(at, ms(100));
        for (took, is_taken) in [(500, true), (600, false), (599, true), (1, true), (30_000, false)] {
            let before = estimator.quality(at).samples;
            estimator.http_rtt(at, ms(took));
            assert_eq!(estimator.quality(at).samples > before, is_taken, "{took}");
            // The median stays at 100.
            estimator.http_rtt(at, ms(100));
            estimator.http_rtt(at, ms(100));
        }
        for _ in 0..5 {
            estimator.transport(at, TransportSample::new(ms(200)));
        }
        for (took, is_taken) in [(1599, true), (1600, false)] {
            let before = estimator.quality(at).samples;
            estimator.http_rtt(at, ms(took));
            assert_eq!(estimator.quality(at).samples > before, is_taken, "{took}");
        }
    }

    #[test]
    fn a_network_that_became_slow_is_noticed_by_http_alone() {
        let (at, mut estimator) = fresh();
        for _ in 0..20 {
            estimator.http_rtt(at, ms(50));
        }
        let later = at + ms(60_000);
        for _ in 0..2 {
            estimator.http_rtt(later, ms(2500));
        }
        assert_eq!(estimator.quality(later).samples, 20, "two may hang");
        for _ in 0..15 {
            estimator.http_rtt(later, ms(2500));
        }
        let quality = estimator.quality(later);
        assert_eq!((quality.http_rtt, quality.effective), (Some(ms(2500)), Some(EffectiveType::Slow2g)));
    }

    #[test]
    fn a_slow_network_is_believed_from_the_first_answer() {
        let (at, mut estimator) = fresh();
        estimator.http_rtt(at, ms(2500));
        assert_eq!(estimator.quality(at).effective, Some(EffectiveType::Slow2g));
    }

    #[test]
    fn the_best_figure_is_the_one_that_is_fresh() {
        let (at, mut estimator) = fresh();
        estimator.ping_rtt(at, ms(40));
        estimator.http_rtt(at, ms(90));
        assert_eq!(estimator.quality(at).rtt, Some(ms(40)));
        let later = at + ms(120_000);
        estimator.http_rtt(later, ms(95));
        assert_eq!(estimator.quality(later).rtt, Some(ms(95)), "the ping is two minutes old");
        estimator.transport(later, TransportSample::new(ms(60)));
        assert_eq!(estimator.quality(later).rtt, Some(ms(60)));
        let much_later = at + ms(1_200_000);
        assert_eq!(estimator.quality(much_later).rtt, Some(ms(95)), "all are old, HTTP has the most");
    }

    #[test]
    fn jitter_as_rfc_3550_6_4_1_or_as_tcp_has_it() {
        let (at, mut estimator) = fresh();
        estimator.http_rtt(at, ms(100));
        assert_eq!(estimator.quality(at).jitter, None);
        estimator.http_rtt(at, ms(116));
        assert_eq!(estimator.quality(at).jitter, Some(ms(1)));
        estimator.http_rtt(at, ms(100));
        assert_eq!(estimator.quality(at).jitter, Some(Duration::from_micros(1937) + Duration::from_nanos(500)));
        estimator.ping_rtt(at, ms(40));
        estimator.ping_rtt(at, ms(72));
        assert_eq!(estimator.quality(at).jitter, Some(ms(2)));
        estimator.transport(at, TransportSample::new(ms(50)).with_rtt_var(ms(9)));
        assert_eq!(estimator.quality(at).jitter, Some(ms(9)));
    }

    #[test]
    fn loss_and_failures_forget() {
        let (at, mut estimator) = fresh();
        estimator.transport(at, TransportSample::new(ms(50)));
        assert_eq!((estimator.quality(at).loss, estimator.quality(at).failures), (None, None), "nothing was sent");
        estimator.transport(at, TransportSample::new(ms(50)).with_segments(100, 10));
        estimator.outcome(at, false);
        let quality = estimator.quality(at);
        assert_eq!((quality.loss, quality.failures), (Some(0.1), Some(1.0)));
        let later = at + ms(60_000);
        estimator.transport(later, TransportSample::new(ms(50)).with_segments(50, 0));
        estimator.outcome(later, true);
        let quality = estimator.quality(later);
        assert!((quality.loss.unwrap() - 0.05).abs() < 1e-9, "{quality:?}");
        assert!((quality.failures.unwrap() - 1.0 / 3.0).abs() < 1e-9, "{quality:?}");
        estimator.transport(later, TransportSample::new(ms(50)).with_segments(0, 9));
        assert!(estimator.quality(later).loss.unwrap() <= 1.0);
    }

    #[test]
    fn the_shortest_round_trip_stays() {
        let (at, mut estimator) = fresh();
        for min_rtt in [30, 20, 25] {
            estimator.transport(at, TransportSample::new(ms(50)).with_min_rtt(ms(min_rtt)));
        }
        assert_eq!(estimator.quality(at + ms(1_000_000)).min_rtt, Some(ms(20)));
    }

    #[test]
    fn confidence_grows_with_samples_and_fades_with_time() {
        let (at, mut estimator) = fresh();
        for (samples, expected) in [(1, 0.206), (5, 0.685), (20, 0.990)] {
            while estimator.quality(at).samples < samples {
                estimator.ping_rtt(at, ms(10));
            }
            assert!((estimator.quality(at).confidence - expected).abs() < 0.001, "{samples}");
        }
        assert!((estimator.quality(at + ms(120_000)).confidence - 0.685).abs() < 0.001);
        assert!(estimator.quality(at + ms(3_600_000)).confidence < 1e-6);
    }

    #[test]
    fn a_downlink_of_five_transfers() {
        let (at, mut estimator) = fresh();
        for _ in 0..5 {
            estimator.transfer_began(at);
        }
        estimator.received(at + ms(1000), 125_000);
        assert_eq!((estimator.transfers(), estimator.quality(at + ms(1000)).downlink_kbps), (5, Some(1000.0)));
        estimator.http_rtt(at, ms(2000));
        assert_eq!(estimator.quality(at + ms(1000)).downlink_kbps, Some(140.0), "no slow-2g has more");
    }

    #[test]
    fn networks_are_known_again() {
        let (at, mut estimator) = fresh();
        let (home, office) = (key("wlan0", InterfaceKind::Wifi), key("eth0", InterfaceKind::Wired));
        estimator.http_rtt(at, ms(80));
        estimator.network(at, home.clone());
        assert_eq!(estimator.quality(at).http_rtt, Some(ms(80)), "the first word only names it");
        estimator.network(at, home.clone());
        estimator.transport(at, TransportSample::new(ms(30)).with_rtt_var(ms(3)).with_min_rtt(ms(20)));
        estimator.outcome(at, false);
        estimator.network(at, office);
        assert_eq!(estimator.quality(at), Quality::default());
        assert_eq!(estimator.forecast(at).samples, 0);
        estimator.http_rtt(at, ms(10));
        estimator.network(at, None);
        assert_eq!(estimator.quality(at), Quality::default());
        estimator.network(at, home);
        let quality = estimator.quality(at);
        assert_eq!((quality.http_rtt, quality.transport_rtt), (Some(ms(80)), Some(ms(30))));
        assert_eq!((quality.jitter, quality.min_rtt), (Some(ms(3)), Some(ms(20))));
        assert_eq!((quality.samples, quality.failures), (2, None));
    }

    #[test]
    fn ten_networks_are_remembered_and_the_eleventh_displaces_the_first() {
        let (at, mut estimator) = fresh();
        for network in 0..12 {
            estimator.network(at, key(&format!("net{network}"), InterfaceKind::Wifi));
            estimator.http_rtt(at, ms(100 + network));
        }
        for (network, expected) in [(0, None), (1, Some(ms(101)))] {
            let mut estimator = Estimator { left: estimator.left.clone(), ..Estimator::new(QualityConfig::new()) };
            estimator.network(at, None);
            estimator.network(at, key(&format!("net{network}"), InterfaceKind::Wifi));
            assert_eq!(estimator.quality(at).http_rtt, expected, "{network}");
        }
        assert_eq!(estimator.left.len(), 10);
    }

    #[test]
    fn start_values_where_they_are_wanted() {
        let at = Instant::now();
        let mut estimator = Estimator::new(QualityConfig::new().with_start_values(true));
        estimator.network(at, key("wlan0", InterfaceKind::Wifi));
        let quality = estimator.quality(at);
        assert_eq!((quality.http_rtt, quality.transport_rtt), (Some(ms(116)), Some(ms(66))));
        assert_eq!((quality.downlink_kbps, quality.confidence, quality.samples), (Some(2658.0), 0.0, 0));
        estimator.http_rtt(at, ms(300));
        assert_eq!((estimator.quality(at).http_rtt, estimator.quality(at).transport_rtt), (Some(ms(300)), None));
    }

    #[test]
    fn another_signal_makes_old_samples_count_less() {
        let (at, mut estimator) = fresh();
        estimator.signal(Some(4));
        for _ in 0..4 {
            estimator.ping_rtt(at, ms(10));
        }
        estimator.signal(Some(0));
        for _ in 0..2 {
            estimator.ping_rtt(at, ms(200));
        }
        assert_eq!(estimator.quality(at).rtt, Some(ms(200)));
        estimator.signal(None);
        assert_eq!(estimator.quality(at).rtt, Some(ms(10)));
    }
}
