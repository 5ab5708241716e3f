//! Orders, ends, and those who wait for one.

use std::sync::Arc;

use netcomm_core::{ErrorKind, Reach, Result};
use netcomm_tests::ManualConnectivity;
use netcomm_ws::{
    AtLeastOnce, CloseCode, Connection, Dialect, Dropped, Event, JsonDialect, Message, Outbound, Overflow, QueueLimits,
    Reading, State, Status,
};
use tokio::sync::Notify;

use super::stage::{SECOND, URL, echo, ends, listen, pass, texts, until};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_goodbye_is_not_taken_back() -> Result<()> {
    let world = World::new();
    let (go, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let server = (Arc::clone(&go), Arc::clone(&gone));
    world.serve_all(move |socket| {
        let (go, gone) = server.clone();
        async move {
            go.notified().await;
            listen(socket).await;
            gone.notify_one();
        }
    });
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    ends(connection.ready()).await?;
    let closing = tokio::spawn({
        let connection = connection.clone();
        async move { connection.close(CloseCode::NORMAL, "").await }
    });
    until(&connection, |state| matches!(state, State::Closing)).await;
    connection.start();
    connection.renew();
    go.notify_one();
    let closed = ends(closing).await.expect("no panic")?.expect("there was a connection");
    assert!(closed.clean);
    assert_eq!(world.dialer.dials(), 1);
    ends(gone.notified()).await;
    // What is asked of the dead changes nothing.
    connection.renew();
    assert!(ends(connection.close(CloseCode::NORMAL, "")).await?.is_some());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_can_be_closed_whatever_it_waits_for() -> Result<()> {
    for is_urged in [false, true] {
        let network = ManualConnectivity::offline();
        let world = World::new();
        let env = world.env.with_connectivity(network.shared());
        let (connection, _messages) = Connection::builder(&env, URL).open()?;
        until(&connection, |state| matches!(state, State::Backoff { until: None, .. })).await;
        if is_urged {
            connection.start();
            pass(SECOND).await;
            connection.renew();
            pass(SECOND).await;
        }
        assert_eq!(ends(connection.close(CloseCode::NORMAL, "")).await?, None, "without a network");

        network.set_reach(Reach::Online);
        world.dialer.fail_next(ErrorKind::Connect);
        let (connection, _messages) = Connection::builder(&env, URL).open()?;
        until(&connection, |state| matches!(state, State::Backoff { .. })).await;
        ends(connection.close(CloseCode::NORMAL, "")).await?;

        world.dialer.hang_next();
        let (connection, _messages) = Connection::builder(&env, URL).open()?;
        until(&connection, |state| matches!(state, State::Connecting { .. })).await;
        if is_urged {
            connection.start();
            pass(SECOND).await;
        }
        ends(connection.close(CloseCode::NORMAL, "")).await?;

        let (connection, _messages) = Connection::builder(&env, URL).lazy(true).open()?;
        ends(connection.close(CloseCode::NORMAL, "")).await?;
        assert!(matches!(connection.state(), State::Closed { closed: None, cause: None }));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_lazy_connection_is_made_when_it_is_wanted() -> Result<()> {
    for is_asked in [false, true] {
        let world = World::new();
        world.serve_all(echo);
        let (connection, mut messages) = Connection::builder(&world.env, URL).lazy(true).open()?;
        pass(100 * SECOND).await;
        assert!(matches!(connection.state(), State::Idle));
        assert_eq!(world.dialer.dials(), 0);
        if is_asked {
            connection.start();
            ends(connection.ready()).await?;
            assert_eq!(world.dialer.dials(), 1);
        }
        connection.send("wanted").await?;
        assert_eq!(texts(&mut messages, 1).await, ["wanted"]);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_order_is_seen_beside_a_message() -> Result<()> {
    let world = World::new();
    world.serve_all(echo);
    let (connection, mut messages) = Connection::builder(&world.env, URL).open()?;
    connection.send("first").await?;
    assert_eq!(texts(&mut messages, 1).await, ["first"]);
    // Nothing waits for the wire, and both lie there when the task looks.
    connection.send("second").await?;
    connection.renew();
    ends(world.dialer.until_dials(2)).await;
    assert_eq!(texts(&mut messages, 1).await, ["second"], "over the new connection");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn another_connection_is_made_where_that_is_wanted() -> Result<()> {
    let world = World::new();
    world.serve_all(echo);
    let (connection, mut messages) = Connection::builder(&world.env, URL).open()?;
    ends(connection.ready()).await?;
    for round in 1..=3 {
        connection.renew();
        world.dialer.until_dials(round + 1).await;
        connection.send("again").await?;
        assert_eq!(texts(&mut messages, 1).await, ["again"]);
    }
    assert_eq!(world.dialer.open_connections(), 1);
    // It ends a wait as well.
    world.dialer.fail_next(ErrorKind::Connect);
    world.dialer.fail_next(ErrorKind::Connect);
    connection.renew();
    until(&connection, |state| matches!(state, State::Backoff { .. })).await;
    connection.renew();
    until(&connection, |state| matches!(state, State::Backoff { attempt: 2.., .. })).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_the_connection() -> Result<()> {
    let world = World::new();
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    world.serve_all(move |mut socket| {
        let told = told.clone();
        async move {
            while let Ok(Some(_)) = socket.recv().await {}
            drop(told.send(socket.closed().cloned()));
        }
    });
    let (connection, mut messages) = Connection::builder(&world.env, URL).open()?;
    ends(connection.ready()).await?;
    let other = connection.clone();
    let mut states = other.states();
    drop(connection);
    pass(SECOND).await;
    assert!(other.state().is_ready(), "one is left");
    drop(other);
    let closed = ends(tells.recv()).await.expect("served").expect("ended");
    assert_eq!(closed.code, CloseCode::NORMAL);
    assert!(ends(messages.next()).await.is_none());
    assert!(states.current().is_closed() && ends(states.changed()).await.is_none());
    Ok(())
}

/// Panics at a word.
#[derive(Debug)]
struct Fragile;

impl Dialect for Fragile {
    fn read(&self, message: Message) -> Result<Reading> {
        assert_ne!(message.as_text(), Some("crash"), "expected: a dialect that panics");
        Ok(Reading::plain(message))
    }

    fn write(&self, writing: netcomm_ws::Writing<'_>) -> Result<Message> {
        assert_ne!(writing.message.as_text(), Some("crash on writing"), "expected: a dialect that panics");
        Ok(writing.message.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_dialect_that_panics_ends_the_connection_and_nobody_waits_for_ever() -> Result<()> {
    for at_least_once in [None, Some(AtLeastOnce::default())] {
        for word in ["crash", "crash on writing"] {
            let world = World::new();
            world.serve_all(echo);
            let mut builder = Connection::builder(&world.env, URL).dialect(Fragile);
            if let Some(mode) = at_least_once {
                builder = builder.at_least_once(mode);
            }
            let (connection, mut messages) = builder.open()?;
            let mut events = connection.events(None);
            ends(connection.ready()).await?;
            let before = connection.send("before").await?;
            assert_eq!(texts(&mut messages, 1).await, ["before"]);
            let mut receipt = connection.send(word).await?;
            let mut behind = connection.send("behind").await?;
            let State::Closed { cause: Some(cause), .. } = until(&connection, State::is_closed).await else {
                panic!("without a word");
            };
            assert!(cause.to_string().contains("panic"), "{cause}");
            assert_ne!(ends(receipt.written()).await, Status::Queued);
            assert_ne!(ends(behind.written()).await, Status::Queued);
            let expected = if at_least_once.is_some() { Status::Unknown } else { Status::Written };
            assert_eq!(before.status(), expected);
            assert!(connection.ready().await.is_err());
            assert!(ends(messages.next()).await.is_none());
            assert!(!ends(connection.drained()).await);
            let mut last = None;
            while let Some(Ok(event)) = ends(events.next()).await {
                last = Some(event);
            }
            assert!(matches!(last, Some(Event::Closed { cause: Some(_), .. })), "{last:?}");
        }
    }
    Ok(())
}

#[test]
fn a_runtime_that_ends_is_told_of() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("built");
    let (connection, mut messages, mut sent, mut waiting) = runtime.block_on(async {
        let world = World::new();
        world.serve_all(echo);
        let queue = QueueLimits::default().with_overflow(Overflow::Wait);
        let (connection, mut messages) = Connection::builder(&world.env, URL)
            .queue(queue)
            .at_least_once(AtLeastOnce::default().with_window(1).with_acknowledges(false))
            .dialect(JsonDialect)
            .open()
            .expect("opened");
        let sent = connection.send("1").await.expect("taken");
        assert_eq!(texts(&mut messages, 1).await, ["1"]);
        let waiting = connection.send("2").await.expect("taken");
        (connection, messages, sent, waiting)
    });
    drop(runtime);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("built");
    runtime.block_on(async {
        assert_eq!(ends(sent.settled()).await, Status::Unknown);
        assert_eq!(ends(waiting.settled()).await, Status::Dropped(Dropped::Closed));
        assert!(connection.state().is_closed());
        assert!(ends(messages.next()).await.is_none());
        assert!(connection.send("late").await.is_err());
        assert!(ends(connection.request("late", SECOND)).await.is_err());
        assert!(ends(connection.close(CloseCode::NORMAL, "")).await.expect("good code").is_none());
        assert!(ends(connection.ready()).await.is_err());
    });
}

#[tokio::test(start_paused = true)]
async fn what_went_out_before_a_goodbye_was_written() -> Result<()> {
    let world = World::new();
    world.dialer.set_buffer_bytes(1024);
    world.serve_all(listen);
    let (connection, _messages) =
        Connection::builder(&world.env, URL).connect(|connect| connect.deflate(None)).open()?;
    ends(connection.ready()).await?;
    let mut large = connection.send(vec![7; 300_000]).await?;
    tokio::task::yield_now().await;
    let closed = ends(connection.close(CloseCode::NORMAL, "")).await?.expect("there was a connection");
    assert!(closed.clean);
    let status = ends(large.written()).await;
    assert_eq!(status, Status::Written, "the peer has read up to the goodbye");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn round_trips_are_told_while_the_connection_lives() -> Result<()> {
    let world = World::new();
    world.serve_all(echo);
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    ends(connection.ready()).await?;
    assert!(connection.snapshot().rtt.is_none());
    pass(100 * SECOND).await;
    assert!(connection.snapshot().rtt.is_some_and(|rtt| rtt.samples > 0));
    connection.renew();
    world.dialer.until_dials(2).await;
    until(&connection, State::is_ready).await;
    assert!(connection.snapshot().rtt.is_none(), "those of another connection mean nothing");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_what_has_left_the_queue() -> Result<()> {
    let world = World::new();
    world.dialer.hang_all();
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    connection.send(Outbound::new("short").time_to_live(SECOND)).await?;
    assert!(ends(connection.drained()).await, "it expired");
    let receipt = connection.send("canceled").await?;
    let drained = tokio::spawn({
        let connection = connection.clone();
        async move { connection.drained().await }
    });
    pass(SECOND).await;
    assert!(!drained.is_finished());
    assert!(receipt.cancel());
    assert!(ends(drained).await.expect("no panic"));
    Ok(())
}
