//! What happens when a peer is slow: who waits, who does not, and how much is held.

use std::time::Duration;

use netcomm_core::Result;
use netcomm_tests::{Fault, Way};
use netcomm_ws::{Heartbeat, Limits, Message, Socket};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::pair::{QUIET, Setup, frame, read_frame};

const MIB: usize = 1 << 20;

/// Long, where nothing is waited for.
const WHILE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_lets_feed_wait() -> Result<()> {
    let (mut client, mut server, _) = QUIET.open().await;
    let mut taken = 0;
    while timeout(WHILE, client.feed(vec![7; 1024])).await.is_ok() {
        taken += 1;
    }
    // The wire's 64 KiB each way, the buffer's 64 KiB, and at most one message more.
    assert!((120..=140).contains(&taken), "{taken}");
    for _ in 0..taken {
        assert_eq!(server.recv().await?, Some(Message::from(vec![7; 1024])));
        client.feed(vec![7; 1024]).await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_answers_pings_where_the_wire_allows() -> Result<()> {
    let setup = Setup {
        client: |connect| (QUIET.client)(connect).limits(Limits::default().with_fragment_bytes(10_000)),
        ..QUIET
    };
    let (mut client, mut far, _) = setup.open_raw().await;
    let sender = async {
        client.send(vec![7; MIB]).await?;
        Ok::<_, netcomm_core::Error>(())
    };
    let peer = async {
        far.write_all(&frame(0x89, b"are you there")).await.expect("written");
        let (mut total, mut pong_after) = (0, None);
        while total < MIB {
            let (first, payload) = read_frame(&mut far).await.expect("a frame");
            match first {
                0x8a => {
                    assert_eq!(payload, b"are you there");
                    pong_after = Some(total);
                }
                _ => total += payload.len(),
            }
        }
        pong_after
    };
    let (sent, pong_after) = tokio::join!(sender, peer);
    sent?;
    // Behind what was ready for the wire when the ping came, in front of the rest.
    assert!(pong_after.is_some_and(|after| after < 300 * 1024), "{pong_after:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_blocked_write_does_not_block_reading() -> Result<()> {
    let (mut client, mut server, wire) = QUIET.open().await;
    wire.now(Way::Out, Fault::Stall);
    assert!(timeout(WHILE, client.send("stuck")).await.is_err());
    for n in 0..1000 {
        server.send(format!("{n}")).await?;
        assert_eq!(client.recv().await?, Some(Message::text(format!("{n}"))));
    }
    wire.heal(Way::Out);
    client.flush().await?;
    assert_eq!(server.recv().await?, Some(Message::text("stuck")));
    Ok(())
}

/// Sends that much in messages of 10,000 bytes before it reads anything.
async fn talk_first(socket: &mut Socket, bytes: usize) -> Result<()> {
    for at in 0..bytes / 10_000 {
        socket.send(vec![at as u8; 10_000]).await?;
    }
    for at in 0..bytes / 10_000 {
        assert_eq!(socket.recv().await?, Some(Message::from(vec![at as u8; 10_000])), "{at}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn two_ends_that_both_talk_first_go_on_as_far_as_they_read_ahead() -> Result<()> {
    fn ample() -> Limits {
        Limits::default().with_read_ahead_bytes(11 * MIB)
    }
    let setup = Setup {
        client: |connect| (QUIET.client)(connect).limits(ample()),
        server: |options| (QUIET.server)(options).limits(ample()),
        ..QUIET
    };
    let (mut client, mut server, _) = setup.open().await;
    let (ours, theirs) = tokio::join!(talk_first(&mut client, 10 * MIB), talk_first(&mut server, 10 * MIB));
    ours.and(theirs)
}

#[tokio::test(start_paused = true)]
async fn reading_ahead_has_a_bound_and_nothing_is_lost_beyond() -> Result<()> {
    let (mut client, mut server, wire) = QUIET.open().await;
    wire.now(Way::Out, Fault::Stall);
    let before = wire.passed(Way::In);
    let (stuck, sent) = tokio::join!(timeout(WHILE, client.send("stuck")), async {
        let mut sent = 0;
        while timeout(Duration::from_secs(1), server.send(vec![sent as u8; 1000])).await.is_ok() {
            sent += 1;
        }
        sent
    });
    assert!(stuck.is_err());
    // The read-ahead of 64 KiB (a message weighs 64 bytes more than its payload), one message, and one read of 16 KiB.
    let read = wire.passed(Way::In) - before;
    assert!((58_000..84_000).contains(&read), "{read}");
    wire.heal(Way::Out);
    let (flushed, seen) = tokio::join!(server.send("last"), async {
        for at in 0..sent {
            assert_eq!(client.recv().await?, Some(Message::from(vec![at as u8; 1000])));
        }
        // The one that was given up may have been taken.
        let next = client.recv().await?;
        if next == Some(Message::from(vec![sent as u8; 1000])) { client.recv().await } else { Ok(next) }
    });
    flushed?;
    assert_eq!(seen?, Some(Message::text("last")));
    Ok(())
}

/// Both directions stuck, for hours: a ping waits for the wire, and then there is no room for what comes.
#[tokio::test(start_paused = true)]
async fn who_is_stuck_in_both_directions_waits_and_does_not_spin() -> Result<()> {
    let setup = Setup { client: |connect| connect.deflate(None).heartbeat(Heartbeat::default()), ..QUIET };
    let (mut client, mut server, wire) = setup.open().await;
    wire.now(Way::Out, Fault::Stall);
    let full = async {
        tokio::time::sleep(Duration::from_secs(31)).await;
        while timeout(Duration::from_secs(1), server.feed(vec![0; 1000])).await.is_ok() {}
    };
    let (stuck, ()) = tokio::join!(timeout(Duration::from_secs(3600), client.send("stuck")), full);
    assert!(stuck.is_err(), "{stuck:?}");
    wire.heal(Way::Out);
    client.flush().await?;
    assert!(client.recv().await?.is_some());
    Ok(())
}
