//! More calls than connections.

use std::time::Duration;

use netcomm::http::PoolLimits;
use netcomm::http::testing::{Reply, ScriptedServer};
use tokio::task::JoinSet;

use super::scene::{Scene, Verdict, ensure, text};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "pool",
    title: "More calls than connections",
    origin: "takes its time over each of 200 calls that come at once",
    promise: "no more connections than allowed; every call has its turn",
    play: || Box::pin(play()),
};

const CALLS: usize = 200;
const CONNECTIONS: usize = 8;

async fn play() -> Verdict {
    let origin = ScriptedServer::builder()
        .handler(|_| Reply::status(200).delayed(Duration::from_millis(5)).body("served"))
        .start()
        .await?;
    let mut limits = PoolLimits::default();
    limits.per_origin = CONNECTIONS;
    let client = stage::client().pool(limits).build()?;
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let request = client.get(origin.url("/"));
        calls.spawn(async move { text(request.send().await?).await });
    }
    let mut most = (0, 0);
    while let Some(outcome) = calls.join_next().await {
        outcome??;
        let now = client.pool().snapshot();
        most = (most.0.max(now.open), most.1.max(now.waiting));
    }
    let ((open, waiting), connections) = (most, origin.connections());
    ensure(open <= CONNECTIONS && connections <= CONNECTIONS, || {
        format!("{open} connections at once, {connections} in all")
    })?;
    Ok(format!("{CALLS} calls over {connections} connections, up to {waiting} calls waiting"))
}
