//! What is kept of answers, and answered from there.

use netcomm::http::testing::{ReceivedRequest, Reply, ScriptedServer};

use super::{Answer, Proxy, get};
use crate::stage::{CANARY, Folder, netcomm, start};

/// An origin whose answers are fresh for a minute, and tell their number.
async fn numbering(cache_control: &'static str) -> ScriptedServer {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = ScriptedServer::builder().handler(move |request: &ReceivedRequest| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        match request.header("if-none-match") {
            Some("\"v\"") => Reply::status(304).header("etag", "\"v\"").header("cache-control", cache_control),
            _ => Reply::status(200)
                .header("etag", "\"v\"")
                .header("cache-control", cache_control)
                .body(format!("answer {number}")),
        }
    });
    start(server).await
}

async fn before(server: &ScriptedServer, options: &str) -> Proxy {
    Proxy::start(&format!("--to {} {options}", server.url(""))).await
}

fn did(answer: &Answer) -> String {
    answer.fields("cache-status").join(" | ")
}

#[tokio::test]
async fn the_same_url_twice_is_one_request_at_the_origin() {
    let server = numbering("max-age=60").await;
    let proxy = before(&server, "--cache memory").await;
    let first = proxy.ask(get("/x")).await;
    assert_eq!((first.status, first.text(), did(&first).as_str()), (200, "answer 1", "me; fwd=uri-miss; stored"));
    let second = proxy.ask(get("/x")).await;
    assert_eq!((second.status, second.text()), (200, "answer 1"));
    assert!(did(&second).starts_with("me; hit; ttl="), "{second:?}");
    assert!(second.field("age").is_some(), "{second:?}");
    assert_eq!(second.fields("via"), ["1.1 me"]);
    assert_eq!(second.fields("content-length"), ["8"]);
    assert_eq!(second.fields("date"), first.fields("date"));
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn without_a_cache_nothing_is_said_of_one() {
    let server = numbering("max-age=60").await;
    let proxy = before(&server, "").await;
    for number in 1..=2 {
        let answer = proxy.ask(get("/x")).await;
        assert_eq!((answer.text(), did(&answer).as_str()), (format!("answer {number}").as_str(), ""));
    }
}

#[tokio::test]
async fn what_a_client_asks_of_the_store() {
    let server = numbering("max-age=60").await;
    let proxy = before(&server, "--cache memory").await;
    assert_eq!(proxy.ask(get("/x")).await.status, 200);
    let mut talk = proxy.connect().await;
    for (method, fields, status, text, length) in [
        ("GET", "If-None-Match: \"v\"", 304, "", None),
        ("GET", "Range: bytes=0-5", 206, "answer", Some("6")),
        ("GET", "Range: bytes=100-", 416, "", Some("0")),
        ("HEAD", "Accept: */*", 200, "", Some("8")),
        ("GET", "Cache-Control: only-if-cached", 200, "answer 1", Some("8")),
    ] {
        talk.say(format!("{method} /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")).await;
        let answer = match method {
            "HEAD" => talk.answer_without_content().await,
            _ => talk.answer().await,
        };
        assert_eq!((answer.status, answer.text()), (status, text), "{method} {fields}");
        assert_eq!(answer.field("content-length").as_deref(), length, "{method} {fields}");
        assert!(did(&answer).starts_with("me; hit"), "{answer:?}");
    }
    let missing = proxy.ask("GET /y HTTP/1.1\r\nHost: a\r\nCache-Control: only-if-cached\r\n\r\n").await;
    assert_eq!((missing.status, missing.field("content-length").as_deref()), (504, Some("0")), "{missing:?}");
    assert_eq!(server.request_count(), 1);
    let confirmed = proxy.ask("GET /x HTTP/1.1\r\nHost: a\r\nCache-Control: no-cache\r\n\r\n").await;
    assert_eq!((confirmed.status, confirmed.text()), (200, "answer 1"));
    assert!(did(&confirmed).starts_with("me; fwd=request; fwd-status=304"), "{confirmed:?}");
    assert_eq!(server.request_count(), 2);
}

#[tokio::test]
async fn a_change_through_the_proxy_is_seen() {
    let server = numbering("max-age=60").await;
    let proxy = before(&server, "--cache memory").await;
    assert_eq!(proxy.ask(get("/x")).await.text(), "answer 1");
    let post = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(proxy.ask(post).await.text(), "answer 2");
    assert_eq!(proxy.ask(get("/x")).await.text(), "answer 3");
}

#[tokio::test]
async fn a_shared_cache_keeps_what_is_for_all() {
    let server = numbering("private, max-age=60").await;
    for (options, again) in [("--cache memory", "answer 1"), ("--cache memory --shared", "answer 4")] {
        let proxy = before(&server, options).await;
        let first = proxy.ask(get("/x")).await;
        let second = proxy.ask(get("/x")).await;
        if again == "answer 1" {
            assert_eq!((first.text(), second.text()), ("answer 1", again));
            // One request for the second user, whose answer is not the first one's.
            let other = proxy.ask("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer b\r\n\r\n").await;
            assert_eq!(other.text(), "answer 2");
        } else {
            assert_eq!((first.text(), second.text()), ("answer 3", again));
        }
    }
}

#[tokio::test]
async fn the_field_for_reverse_proxies_counts_where_the_proxy_is_one() {
    let server = ScriptedServer::builder().handler(|_| {
        Reply::status(200).header("cache-control", "no-store").header("cdn-cache-control", "max-age=60").body("ok")
    });
    let server = start(server).await;
    for (options, requests) in [
        ("--cache memory --shared", 1),
        ("--cache memory", 2),
        ("--cache memory --shared --target none", 2),
        ("--cache memory --shared --target Other-Cache-Control", 2),
        ("--cache memory --shared --target Other-Cache-Control --target CDN-Cache-Control", 1),
    ] {
        let proxy = before(&server, options).await;
        for _ in 0..2 {
            let answer = proxy.ask(get("/x")).await;
            assert_eq!((answer.text(), answer.fields("cdn-cache-control").len()), ("ok", 1));
        }
        assert_eq!(server.take_requests().len(), requests, "{options}");
    }
    let proxy = Proxy::start("--cache memory --shared").await;
    let target = server.url("/x");
    for _ in 0..2 {
        let answer = proxy.ask(format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address())).await;
        assert_eq!(answer.text(), "ok");
    }
    assert_eq!(server.take_requests().len(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_survives_the_proxy() {
    let folder = Folder::new();
    let options = format!("--cache {}", folder.path("cache").display());
    let server = numbering("max-age=60").await;
    let proxy = before(&server, &options).await;
    assert_eq!(proxy.ask(get("/x")).await.text(), "answer 1");
    proxy.terminate().await;
    let proxy = before(&server, &options).await;
    let answer = proxy.ask(get("/x")).await;
    assert_eq!(answer.text(), "answer 1");
    assert!(did(&answer).starts_with("me; hit"), "{answer:?}");
    assert_eq!(server.request_count(), 1);

    // A second one meanwhile works too, and says what it cannot do.
    let second = before(&server, &format!("{options} -v")).await;
    assert_eq!(second.ask(get(&format!("/x?{CANARY}"))).await.text(), "answer 2");
    let told = second.told().await;
    assert!(told.starts_with("netcomm: warning: ") && told.contains("in use"), "{told}");
    assert!(told.contains(" 200 8 bytes ") && told.contains(" ms [fwd=uri-miss; stored]\n"), "{told}");
    assert!(!told.contains(CANARY), "{told}");
    // Nor can anybody look into it, which is no reason to tell of an empty one.
    let looked = netcomm(&format!("cache stat {}", folder.path("cache").display())).await.expect_code(18);
    assert!(looked.stderr.contains("in use"), "{}", looked.stderr);
    proxy.terminate().await;
    let looked = netcomm(&format!("cache ls {}", folder.path("cache").display())).await.expect_code(0);
    assert!(looked.text().ends_with(&format!("{}\n", server.url("/x"))), "{looked:?}");
}

#[tokio::test]
async fn what_means_nothing_leaves_no_folder() {
    let folder = Folder::new();
    let place = folder.path("cache");
    for (options, text) in [("--target a,b", "header name"), ("--pin x", "pin"), ("--to x", "origin")] {
        let ended = netcomm(&format!("proxy --cache {} {options}", place.display())).await.expect_code(2);
        assert!(ended.stderr.contains(text), "{options}: {}", ended.stderr);
        assert!(!place.exists(), "{options}");
    }
}
