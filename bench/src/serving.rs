//! Servers that clients are measured against: HTTP/1.1 by hyper on one thread.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::child;
use crate::error::Result;

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The length of [`json`].
pub(crate) const JSON_BYTES: usize = 200;

/// Serves until the process that started this one is gone. Prints where it listens.
pub(crate) fn serve<F, A>(answer: F) -> Result<()>
where
    F: Fn(Request<Incoming>) -> A + Clone + 'static,
    A: Future<Output = std::result::Result<Answer, hyper::Error>> + 'static,
{
    child::end_with_parent();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _): (TcpStream, SocketAddr) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let service = service_fn(answer.clone());
            tokio::task::spawn_local(async move {
                // A client that goes away is no error here.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    })
}

/// A small JSON object, filled up to [`JSON_BYTES`].
pub(crate) fn json() -> Bytes {
    let (head, tail) = (r#"{"id":4711,"name":"netcomm","active":true,"note":""#, "\"}");
    let fill = "x".repeat(JSON_BYTES - head.len() - tail.len());
    Bytes::from(format!("{head}{fill}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_json_and_has_its_length() {
        let json = json();
        assert_eq!(json.len(), JSON_BYTES);
        serde_json::from_slice::<serde_json::Value>(&json).unwrap();
    }
}
