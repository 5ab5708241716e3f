//! The cache among the other parts of a call: interceptors, cookies, scopes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response};
use netcomm_core::{Body, ErrorKind, Event, Result, Scope};
use netcomm_http::cache::Cache;
use netcomm_http::testing::{ReceivedRequest, ScriptedServer};
use netcomm_http::{Intercept, Next};

use super::{URL, cached, counting, get, pass, reply, settle, take, try_take};
use crate::stage::stage;

#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Intercept for Counting {
    async fn intercept(&self, request: Request<Body>, mut next: Next<'_>) -> Result<Response<Body>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        next.run(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_hit_passes_the_interceptors_of_the_call_and_not_those_of_the_attempt() {
    let stage = stage(counting("cache-control: max-age=60"));
    let (calls, attempts) = (Counting::default(), Counting::default());
    let builder = stage.builder().intercept_calls(calls.clone()).intercept_attempts(attempts.clone());
    let client = builder.cache(Cache::memory(1 << 20)).build().unwrap();
    for hit in [false, true, true] {
        assert_eq!(get(&client).await.cache.hit, hit);
    }
    assert_eq!((calls.0.load(Ordering::Relaxed), attempts.0.load(Ordering::Relaxed)), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_made_by_an_interceptor_of_the_attempt_is_kept_as_the_origins() {
    struct Answering;
    impl Intercept for Answering {
        async fn intercept(&self, _: Request<Body>, _: Next<'_>) -> Result<Response<Body>> {
            let mut response = Response::new(Body::from("made here"));
            response.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
            Ok(response)
        }
    }
    let stage = stage(counting(""));
    let client = stage.builder().intercept_attempts(Answering).cache(Cache::memory(1 << 20)).build().unwrap();
    for hit in [false, true] {
        let got = get(&client).await;
        assert_eq!((got.text.as_str(), got.cache.hit), ("made here", hit));
    }
    assert_eq!(stage.server.request_count(), 0);
}

#[cfg(feature = "cookies")]
#[tokio::test(start_paused = true)]
async fn a_stored_cookie_is_set_once() {
    use netcomm_http::CookieJar;
    let jar = CookieJar::new();
    let stage = stage(counting("cache-control: max-age=60 | set-cookie: a=1"));
    let client = stage.builder().cookies(jar.clone()).cache(Cache::memory(1 << 20)).build().unwrap();
    get(&client).await;
    assert_eq!(jar.len(), 1);
    jar.clear();
    assert!(get(&client).await.cache.hit);
    assert_eq!(jar.len(), 0, "a hit must not bring back what the user has removed");
}

#[cfg(feature = "cookies")]
#[tokio::test(start_paused = true)]
async fn what_varies_by_cookie_sees_those_of_the_jar() {
    use netcomm_http::CookieJar;
    let server = ScriptedServer::builder().handler(|seen: &ReceivedRequest| match seen.path() {
        "/login" => reply(200, "set-cookie: id=7 | cache-control: no-store", ""),
        _ => reply(200, "cache-control: max-age=60 | vary: cookie", seen.header("cookie").unwrap_or("none").to_owned()),
    });
    let stage = stage(server);
    let client = stage.builder().cookies(CookieJar::new()).cache(Cache::memory(1 << 20)).build().unwrap();
    assert_eq!(get(&client).await.text, "none");
    take(client.get("http://a.example/login")).await;
    for hit in [false, true] {
        let got = get(&client).await;
        assert_eq!((got.text.as_str(), got.cache.hit), ("id=7", hit));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hit_costs_a_scope_no_request_but_stays_within_it() {
    let stage = stage(counting("cache-control: max-age=60"));
    let client = cached(&stage);
    let scoped = client.scoped(Scope::builder("plugin").allow_all().max_requests(1).build());
    for _ in 0..3 {
        assert_eq!(get(&scoped).await.text, "1");
    }
    let other = try_take(scoped.get("http://a.example/y")).await.map(|got| got.text).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Busy);
    // A handle within that one shares its store no more than its rules.
    let narrow = client.scoped(Scope::builder("plugin").allow("http://b.example").unwrap().build());
    assert_eq!(try_take(narrow.get(URL)).await.map(|got| got.text).unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_scope_hold_for_hits() {
    let server =
        ScriptedServer::builder().handler(|_: &ReceivedRequest| reply(200, "cache-control: max-age=60", "0123456789"));
    let stage = stage(server);
    let client = cached(&stage);
    let wide = client.scoped(Scope::builder("plugin").allow_all().build());
    let narrow = client.scoped(Scope::builder("plugin").allow_all().max_response_bytes(9).build());
    get(&wide).await;
    let error = try_take(narrow.get(URL)).await.map(|got| got.text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_behind_the_back_belongs_to_the_call() {
    let stage = stage(counting("cache-control: max-age=1, stale-while-revalidate=60"));
    let (calls, attempts) = (Counting::default(), Counting::default());
    let builder = stage.builder().intercept_calls(calls.clone()).intercept_attempts(attempts.clone());
    let client = builder.cache(Cache::memory(1 << 20)).build().unwrap();
    get(&client).await;
    pass(2).await;
    let response = client.get(URL).send().await.unwrap();
    let call = response.call();
    drop(response);
    settle().await;
    assert_eq!((calls.0.load(Ordering::Relaxed), attempts.0.load(Ordering::Relaxed)), (2, 2));
    let observed = stage.seen.observations();
    let last = observed.iter().rev().find(|seen| matches!(seen.event, Event::CacheAsked { .. })).unwrap();
    assert_eq!(last.call, call);
}
