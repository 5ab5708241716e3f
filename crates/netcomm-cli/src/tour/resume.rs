//! A download that breaks off in the middle.

use bytes::Bytes;
use netcomm::ErrorKind;
use netcomm::http::testing::{ReceivedRequest, Reply, ScriptedServer};

use super::scene::{Scene, Verdict, ensure, expect_error};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "resume",
    title: "A download that breaks off in the middle",
    origin: "closes the connection after each third of the file; changes another file meanwhile",
    promise: "the rest is asked for by Range and If-Range; parts of two versions are never joined",
    play: || Box::pin(play()),
};

const FILE_BYTES: usize = 900_000;
const PIECE: usize = FILE_BYTES / 3;
const TAG: &str = "\"v1\"";

async fn play() -> Verdict {
    let file = noise();
    let served = file.clone();
    let origin = ScriptedServer::builder()
        .route_each(
            "/changing",
            [broken_off(&file, 0).header("etag", TAG), Reply::status(200).header("etag", "\"v2\"").body(file.clone())],
        )
        .handler(move |request| broken_off(&served, start_of(request)).header("etag", TAG))
        .start()
        .await?;
    let client = stage::client().resume(5).build()?;

    let got = client.get(origin.url("/file")).send().await?.error_for_status()?.bytes().await?;
    ensure(got == file, || format!("{} bytes, not those of the file", got.len()))?;
    let requests = origin.take_requests();
    let conditional = requests.iter().skip(1).all(|request| request.header("if-range") == Some(TAG));
    ensure(conditional, || "a part was asked for without If-Range".to_owned())?;
    ensure(requests.len() == 3, || format!("{} requests", requests.len()))?;

    let changed = async { client.get(origin.url("/changing")).send().await?.bytes().await }.await;
    expect_error("the changed file", changed, &[ErrorKind::Incomplete])?;
    Ok(format!("{} bytes in {} parts, equal to the original; the changed file is an error", got.len(), requests.len()))
}

/// A piece of the file from `start` on, announced as all the rest.
fn broken_off(file: &Bytes, start: usize) -> Reply {
    let reply = match start {
        0 => Reply::status(200),
        _ => {
            let range = format!("bytes {start}-{}/{FILE_BYTES}", FILE_BYTES - 1);
            Reply::status(206).header("content-range", range)
        }
    };
    let end = FILE_BYTES.min(start + PIECE);
    reply.header("content-length", (FILE_BYTES - start).to_string()).body(file.slice(start..end)).then_close()
}

/// The first byte that a request asks for.
fn start_of(request: &ReceivedRequest) -> usize {
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    range.and_then(|start| start.parse().ok()).unwrap_or(0).min(FILE_BYTES)
}

/// Bytes without a pattern that a wrong offset could hit by chance (the numbers of Knuth's MMIX generator).
fn noise() -> Bytes {
    let mut state: u64 = 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(FILE_BYTES).collect()
}
