//! What observers are told, and what nobody is.

use netcomm_core::{ErrorKind, Event, Interest, Result};
use netcomm_sse::{EventStream, StatusPolicy};
use netcomm_tests::CollectingObserver;

use crate::stage::{SECOND, Server, Step, data, ends, env, events, fails, status, stays, watch};

#[tokio::test(start_paused = true)]
async fn a_life_as_it_is_observed() -> Result<()> {
    let observer = CollectingObserver::new();
    let server = Server::replies([
        events("id: 1\ndata: abc\n\ndata: \n\n").wait(6 * SECOND).then(Step::Fail(ErrorKind::Io)),
        stays("data: hello\n\n"),
    ]);
    let mut stream = server.builder_in(&env().with_tap(observer.tap())).stream()?;
    for _ in 0..3 {
        data(&mut stream).await;
    }
    stream.close();
    watch(&mut stream, SECOND).await;
    let seen: Vec<_> = observer.events().iter().map(|event| format!("{event:?}")).collect();
    let told = |at: usize, words: &[&str]| assert!(words.iter().all(|word| seen[at].contains(word)), "{}", seen[at]);
    told(0, &["StreamOpened", "http://server.test/events", "resumed: false"]);
    told(1, &["EventReceived", "bytes: 3"]);
    told(2, &["EventReceived", "bytes: 0"]);
    told(3, &["StreamEnded", "Some(Io)", "events: 2", "6s"]);
    told(4, &["Retrying"]);
    told(5, &["StreamOpened", "resumed: true"]);
    told(6, &["EventReceived", "bytes: 5"]);
    told(7, &["StreamEnded", "None", "events: 1"]);
    assert_eq!(seen.len(), 8);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_an_error_is_observed_as_one() -> Result<()> {
    let observer = CollectingObserver::with_interest(Interest::CONNECTION);
    let env = env().with_tap(observer.tap());
    let server = Server::new(|_| events("data: x\n\n"));
    let mut stream = server.builder_in(&env).post_json("?").done_when("[DONE]").stream()?;
    fails(&mut stream).await;
    let ended = |event: &Event| matches!(event, Event::StreamEnded { error: Some(ErrorKind::Incomplete), .. });
    assert_eq!(observer.count(ended), 1, "{}", observer.debug_text());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_shown() -> Result<()> {
    let observer = CollectingObserver::new();
    let env = env().with_tap(observer.tap());
    let server = Server::replies([
        events("data: hunter2-data\n\n").header("set-cookie", "hunter2-cookie"),
        status(503).header("set-cookie", "hunter2-cookie").give("hunter2-answer"),
        stays("data: {\"hunter2-typed\"\n\n").header("set-cookie", "hunter2-cookie"),
        status(404).header("set-cookie", "hunter2-cookie").give("hunter2-answer"),
    ]);
    let mut texts = Vec::new();
    let builder = EventStream::builder(&env, "http://user:hunter2-pass@server.test/events?key=hunter2-query")
        .transport(server.clone())
        .status(StatusPolicy::Resilient)
        .header("authorization", "Bearer hunter2-header")
        .header("cookie", "hunter2-header")
        .header("x-api-key", "hunter2-header")
        .reconnect(netcomm_core::Reconnect::default())
        .post_json("hunter2-body");
    texts.push(format!("{builder:?} {builder:#?}"));
    let mut stream = builder.stream()?;
    while let Some(notice) = ends(stream.notice()).await {
        texts.push(format!("{notice:?} {:?} {stream:?}", stream.state()));
        if let netcomm_sse::Notice::Event(event) = notice {
            let error = event.json::<u32>().expect_err("no number");
            texts.push(format!("{error} {error:?}"));
            if stream.counts().events == 2 {
                stream.restart();
            }
        }
    }
    texts.push(observer.debug_text());
    assert!(server.times() == 4 && server.asked()[0].header("authorization").is_some());
    for text in texts {
        assert!(!text.contains("hunter2"), "{text}");
    }
    Ok(())
}
