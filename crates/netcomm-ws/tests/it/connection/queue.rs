//! What waits, what gives way, and who is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use netcomm_core::{ErrorKind, Result};
use netcomm_ws::{
    CloseCode, Connection, Dropped, Event, Message, Outbound, Overflow, Priority, QueueLimits, Receipt, State, Status,
};
use tokio::task::JoinHandle;

use super::stage::{SECOND, URL, echo, ends, heard, listen, pass, texts, until};
use crate::world::World;

/// A connection that has none yet, with room for two messages of ten bytes in all.
fn waiting(world: &World, overflow: Overflow) -> Connection {
    world.dialer.hang_next();
    let queue = QueueLimits::default().with_messages(2).with_bytes(10).with_overflow(overflow);
    let (connection, messages) = Connection::builder(&world.env, URL).queue(queue).open().expect("opened");
    // What comes is no matter here.
    drop(messages);
    connection
}

/// What a server of that world hears from now on.
fn record(world: &World) -> Arc<Mutex<Vec<String>>> {
    let log = Arc::<Mutex<Vec<String>>>::default();
    let server = Arc::clone(&log);
    world.serve_all(move |mut socket| {
        let log = Arc::clone(&server);
        async move {
            while let Ok(Some(message)) = socket.recv().await {
                log.lock().expect("no panic").push(message.as_text().expect("text").to_owned());
            }
        }
    });
    log
}

#[tokio::test(start_paused = true)]
async fn who_gives_way_is_told() -> Result<()> {
    for (overflow, statuses) in [
        (Overflow::DropOldest, [Some(Dropped::Evicted), None, None]),
        (Overflow::DropNewest, [None, None, Some(Dropped::Full)]),
    ] {
        let world = World::new();
        let connection = waiting(&world, overflow);
        let mut events = connection.events(None);
        let mut receipts = Vec::new();
        for text in ["1", "2", "3"] {
            receipts.push(connection.send(text).await?);
        }
        assert!(receipts.is_sorted_by_key(Receipt::id), "{receipts:?}");
        for (receipt, why) in receipts.iter().zip(statuses) {
            assert_eq!(receipt.status(), why.map_or(Status::Queued, Status::Dropped));
        }
        let told = loop {
            if let Event::Dropped { id, why } = ends(events.next()).await.expect("open").expect("no lag") {
                break (id, why);
            }
        };
        let at = statuses.iter().position(Option::is_some).expect("one");
        assert_eq!(told, (receipts[at].id(), statuses[at].expect("one")));
        assert_eq!(connection.snapshot().queued, 2);
    }
    let world = World::new();
    let connection = waiting(&world, Overflow::Reject);
    for _ in 0..2 {
        connection.send("1").await?;
    }
    let outbound = Outbound::new("3").priority(Priority::High).time_to_live(SECOND).topic("t");
    let rejected = connection.send(outbound).await.expect_err("full");
    assert_eq!((rejected.why, rejected.outbound.message()), (Dropped::Full, &Message::text("3")));
    let error = netcomm_core::Error::from(rejected);
    assert!(error.kind() == ErrorKind::Busy && error.is_unsent());
    for overflow in [Overflow::Reject, Overflow::Wait, Overflow::DropOldest, Overflow::DropNewest] {
        let connection = waiting(&world, overflow);
        let rejected = ends(connection.send("longer than ten bytes")).await.expect_err("it never fits");
        assert_eq!(rejected.why, Dropped::Full);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn priorities_go_first_and_order_is_kept_within_them() -> Result<()> {
    let world = World::new();
    world.dialer.fail_next(ErrorKind::Connect);
    let log = record(&world);
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    for nth in 0..10 {
        for (name, priority) in [("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High)] {
            connection.send(Outbound::new(format!("{name} {nth}")).priority(priority)).await?;
        }
    }
    assert!(ends(connection.drained()).await);
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    let expected: Vec<_> =
        ["high", "normal", "low"].iter().flat_map(|name| (0..10).map(move |nth| format!("{name} {nth}"))).collect();
    assert_eq!(*log.lock().expect("no panic"), expected);
    Ok(())
}

fn spawn_send(
    connection: &Connection,
    message: impl Into<Outbound>,
) -> JoinHandle<Result<Receipt, netcomm_ws::Rejected>> {
    let (connection, message) = (connection.clone(), message.into());
    tokio::spawn(async move { connection.send(message).await })
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_for_room_have_their_turn() -> Result<()> {
    let world = World::new();
    let connection = waiting(&world, Overflow::Wait);
    let log = record(&world);
    let senders: Vec<_> = (0..100).map(|nth| spawn_send(&connection, format!("{nth:03}"))).collect();
    pass(SECOND).await;
    let volatile = ends(connection.send(Outbound::new("v").volatile())).await?;
    assert_eq!(volatile.status(), Status::Dropped(Dropped::Volatile), "nobody waits for that");
    assert!(connection.try_send("now").is_err_and(|rejected| rejected.why == Dropped::Full));
    // Some lose patience; who stands behind them does not suffer for it.
    for nth in (10..100).step_by(10) {
        senders[nth].abort();
    }
    connection.renew();
    pass(20 * SECOND).await;
    // The one dial that hangs is given up in its time.
    assert!(ends(connection.drained()).await);
    let mut sent = 0;
    for sender in senders {
        if let Ok(receipt) = ends(sender).await {
            assert_eq!(ends(receipt?.written()).await, Status::Written);
            sent += 1;
        }
    }
    assert_eq!(sent, 91);
    let expected: Vec<_> = (0..100).filter(|nth| *nth == 0 || nth % 10 != 0).map(|nth| format!("{nth:03}")).collect();
    assert_eq!(*log.lock().expect("no panic"), expected, "first come, first served");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn room_that_comes_in_any_way_is_used() -> Result<()> {
    for way in ["canceled", "expired", "volatile"] {
        let world = World::new();
        let queue = QueueLimits::default().with_messages(2).with_overflow(Overflow::Wait);
        // A server that reads nothing, over a wire that holds next to nothing.
        world.dialer.set_buffer_bytes(512);
        world.serve_next(|socket| async move {
            pass(5 * SECOND).await;
            drop(socket);
        });
        world.dialer.hang_all();
        let (connection, _messages) =
            Connection::builder(&world.env, URL).queue(queue).connect(|connect| connect.deflate(None)).open()?;
        ends(connection.ready()).await?;
        let stuck = connection.send(vec![0; 200_000]).await?;
        pass(SECOND).await;
        let one = |text: &str| match way {
            "expired" => Outbound::new(text).time_to_live(2 * SECOND),
            "volatile" => Outbound::new(text).volatile(),
            _ => Outbound::new(text),
        };
        let first = [connection.send(one("1")).await?, connection.send(one("2")).await?];
        let waiting = [spawn_send(&connection, "3"), spawn_send(&connection, "4")];
        pass(SECOND).await;
        assert!(waiting.iter().all(|sender| !sender.is_finished()), "{way}");
        if way == "canceled" {
            assert!(first.iter().all(Receipt::cancel));
        }
        for sender in waiting {
            let receipt = ends(sender).await.expect("no panic")?;
            assert_eq!(receipt.status(), Status::Queued, "{way}");
        }
        assert!(first.iter().all(|receipt| matches!(receipt.status(), Status::Dropped(_))));
        drop(stuck);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn time_to_live_runs_while_a_sender_waits_for_room() -> Result<()> {
    let world = World::new();
    let connection = waiting(&world, Overflow::Wait);
    for _ in 0..2 {
        connection.send("1").await?;
    }
    let before = tokio::time::Instant::now();
    let receipt = ends(connection.send(Outbound::new("2").time_to_live(3 * SECOND))).await?;
    assert_eq!(receipt.status(), Status::Dropped(Dropped::Expired));
    assert!(before.elapsed() < 4 * SECOND);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_frees_those_who_wait_for_room() -> Result<()> {
    let world = World::new();
    let connection = waiting(&world, Overflow::Wait);
    let mut first = connection.send("1").await?;
    connection.send("2").await?;
    let waiting: Vec<_> = (0..10).map(|_| spawn_send(&connection, "3")).collect();
    pass(SECOND).await;
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    for sender in waiting {
        let rejected = ends(sender).await.expect("no panic").expect_err("closed");
        assert_eq!((rejected.why, rejected.outbound.message()), (Dropped::Closed, &Message::text("3")));
    }
    assert_eq!(ends(first.settled()).await, Status::Dropped(Dropped::Closed));
    assert!(!ends(connection.drained()).await);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_expires_is_told_whatever_the_connection_does() -> Result<()> {
    // While it is dialled, while it waits, while it greets, while there is no network, before it was asked for.
    for stage in ["connecting", "backoff", "lazy"] {
        let world = World::new();
        match stage {
            "connecting" => world.dialer.hang_all(),
            _ => world.dialer.fail_all(ErrorKind::Connect),
        }
        let (connection, _messages) = Connection::builder(&world.env, URL).lazy(stage == "lazy").open()?;
        pass(SECOND / 10).await;
        let before = tokio::time::Instant::now();
        let mut receipt = connection.send(Outbound::new("s").time_to_live(2 * SECOND)).await?;
        let mut later = connection.send(Outbound::new("s").time_to_live(4 * SECOND)).await?;
        assert_eq!(ends(receipt.settled()).await, Status::Dropped(Dropped::Expired), "{stage}");
        assert!(before.elapsed() < 2100 * SECOND / 1000, "{stage}");
        assert_eq!(later.status(), Status::Queued);
        assert_eq!(ends(later.settled()).await, Status::Dropped(Dropped::Expired), "{stage}");
        let at_once = connection.send(Outbound::new("s").time_to_live(Duration::ZERO)).await?;
        assert_eq!(at_once.status(), Status::Dropped(Dropped::Expired));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn volatile_messages_are_for_now() -> Result<()> {
    let world = World::new();
    world.serve_all(echo);
    let (connection, mut messages) = Connection::builder(&world.env, URL).open()?;
    let early = connection.send(Outbound::new("early").volatile()).await?;
    assert_eq!(early.status(), Status::Dropped(Dropped::Volatile));
    ends(connection.ready()).await?;
    let mut good = connection.send(Outbound::new("good").volatile()).await?;
    assert_eq!(ends(good.written()).await, Status::Written);
    assert_eq!(texts(&mut messages, 1).await, ["good"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_receipt_knows_all_that_happens() -> Result<()> {
    let world = World::new();
    world.dialer.set_buffer_bytes(512);
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    world.serve_next(|mut socket| async move {
        heard(&mut socket).await;
        drop(gone.await);
    });
    world.dialer.hang_all();
    let (connection, _messages) =
        Connection::builder(&world.env, URL).connect(|connect| connect.deflate(None)).open()?;
    let mut written = connection.send("written").await?;
    assert_eq!(written.status(), Status::Queued);
    assert_eq!(ends(written.written()).await, Status::Written);
    assert!(!written.cancel(), "too late");
    // On its way: neither here nor there.
    let mut large = connection.send(vec![0; 200_000]).await?;
    pass(SECOND).await;
    let behind = connection.send("behind").await?;
    pass(SECOND).await;
    assert_eq!((large.status(), behind.status()), (Status::Queued, Status::Queued));
    assert!(!large.cancel(), "it is on its way");
    drop(go);
    assert_eq!(ends(large.settled()).await, Status::Unknown);
    until(&connection, |state| matches!(state, State::Backoff { .. })).await;
    assert_eq!((written.status(), behind.status()), (Status::Written, Status::Queued));
    let counts = connection.snapshot().counts;
    assert_eq!((counts.sent, counts.unknown, counts.dropped), (2, 1, 0));
    assert!(behind.cancel() && !behind.cancel());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn all_is_written_before_a_goodbye_that_waits_for_it() -> Result<()> {
    let world = World::new();
    world.dialer.fail_next(ErrorKind::Connect);
    let log = record(&world);
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    for nth in 0..1000 {
        connection.send(nth.to_string()).await?;
    }
    assert!(ends(connection.drained()).await);
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    world.dialer.until_open(0).await;
    ends(world.dialer.finish()).await;
    assert_eq!(log.lock().expect("no panic").len(), 1000);
    Ok(())
}

#[tokio::test]
async fn what_expired_is_told_even_if_somebody_else_found_out() -> Result<()> {
    use netcomm_core::Env;
    use netcomm_tests::{ManualClock, ScriptedDialer};
    let (dialer, clock) = (ScriptedDialer::new(), ManualClock::new());
    dialer.hang_all();
    let env = Env::new(dialer, clock.clone());
    let (connection, _messages) = Connection::builder(&env, URL).open()?;
    clock.run_for(SECOND).await;
    let short = connection.send(Outbound::new("short").time_to_live(SECOND)).await?;
    clock.advance(2 * SECOND);
    // Before the connection's task has its turn, a newcomer makes the expired leave.
    connection.send("next").await?;
    clock.run_for(SECOND).await;
    assert_eq!(short.status(), Status::Dropped(Dropped::Expired));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_nothing_takes_nothing() -> Result<()> {
    let world = World::new();
    world.serve_all(listen);
    let (connection, _messages) =
        Connection::builder(&world.env, URL).queue(QueueLimits::default().with_messages(0)).open()?;
    assert!(connection.send("early").await.is_err());
    Ok(())
}
