//! Redirects, as the client of netcomm-http follows them for a source.

use std::sync::{Arc, Mutex};

use netcomm_core::{Env, ErrorKind, Result};
use netcomm_http::{Client, Redirects};
use netcomm_sse::{Builder, EventStream};
use netcomm_tests::{ScriptedDialer, TokioClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::http::head;
use crate::stage::{data, fails};

/// What was asked, host and path of each.
type Heads = Arc<Mutex<Vec<String>>>;

/// A server that answers `/` with that status and location, and all else with a stream.
fn world(status: u16, location: Option<&'static str>) -> (Env, Heads) {
    let dialer = ScriptedDialer::new();
    let heads = Heads::default();
    dialer.serve_all({
        let heads = Arc::clone(&heads);
        move |mut stream| {
            let heads = Arc::clone(&heads);
            async move {
                let head = head(&mut stream).await;
                let moved = head.contains(" / http");
                heads.lock().expect("held shortly").push(head);
                let answer = match (moved, location) {
                    (false, _) => "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: x\n\n".to_owned(),
                    (true, Some(location)) => {
                        format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    }
                    (true, None) => format!("HTTP/1.1 {status} Moved\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
                };
                stream.write_all(answer.as_bytes()).await.expect("sent");
                if !moved {
                    while stream.read_u8().await.is_ok() {}
                }
            }
        }
    });
    (Env::new(dialer, TokioClock::new()), heads)
}

fn builder(env: &Env) -> Builder {
    EventStream::builder(env, "http://server.test/").last_event_id("7").header("authorization", "Bearer hunter2")
}

#[tokio::test(start_paused = true)]
async fn redirects_are_followed() -> Result<()> {
    for status in [301, 302, 303, 307, 308] {
        for location in ["/else", "else?x=1", "http://server.test/else", "//server.test/else"] {
            let (env, heads) = world(status, Some(location));
            let mut stream = builder(&env).stream()?;
            assert_eq!(data(&mut stream).await, "x", "{status} {location}");
            let heads = heads.lock().expect("held shortly").clone();
            assert_eq!(heads.len(), 2);
            for field in ["last-event-id: 7", "authorization: bearer hunter2", "accept: text/event-stream", "get /"] {
                assert!(heads[1].contains(field), "{field} is not in {}", heads[1]);
            }
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_not_told_our_secrets() -> Result<()> {
    let (env, heads) = world(307, Some("http://stranger.test/else"));
    let mut stream = builder(&env).header("cookie", "hunter2").stream()?;
    assert_eq!(data(&mut stream).await, "x");
    let heads = heads.lock().expect("held shortly").clone();
    assert!(heads[0].contains("hunter2") && !heads[1].contains("hunter2"), "{}", heads[1]);
    assert!(heads[1].contains("host: stranger.test") && heads[1].contains("accept: text/event-stream"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_question_goes_along_where_its_method_does() -> Result<()> {
    for (status, method) in [(307, "post /else"), (308, "post /else"), (303, "get /else")] {
        let (env, heads) = world(status, Some("/else"));
        let mut stream = builder(&env).post_json("?").stream()?;
        assert_eq!(data(&mut stream).await, "x");
        let heads = heads.lock().expect("held shortly").clone();
        assert!(heads[1].starts_with(method), "{}", heads[1]);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_that_leads_nowhere_or_around_is_an_error() -> Result<()> {
    for status in [301, 302, 303, 307, 308] {
        for (location, kind) in [(None, ErrorKind::Status), (Some("/"), ErrorKind::Redirect)] {
            let (env, heads) = world(status, location);
            let error = fails(&mut builder(&env).stream()?).await;
            assert_eq!(error.kind(), kind, "{status} {location:?}: {error}");
            let count = heads.lock().expect("held shortly").len();
            assert!(count < 30, "{count} requests");
        }
    }
    for location in ["", "ftp://server.test/", "http://"] {
        let (env, _) = world(301, Some(location));
        let error = fails(&mut builder(&env).stream()?).await;
        assert!([ErrorKind::Redirect, ErrorKind::Status].contains(&error.kind()), "{location:?}: {error:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_followed_is_told_with_where_it_leads() -> Result<()> {
    let (env, heads) = world(302, Some("/else"));
    let client = Client::builder(&env).redirects(Redirects::Manual).build()?;
    let error = fails(&mut builder(&env).transport(client).stream()?).await;
    assert_eq!(error.status().map(|status| status.as_u16()), Some(302));
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<netcomm_core::Refused>());
    assert_eq!(source.expect("what was answered").headers["location"], "/else");
    assert_eq!(heads.lock().expect("held shortly").len(), 1);
    Ok(())
}
