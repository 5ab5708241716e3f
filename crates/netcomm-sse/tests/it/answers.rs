//! What an answer means that is no event stream, or does not look like one.

use std::error::Error as _;
use std::time::Duration;

use netcomm_core::{ErrorKind, GaveUp, Reconnect, Refused, Result};
use netcomm_sse::{ContentType, OnStatus, StatusPolicy};

use crate::stage::{Reply, SECOND, Server, Step, data, ends, events, fails, status, stays, story};

#[tokio::test(start_paused = true)]
async fn a_request_says_what_it_wants() {
    let server = Server::replies([stays("data: x\n\n")]);
    let mut stream = server.builder().header("x-own", "y").stream().expect("a stream");
    data(&mut stream).await;
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), &*asked.url), ("GET", crate::stage::URL));
    assert_eq!(asked.header("accept"), Some("text/event-stream"));
    assert_eq!(asked.header("cache-control"), Some("no-cache"));
    assert_eq!((asked.header("x-own"), asked.id()), (Some("y"), None));
    assert!(asked.body.is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_content_ends_it_and_nothing_is_wrong() {
    for policy in [StatusPolicy::Spec, StatusPolicy::Resilient] {
        let server = Server::replies([events("data: x\n\n"), status(204)]);
        let mut stream = server.builder().status(policy).stream().expect("a stream");
        let story = story(&mut stream).await;
        assert_eq!(story.last().map(String::as_str), Some("closed NoContent"), "{story:?}");
        assert!(ends(stream.next()).await.is_none());
        assert_eq!(server.times(), 2);
    }
}

/// The requests of a source whose first answer has that status, and the kind of error that it ends with, if it does.
async fn met(code: u16, policy: StatusPolicy) -> (usize, Option<ErrorKind>) {
    let server = Server::replies([
        status(code).header("content-type", "text/event-stream").give("data: 1\n\n").then(Step::Hang),
        stays("data: 2\n\n"),
    ]);
    let mut stream = server.builder().status(policy).stream().expect("a stream");
    let kind = ends(stream.next()).await.expect("something").err().map(|error| {
        assert_eq!(error.status().map(|status| status.as_u16()), Some(code));
        assert_eq!(error.gave_up(), Some(GaveUp::Final));
        error.kind()
    });
    (server.times(), kind)
}

#[tokio::test(start_paused = true)]
async fn statuses_mean_what_the_policy_says() {
    assert_eq!(met(200, StatusPolicy::Spec).await, (1, None));
    for code in [201, 205, 206, 210, 299, 300, 301, 304, 400, 401, 404, 410, 418, 429, 500, 501, 503] {
        assert_eq!(met(code, StatusPolicy::Spec).await, (1, Some(ErrorKind::Status)), "{code}");
        let passes = [429, 500, 503].contains(&code);
        let expected = if passes { (2, None) } else { (1, Some(ErrorKind::Status)) };
        assert_eq!(met(code, StatusPolicy::default()).await, expected, "{code}");
    }
    let own = |code: u16, says| {
        let policy = StatusPolicy::own(move |status, _| if status == code { says } else { OnStatus::Open });
        met(code, policy)
    };
    assert_eq!(own(418, OnStatus::Retry).await, (2, None));
    assert_eq!(own(206, OnStatus::Open).await, (1, None));
    assert_eq!(own(200, OnStatus::Fatal).await, (1, Some(ErrorKind::Status)));
    assert_eq!(own(403, OnStatus::RefreshCredentials).await, (1, Some(ErrorKind::Status)), "nobody has others");
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_the_classification_has_the_last_word() -> Result<()> {
    let server = Server::replies([status(404), stays("data: x\n\n")]);
    let reconnect = Reconnect::default()
        .classify(|error| (error.status()?.as_u16() == 404).then_some(netcomm_core::Verdict::Retry));
    let mut stream = server.builder().reconnect(reconnect).stream()?;
    assert_eq!(data(&mut stream).await, "x");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_page_is_no_event_stream() -> Result<()> {
    for (value, policy, opens) in [
        (Some("text/event-stream;"), ContentType::Strict, true),
        (Some("text/event-stream; charset=windows-1252"), ContentType::Strict, true),
        (Some("text/x-bogus"), ContentType::Strict, false),
        (None, ContentType::Strict, false),
        (None, ContentType::AllowMissing, true),
        (Some("text/html"), ContentType::AllowMissing, false),
        (Some("text/html"), ContentType::Any, true),
    ] {
        let answer = status(200).give("data: x\n\n").then(Step::Hang);
        let answer = if let Some(value) = value { answer.header("content-type", value) } else { answer };
        let server = Server::replies([answer, stays("data: never\n\n")]);
        let mut stream = server.builder().content_type(policy).stream()?;
        let first = ends(stream.next()).await.expect("something");
        assert_eq!(first.is_ok(), opens, "{value:?}");
        if let Err(error) = first {
            assert_eq!((error.kind(), error.gave_up()), (ErrorKind::Protocol, Some(GaveUp::Final)));
            assert!(error.to_string().contains("not text/event-stream"), "{error}");
            assert_eq!(refused(&error).body, "data: x\n\n", "it helps to see what it was");
        }
        assert_eq!(server.times(), 1);
    }
    Ok(())
}

fn refused(error: &netcomm_core::Error) -> &Refused {
    error.source().and_then(|source| source.downcast_ref()).expect("what was answered")
}

#[tokio::test(start_paused = true)]
async fn an_error_has_what_the_server_said() -> Result<()> {
    let large = vec![b'x'; 200_000];
    for (answer, body) in [
        (status(403).give("no,").wait(SECOND).give(" never"), &b"no, never"[..]),
        (status(403).give("no").then(Step::Hang), b"no"),
        (status(403).give("no").then(Step::Fail(ErrorKind::Io)), b"no"),
        (status(403), b""),
        (status(403).give(&large).then(Step::Hang), &large[..64 * 1024]),
    ] {
        let server = Server::replies([answer.header("x-why", "because")]);
        let mut stream = server.stream();
        let before = tokio::time::Instant::now();
        let error = fails(&mut stream).await;
        assert!(before.elapsed() <= 2 * SECOND, "{:?}", before.elapsed());
        let refused = refused(&error);
        assert_eq!((refused.status.as_u16(), &refused.headers["x-why"]), (403, &"because".parse().expect("a value")));
        assert_eq!(&*refused.body, body);
        assert_eq!(server.streams(), 0, "its body is let go");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_time_for_an_answer_is_none_for_the_body_of_a_refusal() -> Result<()> {
    let late = Reply::Late(Duration::from_millis(900), Box::new(status(404).give("no").then(Step::Hang)));
    let server = Server::replies([late]);
    let mut stream = server.builder().open_timeout(SECOND).stream()?;
    let error = fails(&mut stream).await;
    assert_eq!((error.kind(), server.times()), (ErrorKind::Status, 1), "it was told as a timeout, and tried again");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_an_error_of_the_first_try() -> Result<()> {
    let server = Server::replies([]);
    for builder in [
        netcomm_sse::EventStream::builder(&crate::stage::env(), "ftp://server.test/"),
        netcomm_sse::EventStream::builder(&crate::stage::env(), "nonsense"),
        server.builder().header("a b", "c"),
    ] {
        let mut stream = builder.transport(server.clone()).stream()?;
        assert_eq!(fails(&mut stream).await.kind(), ErrorKind::Invalid);
    }
    assert_eq!(server.times(), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_redirect_that_leads_nowhere_is_said() -> Result<()> {
    for answer in [status(302), status(307).header("content-length", "0")] {
        let server = Server::replies([answer]);
        let error = fails(&mut server.stream()).await;
        assert_eq!(error.kind(), ErrorKind::Status);
        assert!(error.to_string().contains("leads nowhere"), "{error}");
    }
    Ok(())
}
