//! The server that all peers talk to. All that it answers may be stored for an hour, and it counts what it answers, so
//! that a hit that was none is found out.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::error::{Error, Result};
use crate::serving::{self, Answer};

/// Answers a GET of this path, and of each that begins so, with small JSON.
pub(super) const JSON_PATH: &str = "/json";
/// Answers a GET of `/bytes/<n>` with n bytes.
pub(super) const BYTES_PATH: &str = "/bytes/";
/// Answers a GET with the number of answers so far, those from here not among them.
const COUNT_PATH: &str = "/count";

/// Serves until the process that started this one is gone. Prints where it listens.
pub(super) fn serve() -> Result<()> {
    let (json, count) = (serving::json(), Rc::new(Cell::new(0)));
    serving::serve(move |request| std::future::ready(Ok(answer(&request, &json, &count))))
}

fn answer(request: &Request<Incoming>, json: &Bytes, count: &Cell<u64>) -> Answer {
    let path = request.uri().path();
    if path == COUNT_PATH {
        return Response::new(Full::new(Bytes::from(count.get().to_string())).boxed_unsync());
    }
    count.set(count.get() + 1);
    let (body, kind) = if path.starts_with(JSON_PATH) {
        (json.clone(), "application/json")
    } else if let Some(Ok(bytes)) = path.strip_prefix(BYTES_PATH).map(str::parse) {
        (Bytes::from(vec![b'x'; bytes]), "application/octet-stream")
    } else {
        let mut answer = Response::new(Full::default().boxed_unsync());
        *answer.status_mut() = StatusCode::NOT_FOUND;
        return answer;
    };
    let mut answer = Response::new(Full::new(body).boxed_unsync());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    answer
}

/// How much that server has answered so far.
pub(super) fn answered(server: SocketAddr) -> Result<u64> {
    let answer = fetch(server, COUNT_PATH)?;
    let count = answer.rsplit("\r\n").next().unwrap_or_default();
    Ok(count.parse()?)
}

/// The bytes of an answer, head and body, as they came.
pub(super) fn length_on_the_wire(server: SocketAddr, path: &str) -> Result<usize> {
    Ok(fetch(server, path)?.len())
}

fn fetch(server: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(server)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    String::from_utf8(answer).map_err(Error::from)
}
