//! What a change at the origin makes of what is stored (RFC 9111 §4.4, RFC 9875).

use http::Method;
use netcomm_http::Client;
use netcomm_http::cache::CacheMode;
use netcomm_http::testing::{Gate, ReceivedRequest, ScriptedServer};

use super::{URL, answering, cached, counting, get, reply, take};
use crate::stage::{Stage, soon, stage};

/// An origin that answers a `GET` by `1`, `2`, … and all else with that status and these fields.
fn changing(status: u16, fields: &'static str) -> Stage {
    let count = std::sync::atomic::AtomicUsize::new(0);
    stage(ScriptedServer::builder().handler(move |seen: &ReceivedRequest| match seen.method.as_str() {
        "GET" => {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            reply(200, "cache-control: max-age=60", number.to_string())
        }
        _ => reply(status, fields, ""),
    }))
}

async fn is_stored(client: &Client, url: &str) -> bool {
    let stored = super::try_take(client.get(url).cache_mode(CacheMode::OnlyIfCached)).await;
    stored.is_ok()
}

#[tokio::test(start_paused = true)]
async fn methods_that_change_something_and_those_that_do_not() {
    for (method, status, gone) in [
        ("POST", 200, true),
        ("PUT", 204, true),
        ("DELETE", 200, true),
        ("PATCH", 201, true),
        ("M-SEARCH", 200, true),
        ("post", 200, true),
        ("POST", 303, true),
        ("POST", 404, false),
        ("POST", 500, false),
        ("OPTIONS", 200, false),
        ("HEAD", 200, false),
        ("TRACE", 200, false),
    ] {
        let stage = changing(status, "");
        let client = cached(&stage);
        get(&client).await;
        let call = client.request(Method::from_bytes(method.as_bytes()).unwrap(), URL);
        take(call.redirects(netcomm_http::Redirects::Manual)).await;
        assert_eq!(is_stored(&client, URL).await, !gone, "{method} {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_location_and_content_location_name() {
    for (fields, gone) in [
        ("location: /y", true),
        ("content-location: /y", true),
        ("location: http://a.example/y", true),
        ("location: http://A.example:80/y", true),
        ("location: http://b.example/y", false),
        ("location: https://a.example/y", false),
        ("content-location: //b.example/y", false),
        ("location: /y?q", false),
        ("location: http://[", false),
    ] {
        let stage = changing(201, fields);
        let client = cached(&stage);
        for url in ["http://a.example/y", "http://b.example/y"] {
            take(client.get(url)).await;
        }
        take(client.post(URL).body("x")).await;
        assert_eq!(is_stored(&client, "http://a.example/y").await, !gone, "{fields}");
        assert!(is_stored(&client, "http://b.example/y").await, "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_variants_go() {
    let stage = stage(counting("cache-control: max-age=60 | vary: lang"));
    let client = cached(&stage);
    for lang in ["de", "en"] {
        take(client.get(URL).header("lang", lang)).await;
    }
    assert_eq!(client.cache().unwrap().stats().await.entries, 2);
    take(client.delete(URL)).await;
    assert_eq!(client.cache().unwrap().stats().await.entries, 0);
}

/// A `GET` that is answered only after a `POST` of the same URI was.
async fn overtaken(invalidated: &'static str, fields: &'static str) -> bool {
    let gate = Gate::new();
    let held = gate.clone();
    let server = ScriptedServer::builder().handler(move |seen: &ReceivedRequest| match seen.method.as_str() {
        "GET" => reply(200, "cache-control: max-age=60 | cache-groups: \"g\"", "old").held_by(&held),
        _ => reply(200, fields, ""),
    });
    let stage = stage(server);
    let client = cached(&stage);
    let early = tokio::spawn(client.get(URL).send());
    stage.server.until_requests(1).await;
    take(client.post(invalidated).body("x")).await;
    gate.open();
    assert_eq!(soon(early).await.expect("no panic").expect("a response").text().await.expect("a text"), "old");
    is_stored(&client, URL).await
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_on_its_way_is_not_stored() {
    assert!(!overtaken(URL, "").await);
    assert!(!overtaken("http://a.example/other", "location: /x").await);
    assert!(!overtaken("http://a.example/other", "cache-group-invalidation: \"g\"").await);
    assert!(overtaken("http://a.example/other", "").await);
    assert!(overtaken("http://b.example/x", "location: http://a.example/x").await);
    assert!(overtaken("http://b.example/x", "cache-group-invalidation: \"g\"").await);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_on_its_way_is_not_stored() {
    use netcomm_http::testing::Script;
    let gate = Gate::new();
    let slow = Script::new()
        .send("HTTP/1.1 200 OK\r\ncache-control: max-age=9\r\ncontent-length: 6\r\n\r\none")
        .wait_for(&gate)
        .send("two");
    let stage = stage(ScriptedServer::builder().route("GET /x", slow).route("POST /x", reply(200, "", "")));
    let client = cached(&stage);
    let response = client.get(URL).send().await.unwrap();
    take(client.post(URL).body("x")).await;
    gate.open();
    assert_eq!(response.text().await.unwrap(), "onetwo");
    assert!(!is_stored(&client, URL).await);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_is_not_forgotten_for_the_many_that_come_after_it() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = ScriptedServer::builder().handler(move |seen: &ReceivedRequest| match seen.method.as_str() {
        "GET" => reply(200, "cache-control: max-age=60", "old").held_by(&held),
        _ => reply(200, "", ""),
    });
    let stage = stage(server);
    let client = cached(&stage);
    let early = tokio::spawn(client.get(URL).send());
    stage.server.until_requests(1).await;
    take(client.post(URL).body("x")).await;
    for other in 0..1100 {
        take(client.post(format!("http://a.example/other/{other}")).body("x")).await;
    }
    gate.open();
    soon(early).await.unwrap().unwrap().text().await.unwrap();
    assert!(!is_stored(&client, URL).await);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_was_on_its_way_brings_nothing_back() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = ScriptedServer::builder().handler(move |seen: &ReceivedRequest| {
        match (seen.method.as_str(), seen.header("if-none-match")) {
            ("GET", None) => reply(200, "cache-control: max-age=1 | etag: \"a\"", "old"),
            ("GET", Some(_)) => reply(304, "cache-control: max-age=60", "").held_by(&held),
            _ => reply(200, "", ""),
        }
    });
    let stage = stage(server);
    let client = cached(&stage);
    get(&client).await;
    super::pass(1).await;
    let early = tokio::spawn(client.get(URL).send());
    stage.server.until_requests(2).await;
    take(client.post(URL).body("x")).await;
    gate.open();
    assert_eq!(soon(early).await.unwrap().unwrap().text().await.unwrap(), "old");
    assert!(!is_stored(&client, URL).await);
}

#[tokio::test(start_paused = true)]
async fn groups_go_together() {
    let server = ScriptedServer::builder().handler(|seen: &ReceivedRequest| match seen.method.as_str() {
        "GET" => {
            let groups = match seen.path() {
                "/a" => "\"a\"",
                "/ab" => "\"a\", \"b\"",
                "/b" => "\"b\"",
                "/upper" => "\"A\"",
                "/token" => "a",
                _ => "\"c\"",
            };
            reply(200, &format!("cache-control: max-age=60 | cache-groups: {groups}"), "x")
        }
        _ => reply(200, "cache-group-invalidation: \"a\";x=1, \"c\"", ""),
    });
    let stage = stage(server);
    let client = cached(&stage);
    let all = ["a/a", "a/ab", "a/b", "a/upper", "a/token", "b/a", "a/c"];
    let all = all.map(|place| format!("http://{}", place.replace('/', ".example/")));
    for url in &all {
        take(client.get(url.as_str())).await;
        take(client.get(url.as_str()).cache_partition("other")).await;
    }
    // A safe method says nothing of groups.
    take(client.request(Method::OPTIONS, URL)).await;
    assert!(is_stored(&client, &all[0]).await);
    take(client.post(URL).body("x")).await;
    let mut left = Vec::new();
    for url in &all {
        left.push(is_stored(&client, url).await);
        let other = client.get(url.as_str()).cache_partition("other").cache_mode(CacheMode::OnlyIfCached);
        assert!(super::try_take(other).await.is_ok(), "{url} in another partition");
    }
    assert_eq!(left, [false, false, true, true, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_failed_on_the_way_leaves_what_is_stored() {
    let stage =
        answering([reply(200, "cache-control: max-age=60", "1"), netcomm_http::testing::Reply::raw("").then_reset()]);
    let client = cached(&stage);
    get(&client).await;
    assert!(super::try_take(client.post(URL).body("x")).await.is_err());
    assert!(is_stored(&client, URL).await);
}
