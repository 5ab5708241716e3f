//! A handle for a plugin.

use netcomm::http::Credentials;
use netcomm::http::testing::{Reply, ScriptedServer};
use netcomm::{ErrorKind, Scope, Secret};

use super::scene::{Scene, Verdict, ensure, expect_error, text};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "scope",
    title: "A handle for a plugin",
    origin: "would answer anything, and redirects out of the plugin's folder",
    promise: "the plugin reaches its folder by GET and nothing else, without the application's secrets, until revoked",
    play: || Box::pin(play()),
};

const FOLDER: &str = "/weather/";

async fn play() -> Verdict {
    let origin = ScriptedServer::builder()
        .route("/weather/out", Reply::status(302).header("location", "/admin"))
        .handler(|_| Reply::status(200).body("here you are"))
        .start()
        .await?;
    let credentials = Credentials::bearer(&Secret::from("the application's"))?;
    let application = stage::client().credentials(&origin.url("/"), credentials).build()?;
    let scope = Scope::builder("weather").allow(&origin.url(FOLDER))?.methods(["GET"])?.build();
    let plugin = application.scoped(scope.clone());

    text(plugin.get(origin.url("/weather/today")).send().await?).await?;
    let refused = ["/admin", "/weatherman", "/weather/../admin", "/weather/%2e%2e/admin", "/weather/out"];
    for path in refused {
        let outcome = plugin.get(origin.url(path)).send().await;
        expect_error(path, outcome, &[ErrorKind::Denied])?;
    }
    let post = plugin.post(origin.url("/weather/today")).body("rain").send().await;
    expect_error("POST", post, &[ErrorKind::Denied])?;
    scope.revoke();
    let late = plugin.get(origin.url("/weather/today")).send().await;
    expect_error("after revocation", late, &[ErrorKind::Canceled])?;

    let requests = origin.take_requests();
    for request in &requests {
        ensure(request.path().starts_with(FOLDER), || format!("{} was reached", request.target))?;
        ensure(request.header("authorization").is_none(), || "the application's secret was sent".to_owned())?;
    }
    text(application.get(origin.url("/admin")).send().await?).await?;
    let own = origin.requests().iter().all(|request| request.header("authorization").is_some());
    ensure(own, || "the application lost its own secret".to_owned())?;
    Ok(format!("{} ways out refused, {} requests seen, revoked at once", refused.len() + 1, requests.len()))
}
