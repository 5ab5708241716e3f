//! No secret leaves by `Debug`, `Display` or an observation: one canary is put wherever secrets go, and looked for in
//! everything that can be printed.

use std::error::Error as _;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use netcomm_core::{
    Body, Env, Error, ErrorKind, Event, Host, Interest, Observation, Redacted, Scope, Secret, Target, redact_url,
};
use netcomm_http::Client;
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_tests::{CollectingObserver, ScriptedDialer, TokioClock};

pub(crate) const CANARY: &str = "hunter2canary";

/// Fails if the canary is in the text, in plain or in a coding that hides it from nobody.
#[track_caller]
pub(crate) fn assert_clean(what: &str, text: &str) {
    assert!(!text.contains(CANARY), "{what} shows the secret: {text}");
    // base64 of the canary at the three alignments, without the characters that depend on the neighbours.
    for coded in ["aHVudGVyMmNhbmFye", "h1bnRlcjJjYW5hcn", "odW50ZXIyY2FuYXJ5"] {
        assert!(!text.contains(coded), "{what} shows the secret in base64: {text}");
    }
}

fn canary_url() -> String {
    format!("https://{CANARY}:{CANARY}@example.com/path?access_token={CANARY}&q={CANARY}#{CANARY}")
}

/// Everything that an error shows, its sources included.
fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?} {:?} {:?}", error.url(), error.detail());
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(" {inner} {inner:?}");
        source = inner.source();
    }
    text
}

#[test]
fn values() {
    let secret = Secret::from(CANARY);
    assert_clean("Secret", &format!("{secret:?} {secret:#?} {:?}", Some(&secret)));
    assert_eq!(secret.expose(), CANARY);
}

#[test]
fn headers() {
    let mut headers = HeaderMap::new();
    for name in [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-auth-token",
        "x-amz-security-token",
        "client-secret",
        "x-user-password",
    ] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(CANARY));
    }
    let mut marked = HeaderValue::from_static(CANARY);
    marked.set_sensitive(true);
    headers.append("x-plain", marked);
    assert_clean("Redacted", &format!("{:?} {:#?}", Redacted(&headers), Redacted(&headers)));
}

#[test]
fn urls() {
    for url in [
        canary_url(),
        format!("//{CANARY}@example.com"),
        format!("{CANARY}:{CANARY}@example.com/x"),
        format!("https://a@b:{CANARY}@example.com"),
        format!("https://example.com?{CANARY}"),
        format!("https://example.com#{CANARY}"),
        format!("https://{CANARY}@example.com\\x"),
    ] {
        assert_clean("redact_url", &redact_url(&url));
        assert_clean("Error", &shown(&Error::new(ErrorKind::Connect, "connect").with_url(&url)));
    }
}

#[test]
fn errors_of_core() {
    let error = Scope::builder("none").build().check(&http::Method::GET, &canary_uri());
    assert_clean("Error of Scope", &shown(&error.expect_err("reaches nothing")));
}

fn canary_uri() -> http::Uri {
    canary_url().parse().expect("a URI")
}

#[test]
fn targets_and_bodies() {
    let target = Target::tcp(Host::parse("example.com").expect("a host"), 443);
    let request = Request::new(Body::from(CANARY));
    assert_clean("Target and Body", &format!("{target:?} {target} {:?}", request.body()));
}

#[test]
fn observations() {
    let observer = CollectingObserver::new();
    observer.tap().emit(Interest::CALL, || {
        let event = Event::CallStarted { method: http::Method::GET, url: redact_url(&canary_url()) };
        Observation::new(Instant::now(), event)
    });
    assert!(observer.debug_text().contains("example.com"));
    assert_clean("Observation", &observer.debug_text());
}

/// A call with secrets in every place, once answered and once not.
#[tokio::test(start_paused = true)]
async fn http_calls() {
    let echo = Reply::status(302)
        .header("set-cookie", format!("session={CANARY}"))
        .header("location", format!("/next?token={CANARY}"));
    let server = ScriptedServer::builder()
        .route("/path", echo)
        .route("/next", Reply::status(200).header("x-api-key", CANARY).body("fine"))
        .offline();
    let dialer = ScriptedDialer::new();
    dialer.serve_all({
        let server = server.clone();
        move |stream| server.serve(stream)
    });
    let observer = CollectingObserver::new();
    let env = Env::new(dialer.clone(), TokioClock::new()).with_tap(observer.tap());
    let client = Client::builder(&env).build().expect("a client");
    let url = canary_url().replace("https", "http");
    let request = || client.get(&*url).bearer_auth(CANARY).header("x-api-key", CANARY).body(CANARY);
    assert_clean("RequestBuilder", &format!("{:?}", request()));
    assert_clean("Request", &format!("{:#?}", request().build().expect("a request")));

    let response = request().send().await.expect("an answer");
    assert!(server.requests()[0].header("authorization").is_some_and(|value| value.contains(CANARY)));
    assert_clean("Response", &format!("{response:?} {response:#?}"));
    assert_eq!(response.bytes().await.expect("a body"), "fine");

    client.pool().evict_all();
    dialer.fail_all(ErrorKind::Connect);
    assert_clean("Error", &shown(&request().send().await.expect_err("no connection")));
    dialer.hang_all();
    assert_clean("Error", &shown(&request().send().await.expect_err("no time left")));

    assert_clean("Client", &format!("{client:?} {client:#?} {env:?}"));
    assert!(observer.debug_text().contains("example.com"), "something was observed");
    assert_clean("Observations", &observer.debug_text());
}
