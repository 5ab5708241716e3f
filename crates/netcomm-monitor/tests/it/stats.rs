//! What is counted, and how it is told.

#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod exporters;
mod live;
mod prometheus;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Version};
use netcomm_core::{ErrorKind, Event, GaveUp, Interest, Observation, Observe, Stage, Steps};
use netcomm_monitor::{Snapshot, Stats};

const A: &str = "https://a.example:443";
const B: &str = "http://b.example:8080";

fn tell(stats: &Stats, events: impl IntoIterator<Item = Event>) {
    let at = Instant::now();
    for event in events {
        assert!(stats.interest().contains(event.interest()), "{event:?}");
        stats.observe(&Observation::new(at, event));
    }
}

fn after(events: impl IntoIterator<Item = Event>) -> Snapshot {
    let stats = Stats::new();
    tell(&stats, events);
    stats.snapshot()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn attempt(origin: &str, status: Result<u16, ErrorKind>, took: Duration) -> Event {
    Event::AttemptEnded {
        number: 1,
        origin: origin.to_owned(),
        method: Method::GET,
        version: status.is_ok().then_some(Version::HTTP_11),
        status: status.ok().map(|status| StatusCode::from_u16(status).expect("three digits")),
        error: status.err(),
        reused: status.is_ok(),
        wait: None,
        took,
    }
}

fn connected(origin: &str) -> Event {
    let mut steps = Steps::default();
    steps.connect = Some(millis(20));
    steps.tls = Some(millis(30));
    let address = SocketAddr::from(([192, 0, 2, 1], 443));
    Event::Connected { peer: Some(address), local: None, through_proxy: false, origin: origin.to_owned(), steps }
}

/// A little of everything that can be counted.
pub(crate) fn everything() -> Vec<Event> {
    let (url, error) = ("wss://a.example/".to_owned(), Some(ErrorKind::Timeout));
    vec![
        Event::CallStarted { method: Method::GET, url: format!("{A}/path") },
        Event::Resolved { host: "a.example".to_owned(), addresses: 2, cached: false, took: millis(4) },
        Event::Resolved { host: "a.example".to_owned(), addresses: 2, cached: true, took: millis(0) },
        Event::Resolved { host: "c.example".to_owned(), addresses: 0, cached: false, took: millis(40) },
        connected(A),
        connected(B),
        Event::ConnectFailed { origin: B.to_owned(), error: ErrorKind::Connect },
        Event::Disconnected { origin: B.to_owned(), reason: "idle" },
        Event::AttemptStarted { number: 1, origin: A.to_owned() },
        attempt(A, Ok(503), millis(30)),
        Event::Retrying { tries: 1, wait: millis(100) },
        Event::AttemptStarted { number: 2, origin: A.to_owned() },
        attempt(A, Ok(200), millis(20)),
        Event::AttemptStarted { number: 1, origin: B.to_owned() },
        attempt(B, Err(ErrorKind::Timeout), millis(5000)),
        Event::Redirected { status: StatusCode::FOUND, to: B.to_owned(), crossed_origin: true },
        Event::Resumed { offset: 10 },
        Event::BodyReceived { bytes: 900 },
        Event::CallEnded { status: Some(StatusCode::OK), error: None, received_bytes: 900, took: millis(200) },
        Event::CallStarted { method: Method::GET, url: format!("{B}/path") },
        Event::CacheAsked { hit: true, forwarded: None, stored: false, detail: None },
        Event::CacheAsked { hit: false, forwarded: Some("uri-miss"), stored: true, detail: None },
        Event::GaveUp { why: GaveUp::Budget },
        Event::Hedged { after: millis(50) },
        Event::Held { stage: Stage::Limit, took: millis(7), passed: true },
        Event::Held { stage: Stage::Offline, took: millis(900), passed: false },
        Event::Kept { number: 1, maybe_sent: true },
        Event::BreakerTurned { origin: B.to_owned(), until: Some(Instant::now()) },
        Event::Deferred { origin: A.to_owned(), wait: millis(1) },
        Event::TokenRefreshed { ok: true },
        Event::TokenRefreshed { ok: false },
        Event::CookieRefused { host: "a.example".to_owned(), reason: "public suffix" },
        Event::SocketOpened { url: url.clone(), subprotocol: None, compressed: false },
        Event::SocketOpened { url: url.clone(), subprotocol: None, compressed: true },
        Event::MessageSent { is_text: true, bytes: 5 },
        Event::MessageReceived { is_text: false, bytes: 6 },
        Event::MessageReceived { is_text: true, bytes: 7 },
        Event::RoundTrip { took: millis(12) },
        Event::SocketClosed { code: 1006, clean: false, error, took: millis(70_000) },
        Event::StreamOpened { url: url.clone(), resumed: false },
        Event::StreamOpened { url, resumed: true },
        Event::EventReceived { bytes: 40 },
        Event::StreamEnded { error, events: 1, took: millis(60) },
    ]
}

#[test]
fn each_kind_of_observation_is_counted() {
    let seen = after(everything());
    let calls = &seen.calls;
    assert_eq!((calls.started, calls.active, calls.ended.len(), calls.took.histogram.count), (2, 1, 1, 1));
    assert_eq!((calls.redirects, calls.redirects_crossed, calls.resumptions), (1, 1, 1));
    assert_eq!((calls.received_bytes, calls.received.sum), (900, 900.0));
    let attempts = &seen.attempts;
    assert_eq!((attempts.started, attempts.ended, attempts.failed, attempts.reused), (3, 3, 1, 2));
    let made = &seen.decisions;
    assert_eq!((made.cache_hits, made.cache_misses, made.cache_stores), (1, 1, 1));
    assert_eq!((made.retries.count, made.retries.sum, made.gave_up["budget"], made.hedges), (1, 0.1, 1, 1));
    let held: Vec<_> = made.held.iter().map(|it| (it.stage, it.passed, it.duration.sum)).collect();
    assert_eq!(held, [("offline", false, 0.9), ("limit", true, 0.007)]);
    assert_eq!((made.kept, made.kept_maybe_sent, made.breaker_opened, made.breaker_closed), (1, 1, 1, 0));
    assert_eq!((made.deferrals, made.tokens, made.tokens_failed, made.cookies_refused), (1, 1, 1, 1));
    let connections = &seen.connections;
    assert_eq!((connections.opened, connections.closed, connections.open, connections.failed["connect"]), (2, 1, 1, 1));
    assert_eq!((connections.connect.sum, connections.tls.count, connections.proxy.count), (0.04, 2, 0));
    assert_eq!((seen.dns.cached, seen.dns.failed, seen.dns.took.histogram.count), (1, 1, 2));
    let sockets = &seen.sockets;
    assert_eq!((sockets.opened, sockets.open, sockets.unclean), (2, 1, 1));
    assert_eq!((sockets.closed[0].code, sockets.duration.sum), (Some(1006), 70.0));
    assert_eq!((sockets.sent.text, sockets.sent.bytes), (1, 5));
    assert_eq!((sockets.received.text, sockets.received.binary, sockets.received.bytes), (1, 1, 13));
    let streams = &seen.streams;
    assert_eq!((streams.opened, streams.resumed, streams.open, streams.events, streams.bytes), (2, 1, 1, 1, 40));
    assert_eq!((streams.ended[0].error, streams.ended[0].count), (Some("timeout"), 1));
    assert_eq!(seen.round_trips.histogram.count, 1);
}

#[test]
fn requests_are_told_by_what_they_came_to() {
    let seen = after(everything());
    let origins: Vec<_> = seen.origins.iter().map(|it| it.origin.as_deref()).collect();
    assert_eq!(origins, [Some(B), Some(A), None]);
    let [b, a, others] = &seen.origins[..] else { panic!("two and the others") };
    let of = |origin: &netcomm_monitor::Origin| -> Vec<_> {
        let each = origin.requests.iter();
        each.map(|it| (it.method, it.status, it.version, it.error, it.duration.sum)).collect()
    };
    assert_eq!(of(a), [("GET", Some(503), Some("1.1"), None, 0.03), ("GET", Some(200), Some("1.1"), None, 0.02)]);
    assert_eq!(of(b), [("GET", None, None, Some("timeout"), 5.0)]);
    assert_eq!((others.requests.len(), b.is_broken, a.is_broken), (0, true, false));
    assert_eq!((b.opened, b.failed, b.closed, b.open()), (1, 1, 1, 0));
}

#[test]
fn a_breaker_that_closes_is_no_longer_told_open() {
    let turn = |until| Event::BreakerTurned { origin: A.to_owned(), until };
    let seen = after([connected(A), turn(Some(Instant::now())), turn(Some(Instant::now())), turn(None)]);
    assert!(!seen.origins[0].is_broken);
    assert_eq!((seen.decisions.breaker_opened, seen.decisions.breaker_closed), (2, 1));
}

#[test]
fn percentiles_are_of_each_origin_and_of_all() {
    let fast = (1..=100).map(|turn| attempt(A, Ok(200), millis(turn)));
    let slow = (1..=100).map(|turn| attempt(B, Ok(200), millis(1000 + turn)));
    let seen = after(fast.chain(slow));
    let near = |told: Option<f64>, seconds: f64| {
        let told = told.unwrap();
        assert!((told / seconds - 1.0).abs() < 0.05, "{told} instead of {seconds}");
    };
    near(seen.origins[1].took.p50_seconds, 0.05);
    near(seen.origins[1].took.p99_seconds, 0.099);
    near(seen.origins[0].took.p90_seconds, 1.09);
    near(seen.attempts.took.p50_seconds, 0.1);
    near(seen.attempts.took.quantile(1.0).map(|took| took.as_secs_f64()), 1.1);
    assert_eq!(after([]).attempts.took.p50_seconds, None);
}

#[test]
fn more_origins_than_places_are_told_together() {
    let stats = Stats::with_origins(8);
    for number in 0..100 {
        tell(&stats, [attempt(&format!("https://{number}.example:443"), Ok(200), millis(1))]);
    }
    let seen = stats.snapshot();
    assert_eq!((seen.origins.len(), seen.origins_left, seen.attempts.ended), (9, 92, 100));
    let others = &seen.origins[8];
    assert_eq!((others.origin.as_deref(), others.requests[0].duration.count), (None, 92));
    assert_eq!(others.requests[0].status, Some(200), "what they came to is still told");
}

#[test]
fn threads_count_into_the_same_numbers() {
    let stats = Stats::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let stats = stats.clone();
            scope.spawn(move || (0..50).for_each(|_| tell(&stats, everything())));
        }
    });
    let (seen, one) = (stats.snapshot(), after(everything()));
    assert_eq!(seen.attempts.ended, one.attempts.ended * 200);
    assert_eq!(seen.sockets.received.bytes, one.sockets.received.bytes * 200);
    assert_eq!(seen.origins.len(), one.origins.len());
}

#[test]
fn an_observation_allocates_nothing_once_its_origin_is_known() {
    let stats = Stats::new();
    tell(&stats, everything());
    let at = Instant::now();
    let observations: Vec<_> = everything().into_iter().map(|event| Observation::new(at, event)).collect();
    let asked = allocation_counter::measure(|| observations.iter().for_each(|it| stats.observe(it)));
    assert_eq!(asked.count_total, 0, "{asked:?}");
}

#[test]
fn what_is_kept_is_bounded_by_what_is_said() {
    let asked = allocation_counter::measure(|| {
        let stats = Stats::new();
        for number in 0..500 {
            tell(&stats, [attempt(&format!("https://{number}.example:443"), Ok(200), millis(1))]);
        }
        std::mem::forget(stats);
    });
    assert!(asked.bytes_current < 640 * 1024, "{asked:?}");
    let asked = allocation_counter::measure(|| std::mem::forget(Stats::new()));
    assert!(asked.bytes_current < 40 * 1024, "{asked:?}");
}

#[test]
fn contents_are_not_wanted_and_not_counted() {
    assert!(!Stats::new().interest().contains(Interest::CONTENT));
    let stats = Stats::new();
    let data = bytes::Bytes::from_static(b"secret");
    stats.observe(&Observation::new(Instant::now(), Event::ResponseBody { data }));
    assert_eq!(stats.snapshot(), after([]));
}

#[test]
fn a_snapshot_serializes() {
    let text = serde_json::to_value(after(everything())).unwrap();
    assert_eq!(text["calls"]["started"], 2);
    assert_eq!(text["origins"][1]["requests"][0]["status"], 503);
    assert_eq!(text["decisions"]["gave_up"]["budget"], 1);
    assert!(text["attempts"]["took"]["p50_seconds"].as_f64().unwrap() > 0.0);
}
