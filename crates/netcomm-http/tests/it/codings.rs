//! Content codings end to end: what is asked for, what is taken off, and what is left to the caller.

use async_compression::Level;
use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use netcomm_core::{Body, ErrorKind, Event, HttpTransport};
use netcomm_http::testing::{ReceivedRequest, Reply, Script, ScriptedServer};
use netcomm_http::{Client, RequestBuilder};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::stage::{Stage, soon, stage};

const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// Text that does not shrink too much.
fn content() -> String {
    (0_u32..20_000).map(|number| format!("{:x} ", number.wrapping_mul(2_654_435_761))).collect()
}

async fn whole(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut coded = Vec::new();
    encoder.read_to_end(&mut coded).await.expect("coded");
    coded
}

pub(crate) async fn coded(names: &str, plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    for name in names.split(", ") {
        bytes = match name {
            "gzip" | "x-gzip" | "GZIP" => whole(GzipEncoder::new(&bytes[..])).await,
            "deflate" => whole(ZlibEncoder::new(&bytes[..])).await,
            "br" => whole(BrotliEncoder::with_quality(&bytes[..], Level::Fastest)).await,
            "zstd" => whole(ZstdEncoder::new(&bytes[..])).await,
            _ => bytes,
        };
    }
    bytes
}

/// A server that answers everything with those bytes under that coding.
fn serving(coding: &'static str, bytes: Vec<u8>) -> Stage {
    stage(ScriptedServer::builder().handler(move |_| {
        Reply::status(200).header("content-encoding", coding).header("content-type", "text/plain").body(bytes.clone())
    }))
}

fn get(client: &Client) -> RequestBuilder {
    client.get("http://a.example/")
}

fn asked(stage: &Stage) -> Option<String> {
    stage.server.requests().last().and_then(|seen| seen.header("accept-encoding").map(str::to_owned))
}

#[tokio::test(start_paused = true)]
async fn every_coding_is_asked_for_and_taken_off() {
    let content = content();
    for coding in ["gzip", "x-gzip", "GZIP", "deflate", "br", "zstd", "gzip, br", "identity"] {
        let bytes = coded(coding, content.as_bytes()).await;
        assert!(coding == "identity" || bytes.len() < content.len(), "{coding} is a coding");
        let stage = serving(coding, bytes);
        let response = soon(get(&stage.client()).send()).await.expect("response");
        assert_eq!(asked(&stage).as_deref(), Some(ACCEPTED));
        if coding != "identity" {
            let left = ["content-encoding", "content-length"].map(|name| response.headers().contains_key(name));
            assert_eq!(left, [false, false], "{coding}: fields that tell of other bytes");
            assert_eq!(response.content_length(), None);
        }
        assert!(soon(response.text()).await.expect("text") == content, "{coding}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_codings_or_a_part_or_nothing_gets_the_bytes_as_they_came() {
    let bytes = coded("gzip", b"hello").await;
    let stage = serving("gzip", bytes.clone());
    let (client, plain) = (stage.client(), stage.builder().decode(false).build().expect("client"));
    let calls = [
        (get(&client).header("accept-encoding", "gzip"), Some("gzip")),
        (get(&client).decode(false), None),
        (get(&client).header("range", "bytes=0-"), None),
        (get(&plain), None),
    ];
    for (call, expected) in calls {
        let response = soon(call.send()).await.expect("response");
        assert_eq!(asked(&stage).as_deref(), expected);
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert_eq!(response.content_length(), Some(bytes.len() as u64));
        assert_eq!(response.bytes().await.expect("bytes"), bytes);
    }
    let text = soon(async { get(&plain).decode(true).send().await?.text().await }).await;
    assert_eq!(text.expect("decoded on request"), "hello");
}

#[tokio::test(start_paused = true)]
async fn coded_bytes_never_pass_for_text() {
    let bytes = coded("gzip", b"{}").await;
    for (coding, decode) in [("gzip", false), ("snappy", true), ("snappy, gzip", true), ("gzip, snappy", true)] {
        let stage = serving(coding, bytes.clone());
        let client = stage.client();
        let call = || soon(get(&client).decode(decode).send());
        let error = call().await.expect("response").text().await.expect_err("no text");
        assert_eq!(error.kind(), ErrorKind::Decode, "{coding}: {error:?}");
        let error = call().await.expect("response").json::<serde_json::Value>().await.expect_err("no json");
        assert_eq!(error.kind(), ErrorKind::Decode, "{coding}: {error:?}");
        let response = call().await.expect("response");
        assert_eq!(response.headers()["content-encoding"], coding);
        assert_eq!(response.bytes().await.expect("bytes"), bytes, "{coding}");
    }
}

#[tokio::test(start_paused = true)]
async fn coded_bytes_that_are_not_whole_and_sound_are_an_error() {
    let content = content();
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let sound = coded(coding, content.as_bytes()).await;
        let mut longer = sound.clone();
        longer.extend(b"<html>");
        let cases = [
            (sound[..sound.len() / 2].to_vec(), ErrorKind::Incomplete),
            (sound[..sound.len() - 1].to_vec(), ErrorKind::Incomplete),
            (longer, ErrorKind::Decode),
            (vec![0xff; 1000], ErrorKind::Decode),
        ];
        for (number, (bytes, expected)) in cases.into_iter().enumerate() {
            let stage = serving(coding, bytes);
            let text = soon(async { get(&stage.client()).send().await?.text().await }).await;
            assert_eq!(text.expect_err("not sound").kind(), expected, "{coding}, case {number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bomb_ends_at_the_ratio_and_too_many_layers_before_they_are_read() {
    let bomb = coded("gzip", &vec![0; 16 * 1024 * 1024]).await;
    let stage = serving("gzip", bomb);
    let mut response = soon(get(&stage.client()).send()).await.expect("response");
    let mut taken = 0;
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => taken += chunk.len(),
            Ok(None) => panic!("a bomb came through"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("decode_ratio"), "{error}");
    assert!(taken < 8 * 1024 * 1024, "{taken} bytes came through");

    let stage = serving("gzip, gzip, gzip", Vec::new());
    let error = soon(get(&stage.client()).send()).await.expect_err("three layers");
    assert!(error.kind() == ErrorKind::TooLarge && error.to_string().contains("decode_layers"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_coded_resource_keeps_its_fields() {
    let stage = stage(
        ScriptedServer::builder()
            .handler(|_| Reply::status(200).header("content-encoding", "gzip").header("content-length", "77")),
    );
    let response = soon(stage.client().head("http://a.example/").send()).await.expect("response");
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["content-length"], "77");
    assert_eq!(response.text().await.expect("nothing to decode"), "");
}

#[tokio::test(start_paused = true)]
async fn a_coded_download_that_breaks_off_goes_on_and_is_decoded_as_one() {
    let content = content();
    for coding in ["gzip", "br", "zstd"] {
        let bytes = coded(coding, content.as_bytes()).await;
        let part = move |seen: &ReceivedRequest| {
            let range = seen.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
            let from: usize = range.map_or(0, |from| from.parse().expect("an offset"));
            let line = match from {
                0 => "200 OK".to_owned(),
                _ => format!("206 Partial Content\r\ncontent-range: bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
            };
            let left = bytes.len() - from;
            let head = format!(
                "HTTP/1.1 {line}\r\netag: \"one\"\r\ncontent-encoding: {coding}\r\ncontent-length: {left}\r\n\r\n"
            );
            let script = Script::new().send(head).send(bytes[from..bytes.len().min(from + 40_000)].to_vec());
            if left > 40_000 { script.close() } else { script }
        };
        let stage = stage(ScriptedServer::builder().handler(part));
        let text = soon(Box::pin(async { get(&stage.client()).resume(9).send().await?.text().await })).await;
        assert!(text.expect("text") == content, "{coding}");
        let resumed = stage.seen.count(|event| matches!(event, Event::Resumed { .. }));
        assert!(resumed > 0 && stage.server.request_count() == resumed + 1, "{coding}: {resumed}");
        for seen in &stage.server.requests()[1..] {
            let codings = seen.header("accept-encoding");
            assert!(codings.is_some_and(|codings| codings.contains(coding)), "{coding}: the rest of {codings:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn progress_counts_the_bytes_of_the_wire() {
    let bytes = coded("gzip", content().as_bytes()).await;
    let length = bytes.len() as u64;
    let stage = serving("gzip", bytes);
    let told = std::sync::Arc::new(std::sync::Mutex::new(None));
    let teller = std::sync::Arc::clone(&told);
    let call = get(&stage.client())
        .on_download(move |progress| *teller.lock().expect("no panic") = Some((progress.bytes, progress.total)));
    soon(async { call.send().await?.text().await }).await.expect("text");
    assert_eq!(*told.lock().expect("no panic"), Some((length, Some(length))));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_transports_answer_is_decoded_too() {
    struct Fixed(Vec<u8>);

    impl HttpTransport for Fixed {
        async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, netcomm_http::Error> {
            assert_eq!(request.headers()["accept-encoding"], ACCEPTED);
            let mut response = http::Response::new(Body::from(self.0.clone()));
            response.headers_mut().insert("content-encoding", http::HeaderValue::from_static("zstd"));
            Ok(response)
        }
    }

    let stage = serving("identity", Vec::new());
    let transport = Fixed(coded("zstd", b"hello").await);
    let client = stage.builder().transport(transport).build().expect("client");
    let text = soon(async { get(&client).send().await?.text().await }).await;
    assert_eq!(text.expect("text"), "hello");
}
