//! The first words.

use netcomm_core::{ErrorKind, Result};
use netcomm_ws::{
    Attempt, CloseCode, Connect, Connection, Greet, Greeting, JsonDialect, Link, Listening, Reconnect, Resume, Socket,
    State,
};

use super::stage::{Nod, SECOND, URL, ends, heard, listen, pass, texts, until};
use crate::world::World;

/// Logs in, and keeps what comes in between.
#[derive(Debug)]
struct Login;

impl Greet for Login {
    async fn greet(&self, link: &mut Link<'_>, _resume: &Resume) -> Result<Greeting> {
        link.send("login").await?;
        loop {
            let message = link.recv().await?;
            if message.as_text() == Some("welcome") {
                return Ok(Greeting::new());
            }
            link.keep(message)?;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_else_is_said_before_it_ends() -> Result<()> {
    let world = World::new();
    world.serve_all(|mut socket: Socket| async move {
        assert_eq!(heard(&mut socket).await, "login");
        for text in ["1", "2"] {
            socket.send(text).await.expect("sent");
        }
        tokio::select! {
            early = heard(&mut socket) => panic!("{early}"),
            () = pass(5 * SECOND) => {}
        }
        for text in ["welcome", "3"] {
            socket.send(text).await.expect("sent");
        }
        assert_eq!(heard(&mut socket).await, r#"{"subscribe":"t"}"#);
        for nth in 0..3 {
            assert_eq!(heard(&mut socket).await, format!(r#"{{"data":{nth}}}"#));
        }
        listen(socket).await;
    });
    let (connection, mut messages) = Connection::builder(&world.env, URL).greet(Login).dialect(JsonDialect).open()?;
    until(&connection, |state| matches!(state, State::Open)).await;
    let _topic = connection.subscribe("t", Listening::default());
    for nth in 0..3 {
        connection.send(nth.to_string()).await?;
    }
    assert_eq!(texts(&mut messages, 3).await, ["1", "2", "3"]);
    assert!(ends(connection.drained()).await);
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    ends(world.dialer.finish()).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_or_never_ends_counts_as_a_try() -> Result<()> {
    for (nod, wait) in
        [(Nod { takes: SECOND, agrees: false }, SECOND), (Nod { takes: 1000 * SECOND, agrees: true }, 7 * SECOND)]
    {
        let world = World::new();
        world.serve_all(listen);
        let (connection, _messages) =
            Connection::builder(&world.env, URL).greet(nod).greet_timeout(7 * SECOND).open()?;
        let before = tokio::time::Instant::now();
        let state = until(&connection, |state| matches!(state, State::Backoff { attempt: 1, .. })).await;
        assert_eq!(before.elapsed(), wait);
        let State::Backoff { cause, .. } = state else { panic!("{state:?}") };
        assert_eq!(cause.is_timeout(), nod.agrees, "{cause}");
        until(&connection, |state| matches!(state, State::Backoff { attempt: 4, .. })).await;
        assert_eq!((connection.snapshot().counts.connections, connection.snapshot().counts.attempts), (0, 4));
        assert_eq!(world.dialer.open_connections(), 0, "nothing is left behind");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_goodbye_meanwhile_is_heard() -> Result<()> {
    let world = World::new();
    world.serve_all(|mut socket: Socket| async move {
        heard(&mut socket).await;
        drop(socket.close(CloseCode::POLICY, "no").await);
    });
    let (connection, _messages) = Connection::builder(&world.env, URL).greet(Login).open()?;
    let state = until(&connection, State::is_closed).await;
    let State::Closed { closed: Some(closed), cause: Some(cause) } = state else { panic!("{state:?}") };
    assert_eq!((closed.code, cause.kind()), (CloseCode::POLICY, ErrorKind::Closed));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_may_not_put_everything_aside() -> Result<()> {
    let world = World::new();
    world.serve_all(|mut socket: Socket| async move {
        heard(&mut socket).await;
        while socket.send("x").await.is_ok() {}
    });
    let (connection, _messages) = Connection::builder(&world.env, URL).greet(Login).open()?;
    let state = until(&connection, State::is_closed).await;
    let State::Closed { cause: Some(cause), .. } = state else { panic!("{state:?}") };
    assert_eq!(cause.kind(), ErrorKind::TooLarge);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn credentials_that_never_come_end_the_try_in_time() -> Result<()> {
    let world = World::new();
    let (connection, _messages) = Connection::builder(&world.env, URL)
        .prepare(|_: Connect, _: Attempt| std::future::pending::<Result<Connect>>())
        .prepare_timeout(7 * SECOND)
        .reconnect(Reconnect::never())
        .open()?;
    let before = tokio::time::Instant::now();
    let error = connection.ready().await.expect_err("nobody prepared");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "prepare"));
    assert_eq!((before.elapsed(), world.dialer.dials()), (7 * SECOND, 0));
    Ok(())
}
