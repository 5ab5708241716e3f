//! One client's connection: the only room that names the server engine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use netcomm::Body;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::forward::{Forward, From};
use super::guard::Guard;
use super::head::MAX_HEAD_BYTES;
use super::ledger::Ledger;

/// Serves a connection until it ends; once `stop` says so, only to the end of the answer that is under way.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, forward: Arc<Forward>, mut stop: watch::Receiver<bool>) {
    let ledger = Arc::<Ledger>::default();
    let guard = Guard::new(stream, Arc::clone(&ledger));
    let service = service_fn(move |request: Request<Incoming>| {
        let (forward, ledger) = (Arc::clone(&forward), Arc::clone(&ledger));
        async move {
            // A body that is known to be none can be sent again, if its connection turns out to be stale.
            let request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
            let from = From { peer, ledger: &ledger };
            Ok::<_, Infallible>(forward.answer(from, request).await)
        }
    });
    let mut builder = Builder::new();
    // Heads were bounded before; the rest bounds what of an answer waits for a slow client.
    builder.max_buf_size(2 * MAX_HEAD_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(guard), service));
    tokio::select! {
        // What a client breaks is its own affair: there is nobody to tell.
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}
