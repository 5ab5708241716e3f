//! Twenty calls whose token has expired.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use netcomm::Result;
use netcomm::http::testing::{Gate, Reply, ScriptedServer};
use netcomm::http::{Credentials, ProvideToken, Token};
use tokio::task::JoinSet;

use super::scene::{Scene, Verdict, ensure};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "token",
    title: "Twenty calls whose token has expired",
    origin: "answers all of them with 401 until they bring a new token",
    promise: "one refresh for all; each call is sent once more and succeeds",
    play: || Box::pin(play()),
};

const CALLS: usize = 20;

async fn play() -> Verdict {
    let gate = Gate::new();
    let refusals = gate.clone();
    let origin = ScriptedServer::builder()
        .handler(move |request| match request.header("authorization") {
            Some("Bearer token-2") => Reply::status(200).body("welcome"),
            // Nobody is refused before everybody has asked.
            _ => Reply::status(401).held_by(&refusals),
        })
        .start()
        .await?;
    let issued = Arc::new(AtomicU32::new(0));
    let issuer = Issuer { issued: Arc::clone(&issued) };
    let client = stage::client().credentials(&origin.url("/"), Credentials::provider(issuer)).build()?;

    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let request = client.get(origin.url("/private"));
        calls.spawn(async move { request.send().await?.error_for_status()?.text().await });
    }
    origin.until_requests(CALLS).await;
    gate.open();
    while let Some(outcome) = calls.join_next().await {
        let text = outcome??;
        ensure(text == "welcome", || format!("a call got {text:?}"))?;
    }
    let (refreshes, requests) = (issued.load(Ordering::Relaxed) - 1, origin.request_count());
    ensure(refreshes == 1, || format!("{refreshes} refreshes"))?;
    ensure(requests == 2 * CALLS, || format!("{requests} requests"))?;
    Ok(format!("{CALLS} calls, {CALLS} answers of 401, {refreshes} refresh, {CALLS} successes"))
}

/// Issues `token-1`, `token-2` and so on.
struct Issuer {
    issued: Arc<AtomicU32>,
}

impl ProvideToken for Issuer {
    async fn token(&self, _rejected: Option<&Token>) -> Result<Token> {
        // A real issuer takes a moment, in which others come to ask for the same.
        tokio::task::yield_now().await;
        let number = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Token::new(format!("token-{number}")))
    }
}
