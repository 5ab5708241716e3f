//! What an application at work lets its observer see, made once: calls of 16 origins, a WebSocket, an event stream.

use std::time::{Duration, Instant};

use http::{Method, StatusCode, Version};
use netcomm_core::{CallId, Event, Observation, Steps};

const ORIGINS: u64 = 16;

/// 16 calls of seven observations or nine, and as many messages and events.
pub(super) fn mix() -> Vec<Observation> {
    let at = Instant::now();
    let events = (0..ORIGINS).flat_map(|number| call(number).into_iter().chain(messages()));
    events.map(|event| Observation::new(at, event).with_call(CallId(1), None)).collect()
}

fn call(number: u64) -> Vec<Event> {
    let origin = format!("https://host-{number}.example.com:443");
    let took = Duration::from_micros(1500 * (number + 1));
    let status = Some(if number % 5 == 4 { StatusCode::NOT_FOUND } else { StatusCode::OK });
    let mut events = vec![
        Event::CallStarted { method: Method::GET, url: format!("{origin}/path") },
        Event::CacheAsked { hit: false, forwarded: Some("uri-miss"), stored: true, detail: None },
    ];
    if number.is_multiple_of(4) {
        let (host, steps) = (format!("host-{number}.example.com"), Steps::default());
        events.push(Event::Resolved { host, addresses: 2, cached: false, took });
        let origin = origin.clone();
        events.push(Event::Connected { peer: None, local: None, through_proxy: false, origin, steps });
    }
    events.extend([
        Event::AttemptStarted { number: 1, origin: origin.clone() },
        Event::AttemptEnded {
            number: 1,
            origin,
            method: Method::GET,
            version: Some(Version::HTTP_2),
            status,
            error: None,
            reused: !number.is_multiple_of(4),
            wait: None,
            took,
        },
        Event::BodyReceived { bytes: 16_384 },
        Event::BodyReceived { bytes: 900 },
        Event::CallEnded { status, error: None, received_bytes: 17_284, took },
    ]);
    events
}

fn messages() -> [Event; 4] {
    [
        Event::MessageSent { is_text: true, bytes: 120 },
        Event::MessageReceived { is_text: true, bytes: 400 },
        Event::MessageReceived { is_text: false, bytes: 4000 },
        Event::EventReceived { bytes: 250 },
    ]
}
