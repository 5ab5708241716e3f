//! The server that all peers talk to, the same for each: HTTP/1.1 by hyper on one thread.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::zeros::Zeros;
use crate::child;
use crate::error::Result;

/// Answers a GET with [`JSON_BYTES`] bytes of JSON.
pub(super) const JSON_PATH: &str = "/json";
/// Answers a GET of `/zeros/<n>` with n bytes.
pub(super) const ZEROS_PATH: &str = "/zeros/";
/// Answers a POST with the number of bytes it brought.
pub(super) const SINK_PATH: &str = "/sink";

/// The length of the JSON text.
pub(super) const JSON_BYTES: usize = 200;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Serves until the process that started this one is gone. Prints where it listens.
pub(super) fn serve() -> Result<()> {
    child::end_with_parent();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        let json = json();
        loop {
            let (stream, _): (TcpStream, SocketAddr) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let json = json.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| answer(request, json.clone()));
                // A client that goes away is no error here.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    })
}

async fn answer(request: Request<Incoming>, json: Bytes) -> std::result::Result<Answer, hyper::Error> {
    let path = request.uri().path();
    if request.method() == Method::GET && path == JSON_PATH {
        let mut answer = Response::new(Full::new(json).boxed_unsync());
        let json = header::HeaderValue::from_static("application/json");
        answer.headers_mut().insert(header::CONTENT_TYPE, json);
        return Ok(answer);
    }
    if let Some(Ok(bytes)) = path.strip_prefix(ZEROS_PATH).map(str::parse) {
        return Ok(Response::new(Zeros::new(bytes).boxed_unsync()));
    }
    if request.method() == Method::POST && path == SINK_PATH {
        let mut body = request.into_body();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame?.data_ref().map_or(0, Bytes::len);
        }
        let text = Bytes::from(received.to_string());
        return Ok(Response::new(Full::new(text).boxed_unsync()));
    }
    let mut answer = Response::new(Full::default().boxed_unsync());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    Ok(answer)
}

/// A small JSON object, filled up to [`JSON_BYTES`].
fn json() -> Bytes {
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
