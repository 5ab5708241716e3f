//! A client and a server with no socket between them, and a recorder that sees all of it.

use netcomm_core::{Env, Tap};
use netcomm_http::Client;
use netcomm_http::testing::ScriptedServerBuilder;
use netcomm_monitor::{Recorder, RecorderBuilder};
use netcomm_tests::{ScriptedDialer, TokioClock};

/// What may be in no output.
pub(crate) const CANARY: &str = "hunter2";

pub(crate) struct Stage {
    pub(crate) dialer: ScriptedDialer,
    pub(crate) env: Env,
    pub(crate) recorder: Recorder,
}

/// A server that every dial reaches, on tokio's time.
pub(crate) fn stage(server: ScriptedServerBuilder, set: impl FnOnce(RecorderBuilder) -> RecorderBuilder) -> Stage {
    let server = server.offline();
    let dialer = ScriptedDialer::new();
    dialer.serve_all(move |stream| server.serve(stream));
    let env = Env::new(dialer.clone(), TokioClock::new());
    let recorder = set(Recorder::builder(&env)).build();
    let env = env.with_tap(Tap::new(recorder.clone()));
    Stage { dialer, env, recorder }
}

impl Stage {
    pub(crate) fn client(&self) -> Client {
        Client::builder(&self.env).build().expect("a client")
    }
}
