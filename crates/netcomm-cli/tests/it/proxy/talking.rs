//! The manners of a connection: one after the other, 100-continue, loops, and what is answered on the spot.

use netcomm::http::testing::{Reply, Script, ScriptedServer};
use tokio::net::TcpListener;

use super::{Proxy, Talk, get};
use crate::stage::{friendly, start};

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let server = friendly().await;
    let proxy = Proxy::before(&server).await;
    let mut talk = proxy.connect().await;
    for number in 0..10 {
        talk.say(get(&format!("/{number}"))).await;
        assert_eq!(talk.answer().await.text(), "ok");
    }
    // All at once too.
    talk.say([get("/a"), "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi".to_owned(), get("/c")].concat())
        .await;
    for _ in 0..3 {
        assert_eq!(talk.answer().await.text(), "ok");
    }
    let requests = server.take_requests();
    let paths: Vec<_> = requests.iter().map(|request| request.path()).collect();
    assert_eq!(paths[10..], ["/a", "/b", "/c"]);
    assert_eq!(requests[11].text(), "hi");
    assert_eq!(server.connections(), 1);
    talk.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(talk.answer().await.field("connection").as_deref(), Some("close"));
    assert!(talk.has_ended().await);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_gave_up_the_connection_is_asked_again() {
    let answer = || Script::new().request().reply(Reply::status(200).body("ok"));
    let server = start(ScriptedServer::builder().on_connect([answer().close(), answer().stall()])).await;
    let proxy = Proxy::before(&server).await;
    let mut talk = proxy.connect().await;
    for _ in 0..2 {
        talk.say(get("/")).await;
        assert_eq!(talk.answer().await.text(), "ok");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_old_client_gets_an_answer_it_knows() {
    let reply = Reply::status(200).chunked(["hel", "lo"]);
    let server = start(ScriptedServer::builder().handler(move |_| reply.clone())).await;
    let proxy = Proxy::before(&server).await;
    let answer = proxy.ask("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.head.starts_with(b"HTTP/1.0 200 "), "{answer:?}");
    assert_eq!((answer.text(), answer.complete, answer.field("transfer-encoding")), ("hello", true, None));
}

#[tokio::test]
async fn content_that_waits_for_leave_gets_it_once_the_server_takes_it() {
    let server = friendly().await;
    let proxy = Proxy::before(&server).await;
    let mut talk = proxy.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    talk.say(head).await;
    assert_eq!(talk.head().await, b"HTTP/1.1 100 Continue\r\n\r\n");
    talk.say("hello").await;
    assert_eq!(talk.answer().await.status, 200);
    let seen = server.take_requests().remove(0);
    assert_eq!((seen.text().as_str(), seen.header("expect")), ("hello", None));
    drop(server);

    // No server, no leave.
    let unreachable = Proxy::start("--to http://127.0.0.1:1").await;
    let mut talk = unreachable.connect().await;
    talk.say(head).await;
    let answer = talk.answer().await;
    assert_eq!((answer.status, answer.text()), (502, "me: could not connect\n"));
    assert_eq!(answer.field("proxy-status").as_deref(), Some("me; error=connection_refused"));
    assert!(talk.has_ended().await);

    let answer = unreachable.ask("POST / HTTP/1.1\r\nHost: a\r\nExpect: payment\r\nContent-Length: 5\r\n\r\n").await;
    assert_eq!(answer.status, 417);
}

#[tokio::test]
async fn an_answer_may_come_before_the_content() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = Proxy::start(&format!("--to http://{}", listener.local_addr().expect("an address"))).await;
    let mut talk = proxy.connect().await;
    talk.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello").await;
    let mut far = Talk::new(listener.accept().await.expect("a connection").0);
    far.head().await;
    far.say("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").await;
    let answer = talk.answer().await;
    assert_eq!((answer.status, answer.text()), (413, "no"));
    // What was left of the content cannot be taken for a request.
    talk.try_say(get("/evil")).await;
    assert!(talk.has_ended().await);
    assert!(
        !String::from_utf8_lossy(&far.rest().await.unwrap_or_else(|bytes| bytes)).contains("GET /evil HTTP/1.1\r\nvia")
    );
}

#[tokio::test]
async fn a_loop_is_noticed() {
    let proxy = Proxy::start("").await;
    let own = format!("http://{}/", proxy.address);
    let request = format!("GET {own} HTTP/1.1\r\nHost: {}\r\n\r\n", proxy.address);
    // The proxy asks itself, in origin form, which a forward proxy refuses anyway: the loop is told first.
    assert_eq!(proxy.ask(request).await.status, 400);
    let answer = proxy.ask("GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nVia: 1.1 x, 1.1 me\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (508, "me: the request came this way before\n"));
    assert_eq!(answer.field("proxy-status").as_deref(), Some("me; error=proxy_loop_detected"));
}

#[tokio::test]
async fn what_is_answered_on_the_spot() {
    let server = friendly().await;
    let proxy = Proxy::before(&server).await;
    let connect = proxy.ask("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n").await;
    assert_eq!(connect.status, 501);
    assert!(connect.text().contains("CONNECT is not served"), "{}", connect.text());
    let options = proxy.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((options.status, options.text()), (200, ""));
    let options = proxy.ask("OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n").await;
    assert_eq!((options.status, options.text()), (200, ""));
    let trace = proxy.ask("TRACE /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nCookie: a=1\r\nX: y\r\n\r\n").await;
    assert_eq!(trace.field("content-type").as_deref(), Some("message/http"));
    assert_eq!(trace.text(), "TRACE /x HTTP/1.1\r\nhost: a\r\nmax-forwards: 0\r\nx: y\r\n");
    assert_eq!(server.request_count(), 0);
    let trace = proxy.ask("TRACE /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n").await;
    assert_eq!(trace.text(), "ok");
    assert_eq!(server.take_requests()[0].header("max-forwards"), Some("0"));
}

#[tokio::test]
async fn a_switch_of_protocols_is_not_asked_for() {
    let server = friendly().await;
    let proxy = Proxy::before(&server).await;
    let answer = proxy
        .ask("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n")
        .await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    let seen = server.take_requests().remove(0);
    assert_eq!((seen.header("upgrade"), seen.header("connection")), (None, None));
}
