//! Arbitrary bytes as a coded body: what is decoded is bounded, and it makes no difference in which pieces it came.
//!
//! Input: a byte that chooses the coding, one that chooses the size of the pieces, the body.
#![no_main]

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response};
use libfuzzer_sys::fuzz_target;
use netcomm_core::{Body, Env, ErrorKind, HttpTransport, Limits, Result};
use netcomm_http::Client;
use netcomm_tests::{ManualClock, ScriptedDialer};

const CODINGS: [&str; 7] = ["gzip", "deflate", "br", "zstd", "gzip, br", "zstd, gzip", "x-gzip"];
/// Up to this much is decoded before the ratio is looked at.
const FREE_BYTES: usize = 1024 * 1024;
const RATIO: u64 = 20;
/// What one step of a decoder may give beyond a limit before it is seen.
const SLACK_BYTES: usize = 256 * 1024;

fuzz_target!(|data: &[u8]| {
    let [coding, piece, body @ ..] = data else { return };
    let coding = CODINGS[usize::from(*coding) % CODINGS.len()];
    let body = Bytes::copy_from_slice(body);
    let small = Limits::default().with_body_bytes(64 * 1024);
    let whole = run(coding, &body, body.len().max(1), &small);
    let pieces = run(coding, &body, usize::from(*piece).max(1), &small);
    assert_eq!(whole, pieces, "in pieces of {piece}");
    let large = Limits::default().with_body_bytes(4 * FREE_BYTES as u64).with_decode_ratio(RATIO);
    let outcome = run(coding, &body, 4096, &large);
    let most = FREE_BYTES.max(body.len() * RATIO as usize) + SLACK_BYTES;
    assert!(outcome.bytes <= most, "{} bytes from {}", outcome.bytes, body.len());
});

/// What came out, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    bytes: usize,
    sum: u64,
    error: Option<ErrorKind>,
}

fn run(coding: &'static str, body: &Bytes, piece_bytes: usize, limits: &Limits) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let env = Env::new(ScriptedDialer::new(), ManualClock::new());
        let answer = Answer { coding, body: body.clone(), piece_bytes };
        let client = Client::builder(&env).transport(answer).limits(limits.clone()).build().expect("a client");
        let mut outcome = Outcome { bytes: 0, sum: 0, error: None };
        let mut response = match client.get("http://a.example/").send().await {
            Ok(response) => response,
            Err(error) => return Outcome { error: Some(error.kind()), ..outcome },
        };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    assert!(!chunk.is_empty(), "a chunk of nothing");
                    outcome.bytes += chunk.len();
                    let add = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
                    outcome.sum = chunk.iter().fold(outcome.sum, add);
                }
                Ok(None) => break,
                Err(error) => {
                    outcome.error = Some(error.kind());
                    assert!(matches!(response.chunk().await, Ok(None)), "more after an error");
                    // How much came before the error may depend on the pieces.
                    (outcome.sum, outcome.bytes) = (0, if limits.decode_ratio == RATIO { outcome.bytes } else { 0 });
                    break;
                }
            }
        }
        let most = usize::try_from(limits.body_bytes).unwrap_or(usize::MAX);
        assert!(outcome.bytes <= most, "{} bytes, {most} allowed", outcome.bytes);
        outcome
    })
}

struct Answer {
    coding: &'static str,
    body: Bytes,
    piece_bytes: usize,
}

impl HttpTransport for Answer {
    async fn send(&self, _request: Request<Body>) -> Result<Response<Body>> {
        let pieces: Vec<Result<Bytes>> =
            self.body.chunks(self.piece_bytes).map(|piece| Ok(self.body.slice_ref(piece))).collect();
        let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
        response.headers_mut().insert("content-encoding", HeaderValue::from_static(self.coding));
        Ok(response)
    }
}
