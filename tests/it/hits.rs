//! What lies in the cache's memory costs next to nothing.
//!
//! The allocations are those of the measuring thread alone: tests that run beside this one do not count.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Uri;
use netcomm_core::{Body, Env, HttpTransport, Result};
use netcomm_http::Client;
use netcomm_http::cache::Cache;
use netcomm_tests::{ManualClock, ScriptedDialer};

/// Allocations of a hit whose head nobody looks at: the request, the response. A longer key is a third.
const OF_A_HIT: u64 = 2;

struct Origin;

impl HttpTransport for Origin {
    async fn send(&self, _: http::Request<Body>) -> Result<http::Response<Body>> {
        let mut response = http::Response::new(Body::from("body"));
        response.headers_mut().insert("cache-control", http::HeaderValue::from_static("max-age=60"));
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/plain"));
        Ok(response)
    }
}

/// What a future that waits for nothing comes to.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn client() -> (Client, Uri) {
    let env = Env::new(ScriptedDialer::new(), ManualClock::new());
    let client = Client::builder(&env).transport(Origin).cache(Cache::memory(1 << 20)).build().expect("a client");
    (client, Uri::from_static("http://a.example/x?y=1"))
}

fn hit(client: &Client, uri: &Uri) -> Bytes {
    let response = at_once(client.get(uri).send()).expect("a response");
    assert!(response.cache_status().is_some_and(|status| status.hit));
    at_once(response.bytes()).expect("a body")
}

#[tokio::test]
async fn a_hit_allocates_next_to_nothing_and_copies_a_head_only_for_whoever_looks() {
    let (client, uri) = client();
    client.get(&uri).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(hit(&client, &uri), "body");
    let unseen = allocation_counter::measure(|| drop(hit(&client, &uri)));
    assert!(unseen.count_total <= OF_A_HIT, "{unseen:?}");
    let seen = allocation_counter::measure(|| {
        let response = at_once(client.get(&uri).send()).unwrap();
        assert_eq!(response.headers()["content-type"], "text/plain");
        assert_eq!(response.headers()["age"], "0");
    });
    assert!(seen.count_total > OF_A_HIT, "{seen:?}");
}
