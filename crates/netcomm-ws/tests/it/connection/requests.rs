//! Questions and answers.

use std::time::Duration;

use netcomm_core::{ErrorKind, Result};
use netcomm_ws::{
    AtLeastOnce, CloseCode, Connection, Event, JsonDialect, Outbound, Overflow, QueueLimits, Socket, State,
};
use serde_json::{Value, json};

use super::stage::{SECOND, URL, ends, heard, listen, pass, until};
use crate::world::World;

async fn question(socket: &mut Socket) -> (Value, Value) {
    let value: Value = serde_json::from_str(&heard(socket).await).expect("JSON");
    (value["id"].clone(), value["data"].clone())
}

/// Answers each question with twice its number; says nothing to zero.
async fn double(mut socket: Socket) {
    while let Ok(Some(message)) = socket.recv().await {
        let value: Value = serde_json::from_str(message.as_text().expect("text")).expect("JSON");
        let number = value["data"].as_u64().expect("a number");
        if let Some(sequence) = value.get("seq") {
            socket.send(json!({ "ack": sequence }).to_string()).await.expect("sent");
        }
        if number > 0 {
            socket.send(json!({ "re": value["id"], "data": 2 * number }).to_string()).await.expect("sent");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_has_its_answer_or_its_timeout() -> Result<()> {
    let world = World::new();
    world.dialer.fail_next(ErrorKind::Connect);
    world.serve_all(double);
    let (connection, _messages) = Connection::builder(&world.env, URL).dialect(JsonDialect).open()?;
    let answer = ends(connection.request("21", 10 * SECOND)).await?;
    assert_eq!(answer.as_text(), Some("42"));
    let before = tokio::time::Instant::now();
    let error = ends(connection.request("0", 10 * SECOND)).await.expect_err("no answer");
    assert!(error.is_timeout());
    assert_eq!(before.elapsed(), 10 * SECOND);
    assert_eq!(connection.snapshot().requests, 0);
    let error = ends(connection.request("no json", 10 * SECOND)).await.expect_err("no words for it");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(connection.snapshot().requests, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_asks_no_more_is_not_asked_for() -> Result<()> {
    let world = World::new();
    world.dialer.hang_next();
    let (connection, _messages) = Connection::builder(&world.env, URL).dialect(JsonDialect).open()?;
    let error = ends(connection.request("1", SECOND)).await.expect_err("not even sent");
    assert!(error.is_timeout());
    let snapshot = connection.snapshot();
    assert_eq!((snapshot.queued, snapshot.requests, snapshot.counts.dropped), (0, 0, 1));
    let asking = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request("2", 100 * SECOND).await }
    });
    pass(SECOND).await;
    assert_eq!((connection.snapshot().queued, connection.snapshot().requests), (1, 1));
    asking.abort();
    pass(SECOND).await;
    assert_eq!((connection.snapshot().queued, connection.snapshot().requests), (0, 0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_is_nobodys() -> Result<()> {
    let world = World::new();
    world.serve_all(|mut socket| async move {
        let (id, _) = question(&mut socket).await;
        pass(5 * SECOND).await;
        for _ in 0..2 {
            socket.send(json!({ "re": id, "data": 1 }).to_string()).await.expect("sent");
        }
        listen(socket).await;
    });
    let (connection, mut messages) = Connection::builder(&world.env, URL).dialect(JsonDialect).open()?;
    let mut events = connection.events(None);
    assert!(ends(connection.request("1", SECOND)).await.is_err_and(|error| error.is_timeout()));
    pass(10 * SECOND).await;
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    assert!(ends(messages.next()).await.is_none(), "answers are not for listeners");
    let mut unclaimed = 0;
    while let Some(Ok(event)) = ends(events.next()).await {
        unclaimed += usize::from(matches!(event, Event::Unclaimed { topic: None }));
    }
    assert_eq!((unclaimed, connection.snapshot().counts.unclaimed), (2, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_thousand_questions_are_answered_in_any_order() -> Result<()> {
    const ALL: usize = 1000;
    let world = World::new();
    world.serve_all(|mut socket| async move {
        let mut questions = Vec::new();
        for _ in 0..ALL {
            questions.push(question(&mut socket).await);
        }
        // A stride that shares no divisor with their number passes by each once.
        for nth in 0..ALL {
            let (id, data) = &questions[nth * 637 % ALL];
            socket.send(json!({ "re": id, "data": data }).to_string()).await.expect("sent");
        }
        listen(socket).await;
    });
    let (connection, _messages) = Connection::builder(&world.env, URL).dialect(JsonDialect).open()?;
    let asking: Vec<_> = (0..ALL)
        .map(|nth| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.request(nth.to_string(), 100 * SECOND).await })
        })
        .collect();
    for (nth, asked) in asking.into_iter().enumerate() {
        let answer = ends(asked).await.expect("no panic")?;
        assert_eq!(answer.as_text(), Some(&*nth.to_string()));
    }
    assert_eq!(connection.snapshot().requests, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_question_that_was_lost_says_so() -> Result<()> {
    for is_renewed in [false, true] {
        let world = World::new();
        world.serve_next(move |mut socket| async move {
            question(&mut socket).await;
            if is_renewed {
                listen(socket).await;
            }
        });
        world.serve_all(double);
        let (connection, _messages) = Connection::builder(&world.env, URL).dialect(JsonDialect).open()?;
        ends(connection.ready()).await?;
        let asking = tokio::spawn({
            let connection = connection.clone();
            async move { connection.request("1", 1000 * SECOND).await }
        });
        if is_renewed {
            pass(SECOND).await;
            connection.renew();
        }
        let before = tokio::time::Instant::now();
        let error = ends(asking).await.expect("no panic").expect_err("lost");
        assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Closed, false));
        assert!(before.elapsed() < SECOND);
        // One that waits goes to the next connection.
        assert_eq!(ends(connection.request("2", 100 * SECOND)).await?.as_text(), Some("4"));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_question_with_a_number_is_asked_again() -> Result<()> {
    let world = World::new();
    for _ in 0..3 {
        world.serve_next(|mut socket| async move {
            question(&mut socket).await;
        });
    }
    world.serve_all(double);
    let (connection, _messages) =
        Connection::builder(&world.env, URL).dialect(JsonDialect).at_least_once(AtLeastOnce::default()).open()?;
    assert_eq!(ends(connection.request("4", 1000 * SECOND)).await?.as_text(), Some("8"));
    assert_eq!((world.dialer.dials(), connection.snapshot().counts.resent), (4, 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_answer_to_what_was_not_sent() -> Result<()> {
    let world = World::new();
    world.dialer.hang_all();
    let queue = QueueLimits::default().with_messages(1);
    let long = 3000 * SECOND;
    for (overflow, kind) in [(Overflow::Reject, ErrorKind::Busy), (Overflow::DropNewest, ErrorKind::Busy)] {
        let (connection, _messages) =
            Connection::builder(&world.env, URL).dialect(JsonDialect).queue(queue.with_overflow(overflow)).open()?;
        connection.send("1").await?;
        let before = tokio::time::Instant::now();
        let error = ends(connection.request("2", long)).await.expect_err("no room");
        assert_eq!((error.kind(), error.is_unsent()), (kind, true));
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
    let (connection, _messages) = Connection::builder(&world.env, URL)
        .dialect(JsonDialect)
        .queue(queue.with_overflow(Overflow::DropOldest))
        .open()?;
    let evicted = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request("1", long).await }
    });
    pass(SECOND).await;
    connection.send("2").await?;
    let before = tokio::time::Instant::now();
    let error = ends(evicted).await.expect("no panic").expect_err("evicted");
    assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Busy, true));
    let error = ends(connection.request(Outbound::new("3").volatile(), long)).await.expect_err("no connection");
    assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Closed, true));
    let expired = Outbound::new("4").time_to_live(2 * SECOND);
    assert!(ends(connection.request(expired, long)).await.expect_err("too late").is_timeout());
    assert!(before.elapsed() < 3 * SECOND);
    let closed = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request("5", long).await }
    });
    pass(SECOND).await;
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    let error = ends(closed).await.expect("no panic").expect_err("closed for good");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(ends(connection.request("6", long)).await.expect_err("closed").kind(), ErrorKind::Closed);
    until(&connection, State::is_closed).await;
    Ok(())
}
