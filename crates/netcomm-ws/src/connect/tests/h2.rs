//! Handshakes over HTTP/2, against the server of another engine.

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use http::{Method, Request, Response};
use netcomm_core::ErrorKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::{GOOD, World, refusal, reply};
use crate::connect::{Connect, HttpVersion};
use crate::handshake::no_extensions;

type Asked = (Request<h2::RecvStream>, SendResponse<Bytes>);

/// Serves one connection; `answer` gets its only request. Ends as the connection does.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    stream: DuplexStream,
    speaks: bool,
    answer: impl FnOnce(Asked) -> F,
) {
    let mut builder = Builder::new();
    if speaks {
        builder.enable_connect_protocol();
    }
    let mut connection = builder.handshake::<_, Bytes>(stream).await.expect("a preface");
    let Some(asked) = connection.accept().await else { return };
    let task = tokio::spawn(answer(asked.expect("a request")));
    while connection.accept().await.is_some() {}
    task.await.expect("answered");
}

async fn echo((request, mut respond): Asked) {
    assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::CONNECT, "https://a.example/chat?x"));
    assert_eq!(request.extensions().get::<h2::ext::Protocol>().map(h2::ext::Protocol::as_str), Some("websocket"));
    let headers = request.headers();
    assert!(headers["sec-websocket-version"] == "13" && headers["sec-websocket-protocol"] == "chat");
    for name in ["upgrade", "connection", "sec-websocket-key", "host"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    let response = Response::builder().header("sec-websocket-protocol", "chat").body(()).expect("response");
    let mut out = respond.send_response(response, false).expect("sent");
    let mut body = request.into_body();
    // Whoever drops the stream cancels it.
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).expect("room");
        out.send_data(data, false).expect("sent");
    }
    drop(out.send_data(Bytes::new(), true));
}

fn over(world: &World, version: HttpVersion) -> Connect {
    Connect::new(&world.env, "wss://a.example/chat?x").subprotocols(["chat"]).http_version(version)
}

#[tokio::test]
async fn a_stream_is_a_connection_and_ends_with_it() {
    for version in [HttpVersion::Two, HttpVersion::Auto] {
        let world = World::new();
        world.dialer.set_alpn(b"h2");
        world.dialer.serve_next(|stream| serve(stream, true, echo));
        let opened = over(&world, version).open(no_extensions).await.expect("open");
        assert_eq!((opened.status.as_u16(), opened.subprotocol.as_deref()), (200, Some("chat")));
        assert_eq!((opened.uri.to_string().as_str(), opened.rest.capacity()), ("wss://a.example/chat?x", 0));
        assert_eq!(opened.io.info().alpn.as_deref(), Some(&b"h2"[..]));
        let sent = vec![7; 300_000];
        let (mut far, mut near) = tokio::io::split(opened.io);
        let mut came = vec![0; sent.len()];
        let (written, read) = tokio::join!(near.write_all(&sent), far.read_exact(&mut came));
        assert_eq!((written.is_ok(), read.is_ok(), came == sent), (true, true, true));
        drop((near, far));
        world.dialer.until_open(0).await;
        world.dialer.finish().await;
        let offered = world.dialer.targets()[0].tls.clone().expect("tls").alpn;
        assert_eq!(offered.len(), if version == HttpVersion::Two { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_it() {
    let world = World::new();
    world.dialer.set_alpn(b"h2");
    world.dialer.serve_all(|stream| serve(stream, false, |_| async { panic!("nobody may ask") }));
    let error = over(&world, HttpVersion::Two).open(no_extensions).await.expect_err("not spoken");
    assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Unsupported, true));
    assert!(error.to_string().contains("ENABLE_CONNECT_PROTOCOL"), "{error}");
    world.dialer.until_open(0).await;

    world.dialer.serve_next(|stream| serve(stream, false, |_| async { panic!("nobody may ask") }));
    world.dialer.serve_next(|stream| async move { drop(reply(stream, GOOD).await) });
    let opened = over(&world, HttpVersion::Auto).open(no_extensions).await.expect("dialled again");
    assert_eq!(opened.status.as_u16(), 101);
    let offered: Vec<_> = world.dialer.targets().iter().map(|target| target.tls.clone().expect("tls").alpn).collect();
    assert_eq!(offered[1..], [vec![b"h2".to_vec(), b"http/1.1".to_vec()], vec![b"http/1.1".to_vec()]]);
    world.dialer.until_open(1).await;
}

#[tokio::test]
async fn what_alpn_did_not_agree_on() {
    let world = World::new();
    world.dialer.set_alpn(b"http/1.1");
    world.dialer.serve_next(|mut stream| async move {
        assert_eq!(stream.read_to_end(&mut Vec::new()).await.expect("closed"), 0, "nobody asks");
    });
    world.dialer.serve_all(|stream| async move { drop(reply(stream, GOOD).await) });
    let error = over(&world, HttpVersion::Two).open(no_extensions).await.expect_err("no h2");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(over(&world, HttpVersion::Auto).open(no_extensions).await.expect("open").status.as_u16(), 101);
    assert_eq!(world.dialer.dials(), 2);
    let clear = world.connect().http_version(HttpVersion::Auto);
    assert_eq!(clear.open(no_extensions).await.expect("open").status.as_u16(), 101);
}

#[tokio::test]
async fn over_a_clear_connection_by_prior_knowledge() {
    let world = World::new();
    world.dialer.serve_next(|stream| {
        serve(stream, true, |(request, mut respond)| async move {
            assert_eq!(request.uri(), "http://inner.example/chat");
            drop(respond.send_response(Response::new(()), false).expect("sent"));
        })
    });
    let connect = world.connect().header("host", "inner.example").http_version(HttpVersion::Two);
    assert_eq!(connect.open(no_extensions).await.expect("open").status.as_u16(), 200);
}

#[tokio::test]
async fn refusals_and_broken_answers() {
    let world = World::new();
    world.dialer.set_alpn(b"h2");
    let go = async |status: u16, field: (&'static str, &'static str), body: &'static str| {
        world.dialer.serve_next(move |stream| {
            serve(stream, true, move |(_, mut respond)| async move {
                let response = Response::builder().status(status).header(field.0, field.1).body(()).expect("response");
                let mut out = respond.send_response(response, body.is_empty()).expect("sent");
                if !body.is_empty() {
                    out.send_data(Bytes::from_static(body.as_bytes()), true).expect("sent");
                }
            })
        });
        over(&world, HttpVersion::Two).open(no_extensions).await.expect_err("not open")
    };
    let error = go(403, ("x", "y"), "no").await;
    assert_eq!((error.kind(), &refusal(&error).body[..]), (ErrorKind::Status, &b"no"[..]));
    let error = go(503, ("retry-after", "5"), "").await;
    assert!(error.retry_at().is_some() && refusal(&error).body.is_empty());
    assert_eq!(go(204, ("x", "y"), "").await.kind(), ErrorKind::Protocol);
    assert_eq!(go(200, ("sec-websocket-protocol", "other"), "").await.kind(), ErrorKind::Protocol);
    assert_eq!(go(200, ("sec-websocket-extensions", "x-own"), "").await.kind(), ErrorKind::Protocol);
    world.dialer.until_open(0).await;
}

#[tokio::test]
async fn a_connection_that_ends_or_speaks_something_else() {
    let world = World::new();
    world.dialer.set_alpn(b"h2");
    world.dialer.serve_next(|stream| async move { drop(stream) });
    let error = over(&world, HttpVersion::Two).open(no_extensions).await.expect_err("ended");
    assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Closed, true), "{error:?}");
    world.dialer.serve_next(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
        drop(stream.read_to_end(&mut Vec::new()).await);
    });
    let error = over(&world, HttpVersion::Two).open(no_extensions).await.expect_err("not h2");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
    world.dialer.until_open(0).await;
}

#[tokio::test]
async fn a_handshake_that_is_dropped_leaves_nothing() {
    let world = World::new();
    world.dialer.set_alpn(b"h2");
    let (asked, heard) = tokio::sync::oneshot::channel();
    world.dialer.serve_next(|stream| {
        serve(stream, true, |(_, respond)| async move {
            asked.send(()).expect("somebody waits");
            let mut respond = respond;
            drop(std::future::poll_fn(|cx| respond.poll_reset(cx)).await);
        })
    });
    let connect = over(&world, HttpVersion::Two);
    tokio::select! {
        biased;
        _ = connect.open(no_extensions) => panic!("there was no answer"),
        heard = heard => heard.expect("asked"),
    }
    world.dialer.until_open(0).await;
    world.dialer.finish().await;
}
