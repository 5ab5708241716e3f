//! The server that all peers talk to, the same for each.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::zeros::Zeros;
use crate::error::Result;
use crate::serving::{self, Answer};

/// Answers a GET with small JSON.
pub(super) const JSON_PATH: &str = "/json";
/// Answers a GET of `/zeros/<n>` with n bytes.
pub(super) const ZEROS_PATH: &str = "/zeros/";
/// Answers a POST with the number of bytes it brought.
pub(super) const SINK_PATH: &str = "/sink";

/// Serves until the process that started this one is gone. Prints where it listens.
pub(super) fn serve() -> Result<()> {
    let json = serving::json();
    serving::serve(move |request| answer(request, json.clone()))
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
