//! What tracing is told, by a subscriber that writes down what comes.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use netcomm_core::{CallId, ErrorKind, Event, Interest, Observation, Observe, Tap};
use netcomm_monitor::Trace;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest as Wanted, with_default};
use tracing::{Level, Metadata, Subscriber};

#[derive(Clone)]
struct Lines {
    most: Option<Level>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Lines {
    fn up_to(most: impl Into<Option<Level>>) -> Self {
        Self { most: most.into(), lines: Arc::default() }
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().expect("no panic"))
    }
}

impl Subscriber for Lines {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Wanted {
        // Tests with other subscribers run beside this one.
        Wanted::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "netcomm" && self.most.is_some_and(|most| *metadata.level() <= most)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Writer(&mut line));
        self.lines.lock().expect("no panic").push(line);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Writer<'a>(&'a mut String);

impl Visit for Writer<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).expect("a string takes all");
    }
}

fn lines(most: Level, observations: &[Observation]) -> Vec<String> {
    let lines = Lines::up_to(most);
    with_default(lines.clone(), || {
        let tap = Tap::new(Trace::new());
        observations.iter().for_each(|it| tap.emit(it.event.interest(), || it.clone()));
    });
    lines.taken()
}

fn observation(event: Event) -> Observation {
    Observation::new(Instant::now(), event).with_call(CallId(7), Some(Arc::from("plugin")))
}

fn ended(error: Option<ErrorKind>) -> Event {
    let status = error.is_none().then_some(StatusCode::OK);
    Event::CallEnded { status, error, received_bytes: 10, took: Duration::from_micros(1500) }
}

#[test]
fn an_event_has_its_level_and_its_fields() {
    let url = "https://example.com/".to_owned();
    let all = [
        observation(Event::CallStarted { method: Method::GET, url }),
        observation(ended(None)),
        observation(ended(Some(ErrorKind::Timeout))),
        Observation::new(Instant::now(), Event::MessageSent { is_text: true, bytes: 3 }),
    ];
    assert_eq!(
        lines(Level::TRACE, &all),
        [
            r#"DEBUG message=call started call=7 scope="plugin" method=GET url="https://example.com/""#,
            r#"INFO message=call ended call=7 scope="plugin" status=200 received_bytes=10 took_ms=1.5"#,
            r#"WARN message=call ended call=7 scope="plugin" error="timed out" received_bytes=10 took_ms=1.5"#,
            "TRACE message=message sent is_text=true bytes=3",
        ]
    );
    assert_eq!(lines(Level::INFO, &all).len(), 2);
    assert_eq!(lines(Level::WARN, &all).len(), 1);
}

#[test]
fn each_kind_is_told() {
    let all: Vec<_> = crate::stats::everything().into_iter().map(observation).collect();
    assert_eq!(lines(Level::TRACE, &all).len(), all.len());
}

#[test]
fn nothing_is_wanted_where_nobody_listens() {
    let wanted = |most: Option<Level>| with_default(Lines::up_to(most), || Trace::new().interest());
    assert_eq!(wanted(None), Interest::NONE);
    assert_eq!(wanted(Some(Level::ERROR)), Interest::NONE);
    assert!(!wanted(Some(Level::WARN)).contains(Interest::ATTEMPT));
    assert!(!wanted(Some(Level::DEBUG)).contains(Interest::TRANSFER));
    let all = wanted(Some(Level::TRACE));
    assert!(all.contains(Interest::TRANSFER | Interest::MESSAGE | Interest::ATTEMPT));
    assert!(!all.contains(Interest::CONTENT));
}

#[test]
fn contents_come_to_no_log_even_if_they_are_handed_in() {
    let lines = Lines::up_to(Level::TRACE);
    let data = bytes::Bytes::from_static(b"secret");
    with_default(lines.clone(), || Trace::new().observe(&observation(Event::ResponseBody { data })));
    assert_eq!(lines.taken(), [""; 0]);
}
