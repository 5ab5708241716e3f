//! Silence, trickle, and half an answer.

use std::time::{Duration, Instant};

use netcomm::ErrorKind;
use netcomm::core::{MinRate, Phase};
use netcomm::http::testing::{Reply, Script, ScriptedServer};

use super::scene::{Scene, Verdict, ensure, expect_error};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "stall",
    title: "Silence, half an answer, and a trickle",
    origin: "says nothing; stops in the middle; sends a byte now and then",
    promise: "each wait has its limit, and the error names the phase",
    play: || Box::pin(play()),
};

const LIMIT: Duration = Duration::from_millis(300);
/// What a busy machine may add.
const GRACE: Duration = Duration::from_millis(700);

async fn play() -> Verdict {
    let body = "x".repeat(1000);
    let half = Reply::status(200).header("content-length", "1000").body("x".repeat(500)).then_stall();
    let trickle = Script::new().send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").send_in_pieces(
        body,
        1,
        Duration::from_millis(20),
    );
    let origin = ScriptedServer::builder()
        .route("/silent", Script::new().stall())
        .route("/half", half)
        .route("/trickle", trickle)
        .start()
        .await?;
    let idle = stage::timeouts().with_header(LIMIT).with_idle_body(LIMIT).with_min_rate(None);
    let rate = idle.with_min_rate(Some(MinRate { bytes: 100, window: LIMIT }));

    let mut seen = Vec::new();
    for (path, timeouts, phase) in
        [("/silent", &idle, Phase::Wait), ("/half", &idle, Phase::Receive), ("/trickle", &rate, Phase::Receive)]
    {
        let client = stage::client().timeouts(timeouts.clone()).build()?;
        let started = Instant::now();
        let outcome = async { client.get(origin.url(path)).send().await?.bytes().await }.await;
        let took = started.elapsed();
        let error = expect_error(path, outcome, &[ErrorKind::Timeout])?;
        ensure(error.phase() == Some(phase), || format!("{path}: phase {:?}", error.phase()))?;
        ensure(took >= LIMIT && took < LIMIT + GRACE, || format!("{path}: after {} ms", took.as_millis()))?;
        seen.push(format!("{} [{}] {} ms", &path[1..], phase.as_str(), took.as_millis()));
    }
    Ok(format!("limit {} ms: {}", LIMIT.as_millis(), seen.join(", ")))
}
