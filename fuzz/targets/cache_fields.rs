//! Fields of hostile requests and responses before a cache: `Cache-Control` and its targeted kin, `Vary`, `Range`,
//! `Content-Range`, `Age`, dates, groups, entity tags. No answer is one that no response could have made, and the store
//! stays within its bound.
//!
//! Input: lines. `? METHOD` begins an exchange, `> name: value` is a field of its request, `= status` and `< name: value`
//! are of its response, `# text` is its body, `+ seconds` the time that passes before it.
#![no_main]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use netcomm_core::{Body, Env, HttpTransport, Result};
use netcomm_http::cache::Cache;
use netcomm_http::{Client, Redirects};
use netcomm_tests::{ManualClock, ScriptedDialer};

const URL: &str = "http://a.example/x?y";
const MAX_BYTES: u64 = 16 * 1024;
const MOST_EXCHANGES: usize = 12;

#[derive(Clone, Default)]
struct Exchange {
    method: Method,
    passed: u32,
    request: HeaderMap,
    status: StatusCode,
    response: HeaderMap,
    body: Vec<u8>,
}

/// Answers with what lies ready.
#[derive(Clone, Default)]
struct Answering(Arc<Mutex<(Exchange, usize)>>);

impl HttpTransport for Answering {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        assert!(request.headers().len() < 200, "{:?}", request.headers());
        let mut state = self.0.lock().expect("no panic under the lock");
        state.1 += 1;
        let exchange = state.0.clone();
        let mut response = Response::new(Body::from(exchange.body));
        *response.status_mut() = exchange.status;
        *response.headers_mut() = exchange.response;
        Ok(response)
    }
}

fuzz_target!(|data: &[u8]| {
    let exchanges = exchanges(data);
    for cache in [
        Cache::memory(MAX_BYTES),
        Cache::builder().memory(MAX_BYTES).shared().target("cdn-cache-control").expect("a name").build(),
    ] {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(play(&exchanges, cache));
    }
});

fn exchanges(data: &[u8]) -> Vec<Exchange> {
    let mut all = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let (kind, rest) = line.split_at(line.len().min(2));
        if kind == b"? " {
            if all.len() == MOST_EXCHANGES {
                break;
            }
            let method = Method::from_bytes(rest).unwrap_or_default();
            all.push(Exchange { method, ..Exchange::default() });
        }
        let Some(last) = all.last_mut() else { continue };
        let text = || std::str::from_utf8(rest).unwrap_or_default();
        match kind {
            b"> " => add(&mut last.request, rest),
            b"< " => add(&mut last.response, rest),
            b"= " => last.status = text().parse().unwrap_or_default(),
            b"# " => last.body = rest.to_vec(),
            b"+ " => last.passed = text().parse().unwrap_or_default(),
            _ => {}
        }
    }
    all
}

fn add(headers: &mut HeaderMap, line: &[u8]) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
    let (name, value) =
        (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii()));
    if let (Ok(name), Ok(value)) = (name, value)
        && headers.len() < 64
    {
        headers.append(name, value);
    }
}

async fn play(exchanges: &[Exchange], cache: Cache) {
    let clock = ManualClock::new();
    let env = Env::new(ScriptedDialer::new(), clock.clone());
    let origin = Answering::default();
    let client = Client::builder(&env)
        .transport(origin.clone())
        .cache(cache.clone())
        .redirects(Redirects::Manual)
        .decode(false)
        .build()
        .expect("a client");
    let mut bodies: Vec<u8> = Vec::new();
    for exchange in exchanges {
        clock.advance(Duration::from_secs(exchange.passed.into()));
        *origin.0.lock().expect("no panic under the lock") = (exchange.clone(), 0);
        bodies.extend(&exchange.body);
        let call = client.request(exchange.method.clone(), URL).headers(exchange.request.clone());
        let outcome = call.send().await;
        let asked = origin.0.lock().expect("no panic under the lock").1;
        assert!(asked <= 2, "the origin was asked {asked} times for one call");
        if let Ok(response) = outcome {
            let status = *response.cache_status().expect("a cache");
            assert!(!status.hit || response.attempts() == 0, "{status:?}");
            assert!(status.hit || status.forwarded.is_some() || response.status() == 504, "{status:?}");
            let last = response.headers().get_all("cache-status").iter().next_back().expect("a Cache-Status");
            assert!(last.as_bytes().starts_with(b"netcomm"), "{last:?}");
            let is_asked_for = response.status() != 206 || exchange.request.contains_key("range") || !status.hit;
            assert!(is_asked_for, "a part that nobody asked for");
            if let Ok(body) = response.bytes().await {
                assert!(body.len() <= bodies.len(), "{} bytes of {}", body.len(), bodies.len());
                assert!(body.iter().all(|byte| bodies.contains(byte)), "bytes that nobody sent");
            }
        }
        // What is fetched behind the back.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        let stats = cache.stats().await;
        assert!(stats.bytes <= MAX_BYTES, "{stats:?}");
    }
}
