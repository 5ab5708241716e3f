//! Several responses under one URI (RFC 9111 §4.1).

use netcomm_http::Client;
use netcomm_http::testing::{ReceivedRequest, ScriptedServer};

use super::{Got, URL, cached, counting, pass, reply, take};
use crate::stage::stage;

async fn of(client: &Client, fields: &[(&str, &str)]) -> Got {
    take(fields.iter().fold(client.get(URL), |call, (name, value)| call.header_append(*name, *value))).await
}

#[tokio::test(start_paused = true)]
async fn each_request_gets_its_own() {
    let stage = stage(counting("cache-control: max-age=60 | vary: lang, x"));
    let client = cached(&stage);
    for (fields, text) in [
        ([("lang", "de")].as_slice(), "1"),
        (&[("lang", "en")], "2"),
        (&[], "3"),
        (&[("lang", "de"), ("x", "1")], "4"),
        (&[("lang", "")], "5"),
        (&[("lang", "de")], "1"),
        (&[("lang", "en"), ("y", "1")], "2"),
        (&[], "3"),
        (&[("x", "1"), ("lang", "de")], "4"),
        (&[("lang", "")], "5"),
        (&[("lang", "DE")], "6"),
    ] {
        assert_eq!(of(&client, fields).await.text, text, "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn white_space_and_lines_make_no_difference() {
    let stage = stage(counting("cache-control: max-age=60 | vary: x"));
    let client = cached(&stage);
    for fields in [[("x", "a, b")].as_slice(), &[("x", "a,b")], &[("x", "a ,\tb")], &[("x", "a"), ("x", "b")]] {
        assert_eq!(of(&client, fields).await.text, "1", "{fields:?}");
    }
    assert_eq!(of(&client, &[("x", "b, a")]).await.text, "2");
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_has_no_order() {
    let stage = stage(counting("cache-control: max-age=60 | vary: accept"));
    let client = cached(&stage);
    assert_eq!(of(&client, &[("accept", "text/html, text/plain;q=0.5")]).await.text, "1");
    assert_eq!(of(&client, &[("accept", "Text/Plain; q=0.5,text/html")]).await.text, "1");
    assert_eq!(of(&client, &[("accept", "text/html;q=0.5, text/plain")]).await.text, "2");
}

#[tokio::test(start_paused = true)]
async fn parameters_of_what_is_accepted_keep_their_case_and_their_spaces() {
    let stage = stage(counting("cache-control: max-age=60 | vary: accept"));
    let client = cached(&stage);
    for (accept, text) in [
        ("application/ld+json;profile=\"http://p.example/A\"", "1"),
        ("application/ld+json;profile=\"http://p.example/a\"", "2"),
        ("application/ld+json;profile=\"http://p.example/a b\"", "3"),
        ("application/ld+json;profile=\"http://p.example/ab\"", "4"),
        ("application/ld+json;profile=A", "5"),
        ("application/ld+json;profile=a", "6"),
    ] {
        assert_eq!(of(&client, &[("accept", accept)]).await.text, text, "{accept}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_language_that_is_liked_best() {
    let stage = stage(counting("cache-control: max-age=60 | vary: accept-language | content-language: de"));
    let client = cached(&stage);
    assert_eq!(of(&client, &[("accept-language", "de")]).await.text, "1");
    assert_eq!(of(&client, &[("accept-language", "de, en;q=0.5")]).await.text, "1");
    assert_eq!(of(&client, &[("accept-language", "en, de;q=0.5")]).await.text, "2");
}

#[tokio::test(start_paused = true)]
async fn the_origin_picks_among_variants_by_entity_tag() {
    let server = ScriptedServer::builder().handler(|seen: &ReceivedRequest| {
        let (tag, text) = match seen.header("lang") {
            Some("de" | "at") => ("\"d\"", "hallo"),
            _ => ("\"e\"", "hello"),
        };
        let fields =
            format!("cache-control: max-age=60 | vary: lang | etag: {tag} | x: {}", seen.header("lang").unwrap());
        match seen.header("if-none-match").is_some_and(|tags| tags.contains(tag)) {
            true => reply(304, &fields, ""),
            false => reply(200, &fields, text),
        }
    });
    let stage = stage(server);
    let client = cached(&stage);
    for lang in ["de", "en"] {
        of(&client, &[("lang", lang)]).await;
    }
    let got = of(&client, &[("lang", "at")]).await;
    assert_eq!((got.status, got.text.as_str(), got.field("x")), (200, "hallo", Some("at")));
    assert_eq!(got.told(), "; fwd=vary-miss; fwd-status=304; ttl=60; stored");
    let last = stage.server.requests().pop().unwrap();
    let mut tags: Vec<_> = last.header("if-none-match").unwrap().split(", ").collect();
    tags.sort_unstable();
    assert_eq!((tags, last.header("if-modified-since")), (vec!["\"d\"", "\"e\""], None));
    for (lang, text) in [("at", "hallo"), ("de", "hallo"), ("en", "hello")] {
        let hit = of(&client, &[("lang", lang)]).await;
        assert_eq!((hit.text.as_str(), hit.cache.hit), (text, true), "{lang}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_that_go_with_a_request_the_newest_answers() {
    // The first answer varies, the second one does not: both go with the first request, and came in the same moment.
    let stage = super::answering([
        reply(200, "cache-control: max-age=60 | vary: lang", "1"),
        reply(200, "cache-control: max-age=60", "2"),
    ]);
    let client = cached(&stage);
    assert_eq!(of(&client, &[("lang", "de")]).await.text, "1");
    assert_eq!(of(&client, &[("lang", "en")]).await.text, "2");
    let got = of(&client, &[("lang", "de")]).await;
    assert_eq!((got.text.as_str(), got.cache.hit), ("2", true));
}

#[tokio::test(start_paused = true)]
async fn vary_that_changes_its_order_leaves_nothing_old_behind() {
    let stage = super::answering([
        reply(200, "cache-control: max-age=60 | vary: a, b", "1"),
        reply(200, "cache-control: max-age=1 | vary: b, a", "2"),
        reply(200, "cache-control: no-store", "3"),
        reply(200, "", "4"),
    ]);
    let client = cached(&stage);
    of(&client, &[("a", "1")]).await;
    let again = client.get(URL).header("a", "1").cache_mode(netcomm_http::cache::CacheMode::Reload);
    assert_eq!(take(again).await.text, "2");
    pass(2).await;
    assert_eq!(of(&client, &[("a", "1")]).await.text, "3");
    assert_eq!(of(&client, &[("a", "1")]).await.text, "4", "not the first one");
}
