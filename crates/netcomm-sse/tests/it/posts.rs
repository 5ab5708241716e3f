//! What is asked with another method: answers that stream once.

use netcomm_core::{Body, ErrorKind, GaveUp, Reconnect, Result};
use netcomm_sse::{Builder, Select};

use crate::stage::{Reply, SECOND, Server, Step, data, ends, events, fails, status, stays, story, watch};

fn post(server: &Server) -> Builder {
    server.builder().post_json(&serde_json::json!({"ask": "why?"}))
}

#[tokio::test(start_paused = true)]
async fn a_question_is_asked_once() -> Result<()> {
    let server = Server::new(|_| events("data: a\n\ndata: b\n\n"));
    let mut stream = post(&server).stream()?;
    let story = story(&mut stream).await;
    assert_eq!(story, ["connecting 1", "open 200", "event a", "event b", "closed Finished"]);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].method.as_str(), asked[0].header("content-type")), ("POST", Some("application/json")));
    assert_eq!(asked[0].body, r#"{"ask":"why?"}"#);
    assert_eq!(asked[0].header("accept"), Some("text/event-stream"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_breaks_is_an_error_and_not_asked_again() -> Result<()> {
    for (reply, kind) in [
        (events("data: a\n\n").then(Step::Fail(ErrorKind::Closed)), ErrorKind::Closed),
        (Reply::Fail(ErrorKind::Connect), ErrorKind::Connect),
        (status(503), ErrorKind::Status),
        (status(429).header("retry-after", "1"), ErrorKind::Status),
        (stays("data: a\n\n"), ErrorKind::Timeout),
    ] {
        let server = Server::replies([reply]);
        let error = fails(&mut post(&server).idle_timeout(SECOND).stream()?).await;
        assert_eq!((error.kind(), error.gave_up(), server.times()), (kind, Some(GaveUp::Attempts), 1));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_last_event_ends_it_well() -> Result<()> {
    let server = Server::new(|_| stays("data: a\n\ndata: [DONE]\n\ndata: never\n\n"));
    let mut stream = post(&server).done_when("[DONE]").stream()?;
    assert_eq!(data(&mut stream).await, "a");
    assert!(ends(stream.next()).await.is_none());
    assert!(ends(stream.next()).await.is_none());
    assert_eq!((server.times(), server.streams(), stream.counts().events), (1, 0, 1));
    // Also where it would come back.
    let server = Server::new(|_| stays("data: a\n\ndata: [DONE]\n\n"));
    let mut stream = server.builder().done_when("[DONE]").stream()?;
    assert_eq!(story(&mut stream).await.last().map(String::as_str), Some("closed Sentinel"));
    assert_eq!(server.times(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_end_before_the_last_event_is_none() -> Result<()> {
    let server = Server::new(|_| events("data: a\n\ndata: [DONE]"));
    let mut stream = post(&server).done_when("[DONE]").stream()?;
    let error = fails(&mut stream).await;
    assert_eq!((error.kind(), server.times()), (ErrorKind::Incomplete, 1));
    // One that is not wanted is not seen.
    let server = Server::new(|_| events("data: [DONE]\n\n"));
    let mut stream = post(&server).done_when("[DONE]").types([Select::exact("x")]).stream()?;
    assert_eq!(fails(&mut stream).await.kind(), ErrorKind::Incomplete);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_where_it_was_told_to_with_its_body() -> Result<()> {
    let server = Server::replies([status(503), events("id: 1\ndata: a\n\n"), stays("data: b\n\n")]);
    let mut stream = post(&server).reconnect(Reconnect::default()).stream()?;
    assert_eq!((data(&mut stream).await, data(&mut stream).await), ("a".to_owned(), "b".to_owned()));
    assert_eq!(server.ids(), ["-", "-", "1"]);
    assert!(server.asked().iter().all(|asked| asked.body == r#"{"ask":"why?"}"# && asked.method == "POST"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_body_that_can_be_sent_once_is() -> Result<()> {
    let server = Server::new(|_| events("data: a\n\n"));
    let body = Body::from_reader(&b"once"[..], Some(4));
    let mut stream = server.builder().method(http::Method::POST).body(body).reconnect(Reconnect::default()).stream()?;
    assert_eq!(data(&mut stream).await, "a");
    let error = fails(&mut stream).await;
    assert_eq!((error.kind(), error.gave_up()), (ErrorKind::User, Some(GaveUp::BodySpent)));
    assert_eq!(server.times(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_made_anew_goes_each_time() -> Result<()> {
    let server = Server::new(|_| events(""));
    let body = Body::replayable(|| Body::from_reader(&b"again"[..], Some(5)));
    let mut stream = server.builder().method(http::Method::PUT).body(body).reconnect(Reconnect::default()).stream()?;
    watch(&mut stream, 60 * SECOND).await;
    let asked = server.asked();
    assert!(asked.len() > 3 && asked.iter().all(|asked| asked.body == "again"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn json_that_cannot_be_said_is_an_error_of_the_first_try() -> Result<()> {
    let server = Server::replies([]);
    let strange = std::collections::HashMap::from([((1, 2), 3)]);
    let mut stream = server.builder().post_json(&strange).stream()?;
    let error = fails(&mut stream).await;
    assert_eq!((error.kind(), server.times()), (ErrorKind::Invalid, 0));
    Ok(())
}
