//! What is stored keeps nothing alive but itself: heads and bodies come as views of buffers that are much larger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use netcomm_core::{Body, HttpTransport, Result};
use netcomm_http::cache::{Cache, CacheMode};
use netcomm_http::{Client, RequestBuilder};

/// A receive buffer that is missed when it is gone.
struct Buffer {
    bytes: Vec<u8>,
    alive: Arc<AtomicU32>,
}

impl Buffer {
    fn holding(text: &str, alive: &Arc<AtomicU32>) -> Bytes {
        alive.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Self { bytes: text.as_bytes().to_vec(), alive: Arc::clone(alive) })
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers out of buffers: the whole, one half of it, a confirmation.
struct Origin(Arc<AtomicU32>);

impl HttpTransport for Origin {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        let field = |name: &str| request.headers().get(name).map(|value| value.to_str().expect("text"));
        let (status, body, range) = match (field("if-none-match"), field("range")) {
            (Some(_), _) => (StatusCode::NOT_MODIFIED, "", None),
            (_, Some("bytes=0-2")) => (StatusCode::PARTIAL_CONTENT, "abc", Some("bytes 0-2/6")),
            (_, Some(_)) => (StatusCode::PARTIAL_CONTENT, "def", Some("bytes 3-5/6")),
            _ => (StatusCode::OK, "abcdef", None),
        };
        let has_content = !body.is_empty() && *request.method() != http::Method::HEAD;
        let body = if has_content { Body::from(Buffer::holding(body, &self.0)) } else { Body::empty() };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let value = |text| HeaderValue::from_maybe_shared(Buffer::holding(text, &self.0)).expect("a value");
        let headers = response.headers_mut();
        headers.insert("cache-control", value("max-age=60"));
        headers.insert("etag", value("\"a\""));
        headers.insert("vary", value("accept-language"));
        headers.insert("x-own", value("own"));
        headers.append("x-own", value(""));
        if let Some(range) = range {
            headers.insert("content-range", value(range));
        }
        Ok(response)
    }
}

#[tokio::test]
async fn a_stored_response_does_not_keep_the_buffers_that_it_came_in() {
    let alive = Arc::new(AtomicU32::new(0));
    let client =
        Client::builder(&netcomm_dial::env()).transport(Origin(Arc::clone(&alive))).cache(Cache::memory(1 << 20));
    let client = client.build().expect("a client");
    let url = |path: &str| format!("http://a.example/{path}");
    let asked = |request: RequestBuilder, what: &'static str| {
        let alive = Arc::clone(&alive);
        async move {
            let language = HeaderValue::from_maybe_shared(Buffer::holding("de, en", &alive)).expect("a value");
            let response = request.header("accept-language", language).send().await.expect(what);
            let status = response.cache_status().expect("a client with a cache");
            let is_stored = status.hit || status.stored;
            let own: Vec<_> = response.headers().get_all("x-own").iter().cloned().collect();
            drop(response.bytes().await.expect(what));
            assert!(is_stored, "{what}");
            assert_eq!(own, ["own", ""], "{what}");
            drop(own);
            assert_eq!(alive.load(Ordering::Relaxed), 0, "{what}: buffers that are still there");
        }
    };
    asked(client.get(url("a")), "a whole response").await;
    asked(client.get(url("a")), "a hit").await;
    asked(client.get(url("a")).cache_mode(CacheMode::NoCache), "a confirmation").await;
    asked(client.head(url("a")).cache_mode(CacheMode::Reload), "a head").await;
    asked(client.get(url("b")).header("range", "bytes=0-2"), "a part").await;
    asked(client.get(url("b")).header("range", "bytes=3-5"), "the other part").await;
    asked(client.get(url("b")), "both parts").await;
}
