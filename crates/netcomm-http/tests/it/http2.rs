//! HTTP/2: many calls on one connection, requests that their peer did not process, and peers that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use netcomm_core::{Env, ErrorKind, Event};
use netcomm_http::{Client, Error, Http2};
use netcomm_tests::{CollectingObserver, ScriptedDialer, TokioClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, split};

use crate::stage::{soon, timed};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` as HPACK has it in its static table.
const STATUS_200: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).expect("a short payload").to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn go_away(last: u32, code: Reason) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), u32::from(code).to_be_bytes()].concat())
}

/// Greets the client and reads to the end of the first request's head.
async fn greet(io: &mut DuplexStream) {
    io.write_all(&frame(SETTINGS, 0, 0, &[])).await.expect("a client that listens");
    let mut preface = [0; 24];
    io.read_exact(&mut preface).await.expect("preface");
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    loop {
        let mut head = [0; 9];
        io.read_exact(&mut head).await.expect("frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        io.read_exact(&mut vec![0; length as usize]).await.expect("payload");
        if head[3] == HEADERS {
            return;
        }
    }
}

async fn drain(mut io: impl tokio::io::AsyncRead + Unpin) {
    drop(tokio::io::copy(&mut io, &mut tokio::io::sink()).await);
}

/// The client's end of a connection to a peer, and how often it was dialled.
fn world() -> (ScriptedDialer, Client) {
    let dialer = ScriptedDialer::new();
    let env = Env::new(dialer.clone(), TokioClock::new());
    let client = Client::builder(&env).http2(Http2::Always).build().expect("client");
    (dialer, client)
}

/// Answers the first request with `opening` and then `repeated` without end, reading all the while or not at all.
/// Gives the error of the call, how long it took, and how many bytes the client took in.
async fn flooded(opening: Vec<u8>, repeated: Vec<u8>, reads: bool) -> (Error, Duration, usize) {
    let (dialer, client) = world();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    dialer.serve_all(move |mut io| {
        let (opening, repeated, count) = (opening.clone(), repeated.clone(), Arc::clone(&count));
        async move {
            greet(&mut io).await;
            let (from, mut to) = split(io);
            let flood = async {
                let mut next = &opening;
                for round in 1.. {
                    if to.write_all(next).await.is_err() {
                        break;
                    }
                    count.fetch_add(next.len(), Ordering::Relaxed);
                    next = &repeated;
                    if round % 100 == 0 {
                        // Lets the paused time pass.
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            };
            if reads {
                tokio::select! { () = drain(from) => {}, () = flood => {} }
            } else {
                flood.await;
            }
        }
    });
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    (outcome.expect_err("a flood is no answer"), took, taken.load(Ordering::Relaxed))
}

const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_bomb_of_headers_is_an_error_at_the_limit() {
    // One field of 4,000 bytes goes into the table, then it is named again and again: 40 MB in 14 KB.
    for times in [20, 10_000] {
        let mut block = vec![STATUS_200, 0x40, 1, b'x', 0x7f, 0xa1, 0x1e];
        block.extend(vec![b'a'; 4000]);
        block.extend(vec![0xbe; times]);
        let bomb = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
        let (error, took, _) = flooded(bomb, frame(PING, 0, 0, &[0; 8]), true).await;
        assert!(matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::Protocol | ErrorKind::Closed), "{error:?}");
        assert!(took < HEADER_TIMEOUT, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_without_end_is_an_error_and_is_not_kept() {
    let mut field = vec![0x00, 1, b'x', 100];
    field.extend(vec![b'a'; 100]);
    for piece in [&[][..], &field] {
        let opening = frame(HEADERS, END_STREAM, 1, &[STATUS_200]);
        let (error, took, taken) = flooded(opening, frame(CONTINUATION, 0, 1, piece), true).await;
        assert!(matches!(error.kind(), ErrorKind::Closed | ErrorKind::TooLarge | ErrorKind::Protocol), "{error:?}");
        assert!(took < HEADER_TIMEOUT, "{took:?}");
        assert!(taken < 1024 * 1024, "{taken} bytes taken in");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_resets_ends_the_call_once() {
    let reset = frame(RST_STREAM, 0, 1, &u32::from(Reason::INTERNAL_ERROR).to_be_bytes());
    let (error, took, taken) = flooded(reset.clone(), reset, true).await;
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(taken < 1024 * 1024, "{taken} bytes taken in");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_floods_and_reads_is_given_up_at_the_header_timeout() {
    for repeated in [frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]), frame(PING, 0, 0, &[0; 8])] {
        let (error, took, _) = flooded(repeated.clone(), repeated, true).await;
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Closed | ErrorKind::Protocol), "{error:?}");
        assert!(took <= HEADER_TIMEOUT, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_asks_for_answers_and_does_not_read_them_is_not_listened_to() {
    for repeated in [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, &[0; 8])] {
        let (_, took, taken) = flooded(repeated.clone(), repeated, false).await;
        assert!(took <= HEADER_TIMEOUT, "{took:?}");
        assert!(taken < 1024 * 1024, "{taken} bytes taken in");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_overflows_is_an_error() {
    let most = frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes());
    let (error, took, taken) = flooded(most.clone(), most, true).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(took < HEADER_TIMEOUT, "{took:?}");
    assert!(taken < 1024 * 1024, "{taken} bytes taken in");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_long_is_an_error() {
    let long = frame(HEADERS, END_HEADERS, 1, &[STATUS_200; 20_000]);
    let (error, took, _) = flooded(long, frame(PING, 0, 0, &[0; 8]), true).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(took < HEADER_TIMEOUT, "{took:?}");
}

async fn body(mut stream: RecvStream) -> Bytes {
    let mut whole = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.expect("data");
        stream.flow_control().release_capacity(data.len()).expect("released");
        whole.extend(data);
    }
    whole.into()
}

fn answer(respond: &mut SendResponse<Bytes>, text: impl Into<Bytes>) {
    let mut stream = respond.send_response(Response::new(()), false).expect("head");
    stream.send_data(text.into(), true).expect("body");
}

/// Serves one connection; each request is answered with its own method and body.
async fn echo(io: DuplexStream) {
    let mut connection = h2::server::handshake(io).await.expect("handshake");
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        drop(tokio::spawn(async move {
            let (head, stream) = request.into_parts();
            let body = String::from_utf8_lossy(&body(stream).await).into_owned();
            answer(&mut respond, format!("{} {body}", head.method));
        }));
    }
}

/// Lets what is under way on a connection go on until its end.
async fn go_on(mut connection: h2::server::Connection<DuplexStream, Bytes>) {
    while let Some(Ok(_)) = connection.accept().await {}
}

async fn next(
    connection: &mut h2::server::Connection<DuplexStream, Bytes>,
) -> (Request<RecvStream>, SendResponse<Bytes>) {
    connection.accept().await.expect("a request").expect("a sound request")
}

async fn post(client: &Client) -> Result<String, Error> {
    soon(Box::pin(async { client.post("http://a.example/").body("laden").send().await?.text().await })).await
}

#[tokio::test(start_paused = true)]
async fn ten_calls_at_once_share_one_connection() {
    let dialer = ScriptedDialer::new();
    dialer.set_alpn(b"h2");
    let client = Client::builder(&Env::new(dialer.clone(), TokioClock::new())).build().expect("client");
    dialer.serve_all(async |io| {
        let mut connection = h2::server::handshake(io).await.expect("handshake");
        // None is answered before all are there.
        let mut waiting = Vec::new();
        while waiting.len() < 10 {
            waiting.push(next(&mut connection).await);
        }
        for (request, mut respond) in waiting {
            answer(&mut respond, request.uri().path().to_owned());
        }
        go_on(connection).await;
    });
    let calls: Vec<_> = (0..10)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let response = client.get(format!("https://a.example/{number}").as_str()).send().await?;
                assert_eq!(response.version(), http::Version::HTTP_2);
                response.text().await
            })
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(soon(call).await.expect("no panic").expect("text"), format!("/{number}"));
    }
    assert_eq!(dialer.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_once_for_who_heard_of_its_beginning() {
    let (dialer, observer) = (ScriptedDialer::new(), CollectingObserver::new());
    let env = Env::new(dialer.clone(), TokioClock::new()).with_tap(observer.tap());
    let client = Client::builder(&env).http2(Http2::Always).build().expect("client");
    dialer.serve_all(echo);
    for _ in 0..2 {
        assert_eq!(post(&client).await.expect("text"), "POST laden");
    }
    let ends = || observer.count(|event| matches!(event, Event::Disconnected { .. }));
    assert_eq!((observer.count(|event| matches!(event, Event::Connected { .. })), ends()), (1, 0));
    drop(client);
    // The engine's task says goodbye to the peer first.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ends(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_wish_for_trailers_is_sent_whatever_the_version() {
    let (dialer, client) = world();
    dialer.serve_next(async |io| {
        let mut connection = h2::server::handshake(io).await.expect("handshake");
        let (request, mut respond) = next(&mut connection).await;
        let names = ["te", "connection"].map(|name| request.headers().get(name).cloned());
        answer(&mut respond, format!("{names:?}"));
        go_on(connection).await;
    });
    // As HTTP/1.1 wants it (RFC 9110 §10.1.4).
    let call = client.get("http://a.example/").header("te", "trailers").header("connection", "te").send();
    let text = soon(Box::pin(async { call.await?.text().await })).await.expect("answer");
    assert_eq!(text, "[Some(\"trailers\"), None]");
}

#[tokio::test(start_paused = true)]
async fn a_post_whose_stream_was_refused_is_sent_again() {
    let (dialer, client) = world();
    dialer.serve_next(async |io| {
        let mut connection = h2::server::handshake(io).await.expect("handshake");
        next(&mut connection).await.1.send_reset(Reason::REFUSED_STREAM);
        let (request, mut respond) = next(&mut connection).await;
        drop(tokio::spawn(async move { answer(&mut respond, body(request.into_body()).await) }));
        go_on(connection).await;
    });
    assert_eq!(post(&client).await.expect("answer"), "laden");
    assert_eq!(dialer.dials(), 1, "the connection is as good as it was");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_refuses_everything_is_not_asked_for_ever() {
    let (dialer, client) = world();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    dialer.serve_all(move |io| {
        let count = Arc::clone(&count);
        async move {
            let mut connection = h2::server::handshake(io).await.expect("handshake");
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                respond.send_reset(Reason::REFUSED_STREAM);
            }
        }
    });
    let error = post(&client).await.expect_err("refused");
    assert!(error.is_unsent() && error.kind() == ErrorKind::Closed, "{error:?}");
    let asked = asked.load(Ordering::Relaxed);
    assert!((2..=20).contains(&asked), "asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn a_post_beyond_a_graceful_end_is_sent_again_elsewhere() {
    let (dialer, client) = world();
    dialer.serve_next(async |mut io| {
        greet(&mut io).await;
        io.write_all(&go_away(0, Reason::NO_ERROR)).await.expect("a client that listens");
        drain(io).await;
    });
    dialer.serve_next(echo);
    assert_eq!(post(&client).await.expect("answer"), "POST laden");
    assert_eq!(dialer.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_may_have_been_processed_is_not_sent_again() {
    let (dialer, client) = world();
    dialer.serve_next(async |mut io| {
        greet(&mut io).await;
        io.write_all(&go_away(1, Reason::INTERNAL_ERROR)).await.expect("a client that listens");
        io.shutdown().await.expect("a client that listens");
        drain(io).await;
    });
    dialer.serve_all(echo);
    let error = post(&client).await.expect_err("not to be repeated");
    assert!(error.kind() == ErrorKind::Closed && !error.is_unsent(), "{error:?}");
    assert_eq!(dialer.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_a_graceful_end_is_finished_and_the_next_call_goes_elsewhere() {
    let (dialer, client) = world();
    dialer.serve_next(async |mut io| {
        greet(&mut io).await;
        io.write_all(&go_away(1, Reason::NO_ERROR)).await.expect("a client that listens");
        io.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &[STATUS_200])).await.expect("a client that listens");
        drain(io).await;
    });
    dialer.serve_next(echo);
    assert_eq!(post(&client).await.expect("answer"), "");
    assert_eq!(post(&client).await.expect("answer"), "POST laden");
    assert_eq!(dialer.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_with_prior_knowledge_shares_one_connection_from_the_start() {
    let (dialer, client) = world();
    dialer.serve_all(echo);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { post(&client).await })
        })
        .collect();
    for call in calls {
        assert_eq!(soon(call).await.expect("no panic").expect("answer"), "POST laden");
    }
    assert_eq!(dialer.dials(), 1);
}
