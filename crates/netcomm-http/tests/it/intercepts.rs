//! Users' code around calls and around attempts.

use std::sync::{Arc, Mutex};

use http::{HeaderValue, Request, Response, StatusCode};
use netcomm_core::{Body, Error, ErrorKind, Event, Result, Scope};
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_http::{Intercept, Next};

use crate::stage::{Stage, friendly, redirect, stage};

/// Writes down what passes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().expect("no panic under the lock").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic under the lock").clone()
    }

    fn named(&self, name: &'static str) -> Named {
        Named { name, log: self.clone() }
    }
}

struct Named {
    name: &'static str,
    log: Log,
}

impl Intercept for Named {
    async fn intercept(&self, request: Request<Body>, mut next: Next<'_>) -> Result<Response<Body>> {
        let name = self.name;
        self.log.add(format!("{name} in {} {}", next.attempt(), request.uri()));
        let response = next.run(request).await?;
        self.log.add(format!("{name} out {}", response.status().as_u16()));
        Ok(response)
    }
}

/// Answers in place of the server.
struct Answering;

impl Intercept for Answering {
    async fn intercept(&self, _: Request<Body>, _: Next<'_>) -> Result<Response<Body>> {
        let mut response = Response::new(Body::from("made here"));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response.extensions_mut().insert(7_u32);
        Ok(response)
    }
}

struct Failing;

impl Intercept for Failing {
    async fn intercept(&self, _: Request<Body>, _: Next<'_>) -> Result<Response<Body>> {
        Err(Error::new(ErrorKind::User, "think").with_detail("no idea"))
    }
}

/// Runs the rest twice and gives the second answer.
struct Twice;

impl Intercept for Twice {
    async fn intercept(&self, request: Request<Body>, mut next: Next<'_>) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let spare = body.try_clone().expect("a body that can be sent again");
        let again = Request::from_parts(parts.clone(), spare);
        drop(next.run(Request::from_parts(parts, body)).await?);
        next.run(again).await
    }
}

/// Sends the request to another place.
struct Turning(&'static str);

impl Intercept for Turning {
    async fn intercept(&self, mut request: Request<Body>, mut next: Next<'_>) -> Result<Response<Body>> {
        *request.uri_mut() = self.0.parse().expect("a URI");
        next.run(request).await
    }
}

fn once_redirecting() -> Stage {
    stage(
        ScriptedServer::builder()
            .route("/go", redirect(302, "http://b.example/there"))
            .handler(|_| Reply::status(200).body("arrived")),
    )
}

fn ends(stage: &Stage) -> usize {
    stage.seen.count(|event| matches!(event, Event::CallEnded { .. }))
}

#[tokio::test(start_paused = true)]
async fn the_first_added_is_the_outermost_and_calls_enclose_attempts() {
    let stage = once_redirecting();
    let log = Log::default();
    let client = stage
        .builder()
        .intercept_attempts(log.named("attempt 1"))
        .intercept_calls(log.named("call 1"))
        .intercept_calls(log.named("call 2"))
        .intercept_attempts(log.named("attempt 2"))
        .build()
        .unwrap();
    client.get("http://a.example/go").send().await.unwrap();
    assert_eq!(
        log.lines(),
        [
            "call 1 in 0 http://a.example/go",
            "call 2 in 0 http://a.example/go",
            "attempt 1 in 1 http://a.example/go",
            "attempt 2 in 1 http://a.example/go",
            "attempt 2 out 302",
            "attempt 1 out 302",
            "attempt 1 in 2 http://b.example/there",
            "attempt 2 in 2 http://b.example/there",
            "attempt 2 out 200",
            "attempt 1 out 200",
            "call 2 out 200",
            "call 1 out 200",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_may_change_what_goes_out_and_what_comes_in() {
    struct Changing;
    impl Intercept for Changing {
        async fn intercept(&self, request: Request<Body>, mut next: Next<'_>) -> Result<Response<Body>> {
            let (mut parts, body) = request.into_parts();
            parts.headers.insert("x-call", HeaderValue::from(next.call().0));
            parts.method = http::Method::PUT;
            let text = body.collect(100).await?;
            let body = Body::from([&text, &b" and more"[..]].concat());
            let mut response = next.run(Request::from_parts(parts, body)).await?;
            response.headers_mut().insert("x-seen", HeaderValue::from_static("yes"));
            Ok(response.map(|_| Body::from("changed")))
        }
    }
    let stage = friendly();
    for build in [stage.builder().intercept_calls(Changing), stage.builder().intercept_attempts(Changing)] {
        let client = build.build().unwrap();
        let response = client.post("http://a.example/").body("some").send().await.unwrap();
        let call = response.call().0.to_string();
        assert_eq!(response.headers()["x-seen"], "yes");
        assert_eq!(response.text().await.unwrap(), "changed");
        let seen = stage.server.take_requests().remove(0);
        assert_eq!((seen.method.as_str(), seen.text().as_str()), ("PUT", "some and more"));
        assert_eq!((seen.header("x-call"), seen.header("content-length")), (Some(call.as_str()), Some("13")));
    }
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_may_answer_itself_and_nothing_is_dialled() {
    for around_call in [true, false] {
        let stage = friendly();
        let builder = stage.builder();
        let client = match around_call {
            true => builder.intercept_calls(Answering),
            false => builder.intercept_attempts(Answering),
        };
        let response = client.build().unwrap().get("http://a.example/").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!((response.extensions().get(), response.connection()), (Some(&7_u32), None));
        assert_eq!(response.text().await.unwrap(), "made here");
        assert_eq!(stage.dialer.dials(), 0);
        assert_eq!(ends(&stage), 1, "around_call={around_call}: the call has ended, once");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interceptors_error_is_the_calls_error() {
    for around_call in [true, false] {
        let stage = friendly();
        let builder = stage.builder();
        let client = match around_call {
            true => builder.intercept_calls(Failing),
            false => builder.intercept_attempts(Failing),
        };
        let error = client.build().unwrap().get("http://a.example/x?y").send().await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::User, "think"));
        assert_eq!(error.url(), Some("http://a.example/x"));
        assert_eq!((stage.dialer.dials(), ends(&stage)), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn errors_from_below_pass_through_an_interceptor_unchanged() {
    let stage = friendly();
    stage.dialer.fail_all(ErrorKind::Dns);
    let log = Log::default();
    let client = stage.builder().intercept_attempts(log.named("attempt")).build().unwrap();
    let error = client.get("http://a.example/").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns);
    assert_eq!(log.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_rest_may_be_run_twice() {
    for around_call in [true, false] {
        let stage = friendly();
        let builder = stage.builder();
        let client = match around_call {
            true => builder.intercept_calls(Twice),
            false => builder.intercept_attempts(Twice),
        };
        let call = client.build().unwrap().post("http://a.example/").body("again");
        let response = call.send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "ok");
        let seen = stage.server.requests();
        assert!(seen.len() == 2 && seen.iter().all(|seen| seen.text() == "again"));
        assert_eq!(ends(&stage), 1, "around_call={around_call}: one call, one end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_run_starts_from_the_beginning() {
    let stage = once_redirecting();
    let client = stage.builder().intercept_calls(Twice).build().unwrap();
    let response = client.get("http://a.example/go").send().await.unwrap();
    assert_eq!(response.redirects(), ["http://a.example/go"], "those that led to this answer");
    let hosts: Vec<_> =
        stage.server.requests().iter().map(|seen| seen.header("host").unwrap_or("").to_owned()).collect();
    assert_eq!(hosts, ["a.example", "b.example", "a.example", "b.example"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_may_be_turned_elsewhere_and_credentials_follow_the_place() {
    let stage = friendly();
    let bearer = netcomm_http::Credentials::bearer(&"token".into()).unwrap();
    let client = stage
        .builder()
        .credentials("http://a.example", bearer)
        .intercept_calls(Turning("http://b.example/turned"))
        .build()
        .unwrap();
    let response = client.get("http://a.example/x").send().await.unwrap();
    assert_eq!(response.uri(), "http://b.example/turned");
    let seen = stage.server.requests().remove(0);
    assert_eq!((seen.target.as_str(), seen.header("host")), ("/turned", Some("b.example")));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_scheme_alone_is_a_change_of_the_place() {
    struct Secured;
    impl Intercept for Secured {
        async fn intercept(&self, mut request: Request<Body>, mut next: Next<'_>) -> Result<Response<Body>> {
            let mut parts = request.uri().clone().into_parts();
            parts.scheme = Some(http::uri::Scheme::HTTPS);
            *request.uri_mut() = parts.try_into().unwrap();
            next.run(request).await
        }
    }

    let stage = friendly();
    let client = stage.builder().intercept_calls(Secured).build().unwrap();
    let response = client.get("http://a.example/").send().await.unwrap();
    assert_eq!(response.uri(), "https://a.example/");
    let client = stage.builder().intercept_attempts(Secured).build().unwrap();
    client.get("http://b.example/").send().await.unwrap();
    let origins: Vec<_> = client.pool().snapshot().origins.iter().map(|slot| slot.origin.to_string()).collect();
    assert_eq!(origins, ["https://b.example:443"]);
}

#[tokio::test(start_paused = true)]
async fn no_interceptor_leads_out_of_a_scope() {
    for around_call in [true, false] {
        let stage = friendly();
        let builder = stage.builder();
        let client = match around_call {
            true => builder.intercept_calls(Turning("http://b.example/")),
            false => builder.intercept_attempts(Turning("http://b.example/")),
        };
        let scope = Scope::builder("plugin").allow("http://a.example").unwrap().build();
        let client = client.build().unwrap().scoped(scope);
        let error = client.get("http://a.example/").send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "around_call={around_call}");
        assert_eq!(stage.dialer.dials(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_knows_call_attempt_and_scope() {
    struct Asking(Log);
    impl Intercept for Asking {
        async fn intercept(&self, request: Request<Body>, mut next: Next<'_>) -> Result<Response<Body>> {
            let scope = next.scope().name().map(|name| name.to_string());
            self.0.add(format!("{} {} {scope:?}", next.call().0, next.attempt()));
            next.run(request).await
        }
    }
    let stage = once_redirecting();
    let log = Log::default();
    let client =
        stage.builder().intercept_calls(Asking(log.clone())).intercept_attempts(Asking(log.clone())).build().unwrap();
    let scoped = client.scoped(Scope::builder("plugin").allow_all().build());
    let id = scoped.get("http://a.example/go").send().await.unwrap().call().0;
    let scope = r#"Some("plugin")"#;
    let expected = [0, 1, 2].map(|attempt| format!("{id} {attempt} {scope}"));
    assert_eq!(log.lines(), expected);
}
