//! Arbitrary bytes as the answer of a server: the call ends in bounded time and memory, whatever they are, and it makes
//! no difference in which pieces they come.
//!
//! Input: a byte of choices, two bytes that say where the answer is split, the answer.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use netcomm_core::{Env, ErrorKind, Limits, Result, Timeouts};
use netcomm_http::{Client, Http2, Redirects};
use netcomm_tests::{ScriptedDialer, TokioClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const MAX_BODY_BYTES: usize = 16 * 1024;
const TOTAL: Duration = Duration::from_secs(60);

/// What the caller hears: status, body, trailing failure.
type Verdict = Result<(u16, Bytes), ErrorKind>;

fuzz_target!(|data: &[u8]| {
    let [choices, high, low, answer @ ..] = data else { return };
    let split = usize::from(u16::from_be_bytes([*high, *low])) % (answer.len() + 1);
    let hangs = choices & 1 != 0;
    let http2 = choices & 2 != 0;
    let head = choices & 4 != 0;
    let decode = choices & 8 != 0;
    let run = |pieces: &[&[u8]]| {
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        verdict(pieces, hangs, http2, head, decode)
    };
    let whole = run(&[answer]);
    let (first, second) = answer.split_at(split);
    let halves = run(&[first, second]);
    // What is said of a broken HTTP/2 connection depends on what was being done when it broke.
    assert!(http2 || agree(&whole, &halves), "split at {split}: {whole:?} in one piece, {halves:?} in two");
});

/// Whether two verdicts are the same. The engine looks at the later pieces of a head only when it is complete: one that
/// is malformed and never ends is noticed or waited for.
fn agree(one: &Verdict, other: &Verdict) -> bool {
    let endless = |kind: &ErrorKind| matches!(kind, ErrorKind::Protocol | ErrorKind::Closed | ErrorKind::Timeout);
    match (one, other) {
        (Err(one), Err(other)) => one == other || (endless(one) && endless(other)),
        (one, other) => one == other,
    }
}

fn verdict(pieces: Vec<Vec<u8>>, hangs: bool, http2: bool, head: bool, decode: bool) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async move {
        let dialer = ScriptedDialer::new();
        dialer.set_buffer_bytes(1 << 20);
        dialer.serve_all(move |stream| serve(stream, pieces.clone(), hangs, http2));
        let timeouts = Timeouts::default()
            .with_header(Duration::from_secs(5))
            .with_idle_body(Duration::from_secs(5))
            .with_connect(Duration::from_secs(5))
            .with_total(Some(TOTAL));
        let limits = Limits::default()
            .with_headers(20)
            .with_header_bytes(8 * 1024)
            .with_interim(4)
            .with_body_bytes(MAX_BODY_BYTES as u64)
            .with_buffered_bytes(MAX_BODY_BYTES);
        let env = Env::new(dialer, TokioClock::new());
        let client = Client::builder(&env)
            .timeouts(timeouts)
            .limits(limits)
            .redirects(Redirects::Manual)
            .http2(if http2 { Http2::Always } else { Http2::Never })
            .build()
            .expect("a client");
        let call = async {
            let request = if head { client.head("http://a.example/") } else { client.get("http://a.example/") };
            let response = request.decode(decode).send().await?;
            let status = response.status().as_u16();
            Ok::<_, netcomm_core::Error>((status, response.bytes().await?))
        };
        let outcome = tokio::time::timeout(TOTAL + Duration::from_secs(1), call).await.expect("the call ends in time");
        if let Ok((_, body)) = &outcome {
            assert!(body.len() <= MAX_BODY_BYTES, "{} bytes", body.len());
        }
        outcome.map_err(|error| error.kind())
    })
}

/// Answers with those pieces, each when the one before was taken.
async fn serve(mut stream: DuplexStream, pieces: Vec<Vec<u8>>, hangs: bool, http2: bool) {
    let mut request = Vec::new();
    while !http2 && !request.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
    for piece in pieces {
        // The clock moves on only when the client has taken all that there is.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if stream.write_all(&piece).await.is_err() {
            return;
        }
    }
    if hangs {
        while let Ok(1..) = stream.read_buf(&mut request).await {
            request.clear();
        }
    }
}
