//! What a call wants of the cache: the modes of Fetch, directives of the request, a time to live of its own, partitions.

use std::time::Duration;

use netcomm_core::{ErrorKind, Event};
use netcomm_http::cache::CacheMode;

use super::{URL, answering, cached, counting, get, pass, reply, sent, take, text, try_take};
use crate::stage::{friendly, stage};

const FRESH: &str = "cache-control: max-age=60";

#[tokio::test(start_paused = true)]
async fn modes_on_what_is_fresh_and_what_is_stale() {
    use CacheMode::{Default, ForceCache, NoCache, NoStore, OnlyIfCached, Reload};
    // Mode, what answers while it is fresh, what answers once it is stale.
    for (mode, fresh, stale) in [
        (Default, "1", "2"),
        (NoStore, "2", "2"),
        (Reload, "2", "2"),
        (NoCache, "2", "2"),
        (ForceCache, "1", "1"),
        (OnlyIfCached, "1", "1"),
    ] {
        for (seconds, expected) in [(0, fresh), (61, stale)] {
            let stage = stage(counting(FRESH));
            let client = cached(&stage);
            get(&client).await;
            pass(seconds).await;
            let got = take(client.get(URL).cache_mode(mode)).await;
            assert_eq!(got.text, expected, "{mode:?} after {seconds} s");
            // Whoever asks next sees what that call has stored.
            let next = take(client.get(URL).cache_mode(ForceCache)).await;
            assert_eq!(next.text, if mode == NoStore { "1" } else { expected }, "after {mode:?} after {seconds} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn modes_on_an_empty_store() {
    use CacheMode::{Default, ForceCache, NoCache, NoStore, Reload};
    for (mode, stored) in [(Default, true), (NoStore, false), (Reload, true), (NoCache, true), (ForceCache, true)] {
        let stage = stage(counting(FRESH));
        let client = cached(&stage);
        take(client.get(URL).cache_mode(mode)).await;
        assert_eq!(get(&client).await.cache.hit, stored, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_modes_tell_the_caches_on_the_way() {
    use CacheMode::{Default, ForceCache, NoCache, NoStore, Reload};
    for (mode, cache_control, pragma) in [
        (Default, None, None),
        (NoStore, Some("no-cache"), Some("no-cache")),
        (Reload, Some("no-cache"), Some("no-cache")),
        (NoCache, Some("max-age=0"), None),
        (ForceCache, None, None),
    ] {
        let stage = stage(counting("cache-control: max-age=60 | etag: \"a\""));
        let client = cached(&stage);
        get(&client).await;
        pass(if mode == ForceCache { 0 } else { 61 }).await;
        take(client.get(URL).cache_mode(mode)).await;
        let last = stage.server.requests().pop().unwrap();
        assert_eq!((last.header("cache-control"), last.header("pragma")), (cache_control, pragma), "{mode:?}");
        let confirms = matches!(mode, Default | NoCache);
        assert_eq!(last.header("if-none-match"), confirms.then_some("\"a\""), "{mode:?}");
        // What the caller says himself stands.
        pass(if mode == ForceCache { 0 } else { 61 }).await;
        take(client.get(URL).cache_mode(mode).header("cache-control", "max-age=0")).await;
        let last = stage.server.requests().pop().unwrap();
        let said = if mode == ForceCache { None } else { Some("max-age=0") };
        assert_eq!(last.header("cache-control"), said, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_if_only_the_store_may_answer() {
    let stage = friendly();
    let client = cached(&stage);
    for call in [
        client.get(URL),
        client.head(URL),
        client.get(URL).body("a body"),
        client.post(URL).body("a body"),
        client.get(URL).header("if-match", "\"a\""),
        client.get(URL).header("cache-control", "no-store"),
        client.get(URL).header("range", "bytes=0-1,3-4"),
    ] {
        let shown = format!("{call:?}");
        let Err(error) = try_take(call.cache_mode(CacheMode::OnlyIfCached)).await else { panic!("{shown} was sent") };
        assert_eq!(error.kind(), ErrorKind::Offline, "{shown}");
        assert!(error.is_unsent());
    }
    assert_eq!(stage.dialer.dials(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_directive_is_answered_with_504() {
    let stage = stage(counting(FRESH));
    let client = cached(&stage);
    let only = || client.get(URL).header("cache-control", "only-if-cached");
    let got = take(only()).await;
    assert_eq!((got.status, got.text.as_str(), got.attempts), (504, "", 0));
    assert_eq!(stage.seen.count(|event| matches!(event, Event::CacheAsked { .. })), 1);
    get(&client).await;
    assert_eq!(take(only()).await.told(), "; hit; ttl=60");
    pass(61).await;
    assert_eq!(take(only()).await.status, 504);
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn directives_of_requests() {
    // What is stored is 30 s old and fresh for 30 more.
    for (directive, hit) in [
        ("max-age=31", true),
        ("max-age=29", false),
        ("min-fresh=29", true),
        ("min-fresh=31", false),
        ("max-age=x", false),
        ("no-cache", false),
        ("max-stale", true),
        ("unknown=1", true),
    ] {
        let stage = stage(counting(FRESH));
        let client = cached(&stage);
        get(&client).await;
        pass(30).await;
        let got = take(client.get(URL).header("cache-control", directive)).await;
        assert_eq!(got.cache.hit, hit, "{directive}");
    }
    // Ten seconds past its time.
    for (directive, hit) in [("max-stale", true), ("max-stale=10", true), ("max-stale=9", false), ("max-age=99", false)]
    {
        let stage = stage(counting(FRESH));
        let client = cached(&stage);
        get(&client).await;
        pass(70).await;
        let got = take(client.get(URL).header("cache-control", directive)).await;
        assert_eq!(got.cache.hit, hit, "{directive}");
        if hit {
            assert_eq!(got.told(), "; hit; ttl=-10; detail=stale-asked-for");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pragma_counts_without_cache_control() {
    let stage = stage(counting(FRESH));
    let client = cached(&stage);
    get(&client).await;
    assert_eq!(take(client.get(URL).header("pragma", "no-cache")).await.text, "2");
    let both = client.get(URL).header("pragma", "no-cache").header("cache-control", "max-age=60");
    assert!(take(both).await.cache.hit);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_wants_nothing_stored() {
    let stage = stage(counting(FRESH));
    let client = cached(&stage);
    take(client.get(URL).header("cache-control", "no-store")).await;
    assert_eq!(get(&client).await.told(), "; fwd=uri-miss; stored");
}

#[tokio::test(start_paused = true)]
async fn a_post_whose_answer_could_be_kept_is_not_if_the_call_wants_nothing_stored() {
    let fields = "cache-control: max-age=60 | content-location: /x";
    for (mode, hit) in [(CacheMode::Default, true), (CacheMode::NoStore, false)] {
        let stage = stage(counting(fields));
        let client = cached(&stage);
        take(client.post(URL).body("x").cache_mode(mode)).await;
        assert_eq!(get(&client).await.cache.hit, hit, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_immutable_is_not_asked_for_while_it_is_fresh() {
    let stage = stage(counting("cache-control: max-age=60, immutable"));
    let client = cached(&stage);
    get(&client).await;
    assert!(take(client.get(URL).cache_mode(CacheMode::NoCache)).await.cache.hit);
    pass(60).await;
    assert!(!take(client.get(URL).cache_mode(CacheMode::NoCache)).await.cache.hit);
}

#[tokio::test(start_paused = true)]
async fn the_callers_time_to_live_when_it_is_stored() {
    for fields in ["cache-control: no-store", "", "cache-control: max-age=1", "expires: 0", "cache-control: no-cache"] {
        let stage = stage(counting(fields));
        let client = cached(&stage);
        take(client.get(URL).cache_ttl(Duration::from_secs(60))).await;
        pass(59).await;
        // Whoever asks.
        assert_eq!(get(&client).await.told(), "; hit; ttl=1", "{fields}");
        pass(1).await;
        assert!(!get(&client).await.cache.hit, "{fields}");
    }
    let stage = answering([reply(500, "", "1"), reply(404, "", "2"), reply(200, "", "3")]);
    let client = cached(&stage);
    for expected in ["1", "2", "2"] {
        let got = take(client.get(URL).cache_ttl(Duration::from_secs(60))).await;
        assert_eq!(got.text, expected, "an error is stored only if it is cacheable by default");
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_time_to_live_when_it_is_read() {
    let stage = stage(counting(FRESH));
    let client = cached(&stage);
    get(&client).await;
    pass(30).await;
    assert!(!take(client.get(URL).cache_ttl(Duration::from_secs(30))).await.cache.hit);
    pass(100).await;
    assert!(take(client.get(URL).cache_ttl(Duration::from_secs(200))).await.cache.hit);
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_is_kept_by_calls_that_have_none() {
    let stage = answering([reply(200, "etag: \"a\"", "1"), reply(304, "", "")]);
    let client = cached(&stage);
    take(client.get(URL).cache_ttl(Duration::from_secs(10))).await;
    pass(11).await;
    assert_eq!(take(client.get(URL).cache_ttl(Duration::from_secs(10))).await.text, "1");
    pass(9).await;
    assert!(get(&client).await.cache.hit);
}

#[tokio::test(start_paused = true)]
async fn partitions_see_nothing_of_each_other() {
    let stage = stage(counting(FRESH));
    let client = cached(&stage);
    let of = |partition| client.get(URL).cache_partition(partition);
    for (partition, expected) in [("", "1"), ("a", "2"), ("b", "3"), ("a", "2"), ("b", "3"), ("", "1")] {
        assert_eq!(take(of(partition)).await.text, expected, "{partition:?}");
    }
    take(client.post(URL).cache_partition("a").body("x")).await;
    for (partition, hit) in [("a", false), ("b", true), ("", true)] {
        assert_eq!(take(of(partition)).await.cache.hit, hit, "{partition:?}");
    }
    let other = stage.builder().cache(client.cache().unwrap().clone()).cache_partition("b").build().unwrap();
    assert_eq!(text(&other, URL).await, "3");
    assert_eq!(sent(&stage, "cache-partition"), [None, None, None, None, None], "it is told to nobody");
}
