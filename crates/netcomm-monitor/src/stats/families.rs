//! A snapshot as named numbers with labels, whatever text they become.

use super::instruments::{
    ADDRESS, CODE, CROSSED, DIRECTION, ERROR, FORM, MAYBE_SENT, METHOD, Metric, OUTCOME, PASSED, PORT, REASON, STAGE,
    STATUS, STEP, TURN, VERSION,
};
use super::snapshot::{Histogram, Messages, Origin, Requests, Snapshot};
use super::words;

/// All numbers of one name.
pub(super) struct Family<'a> {
    pub(super) metric: Metric,
    pub(super) points: Vec<Point<'a>>,
}

/// One number and what it is of.
pub(super) struct Point<'a> {
    pub(super) labels: Labels,
    pub(super) value: Value<'a>,
}

pub(super) type Labels = Vec<(&'static str, String)>;

pub(super) enum Value<'a> {
    Number(u64),
    Histogram(&'a Histogram),
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a Histogram> for Value<'a> {
    fn from(histogram: &'a Histogram) -> Self {
        Self::Histogram(histogram)
    }
}

fn point<'a>(labels: Labels, value: impl Into<Value<'a>>) -> Point<'a> {
    Point { labels, value: value.into() }
}

fn one<'a>(value: impl Into<Value<'a>>) -> Vec<Point<'a>> {
    vec![point(Labels::new(), value)]
}

/// Numbers that differ in one label.
fn by<'a, W: Into<String>, V: Into<Value<'a>>>(
    label: &'static str,
    values: impl IntoIterator<Item = (W, V)>,
) -> Vec<Point<'a>> {
    values.into_iter().map(|(word, value)| point(vec![(label, word.into())], value)).collect()
}

impl Snapshot {
    /// All of them, those that were never raised included, but for what is told apart by words that were never met.
    pub(super) fn families(&self) -> Vec<Family<'_>> {
        Metric::ALL.iter().map(|metric| Family { metric: *metric, points: self.points(*metric) }).collect()
    }

    fn points(&self, metric: Metric) -> Vec<Point<'_>> {
        let (calls, decisions, connections) = (&self.calls, &self.decisions, &self.connections);
        let (sockets, streams) = (&self.sockets, &self.streams);
        match metric {
            Metric::RequestDuration => self.requests(),
            Metric::ActiveRequests => one(calls.active),
            Metric::OpenConnections => self.by_origin(Origin::open),
            Metric::ResponseBodySize => one(&calls.received),
            Metric::LookupDuration => one(&self.dns.took.histogram),
            Metric::CallDuration => {
                let ended = calls.ended.iter();
                ended.map(|it| point(answer(it.status, it.error), &it.duration)).collect()
            }
            Metric::Redirects => {
                let crossed = calls.redirects_crossed;
                by(CROSSED, [("false", calls.redirects.saturating_sub(crossed)), ("true", crossed)])
            }
            Metric::Resumptions => one(calls.resumptions),
            Metric::ReceivedBytes => one(calls.received_bytes),
            Metric::AttemptsStarted => one(self.attempts.started),
            Metric::AttemptsReused => one(self.attempts.reused),
            Metric::CacheHits => one(decisions.cache_hits),
            Metric::CacheMisses => one(decisions.cache_misses),
            Metric::CacheStores => one(decisions.cache_stores),
            Metric::RetryWait => one(&decisions.retries),
            Metric::GaveUp => by(REASON, decisions.gave_up.iter().map(|(word, count)| (*word, *count))),
            Metric::Hedges => one(decisions.hedges),
            Metric::HeldDuration => {
                let labels = |stage: &str, passed: bool| vec![(STAGE, stage.to_owned()), (PASSED, passed.to_string())];
                decisions.held.iter().map(|it| point(labels(it.stage, it.passed), &it.duration)).collect()
            }
            Metric::Kept => {
                let maybe = decisions.kept_maybe_sent;
                by(MAYBE_SENT, [("false", decisions.kept.saturating_sub(maybe)), ("true", maybe)])
            }
            Metric::BreakerTurns => {
                by(TURN, [("opened", decisions.breaker_opened), ("closed", decisions.breaker_closed)])
            }
            Metric::BreakerOpen => self.by_origin(|origin| u64::from(origin.is_broken)),
            Metric::Deferrals => one(decisions.deferrals),
            Metric::Tokens => by(OUTCOME, [("fetched", decisions.tokens), ("failed", decisions.tokens_failed)]),
            Metric::CookiesRefused => one(decisions.cookies_refused),
            Metric::ConnectionsOpened => self.by_origin(|origin| origin.opened),
            Metric::ConnectionsFailed => by(ERROR, connections.failed.iter().map(|(word, count)| (*word, *count))),
            Metric::ConnectionsClosed => self.by_origin(|origin| origin.closed),
            Metric::StepDuration => {
                by(STEP, [("connect", &connections.connect), ("proxy", &connections.proxy), ("tls", &connections.tls)])
            }
            Metric::LookupsCached => one(self.dns.cached),
            Metric::LookupsFailed => one(self.dns.failed),
            Metric::SocketsOpen => one(sockets.open),
            Metric::SocketsOpened => one(sockets.opened),
            Metric::SocketsClosed => {
                let word = |code: Option<u16>| code.map_or_else(|| words::OTHER.to_owned(), |code| code.to_string());
                by(CODE, sockets.closed.iter().map(|it| (word(it.code), it.count)))
            }
            Metric::SocketsUnclean => one(sockets.unclean),
            Metric::SocketDuration => one(&sockets.duration),
            Metric::Messages => [("sent", &sockets.sent), ("received", &sockets.received)]
                .into_iter()
                .flat_map(|(direction, messages)| messages_of(direction, messages))
                .collect(),
            Metric::MessageBytes => by(DIRECTION, [("sent", sockets.sent.bytes), ("received", sockets.received.bytes)]),
            Metric::StreamsOpen => one(streams.open),
            Metric::StreamsOpened => one(streams.opened),
            Metric::StreamsResumed => one(streams.resumed),
            Metric::StreamsEnded => {
                let labels = |error: Option<&str>| answer(None, error);
                streams.ended.iter().map(|it| point(labels(it.error), it.count)).collect()
            }
            Metric::StreamDuration => one(&streams.duration),
            Metric::Events => one(streams.events),
            Metric::EventBytes => one(streams.bytes),
            Metric::RoundTrip => one(&self.round_trips.histogram),
        }
    }

    fn requests(&self) -> Vec<Point<'_>> {
        let of = |origin, it: &'_ Requests| {
            let mut labels = vec![(METHOD, it.method.to_owned())];
            labels.extend(server(origin));
            labels.extend(answer(it.status, it.error));
            labels.extend(it.version.map(|version| (VERSION, version.to_owned())));
            labels
        };
        let each = self.origins.iter().flat_map(|origin| origin.requests.iter().map(move |it| (origin, it)));
        each.map(|(origin, it)| point(of(origin, it), &it.duration)).collect()
    }

    fn by_origin(&self, value: impl Fn(&Origin) -> u64) -> Vec<Point<'static>> {
        self.origins.iter().map(|origin| point(server(origin), value(origin))).collect()
    }
}

/// Address and port; all that have no place of their own are one.
fn server(origin: &Origin) -> Labels {
    let Some(origin) = &origin.origin else {
        return vec![(ADDRESS, words::OTHER.to_owned())];
    };
    let (address, port) = words::server(origin);
    let port = port.map(|port| (PORT, port.to_owned()));
    [(ADDRESS, address.to_owned())].into_iter().chain(port).collect()
}

/// What it came to. A status that tells of an error is its type too, as the conventions have it.
fn answer(status: Option<u16>, error: Option<&str>) -> Labels {
    let failed = || status.filter(|status| *status >= 400).map(|status| status.to_string());
    let error = error.map(str::to_owned).or_else(failed);
    let status = status.map(|status| (STATUS, status.to_string()));
    status.into_iter().chain(error.map(|error| (ERROR, error))).collect()
}

fn messages_of<'a>(direction: &'static str, messages: &Messages) -> [Point<'a>; 2] {
    [("text", messages.text), ("binary", messages.binary)]
        .map(|(form, count)| point(vec![(DIRECTION, direction.to_owned()), (FORM, form.to_owned())], count))
}
