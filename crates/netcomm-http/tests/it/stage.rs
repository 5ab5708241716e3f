//! A client and a server with no socket between them: what most of the stories play on.

use std::future::Future;
use std::time::Duration;

use netcomm_core::{Env, ErrorKind, Phase};
use netcomm_http::testing::{Reply, Script, ScriptedServer, ScriptedServerBuilder};
use netcomm_http::{Client, ClientBuilder, Error};
use netcomm_tests::{CollectingObserver, ScriptedDialer, TokioClock};

/// What no text that is shown to anybody may hold.
pub(crate) const CANARY: &str = "hunter2";

/// A server in memory that every dial reaches, whatever host it is for, on tokio's time.
pub(crate) struct Stage {
    pub(crate) dialer: ScriptedDialer,
    pub(crate) server: ScriptedServer,
    pub(crate) seen: CollectingObserver,
    pub(crate) env: Env,
}

pub(crate) fn stage(server: ScriptedServerBuilder) -> Stage {
    let server = server.offline();
    let dialer = ScriptedDialer::new();
    let far = server.clone();
    dialer.serve_all(move |stream| far.serve(stream));
    let seen = CollectingObserver::new();
    let env = Env::new(dialer.clone(), TokioClock::new()).with_tap(seen.tap());
    Stage { dialer, server, seen, env }
}

/// A stage on which everything is answered with 200 and `ok`.
pub(crate) fn friendly() -> Stage {
    stage(ScriptedServer::builder().handler(|_| Reply::status(200).body("ok")))
}

/// A stage on which every connection plays that script.
pub(crate) fn scripted(script: Script) -> Stage {
    stage(ScriptedServer::builder().on_connect([script]))
}

impl Stage {
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(&self.env)
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().expect("client")
    }
}

/// A redirect to that place.
pub(crate) fn redirect(status: u16, location: impl Into<String>) -> Reply {
    Reply::status(status).header("location", location)
}

/// Ends a test that would otherwise wait for ever, or for as long as paused time can run.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(24 * 3600);
    tokio::time::timeout(limit, future).await.expect("an end within a day")
}

/// How much of paused time the future took.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = tokio::time::Instant::now();
    let output = soon(future).await;
    (output, start.elapsed())
}

#[track_caller]
pub(crate) fn assert_timeout(error: &Error, phase: Phase, limit: &str) {
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(phase)), "{error}");
    assert!(error.to_string().contains(&format!("timeout {limit}")), "no limit named: {error}");
}

/// All that an error shows, its sources included.
pub(crate) fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    text
}
