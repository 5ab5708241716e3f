//! HTTP in one page: an environment, a client, a call, a scoped handle for a plugin, and an error that says its kind.
//!
//! The origin is a scripted server on a loopback port: `cargo run -p netcomm --example http --features testing`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use netcomm::dial::{Dialer, Proxies};
use netcomm::http::Client;
use netcomm::http::testing::{Reply, Script, ScriptedServer};
use netcomm::{Policy, Scope, Timeouts};

#[tokio::main]
async fn main() -> netcomm::Result<()> {
    let origin = ScriptedServer::builder()
        .route("/weather/today", Reply::status(200).header("content-type", "text/plain").body("sunny"))
        .route_each("/old", [Reply::status(301).header("location", "/weather/today")])
        .route("/admin", Reply::status(200).body("not for plugins"))
        .route("/silent", Script::new().stall())
        .start()
        .await?;

    // What all components of an application share: no proxy here, and nobody waits longer than a second.
    let timeouts = Timeouts::default().with_header(Duration::from_secs(1));
    let env = netcomm::env()
        .with_dialer(Dialer::builder().proxies(Proxies::none()).build())
        .with_policy(Policy::default().with_timeouts(timeouts));
    let client = Client::builder(&env).base_url(&origin.url("/")).build()?;

    // A call. The redirect is followed; the timing tells where the time went.
    let response = client.get("old").send().await?.error_for_status()?;
    let (status, hops, timing) = (response.status(), response.redirects().len(), response.timing());
    println!("{status} after {hops} redirect, reused: {}", timing.reused);
    println!("today: {}", response.text().await?);

    // A handle for a plugin: one folder, one method, until it is revoked.
    let scope = Scope::builder("weather").allow(&origin.url("/weather/"))?.methods(["GET"])?.build();
    let plugin = client.scoped(scope.clone());
    println!("the plugin sees {}", plugin.get("weather/today").send().await?.status());
    if let Err(error) = plugin.get("admin").send().await {
        println!("but not more:   {error}");
    }
    scope.revoke();
    if let Err(error) = plugin.get("weather/today").send().await {
        println!("and no longer:  {error}");
    }

    // An error says what kind it is and in which phase the time ran out.
    if let Err(error) = client.get("silent").send().await {
        println!("silence is {:?} in {:?}", error.kind(), error.phase());
    }
    Ok(())
}
