//! Futures that are dropped at any of their polls: nothing is lost, doubled or torn.

use netcomm_core::Result;
use netcomm_tests::{FaultyWire, Way};
use netcomm_ws::{CloseCode, Message, Socket};

use crate::pair::{QUIET, Setup, polled};

/// A wire on which everything takes many polls.
const NARROW: Setup = Setup { wire_bytes: 300, ..QUIET };

fn message(at: usize) -> Message {
    Message::from(vec![at as u8; 50 + at * 37 % 1500])
}

fn trickle(wire: &FaultyWire) {
    wire.trickle(Way::In, 101);
    wire.trickle(Way::Out, 97);
}

async fn echo(mut server: Socket) {
    while let Ok(Some(message)) = server.recv().await {
        if server.send(message).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn feeds_flushes_and_receives_dropped_at_every_poll() -> Result<()> {
    let (mut client, server, wire) = NARROW.open().await;
    trickle(&wire);
    tokio::spawn(echo(server));
    let (mut fed, mut came) = (0, 0);
    let mut polls = 0;
    while came < 300 {
        polls = polls % 7 + 1;
        // A feed that was not ready has taken nothing; it comes again as the same message.
        if fed < 300 && polled(polls, client.feed(message(fed))).await.transpose()?.is_some() {
            fed += 1;
        }
        polled(polls, client.flush()).await.transpose()?;
        while let Some(received) = polled(polls, client.recv()).await.transpose()? {
            assert_eq!(received, Some(message(came)));
            came += 1;
        }
        tokio::task::yield_now().await;
    }
    client.close(CloseCode::NORMAL, "").await?;
    assert_eq!(client.recv().await?, None, "nothing twice");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_send_that_was_dropped_sent_its_message_whole_or_not_at_all() -> Result<()> {
    let (mut client, mut server, wire) = NARROW.open().await;
    trickle(&wire);
    let reader = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(message) = server.recv().await.expect("no error") {
            seen.push(message);
        }
        seen
    });
    for at in 0..200 {
        polled(at % 9 + 1, client.send(message(at))).await.transpose()?;
    }
    client.send("last").await?;
    client.close(CloseCode::NORMAL, "").await?;
    let seen = reader.await.expect("no panic");
    let mut sent = 0..200;
    for received in &seen[..seen.len() - 1] {
        assert!(sent.any(|at| message(at) == *received), "torn, doubled or out of order");
    }
    assert_eq!(seen.last(), Some(&Message::text("last")));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_that_was_dropped_is_said_by_whatever_comes_next() -> Result<()> {
    for polls in 1..8 {
        let (mut client, mut server, wire) = NARROW.open().await;
        trickle(&wire);
        client.feed(vec![1; 5000]).await?;
        let far = tokio::spawn(async move {
            let mut seen = 0;
            while let Some(message) = server.recv().await.expect("no error") {
                seen += message.len();
            }
            (seen, server.closed().cloned().expect("closed"))
        });
        polled(polls, client.close(CloseCode::GOING_AWAY, "later")).await.transpose()?;
        assert_eq!(client.recv().await?, None);
        let closed = client.closed().cloned().expect("closed");
        assert!(closed.clean, "{polls}");
        let (seen, theirs) = far.await.expect("no panic");
        assert_eq!((seen, theirs.code, &*theirs.reason), (5000, CloseCode::GOING_AWAY, "later"));
    }
    Ok(())
}
