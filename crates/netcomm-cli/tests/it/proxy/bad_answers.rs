//! Servers that break HTTP/1.1: the client gets a 502 with a reason, or an answer that is cut and never ends well.

use netcomm::http::testing::{Script, ScriptedServer};

use super::{Proxy, get};
use crate::stage::start;

enum Outcome {
    /// The answer is one of the proxy's own.
    Status(u16),
    /// The answer is passed on whole.
    Body(&'static str),
    /// The answer begins, and is cut.
    Cut,
}

use Outcome::{Body, Cut, Status};

fn rows() -> Vec<(&'static str, String, Outcome)> {
    let lines = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\nContent-Length: 5\r\n\r\nhello");
    let chunked = |chunks: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    let many = |count: usize| (0..count).map(|number| format!("x-{number}: y")).collect::<Vec<_>>().join("\r\n");
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let trailers: String = (0..5000).map(|number| format!("t{number}: x\r\n")).collect();
    vec![
        ("two equal Content-Length", lines("Content-Length: 5"), Body("hello")),
        ("two different Content-Length", lines("Content-Length: 6"), Status(502)),
        ("Content-Length with a plus", lines("Content-Length: +5"), Status(502)),
        ("Content-Length and chunked", both.to_owned(), Body("hello")),
        ("unknown Transfer-Encoding", lines("Transfer-Encoding: banana"), Status(502)),
        ("body shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_owned(), Cut),
        (
            "a long body cut off",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(50_000)),
            Cut,
        ),
        ("chunk size ZZ", chunked("5\r\nhello\r\nZZ\r\n"), Cut),
        ("chunk size overflow", chunked("FFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), Cut),
        ("chunked, cut off in a chunk", chunked("A\r\nhello"), Cut),
        ("chunked, cut off between chunks", chunked("5\r\nhello\r\n"), Cut),
        ("chunk lines with bare LF", chunked("5\nhello\n0\n\n"), Cut),
        ("200 KB of chunk extensions", chunked(&format!("5;x={}\r\nhello\r\n0\r\n\r\n", "y".repeat(200 * 1024))), Cut),
        ("5000 trailers", chunked(&format!("5\r\nhello\r\n0\r\n{trailers}\r\n")), Cut),
        ("101 header fields", lines(&many(100)), Status(502)),
        ("one header of 300 KB", lines(&format!("x: {}", "y".repeat(300 * 1024))), Status(502)),
        ("NUL in a value", lines("X-Odd: a\0b"), Status(502)),
        ("bare CR in a value", lines("X-Odd: a\rb"), Status(502)),
        ("folded header", lines("X-Odd: a\r\n b"), Status(502)),
        ("space before the colon", lines("X-Odd : a"), Status(502)),
        ("empty header name", lines(": a"), Status(502)),
        ("status 099", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n".to_owned(), Status(502)),
        ("status 1000", "HTTP/1.1 1000 Odd\r\nContent-Length: 0\r\n\r\n".to_owned(), Status(502)),
        ("status abc", "HTTP/1.1 abc Odd\r\nContent-Length: 0\r\n\r\n".to_owned(), Status(502)),
        ("HTTP/0.9", "<html>hello</html>\r\n".to_owned(), Status(502)),
        ("HTTP/2 as text", "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), Status(502)),
        ("a head with bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello".to_owned(), Body("hello")),
        ("16 interim answers", hints.repeat(16) + &lines("x: y"), Body("hello")),
        ("20,000 interim answers", hints.repeat(20_000) + &lines("x: y"), Status(502)),
        ("101 that nobody asked for", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n".to_owned(), Status(502)),
        ("an empty answer", String::new(), Status(502)),
        ("a head cut off", "HTTP/1.1 200 OK\r\nContent-".to_owned(), Status(502)),
        ("a second answer after the first", lines("x: y") + &lines("x: evil"), Body("hello")),
        ("junk after the answer", lines("x: y") + "\r\n\r\njunk", Body("hello")),
        ("204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello".to_owned(), Body("")),
        ("304 with a body", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello".to_owned(), Body("")),
        (
            "a redirect that is none",
            "HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Body(""),
        ),
    ]
}

#[tokio::test]
async fn bad_answers_never_look_good() {
    let all = rows();
    let scripts = all.iter().map(|(_, bytes, _)| Script::new().request().send(bytes.clone()).close());
    for (script, (name, _, outcome)) in scripts.zip(&all) {
        let good = Script::new().request().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean").repeat();
        let server = start(ScriptedServer::builder().on_connect([script, good])).await;
        let proxy = Proxy::before(&server).await;
        let mut talk = proxy.connect().await;
        // With content, so that nobody asks twice.
        talk.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
        let answer = talk.answer().await;
        match outcome {
            Status(status) => {
                assert_eq!((answer.status, answer.complete), (*status, true), "{name}: {answer:?}");
                assert!(answer.text().starts_with("me: ") && answer.text().ends_with('\n'), "{name}: {answer:?}");
                assert!(answer.field("proxy-status").is_some_and(|field| field.starts_with("me; error=")), "{name}");
            }
            Body(body) => assert_eq!((answer.text(), answer.complete), (*body, true), "{name}: {answer:?}"),
            Cut => {
                assert!(!answer.complete, "{name}: {answer:?}");
                assert!(talk.has_ended().await, "{name}");
            }
        }
        // Nothing of it is left for the next one, of this client or of another.
        let answer = proxy.ask(get("/")).await;
        assert_eq!((answer.status, answer.text()), (200, "clean"), "{name}: {answer:?}");
        if !matches!(outcome, Cut) {
            talk.say(get("/")).await;
            assert_eq!(talk.answer().await.text(), "clean", "{name}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_is_a_reset_where_its_end_would_look_good() {
    let script =
        Script::new().request().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").close();
    let server = start(ScriptedServer::builder().on_connect([script])).await;
    let proxy = Proxy::before(&server).await;
    let mut talk = proxy.connect().await;
    talk.say("GET / HTTP/1.0\r\n\r\n").await;
    assert!(talk.rest().await.is_err(), "HTTP/1.0 takes the end of the connection for the end of the body");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_a_504() {
    let dripping = Script::new().request().send("HTTP/1.1 200 OK\r\nx: ").stall();
    let server = start(ScriptedServer::builder().on_connect([Script::new().request().stall(), dripping])).await;
    let proxy = Proxy::start(&format!("--to {} --header-timeout 0.2", server.url(""))).await;
    for _ in 0..2 {
        let answer = proxy.ask(get("/")).await;
        assert_eq!(answer.status, 504);
        assert_eq!(answer.text(), "me: timed out: no response head for 200ms (timeout header) [wait]\n");
        assert_eq!(answer.field("proxy-status").as_deref(), Some("me; error=http_response_timeout"));
    }
    let script = Script::new().request().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").stall();
    let server = start(ScriptedServer::builder().on_connect([script])).await;
    let proxy = Proxy::start(&format!("--to {} --idle-timeout 0.2", server.url(""))).await;
    let answer = proxy.ask(get("/")).await;
    assert_eq!((answer.status, answer.text(), answer.complete), (200, "hello", false));
}
