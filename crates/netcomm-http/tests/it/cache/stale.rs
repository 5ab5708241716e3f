//! What is stale and answers all the same: while it is confirmed, after an error, without a network (RFC 5861, RFC 9111
//! §4.2.4).

use std::time::Duration;

use netcomm_core::{ErrorKind, Reach};
use netcomm_http::Client;
use netcomm_http::cache::{Cache, CacheMode};
use netcomm_http::testing::{Gate, ReceivedRequest, Reply, ScriptedServer};
use netcomm_tests::ManualConnectivity;

use super::{URL, answering, cached, counting, get, pass, reply, settle, take, try_take};
use crate::stage::{Stage, soon, stage};

const REVALIDATE: &str = "cache-control: max-age=10, stale-while-revalidate=20";

#[tokio::test(start_paused = true)]
async fn a_stale_response_answers_at_once_and_is_replaced_behind_its_back() {
    let gate = Gate::new();
    let held = gate.clone();
    let count = std::sync::atomic::AtomicUsize::new(0);
    let stage = stage(ScriptedServer::builder().handler(move |_: &ReceivedRequest| {
        match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => reply(200, REVALIDATE, "1"),
            _ => reply(200, REVALIDATE, "2").held_by(&held),
        }
    }));
    let client = cached(&stage);
    get(&client).await;
    pass(15).await;
    // Ten at once, and one request.
    let calls: Vec<_> = (0..10).map(|_| tokio::spawn(client.get(URL).send())).collect();
    for call in calls {
        let response = soon(call).await.unwrap().unwrap();
        assert_eq!(response.headers()["cache-status"], "netcomm; hit; ttl=-5; detail=stale-while-revalidate");
        assert_eq!(response.text().await.unwrap(), "1");
    }
    stage.server.until_requests(2).await;
    assert_eq!(get(&client).await.text, "1", "it is still being fetched");
    gate.open();
    settle().await;
    let next = get(&client).await;
    assert_eq!((next.text.as_str(), next.told()), ("2", "; hit; ttl=10"));
    assert_eq!(stage.server.request_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_the_window_the_call_waits() {
    for (seconds, waits) in [(30, false), (31, true)] {
        let stage = stage(counting(REVALIDATE));
        let client = cached(&stage);
        get(&client).await;
        pass(seconds).await;
        assert_eq!(get(&client).await.text, if waits { "2" } else { "1" });
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_behind_the_back_is_conditional_and_may_fail() {
    let stage = answering([
        reply(200, "cache-control: max-age=10, stale-while-revalidate=99 | etag: \"a\"", "1"),
        reply(503, "", "no"),
        Reply::raw("").then_reset(),
        reply(304, "cache-control: max-age=10", ""),
    ]);
    let client = cached(&stage);
    get(&client).await;
    pass(11).await;
    for _ in 0..3 {
        let got = get(&client).await;
        assert_eq!((got.status, got.text.as_str()), (200, "1"));
        settle().await;
    }
    assert_eq!(get(&client).await.told(), "; hit; ttl=10");
    let tags = super::sent(&stage, "if-none-match");
    assert!(tags[1..].iter().all(|tag| tag.as_deref() == Some("\"a\"")), "{tags:?}");
}

#[tokio::test(start_paused = true)]
async fn who_wants_the_origins_word_waits_for_it() {
    for directive in ["max-age=5", "no-cache", "min-fresh=1"] {
        let stage = stage(counting(REVALIDATE));
        let client = cached(&stage);
        get(&client).await;
        pass(11).await;
        assert_eq!(take(client.get(URL).header("cache-control", directive)).await.text, "2", "{directive}");
    }
    let stage = stage(counting("cache-control: max-age=10, stale-while-revalidate=20, must-revalidate"));
    let client = cached(&stage);
    get(&client).await;
    pass(11).await;
    assert_eq!(get(&client).await.text, "2");
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_origin() {
    for (fields, status, rescued) in [
        ("cache-control: max-age=1, stale-if-error=9", 500, true),
        ("cache-control: max-age=1, stale-if-error=9", 503, true),
        ("cache-control: max-age=1, stale-if-error=9", 501, false),
        ("cache-control: max-age=1, stale-if-error=9", 404, false),
        ("cache-control: max-age=1", 500, false),
        ("cache-control: max-age=1, stale-if-error=9, must-revalidate", 500, false),
        ("cache-control: no-cache, stale-if-error=9", 500, false),
    ] {
        let stage = answering([reply(200, fields, "1"), reply(status, "", "no")]);
        let client = cached(&stage);
        get(&client).await;
        pass(5).await;
        let got = get(&client).await;
        assert_eq!((got.status == 200, got.text == "1"), (rescued, rescued), "{fields} {status}");
        if rescued {
            let told = format!("; fwd=stale; fwd-status={status}; ttl=-4; detail=stale-if-error");
            assert_eq!((got.told(), got.field("age")), (told.as_str(), Some("5")));
        }
    }
    // The request may say it too.
    let stage = answering([reply(200, "cache-control: max-age=1", "1"), reply(500, "", "no")]);
    let client = cached(&stage);
    get(&client).await;
    pass(5).await;
    let call = |directive: &'static str| client.get(URL).header("cache-control", directive);
    assert_eq!(take(call("stale-if-error=3")).await.text, "no");
    assert_eq!(take(call("stale-if-error=4")).await.text, "1");
}

#[tokio::test(start_paused = true)]
async fn failures_on_the_way() {
    for (fields, rescued) in [
        ("cache-control: max-age=1, stale-if-error=9", true),
        ("cache-control: max-age=1, stale-if-error=3", false),
        ("cache-control: max-age=1, stale-if-error=9, must-revalidate", false),
    ] {
        let stage = answering([reply(200, fields, "1"), Reply::raw("nonsense\r\n\r\n").then_close()]);
        let client = cached(&stage);
        get(&client).await;
        pass(5).await;
        let got = try_take(client.get(URL)).await.map(|got| got.text);
        assert_eq!(got.is_ok(), rescued, "{fields}: {got:?}");
    }
}

/// A stage whose network the test sets, with what an origin answers once, and a client.
fn roaming(fields: &'static str, cache: Cache) -> (Stage, ManualConnectivity, Client) {
    let network = ManualConnectivity::online();
    let mut stage = stage(counting(fields));
    stage.env = stage.env.clone().with_connectivity(network.shared());
    let client = stage.builder().cache(cache).build().expect("a client");
    (stage, network, client)
}

#[tokio::test(start_paused = true)]
async fn without_a_network_what_is_stale_answers() {
    let (stage, network, client) = roaming("cache-control: max-age=1", Cache::memory(1 << 20));
    get(&client).await;
    pass(100).await;
    network.set_reach(Reach::Offline);
    let got = get(&client).await;
    assert_eq!((got.text.as_str(), got.told()), ("1", "; hit; ttl=-99; detail=offline"));
    assert_eq!(stage.server.request_count(), 1);
    network.set_reach(Reach::Online);
    assert_eq!(get(&client).await.text, "2");
}

#[tokio::test(start_paused = true)]
async fn without_a_network_what_must_be_confirmed_is_an_error() {
    for fields in ["cache-control: max-age=1, must-revalidate", "cache-control: no-cache"] {
        let (stage, network, client) = roaming(fields, Cache::memory(1 << 20));
        get(&client).await;
        pass(100).await;
        network.set_reach(Reach::Offline);
        stage.dialer.fail_all(ErrorKind::Offline);
        stage.builder().build().unwrap().pool().evict_all();
        client.pool().evict_all();
        let error = try_take(client.get(URL)).await.map(|got| got.text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Offline, "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_that_goes_on() {
    for (most, seconds, answers) in [(0, 2, false), (10, 11, true), (10, 12, false)] {
        let cache = Cache::builder().stale_when_unreachable(Duration::from_secs(most)).build();
        let (stage, network, client) = roaming("cache-control: max-age=1", cache);
        get(&client).await;
        pass(seconds).await;
        network.set_reach(Reach::Offline);
        stage.dialer.fail_all(ErrorKind::Offline);
        client.pool().evict_all();
        assert_eq!(try_take(client.get(URL)).await.is_ok(), answers, "{most} s, after {seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_is_not_there() {
    for kind in [ErrorKind::Dns, ErrorKind::Connect, ErrorKind::Offline, ErrorKind::Timeout] {
        let stage = stage(counting("cache-control: max-age=1"));
        let client = cached(&stage);
        get(&client).await;
        pass(5).await;
        stage.dialer.fail_all(kind);
        client.pool().evict_all();
        let got = get(&client).await;
        assert_eq!((got.text.as_str(), got.told()), ("1", "; fwd=stale; ttl=-4; detail=unreachable"), "{kind:?}");
        assert_eq!(got.attempts, 1);
        let fresh = client.get(URL).cache_mode(CacheMode::Reload);
        assert_eq!(try_take(fresh).await.map(|got| got.text).unwrap_err().kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_forbids_is_not_made_up_for() {
    use netcomm_core::Scope;
    let stage = stage(counting("cache-control: max-age=1, stale-if-error=99"));
    let client = cached(&stage);
    let scope = Scope::builder("plugin").allow_all().max_requests(1).build();
    let scoped = client.scoped(scope.clone());
    get(&scoped).await;
    pass(5).await;
    let error = try_take(scoped.get(URL)).await.map(|got| got.text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    scope.revoke();
    let error = try_take(scoped.get(URL).cache_mode(CacheMode::ForceCache)).await.map(|got| got.text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Canceled);
}
