//! A plain call, and the connection again.

use netcomm::http::testing::{Reply, ScriptedServer};

use super::scene::{Scene, Verdict, ensure, text};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "reuse",
    title: "A plain call, and the connection again",
    origin: "answers, and keeps the connection open",
    promise: "calls that follow each other share one connection",
    play: || Box::pin(play()),
};

const CALLS: usize = 10;

async fn play() -> Verdict {
    let origin = ScriptedServer::builder().route("/hello", Reply::status(200).body("hello")).start().await?;
    let client = stage::client().build()?;
    for call in 0..CALLS {
        let response = client.get(origin.url("/hello")).send().await?;
        let reused = response.timing().reused;
        ensure(reused == (call > 0), || format!("call {call}: reused is {reused}"))?;
        let text = text(response).await?;
        ensure(text == "hello", || format!("call {call} got {text:?}"))?;
    }
    let connections = origin.connections();
    ensure(connections == 1, || format!("{connections} connections"))?;
    Ok(format!("{CALLS} calls over {connections} connection"))
}
