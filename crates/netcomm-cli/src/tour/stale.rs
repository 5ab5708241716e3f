//! A kept connection that its server gives up at the moment of the next request.

use netcomm::ErrorKind;
use netcomm::http::testing::{Reply, Script, ScriptedServer};

use super::scene::{Scene, Verdict, ensure, expect_error, text};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "stale",
    title: "A kept connection that has gone stale",
    origin: "closes a kept connection just when the next request comes",
    promise: "a GET comes through on another connection; a POST is not sent twice",
    play: || Box::pin(play()),
};

async fn play() -> Verdict {
    let ok = || Script::new().request().reply(Reply::status(200).body("ok"));
    // The second request of the first connection is read, and the connection closed.
    let given_up = ok().request().close();
    let lasting = ok().repeat();

    let origin = ScriptedServer::builder().on_connect([given_up.clone(), lasting.clone()]).start().await?;
    let client = stage::client().build()?;
    text(client.get(origin.url("/first")).send().await?).await?;
    let response = client.get(origin.url("/second")).send().await?;
    let attempts = response.attempts().len();
    text(response).await?;
    let (requests, connections) = (origin.request_count(), origin.connections());
    ensure((attempts, requests, connections) == (2, 3, 2), || {
        format!("GET: {attempts} attempts, {requests} requests, {connections} connections")
    })?;

    let origin = ScriptedServer::builder().on_connect([given_up, lasting]).start().await?;
    let client = stage::client().build()?;
    text(client.get(origin.url("/first")).send().await?).await?;
    let order = client.post(origin.url("/order")).body("one piece").send().await;
    let error = expect_error("POST", order, &[ErrorKind::Closed])?;
    let orders = origin.requests().iter().filter(|request| request.method == "POST").count();
    ensure(orders == 1, || format!("the POST was sent {orders} times"))?;
    ensure(!error.is_unsent(), || "the error says that the POST was not sent".to_owned())?;
    Ok(format!("GET: {attempts} attempts, one answer; POST: sent once, and an error of kind {:?}", error.kind()))
}
