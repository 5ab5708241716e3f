//! Heads that no honest server sends.

use std::time::{Duration, Instant};

use bytes::Bytes;
use netcomm::ErrorKind;
use netcomm::http::testing::{Reply, Script, ScriptedServer};

use super::scene::{Scene, Verdict, ensure, expect_error};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "heads",
    title: "Heads that no honest server sends",
    origin: "sends two lengths, a folded field, 300 KB of fields, 20,000 interim answers, and nonsense",
    promise: "each is an error that says why; none hangs, none is believed",
    play: || Box::pin(play()),
};

const PROMPT: Duration = Duration::from_secs(2);

async fn play() -> Verdict {
    let interim = Script::new()
        .generate(|n| (n < 20_000).then(|| Bytes::from_static(b"HTTP/1.1 103 Early Hints\r\n\r\n")))
        .reply(Reply::status(200).body("at last"));
    let origin = ScriptedServer::builder()
        .route("/two-lengths", Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!"))
        .route("/folded", Reply::raw("HTTP/1.1 200 OK\r\nx-long: one\r\n two\r\ncontent-length: 2\r\n\r\nok"))
        .route("/large", Reply::status(200).header("x-large", "x".repeat(300_000)).body("ok"))
        .route("/interim", interim)
        .route("/nonsense", Reply::raw("HTTP/1.1 abc\r\n\r\n").then_close())
        .start()
        .await?;
    let client = stage::client().build()?;
    let mut seen = Vec::new();
    for path in ["/two-lengths", "/folded", "/large", "/interim", "/nonsense"] {
        let started = Instant::now();
        let outcome = async { client.get(origin.url(path)).send().await?.bytes().await }.await;
        let took = started.elapsed();
        let error = expect_error(path, outcome, &[ErrorKind::Protocol, ErrorKind::TooLarge])?;
        ensure(took < PROMPT, || format!("{path}: after {} ms", took.as_millis()))?;
        seen.push(format!("{} {:?}", &path[1..], error.kind()));
    }
    Ok(seen.join(", "))
}
