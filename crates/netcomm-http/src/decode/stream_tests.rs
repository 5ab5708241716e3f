//! Bodies that are decoded as they come, and what is too much of them.

use std::pin::Pin;
use std::task::{Context, Poll};

use async_compression::Level;
use async_compression::tokio::bufread::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use bytes::Bytes;
use netcomm_core::Phase;
use proptest::prelude::{ProptestConfig, any, proptest};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

use super::*;

const CODINGS: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];
const TEXT: &[u8] = b"the quick brown fox jumps over the lazy dog; the lazy dog sleeps on";

/// Runs what needs no reactor.
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn all(mut reader: impl AsyncRead + Unpin) -> Vec<u8> {
    run(async {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.expect("memory does not fail");
        bytes
    })
}

fn encode(coding: Coding, plain: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => all(GzipEncoder::new(plain)),
        Coding::Deflate => all(ZlibEncoder::new(plain)),
        Coding::Brotli => all(BrotliEncoder::with_quality(plain, Level::Fastest)),
        Coding::Zstd => all(ZstdEncoder::new(plain)),
    }
}

/// A body of these chunks, with a wait before each, then perhaps an error.
struct Chunks {
    chunks: std::vec::IntoIter<Bytes>,
    error: Option<Error>,
    waited: bool,
}

impl futures_core::Stream for Chunks {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let this = &mut *self;
        Poll::Ready(this.chunks.next().map(Ok).or_else(|| this.error.take().map(Err)))
    }
}

fn body(bytes: &[u8], chunk_bytes: usize) -> Body {
    failing(bytes, chunk_bytes, None)
}

fn failing(bytes: &[u8], chunk_bytes: usize, error: Option<Error>) -> Body {
    let chunks: Vec<_> = bytes.chunks(chunk_bytes).map(Bytes::copy_from_slice).collect();
    Body::from_stream(Chunks { chunks: chunks.into_iter(), error, waited: false })
}

fn read(body: Body, codings: &[Coding]) -> Result<Bytes> {
    run(decode(body, codings.to_vec(), &Limits::default()).collect(1 << 30))
}

fn kind(body: Body, codings: &[Coding]) -> Option<ErrorKind> {
    read(body, codings).err().map(|error| error.kind())
}

/// Bytes that do not repeat much.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3] & 0x3f
    };
    std::iter::repeat_with(&mut step).take(count).collect()
}

#[test]
fn the_order_is_turned_round() {
    for (value, codings) in [
        ("gzip", &[Coding::Gzip][..]),
        ("X-GZip", &[Coding::Gzip]),
        ("deflate, identity, br", &[Coding::Brotli, Coding::Deflate]),
        ("ZSTD,gzip", &[Coding::Gzip, Coding::Zstd]),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(value));
        let plan = plan(&headers, &Limits::default()).expect("few");
        assert_eq!(plan, Plan::Decode(codings.to_vec()));
    }
    assert_eq!(accept_encoding().expect("built in"), "gzip, deflate, br, zstd");
}

#[test]
fn round_trips_through_any_chunks() {
    for plain in [&b"x"[..], TEXT, &noise(20_000), &vec![7; 70_000]] {
        for coding in CODINGS {
            let coded = encode(coding, plain);
            for chunk_bytes in [1, 7, 1000, coded.len()] {
                let decoded = read(body(&coded, chunk_bytes), &[coding]).expect("round trip");
                assert!(decoded == plain, "{coding:?} {chunk_bytes}");
            }
            for outer in CODINGS {
                let twice = encode(outer, &coded);
                let decoded = read(body(&twice, 5), &[outer, coding]).expect("two layers");
                assert!(decoded == plain, "{outer:?} {coding:?}");
            }
        }
        let raw = all(DeflateEncoder::new(plain));
        for chunk_bytes in [1, raw.len()] {
            let decoded = read(body(&raw, chunk_bytes), &[Coding::Deflate]).expect("bare");
            assert!(decoded == plain);
        }
    }
}

#[test]
fn nothing_stays_nothing_and_coded_nothing_too() {
    for coding in CODINGS {
        assert_eq!(read(body(b"", 1), &[coding]).expect("empty"), "");
        assert_eq!(decode(Body::empty(), vec![coding], &Limits::default()).len(), Some(0));
        assert_eq!(read(body(&encode(coding, b""), 1), &[coding]).expect("coded"), "");
    }
}

#[test]
fn what_is_there_comes_at_once() {
    let mut coded = encode(Coding::Gzip, TEXT);
    let rest = coded.split_off(coded.len() - 4);
    run(async {
        let mut body = decode(
            failing(&coded, coded.len(), Some(Error::timeout("read", Phase::Receive))),
            vec![Coding::Gzip],
            &Limits::default(),
        );
        assert_eq!(body.chunk().await.expect("before the wait").as_deref(), Some(TEXT));
        assert!(body.chunk().await.is_err());
    });
    coded.extend(rest);
    assert_eq!(read(body(&coded, 10), &[Coding::Gzip]).expect("whole"), TEXT);
}

#[test]
fn cut_off_anywhere_is_never_a_success() {
    for plain in [TEXT, &noise(300)] {
        for coding in CODINGS {
            let coded = encode(coding, plain);
            for end in 1..coded.len() {
                for chunk_bytes in [1 + plain.len() / 100, end] {
                    let kind = kind(body(&coded[..end], chunk_bytes), &[coding]);
                    assert_eq!(kind, Some(ErrorKind::Incomplete), "{coding:?} {end}");
                }
            }
            let twice = encode(Coding::Gzip, &coded[..coded.len() - 1]);
            let kind = kind(body(&twice, 9), &[Coding::Gzip, coding]);
            assert_eq!(kind, Some(ErrorKind::Incomplete), "{coding:?} inside");
        }
        let raw = all(DeflateEncoder::new(plain));
        for end in 1..raw.len() {
            let kind = kind(body(&raw[..end], 1), &[Coding::Deflate]);
            assert_eq!(kind, Some(ErrorKind::Incomplete), "bare {end}");
        }
    }
}

#[test]
fn junk_after_the_end_is_an_error() {
    for coding in CODINGS {
        for junk in [&b"\0"[..], b"junk!", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &[0xaa; 5000]] {
            let mut coded = encode(coding, TEXT);
            coded.extend_from_slice(junk);
            for chunk_bytes in [1, 3, coded.len() - junk.len(), coded.len()] {
                let error = read(body(&coded, chunk_bytes), &[coding]).expect_err("junk");
                // One byte of junk may be the start of a magic number.
                let kinds = [ErrorKind::Decode, ErrorKind::Incomplete];
                let allowed = if coding == Coding::Zstd && junk.len() < 4 { &kinds } else { &kinds[..1] };
                assert!(allowed.contains(&error.kind()), "{coding:?} {junk:?}: {error:?}");
            }
        }
    }
}

#[test]
fn garbage_names_the_coding() {
    for (coding, name) in CODINGS.into_iter().zip(["gzip", "deflate", "br", "zstd"]) {
        for garbage in [&b"<!doctype html><p>not coded at all</p>"[..], &[0xff; 100]] {
            for chunk_bytes in [1, 100] {
                let error = read(body(garbage, chunk_bytes), &[coding]).expect_err("garbage");
                assert_eq!(error.kind(), ErrorKind::Decode, "{coding:?}: {error:?}");
                assert!(error.detail().is_some_and(|detail| detail.contains(name)), "{error}");
            }
        }
    }
}

#[test]
fn a_wrong_checksum_is_an_error() {
    for coding in [Coding::Gzip, Coding::Deflate] {
        let mut coded = encode(coding, TEXT);
        *coded.last_mut().expect("not empty") ^= 1;
        assert_eq!(kind(body(&coded, 6), &[coding]), Some(ErrorKind::Decode), "{coding:?}");
    }
}

#[test]
fn members_and_frames_follow_one_another() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let mut coded = encode(coding, b"hello ");
        coded.extend(encode(coding, b""));
        coded.extend(encode(coding, b"world"));
        for chunk_bytes in [1, 5, coded.len()] {
            let decoded = read(body(&coded, chunk_bytes), &[coding]).expect("members");
            assert_eq!(decoded, "hello world", "{coding:?} {chunk_bytes}");
        }
        let cut = kind(body(&coded[..coded.len() - 1], 4), &[coding]);
        assert_eq!(cut, Some(ErrorKind::Incomplete));
    }
}

#[test]
fn windows_that_ask_for_too_much_are_refused() {
    let window = |log| {
        let params = [CParameter::window_log(log), CParameter::content_size_flag(false)];
        let plain = noise(100_000);
        let coded = all(ZstdEncoder::with_quality_and_params(
            // Not known to be short, so that the window is not made to fit.
            BufReader::with_capacity(999, &plain[..]),
            Level::Fastest,
            &params,
        ));
        kind(body(&coded, 4096), &[Coding::Zstd])
    };
    assert_eq!((window(23), window(24)), (None, Some(ErrorKind::Decode)));
    // "Large window brotli": 30 bits.
    let error = read(body(&[0x11, 0x1e, 0x03, 0, 0, 0, 0], 1), &[Coding::Brotli]);
    assert_eq!(error.expect_err("large window").kind(), ErrorKind::Decode);
}

/// Bytes that came out, and what ended it.
fn pour(mut body: Body) -> (u64, Error) {
    run(async {
        let mut count = 0;
        loop {
            match body.chunk().await {
                Ok(Some(chunk)) => {
                    assert!(chunk.len() <= 64 * 1024);
                    count += chunk.len() as u64;
                }
                Ok(None) => panic!("all {count} bytes came out"),
                Err(error) => {
                    assert_eq!(body.chunk().await.expect("ended"), None);
                    return (count, error);
                }
            }
        }
    })
}

#[test]
fn bombs_stop_early() {
    const ZEROS: u64 = 64 * 1024 * 1024;
    let zeros = || BufReader::with_capacity(65_536, tokio::io::repeat(0).take(ZEROS));
    let bomb = all(GzipEncoder::with_quality(zeros(), Level::Best));
    assert!(ZEROS / bomb.len() as u64 > 1000, "{}", bomb.len());
    let limits = Limits::default();
    for chunk_bytes in [1, 1400, bomb.len()] {
        let decoded = decode(body(&bomb, chunk_bytes), vec![Coding::Gzip], &limits);
        let (count, error) = pour(decoded);
        assert!(count <= 1024 * 1024 + 64 * 1024, "{count}");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("decode_ratio"), "{error}");
    }
    // Each layer alone stays under a ratio of 1100, both together do not.
    let twice = encode(Coding::Gzip, &bomb);
    let limits = limits.with_decode_ratio(1100);
    assert!(pour_all(decode(body(&bomb, 999), vec![Coding::Gzip], &limits)) == ZEROS);
    let (count, error) = pour(decode(body(&twice, 99), vec![Coding::Gzip; 2], &limits));
    assert!(count <= 2 * 1024 * 1024, "{count}");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    // The same for the other codings, whose ratios are far higher.
    let limits = Limits::default();
    let coded = all(ZstdEncoder::new(zeros()));
    let (count, _) = pour(decode(body(&coded, 100), vec![Coding::Zstd], &limits));
    assert!(count <= 2 * 1024 * 1024, "{count}");
    let coded = all(BrotliEncoder::with_quality(zeros(), Level::Fastest));
    let (count, _) = pour(decode(body(&coded, 100), vec![Coding::Brotli], &limits));
    assert!(count <= 2 * 1024 * 1024, "{count}");
}

fn pour_all(mut body: Body) -> u64 {
    run(async {
        let mut count = 0;
        while let Some(chunk) = body.chunk().await.expect("within the limits") {
            count += chunk.len() as u64;
        }
        count
    })
}

#[test]
fn decoded_bytes_are_bounded() {
    let plain = noise(100_000);
    for coding in CODINGS {
        let coded = encode(coding, &plain);
        let limited = |bytes| {
            let limits = Limits::default().with_body_bytes(bytes);
            decode(body(&coded, 500), vec![coding], &limits)
        };
        assert_eq!(pour_all(limited(100_000)), 100_000);
        let (count, error) = pour(limited(99_999));
        assert!(count <= 99_999);
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("body_bytes"), "{error}");
    }
}

#[test]
fn the_bodys_own_error_comes_through() {
    for coding in CODINGS {
        let coded = encode(coding, &noise(5000));
        for end in [0, 1, 1000, coded.len()] {
            for codings in [&[coding][..], &[Coding::Gzip, coding]] {
                let coded = match codings {
                    [_] => coded.clone(),
                    _ => encode(Coding::Gzip, &coded),
                };
                let error = Error::timeout("read body", Phase::Receive);
                let failing = failing(&coded[..end.min(coded.len())], 333, Some(error));
                let error = read(failing, codings).expect_err("the body failed");
                assert!(error.is_timeout(), "{error:?}");
                assert_eq!(error.operation(), "read body");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same_bytes(
        plain: Vec<u8>,
        repeat in 1_usize..200,
        sizes in proptest::collection::vec(1_usize..40, 1..50),
        coding in 0_usize..4,
    ) {
        let coding = CODINGS[coding];
        let plain = plain.repeat(repeat);
        let coded = encode(coding, &plain);
        let mut chunks = Vec::new();
        let mut rest = &coded[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            chunks.push(Bytes::copy_from_slice(chunk));
            rest = after;
        }
        let chunks = Chunks { chunks: chunks.into_iter(), error: None, waited: false };
        let decoded = read(Body::from_stream(chunks), &[coding]).expect("round trip");
        proptest::prop_assert!(decoded == plain);
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for coding in CODINGS {
            // Whatever comes out: no panic, no endless loop.
            let _ = read(body(&bytes, 7), &[coding]).is_ok();
        }
    }
}
