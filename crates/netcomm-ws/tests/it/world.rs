//! A world in which every dial reaches a server of ours.

use std::future::Future;

use netcomm_core::Env;
use netcomm_tests::{ScriptedDialer, TokioClock};
use netcomm_ws::{AcceptOptions, Socket};
use tokio::io::DuplexStream;

pub(crate) struct World {
    pub(crate) dialer: ScriptedDialer,
    pub(crate) env: Env,
}

impl World {
    pub(crate) fn new() -> Self {
        let dialer = ScriptedDialer::new();
        Self { env: Env::new(dialer.clone(), TokioClock::new()), dialer }
    }

    /// Serves the next connection.
    pub(crate) fn serve_next<F>(&self, serve: impl FnOnce(Socket) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let options = AcceptOptions::new(&self.env);
        self.dialer.serve_next(|stream| async move { serve(accept(stream, &options).await).await });
    }

    /// Serves all connections that nothing else is queued for.
    pub(crate) fn serve_all<F>(&self, serve: impl Fn(Socket) -> F + Send + Sync + Clone + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let options = AcceptOptions::new(&self.env);
        self.dialer.serve_all(move |stream| {
            let (options, serve) = (options.clone(), serve.clone());
            async move { serve(accept(stream, &options).await).await }
        });
    }
}

async fn accept(stream: DuplexStream, options: &AcceptOptions) -> Socket {
    Socket::accept(stream, options).await.expect("a handshake")
}
