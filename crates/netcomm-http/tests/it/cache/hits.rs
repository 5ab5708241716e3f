//! What is fresh answers without the origin, and says so.

use http::StatusCode;
use netcomm_core::Event;
use netcomm_http::cache::Forwarded;

use super::{URL, answering, cached, counting, get, pass, reply, take};
use crate::stage::stage;

#[tokio::test(start_paused = true)]
async fn a_hit_makes_no_attempt() {
    let stage = stage(counting("cache-control: max-age=60 | x: y"));
    let client = cached(&stage);
    let first = get(&client).await;
    assert_eq!((first.text.as_str(), first.attempts, first.told()), ("1", 1, "; fwd=uri-miss; stored"));
    assert_eq!(first.field("age"), None);
    // The connection may end meanwhile.
    pass(20).await;
    drop(stage.seen.take());
    let again = get(&client).await;
    assert_eq!((again.text.as_str(), again.status, again.attempts), ("1", 200, 0));
    assert_eq!((again.field("age"), again.field("x")), (Some("20"), Some("y")));
    assert_eq!(again.told(), "; hit; ttl=40");
    assert!(again.cache.hit && again.cache.ttl == Some(40) && again.cache.forwarded.is_none(), "{:?}", again.cache);
    assert_eq!((stage.server.request_count(), stage.server.connections(), stage.dialer.dials()), (1, 1, 1));
    let events = stage.seen.events();
    assert!(
        events.iter().all(|event| matches!(
            event,
            Event::CallStarted { .. } | Event::CallEnded { error: None, .. } | Event::CacheAsked { hit: true, .. }
        )),
        "{events:?}"
    );
    assert_eq!(events.len(), 3, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn the_response_of_a_hit_names_no_connection() {
    let stage = stage(counting("cache-control: max-age=60"));
    let client = cached(&stage);
    get(&client).await;
    let hit = client.get(URL).send().await.unwrap();
    assert_eq!((hit.connection(), hit.peer(), hit.attempts().len()), (None, None, 0));
    assert_eq!((hit.content_length(), hit.uri().to_string().as_str()), (Some(1), URL));
}

#[tokio::test(start_paused = true)]
async fn the_last_second_of_freshness() {
    for (seconds, calls) in [(59, 1), (60, 2), (61, 2)] {
        let stage = stage(counting("cache-control: max-age=60"));
        let client = cached(&stage);
        get(&client).await;
        pass(seconds).await;
        get(&client).await;
        assert_eq!(stage.server.request_count(), calls, "after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn an_age_from_upstream_counts_on() {
    let stage = stage(counting("cache-control: max-age=60 | age: 30"));
    let client = cached(&stage);
    assert_eq!(get(&client).await.field("age"), Some("30"));
    pass(10).await;
    let hit = get(&client).await;
    assert_eq!((hit.field("age"), hit.told()), (Some("40"), "; hit; ttl=20"));
    pass(20).await;
    assert_eq!(get(&client).await.told(), "; fwd=stale; stored");
}

#[tokio::test(start_paused = true)]
async fn a_date_that_lies_back_counts_as_age() {
    // The clock begins at 2026-01-01T00:00:00Z.
    let stage = stage(counting("cache-control: max-age=60 | date: Wed, 31 Dec 2025 23:59:30 GMT"));
    let client = cached(&stage);
    get(&client).await;
    let hit = get(&client).await;
    assert_eq!((hit.field("age"), hit.field("date")), (Some("30"), Some("Wed, 31 Dec 2025 23:59:30 GMT")));
    assert_eq!(hit.told(), "; hit; ttl=30");
}

#[tokio::test(start_paused = true)]
async fn expires_and_what_is_guessed() {
    for (fields, ttl) in [
        ("date: Thu, 01 Jan 2026 00:00:00 GMT | expires: Thu, 01 Jan 2026 00:02:00 GMT", "120"),
        ("expires: Thu, 01 Jan 2026 00:02:00 GMT", "120"),
        // A tenth of a thousand seconds.
        ("last-modified: Wed, 31 Dec 2025 23:43:20 GMT", "100"),
    ] {
        let stage = stage(counting(fields));
        let client = cached(&stage);
        get(&client).await;
        assert_eq!(get(&client).await.told(), format!("; hit; ttl={ttl}"), "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_path_says_what_was_done() {
    let stage = answering([
        reply(200, "cache-control: max-age=9 | etag: \"a\" | vary: lang", "1"),
        reply(304, "", ""),
        reply(200, "cache-control: max-age=9 | vary: lang", "2"),
        reply(200, "cache-control: no-store", "3"),
    ]);
    let client = cached(&stage);
    let steps = [
        ([].as_slice(), 0, "; fwd=uri-miss; stored"),
        (&[], 4, "; hit; ttl=5"),
        (&[], 6, "; fwd=stale; fwd-status=304; ttl=9; stored"),
        (&[("lang", "de")], 0, "; fwd=vary-miss; stored"),
        (&[("cache-control", "no-store")], 0, "; fwd=bypass; detail=bypass"),
        (&[("cache-control", "no-cache")], 0, "; fwd=request; detail=no-store"),
        (&[("cache-control", "max-age=0"), ("lang", "de")], 1, "; fwd=request; detail=no-store"),
        (&[("if-match", "\"a\"")], 0, "; fwd=bypass; detail=bypass"),
    ];
    for (step, (fields, seconds, told)) in steps.into_iter().enumerate() {
        pass(seconds).await;
        let call = fields.iter().fold(client.get(URL), |call, (name, value)| call.header(*name, *value));
        assert_eq!(take(call).await.told(), told, "step {step}");
    }
    let post = take(client.post(URL).body("x")).await;
    assert_eq!((post.told(), post.cache.forwarded), ("; fwd=method", Some(Forwarded::Method)));
    let with_body = take(client.get(URL).body("x")).await;
    assert_eq!(with_body.told(), "; fwd=bypass; detail=bypass");
}

#[tokio::test(start_paused = true)]
async fn the_status_is_told_to_code_and_to_observers_alike() {
    let stage = answering([reply(200, "cache-control: max-age=9 | etag: \"a\"", "1"), reply(304, "", "")]);
    let client = cached(&stage);
    get(&client).await;
    pass(10).await;
    let confirmed = get(&client).await;
    assert_eq!(confirmed.cache.forwarded_status, Some(StatusCode::NOT_MODIFIED));
    assert!(confirmed.cache.stored && !confirmed.cache.hit && !confirmed.cache.collapsed);
    get(&client).await;
    let asked: Vec<_> = stage
        .seen
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::CacheAsked { hit, forwarded, stored, detail } => Some((hit, forwarded, stored, detail)),
            _ => None,
        })
        .collect();
    assert_eq!(
        asked,
        [(false, Some("uri-miss"), true, None), (false, Some("stale"), true, None), (true, None, false, None)]
    );
}

#[tokio::test(start_paused = true)]
async fn caches_upstream_speak_first() {
    let stage = stage(counting("cache-control: max-age=60 | cache-status: up;hit"));
    let client = cached(&stage);
    get(&client).await;
    let hit = get(&client).await;
    let all: Vec<_> = hit.headers.get_all("cache-status").iter().collect();
    assert_eq!(all, ["up;hit", "netcomm; hit; ttl=60"]);
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_date_gets_one_where_it_is_stored() {
    // RFC 9110 §6.6.1.
    let stage = stage(counting("cache-control: max-age=60"));
    let client = cached(&stage);
    get(&client).await;
    pass(5).await;
    assert_eq!(get(&client).await.field("date"), Some("Thu, 01 Jan 2026 00:00:00 GMT"));
}

#[tokio::test(start_paused = true)]
async fn a_head_is_answered_from_a_stored_get() {
    let stage = stage(counting("cache-control: max-age=60 | content-type: text/plain"));
    let client = cached(&stage);
    get(&client).await;
    let head = take(client.head(URL)).await;
    assert_eq!((head.status, head.text.as_str(), head.attempts), (200, "", 0));
    assert_eq!((head.field("content-length"), head.field("content-type")), (Some("1"), Some("text/plain")));
}

#[tokio::test(start_paused = true)]
async fn a_get_is_not_answered_from_a_head() {
    let stage = stage(counting("cache-control: max-age=60"));
    let client = cached(&stage);
    take(client.head(URL)).await;
    assert_eq!(get(&client).await.told(), "; fwd=uri-miss; stored");
}

#[tokio::test(start_paused = true)]
async fn what_is_made_of_a_hit_does_not_depend_on_who_looked_at_its_head() {
    let stage =
        stage(counting("cache-control: max-age=60, no-cache=\"secret\" | content-type: text/plain | secret: 1"));
    let client = cached(&stage);
    get(&client).await;
    let withheld = get(&client).await;
    assert_eq!((withheld.told(), withheld.field("secret")), ("; hit; ttl=60", None));

    let stage = crate::stage::stage(counting("cache-control: max-age=60 | content-type: text/plain | x: y"));
    let client = cached(&stage);
    get(&client).await;
    pass(7).await;
    assert_eq!(client.get(URL).send().await.unwrap().text().await.unwrap(), "1");
    let response = client.get(URL).send().await.unwrap();
    pass(5).await;
    // It is as old as it was when it was given out.
    let seen = response.headers().clone();
    let field = |name: &str| seen[name].to_str().unwrap();
    assert_eq!((field("age"), field("x"), field("cache-status")), ("7", "y", "netcomm; hit; ttl=53"));
    assert_eq!(response.into_http().headers(), &seen);
    let unseen = client.get(URL).send().await.unwrap().into_http();
    assert_eq!((unseen.status(), unseen.headers()["age"].to_str().unwrap()), (StatusCode::OK, "12"));
}
