//! What was recorded is said again, and no secret is in it.

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use netcomm_core::{Body, Error, ErrorKind, HttpTransport, Phase, Result};
use netcomm_http::testing::{Recorder, Recording, Replayer};

use crate::secrets::{CANARY, assert_clean};

/// Answers every request with its own body; fails for `/fail`, breaks off for `/torn`.
struct Echo;

impl HttpTransport for Echo {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect(1024).await?;
        let body = match path.as_str() {
            "/fail" => return Err(Error::timeout("send", Phase::Wait).with_detail("too slow")),
            "/torn" => Body::replayable(|| Body::from_reader(&b"half"[..], Some(10))),
            _ => Body::from(body),
        };
        let mut response = Response::new(body);
        response.headers_mut().insert("set-cookie", HeaderValue::from_static(CANARY));
        response.headers_mut().insert("x-odd", HeaderValue::from_bytes(b"\xff").expect("a value"));
        Ok(response)
    }
}

fn request(method: &str, url: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(url).body(body.into()).expect("a request")
}

async fn text(transport: &impl HttpTransport, request: Request<Body>) -> Result<Bytes> {
    transport.send(request).await?.into_body().collect(1024).await
}

#[tokio::test]
async fn there_and_back() {
    let recorder = Recorder::new(Echo);
    let streamed = || Body::replayable(|| Body::from_reader(&b"two"[..], None));
    let requests = || {
        [
            request("POST", "http://a.example/x?page=1", "one"),
            request("POST", "http://a.example/x?page=1", streamed()),
            request("GET", "http://a.example/fail", ""),
            request("GET", "http://a.example/torn", ""),
        ]
    };
    let mut answers = Vec::new();
    for request in requests() {
        answers.push(text(&recorder, request).await);
    }
    let recording: Recording = recorder.recording().to_string().parse().expect("its own text");
    assert_eq!(recording, recorder.recording());

    let replayer = Replayer::new(recording).match_bodies().in_order();
    for (request, answer) in requests().into_iter().zip(answers) {
        let replayed = text(&replayer, request).await;
        match (replayed, answer) {
            (Ok(replayed), Ok(answer)) => assert_eq!(replayed, answer),
            (Err(replayed), Err(answer)) if answer.kind() == ErrorKind::Timeout => {
                assert_eq!((replayed.kind(), replayed.phase()), (answer.kind(), answer.phase()));
            }
            (Err(replayed), Err(_)) => assert_eq!(replayed.kind(), ErrorKind::Incomplete),
            (replayed, answer) => panic!("{replayed:?} is not {answer:?}"),
        }
    }
    replayer.assert_all_used();
}

#[tokio::test]
async fn headers_come_back_as_they_were() {
    let recorder = Recorder::new(Echo);
    drop(recorder.send(request("GET", "http://a.example/", "")).await.expect("an echo"));
    let replayer = Replayer::new(recorder.recording());
    let response = replayer.send(request("GET", "http://a.example/", "")).await.expect("recorded");
    assert_eq!(response.headers()["x-odd"].as_bytes(), b"\xff");
    assert_eq!(response.headers()["set-cookie"], "***");
    assert_eq!(response.into_body().collect(1).await.expect("an empty body"), "");
}

#[tokio::test]
async fn a_request_that_was_not_recorded_is_refused_with_what_is_left() {
    let recorder = Recorder::new(Echo);
    for body in ["one", "two"] {
        drop(text(&recorder, request("POST", "http://a.example/x", body)).await.expect("an echo"));
    }
    let replayer = Replayer::new(recorder.recording()).match_bodies();
    let error = text(&replayer, request("GET", "http://a.example/y", "")).await.expect_err("not recorded");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let detail = error.detail().expect("what and what not");
    assert!(detail.contains("GET http://a.example/y;") && detail.contains("POST http://a.example/x"), "{detail}");
    assert!(text(&replayer, request("POST", "http://a.example/x", "six")).await.is_err());
    assert_eq!(text(&replayer, request("POST", "http://a.example/x", "two")).await.expect("recorded"), "two");
    assert_eq!(replayer.left(), ["POST http://a.example/x (3 bytes)"]);
    let strict = Replayer::new(recorder.recording()).match_bodies().in_order();
    assert!(text(&strict, request("POST", "http://a.example/x", "two")).await.is_err());
}

#[tokio::test]
#[should_panic(expected = "GET http://a.example/never")]
async fn what_nobody_asked_for_fails_the_test() {
    let line = r#"{"method":"GET","url":"http://a.example/never","error":"offline"}"#;
    Replayer::new(line.parse().expect("a recording")).assert_all_used();
}

#[tokio::test]
async fn no_secret_is_kept() {
    let recorder = Recorder::new(Echo).hide_header("X-Customer").expect("a name").hide_query("sid");
    let url = format!("http://{CANARY}:{CANARY}@a.example/?token={CANARY}&sid={CANARY}&page=1");
    let mut asked = request("POST", &url, format!("password={CANARY}"));
    for name in ["authorization", "x-api-key", "x-customer"] {
        asked.headers_mut().insert(name, HeaderValue::from_static(CANARY));
    }
    let mut marked = HeaderValue::from_static(CANARY);
    marked.set_sensitive(true);
    asked.headers_mut().insert("x-marked", marked);
    let referer = HeaderValue::from_str(&format!("http://a.example/?code={CANARY}")).expect("a value");
    asked.headers_mut().insert("referer", referer);
    // The echo would bring the password back in the response's body, which is kept as it is.
    drop(recorder.send(asked).await.expect("an echo"));

    let kept = recorder.recording().to_string();
    assert_clean("the recording", &kept);
    assert_clean("its Debug", &format!("{recorder:?} {:?}", recorder.recording()));
    assert!(kept.contains("page=1") && kept.contains("token=***"), "{kept}");

    let replayer = Replayer::new(recorder.recording()).hide_query("sid");
    assert!(replayer.send(request("POST", &url, "")).await.is_ok());
}
