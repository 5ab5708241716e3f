//! What is passed on and what is not.

use netcomm::http::testing::{ReceivedRequest, Reply, ScriptedServer};
use netcomm_tests::TestCa;

use super::{Proxy, get};
use crate::stage::{CANARY, Folder, friendly, netcomm, start};

/// What reaches a server of a request.
async fn reached(request: impl AsRef<[u8]>, options: &str) -> ReceivedRequest {
    let server = friendly().await;
    let proxy = Proxy::start(&format!("--to {} {options}", server.url(""))).await;
    let answer = proxy.ask(request).await;
    assert_eq!((answer.status, answer.text()), (200, "ok"), "{answer:?}");
    server.take_requests().remove(0)
}

fn fields(request: &ReceivedRequest) -> Vec<String> {
    let mut fields: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn a_request_is_passed_on_without_what_belongs_to_the_connection() {
    let server = friendly().await;
    let proxy = Proxy::before(&server).await;
    let request = "PURGE /a/../%2e/b//{c}\\|?q='&x HTTP/1.1\r\nHost: outer.example\r\n\
                   Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
                   TE: gzip\r\nUpgrade: websocket\r\nProxy-Authorization: Basic x\r\nAuthorization: Bearer y\r\n\
                   X-Two: first\r\nCookie: a=1\r\nX-Two: second\r\nVia: 1.0 before\r\nMax-Forwards: 3\r\n\r\n";
    let answer = proxy.ask(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = server.take_requests().remove(0);
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PURGE", "/a/../%2e/b//{c}\\|?q='&x"));
    let host = format!("host: {}", server.address());
    let expected = [
        "authorization: Bearer y",
        "cookie: a=1",
        &host,
        "max-forwards: 3",
        "via: 1.0 before",
        "via: 1.1 me",
        "x-two: first",
        "x-two: second",
    ];
    assert_eq!(fields(&seen), expected);
}

#[tokio::test]
async fn nothing_is_added_but_host_and_via() {
    let seen = reached("GET / HTTP/1.0\r\n\r\n", "").await;
    let names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["via", "host"]);
    assert_eq!(seen.header("via"), Some("1.0 me"));
    let seen = reached(get("http://outer.example/x"), "--forwarded").await;
    assert_eq!(seen.header("forwarded"), Some("for=127.0.0.1;host=\"outer.example\";proto=http"));
    assert_eq!(seen.target, "/x");
}

#[tokio::test]
async fn bytes_beyond_ascii_pass_both_ways() {
    let reply = Reply::raw(&b"HTTP/1.1 200 OK\r\nX-Odd: caf\xe9\r\nContent-Length: 2\r\n\r\nok"[..]);
    let server = start(ScriptedServer::builder().handler(move |_| reply.clone())).await;
    let proxy = Proxy::before(&server).await;
    let answer = proxy.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-Odd: gr\xfcn\r\n\r\n").await;
    assert!(answer.head.windows(5).any(|bytes| bytes == b"caf\xe9\r"), "{answer:?}");
    let head = server.take_requests().remove(0).head;
    assert!(head.windows(5).any(|bytes| bytes == b"gr\xfcn\r"), "{head:?}");
}

#[tokio::test]
async fn content_passes_in_the_frame_it_came_in() {
    let seen = reached("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "").await;
    assert_eq!((seen.text().as_str(), seen.header("content-length")), ("hello", Some("5")));
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                   5;ext=1\r\nhello\r\n0\r\nX-Sum: 532\r\n\r\n";
    let seen = reached(chunked, "").await;
    assert_eq!((seen.text().as_str(), seen.header("transfer-encoding")), ("hello", Some("chunked")));
    assert_eq!(seen.header("content-length"), None);
    assert_eq!(seen.trailers, [("x-sum".to_owned(), "532".to_owned())]);
    let seen = reached("DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "").await;
    assert_eq!(seen.header("content-length"), Some("0"));
}

#[tokio::test]
async fn an_answer_is_passed_back_without_what_belongs_to_the_connection() {
    let reply = Reply::status(200)
        .header("Connection", "close, X-Mine")
        .header("X-Mine", "1")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Authenticate", "Basic")
        .header("Upgrade", "h2c")
        .header("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
        .header("Set-Cookie", "a=1")
        .header("Via", "1.1 behind")
        .header("Set-Cookie", "b=2")
        .header("Content-Encoding", "gzip")
        .body("no gzip");
    let server = start(ScriptedServer::builder().handler(move |_| reply.clone())).await;
    let proxy = Proxy::before(&server).await;
    let mut talk = proxy.connect().await;
    // The client's connection goes on, whatever becomes of the server's.
    for _ in 0..2 {
        talk.say("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n").await;
        let answer = talk.answer().await;
        assert_eq!((answer.status, answer.text()), (200, "no gzip"));
        assert_eq!(answer.fields("set-cookie"), ["a=1", "b=2"]);
        assert_eq!(answer.fields("via"), ["1.1 behind", "1.1 me"]);
        assert_eq!(answer.fields("date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
        for name in ["connection", "x-mine", "keep-alive", "proxy-authenticate", "upgrade"] {
            assert_eq!(answer.field(name), None, "{name}");
        }
    }
    assert_eq!(server.take_requests()[0].header("accept-encoding"), Some("br"));
}

#[tokio::test]
async fn a_date_is_added_where_there_is_none() {
    let proxy = Proxy::before(&friendly().await).await;
    let answer = proxy.ask(get("/")).await;
    assert!(answer.field("date").is_some_and(|date| date.ends_with(" GMT")), "{answer:?}");
}

#[tokio::test]
async fn every_status_passes_and_no_redirect_is_followed() {
    let server = ScriptedServer::builder().handler(|request| {
        let status = request.path()[1..].parse().expect("a status");
        Reply::status(status).header("location", "http://[").body("x")
    });
    let server = start(server).await;
    let proxy = Proxy::before(&server).await;
    for status in [200, 203, 206, 299, 300, 301, 302, 307, 400, 401, 404, 418, 500, 599, 600, 999] {
        let answer = proxy.ask(get(&format!("/{status}"))).await;
        assert_eq!((answer.status, answer.text()), (status, "x"));
        assert_eq!(answer.field("location").as_deref(), Some("http://["));
    }
}

#[tokio::test]
async fn answers_without_content() {
    let server = ScriptedServer::builder().handler(|request| match (request.method.as_str(), request.path()) {
        ("HEAD", "/length") => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("HEAD", _) => Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (_, "/204") => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        _ => Reply::raw("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
    });
    let server = start(server).await;
    let proxy = Proxy::before(&server).await;
    let mut talk = proxy.connect().await;
    for (method, target, status, length) in [
        ("HEAD", "/length", 200, Some("1000")),
        ("HEAD", "/chunked", 200, None),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, None),
    ] {
        talk.say(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let answer = talk.answer_without_content().await;
        assert_eq!((answer.status, answer.field("content-length").as_deref()), (status, length), "{method} {target}");
        assert_eq!(answer.field("transfer-encoding"), None);
        assert!(answer.complete);
    }
}

#[tokio::test]
async fn trailers_come_back_to_whoever_wants_them() {
    let reply = Reply::status(200).header("trailer", "x-sum").chunked(["hel", "lo"]).trailer("X-Sum", "532");
    let server = start(ScriptedServer::builder().handler(move |_| reply.clone())).await;
    let proxy = Proxy::before(&server).await;
    for (field, trailers) in [("TE: trailers\r\nConnection: TE\r\n", "x-sum: 532\n"), ("", "")] {
        let answer = proxy.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n")).await;
        assert_eq!((answer.text(), answer.trailers.as_str(), answer.complete), ("hello", trailers, true));
        assert_eq!(server.take_requests()[0].header("te").is_some(), !field.is_empty());
    }
}

#[tokio::test]
async fn a_forward_proxy_goes_where_the_target_says() {
    let server = friendly().await;
    let proxy = Proxy::start("").await;
    let target = server.url("/x?y");
    let answer = proxy.ask(format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address())).await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    let seen = server.take_requests().remove(0);
    assert_eq!((seen.target.as_str(), seen.header("host")), ("/x?y", Some(&*server.address().to_string())));

    let refused = proxy.ask(get("/x")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("absolute form"), "{}", refused.text());
    let guarded = Proxy::start("--deny-private").await;
    let answer = guarded.ask(format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address())).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.field("proxy-status").as_deref(), Some("me; error=destination_ip_prohibited"));
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn an_origin_may_be_https() {
    let (folder, ca) = (Folder::new(), TestCa::new());
    let roots = folder.write("ca.pem", ca.pem()).display().to_string();
    let identity = std::sync::Arc::new(ca.server(&["127.0.0.1"]));
    let server = ScriptedServer::builder().handler(|_| Reply::status(200).body("ok")).over("https", move |stream| {
        let identity = std::sync::Arc::clone(&identity);
        async move { identity.accept(stream, &[b"http/1.1"]).await }
    });
    let server = start(server).await;
    let proxy = Proxy::start(&format!("--to {} --cacert {roots}", server.url(""))).await;
    assert_eq!(proxy.ask(get("/")).await.text(), "ok");
    let proxy = Proxy::start(&format!("--cacert {roots}")).await;
    let host = server.address();
    let answer = proxy.ask(format!("GET {} HTTP/1.1\r\nHost: {host}\r\n\r\n", server.url("/x"))).await;
    assert_eq!(answer.text(), "ok");
    let unknown = Proxy::start(&format!("--to {}", server.url(""))).await;
    let answer = unknown.ask(get("/")).await;
    assert_eq!((answer.status, answer.text()), (502, "me: tls failed\n"));
}

#[tokio::test]
async fn what_is_told_holds_no_secret() {
    let server = friendly().await;
    let proxy = Proxy::start(&format!("--to {} -v", server.url(""))).await;
    let request = format!("GET /x?key={CANARY} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {CANARY}\r\n\r\n");
    assert_eq!(proxy.ask(request).await.status, 200);
    let bad = proxy.ask(format!("GET /{CANARY} HTTP/1.1\r\nHost: a\r\nX {CANARY}: {CANARY}\r\n\r\n")).await;
    assert_eq!(bad.status, 400);
    assert!(!bad.text().contains(CANARY));
    let told = proxy.told().await;
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].starts_with(&format!("GET {} 200 2 bytes ", server.url("/x"))), "{told}");
    assert!(lines[1].starts_with("- - 400 ") && lines[1].ends_with("(a field whose name is not a token)"), "{told}");
    assert!(!told.contains(CANARY), "{told}");
}

#[tokio::test]
async fn what_means_nothing_is_refused_at_the_start() {
    for (line, code, text) in [
        ("--listen 0.0.0.0:0", 2, "--expose"),
        ("--listen 127.0.0.1", 2, "ADDRESS:PORT"),
        ("--to 127.0.0.1:80", 2, "origin"),
        ("--to http://a.example/x", 2, "path"),
        ("--name a,b", 2, "--name"),
        ("--max-connections 0", 2, "--max-connections"),
        ("--shared", 2, "--cache"),
        ("--target none", 2, "--cache"),
    ] {
        let ended = netcomm(&format!("proxy {line}")).await.expect_code(code);
        assert!(ended.stderr.contains(text), "{line}: {}", ended.stderr);
        assert_eq!(ended.stdout, b"");
    }
}
