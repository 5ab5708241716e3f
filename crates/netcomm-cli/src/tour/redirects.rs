//! Redirects: what crosses to another origin, and where they end.

use netcomm::ErrorKind;
use netcomm::http::testing::{Reply, ScriptedServer};

use super::scene::{Scene, Verdict, ensure, expect_error, text};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "redirects",
    title: "Redirects with secrets on board",
    origin: "sends the client to another port, and round in circles",
    promise: "secrets stay with the origin they were meant for; circles end",
    play: || Box::pin(play()),
};

/// Fields that must not cross, and one that may.
const SECRET: [&str; 3] = ["authorization", "x-api-key", "cookie"];
const PLAIN: &str = "x-plain";

async fn play() -> Verdict {
    let other = ScriptedServer::builder().route("/catch", Reply::status(200).body("caught")).start().await?;
    let origin = ScriptedServer::builder()
        .route("/away", Reply::status(302).header("location", other.url("/catch")))
        .route("/circle", Reply::status(302).header("location", "/circle"))
        .start()
        .await?;
    let client = stage::client().build()?;

    let request = client
        .get(origin.url("/away"))
        .bearer_auth("secret-token")
        .header("x-api-key", "secret-key")
        .header("cookie", "id=secret")
        .header(PLAIN, "plain");
    let text = text(request.send().await?).await?;
    ensure(text == "caught", || format!("the other origin answered {text:?}"))?;
    for (server, crosses) in [(&origin, true), (&other, false)] {
        let seen = server.take_requests();
        let Some(request) = seen.first() else { continue };
        for name in SECRET {
            ensure(request.header(name).is_some() == crosses, || {
                format!("{name} at {}: {}", server.url(""), !crosses)
            })?;
        }
        ensure(request.header(PLAIN).is_some(), || format!("{PLAIN} was lost"))?;
    }
    ensure(other.request_count() == 1, || "the other origin was not asked once".to_owned())?;

    let circle = client.get(origin.url("/circle")).send().await;
    expect_error("the circle", circle, &[ErrorKind::Redirect])?;
    let rounds = origin.request_count() - 1;
    ensure(rounds == 11, || format!("{rounds} requests in the circle"))?;
    Ok(format!(
        "none of {} crossed to the other port; the circle ended after {} redirects",
        SECRET.join(", "),
        rounds - 1
    ))
}
