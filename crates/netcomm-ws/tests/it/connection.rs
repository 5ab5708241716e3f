//! A connection that comes back.

mod delivery;
mod greeting;
mod life;
mod lives;
mod memory;
mod million;
mod network;
mod queue;
mod reconnect;
mod requests;
mod stage;
mod topics;

use std::time::Duration;

use netcomm_core::{ErrorKind, Result};
use netcomm_ws::{
    AtLeastOnce, CloseCode, Connection, Dropped, JsonDialect, Message, Outbound, Overflow, QueueLimits, Socket, State,
    Status,
};

use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

async fn echo(mut socket: Socket) {
    while let Ok(Some(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_it_was_there_goes_when_it_is() -> Result<()> {
    let world = World::new();
    world.dialer.fail_next(ErrorKind::Connect);
    world.dialer.fail_next(ErrorKind::Dns);
    world.serve_all(echo);
    let (connection, mut messages) = Connection::builder(&world.env, "ws://server.test/").open()?;
    let mut receipt = connection.send("first").await?;
    assert_eq!(receipt.status(), Status::Queued);
    assert_eq!(receipt.written().await, Status::Written);
    let delivery = messages.next().await.expect("open").expect("no lag");
    assert_eq!(delivery.message, Message::text("first"));
    assert!(connection.state().is_ready());
    assert_eq!(world.dialer.dials(), 3);
    let closed = connection.close(CloseCode::NORMAL, "done").await?.expect("there was a connection");
    assert!(closed.clean);
    assert!(messages.next().await.is_none());
    assert!(connection.send("late").await.is_err());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn numbered_messages_come_through_a_loss() -> Result<()> {
    let world = World::new();
    // The first server takes two messages and leaves; the second one acknowledges.
    world.serve_next(|mut socket| async move {
        for _ in 0..2 {
            socket.recv().await.expect("a message");
        }
    });
    world.serve_all(|mut socket| async move {
        while let Ok(Some(message)) = socket.recv().await {
            let text = message.as_text().expect("text").to_owned();
            let sequence: u64 =
                text["{\"seq\":".len()..].split(',').next().expect("a number").parse().expect("a number");
            socket.send(text.as_str()).await.expect("echo");
            socket.send(format!("{{\"ack\":{sequence}}}")).await.expect("ack");
        }
    });
    let (connection, mut messages) = Connection::builder(&world.env, "ws://server.test/")
        .dialect(JsonDialect)
        .at_least_once(AtLeastOnce::default().with_acknowledges(false))
        .open()?;
    let mut receipts = Vec::new();
    for number in 0..4 {
        receipts.push(connection.send(number.to_string()).await?);
    }
    for receipt in &mut receipts {
        assert_eq!(receipt.settled().await, Status::Acknowledged);
    }
    for number in 0..4 {
        let delivery = messages.next().await.expect("open").expect("no lag");
        assert_eq!((delivery.message, delivery.sequence), (Message::text(number.to_string()), Some(number + 1)));
    }
    assert!(connection.drained().await);
    assert_eq!(connection.snapshot().counts.connections, 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nothing_vanishes_without_a_word() -> Result<()> {
    let world = World::new();
    world.dialer.hang_all();
    let queue = QueueLimits::default().with_messages(2).with_overflow(Overflow::DropOldest);
    let (connection, _messages) = Connection::builder(&world.env, "ws://server.test/").queue(queue).open()?;
    let mut volatile = connection.send(Outbound::new("v").volatile()).await?;
    assert_eq!(volatile.settled().await, Status::Dropped(Dropped::Volatile));
    let mut short = connection.send(Outbound::new("s").time_to_live(SECOND)).await?;
    assert_eq!(short.settled().await, Status::Dropped(Dropped::Expired));
    let mut first = connection.send("1").await?;
    let second = connection.send("2").await?;
    let mut third = connection.send("3").await?;
    assert_eq!(first.settled().await, Status::Dropped(Dropped::Evicted));
    assert!(second.cancel());
    assert_eq!(second.status(), Status::Dropped(Dropped::Canceled));
    assert!(connection.close(CloseCode::NORMAL, "").await?.is_none());
    assert_eq!(third.settled().await, Status::Dropped(Dropped::Closed));
    assert!(matches!(connection.state(), State::Closed { cause: None, .. }));
    assert_eq!(connection.snapshot().counts.dropped, 5);
    Ok(())
}
