//! What is stale is confirmed by the origin, or replaced (RFC 9111 §4.3).

use netcomm_http::cache::CacheMode;
use netcomm_http::testing::{Gate, ReceivedRequest, Script, ScriptedServer};

use super::{URL, answering, cached, counting, get, pass, reply, sent, take};
use crate::stage::{soon, stage};

const MODIFIED: &str = "Wed, 31 Dec 2025 00:00:00 GMT";

#[tokio::test(start_paused = true)]
async fn a_304_lets_the_stored_body_answer_with_the_new_head() {
    let stage = answering([
        reply(200, "cache-control: max-age=9 | etag: \"a\" | x: old | y: old | content-type: text/plain", "1"),
        reply(304, "cache-control: max-age=99 | x: new | content-length: 77 | content-encoding: br", ""),
    ]);
    let client = cached(&stage);
    get(&client).await;
    pass(10).await;
    for told in ["; fwd=stale; fwd-status=304; ttl=99; stored", "; hit; ttl=99"] {
        let got = get(&client).await;
        assert_eq!((got.status, got.text.as_str(), got.told()), (200, "1", told));
        assert_eq!((got.field("x"), got.field("y"), got.field("age")), (Some("new"), Some("old"), Some("0")));
        assert_eq!((got.field("content-type"), got.field("content-encoding")), (Some("text/plain"), None));
        assert_eq!(got.field("content-length"), Some("1"), "what describes the stored bytes stays");
    }
    assert_eq!(sent(&stage, "if-none-match"), [None, Some("\"a\"".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn every_validator_is_sent() {
    let (etag, weak) = (Some("\"a\"".to_owned()), Some("W/\"a\"".to_owned()));
    let modified = Some(MODIFIED.to_owned());
    for (fields, none_match, since) in [
        ("cache-control: max-age=1 | etag: \"a\"".to_owned(), etag.clone(), None),
        ("cache-control: max-age=1 | etag: W/\"a\"".to_owned(), weak, None),
        (format!("cache-control: max-age=1 | last-modified: {MODIFIED}"), None, modified.clone()),
        (format!("cache-control: max-age=1 | etag: \"a\" | last-modified: {MODIFIED}"), etag, modified),
        ("cache-control: max-age=1".to_owned(), None, None),
    ] {
        let stage = answering([reply(200, &fields, "1"), reply(200, "", "2")]);
        let client = cached(&stage);
        get(&client).await;
        pass(1).await;
        assert_eq!(get(&client).await.text, "2");
        let last = stage.server.requests().pop().unwrap();
        assert_eq!(last.header("if-none-match").map(str::to_owned), none_match, "{fields}");
        assert_eq!(last.header("if-modified-since").map(str::to_owned), since, "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_weak_tag_confirms_a_strong_one_and_the_other_way_round() {
    for (stored, confirmed) in [("W/\"a\"", "\"a\""), ("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\"")] {
        let stage = answering([
            reply(200, &format!("cache-control: max-age=1 | etag: {stored}"), "1"),
            reply(304, &format!("etag: {confirmed}"), ""),
        ]);
        let client = cached(&stage);
        get(&client).await;
        pass(1).await;
        assert_eq!(get(&client).await.text, "1", "{stored} {confirmed}");
        assert_eq!(stage.server.request_count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_answer_replaces_what_was_to_be_confirmed() {
    for status in [200, 203, 404, 410] {
        let stage = answering([
            reply(200, "cache-control: max-age=1 | etag: \"a\" | x: old", "1"),
            reply(status, "cache-control: max-age=9 | etag: \"b\"", "2"),
        ]);
        let client = cached(&stage);
        get(&client).await;
        pass(1).await;
        assert_eq!(get(&client).await.told(), "; fwd=stale; stored");
        let hit = get(&client).await;
        assert_eq!((hit.status, hit.text.as_str(), hit.field("x")), (status, "2", None));
        assert!(hit.cache.hit);
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_stored_still_takes_the_place_of_what_was() {
    for mode in [CacheMode::Default, CacheMode::NoCache, CacheMode::Reload] {
        let stage = answering([
            reply(200, "cache-control: max-age=1 | etag: \"a\"", "1"),
            reply(200, "cache-control: no-store", "2"),
            reply(200, "", "3"),
        ]);
        let client = cached(&stage);
        get(&client).await;
        pass(1).await;
        assert_eq!(take(client.get(URL).cache_mode(mode)).await.text, "2");
        let last = take(client.get(URL).cache_mode(CacheMode::ForceCache)).await;
        assert_eq!((last.text.as_str(), last.told()), ("3", "; fwd=uri-miss; stored"), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_still_takes_the_place_of_what_was() {
    for mode in [CacheMode::Default, CacheMode::Reload] {
        for chunked in [false, true] {
            let large = vec![b'x'; 600_000];
            let second = reply(200, "cache-control: max-age=9", large.clone());
            let second = if chunked { second.chunked(large.chunks(10_000).map(<[u8]>::to_vec)) } else { second };
            let stage =
                answering([reply(200, "cache-control: max-age=1 | etag: \"a\"", "1"), second, reply(200, "", "3")]);
            let client = cached(&stage);
            get(&client).await;
            pass(1).await;
            assert_eq!(take(client.get(URL).cache_mode(mode)).await.text.len(), 600_000);
            let last = take(client.get(URL).cache_mode(CacheMode::ForceCache)).await;
            assert_eq!(last.text, "3", "{mode:?} chunked: {chunked}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_304_that_confirms_nothing_is_asked_again_without_conditions() {
    // A strong tag that is not the stored one: the head is of something else (RFC 9111 §4.3.4).
    let stage = answering([
        reply(200, "cache-control: max-age=1 | etag: \"a\"", "1"),
        reply(304, "etag: \"b\"", ""),
        reply(200, "etag: \"b\" | cache-control: max-age=9", "2"),
    ]);
    let client = cached(&stage);
    get(&client).await;
    pass(1).await;
    let got = get(&client).await;
    assert_eq!((got.status, got.text.as_str()), (200, "2"));
    assert_eq!(sent(&stage, "if-none-match"), [None, Some("\"a\"".to_owned()), None]);
    assert!(get(&client).await.cache.hit);
}

#[tokio::test(start_paused = true)]
async fn a_304_that_nobody_asked_for_is_not_stored() {
    let stage = answering([reply(304, "cache-control: max-age=9", ""), reply(200, "", "2")]);
    let client = cached(&stage);
    let got = get(&client).await;
    assert!(!got.cache.stored, "{}", got.told());
    assert_eq!(get(&client).await.text, "2");
}

#[tokio::test(start_paused = true)]
async fn no_cache_is_confirmed_each_time() {
    let stage = answering([reply(200, "cache-control: no-cache, max-age=99 | etag: \"a\"", "1"), reply(304, "", "")]);
    let client = cached(&stage);
    for _ in 0..3 {
        assert_eq!(get(&client).await.text, "1");
    }
    assert_eq!(stage.server.request_count(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_cache_of_fields_keeps_only_these_back() {
    let stage = answering([
        reply(200, "cache-control: max-age=9, no-cache=\"x\" | etag: \"a\" | x: 1 | y: 1", "1"),
        reply(304, "x: 2", ""),
    ]);
    let client = cached(&stage);
    assert_eq!(get(&client).await.field("x"), Some("1"));
    let hit = get(&client).await;
    assert_eq!((hit.field("x"), hit.field("y")), (None, Some("1")));
    pass(9).await;
    let confirmed = get(&client).await;
    assert_eq!((confirmed.field("x"), confirmed.field("y")), (Some("2"), Some("1")));
}

#[tokio::test(start_paused = true)]
async fn a_head_brings_up_to_date_or_forgets() {
    for (head, stays) in [
        ("cache-control: max-age=99 | etag: \"a\" | x: new", true),
        ("cache-control: max-age=99 | x: new", true),
        ("cache-control: max-age=99 | etag: \"b\" | x: new", false),
        ("cache-control: max-age=99 | content-length: 5 | x: new", false),
    ] {
        let stage = answering([
            reply(200, "cache-control: max-age=9 | etag: \"a\" | x: old", "1"),
            reply(200, head, "1"),
            reply(200, "", "2"),
        ]);
        let client = cached(&stage);
        get(&client).await;
        pass(5).await;
        take(client.head(URL).cache_mode(CacheMode::NoCache)).await;
        pass(50).await;
        let got = get(&client).await;
        assert_eq!(got.cache.hit, stays, "{head}");
        assert_eq!((got.text.as_str(), got.field("x")), if stays { ("1", Some("new")) } else { ("2", None) }, "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_users_own_conditions() {
    let older = "Tue, 30 Dec 2025 00:00:00 GMT";
    for (name, value, status) in [
        ("if-none-match", "\"a\"", 304),
        ("if-none-match", "\"b\", W/\"a\"", 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"b\"", 200),
        ("if-modified-since", MODIFIED, 304),
        ("if-modified-since", older, 200),
        ("if-modified-since", "nonsense", 200),
    ] {
        let fields = format!("cache-control: max-age=60 | etag: \"a\" | last-modified: {MODIFIED}");
        let stage = answering([reply(200, &fields, "1")]);
        let client = cached(&stage);
        get(&client).await;
        let got = take(client.get(URL).header(name, value)).await;
        assert_eq!((got.status, got.cache.hit), (status, true), "{name}: {value}");
        assert_eq!(got.text, if status == 200 { "1" } else { "" });
        assert_eq!((got.field("etag"), got.field("content-length").is_some()), (Some("\"a\""), status == 200));
    }
}

#[tokio::test(start_paused = true)]
async fn on_what_is_stale_the_users_tags_and_the_stored_ones_are_asked_for_together() {
    // What the origin has, what the user has; what he gets.
    for (at_origin, users, status, body) in [
        ("\"a\"", "\"a\"", 304, ""),
        ("\"a\"", "\"u\"", 200, "a"),
        ("\"u\"", "\"u\"", 304, ""),
        ("\"b\"", "\"u\"", 200, "b"),
    ] {
        let server = ScriptedServer::builder().handler(move |seen: &ReceivedRequest| {
            let Some(tags) = seen.header("if-none-match") else {
                return reply(200, "cache-control: max-age=1 | etag: \"a\"", "a");
            };
            match tags.contains(at_origin) {
                true => reply(304, &format!("etag: {at_origin} | cache-control: max-age=1"), ""),
                false => reply(200, &format!("etag: {at_origin} | cache-control: max-age=1"), "b"),
            }
        });
        let stage = stage(server);
        let client = cached(&stage);
        get(&client).await;
        pass(1).await;
        let got = take(client.get(URL).header("if-none-match", users)).await;
        assert_eq!((got.status, got.text.as_str()), (status, body), "{at_origin} at the origin, {users} the user's");
        assert!(stage.server.requests()[1].header("if-none-match").unwrap().contains("\"a\""));
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_to_an_early_request_does_not_replace_a_newer_one() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = ScriptedServer::builder().handler(move |seen: &ReceivedRequest| match seen.header("slow") {
        Some(_) => reply(200, "cache-control: max-age=60", "old").held_by(&held),
        None => reply(200, "cache-control: max-age=60", "new"),
    });
    let stage = stage(server);
    let client = cached(&stage);
    let slow = tokio::spawn(client.get(URL).header("slow", "1").send());
    stage.server.until_requests(1).await;
    pass(1).await;
    assert_eq!(get(&client).await.text, "new");
    gate.open();
    assert_eq!(soon(slow).await.unwrap().unwrap().text().await.unwrap(), "old");
    assert_eq!(get(&client).await.text, "new");
}

#[tokio::test(start_paused = true)]
async fn a_late_304_does_not_bring_back_what_was_replaced() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = ScriptedServer::builder().handler(move |seen: &ReceivedRequest| {
        match (seen.header("slow"), seen.header("if-none-match")) {
            (_, None) => reply(200, "cache-control: max-age=1 | etag: \"a\"", "old"),
            (Some(_), _) => reply(304, "etag: \"a\" | cache-control: max-age=60", "").held_by(&held),
            (None, _) => reply(200, "cache-control: max-age=60 | etag: \"b\"", "new"),
        }
    });
    let stage = stage(server);
    let client = cached(&stage);
    get(&client).await;
    pass(1).await;
    let slow = tokio::spawn(client.get(URL).header("slow", "1").send());
    stage.server.until_requests(2).await;
    pass(1).await;
    assert_eq!(get(&client).await.text, "new");
    gate.open();
    assert_eq!(soon(slow).await.unwrap().unwrap().text().await.unwrap(), "old");
    assert_eq!(get(&client).await.text, "new");
}

#[tokio::test(start_paused = true)]
async fn a_long_download_does_not_replace_what_came_meanwhile() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = ScriptedServer::builder().handler(move |seen: &ReceivedRequest| match seen.header("slow") {
        Some(_) => Script::new()
            .send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 3\r\n\r\no")
            .wait_for(&held)
            .send("ld"),
        None => reply(200, "cache-control: max-age=60", "new").into(),
    });
    let stage = stage(server);
    let client = cached(&stage);
    let slow = client.get(URL).header("slow", "1").send().await.unwrap();
    assert_eq!(get(&client).await.text, "new");
    gate.open();
    assert_eq!(slow.text().await.unwrap(), "old");
    assert_eq!(get(&client).await.text, "new");
}

#[tokio::test(start_paused = true)]
async fn a_304_without_a_date_is_of_now() {
    let stage = answering([
        reply(200, "cache-control: max-age=9 | date: Thu, 01 Jan 2026 00:00:00 GMT | etag: \"a\"", "1"),
        reply(304, "", ""),
    ]);
    let client = cached(&stage);
    get(&client).await;
    pass(100).await;
    assert_eq!(get(&client).await.told(), "; fwd=stale; fwd-status=304; ttl=9; stored");
    let hit = get(&client).await;
    assert_eq!((hit.told(), hit.field("date")), ("; hit; ttl=9", Some("Thu, 01 Jan 2026 00:01:40 GMT")));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_does_not_keep_new_answers_out() {
    use netcomm_core::Env;
    use netcomm_tests::ManualClock;
    use std::time::Duration;
    let stage = stage(counting("cache-control: max-age=60"));
    let clock = ManualClock::new();
    let client = super::cached_with(&Env::new(stage.dialer.clone(), clock.clone()));
    get(&client).await;
    clock.set_wall(netcomm_core::Clock::wall(&clock) - Duration::from_secs(1000));
    assert_eq!(take(client.get(URL).cache_mode(CacheMode::Reload)).await.text, "2");
    assert_eq!(get(&client).await.text, "2");
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_answer_tells_of_the_exchange_that_confirmed_it_and_a_hit_of_none() {
    let stage = answering([reply(200, "cache-control: max-age=5 | etag: \"a\"", "1"), reply(304, "etag: \"a\"", "")]);
    let client = cached(&stage);
    get(&client).await;
    let hit = soon(Box::pin(client.get(URL).send())).await.expect("a response");
    assert_eq!((hit.attempts().len(), hit.connection()), (0, None));
    pass(6).await;
    let confirmed = soon(Box::pin(client.get(URL).send())).await.expect("a response");
    assert_eq!((confirmed.attempts().len(), confirmed.connection().is_some()), (1, true));
    assert_eq!(confirmed.status(), 200);
}
