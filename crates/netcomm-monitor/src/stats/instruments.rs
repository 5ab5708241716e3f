//! The names under which numbers leave: those of OpenTelemetry's conventions where there is one, `netcomm.*` otherwise.

use super::scale::Scale;

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is what was told last.
    State,
    /// A distribution.
    Histogram(Scale),
}

/// A number with its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instrument {
    pub(super) name: &'static str,
    /// As UCUM writes it; what is counted stands in braces.
    pub(super) unit: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

macro_rules! metrics {
    ($($metric:ident $name:literal $unit:literal $kind:expr, $help:literal;)*) => {
        /// All numbers that leave.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Metric {
            $(#[doc = $help] $metric,)*
        }

        impl Metric {
            /// All of them, in the order in which they are told.
            pub(super) const ALL: &[Self] = &[$(Self::$metric),*];

            /// Its name and what belongs to it.
            pub(super) const fn instrument(self) -> Instrument {
                match self {
                    $(Self::$metric => Instrument { name: $name, unit: $unit, kind: $kind, help: $help },)*
                }
            }
        }
    };
}

const SECONDS: Kind = Kind::Histogram(Scale::Request);
const LIFETIME: Kind = Kind::Histogram(Scale::Life);
const BYTES: Kind = Kind::Histogram(Scale::Bytes);

metrics! {
    RequestDuration "http.client.request.duration" "s" SECONDS,
        "Duration of HTTP client requests: of each attempt, to the head of its response or its error.";
    ActiveRequests "http.client.active_requests" "{request}" Kind::Gauge, "Calls under way.";
    OpenConnections "http.client.open_connections" "{connection}" Kind::Gauge,
        "Connections that are open, as far as their ends are told.";
    ResponseBodySize "http.client.response.body.size" "By" BYTES,
        "Body bytes received in a call, before decoding.";
    LookupDuration "dns.lookup.duration" "s" SECONDS, "Duration of name lookups that were not answered from memory.";
    CallDuration "netcomm.http.call.duration" "s" SECONDS,
        "Duration of calls with all their attempts and redirects, to the end of the body.";
    Redirects "netcomm.http.redirects" "{redirect}" Kind::Counter, "Redirects followed.";
    Resumptions "netcomm.http.resumptions" "{resumption}" Kind::Counter, "Downloads that went on after a break.";
    ReceivedBytes "netcomm.http.received" "By" Kind::Counter, "Body bytes as they come, before decoding.";
    AttemptsStarted "netcomm.http.attempts" "{attempt}" Kind::Counter, "Attempts begun.";
    AttemptsReused "netcomm.http.attempts.reused" "{attempt}" Kind::Counter,
        "Attempts over a connection that had carried a request before.";
    CacheHits "netcomm.http.cache.hits" "{answer}" Kind::Counter, "Answers that came from a cache.";
    CacheMisses "netcomm.http.cache.misses" "{request}" Kind::Counter, "Requests that a cache let pass.";
    CacheStores "netcomm.http.cache.stores" "{answer}" Kind::Counter, "Answers that a cache stored.";
    RetryWait "netcomm.retry.wait.duration" "s" SECONDS, "Waits before what failed is tried again.";
    GaveUp "netcomm.gave_up" "{call}" Kind::Counter, "What failed and was not tried again.";
    Hedges "netcomm.http.hedges" "{request}" Kind::Counter, "Slow calls that were sent a second time.";
    HeldDuration "netcomm.http.held.duration" "s" SECONDS, "Waits of calls before they were sent, or could not be.";
    Kept "netcomm.http.outbox.kept" "{call}" Kind::Counter, "Calls put into the outbox.";
    BreakerTurns "netcomm.http.breaker.turns" "{turn}" Kind::Counter,
        "Decisions not to ask an origin for a while, or to ask it again.";
    BreakerOpen "netcomm.http.breaker.open" "{origin}" Kind::State, "1 for an origin that is not asked for now.";
    Deferrals "netcomm.http.deferrals" "{deferral}" Kind::Counter, "Origins that asked to be left alone.";
    Tokens "netcomm.http.tokens" "{token}" Kind::Counter, "Tokens fetched anew, or not to be had.";
    CookiesRefused "netcomm.http.cookies.refused" "{cookie}" Kind::Counter, "Cookies refused.";
    ConnectionsOpened "netcomm.connections.opened" "{connection}" Kind::Counter, "Connections opened.";
    ConnectionsFailed "netcomm.connections.failed" "{connection}" Kind::Counter, "Connections that could not be opened.";
    ConnectionsClosed "netcomm.connections.closed" "{connection}" Kind::Counter, "Connections let go.";
    StepDuration "netcomm.connection.step.duration" "s" SECONDS, "Duration of the steps of a connection.";
    LookupsCached "netcomm.dns.cached" "{lookup}" Kind::Counter, "Name lookups answered from memory.";
    LookupsFailed "netcomm.dns.failed" "{lookup}" Kind::Counter, "Name lookups that came to no address.";
    SocketsOpen "netcomm.ws.open" "{socket}" Kind::Gauge, "WebSockets that are open.";
    SocketsOpened "netcomm.ws.opened" "{socket}" Kind::Counter, "WebSockets opened.";
    SocketsClosed "netcomm.ws.closed" "{socket}" Kind::Counter, "WebSockets closed, by code.";
    SocketsUnclean "netcomm.ws.unclean" "{socket}" Kind::Counter,
        "WebSockets closed without a goodbye of both sides.";
    SocketDuration "netcomm.ws.duration" "s" LIFETIME, "How long WebSockets were open.";
    Messages "netcomm.ws.messages" "{message}" Kind::Counter, "Messages of WebSockets.";
    MessageBytes "netcomm.ws.payload" "By" Kind::Counter, "Payload of messages of WebSockets.";
    StreamsOpen "netcomm.sse.open" "{stream}" Kind::Gauge, "Event streams that are open.";
    StreamsOpened "netcomm.sse.opened" "{stream}" Kind::Counter, "Event streams opened.";
    StreamsResumed "netcomm.sse.resumed" "{stream}" Kind::Counter,
        "Event streams that asked to go on behind an event.";
    StreamsEnded "netcomm.sse.ended" "{stream}" Kind::Counter, "Event streams ended.";
    StreamDuration "netcomm.sse.duration" "s" LIFETIME, "How long event streams were open.";
    Events "netcomm.sse.events" "{event}" Kind::Counter, "Events of event streams.";
    EventBytes "netcomm.sse.data" "By" Kind::Counter, "Data of events of event streams.";
    RoundTrip "netcomm.round_trip.duration" "s" SECONDS, "Round trips measured on connections.";
}

// Names of labels.
pub(super) const METHOD: &str = "http.request.method";
pub(super) const ADDRESS: &str = "server.address";
pub(super) const PORT: &str = "server.port";
pub(super) const STATUS: &str = "http.response.status_code";
pub(super) const ERROR: &str = "error.type";
pub(super) const VERSION: &str = "network.protocol.version";
pub(super) const REASON: &str = "netcomm.reason";
pub(super) const STAGE: &str = "netcomm.stage";
pub(super) const PASSED: &str = "netcomm.passed";
pub(super) const STEP: &str = "netcomm.step";
pub(super) const TURN: &str = "netcomm.turn";
pub(super) const OUTCOME: &str = "netcomm.outcome";
pub(super) const CODE: &str = "netcomm.ws.code";
pub(super) const DIRECTION: &str = "netcomm.direction";
pub(super) const FORM: &str = "netcomm.ws.form";
pub(super) const CROSSED: &str = "netcomm.crossed_origin";
pub(super) const MAYBE_SENT: &str = "netcomm.maybe_sent";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_and_is_found_under_its_number() {
        for (at, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(*metric as usize, at);
            let it = metric.instrument();
            let others = Metric::ALL.iter().filter(|other| other.instrument().name == it.name);
            assert_eq!(others.count(), 1, "{}", it.name);
            assert!(it.help.ends_with('.') && !it.unit.is_empty(), "{}", it.name);
        }
    }
}
