//! One connection of the harness: the only room here that names the server engine.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use netcomm::Body;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::service::{Service, status};

/// As large as what the harness asks for may be.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Serves a connection until it ends; once the service quits, only to the end of the answer that is under way.
pub(super) async fn serve(stream: TcpStream, service: Arc<Service>, mut quitting: watch::Receiver<bool>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move {
            let (head, body) = request.into_parts();
            let answer = match collect(Body::new(body)).await {
                Some(body) => service.answer(&head.method, head.uri.path(), &body),
                None => status(StatusCode::BAD_REQUEST),
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(Builder::new().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What the harness breaks is its own affair.
        _ = connection.as_mut() => return,
        _ = quitting.wait_for(|quits| *quits) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

/// All of it, if it is not too much and does not break off.
async fn collect(mut body: Body) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(chunk) = body.chunk().await.ok()? {
        all.extend_from_slice(&chunk);
        if all.len() > MOST_BYTES {
            return None;
        }
    }
    Some(all)
}
