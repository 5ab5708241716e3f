//! Compression: an honest body, and a bomb.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use netcomm::http::Client;
use netcomm::http::testing::{Reply, Script, ScriptedServer};
use netcomm::{ErrorKind, Limits};

use super::scene::{Broken, Scene, Verdict, ensure, expect_error, text};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "compression",
    title: "Compression: an honest body, and a bomb",
    origin: "sends gzip, once honest, once as zeros without end that grow a thousandfold",
    promise: "gzip is taken off; a bomb is stopped at the limit, in little memory",
    play: || Box::pin(play()),
};

/// [`LINE`], eight times, by gzip.
const HONEST: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0xce, 0xcf, 0x2d, 0x28, 0x4a, 0x2d, 0x2e, 0x4e,
    0x4d, 0x51, 0xc8, 0xcf, 0x53, 0x28, 0xc9, 0x48, 0x55, 0x28, 0xcf, 0x2c, 0x4a, 0xd5, 0x51, 0x28, 0xc8, 0x49, 0xcc,
    0xcc, 0x53, 0xc8, 0x84, 0x08, 0x65, 0x24, 0xe6, 0xa5, 0x70, 0x25, 0x8f, 0xaa, 0x24, 0x42, 0x25, 0x00, 0xc5, 0x62,
    0xb2, 0xb2, 0x50, 0x01, 0x00, 0x00,
];
const LINE: &str = "compressed on the wire, plain in the hand\n";

/// The beginning of a gzip stream after which each byte of zero stands for 1032 more.
const FUSE: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xec, 0xc1, 0x01, 0x01, 0x00, 0x00, 0x00, 0x80, 0x90,
    0xfe, 0xaf, 0xee, 0x08, 0x0a,
];
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// The most that the client may hold at once beyond the limit.
const CHUNK_BYTES: u64 = 1024 * 1024;

async fn play() -> Verdict {
    let bomb = Script::new()
        .send("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n")
        .send(FUSE)
        .generate(|_| Some(Bytes::from_static(&[0; 4096])));
    let origin = ScriptedServer::builder()
        .route("/honest", Reply::status(200).header("content-encoding", "gzip").body(HONEST))
        .route("/bomb", bomb)
        .start()
        .await?;

    let honest = text(stage::client().build()?.get(origin.url("/honest")).send().await?).await?;
    ensure(honest == LINE.repeat(8), || format!("the honest body came as {honest:?}"))?;

    // By the ratio first, as it stands by default; then by the size alone.
    let by_ratio = light(&stage::client().build()?, &origin).await?;
    let limits = Limits::default().with_body_bytes(MOST_BYTES).with_decode_ratio(u64::MAX);
    let by_size = light(&stage::client().limits(limits).build()?, &origin).await?;
    for (what, bang) in [("ratio", &by_ratio), ("size", &by_size)] {
        ensure(bang.decoded <= MOST_BYTES, || format!("{what}: {} bytes were handed out", bang.decoded))?;
        ensure(bang.largest <= CHUNK_BYTES, || format!("{what}: {} bytes in one piece", bang.largest))?;
    }
    Ok(format!(
        "{} bytes became {}; the bomb was stopped by ratio at {} KiB and by size at {} KiB, {} KiB a piece at most",
        HONEST.len(),
        honest.len(),
        by_ratio.decoded / 1024,
        by_size.decoded / 1024,
        by_ratio.largest.max(by_size.largest) / 1024
    ))
}

/// What was seen of a bomb.
struct Bang {
    decoded: u64,
    largest: u64,
}

async fn light(client: &Client, origin: &ScriptedServer) -> Result<Bang, Broken> {
    let received = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&received);
    let request =
        client.get(origin.url("/bomb")).on_download(move |progress| counter.store(progress.bytes, Ordering::Relaxed));
    let mut response = request.send().await?;
    let mut bang = Bang { decoded: 0, largest: 0 };
    let end = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                bang.decoded += chunk.len() as u64;
                bang.largest = bang.largest.max(chunk.len() as u64);
            }
            end => break end,
        }
    };
    expect_error("the bomb", end, &[ErrorKind::TooLarge])?;
    let received = received.load(Ordering::Relaxed);
    ensure(received < CHUNK_BYTES, || format!("{received} bytes were read from the wire"))?;
    Ok(bang)
}
