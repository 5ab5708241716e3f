//! Which responses are kept, when, and how much of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use netcomm_core::{ErrorKind, Limits, Timeouts};
use netcomm_http::testing::{Gate, ReceivedRequest, Script, ScriptedServer};

use super::{URL, answering, cached, counting, get, reply, take, text, try_take};
use crate::stage::{redirect, soon, stage};

#[tokio::test(start_paused = true)]
async fn what_is_kept() {
    for (status, fields, kept) in [
        (200, "cache-control: max-age=9", true),
        (200, "cache-control: max-age=9, no-store", false),
        (200, "cache-control: private, max-age=9", true),
        (200, "", true),
        (404, "cache-control: max-age=9", true),
        (500, "cache-control: max-age=9", true),
        (500, "", false),
        (201, "", false),
        (299, "cache-control: max-age=9", true),
        (416, "cache-control: max-age=9", false),
        (206, "cache-control: max-age=9 | content-range: bytes 0-0/9", false),
        (200, "cache-control: max-age=9 | vary: *", false),
        (599, "cache-control: max-age=9, must-understand", false),
        (200, "cache-control: max-age=9, must-understand, no-store", true),
    ] {
        let stage = answering([reply(status, fields, "1")]);
        let client = cached(&stage);
        assert_eq!(get(&client).await.cache.stored, kept, "{status} {fields}");
        assert_eq!(client.cache().unwrap().stats().await.entries, u64::from(kept), "{status} {fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_nobody_reads() {
    // They are there with the head, or there are none: the response is kept whether somebody reads them or not.
    for (status, body) in [(200, ""), (204, ""), (404, ""), (301, ""), (200, "a"), (301, "moved to another place")] {
        let stage = answering([reply(status, "cache-control: max-age=9", body)]);
        let client = cached(&stage);
        drop(client.get(URL).redirects(netcomm_http::Redirects::Manual).send().await.unwrap());
        let again = client.get(URL).redirects(netcomm_http::Redirects::Manual);
        assert!(take(again).await.cache.hit, "{status} {body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_hop_of_a_redirect_is_kept_under_its_own_uri() {
    for body in ["", "moved"] {
        let stage = stage(
            ScriptedServer::builder()
                .route("/1", redirect(301, "/2").body(body))
                .route("/2", redirect(308, "/3").header("cache-control", "max-age=9").body(body))
                .route("/3", redirect(302, "/4").body(body))
                .route("/4", reply(200, "cache-control: max-age=9", "4")),
        );
        let client = cached(&stage);
        // 301 says nothing of its freshness: a time to live of the call does.
        for _ in 0..2 {
            let got = take(client.get("http://a.example/1").cache_ttl(Duration::from_secs(60))).await;
            assert_eq!((got.text.as_str(), got.status), ("4", 200));
        }
        let asked: Vec<_> = stage.server.requests().iter().map(|seen| seen.path().to_owned()).collect();
        assert_eq!(asked, ["/1", "/2", "/3", "/4", "/3"], "302 is not cacheable by default; body {body:?}");
        assert!(take(client.get("http://a.example/2")).await.text == "4");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_given_out_while_it_is_stored() {
    let gate = Gate::new();
    let script = Script::new()
        .send("HTTP/1.1 200 OK\r\ncache-control: max-age=9\r\ncontent-length: 6\r\n\r\none")
        .wait_for(&gate)
        .send("two");
    let stage = stage(ScriptedServer::builder().route("/x", script));
    let client = cached(&stage);
    let mut response = client.get(URL).send().await.unwrap();
    assert_eq!(response.content_length(), Some(6));
    assert_eq!(soon(response.chunk()).await.unwrap().unwrap(), "one");
    assert!(!gate.is_open());
    gate.open();
    assert_eq!(soon(response.chunk()).await.unwrap().unwrap(), "two");
    // The next call finds it though nobody has asked for the end.
    assert_eq!(get(&client).await.told(), "; hit; ttl=9");
    assert_eq!(soon(response.chunk()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_kept_once_it_is_whole_and_not_before() {
    let gate = Gate::new();
    let script = |rest: Script| {
        Script::new()
            .send("HTTP/1.1 200 OK\r\ncache-control: max-age=9\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            .then(rest)
    };
    let scripts = [script(Script::new().wait_for(&gate).close()), script(Script::new().send("0\r\n\r\n"))];
    let stage = stage(ScriptedServer::builder().route_each("/x", scripts));
    let client = cached(&stage);
    gate.open();
    assert_eq!(try_take(client.get(URL)).await.map(|got| got.text).unwrap_err().kind(), ErrorKind::Incomplete);
    assert_eq!(client.cache().unwrap().stats().await.entries, 0);
    assert_eq!(get(&client).await.text, "one");
    assert!(get(&client).await.cache.hit);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_given_out_all_the_same() {
    let stage = stage(ScriptedServer::builder().handler(|_: &ReceivedRequest| {
        let chunks: Vec<_> = (0..100).map(|_| vec![b'x'; 10_000]).collect();
        reply(200, "cache-control: max-age=9", "").chunked(chunks)
    }));
    let client = cached(&stage);
    assert_eq!(get(&client).await.text.len(), 1_000_000);
    let stats = client.cache().unwrap().stats().await;
    assert_eq!((stats.entries, stats.bytes), (0, 0));
}

#[cfg(feature = "gzip")]
#[tokio::test(start_paused = true)]
async fn a_gzipped_body_is_stored_as_it_came_and_decoded_each_time() {
    let gzip = flate(b"hello hello hello hello");
    let stage = stage(ScriptedServer::builder().handler(move |_: &ReceivedRequest| {
        reply(200, "cache-control: max-age=9 | content-encoding: gzip | vary: accept-encoding", gzip.clone())
    }));
    let client = cached(&stage);
    for hit in [false, true, true] {
        let got = get(&client).await;
        assert_eq!((got.text.as_str(), got.cache.hit), ("hello hello hello hello", hit));
        assert_eq!((got.field("content-encoding"), got.field("content-length")), (None, None));
    }
    // Whoever wants it as it is wants another variant.
    let raw = client.get(URL).decode(false).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(raw.headers()["content-encoding"], "gzip");
    assert_eq!(stage.server.request_count(), 2);
}

/// The bytes in one stored block (RFC 1951 §3.2.4) of a gzip member (RFC 1952).
#[cfg(feature = "gzip")]
fn flate(bytes: &[u8]) -> Vec<u8> {
    let crc = bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    });
    let length = bytes.len() as u16;
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    gzip.extend(length.to_le_bytes());
    gzip.extend((!length).to_le_bytes());
    gzip.extend(bytes);
    gzip.extend((!crc).to_le_bytes());
    gzip.extend(u32::from(length).to_le_bytes());
    gzip
}

#[tokio::test(start_paused = true)]
async fn limits_on_bodies_hold_for_stored_ones() {
    let stage = stage(
        ScriptedServer::builder().handler(|_: &ReceivedRequest| reply(200, "cache-control: max-age=9", "0123456789")),
    );
    let client = cached(&stage);
    get(&client).await;
    let small = || client.get(URL).limits(Limits::default().with_body_bytes(9));
    let error = try_take(small()).await.map(|got| got.text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert_eq!(take(small().header("range", "bytes=0-8")).await.text, "012345678");
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_call_holds_while_its_body_is_stored() {
    let script = Script::new()
        .send("HTTP/1.1 200 OK\r\ncache-control: max-age=9\r\netag: \"a\"\r\ncontent-length: 6\r\n\r\none")
        .stall();
    let stage = stage(ScriptedServer::builder().route("/x", script));
    let client = cached(&stage);
    let error = try_take(client.get(URL).timeout(Duration::from_secs(3))).await.map(|got| got.text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // And of a stored one: an answer from memory takes no time.
    let stage = super::stage(counting("cache-control: max-age=9"));
    let client = stage.builder().cache(netcomm_http::cache::Cache::memory(1 << 20));
    let client = client.timeouts(Timeouts::default().with_total(Some(Duration::from_secs(1)))).build().unwrap();
    get(&client).await;
    assert!(get(&client).await.cache.hit);
}

#[tokio::test(start_paused = true)]
async fn a_body_may_be_read_by_many_at_once() {
    let stage = stage(counting("cache-control: max-age=60"));
    let client = cached(&stage);
    get(&client).await;
    let count = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (client, count) = (client.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                assert_eq!(text(&client, URL).await, "1");
                count.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!((count.load(Ordering::Relaxed), stage.server.request_count()), (20, 1));
}

#[tokio::test(start_paused = true)]
async fn fields_of_the_connection_are_not_kept() {
    let fields = "cache-control: max-age=9 | connection: x-mine | x-mine: 1 | keep-alive: timeout=5 | x: 1";
    let stage = answering([reply(200, fields, "1")]);
    let client = cached(&stage);
    get(&client).await;
    let hit = get(&client).await;
    assert!(hit.cache.hit);
    for name in ["connection", "x-mine", "keep-alive", "transfer-encoding"] {
        assert_eq!(hit.field(name), None, "{name}");
    }
    assert_eq!(hit.field("x"), Some("1"));
}
