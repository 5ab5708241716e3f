//! A client as tower service, a tower service as transport, and a recording that takes the client's place.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use netcomm_core::{Body, ErrorKind, Phase};
use netcomm_http::testing::{ReceivedRequest, Recorder, Replayer, Reply, ScriptedServer};
use netcomm_http::{Client, Error, ServiceTransport};
use tower_service::Service;

use crate::stage::{CANARY, Stage, assert_timeout, friendly, shown, soon, stage, timed};

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

/// A service that becomes ready when it was asked for the `after`th time, and must not be called before. Readiness
/// belongs to one clone, as tower has it.
struct Shy {
    after: usize,
    asked: usize,
    calls: Arc<AtomicUsize>,
}

impl Shy {
    fn after(after: usize) -> Self {
        Self { after, asked: 0, calls: Arc::default() }
    }
}

impl Clone for Shy {
    fn clone(&self) -> Self {
        Self { after: self.after, asked: 0, calls: Arc::clone(&self.calls) }
    }
}

impl Service<Request<Body>> for Shy {
    type Response = Response<Body>;
    type Error = std::io::Error;
    type Future = Answer<std::io::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        self.asked += 1;
        if self.asked >= self.after {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(self.asked >= self.after, "called before it was ready");
        self.asked = 0;
        self.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let answer = format!("{} {}", request.method(), request.uri());
            Ok(Response::new(Body::from(answer)))
        })
    }
}

/// A service that is never ready, and whose last word is that error, if there is one.
#[derive(Clone)]
struct Closed(Option<fn() -> Box<dyn std::error::Error + Send + Sync>>);

impl Service<Request<Body>> for Closed {
    type Response = Response<Body>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Answer<Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.map_or(Poll::Pending, |make| Poll::Ready(Err(make())))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        unreachable!("it was never ready")
    }
}

async fn call(mut service: impl Service<Request<Body>, Response = Response<Body>, Error = Error>) -> (u16, String) {
    poll_fn(|cx| service.poll_ready(cx)).await.expect("ready");
    let request = Request::put("http://a.example/x?y=1").header("x-mark", "seen").body(Body::from("laden"));
    let response = soon(service.call(request.expect("request"))).await.expect("response");
    let status = response.status().as_u16();
    let body = response.into_body().collect(1000).await.expect("body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn over(stage: &Stage, service: Closed) -> Client {
    stage.builder().transport(ServiceTransport::new(service)).build().expect("client")
}

#[tokio::test(start_paused = true)]
async fn a_client_is_a_service_owned_and_by_reference() {
    let stage = stage(ScriptedServer::builder().handler(|seen: &ReceivedRequest| Reply::status(201).body(seen.text())));
    let client = stage.client();
    assert_eq!(call(&client).await, (201, "laden".to_owned()));
    assert_eq!(call(client).await, (201, "laden".to_owned()));
    for seen in stage.server.requests() {
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/x?y=1"));
        assert_eq!((seen.header("x-mark"), seen.header("host")), (Some("seen"), Some("a.example")));
    }
    assert_eq!((stage.server.request_count(), stage.dialer.dials()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_takes_the_place_of_connections_and_is_called_when_it_is_ready() {
    let stage = friendly();
    let service = Shy::after(5);
    let calls = Arc::clone(&service.calls);
    let client = stage.builder().transport(ServiceTransport::new(service)).build().expect("client");
    for _ in 0..3 {
        let text = soon(client.get("http://a.example/x").send()).await.expect("response").text().await;
        assert_eq!(text.expect("text"), "GET http://a.example/x");
    }
    assert_eq!((calls.load(Ordering::Relaxed), stage.dialer.dials()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_becomes_ready_is_given_up_in_time() {
    let client = over(&friendly(), Closed(None));
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    assert_timeout(&outcome.expect_err("never ready"), Phase::Wait, "header");
    assert_eq!(took, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn errors_of_a_service_are_the_users_and_our_own_pass_unchanged() {
    let foreign = over(&friendly(), Closed(Some(|| "no more room".into())));
    let error = foreign.get("http://a.example/").send().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(shown(&error).contains("no more room"), "{error:?}");

    let own = over(&friendly(), Closed(Some(|| Error::new(ErrorKind::Denied, "look").into())));
    let error = own.get("http://a.example/").send().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_recording_of_a_client_answers_in_its_place_and_keeps_no_secret() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/missing", Reply::status(404).body("nothing"))
            .handler(|_| Reply::status(200).header("set-cookie", format!("sid={CANARY}")).chunked(["one ", "two"])),
    );
    let recorder = Recorder::new(stage.client());
    let ask = async |client: Client| {
        let found = client
            .post(format!("http://a.example/found?access_token={CANARY}&page=2").as_str())
            .header("x-api-key", CANARY)
            .bearer_auth(CANARY)
            .body("laden");
        let mut answers = Vec::new();
        for call in [found, client.get("http://a.example/missing")] {
            let response = soon(call.send()).await.expect("response");
            answers.push((response.status().as_u16(), response.text().await.expect("text")));
        }
        answers
    };
    let first = ask(stage.builder().transport(recorder.clone()).build().expect("client")).await;
    assert_eq!(first, [(200, "one two".to_owned()), (404, "nothing".to_owned())]);
    let sent = &stage.server.requests()[0];
    assert!(sent.target.contains(CANARY) && sent.header("authorization").is_some_and(|value| value.contains(CANARY)));

    let text = recorder.recording().to_string();
    assert!(text.contains("page=2") && !text.contains(CANARY), "{text}");

    let replayer = Replayer::new(text.parse().expect("a recording")).match_bodies().in_order();
    let again = ask(stage.builder().transport(replayer.clone()).build().expect("client")).await;
    assert_eq!(again, first);
    replayer.assert_all_used();
    assert_eq!(stage.server.request_count(), 2, "the replay reached the server");
}
