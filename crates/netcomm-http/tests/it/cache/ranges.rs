//! Parts: kept, put together, cut out of what is stored, and asked for to complete it (RFC 9110 §14, RFC 9111 §3.3–3.4).

use netcomm_core::{ErrorKind, Limits};
use netcomm_http::Client;
use netcomm_http::cache::CacheMode;
use netcomm_http::testing::{ReceivedRequest, Script, ScriptedServer, ScriptedServerBuilder};

use super::{Got, URL, cached, get, reply, take, try_take};
use crate::stage::{Stage, stage};

const TEXT: &str = "0123456789";

/// What a request asks for of so many bytes, as an origin reads it; `None` for all of it.
fn part(seen: &ReceivedRequest) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = seen.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let end = TEXT.len() - 1;
    Some(match (first, last) {
        ("", last) => TEXT.len() - last.parse::<usize>().ok()?..=end,
        (first, "") => first.parse().ok()?..=end,
        (first, last) => first.parse().ok()?..=last.parse::<usize>().ok()?.min(end),
    })
}

/// An origin of ten bytes that knows ranges, with these fields.
fn origin(fields: &'static str) -> ScriptedServerBuilder {
    ScriptedServer::builder().handler(move |seen: &ReceivedRequest| match part(seen) {
        None => reply(200, fields, TEXT),
        Some(part) if *part.start() >= TEXT.len() => reply(416, "content-range: bytes */10", ""),
        Some(part) => {
            let range = format!("{fields} | content-range: bytes {}-{}/10", part.start(), part.end());
            reply(206, &range, TEXT[part].to_owned())
        }
    })
}

async fn range(client: &Client, range: &str) -> Got {
    take(client.get(URL).header("range", range)).await
}

const STRONG: &str = "cache-control: max-age=60 | etag: \"a\"";
const WEAK: &str = "cache-control: max-age=60 | etag: W/\"a\"";
const NONE: &str = "cache-control: max-age=60 | last-modified: Wed, 31 Dec 2025 00:00:00 GMT";

#[tokio::test(start_paused = true)]
async fn parts_are_cut_out_of_what_is_complete() {
    for fields in [STRONG, WEAK, NONE] {
        let stage = stage(origin(fields));
        let client = cached(&stage);
        get(&client).await;
        for (asked, status, of, text) in [
            ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
            ("bytes=8-", 206, Some("bytes 8-9/10"), "89"),
            ("bytes=8-99", 206, Some("bytes 8-9/10"), "89"),
            ("bytes=-3", 206, Some("bytes 7-9/10"), "789"),
            ("bytes=-99", 206, Some("bytes 0-9/10"), TEXT),
            ("bytes=10-", 416, Some("bytes */10"), ""),
            ("bytes=4-2", 200, None, TEXT),
            ("lines=1-2", 200, None, TEXT),
        ] {
            let got = range(&client, asked).await;
            assert_eq!((got.status, got.field("content-range"), got.text.as_str()), (status, of, text), "{asked}");
            assert!(got.cache.hit && got.attempts == 0, "{asked}: {}", got.told());
            let length = text.len().to_string();
            assert_eq!(got.field("content-length"), Some(length.as_str()), "{asked}");
        }
        assert_eq!(stage.server.request_count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn if_range_decides() {
    for (fields, condition, status) in [
        (STRONG, "\"a\"", 206),
        (STRONG, "\"b\"", 200),
        (STRONG, "W/\"a\"", 200),
        (WEAK, "W/\"a\"", 200),
        (NONE, "Wed, 31 Dec 2025 00:00:00 GMT", 206),
        (NONE, "Wed, 31 Dec 2025 00:00:01 GMT", 200),
    ] {
        let stage = stage(origin(fields));
        let client = cached(&stage);
        get(&client).await;
        let got = take(client.get(URL).header("range", "bytes=0-1").header("if-range", condition)).await;
        assert_eq!((got.status, got.cache.hit), (status, true), "{fields} {condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn several_parts_are_left_to_the_origin() {
    let stage = stage(ScriptedServer::builder().handler(|_: &ReceivedRequest| reply(200, STRONG, TEXT)));
    let client = cached(&stage);
    get(&client).await;
    assert_eq!(range(&client, "bytes=0-1,4-5").await.told(), "; fwd=partial; stored");
}

#[tokio::test(start_paused = true)]
async fn a_part_answers_for_itself_and_what_lies_within() {
    for fields in [STRONG, WEAK, NONE] {
        let stage = stage(origin(fields));
        let client = cached(&stage);
        assert_eq!(range(&client, "bytes=2-6").await.told(), "; fwd=uri-miss; stored");
        for (asked, text) in [("bytes=2-6", "23456"), ("bytes=3-4", "34"), ("bytes=6-6", "6")] {
            let got = range(&client, asked).await;
            assert_eq!((got.status, got.text.as_str(), got.cache.hit), (206, text, true), "{asked}");
        }
        for asked in ["bytes=1-6", "bytes=5-", "bytes=-4"] {
            assert_eq!(range(&client, asked).await.told(), "; fwd=partial; stored", "{fields} {asked}");
            client.cache().unwrap().clear().await;
            range(&client, "bytes=2-6").await;
        }
        let outside = range(&client, "bytes=20-").await;
        assert_eq!((outside.status, outside.cache.stored), (416, false));
        assert!(range(&client, "bytes=2-6").await.cache.hit, "a 416 forgets nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_416_is_not_kept_and_forgets_nothing() {
    let server = ScriptedServer::builder().handler(|seen: &ReceivedRequest| match seen.header("range") {
        None => reply(200, "cache-control: max-age=1 | etag: \"a\"", TEXT),
        Some(_) => reply(416, "content-range: bytes */10 | cache-control: max-age=60", "no"),
    });
    let stage = stage(server);
    let client = cached(&stage);
    get(&client).await;
    super::pass(1).await;
    for _ in 0..2 {
        assert_eq!(range(&client, "bytes=20-").await.told(), "; fwd=stale; detail=status");
    }
    assert_eq!(client.cache().unwrap().stats().await.entries, 1);
    let stored = take(client.get(URL).cache_mode(CacheMode::OnlyIfCached)).await;
    assert_eq!((stored.status, stored.text.as_str()), (200, TEXT));
}

#[tokio::test(start_paused = true)]
async fn parts_are_put_together_by_a_strong_validator_only() {
    for (fields, together) in [(STRONG, true), (WEAK, false), (NONE, false), ("cache-control: max-age=60", false)] {
        let stage = stage(origin(fields));
        let client = cached(&stage);
        for asked in ["bytes=0-3", "bytes=7-9", "bytes=4-6"] {
            range(&client, asked).await;
        }
        let sent = stage.server.request_count();
        let whole = get(&client).await;
        assert_eq!((whole.text.as_str(), whole.status), (TEXT, 200), "{fields}");
        assert_eq!(stage.server.request_count() == sent, together, "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn parts_of_two_representations_are_never_mixed() {
    let server = ScriptedServer::builder().handler(|seen: &ReceivedRequest| match part(seen) {
        Some(part) if *part.start() == 0 => {
            reply(206, "cache-control: max-age=60 | etag: \"a\" | content-range: bytes 0-4/10", "aaaaa")
        }
        Some(_) => reply(206, "cache-control: max-age=60 | etag: \"b\" | content-range: bytes 5-9/10", "bbbbb"),
        None => reply(200, "cache-control: max-age=60 | etag: \"b\"", "bbbbbbbbbb"),
    });
    let stage = stage(server);
    let client = cached(&stage);
    range(&client, "bytes=0-4").await;
    range(&client, "bytes=5-9").await;
    assert_eq!(get(&client).await.text, "bbbbbbbbbb");
}

#[tokio::test(start_paused = true)]
async fn the_only_gap_is_asked_for() {
    for (held, asked) in [("bytes=0-3", "bytes=4-"), ("bytes=7-9", "bytes=0-6"), ("bytes=-3", "bytes=0-6")] {
        let stage = stage(origin(STRONG));
        let client = cached(&stage);
        range(&client, held).await;
        let whole = get(&client).await;
        assert_eq!((whole.status, whole.text.as_str(), whole.field("content-length")), (200, TEXT, Some("10")));
        assert_eq!(whole.told(), "; fwd=partial; fwd-status=206; stored");
        assert_eq!(whole.field("content-range"), None);
        let last = stage.server.requests().pop().unwrap();
        assert_eq!((last.header("range"), last.header("if-range")), (Some(asked), Some("\"a\"")), "{held}");
        assert!(get(&client).await.cache.hit, "{held}");
    }
    // In the middle.
    let stage = stage(origin(STRONG));
    let client = cached(&stage);
    range(&client, "bytes=0-3").await;
    range(&client, "bytes=6-9").await;
    assert_eq!(get(&client).await.text, TEXT);
    assert_eq!(stage.server.requests().pop().unwrap().header("range"), Some("bytes=4-5"));
}

/// An origin whose first answer breaks off after four bytes.
fn breaking(validator: &'static str, rest: impl Fn(&ReceivedRequest) -> Script + Send + Sync + 'static) -> Stage {
    let first = std::sync::atomic::AtomicBool::new(true);
    stage(ScriptedServer::builder().handler(move |seen: &ReceivedRequest| {
        if !first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return rest(seen);
        }
        let head = format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{validator}\r\ncontent-length: 10\r\n\r\n");
        Script::new().send(head).send("0123").close()
    }))
}

#[tokio::test(start_paused = true)]
async fn a_download_that_broke_off_is_completed() {
    let stage = breaking("etag: \"a\"", |seen| match part(seen) {
        Some(part) => {
            let range = format!("etag: \"a\" | content-range: bytes {}-9/10", part.start());
            reply(206, &range, TEXT[part].to_owned()).into()
        }
        None => reply(200, STRONG, "all anew").into(),
    });
    let client = cached(&stage);
    let error = try_take(client.get(URL)).await.map(|got| got.text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    // What is there is used.
    let held = range(&client, "bytes=1-2").await;
    assert_eq!((held.text.as_str(), held.cache.hit), ("12", true));
    let whole = get(&client).await;
    assert_eq!((whole.text.as_str(), whole.told()), (TEXT, "; fwd=partial; fwd-status=206; stored"));
    let last = stage.server.requests().pop().unwrap();
    assert_eq!((last.header("range"), last.header("if-range")), (Some("bytes=4-"), Some("\"a\"")));
    assert!(get(&client).await.cache.hit);
}

#[tokio::test(start_paused = true)]
async fn what_has_changed_since_it_broke_off_comes_whole() {
    type Rest = fn(&ReceivedRequest) -> Script;
    let rests: [(&str, Rest); 5] = [
        // By the book.
        ("200", |_| reply(200, "cache-control: max-age=60 | etag: \"b\"", "new").into()),
        // Without heed to If-Range.
        ("another tag", |seen| match seen.header("range") {
            Some(_) => reply(206, "etag: \"b\" | content-range: bytes 4-9/10", "bbbbbb").into(),
            None => reply(200, "cache-control: max-age=60 | etag: \"b\"", "new").into(),
        }),
        ("no tag", |seen| match seen.header("range") {
            Some(_) => reply(206, "content-range: bytes 4-9/10", "bbbbbb").into(),
            None => reply(200, "cache-control: max-age=60 | etag: \"b\"", "new").into(),
        }),
        ("another part", |seen| match seen.header("range") {
            Some(_) => reply(206, "etag: \"a\" | content-range: bytes 3-9/10", "bbbbbbb").into(),
            None => reply(200, "cache-control: max-age=60 | etag: \"b\"", "new").into(),
        }),
        ("416", |seen| match seen.header("range") {
            Some(_) => reply(416, "content-range: bytes */3", "").into(),
            None => reply(200, "cache-control: max-age=60 | etag: \"b\"", "new").into(),
        }),
    ];
    for (name, rest) in rests {
        let stage = breaking("etag: \"a\"", rest);
        let client = cached(&stage);
        assert!(try_take(client.get(URL)).await.is_err());
        let got = get(&client).await;
        assert_eq!((got.status, got.text.as_str()), (200, "new"), "{name}");
        let hit = get(&client).await;
        assert_eq!((hit.text.as_str(), hit.cache.hit), ("new", true), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_broke_off_without_a_strong_validator_is_not_kept() {
    for validator in ["etag: W/\"a\"", "last-modified: Wed, 31 Dec 2025 00:00:00 GMT", "x: y"] {
        let stage = breaking(validator, |seen| {
            assert_eq!(seen.header("range"), None);
            reply(200, STRONG, TEXT).into()
        });
        let client = cached(&stage);
        assert!(try_take(client.get(URL)).await.is_err());
        assert_eq!(client.cache().unwrap().stats().await.entries, 0, "{validator}");
        assert_eq!(get(&client).await.text, TEXT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_turns_away_leaves_a_part() {
    for (fields, entries) in [(STRONG, 1), (WEAK, 0), (NONE, 0)] {
        let server = ScriptedServer::builder().handler(move |seen: &ReceivedRequest| match part(seen) {
            None => {
                let head = fields.replace(" | ", "\r\n");
                Script::new().send(format!("HTTP/1.1 200 OK\r\n{head}\r\ncontent-length: 10\r\n\r\n0123")).stall()
            }
            Some(part) => {
                let range = format!("{fields} | content-range: bytes {}-{}/10", part.start(), part.end());
                reply(206, &range, TEXT[part].to_owned()).into()
            }
        });
        let stage = stage(server);
        let client = cached(&stage);
        let mut response = client.get(URL).send().await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "0123");
        drop(response);
        assert_eq!(client.cache().unwrap().stats().await.entries, entries, "{fields}");
        if entries == 1 {
            assert_eq!(get(&client).await.text, TEXT);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn resumption_and_the_cache_get_along() {
    let stage = breaking("etag: \"a\"", |seen| {
        let part = part(seen).expect("a part");
        let range = format!("cache-control: max-age=60 | etag: \"a\" | content-range: bytes {}-9/10", part.start());
        reply(206, &range, TEXT[part].to_owned()).into()
    });
    let client = cached(&stage);
    assert_eq!(take(client.get(URL).resume(2)).await.text, TEXT);
    assert_eq!(stage.server.request_count(), 2);
    let hit = get(&client).await;
    assert_eq!((hit.text.as_str(), hit.cache.hit), (TEXT, true), "both parts make the whole");
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_for_what_is_put_together() {
    let stage = stage(origin(STRONG));
    let client = cached(&stage);
    range(&client, "bytes=0-6").await;
    let small = client.get(URL).limits(Limits::default().with_body_bytes(9));
    let error = try_take(small).await.map(|got| got.text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    // Piece by piece too.
    client.cache().unwrap().clear().await;
    range(&client, "bytes=0-6").await;
    let small = client.get(URL).limits(Limits::default().with_body_bytes(9));
    let mut response = small.send().await.unwrap();
    let mut got = 0;
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => got += chunk.len(),
            Ok(None) => panic!("{got} bytes, and no error"),
            Err(error) => break error,
        }
    };
    assert!(error.kind() == ErrorKind::TooLarge && got <= 9, "{got} bytes, {error}");
}

#[tokio::test(start_paused = true)]
async fn a_stale_part_is_confirmed_before_it_answers() {
    let stage = stage(origin("cache-control: max-age=1 | etag: \"a\""));
    let client = cached(&stage);
    range(&client, "bytes=0-3").await;
    super::pass(1).await;
    assert_eq!(range(&client, "bytes=0-3").await.told(), "; fwd=stale; stored");
    assert_eq!(stage.server.requests()[1].header("if-none-match"), Some("\"a\""));
}
